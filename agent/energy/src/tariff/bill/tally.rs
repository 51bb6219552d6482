//! The usage of one billing period, added up as its bill prices it: energy by part, band and discount; maxima; power
//! factors.
//!
//! It prices nothing. Invariants: sums are exact (whole nano-units); an interval belongs to the hour it starts in; what
//! is unknown is added nowhere and lowers the coverage.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::DateTime};
use rust_decimal::{Decimal, prelude::ToPrimitive};

use super::{
    Peak,
    period::{Part, Period},
};
use crate::{
    sample::Quality,
    tariff::{
        Band, Discount, Usage,
        edition::Slot,
        power_factor::{Judge, PowerFactor, PowerFactors},
        price::next_hour,
    },
};

/// A billionth of a kWh or of a kW: sums and roundings are exact in it.
type Nano = i128;

/// A maximum: its kW, and the start and quality of its interval.
type Highest = (Nano, Timestamp, Quality);

/// What a period's usage adds up to.
#[derive(Debug)]
pub(super) struct Tally<'a> {
    pub(super) period: Period,
    pub(super) parts: Vec<PartTally<'a>>,
    /// Power factors of consecutive parts under one power-factor rule; [`PartTally::group`] leads here.
    pub(super) power_factors: Vec<PowerFactor>,
    /// Instant of the first interval, and end of the last.
    pub(super) bounds: (Timestamp, Timestamp),
    /// How far time has gone on: the end of the last interval, where no more is known.
    pub(super) heard_until: Timestamp,
    /// Time seen with trusted readings, minutes.
    pub(super) seen_min: f64,
    /// Time of which the energy is known, by a register at least, minutes.
    pub(super) known_min: f64,
    /// Time of which a register that stood still, or was silent and stands where it stood, says that nothing was used, minutes.
    pub(super) still_min: f64,
    /// Energy that is known in sum only, and was spread.
    estimated: Nano,
    /// Whether an interval lay in no part, or had no price.
    pub(super) has_unpriced: bool,
}

/// A part's usage.
#[derive(Debug)]
pub(super) struct PartTally<'a> {
    pub(super) part: Part<'a>,
    /// Place among the parts.
    pub(super) index: usize,
    /// Place of its power factors in [`Tally::power_factors`].
    pub(super) group: usize,
    pub(super) energy: Vec<Quantity<'a>>,
    /// Highest demand of any hour.
    peak: Option<Highest>,
    /// Highest demand in bands that count for the billing demand.
    counted: Option<Highest>,
    by_band: BTreeMap<Band, Nano>,
}

/// Energy of one price.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quantity<'a> {
    pub(super) band: Band,
    pub(super) discount: Option<&'a Discount>,
    pub(super) per_kwh: Decimal,
    nano_kwh: Nano,
}

impl Quantity<'_> {
    pub(super) fn energy_kwh(&self) -> Decimal {
        exact(self.nano_kwh)
    }

    pub(super) fn is_zero(&self) -> bool {
        self.nano_kwh == 0
    }

    fn is_of(&self, band: Band, discount: Option<&Discount>) -> bool {
        let is_same = match (self.discount, discount) {
            (Some(one), Some(other)) => std::ptr::eq(one, other),
            (None, None) => true,
            _ => false,
        };
        self.band == band && is_same
    }
}

/// What holds for the running clock hour.
struct Hour {
    until: Timestamp,
    /// Of the day, on the tariff's clock.
    of_day: i8,
    place: Option<Place>,
}

/// Where an hour's usage is added.
#[derive(Clone, Copy)]
struct Place {
    part: usize,
    quantity: usize,
    demand_band: Band,
    counts: bool,
}

impl<'a> Tally<'a> {
    /// Adds up `usage`, all of one period, ascending; `None` without any part.
    pub(super) fn of(period: Period, parts: Vec<Part<'a>>, usage: &[Usage]) -> Option<Self> {
        let (parts, mut factors) = grouped(parts);
        let (from, _) = period.bounds(&parts.first()?.part.edition.contract.rules.zone);
        let (first, last) = (usage.first(), usage.last());
        let mut tally = Self {
            period,
            parts,
            power_factors: Vec::new(),
            bounds: (first.map_or(from, |row| row.start), last.map_or(from, Usage::end)),
            heard_until: last.map_or(from, Usage::end),
            seen_min: 0.0,
            known_min: 0.0,
            still_min: 0.0,
            estimated: 0,
            has_unpriced: false,
        };
        let mut hour: Option<Hour> = None;
        for row in usage {
            let held = hour.take().filter(|hour| row.start < hour.until);
            let held = held.unwrap_or_else(|| tally.hour(row.start));
            tally.seen_min += row.coverage * f64::from(row.minutes);
            if let Some(energy_kwh) = row.energy_kwh {
                tally.known_min += f64::from(row.minutes);
                if row.quality == Quality::Estimated {
                    let is_still = energy_kwh == 0.0 && row.coverage == 0.0;
                    tally.still_min += if is_still { f64::from(row.minutes) } else { 0.0 };
                    tally.estimated += (energy_kwh * 1e9).round() as Nano;
                }
            }
            if let Some(place) = held.place {
                let part = &mut tally.parts[place.part];
                part.add(row, place);
                if let Some((judge, factors)) = &mut factors[part.group] {
                    factors.take(*judge, row, held.of_day, 60 - minutes_until(row.start, held.until));
                }
            }
            hour = Some(held);
        }
        let measured = |group: Option<Group<'_>>| group.map(|(judge, factors)| factors.factors(judge.rule));
        tally.power_factors = factors
            .into_iter()
            .map(|group| measured(group).unwrap_or_default())
            .collect();
        Some(tally)
    }

    /// Finds the place of the hour that holds `at`.
    fn hour(&mut self, at: Timestamp) -> Hour {
        let local = self.parts[0].part.edition.contract.local(at);
        let place = self.place(local);
        self.has_unpriced |= place.is_none();
        Hour {
            until: next_hour(at, local),
            of_day: local.hour(),
            place,
        }
    }

    fn place(&mut self, local: DateTime) -> Option<Place> {
        let holds = |tally: &PartTally<'_>| (tally.part.from..tally.part.to).contains(&local.date());
        let index = self.parts.iter().position(holds)?;
        let part = &mut self.parts[index];
        let contract = part.part.edition.contract;
        let kind = contract.day_kind(local.date());
        let slot = part.part.edition.slot(kind, local.month(), local.hour())?;
        let rule = contract.rules.demand.as_ref();
        Some(Place {
            part: index,
            quantity: part.quantity(&slot),
            demand_band: slot.demand_band,
            counts: rule.is_some_and(|rule| rule.counts(slot.demand_band)),
        })
    }

    /// Takes the demand at `at` to be `kw`, and changes no energy.
    pub(super) fn raise(&mut self, at: Timestamp, kw: Decimal) {
        let nano_kw = (kw * Decimal::from(1_000_000_000)).round().to_i128().unwrap_or(0);
        if let Some(place) = self.hour(at).place {
            self.parts[place.part].reach(place, (nano_kw, at, Quality::Ok));
        }
    }

    /// Highest demand of any hour, in parts that `counts` picks.
    pub(super) fn peak(&self, counts: impl Fn(&PartTally<'_>) -> bool) -> Option<Peak> {
        highest(
            self.parts
                .iter()
                .filter(|part| counts(part))
                .filter_map(|part| part.peak),
        )
    }

    /// Energy of intervals that were estimated, kWh.
    pub(super) fn estimated_kwh(&self) -> Decimal {
        exact(self.estimated)
    }

    /// Highest demand that counts for the billing demand.
    pub(super) fn counted(&self) -> Option<Peak> {
        highest(self.parts.iter().filter_map(|part| part.counted))
    }

    /// Highest demand in a band, kW.
    pub(super) fn band_peak_kw(&self, band: Band) -> Decimal {
        let of_band = self.parts.iter().filter_map(|part| part.by_band.get(&band));
        exact(of_band.copied().max().unwrap_or(0))
    }
}

/// How consecutive parts' power factors are judged, and their usage so far.
type Group<'a> = (Judge<'a>, PowerFactors);

/// Parts with the place of their power factors, and the rules to find those by; `None` where nothing is to be measured.
fn grouped(parts: Vec<Part<'_>>) -> (Vec<PartTally<'_>>, Vec<Option<Group<'_>>>) {
    let mut tallies: Vec<PartTally<'_>> = Vec::new();
    let mut factors = Vec::new();
    for part in parts {
        let is_alike = |last: &PartTally<'_>| {
            let (one, other) = (&last.part.edition, &part.edition);
            one.judged_power_factor() == other.judged_power_factor()
                && one.contract.tariff.low_voltage == other.contract.tariff.low_voltage
                && one.contract.reactive_meter == other.contract.reactive_meter
        };
        if !tallies.last().is_some_and(is_alike) {
            let edition = &part.edition;
            let rule = edition
                .judged_power_factor()
                .filter(|_| edition.contract.reactive_meter);
            let is_low_voltage = edition.contract.tariff.low_voltage;
            factors.push(rule.map(|rule| (Judge { rule, is_low_voltage }, PowerFactors::default())));
        }
        tallies.push(PartTally {
            part,
            index: tallies.len(),
            group: factors.len() - 1,
            energy: Vec::new(),
            peak: None,
            counted: None,
            by_band: BTreeMap::new(),
        });
    }
    (tallies, factors)
}

impl<'a> PartTally<'a> {
    /// Index of the quantity of an hour, made where there is none yet.
    fn quantity(&mut self, slot: &Slot<'a>) -> usize {
        let is_of = |quantity: &Quantity<'_>| quantity.is_of(slot.band, slot.discount);
        self.energy.iter().position(is_of).unwrap_or_else(|| {
            self.energy.push(Quantity {
                band: slot.band,
                discount: slot.discount,
                per_kwh: slot.energy_per_kwh,
                nano_kwh: 0,
            });
            self.energy.len() - 1
        })
    }

    fn add(&mut self, row: &Usage, place: Place) {
        let Some(energy_kwh) = row.energy_kwh else { return };
        let nano_kwh = (energy_kwh * 1e9).round() as Nano;
        self.energy[place.quantity].nano_kwh += nano_kwh;
        let nano_kw = nano_kwh * 60 / Nano::from(row.minutes);
        self.reach(place, (nano_kw, row.start, row.quality));
    }

    fn reach(&mut self, place: Place, demand: Highest) {
        raise(&mut self.peak, demand);
        if place.counts {
            raise(&mut self.counted, demand);
        }
        let band = self.by_band.entry(place.demand_band).or_default();
        *band = demand.0.max(*band);
    }
}

/// Keeps the first of equals.
fn raise(peak: &mut Option<Highest>, next: Highest) {
    if peak.is_none_or(|highest| next.0 > highest.0) {
        *peak = Some(next);
    }
}

fn highest(peaks: impl Iterator<Item = Highest>) -> Option<Peak> {
    let (nano_kw, start, quality) = peaks.reduce(|best, next| if next.0 > best.0 { next } else { best })?;
    Some(Peak {
        kw: exact(nano_kw),
        start,
        quality,
    })
}

fn minutes_until(at: Timestamp, until: Timestamp) -> i64 {
    (until.as_second() - at.as_second()) / 60
}

/// Nano-units as a decimal.
fn exact(nano: Nano) -> Decimal {
    Decimal::from_i128_with_scale(nano, 9).normalize()
}
