//! "Did you mean": the known word nearest to a mistyped one, by edit distance.

use energy::{both, finding::Title};

/// The nearest of `known`, when they are near enough to be what was meant: a third of their letters may differ, or the maker
/// before a model is missing. Several where they are equally near, at most [`MOST`].
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .map(|candidate| {
            (
                if is_end(word, candidate) {
                    0
                } else {
                    distance(word, candidate)
                },
                candidate,
            )
        })
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .collect();
    near.sort_unstable();
    near.dedup();
    let least = near.first().map_or(0, |(distance, _)| *distance);
    let equally = near.into_iter().take_while(|(distance, _)| *distance == least);
    equally.map(|(_, candidate)| candidate).take(MOST).collect()
}

/// Whether a word is what stands behind a dash of `candidate`: "sdm630" of "eastron-sdm630".
fn is_end(word: &str, candidate: &str) -> bool {
    let word = word.to_lowercase();
    candidate
        .strip_suffix(&word)
        .is_some_and(|before| before.ends_with('-'))
        && word.len() >= SHORTEST_END
}

/// Shorter ends are those of too many names.
const SHORTEST_END: usize = 4;

/// Words offered at most: more are a guess, not a help.
const MOST: usize = 3;

/// "Did you mean", with the line that each word stands on, where it stands on one; `None` when there is none.
pub(super) fn question<'a>(near: impl IntoIterator<Item = (&'a str, Option<usize>)>) -> Option<Title> {
    let near: Vec<(&str, Option<usize>)> = near.into_iter().collect();
    let placed = |(near, line): &(&str, Option<usize>)| match line {
        Some(line) => both!("{near:?}({line}행)", "{near:?} (line {line})"),
        None => both!("{near:?}", "{near:?}"),
    };
    let words: Vec<Title> = near.iter().map(placed).collect();
    let (last, others) = words.split_last()?;
    if let [(near, line)] = near[..] {
        let line = line.map_or_else(String::new, |line| format!(" ({line}행)"));
        return Some(Title {
            ko: format!("{near:?}을(를) 뜻했습니까?{line}"),
            en: format!("did you mean {}?", last.en),
        });
    }
    let ko: Vec<&str> = words.iter().map(|word| word.ko.as_str()).collect();
    let en: Vec<&str> = others.iter().map(|word| word.en.as_str()).collect();
    Some(Title {
        ko: format!("{} 중 하나를 뜻했습니까?", ko.join(", ")),
        en: format!("did you mean {} or {}?", en.join(", "), last.en),
    })
}

/// A line that names the nearest word, or all words when none is near and they are few.
pub(crate) fn help<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<Title> {
    /// More words than this are not a help.
    const FEW: usize = 12;
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    let near = nearest(word, known.iter().copied());
    question(near.into_iter().map(|near| (near, None))).or_else(|| {
        let all = known.join(", ");
        (1..=FEW)
            .contains(&known.len())
            .then(|| both!("쓸 수 있는 이름: {all}", "known here: {all}"))
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
    fn a_model_without_its_maker_is_known() {
        let known = ["eastron-sdm630", "eastron-sdm630-2", "schneider-pm5110", "abb-b23"];
        for (word, expected) in [
            ("sdm630", &["eastron-sdm630"][..]),
            ("PM5110", &["schneider-pm5110"]),
            ("b23", &[]),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }

    #[test]
    fn few_words_are_listed_when_none_is_near() {
        let check = |found: Option<Title>, ko: &str, en: &str| {
            let (ko, en) = (ko.to_owned(), en.to_owned());
            assert_eq!(found, Some(Title { ko, en }));
        };
        check(
            help("p4", ["p1", "p2", "p3"]),
            "\"p1\", \"p2\", \"p3\" 중 하나를 뜻했습니까?",
            "did you mean \"p1\", \"p2\" or \"p3\"?",
        );
        check(
            help("x", ["holding", "input"]),
            "쓸 수 있는 이름: holding, input",
            "known here: holding, input",
        );
        check(
            question([("m1", Some(5))]),
            "\"m1\"을(를) 뜻했습니까? (5행)",
            "did you mean \"m1\" (line 5)?",
        );
        check(
            question([("m1", Some(5)), ("m2", Some(7))]),
            "\"m1\"(5행), \"m2\"(7행) 중 하나를 뜻했습니까?",
            "did you mean \"m1\" (line 5) or \"m2\" (line 7)?",
        );
        assert_eq!(help("x", []), None);
    }
}
