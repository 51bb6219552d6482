//! What is known of the units on an RTU line by the answers that came and those that did not. Pure.
//!
//! It sends nothing and asks no clock. Invariants: what it holds of a unit is bounded; an answer that nobody asked for is
//! one that is owed, or one said again, or puts its unit under watch.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::{MAX_REGISTERS, Table, fault::Fault, frame, pdu};

/// For so many time limits after a request that got no answer its unit is asked for nothing.
const ALONE_LIMITS: u32 = 3;

/// For so many time limits one may still come: converters and meters queue requests.
const DOUBT_LIMITS: u32 = 20;

/// … and for no longer than this: nothing queues longer, and a unit that answers nothing but the blocks it was asked for must
/// be asked for them again.
const LONGEST_DOUBT: Duration = Duration::from_secs(30);

/// How often nothing must be wrong before a unit that is new, or was silent, is believed as its answers come.
const FIRST_SPELL: u32 = 3;

/// The same once something was: two minutes of polls a second, and so many times as long each time that it was believed too
/// early,
const SPELL: u32 = 120;
const SPELL_TIMES: u32 = 4;

/// up to hours.
const LONGEST_SPELL: u32 = 20_000;

/// So many answers said again are reckoned with at most when it does so no more.
const MOST_REPEATS: u32 = 10;

/// A request is sent a second time, and answered the same or not at all, at most once in so many answers to it: blocks that
/// always say the same, and meters that do not take it, cost no more.
const SAME_IN: u32 = 10;
/// … and answered otherwise, at most once in so many: where each right answer is lost and must be asked for again.
const OTHER_IN: u32 = 2;
/// After a quiet time it may be sent so many times in a row.
const SECONDS: u32 = 5;
/// No more requests than these are sent a second time at any time: whoever scans a device asks for any number.
const MOST_SPENT: usize = 256;

/// Requests of a unit whose answers are remembered, to know one that is said again: no meter has more blocks.
const TOLD: usize = 32;

/// The units on a line; what is known of them outlives a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Units(BTreeMap<u8, Unit>);

/// How a unit answers.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    /// Answers that did not come in time.
    owed: Vec<Owed>,
    /// What it is asked for to read it: the answer to a question apart of such a shape could stand in a value's place.
    shapes: BTreeSet<Shape>,
    /// The last requests that were answered.
    told: VecDeque<Told>,
    /// Requests that were sent a second time lately, and by how many answers each has not made up for it yet: no block uses
    /// up what another may need.
    spent: BTreeMap<Vec<u8>, u32>,
    /// The longest that it took to answer lately.
    usual: Duration,
    /// It is watched for so many polls more, since answers came that nobody had asked for,
    strayed: Spell,
    /// and until then.
    watched_until: Option<Instant>,
    /// In so many polls more, since it owed answers, one too many may be owed even if it was said already: what was asked for
    /// twice is answered twice.
    returns: u32,
    /// So many answers more, if they are those to other requests too, may be these, said again.
    repeats: Spell,
    /// How much oftener it has said answers again lately than not where it might have.
    n_repeats: u32,
    /// Answers in this poll that nobody had asked for.
    strays: usize,
}

/// How long something that has happened is reckoned with.
#[derive(Debug, Clone, Copy)]
struct Spell {
    left: u32,
    /// How many it was the last time; 0 = it has not happened yet.
    length: u32,
}

/// A request that was answered, and what was taken for its answer the last time. What it had been before is forgotten: once
/// another's answer has stood in a place, the right one that follows is to count as one too many.
#[derive(Debug, Clone)]
struct Told {
    request: Vec<u8>,
    reply: Vec<u8>,
}

/// An answer that did not come in time.
#[derive(Debug, Clone, Copy)]
struct Owed {
    shape: Shape,
    /// Whether the question was only asked because others are owed.
    is_apart: bool,
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
            shapes: BTreeSet::new(),
            told: VecDeque::new(),
            spent: BTreeMap::new(),
            usual: Duration::ZERO,
            strayed: Spell::FIRST,
            watched_until: None,
            returns: 0,
            repeats: Spell::FIRST,
            n_repeats: 0,
            strays: 0,
        }
    }
}

impl Spell {
    /// It has not happened, but who knows.
    const FIRST: Self = Self {
        left: FIRST_SPELL,
        length: 0,
    };

    fn is_on(self) -> bool {
        self.left > 0
    }

    /// It has happened: for longer than the last time if that had been got over.
    fn happened(&mut self) {
        if self.length == 0 {
            self.length = SPELL;
        } else if self.left == 0 {
            self.length = (self.length * SPELL_TIMES).min(LONGEST_SPELL);
        }
        self.left = self.length;
    }

    /// It might have happened, and has not.
    fn passed(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// It may happen soon.
    fn looms(&mut self) {
        self.left = self.left.max(FIRST_SPELL);
    }
}

impl Unit {
    /// Begins a poll.
    pub(super) fn begin(&mut self) {
        self.strays = 0;
    }

    /// Ends a poll, which did so with an answer or not: whether no more answers came than were asked for.
    pub(super) fn confirm(&mut self, is_answered: bool) -> bool {
        let is_right = self.strays == 0;
        if is_answered {
            self.returns = self.returns.saturating_sub(1);
        }
        if is_answered && is_right {
            self.strayed.passed();
        }
        is_right
    }

    /// Whether what it says is believed only at the end of a poll.
    pub(super) fn is_watched(&self, now: Instant) -> bool {
        self.strayed.is_on() || self.watched_until.is_some_and(|until| until > now)
    }

    /// Whether it owes an answer, so that another may come in the place of the awaited one; and until when it is left alone.
    pub(super) fn owes(&mut self, now: Instant) -> Option<Instant> {
        self.owed.retain(|owed| owed.until > now);
        self.owed.iter().map(|owed| owed.alone_until).max()
    }

    /// How long answers may come yet because of which it was only asked something else, in vain.
    pub(super) fn in_doubt(&self, now: Instant) -> Option<Duration> {
        let apart = self.owed.iter().filter(|owed| owed.is_apart);
        let until = apart.map(|owed| owed.until).max()?;
        Some(until.saturating_duration_since(now))
    }

    /// Answers that it owes.
    pub(super) fn n_owed(&self) -> usize {
        self.owed.len()
    }

    /// A read of registers whose answer can be none of those that are owed, nor that of the `n_refused` earlier ones of its
    /// kind: what was answered already, since there are meters that give nothing else, or where `request` reads an even
    /// number, which cuts no value of two registers.
    pub(super) fn question_apart(&self, request: &[u8], n_refused: usize) -> Vec<u8> {
        let (table, at) = match *request {
            [4, high, low, ..] => (Table::Input, u16::from_be_bytes([high, low])),
            [3, high, low, ..] => (Table::Holding, u16::from_be_bytes([high, low])),
            _ => (Table::Holding, 0),
        };
        let answered = self.told.iter().filter(|told| told.is_of_registers());
        let even = (2..=MAX_REGISTERS)
            .step_by(2)
            .map(|count| pdu::read(table, at, count).to_vec())
            .filter(|question| !self.shapes.contains(&shape(question)));
        let mut shapes: Vec<Shape> = self.owed.iter().map(|owed| owed.shape).collect();
        let mut is_apart = |question: &Vec<u8>| {
            let is_new = !shapes.contains(&shape(question));
            shapes.push(shape(question));
            is_new
        };
        let mut questions = answered
            .map(|told| told.request.clone())
            .chain(even)
            .filter(|question| is_apart(question));
        questions
            .nth(n_refused)
            .unwrap_or_else(|| pdu::read(table, at, 2).into())
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
            is_apart: false,
            alone_until,
            until: (asked + doubt(limit)).max(alone_until + limit),
        });
        self.is_doubted(asked, limit);
    }

    /// It is asked for this to read it.
    pub(super) fn is_asked_for(&mut self, request: &[u8]) {
        self.shapes.insert(shape(request));
    }

    /// A question apart got none: the next one comes later. It prolongs the doubt only if its answer could be a value's.
    pub(super) fn went_unanswered_apart(&mut self, question: &[u8], asked: Instant, limit: Duration) {
        let Some(mut until) = self.owed.iter().map(|owed| owed.until).max() else {
            return;
        };
        if self.shapes.contains(&shape(question)) {
            self.is_doubted(asked, limit);
            until = until.max(asked + doubt(limit));
        }
        let n_in_vain = 1 + self.owed.iter().filter(|owed| owed.is_apart).count();
        let alone = limit * ALONE_LIMITS * 2_u32.saturating_pow(n_in_vain as u32);
        self.owed.push(Owed {
            shape: shape(question),
            is_apart: true,
            alone_until: until.min(asked + alone),
            until,
        });
    }

    /// A request that was sent at `asked` ended without an answer, or with none that fits: one may follow, even when nobody
    /// waits for it any longer.
    pub(super) fn is_doubted(&mut self, asked: Instant, limit: Duration) {
        self.watched_until = self.watched_until.max(Some(asked + doubt(limit)));
        self.strayed.looms();
        self.returns = FIRST_SPELL;
    }

    /// A request was answered so.
    pub(super) fn answered(&mut self, request: &[u8], reply: &[u8]) {
        self.spent.retain(|of, spent| {
            *spent -= u32::from(of == request);
            *spent > 0
        });
        self.told.retain(|told| told.request != request);
        self.told.truncate(TOLD - 1);
        self.told.push_front(Told {
            request: request.to_vec(),
            reply: reply.to_vec(),
        });
    }

    /// A request ended in this; a refusal may be said again too.
    pub(super) fn refused(&mut self, request: &[u8], fault: &Fault) {
        if let Fault::Refused(code) | Fault::Gateway(code) = fault {
            self.answered(request, &[request[0] | 0x80, (*code).into()]);
        }
    }

    /// An answer took so long; what others took is forgotten slowly.
    pub(super) fn took(&mut self, time: Duration) {
        self.usual = time.max(self.usual * 7 / 8);
    }

    /// Whether a reply to this request may be one to another, said again. Two blocks may have one content: where nothing
    /// else ever followed it is believed. That of registers which are all 0 says nothing, and is doubted only where the unit
    /// is watched.
    pub(super) fn may_repeat_itself(&self, request: &[u8], reply: &[u8], now: Instant) -> bool {
        let is_telling = is_telling(reply) || self.is_watched(now);
        self.repeats.is_on() && is_telling && self.is_of_other(request, reply)
    }

    /// The last answer to a request.
    pub(super) fn told(&self, request: &[u8]) -> Option<&[u8]> {
        let told = self.told.iter().find(|told| told.request == request)?;
        Some(&told.reply)
    }

    /// Whether to ask again, where a reply that follows this `former` one is that to another request, as it was not before: the
    /// right one may have been lost, and another said again in its place. Two blocks may come to one content, now and then
    /// or always, and registers that are all 0 often do.
    pub(super) fn is_asked_again(&mut self, request: &[u8], reply: &[u8], former: Option<&[u8]>) -> bool {
        if former == Some(reply) || !is_telling(reply) || !self.is_of_other(request, reply) {
            return false;
        }
        // Unless the second answer confirms it, it is no less doubtful the next time.
        self.told.retain(|told| told.request != request);
        match self.spent.get(request) {
            Some(spent) => *spent <= (SECONDS - 1) * SAME_IN,
            None => self.spent.len() < MOST_SPENT,
        }
    }

    /// A request was sent a second time: whether it was answered otherwise, and not just so or not at all.
    pub(super) fn was_asked_again(&mut self, request: &[u8], said_other: bool) {
        let cost = if said_other { OTHER_IN } else { SAME_IN };
        *self.spent.entry(request.to_vec()).or_default() += cost;
    }

    /// Whether another request was answered just so.
    fn is_of_other(&self, request: &[u8], reply: &[u8]) -> bool {
        let mut told = self.told.iter();
        told.any(|told| told.request != request && told.reply == reply)
    }

    /// After a reply that might be another one said again nothing else came.
    pub(super) fn is_alike(&mut self) {
        self.repeats.passed();
        self.n_repeats = self.n_repeats.saturating_sub(1);
    }

    /// Whether it says answers again all the time, and not once by chance.
    pub(super) fn says_twice(&self) -> bool {
        self.n_repeats >= FIRST_SPELL
    }

    /// It said an answer again.
    pub(super) fn repeated_itself(&mut self) {
        self.repeats.happened();
        self.n_repeats = (self.n_repeats + 1).min(MOST_REPEATS);
    }

    /// How long an answer may be behind another that nobody asked for.
    pub(super) fn patience(&self, least: Duration, limit: Duration) -> Duration {
        let usual = if self.usual.is_zero() { limit } else { self.usual * 2 };
        usual.max(least).min(limit)
    }

    fn overheard(&mut self, reply: &[u8]) {
        if let Some(place) = self.owed.iter().position(|owed| owed.may_be(reply)) {
            self.owed.remove(place);
        } else if self.told.iter().any(|told| told.reply == reply) {
            if self.returns > 0 && !self.says_twice() {
                self.strays += 1;
            } else {
                self.repeated_itself();
            }
        } else {
            self.strays += 1;
            if self.returns > 0 {
                self.strayed.looms(); // later than all that was reckoned with, but not without a reason
            } else {
                self.strayed.happened();
            }
            self.told.clear(); // who knows to what they were answers
        }
    }
}

/// Whether a reply has more behind its function and length than zeros.
fn is_telling(reply: &[u8]) -> bool {
    reply.iter().skip(2).any(|byte| *byte != 0)
}

impl Told {
    fn is_of_registers(&self) -> bool {
        pdu::wanted_registers(&self.request).is_some() && self.reply[0] & 0x80 == 0
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
        let got = (
            known.n_owed(),
            known.confirm(true),
            pdu::wanted_registers(&question).unwrap(),
        );
        assert_eq!(got, expected, "{in_vain:?} {came:02x?}");
    }

    #[test]
    fn an_answer_nobody_asked_for_is_owed_or_said_again_or_a_stray() {
        let (one, two) = (reply(&[0, 1]), reply(&[0, 1, 0, 2]));
        check(&[], &[], (0, true, 1));
        check(&[2], &[], (1, true, 1));
        check(&[1], &[], (1, true, 2)); // what was answered is of 1
        check(&[1, 2, 4], &[], (3, true, 6)); // no odd number
        check(&[2], &[&two], (0, true, 1));
        check(&[2], &[&two, &two], (0, false, 2));
        check(&[2], &[&one], (1, false, 4));
        check(&[2], &[&[0x83, 6]], (0, true, 1)); // a late refusal
        check(&[], &[&reply(&[5, 5])], (0, true, 1)); // said again
        check(&[], &[&one], (0, false, 2));
    }

    #[test]
    fn a_unit_is_watched_at_first_after_a_stray_and_while_an_answer_may_come() {
        let (mut units, now) = (Units::default(), monotonic());
        let watched_after = |units: &mut Units, n_polls: usize| {
            for nth in 0..n_polls {
                assert!(units.of(7).is_watched(now), "{nth}");
                units.of(7).begin();
                assert!(units.of(7).confirm(true));
            }
            assert!(!units.of(7).is_watched(now));
        };
        watched_after(&mut units, 3);
        let stray = framed(7, &reply(&[0, 1]));
        units.overheard(&stray);
        assert!(!units.of(7).confirm(true));
        for expected in [120, 480, 1920] {
            units.of(7).begin();
            assert!(units.of(7).confirm(true));
            units.overheard(&stray); // no longer than at first where it has not been believed yet
            watched_after(&mut units, expected);
            units.overheard(&stray);
        }
        (0..10).for_each(|_| {
            units.of(7).strayed.left = 0;
            units.overheard(&stray);
        });
        watched_after(&mut units, 20_000);
    }

    #[test]
    fn a_unit_that_was_silent_is_watched_however_long_that_was() {
        let (mut known, now) = (Unit::default(), monotonic());
        known.strayed.left = 0;
        known.went_unanswered(&pdu::read(Table::Input, 1, 2), now, LIMIT);
        assert_eq!(known.owes(now), Some(now + LIMIT * 3));
        let question = |known: &Unit, n_refused| known.question_apart(&pdu::read(Table::Input, 9, 5), n_refused);
        assert_eq!(question(&known, 1), [4, 0, 9, 0, 6]); // 2 is owed, 4 was refused
        known.answered(&pdu::read(Table::Input, 50, 3), &[4, 6, 0, 1, 0, 2, 0, 3]);
        assert_eq!(question(&known, 0), [4, 0, 50, 0, 3]); // it is known to answer that
        assert_eq!(known.owes(now + LIMIT * 20), None);
        let long_after = now + LIMIT * 1000;
        for _ in 0..3 {
            assert!(known.is_watched(long_after));
            assert!(known.confirm(true));
        }
        assert!(!known.is_watched(long_after));
    }

    /// A line that stood still hands over all: what was asked for before and after is answered twice.
    #[test]
    fn an_answer_said_again_is_one_too_many_after_a_silence_but_not_for_good() {
        let (mut known, now) = (Unit::default(), monotonic());
        let (request, said) = (pdu::read(Table::Holding, 50, 1), reply(&[5, 5]));
        known.answered(&request, &said);
        known.went_unanswered(&request, now, LIMIT);
        assert!(known.confirm(false));
        assert_eq!(known.owes(now + LIMIT * 20), None);
        for expected in [false, false, false, true] {
            known.begin();
            known.overheard(&said);
            assert_eq!(known.confirm(true), expected);
        }
        // One that is known to say all twice does so after a lost answer too.
        (0..3).for_each(|_| known.repeated_itself());
        assert!(known.says_twice());
        known.went_unanswered(&request, now, LIMIT);
        known.owes(now + LIMIT * 20);
        known.begin();
        known.overheard(&said);
        assert!(known.confirm(true));
        (0..10).for_each(|_| known.is_alike());
        assert!(!known.says_twice());
        // What comes after all that was reckoned with is looked at for a while, as a silence is.
        known.begin();
        known.overheard(&reply(&[0, 9]));
        assert_eq!(known.strayed.left, 3);
    }

    /// Nor is it known for the right one where the second question was lost, or not asked any more.
    #[test]
    fn a_doubtful_answer_stays_so_until_the_second_confirms_it() {
        let mut known = Unit::default();
        let [one, two, three] = [1, 2, 3].map(|at| pdu::read(Table::Holding, at, 1));
        let hears = |known: &mut Unit, request: &[u8], reply: &[u8]| {
            let former = known.told(request).map(<[u8]>::to_vec);
            known.answered(request, reply);
            known.is_asked_again(request, reply, former.as_deref())
        };
        let said = reply(&[0, 7]);
        assert!(!hears(&mut known, &one, &said));
        for _ in 0..5 {
            assert!(hears(&mut known, &two, &said)); // and no answer comes
            known.was_asked_again(&two, false);
        }
        for _ in 0..5 {
            assert!(!hears(&mut known, &two, &said), "it has cost enough");
        }
        assert!(hears(&mut known, &three, &said), "another request has its own");
        known.answered(&three, &said);
        known.was_asked_again(&three, false);
        assert!(!hears(&mut known, &three, &said), "it was confirmed");
        assert!(hears(&mut known, &two, &said));
        known.answered(&two, &reply(&[0, 9]));
        known.was_asked_again(&two, true);
        assert_eq!(known.told(&two), Some(&reply(&[0, 9])[..]));
        for at in 0..1000 {
            let request = pdu::read(Table::Input, at, 1);
            if hears(&mut known, &request, &said) {
                known.was_asked_again(&request, false);
            }
        }
        assert_eq!(known.spent.len(), MOST_SPENT);
    }

    #[test]
    fn what_is_asked_to_end_a_doubt_does_not_prolong_it() {
        let (mut known, now) = (Unit::default(), monotonic());
        known.went_unanswered(&pdu::read(Table::Input, 1, 2), now, LIMIT);
        let (mut at, mut n_asked) = (now, 0);
        while let Some(alone_until) = known.owes(at) {
            at = at.max(alone_until);
            if known.owes(at).is_some() {
                let question = known.question_apart(&pdu::read(Table::Input, 1, 2), 0);
                known.went_unanswered_apart(&question, at, LIMIT);
                n_asked += 1;
            }
        }
        assert_eq!((n_asked, at), (2, now + LIMIT * 20));
        // But one whose answer could be a value's does.
        known.is_asked_for(&pdu::read(Table::Input, 50, 3));
        known.went_unanswered(&pdu::read(Table::Input, 1, 2), now, LIMIT);
        known.went_unanswered_apart(&pdu::read(Table::Input, 50, 3), now + LIMIT * 5, LIMIT);
        assert_eq!(known.in_doubt(now), Some(LIMIT * 25));
    }

    #[test]
    fn an_answer_to_another_request_may_be_said_again() {
        let (mut known, now) = (Unit::default(), monotonic());
        let [one, two] = [1, 2].map(|at| pdu::read(Table::Holding, at, 1));
        let (said, zero) = (reply(&[0, 1]), reply(&[0, 0]));
        let check = |known: &Unit, request: &[u8], reply: &[u8], expected| {
            let got = known.may_repeat_itself(request, reply, now);
            assert_eq!(got, expected, "{request:?} {reply:?}");
        };
        known.answered(&one, &said);
        known.answered(&pdu::read(Table::Holding, 60, 1), &zero);
        check(&known, &one, &said, false);
        check(&known, &two, &said, true);
        check(&known, &two, &reply(&[0, 2]), false);
        check(&known, &two, &zero, true);
        known.strayed.left = 0;
        check(&known, &two, &zero, false); // zeros are common
        for at in 3..=30 {
            known.answered(&pdu::read(Table::Holding, at, 1), &reply(&[1, at as u8]));
        }
        check(&known, &two, &said, true); // a meter may have many blocks
        (0..3).for_each(|_| known.is_alike());
        check(&known, &two, &said, false); // two blocks of one content
        known.overheard(&said);
        check(&known, &two, &said, true); // it does say answers again
        for at in 31..=60 {
            known.answered(&pdu::read(Table::Holding, at, 1), &reply(&[1, at as u8]));
        }
        check(&known, &two, &said, false); // long ago
        known.answered(&two, &said);
        known.answered(&one, &reply(&[0, 7]));
        known.answered(&two, &reply(&[0, 6]));
        known.overheard(&said); // not what it said last: another answer has stood in its place
        assert_eq!(known.strays, 1);
    }
}
