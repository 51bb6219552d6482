//! `meter_silent`: a meter has not been heard of for longer than `after`. It is heard of when a reading comes, if that is
//! newer than all before and no later than `late`: a gateway that hands everything on half an hour late is not silent.
//!
//! When all meters fall silent together nothing can be said of any one of them (the line, the gateway or the agent
//! itself was down): that is one finding at the site. It judges at ticks only, from what was heard, so that a
//! recording tells the same as living through it. Intervals told again change nothing: late readings do not undo that
//! nothing was heard. The harm is missing data, not kWh.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Setting, SettingForm, after, default, episode::is_due, in_words, meter_after_ms, meter_finding, meter_machine,
    setting,
};
use crate::{
    detect::TICK_MS,
    finding::{Finding, Kind, Title},
    interval::CHANGE_MS,
    sample::Name,
    site::{Meter, Site},
};

pub(super) const SETTINGS: &[Setting] = &[
    after(600.0),
    Setting {
        name: "late",
        form: SettingForm::Duration,
        default: Some(3600.0),
        doc: "readings may come so late at most for their meter to be heard of when they come, not when they were made",
    },
];

/// While others are still heard this much later than a meter, that meter alone is silent: they do not all fall silent
/// at the same second, and a tick may come between.
const TOGETHER_MS: i64 = 60_000;
/// A meter is never called silent before this many of its own periods have passed.
const PERIODS: i64 = 3;

/// State of this detector over all meters.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct MeterSilent {
    heard: BTreeMap<Name, Heard>,
    /// Whether meters never heard of count, and since when (the first tick) they were waited for.
    expects_all: bool,
    waiting_since_ms: Option<i64>,
    /// Open findings by meter; the site's own stands under [`ALL`].
    open: BTreeMap<Name, Silence>,
}

/// The newest reading of a meter, and the start of the minute in which it came.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Heard {
    at_ms: i64,
    came_ms: i64,
}

impl Heard {
    /// When the meter was heard of, ms.
    fn ms(self, meter: &Meter, site: &Site) -> i64 {
        let is_late = self.came_ms - self.at_ms > TICK_MS;
        if is_late && self.came_ms - self.at_ms <= late_ms(meter, site) {
            self.came_ms
        } else {
            self.at_ms
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(
    clippy::struct_field_names,
    reason = "all are instants in milliseconds, and the unit stands last"
)]
struct Silence {
    since_ms: i64,
    detected_ms: i64,
    /// Until when it was told as silent: an open finding is told anew while it goes on.
    said_ms: i64,
    /// When it was first heard of again.
    resumed_ms: Option<i64>,
}

/// Key of the finding that all meters are silent; no meter can be called so.
const ALL: &str = "";

impl MeterSilent {
    /// From now on meters that were never heard of are waited for.
    pub(crate) fn expect_all(&mut self) {
        self.expects_all = true;
    }

    /// A reading of a meter, made at `at_ms`, came before the tick at `tick_ms`.
    pub(crate) fn heard(&mut self, meter: &Meter, (at_ms, tick_ms): (i64, i64), site: &Site) {
        let now = Heard {
            at_ms,
            came_ms: tick_ms - TICK_MS,
        };
        match self.heard.get_mut(&meter.name) {
            // One that is older than what is known says nothing of the meter.
            Some(heard) if at_ms <= heard.at_ms => return,
            Some(heard) => *heard = now,
            None => _ = self.heard.insert(meter.name.clone(), now),
        }
        if !self.open.is_empty() {
            let heard_ms = now.ms(meter, site);
            for name in [&*meter.name, ALL] {
                if let Some(silence) = self.open.get_mut(name).filter(|silence| heard_ms > silence.since_ms) {
                    silence.resumed_ms.get_or_insert(heard_ms);
                }
            }
        }
    }

    /// Opens and closes findings.
    pub(crate) fn tick(&mut self, at_ms: i64, site: &Site, out: &mut Vec<Finding>) {
        let waiting_ms = *self.waiting_since_ms.get_or_insert(at_ms);
        let waited_ms = self.expects_all.then_some(waiting_ms);
        let watched: Vec<(&Meter, i64)> = site
            .meters
            .iter()
            .filter(|meter| after_ms(meter, site).is_some())
            .filter_map(|meter| {
                let heard = self.heard.get(&meter.name);
                Some((meter, heard.map(|heard| heard.ms(meter, site)).or(waited_ms)?))
            })
            .filter(|(meter, heard_ms)| !is_changed(meter, *heard_ms, at_ms))
            .collect();
        let Some(newest_ms) = watched.iter().map(|(_, heard_ms)| *heard_ms).max() else {
            return;
        };
        let is_silent =
            |meter: &Meter, heard_ms: i64| after_ms(meter, site).is_some_and(|after_ms| at_ms - heard_ms >= after_ms);
        let all_silent = watched.iter().all(|(meter, heard_ms)| is_silent(meter, *heard_ms));
        self.open.retain(|name, silence| {
            out.extend(
                silence
                    .resumed_ms
                    .map(|resumed_ms| finding(name, silence, Some(resumed_ms), site)),
            );
            if silence.resumed_ms.is_none() && is_due(silence.since_ms, Some(silence.said_ms), at_ms) {
                silence.said_ms = at_ms;
                out.push(finding(name, silence, None, site));
            }
            silence.resumed_ms.is_none()
        });
        for (meter, heard_ms) in &watched {
            let is_alone = newest_ms - heard_ms > TOGETHER_MS || watched.len() == 1;
            if is_alone && is_silent(meter, *heard_ms) && !self.open.contains_key(&meter.name) {
                let silence = Silence {
                    since_ms: *heard_ms,
                    detected_ms: at_ms,
                    said_ms: at_ms,
                    resumed_ms: None,
                };
                out.push(finding(&meter.name, &silence, None, site));
                self.open.insert(meter.name.clone(), silence);
            }
        }
        if all_silent && watched.len() > 1 && !self.open.contains_key(ALL) {
            let silence = Silence {
                since_ms: newest_ms,
                detected_ms: at_ms,
                said_ms: at_ms,
                resumed_ms: None,
            };
            out.push(finding(&ALL.into(), &silence, None, site));
            self.open.insert(ALL.into(), silence);
        }
    }
}

/// Whether the meter was changed while, or about when, nothing was heard of it.
fn is_changed(meter: &Meter, heard_ms: i64, at_ms: i64) -> bool {
    let mut swaps = meter.swaps.iter().map(|swap| swap.at.as_millisecond());
    swaps.any(|swap_ms| {
        heard_ms - CHANGE_MS <= swap_ms && swap_ms - heard_ms <= CHANGE_MS && at_ms - swap_ms <= CHANGE_MS
    })
}

/// How late a reading may be for its meter to be heard of when it comes, ms.
fn late_ms(meter: &Meter, site: &Site) -> i64 {
    let machine = site.machines.iter().find(|machine| machine.meter == meter.name);
    let late_s = match machine {
        Some(machine) => setting(machine, Kind::MeterSilent, "late"),
        None => default(Kind::MeterSilent, "late"),
    };
    (late_s.unwrap_or(0.0) * 1000.0) as i64
}

/// How long a meter may be silent, ms; `None` where its machine has switched this kind off.
fn after_ms(meter: &Meter, site: &Site) -> Option<i64> {
    let after_ms = meter_after_ms(Kind::MeterSilent, meter, site)?;
    Some(after_ms.max(PERIODS * meter.every.as_millis() as i64))
}

fn finding(name: &Name, silence: &Silence, until_ms: Option<i64>, site: &Site) -> Finding {
    let is_site = &**name == ALL;
    let (ko, en) = in_words(until_ms.unwrap_or(silence.said_ms) - silence.since_ms);
    let main = site
        .main_meter
        .as_ref()
        .or_else(|| site.meters.first().map(|meter| &meter.name));
    let (machine, meter) = if is_site {
        (&site.name, main.unwrap_or(&site.name))
    } else {
        (meter_machine(name, site), name)
    };
    let title = if is_site {
        Title {
            ko: format!("{}: 모든 계측기에서 {ko} 동안 수신 없음", site.name),
            en: format!("{}: no meter has been heard of for {en}", site.name),
        }
    } else {
        Title {
            ko: format!("계측기 {name}: {ko} 동안 수신 없음"),
            en: format!("meter {name}: not heard of for {en}"),
        }
    };
    let named = if is_site { &site.name } else { name };
    let silent_s = (until_ms.unwrap_or(silence.said_ms) - silence.since_ms) as f64 / 1000.0;
    let times_ms = (silence.since_ms, silence.detected_ms, until_ms);
    let why = [("silent_s".to_owned(), silent_s)].into();
    meter_finding(Kind::MeterSilent, times_ms, (named, machine, meter), title, why)
}
