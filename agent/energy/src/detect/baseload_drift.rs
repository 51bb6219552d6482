//! `baseload_drift`: the load at rest creeps up, day after day.
//!
//! A day's base is the mean of the lowest part of its demand outside working hours, less what machines' own findings
//! explain and what `off_hours_load` already calls left on. Days with and without work are learned apart, from the
//! first `learn` of data and until there are a few of each, but not from a shut-down; from then on a CUSUM of the
//! standardised excess opens the finding (Page 1954; slack and limit in standard deviations). Some days teach a base
//! only roughly: by as much as theirs may be off, no excess counts. Avoidable is the excess over the learned base
//! outside working hours; as much again may be lost within them, which only the upper bound says. A day's base is made
//! of power as it came: an interval that is told again, its energy spread or late, shows no load at rest, and moves
//! nothing. It never learns anew by itself: a drift must not become the reference. It knows no weather: where a season
//! alone moves the base by more than it does from day to day, that is said as a drift.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{
    Detector, Moment, Piece, Setting, SettingForm, Tick,
    episode::{Lots, Rate, severity},
    off_hours_load, setting, setting_ms,
};
use crate::{
    finding::{Condition, Finding, Kind, Title},
    interval::point::{hours, timestamp},
    site::Machine,
    unit::rounded,
};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "learn",
        form: SettingForm::Duration,
        default: Some(14.0 * 86_400.0),
        doc: "data from which the base at rest is learned, before anything is said",
    },
    Setting {
        name: "reference_kw",
        form: SettingForm::Power,
        default: None,
        doc: "the base at rest where it is known; unset: learned",
    },
    Setting {
        name: "slack",
        form: SettingForm::Number,
        default: Some(0.5),
        doc: "excess of a day that is noise, in standard deviations of the learned days",
    },
    Setting {
        name: "limit",
        form: SettingForm::Number,
        // At 5 a dozen plants at rest have one false drift a month between them (Siegmund's approximation: one in 930
        // days), at 10 none in their lives.
        default: Some(10.0),
        doc: "sum of the days' excess from which the finding opens, in standard deviations",
    },
];

/// Share of the quiet hours, the lowest, whose mean is a day's base: few enough that a late shift does not lift it, enough
/// that it does not leap with each step of the register.
const LOWEST_SHARE: f64 = 0.25;
/// A day with less time outside working hours says nothing of its base.
const QUIET_MIN_MS: i64 = 2 * 3_600_000;
/// Days of a class that make a reference.
const CLASS_DAYS: usize = 4;
/// The deviation is never taken to be less than this share of the reference, days of one value would alarm at a watt, nor
/// than a step of the register in a quarter hour.
const DEVIATION_SHARE: f64 = 0.03;
/// By how much the median of n days may be off, in standard deviations times √n: three standard errors of a median of
/// normal values, √(π/2) each. With two, one plant in sixty has a reference so low that its usual load is a drift.
const MEDIAN_ERROR: f64 = 3.760;
/// A day on which less than this times the load at rest and a step of the register is drawn at work is one of a shut-down.
const WORK_TIMES: f64 = 1.2;
/// After so many times the time to learn, no plant is shut down any more: a cold store draws hardly more at work than at rest.
const SHUT_TIMES: i64 = 2;
/// Days without work in a row, at most, that are a weekend and no shut-down: one of three days.
const WEEKEND_DAYS: usize = 3;
/// Days with excess that make a drift at the least.
const DRIFT_DAYS: u32 = 4;
/// Days without excess after which a drift is over.
const CLEAR_DAYS: u32 = 3;
/// A median deviation of normal values times this is their standard deviation.
const MAD_TO_DEVIATION: f64 = 1.4826;
/// Means within a day are taken over quarter hours: shorter ones show cycling, not the load at rest.
const MEAN_MS: i64 = 900_000;
/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// State of this detector at the site.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct BaseloadDrift {
    day: Option<Day>,
    /// Start of the first day heard of, ms.
    first_ms: Option<i64>,
    /// Bases of the days that were learned from, without and with working hours.
    learned: [Vec<f64>; 2],
    /// On the last day with working hours no more was drawn in them than at rest.
    is_shut: bool,
    /// Days without working hours since.
    n_rest: usize,
    cusum: f64,
    rise: Option<Rise>,
}

/// The running day.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Day {
    date: Date,
    start_ms: i64,
    end_ms: i64,
    has_work: bool,
    /// Energy and time within working hours: kW × ms, ms.
    work: (f64, i64),
    /// Mean powers of the quarter hours outside working hours that are over, kW.
    means_kw: Vec<f64>,
    /// The running quarter hour: start (ms), kW × ms, ms.
    running: (i64, f64, i64),
    /// Time outside working hours by rate, ms.
    quiet: Vec<(Rate, i64)>,
    seen_ms: i64,
    /// By how much a mean may be off because the register counts in steps, kW.
    step_kw: f64,
}

/// Days since there was excess, as long as the CUSUM or each day holds some.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Rise {
    since_ms: i64,
    until_ms: i64,
    detected_ms: Option<i64>,
    /// The sum has passed the limit.
    is_drift: bool,
    /// A day was added that has not been written yet.
    is_unsaid: bool,
    days_fine: u32,
    days_judged: u32,
    lots: Lots,
    kwh_low: f64,
    kwh_high: f64,
    /// The highest of its days, kW.
    base_kw: f64,
    reference: Reference,
}

/// What a class of days usually draws at rest.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Reference {
    kw: f64,
    deviation_kw: f64,
    /// By how much it may be too low itself, in deviations.
    error: f64,
}

impl Detector for BaseloadDrift {
    fn take(&mut self, piece: &Piece, machine: &Machine) {
        let (Some(is_open), Some(hours)) = (piece.is_open, &machine.hours) else {
            return;
        };
        let date_of = |at_ms| hours.zone.to_datetime(timestamp(at_ms)).date();
        let date = date_of(piece.from_ms);
        // A gap lay over its end.
        if self.day.as_ref().is_some_and(|day| day.date != date) {
            self.end_day(machine);
        }
        self.first_ms.get_or_insert(piece.from_ms);
        let day = self.day.get_or_insert_with(|| Day::new(date, piece.from_ms));
        day.take(piece, is_open, off_hours_load::rest_limit_kw(machine));
        if date_of(piece.to_ms) != date {
            self.end_day(machine);
        }
    }

    fn tick(&mut self, tick: &Tick<'_>, machine: &Machine, out: &mut Vec<Finding>) {
        let Some(rise) = self.rise.as_mut().filter(|rise| rise.is_drift) else {
            return;
        };
        rise.detected_ms.get_or_insert(tick.at_ms);
        if rise.days_fine >= CLEAR_DAYS {
            out.push(rise.finding(machine, Condition::Closed));
            self.rise = None;
            self.cusum = 0.0;
        } else if std::mem::take(&mut rise.is_unsaid) || tick.moment == Moment::Last {
            out.push(rise.finding(machine, Condition::Open));
        }
    }
}

impl BaseloadDrift {
    /// Whether a day belongs to a shut-down, which tells nothing of the base: no more is drawn at work than at rest, or it
    /// follows such a day, or more days without work than a weekend has.
    fn is_shut(&mut self, day: &Day) -> bool {
        let (kw_ms, ms) = day.work;
        if day.has_work {
            // Where work goes on round the clock nothing is at rest.
            let has_rest = !day.means_kw.is_empty();
            let quiet_kw = day.means_kw.iter().sum::<f64>() / day.means_kw.len() as f64;
            self.is_shut = has_rest && kw_ms <= (WORK_TIMES * quiet_kw + day.step_kw) * ms as f64;
            self.n_rest = 0;
        } else {
            self.n_rest += 1;
        }
        self.is_shut || self.n_rest > WEEKEND_DAYS
    }

    /// Judges the day that is over, or learns from it.
    fn end_day(&mut self, machine: &Machine) {
        let Some(day) = self.day.take() else { return };
        let is_shut = self.is_shut(&day);
        let Some(base_kw) = day.base_kw() else { return };
        let class = usize::from(day.has_work);
        let learn_ms = setting_ms(machine, Kind::BaseloadDrift, "learn");
        let by_hand = setting(machine, Kind::BaseloadDrift, "reference_kw");
        let known_ms = self.first_ms.map_or(0, |first_ms| day.start_ms - first_ms);
        if by_hand.is_none() && (known_ms < learn_ms || self.learned[class].len() < CLASS_DAYS) {
            if !is_shut || known_ms >= SHUT_TIMES * learn_ms {
                self.learned[class].push(base_kw);
            }
            return;
        }
        let Some(reference) = Reference::of(by_hand, &self.learned, class, day.step_kw) else {
            return;
        };
        let number = |name| setting(machine, Kind::BaseloadDrift, name).unwrap_or(0.0);
        let deviations = (base_kw - reference.kw) / reference.deviation_kw - number("slack");
        // However high, one day is no drift.
        let most = number("limit") / f64::from(DRIFT_DAYS);
        self.cusum = (self.cusum + (deviations - reference.error).min(most)).max(0.0);
        let is_drift = self.rise.as_ref().is_some_and(|rise| rise.is_drift);
        if self.cusum == 0.0 && deviations <= 0.0 && !is_drift {
            self.rise = None;
            return;
        }
        let rise = self.rise.get_or_insert_with(|| Rise::new(day.start_ms, reference));
        if deviations > 0.0 {
            rise.days_fine = 0;
            rise.take(&day, base_kw, reference);
        } else {
            rise.days_fine += 1;
        }
        rise.is_drift |= self.cusum >= number("limit");
    }
}

impl Day {
    fn new(date: Date, start_ms: i64) -> Self {
        Self {
            date,
            start_ms,
            end_ms: start_ms,
            has_work: false,
            work: (0.0, 0),
            means_kw: Vec::new(),
            running: (0, 0.0, 0),
            quiet: Vec::new(),
            seen_ms: 0,
            step_kw: 0.0,
        }
    }

    fn take(&mut self, piece: &Piece, is_open: bool, limit_kw: Option<f64>) {
        let length_ms = piece.to_ms - piece.from_ms;
        self.seen_ms += length_ms;
        self.end_ms = piece.to_ms;
        if is_open {
            self.has_work = true;
            self.work.0 += piece.kw * length_ms as f64;
            self.work.1 += length_ms;
            return;
        }
        let start_ms = piece.from_ms.div_euclid(MEAN_MS) * MEAN_MS;
        if self.running.0 != start_ms {
            self.end_mean();
            self.running = (start_ms, 0.0, 0);
        }
        // What lies above the limit is a load left on, which is judged elsewhere.
        let kw = (piece.kw - piece.explained_kw).min(limit_kw.unwrap_or(f64::MAX));
        self.running.1 += kw * length_ms as f64;
        self.running.2 += length_ms;
        self.step_kw = piece.step_kwh / hours(length_ms.max(MEAN_MS));
        match self.quiet.last_mut() {
            Some((rate, ms)) if *rate == piece.rate => *ms += length_ms,
            _ => self.quiet.push((piece.rate.clone(), length_ms)),
        }
    }

    fn end_mean(&mut self) {
        let (_, kw_ms, ms) = self.running;
        if ms > 0 {
            self.means_kw.push(kw_ms / ms as f64);
        }
    }

    /// The base of the day; `None` where too little of it was quiet.
    fn base_kw(&self) -> Option<f64> {
        let quiet_ms: i64 = self.quiet.iter().map(|(_, ms)| ms).sum();
        let mut means_kw = self.means_kw.clone();
        means_kw.sort_by(f64::total_cmp);
        means_kw.truncate(((means_kw.len() as f64 * LOWEST_SHARE) as usize).max(1));
        (quiet_ms >= QUIET_MIN_MS && !means_kw.is_empty()).then(|| means_kw.iter().sum::<f64>() / means_kw.len() as f64)
    }
}

impl Reference {
    /// As set by hand, else the median of the class's learned days; `None` where they are too few, or where
    /// nothing is at rest and no register has a step: from 0 kW no excess has a size, and a load left on is judged
    /// elsewhere. How far days lie from it both classes tell together: days without work are four in the first fortnight.
    fn of(by_hand: Option<f64>, learned: &[Vec<f64>; 2], class: usize, step_kw: f64) -> Option<Self> {
        let n_days = learned[class].len();
        let (kw, share, error) = match by_hand {
            Some(kw) => (kw, 0.0, 0.0),
            None if n_days < CLASS_DAYS => return None,
            None => {
                let away = learned.iter().flat_map(|days_kw| shares_away(days_kw)).collect();
                let share = median(away) * MAD_TO_DEVIATION;
                (
                    median(learned[class].clone()),
                    share,
                    MEDIAN_ERROR / (n_days as f64).sqrt(),
                )
            }
        };
        let deviation_kw = (kw.abs() * share.max(DEVIATION_SHARE)).max(step_kw);
        (deviation_kw > 0.0).then_some(Self {
            kw,
            deviation_kw,
            error,
        })
    }
}

/// How far days lie from their median, as a share of it; none where they are too few to have one, or it is zero.
fn shares_away(days_kw: &[f64]) -> impl Iterator<Item = f64> {
    let kw = median(days_kw.to_vec());
    let is_known = days_kw.len() >= CLASS_DAYS && kw != 0.0;
    let known = days_kw.iter().filter(move |_| is_known);
    known.map(move |base_kw| ((base_kw - kw) / kw).abs())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n => f64::midpoint(values[(n - 1) / 2], values[n / 2]),
    }
}

impl Rise {
    fn new(since_ms: i64, reference: Reference) -> Self {
        Self {
            since_ms,
            until_ms: since_ms,
            detected_ms: None,
            is_drift: false,
            is_unsaid: false,
            days_fine: 0,
            days_judged: 0,
            lots: Lots::default(),
            kwh_low: 0.0,
            kwh_high: 0.0,
            base_kw: 0.0,
            reference,
        }
    }

    /// Adds a day whose base lies above the reference by more than noise.
    fn take(&mut self, day: &Day, base_kw: f64, reference: Reference) {
        let excess_kw = base_kw - reference.kw;
        self.is_unsaid = true;
        self.days_judged += 1;
        self.until_ms = day.end_ms;
        self.base_kw = self.base_kw.max(base_kw);
        self.reference = reference;
        for (rate, ms) in &day.quiet {
            self.lots.add(rate, excess_kw * hours(*ms));
            self.kwh_low += (excess_kw - reference.deviation_kw).max(0.0) * hours(*ms);
        }
        self.kwh_high += excess_kw * hours(day.seen_ms);
    }

    fn finding(&self, machine: &Machine, state: Condition) -> Finding {
        let since = timestamp(self.since_ms);
        let kwh = self.lots.kwh();
        let days = (self.until_ms - self.since_ms + DAY_MS - 1) / DAY_MS;
        let (base_kw, reference_kw) = (rounded(self.base_kw, 1), rounded(self.reference.kw, 1));
        let name = &machine.name;
        let why = [
            ("base_kw", self.base_kw),
            ("reference_kw", self.reference.kw),
            ("deviation_kw", self.reference.deviation_kw),
            ("days", days as f64),
            ("duration_s", (self.until_ms - self.since_ms) as f64 / 1000.0),
        ];
        Finding {
            id: Finding::id(Kind::BaseloadDrift, name, since),
            kind: Kind::BaseloadDrift,
            machine: name.clone(),
            meter: machine.meter.clone(),
            since,
            detected_at: timestamp(self.detected_ms.unwrap_or(self.until_ms)),
            until: (state == Condition::Closed).then(|| timestamp(self.until_ms)),
            state,
            severity: severity(self.base_kw - self.reference.kw),
            energy_kwh: Some(rounded(kwh, 3)),
            energy_kwh_low: Some(rounded(self.kwh_low, 3)),
            energy_kwh_high: Some(rounded(self.kwh_high, 3)),
            cost: self.lots.money(|price| price.gross),
            cost_net: self.lots.money(|price| price.net),
            kgco2e: self.lots.kgco2e(),
            confidence: rounded(f64::from(self.days_judged) / days.max(1) as f64, 2).min(1.0),
            why: why.map(|(name, value)| (name.to_owned(), rounded(value, 3))).into(),
            title: Title {
                ko: format!("{name}: 쉬는 시간 기저부하가 {reference_kw:.1} kW에서 {base_kw:.1} kW로 오름 ({days}일)"),
                en: format!("{name}: load at rest crept from {reference_kw:.1} kW to {base_kw:.1} kW over {days} days"),
            },
        }
    }
}

#[cfg(test)]
mod tests;
