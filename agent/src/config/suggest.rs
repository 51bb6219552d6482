//! "Did you mean": the known word nearest to a mistyped one, by edit distance.

/// The nearest of `known`, when it is near enough to be what was meant: a third of its letters may differ.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate)
}

/// A line that names the nearest word, or all words when none is near and they are few.
pub(super) fn help<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    /// More words than this are not a help.
    const FEW: usize = 12;
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    match nearest(word, known.iter().copied()) {
        Some(near) => Some(format!("did you mean {near:?}?")),
        None if known.is_empty() || known.len() > FEW => None,
        None => Some(format!("known here: {}", known.join(", "))),
    }
}

/// Letters to change, add, leave out or swap with their neighbour. Words are cut at 64 letters: names are shorter.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(64).collect();
    let right: Vec<char> = right.chars().take(64).collect();
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for i in 0..=left.len() {
        for j in 0..=right.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
                replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1)
            };
            let swapped = i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
            if swapped {
                rows[i][j] = rows[i][j].min(rows[i - 2][j - 2] + 1);
            }
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_only_when_it_is_near() {
        for (word, known, expected) in [
            ("pres-2", vec!["press-2", "dryer"], Some("press-2")),
            ("zoen", vec!["zone", "name"], Some("zone")),
            ("pasword", vec!["password_file", "url"], None),
            ("x", vec!["name"], None),
            ("압축가", vec!["압축기"], Some("압축기")),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }

    #[test]
    fn few_words_are_listed_when_none_is_near() {
        assert_eq!(
            help("x", ["holding", "input"]).as_deref(),
            Some("known here: holding, input")
        );
        assert_eq!(help("x", []), None);
    }
}
