//! "Did you mean": the known word nearest to a mistyped one, by edit distance.

/// The nearest of `known`, when they are near enough to be what was meant: a third of their letters may differ. Several
/// where they are equally near, at most [`MOST`].
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .collect();
    near.sort_unstable();
    near.dedup();
    let least = near.first().map_or(0, |(distance, _)| *distance);
    let equally = near.into_iter().take_while(|(distance, _)| *distance == least);
    equally.map(|(_, candidate)| candidate).take(MOST).collect()
}

/// Words offered at most: more are a guess, not a help.
const MOST: usize = 3;

/// "Did you mean", with what stands for each word; `None` when there is none.
pub(super) fn question(near: &[String]) -> Option<String> {
    let (last, others) = near.split_last()?;
    Some(if others.is_empty() {
        format!("did you mean {last}?")
    } else {
        format!("did you mean {} or {last}?", others.join(", "))
    })
}

/// A line that names the nearest word, or all words when none is near and they are few.
pub(crate) fn help<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    /// More words than this are not a help.
    const FEW: usize = 12;
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    let near = nearest(word, known.iter().copied());
    let near: Vec<String> = near.iter().map(|near| format!("{near:?}")).collect();
    question(&near).or_else(|| {
        (1..=FEW)
            .contains(&known.len())
            .then(|| format!("known here: {}", known.join(", ")))
    })
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
            ("pres-2", vec!["press-2", "dryer"], vec!["press-2"]),
            ("zoen", vec!["zone", "name"], vec!["zone"]),
            ("pasword", vec!["password_file", "url"], vec![]),
            ("x", vec!["name"], vec![]),
            ("압축가", vec!["압축기"], vec!["압축기"]),
            ("p4", vec!["p3", "p1", "p2"], vec!["p1", "p2", "p3"]),
            ("m5", vec!["m1", "m2", "m3", "m4"], vec!["m1", "m2", "m3"]),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }

    #[test]
    fn few_words_are_listed_when_none_is_near() {
        assert_eq!(
            help("p4", ["p1", "p2", "p3"]).as_deref(),
            Some("did you mean \"p1\", \"p2\" or \"p3\"?")
        );
        assert_eq!(
            help("x", ["holding", "input"]).as_deref(),
            Some("known here: holding, input")
        );
        assert_eq!(help("x", []), None);
    }
}
