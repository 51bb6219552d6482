//! What is known of the units on an RTU line by the answers that came and those that did not. Pure.
//!
//! It sends nothing and asks no clock. Invariants: what it holds of a unit is bounded; an answer that nobody asked for is
//! one that is owed, or one said again, or puts its unit under watch.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::{Table, frame, pdu};

/// For so many time limits after a request that got no answer its unit is asked for nothing.
const ALONE_LIMITS: u32 = 3;

/// For so many time limits one may still come: converters and meters queue requests.
const DOUBT_LIMITS: u32 = 20;

/// … and for no longer than this: nothing queues longer, and a unit that answers nothing but the blocks it was asked for must
/// be asked for them again.
const LONGEST_DOUBT: Duration = Duration::from_secs(30);

/// Polls without an answer too many before a unit is believed as its answers come.
const WATCHED_POLLS: u8 = 3;

/// Answers of a unit that are remembered, to know one that is said again.
const TOLD: usize = 4;

/// The units on a line; what is known of them outlives a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Units(BTreeMap<u8, Unit>);

/// How a unit answers.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    /// Answers that did not come in time.
    owed: Vec<Owed>,
    /// The last requests that were answered, and the answers.
    told: VecDeque<(Vec<u8>, Vec<u8>)>,
    /// The longest that it took to answer lately.
    usual: Duration,
    /// It is watched for so many polls more,
    watched_polls: u8,
    /// and until then.
    watched_until: Option<Instant>,
    /// Answers in this poll that nobody had asked for.
    strays: usize,
}

/// An answer that did not come in time.
#[derive(Debug, Clone, Copy)]
struct Owed {
    shape: Shape,
    /// Its unit is asked again no sooner.
    alone_until: Instant,
    /// It may come until then.
    until: Instant,
}

/// What tells answers of one unit apart: the function, and the number of registers.
type Shape = (u8, u16);

fn shape(request: &[u8]) -> Shape {
    (request[0], pdu::wanted_registers(request).unwrap_or_default())
}

/// How long after a request its answer may come.
fn doubt(limit: Duration) -> Duration {
    (limit * DOUBT_LIMITS).min(LONGEST_DOUBT)
}

impl Units {
    /// One of them, new where it has not been asked yet.
    pub(super) fn of(&mut self, unit: u8) -> &mut Unit {
        self.0.entry(unit).or_default()
    }

    /// How long a unit is left alone yet, because it owes an answer: who has others to ask asks them.
    pub(super) fn alone(&mut self, unit: u8, now: Instant) -> Duration {
        self.of(unit)
            .owes(now)
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Whether what a unit says must be taken back: it was heard once too often on a line that is gone.
    pub(super) fn is_strayed(&self, unit: u8) -> bool {
        self.0.get(&unit).is_some_and(|known| known.strays > 0)
    }

    /// Books answers that came without having been asked for just now: what was owed is so no more, and what was said
    /// already does no harm.
    pub(super) fn overheard(&mut self, bytes: &[u8]) {
        for (unit, reply) in frame::answers(bytes) {
            if let Some(known) = self.0.get_mut(&unit) {
                known.overheard(&reply);
            }
        }
    }
}

impl Default for Unit {
    fn default() -> Self {
        Self {
            owed: Vec::new(),
            told: VecDeque::new(),
            usual: Duration::ZERO,
            watched_polls: WATCHED_POLLS,
            watched_until: None,
            strays: 0,
        }
    }
}

impl Unit {
    /// Begins a poll.
    pub(super) fn begin(&mut self) {
        self.strays = 0;
    }

    /// Ends a poll: whether as many answers came as were asked for.
    pub(super) fn confirm(&mut self) -> bool {
        let is_right = self.strays == 0;
        if is_right {
            self.watched_polls = self.watched_polls.saturating_sub(1);
        }
        is_right
    }

    /// Whether what it says is believed only at the end of a poll.
    pub(super) fn is_watched(&self, now: Instant) -> bool {
        self.watched_polls > 0 || self.watched_until.is_some_and(|until| until > now)
    }

    /// Whether it owes an answer, so that another may come in the place of the awaited one; and until when it is left alone.
    pub(super) fn owes(&mut self, now: Instant) -> Option<Instant> {
        self.owed.retain(|owed| owed.until > now);
        self.owed.iter().map(|owed| owed.alone_until).max()
    }

    /// Answers that it owes.
    pub(super) fn n_owed(&self) -> usize {
        self.owed.len()
    }

    /// A read of registers, from where `request` reads, whose answer can be none of those that are owed, nor that of the
    /// `n_refused` earlier ones of its kind.
    pub(super) fn question_apart(&self, request: &[u8], n_refused: usize) -> [u8; 5] {
        let (table, at) = match *request {
            [4, high, low, ..] => (Table::Input, u16::from_be_bytes([high, low])),
            [3, high, low, ..] => (Table::Holding, u16::from_be_bytes([high, low])),
            _ => (Table::Holding, 0),
        };
        let is_free = |count: &u16| {
            let shape = (table.function(), *count);
            self.owed.iter().all(|owed| owed.shape != shape)
        };
        let count = (1..).filter(is_free).nth(n_refused).unwrap_or(1);
        pdu::read(table, at, count)
    }

    /// What was owed has come, or never will.
    pub(super) fn is_settled(&mut self) {
        self.owed.clear();
    }

    /// A request that was sent at `asked` got no answer within `limit`.
    pub(super) fn went_unanswered(&mut self, request: &[u8], asked: Instant, limit: Duration) {
        let alone_until = asked + limit * ALONE_LIMITS;
        self.owed.push(Owed {
            shape: shape(request),
            alone_until,
            until: (asked + doubt(limit)).max(alone_until + limit),
        });
        self.is_doubted(asked, limit);
    }

    /// A request that was sent at `asked` ended without an answer, or with none that fits: one may follow.
    pub(super) fn is_doubted(&mut self, asked: Instant, limit: Duration) {
        self.watched_until = self.watched_until.max(Some(asked + doubt(limit)));
    }

    /// A request was answered so.
    pub(super) fn answered(&mut self, request: &[u8], reply: &[u8]) {
        self.told.truncate(TOLD - 1);
        self.told.push_front((request.to_vec(), reply.to_vec()));
    }

    /// An answer took so long; what others took is forgotten slowly.
    pub(super) fn took(&mut self, time: Duration) {
        self.usual = time.max(self.usual * 7 / 8);
    }

    /// Whether a reply to this request may be one to another, said again. That of registers which are all 0 says nothing,
    /// and is doubted only where the unit is watched.
    pub(super) fn may_repeat_itself(&self, request: &[u8], reply: &[u8], now: Instant) -> bool {
        let is_telling = reply.iter().skip(2).any(|byte| *byte != 0) || self.is_watched(now);
        let is_of_other = |(asked, told): &(Vec<u8>, Vec<u8>)| told == reply && asked != request;
        is_telling && self.told.iter().any(is_of_other)
    }

    /// How long an answer may be behind another that nobody asked for.
    pub(super) fn patience(&self, least: Duration, limit: Duration) -> Duration {
        let usual = if self.usual.is_zero() { limit } else { self.usual * 2 };
        usual.max(least).min(limit)
    }

    fn overheard(&mut self, reply: &[u8]) {
        if let Some(place) = self.owed.iter().position(|owed| owed.may_be(reply)) {
            self.owed.remove(place);
        } else if self.told.iter().all(|(_, told)| told != reply) {
            self.strays += 1;
            self.watched_polls = WATCHED_POLLS;
            self.told.clear(); // who knows to what they were answers
        }
    }
}

impl Owed {
    /// Whether it can be this answer, or this refusal.
    fn may_be(&self, reply: &[u8]) -> bool {
        let (function, count) = self.shape;
        let is_of = |wanted| count == 0 || pdu::registers(reply).len() == wanted;
        reply[0] == function | 0x80 || reply[0] == function && is_of(usize::from(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{acquire::modbus::frame::framed, clock::monotonic};

    const LIMIT: Duration = Duration::from_millis(100);

    fn reply(words: &[u8]) -> Vec<u8> {
        [&[3, words.len() as u8], words].concat()
    }

    /// What unit 7 was asked for in vain (registers) and what came then (answers) → how many are owed still, whether the
    /// poll may be believed, and how many registers the question apart is of.
    fn check(in_vain: &[u16], came: &[&[u8]], expected: (usize, bool, u16)) {
        let (mut units, now) = (Units::default(), monotonic());
        units.of(7).answered(&pdu::read(Table::Holding, 50, 1), &reply(&[5, 5]));
        for count in in_vain {
            units
                .of(7)
                .went_unanswered(&pdu::read(Table::Holding, 100, *count), now, LIMIT);
        }
        for answer in came {
            units.overheard(&framed(7, answer));
            units.overheard(&framed(8, answer)); // of a unit that nobody asks
        }
        let known = units.of(7);
        let question = known.question_apart(&pdu::read(Table::Holding, 100, 9), 0);
        assert_eq!(question[..3], [3, 0, 100]);
        let got = (
            known.n_owed(),
            known.confirm(),
            pdu::wanted_registers(&question).unwrap(),
        );
        assert_eq!(got, expected, "{in_vain:?} {came:02x?}");
    }

    #[test]
    fn an_answer_nobody_asked_for_is_owed_or_said_again_or_a_stray() {
        let (one, two) = (reply(&[0, 1]), reply(&[0, 1, 0, 2]));
        check(&[], &[], (0, true, 1));
        check(&[2], &[], (1, true, 1));
        check(&[1], &[], (1, true, 2));
        check(&[1, 2, 4], &[], (3, true, 3));
        check(&[2], &[&two], (0, true, 1));
        check(&[2], &[&two, &two], (0, false, 1));
        check(&[2], &[&one], (1, false, 1));
        check(&[2], &[&[0x83, 6]], (0, true, 1)); // a late refusal
        check(&[], &[&reply(&[5, 5])], (0, true, 1)); // said again
        check(&[], &[&one], (0, false, 1));
    }

    #[test]
    fn a_unit_is_watched_at_first_after_a_stray_and_while_an_answer_may_come() {
        let (mut units, now) = (Units::default(), monotonic());
        let watched_after = |units: &mut Units, n_polls: usize| {
            for nth in 0..n_polls {
                assert!(units.of(7).is_watched(now), "{nth}");
                units.of(7).begin();
                assert!(units.of(7).confirm());
            }
            assert!(!units.of(7).is_watched(now));
        };
        watched_after(&mut units, 3);
        units.overheard(&framed(7, &reply(&[0, 1])));
        watched_after(&mut units, 3);
        let known = units.of(7);
        known.went_unanswered(&pdu::read(Table::Input, 1, 1), now, LIMIT);
        assert_eq!(known.owes(now), Some(now + LIMIT * 3));
        assert!(known.is_watched(now + LIMIT * 19) && !known.is_watched(now + LIMIT * 20));
        assert_eq!(known.question_apart(&pdu::read(Table::Input, 9, 5), 1), [4, 0, 9, 0, 3]); // 1 is owed, 2 was refused
        assert_eq!(known.owes(now + LIMIT * 20), None);
    }

    #[test]
    fn an_answer_to_another_request_may_be_said_again() {
        let (mut known, now) = (Unit::default(), monotonic());
        let [one, two] = [1, 2].map(|at| pdu::read(Table::Holding, at, 1));
        let (said, zero) = (reply(&[0, 1]), reply(&[0, 0]));
        known.answered(&one, &said);
        known.answered(&one, &zero);
        let check = |request: &[u8], reply: &[u8], expected| {
            assert_eq!(
                known.may_repeat_itself(request, reply, now),
                expected,
                "{request:?} {reply:?}"
            );
        };
        check(&one, &said, false);
        check(&two, &said, true);
        check(&two, &reply(&[0, 2]), false);
        check(&two, &zero, true);
        known.watched_polls = 0;
        assert!(!known.may_repeat_itself(&two, &zero, now), "zeros are common");
        (0..4).for_each(|_| known.answered(&two, &zero));
        assert!(!known.may_repeat_itself(&two, &said, now), "long ago");
    }
}
