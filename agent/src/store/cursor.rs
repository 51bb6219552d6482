//! What a reader of the log has still to do, as ranges of sequence numbers. Pure; the writer saves them.
//!
//! A reader that keeps up has one open range. After an outage it is split: what came last goes first, what waited
//! follows as closed ranges. Invariants: ranges are sorted, disjoint and not empty, and exactly one, the last, is open.

/// Rows from `from` to `to`, both included; `None` = and everything after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeqRange {
    /// First row.
    pub from: u64,
    /// Last row; `None` = open.
    pub to: Option<u64>,
}

/// The rows a reader has still to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Todo {
    /// Closed ranges, ascending.
    backlog: Vec<(u64, u64)>,
    /// Where the open range begins.
    live: u64,
}

impl Todo {
    /// Everything from `seq` on.
    pub fn from_seq(seq: u64) -> Self {
        Self {
            backlog: Vec::new(),
            live: seq.max(1),
        }
    }

    /// What was saved; nothing saved = everything from `first` on. Overlaps are merged.
    pub fn restored(ranges: &[SeqRange], first: u64) -> Self {
        let mut todo = Self::from_seq(first);
        if let Some(open) = ranges
            .iter()
            .filter(|range| range.to.is_none())
            .map(|range| range.from)
            .min()
        {
            todo.live = open.max(1);
        } else if let Some(end) = ranges.iter().filter_map(|range| range.to).max() {
            todo.live = end + 1;
        }
        let mut closed: Vec<(u64, u64)> = ranges
            .iter()
            .filter_map(|range| Some((range.from, range.to?)))
            .collect();
        closed.sort_unstable();
        for (from, to) in closed {
            todo.defer(from, to.min(todo.live - 1));
        }
        todo
    }

    /// As saved: closed ranges, then the open one.
    pub fn ranges(&self) -> Vec<SeqRange> {
        let closed = self.backlog.iter().map(|&(from, to)| SeqRange { from, to: Some(to) });
        let open = SeqRange {
            from: self.live,
            to: None,
        };
        closed.chain([open]).collect()
    }

    /// The newest rows up to `head`, at most `limit`, as (first, last); older live rows become backlog. `None` when
    /// there are none.
    pub fn live(&mut self, head: u64, limit: u64) -> Option<(u64, u64)> {
        if head < self.live {
            return None;
        }
        let first = (head + 1).saturating_sub(limit).max(self.live);
        if first > self.live {
            self.defer(self.live, first - 1);
            self.live = first;
        }
        Some((first, head))
    }

    /// The newest rows of the backlog, at most `limit`, as (first, last).
    pub fn backlog(&self, limit: u64) -> Option<(u64, u64)> {
        let &(from, to) = self.backlog.last()?;
        Some(((to + 1).saturating_sub(limit).max(from), to))
    }

    /// Takes rows `first..=last` off: a range handed out by [`Self::live`] or [`Self::backlog`], or the start of the
    /// live one.
    pub fn done(&mut self, first: u64, last: u64) {
        if first >= self.live {
            self.defer(self.live, first - 1);
            self.live = last + 1;
            return;
        }
        let before = std::mem::take(&mut self.backlog);
        for (from, to) in before {
            self.defer(from, to.min(first - 1));
            self.defer(from.max(last + 1), to);
        }
    }

    /// Rows still to do up to `head`.
    pub fn rows(&self, head: u64) -> u64 {
        self.backlog_rows() + (head + 1).saturating_sub(self.live)
    }

    fn backlog_rows(&self) -> u64 {
        self.backlog.iter().map(|(from, to)| to - from + 1).sum()
    }

    /// Forgets rows before `first`, which the store no longer has; the number of them.
    pub fn forget_before(&mut self, first: u64) -> u64 {
        let before = self.backlog_rows() + first.saturating_sub(self.live);
        let kept = std::mem::take(&mut self.backlog);
        for (from, to) in kept {
            self.defer(from.max(first), to);
        }
        self.live = self.live.max(first);
        before - self.backlog_rows()
    }

    /// Appends a closed range, joined to the last one where they meet; an empty one is nothing.
    fn defer(&mut self, from: u64, to: u64) {
        if from > to {
            return;
        }
        match self.backlog.last_mut() {
            Some((_, last)) if from <= *last + 1 => *last = to.max(*last),
            _ => self.backlog.push((from, to)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn check(todo: &Todo, expected: &str) {
        let text: Vec<String> = todo
            .ranges()
            .iter()
            .map(|range| format!("{}-{}", range.from, range.to.map_or(String::new(), |to| to.to_string())))
            .collect();
        assert_eq!(text.join(" "), expected);
        assert_eq!(&Todo::restored(&todo.ranges(), 1), todo, "what was saved comes back");
    }

    #[test]
    fn after_an_outage_the_newest_rows_go_first_and_the_rest_from_the_end() {
        let mut todo = Todo::from_seq(1);
        assert_eq!(todo.live(100, 10), Some((91, 100)));
        check(&todo, "1-90 91-");
        todo.done(91, 100);
        check(&todo, "1-90 101-");
        assert_eq!(todo.live(100, 10), None);
        assert_eq!(todo.backlog(40), Some((51, 90)));
        todo.done(51, 90);
        check(&todo, "1-50 101-");
        assert_eq!(todo.forget_before(21), 20);
        check(&todo, "21-50 101-");
        assert_eq!(todo.forget_before(151), 30 + 50);
        check(&todo, "151-");
    }

    #[test]
    fn ranges_that_overlap_or_lack_an_open_end_are_mended() {
        let range = |from, to| SeqRange { from, to };
        check(&Todo::restored(&[], 7), "7-");
        check(&Todo::restored(&[range(3, Some(5))], 1), "3-5 6-");
        check(
            &Todo::restored(&[range(4, Some(20)), range(1, Some(6)), range(10, None)], 1),
            "1-9 10-",
        );
    }

    proptest! {
        #[test]
        fn it_behaves_as_a_set_of_numbers(steps in prop::collection::vec((1..20u64, 1..8u64, 0..3u8), 1..60)) {
            let (mut todo, mut head, mut model) = (Todo::from_seq(1), 0, BTreeSet::new());
            for (grow, limit, action) in steps {
                model.extend(head + 1..=head + grow);
                head += grow;
                let taken = match action {
                    0 => todo.live(head, limit),
                    1 => todo.backlog(limit),
                    _ => None,
                };
                if let Some((first, last)) = taken {
                    prop_assert!(last - first < limit && (first..=last).all(|seq| model.contains(&seq)));
                    todo.done(first, last);
                    model.retain(|seq| !(first..=last).contains(seq));
                }
                let left: BTreeSet<u64> = todo
                    .ranges()
                    .iter()
                    .flat_map(|range| range.from..=range.to.unwrap_or(head))
                    .collect();
                prop_assert_eq!(&left, &model);
                prop_assert_eq!(&Todo::restored(&todo.ranges(), 1), &todo);
            }
        }
    }
}
