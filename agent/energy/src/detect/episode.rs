//! A stretch of time in which a machine wastes: when it began, how much, when it is over. Shared by the detectors that
//! watch a condition.
//!
//! It does not know the condition. It looks at power between two readings as they came, not at intervals: one that is told
//! again says how much was used, but not at which power or in which state, and so neither begins nor ends a stay; what
//! comes late is a gap here. Invariants: it measures time *in* the condition, not time since the value last
//! changed; a noisy moment neither ends nor starts it; a gap counts for nothing.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Moment, Piece, Tick};
use crate::{
    finding::{Condition, Finding, Kind, Money, Severity, Title},
    interval::point::{hours, timestamp},
    sample::Name,
    site::Machine,
    tariff::Band,
    unit::rounded,
};

/// The condition is over when it has not held for this long: shorter is noise.
const CLEAR_MS: i64 = 60_000;
/// … or when it has not held for this share of the whole: a load that swings about the limit is not a stay.
const CLEAR_SHARE: f64 = 0.1;
/// A gap longer than this ends the stay at the last thing seen: nothing is claimed across it.
const GAP_MS: i64 = 3_600_000;
/// While open, the finding is written anew so often that what pages show is behind by no more than this share of its
/// age: a night is some forty rows.
const BEHIND_SHARE: f64 = 0.1;
/// … within these bounds: ticks are no closer, and a page should see that it still grows.
const UPDATE_MS: [i64; 2] = [60_000, 900_000];
/// From this avoidable power on somebody should look this shift (p2), else this week (p3): at 5 kW a night of twelve
/// hours costs about as much as the walk to the switch.
const P2_FROM_KW: f64 = 5.0;

/// Money and carbon of one kWh at an instant.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Rate {
    pub(crate) price: Option<RatePrice>,
    pub(crate) kgco2e_per_kwh: Option<f64>,
}

/// Price of one kWh, as [`Rate`] needs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RatePrice {
    pub(crate) band: Band,
    #[serde(with = "rust_decimal::serde::str")]
    pub(crate) net: Decimal,
    #[serde(with = "rust_decimal::serde::str")]
    pub(crate) gross: Decimal,
    /// Decimal places the currency is counted in.
    pub(crate) decimals: u32,
    pub(crate) currency: Name,
}

/// What a detector says of a stretch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    /// Waste: the avoidable power, and its 10 % and 90 % bounds, kW.
    Waste { kw: f64, low_kw: f64, high_kw: f64 },
    /// In order.
    Fine,
    /// Not known.
    CannotTell,
}

/// Follows one condition.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Episode {
    stay: Option<Stay>,
    /// Ended after a finding had opened: to be said at the next tick.
    ended: Vec<Stay>,
}

/// One stay in the condition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stay {
    pub(crate) since_ms: i64,
    /// End of the newest stretch in the condition.
    pub(crate) until_ms: i64,
    /// Time in the condition.
    pub(crate) held_ms: i64,
    /// End of the newest stretch of any verdict.
    seen_ms: i64,
    /// Time out of the condition since it last held, and in all.
    fine_ms: i64,
    fine_total_ms: i64,
    detected_ms: Option<i64>,
    written_ms: Option<i64>,
    kwh: f64,
    kwh_low: f64,
    kwh_high: f64,
    /// Power during the condition, kWh: for its mean.
    pub(crate) drawn_kwh: f64,
    lots: Lots,
}

/// Energy by what it cost and emitted, kWh.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Lots(Vec<(Rate, f64)>);

/// What the detector adds to make a finding of a stay.
pub(crate) struct Account {
    pub(crate) kind: Kind,
    pub(crate) why: Vec<(&'static str, f64)>,
    pub(crate) title: Title,
}

impl Episode {
    /// Takes the verdict on a piece; the finding opens once the condition has held for `after_ms`.
    pub(crate) fn take(&mut self, piece: &Piece, verdict: Verdict, after_ms: i64) {
        if self
            .stay
            .as_ref()
            .is_some_and(|stay| piece.from_ms - stay.seen_ms > GAP_MS)
        {
            self.end();
        }
        match verdict {
            Verdict::Waste { kw, low_kw, high_kw } => {
                let stay = self.stay.get_or_insert_with(|| Stay::new(piece.from_ms));
                stay.hold(piece, [kw, low_kw, high_kw]);
                if stay.detected_ms.is_none() && stay.held_ms >= after_ms {
                    stay.detected_ms = Some(piece.to_ms);
                }
            }
            Verdict::Fine => {
                if self.stay.as_mut().is_some_and(|stay| stay.is_cleared_by(piece)) {
                    self.end();
                }
            }
            Verdict::CannotTell => {}
        }
    }

    fn end(&mut self) {
        self.ended
            .extend(self.stay.take().filter(|stay| stay.detected_ms.is_some()));
    }

    /// Writes the findings that opened, grew or ended by this tick.
    pub(crate) fn tick(
        &mut self,
        tick: &Tick<'_>,
        machine: &Machine,
        account: impl Fn(&Stay) -> Account,
        out: &mut Vec<Finding>,
    ) {
        let gap_ms = GAP_MS + tick.site.demand_interval.as_millis() as i64;
        if self
            .stay
            .as_ref()
            .is_some_and(|stay| tick.at_ms - stay.seen_ms > gap_ms)
        {
            self.end();
        }
        for stay in self.ended.drain(..) {
            out.push(stay.finding(machine, account(&stay), Condition::Closed));
        }
        let Some(stay) = &mut self.stay else { return };
        let is_due = tick.moment == Moment::Last || is_due(stay.since_ms, stay.written_ms, tick.at_ms);
        if stay.detected_ms.is_some() && is_due {
            stay.written_ms = Some(tick.at_ms);
            out.push(stay.finding(machine, account(stay), Condition::Open));
        }
    }
}

impl Stay {
    fn new(since_ms: i64) -> Self {
        Self {
            since_ms,
            until_ms: since_ms,
            held_ms: 0,
            seen_ms: since_ms,
            fine_ms: 0,
            fine_total_ms: 0,
            detected_ms: None,
            written_ms: None,
            kwh: 0.0,
            kwh_low: 0.0,
            kwh_high: 0.0,
            drawn_kwh: 0.0,
            lots: Lots::default(),
        }
    }

    fn hold(&mut self, piece: &Piece, [kw, low_kw, high_kw]: [f64; 3]) {
        let duration_ms = piece.to_ms - piece.from_ms;
        let hours = hours(duration_ms);
        self.until_ms = piece.to_ms;
        self.seen_ms = piece.to_ms;
        self.held_ms += duration_ms;
        self.fine_ms = 0;
        self.kwh += kw * hours;
        self.kwh_low += low_kw * hours;
        self.kwh_high += high_kw * hours;
        self.drawn_kwh += piece.kw * hours;
        self.lots.add(&piece.rate, kw * hours);
    }

    /// Counts a piece out of the condition; true when the stay is over.
    fn is_cleared_by(&mut self, piece: &Piece) -> bool {
        let duration_ms = piece.to_ms - piece.from_ms;
        self.seen_ms = piece.to_ms;
        self.fine_ms += duration_ms;
        self.fine_total_ms += duration_ms;
        let whole_ms = (piece.to_ms - self.since_ms) as f64;
        self.fine_ms >= CLEAR_MS || self.fine_total_ms as f64 > whole_ms * CLEAR_SHARE
    }

    /// Mean power drawn in the condition, kW.
    pub(crate) fn mean_kw(&self) -> f64 {
        self.drawn_kwh / hours(self.held_ms.max(1))
    }

    fn finding(&self, machine: &Machine, account: Account, state: Condition) -> Finding {
        let since = timestamp(self.since_ms);
        let mut why: BTreeMap<String, f64> = account
            .why
            .into_iter()
            .map(|(name, value)| (name.to_owned(), rounded(value, 3)))
            .collect();
        why.insert("duration_s".into(), (self.until_ms - self.since_ms) as f64 / 1000.0);
        why.insert("mean_power_kw".into(), rounded(self.mean_kw(), 3));
        for (band, kwh) in self.lots.by_band() {
            why.insert(format!("energy_{}_kwh", band.name()), rounded(kwh, 3));
        }
        let mean_avoidable_kw = self.kwh / hours(self.held_ms.max(1));
        Finding {
            id: Finding::id(account.kind, &machine.name, since),
            kind: account.kind,
            machine: machine.name.clone(),
            meter: machine.meter.clone(),
            since,
            detected_at: timestamp(self.detected_ms.unwrap_or(self.until_ms)),
            until: (state == Condition::Closed).then(|| timestamp(self.until_ms)),
            state,
            severity: severity(mean_avoidable_kw),
            energy_kwh: Some(rounded(self.kwh, 3)),
            energy_kwh_low: Some(rounded(self.kwh_low, 3)),
            energy_kwh_high: Some(rounded(self.kwh_high, 3)),
            cost: self.lots.money(|price| price.gross),
            cost_net: self.lots.money(|price| price.net),
            kgco2e: self.lots.kgco2e(),
            confidence: rounded(self.held_ms as f64 / (self.until_ms - self.since_ms).max(1) as f64, 2),
            why,
            title: account.title,
        }
    }
}

/// Whether an open finding is to be written anew: so often that it is behind by a share of its age only.
pub(super) fn is_due(since_ms: i64, written_ms: Option<i64>, at_ms: i64) -> bool {
    let [least_ms, most_ms] = UPDATE_MS;
    let behind_ms = ((at_ms - since_ms) as f64 * BEHIND_SHARE) as i64;
    written_ms.is_none_or(|written_ms| at_ms - written_ms >= behind_ms.clamp(least_ms, most_ms))
}

/// How soon somebody should look, by what could be saved.
pub(super) fn severity(avoidable_kw: f64) -> Severity {
    if avoidable_kw >= P2_FROM_KW {
        Severity::P2
    } else {
        Severity::P3
    }
}

impl Lots {
    /// Adds energy at a rate.
    pub(crate) fn add(&mut self, rate: &Rate, kwh: f64) {
        match self.0.last_mut() {
            Some((last, sum)) if last == rate => *sum += kwh,
            _ => self.0.push((rate.clone(), kwh)),
        }
    }

    /// All of it.
    pub(crate) fn kwh(&self) -> f64 {
        self.0.iter().map(|(_, kwh)| kwh).sum()
    }

    fn by_band(&self) -> BTreeMap<Band, f64> {
        let mut by_band = BTreeMap::new();
        for (rate, kwh) in &self.0 {
            if let Some(price) = &rate.price {
                *by_band.entry(price.band).or_default() += kwh;
            }
        }
        by_band
    }

    /// Σ kWh × price; `None` when any part has no price.
    pub(crate) fn money(&self, per_kwh: impl Fn(&RatePrice) -> Decimal) -> Option<Money> {
        let first = self.0.first()?.0.price.as_ref()?;
        let mut amount = Decimal::ZERO;
        for (rate, kwh) in &self.0 {
            amount += Decimal::from_f64_retain(*kwh)? * per_kwh(rate.price.as_ref()?);
        }
        let amount =
            amount.round_dp_with_strategy(first.decimals, rust_decimal::RoundingStrategy::MidpointAwayFromZero);
        Some(Money {
            amount,
            currency: first.currency.to_string(),
        })
    }

    /// Σ kWh × factor; `None` when any part has no factor.
    pub(crate) fn kgco2e(&self) -> Option<f64> {
        let parts: Option<f64> = self
            .0
            .iter()
            .map(|(rate, kwh)| rate.kgco2e_per_kwh.map(|factor| factor * kwh))
            .sum();
        parts.map(|kgco2e| rounded(kgco2e, 3))
    }
}
