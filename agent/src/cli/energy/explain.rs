//! One month's kWh of one meter, walked down: intervals and their quality, what the registers said, what was repaired and
//! why, where the registers are, at which prices and factors the kWh count.
//!
//! Each step names what stands behind it; what is not known is said.

use std::{collections::BTreeMap, fmt::Write, process::ExitCode};

use energy::{Interval, Quality, Site, carbon::Factor, interval::Repair};
use jiff::Timestamp;

use super::{EnergyArgs, Span, Sums, number};
use crate::{
    acquire::modbus::RegisterForm,
    cli::{
        INPUT, fail, past,
        replay_intervals::{Event, events, local},
        table::{table, wrapped},
    },
    config::Config,
    language::Language,
    report::{
        Month, figures,
        words::{item_name, quality_name, repair_text, status_name},
    },
};

/// Repairs that are listed one by one; the others are counted.
const LISTED: usize = 20;

/// The way down from the month's figure.
pub(super) fn explained(
    args: &EnergyArgs,
    config: &Config,
    (meter, month, heard_until): (&str, Month, Timestamp),
    intervals: &[&Interval],
    language: Language,
) -> Result<String, ExitCode> {
    let ko = language == Language::Ko;
    let sums = Sums::of(intervals);
    let mut text = format!("{meter} {month}: {} kWh\n\n", number(sums.energy_kwh));
    let span = Span::of(month.bounds(&config.site.zone), intervals, heard_until);
    text += &of_intervals(intervals, &sums, &span, language);
    text += &of_registers(args, config, (meter, month), intervals, ko)?;
    text += &of_repairs(args, &config.site, (meter, month), intervals, language)?;
    text += &of_source(config, meter, ko);
    text += &of_money(args, config, (meter, month), language)?;
    text += &of_carbon(&config.site, intervals, language);
    Ok(text)
}

fn of_intervals(intervals: &[&Interval], sums: &Sums, span: &Span, language: Language) -> String {
    let minutes = intervals[0].end.duration_since(intervals[0].start).as_secs() / 60;
    let mut by_quality = BTreeMap::<Quality, (usize, f64)>::new();
    for interval in intervals {
        let (n, kwh) = by_quality.entry(interval.quality).or_default();
        *n += 1;
        *kwh += interval.energy_import_kwh.unwrap_or(0.0);
    }
    let text = if language == Language::Ko {
        format!(
            "1. 구간: {minutes}분 구간 {}개, 자료 확보율 {}\n",
            intervals.len(),
            sums.coverage(span, language)
        )
    } else {
        format!(
            "1. intervals: {} of {minutes} min, coverage {}\n",
            intervals.len(),
            sums.coverage(span, language)
        )
    };
    let row = |(quality, (n, kwh)): (Quality, (usize, f64))| {
        let name = format!("   {}", quality_name(quality, language));
        vec![name, n.to_string(), format!("{} kWh", number(Some(kwh)))]
    };
    let rows: Vec<_> = by_quality.into_iter().map(row).collect();
    text + &table(&rows, &[false, true, true])
}

/// What the registers said by themselves, and how far the figure lies from that.
fn of_registers(
    args: &EnergyArgs,
    config: &Config,
    (meter, month): (&str, Month),
    intervals: &[&Interval],
    ko: bool,
) -> Result<String, ExitCode> {
    let raw: Vec<f64> = intervals
        .iter()
        .filter_map(|interval| interval.raw.energy_import_kwh)
        .collect();
    let head = if ko { "2. 레지스터" } else { "2. registers" };
    if raw.is_empty() {
        let none = if ko {
            "적산 지시값 없음: 전력의 적분"
        } else {
            "none: power integrated"
        };
        return Ok(format!("{head}: {none}\n"));
    }
    let registers = past::register_ends(&args.past, config, meter, month)?;
    let what = match (registers.is_empty(), ko) {
        (true, true) => "적산 지시값 없음: 구간 전력량이나 전력, 복원 전",
        (true, false) => "none: energy of intervals or power, before repairs,",
        (false, true) => "복원 전 지시값",
        (false, false) => "as read, before repairs,",
    };
    let mut text = format!("{head}: {what} {} kWh\n", number(Some(raw.iter().sum())));
    for register in registers {
        for (at, value) in &register.ends {
            writeln!(text, "   {at}  {} = {value}", register.quantity).ok();
        }
    }
    Ok(text)
}

fn of_repairs(
    args: &EnergyArgs,
    site: &Site,
    (meter, month): (&str, Month),
    intervals: &[&Interval],
    language: Language,
) -> Result<String, ExitCode> {
    let ko = language == Language::Ko;
    let head = if ko { "3. 복원" } else { "3. repairs" };
    let lines = match &args.past.from {
        Some(folder) => past::repairs(folder, site, (meter, month), language).map_err(|why| fail(INPUT, why))?,
        None => of_intervals_repairs(intervals, site, language),
    };
    if lines.is_empty() {
        return Ok(format!("{head}: {}\n", if ko { "없음" } else { "none" }));
    }
    let mut text = format!("{head}: {}\n", lines.len());
    text.extend(lines.iter().take(LISTED).map(|line| wrapped(line, 3)));
    if lines.len() > LISTED {
        writeln!(text, "   … {}", lines.len() - LISTED).ok();
    }
    Ok(text)
}

/// Each event once, however many intervals it touches.
fn of_intervals_repairs(intervals: &[&Interval], site: &Site, language: Language) -> Vec<String> {
    let line = |(event, (repair, amount)): (Event<'_>, (&Repair, Option<f64>))| {
        let whole = Repair {
            since: event.4,
            amount,
            ..repair.clone()
        };
        format!(
            "{} {}: {}",
            local(event.0, &site.zone),
            event.2,
            repair_text(&whole, language)
        )
    };
    events(intervals.iter().copied()).into_iter().map(line).collect()
}

/// Where the registers are, and what is known of the device.
fn of_source(config: &Config, meter: &str, ko: bool) -> String {
    let mut text = String::from(if ko { "4. 계측기\n" } else { "4. meter\n" });
    for bus in &config.buses {
        for device in bus.meters.iter().filter(|device| *device.name == *meter) {
            writeln!(text, "   bus {} {}, unit {}", bus.name, bus.transport, device.unit).ok();
            for point in &device.points {
                let known = RegisterForm::ALL.iter().find(|(_, form)| *form == point.form);
                let form = known.map_or("", |(name, _)| *name);
                writeln!(
                    text,
                    "   {:<28} {} {} {form} × {}",
                    point.quantity.name(),
                    point.table,
                    point.at,
                    point.scale
                )
                .ok();
            }
        }
    }
    for broker in &config.brokers {
        for topic in broker.meters.iter().filter(|topic| *topic.name == *meter) {
            writeln!(text, "   broker {}, topic {}", broker.name, topic.topic).ok();
        }
    }
    let known = config.site.meters.iter().find(|known| *known.name == *meter);
    let card = known.map(|meter| &meter.card);
    let lines = card.into_iter().flat_map(energy::site::MeterCard::lines);
    for (name, value) in lines {
        writeln!(text, "   {name:<28} {value}").ok();
    }
    if text.lines().count() == 1 {
        text += if ko {
            "   기록 파일로만 들어옴\n"
        } else {
            "   fed by recordings\n"
        };
    }
    text
}

/// What the month's kWh cost: the bill's own lines.
fn of_money(
    args: &EnergyArgs,
    config: &Config,
    (meter, month): (&str, Month),
    language: Language,
) -> Result<String, ExitCode> {
    let head = if language == Language::Ko {
        "5. 요금"
    } else {
        "5. money"
    };
    if config.site.main_meter.as_deref() != Some(meter) {
        let not_billed = if language == Language::Ko {
            "요금은 주 계측기에 청구됨"
        } else {
            "the bill is made of the main meter"
        };
        return Ok(format!("{head}: {not_billed}\n"));
    }
    // Months before count for the demand.
    let all = past::intervals(&args.past, config, config.site.main_meter.as_deref())?;
    let heard_until = past::heard_until(&args.past, config)?;
    let bills = figures::bills(&config.site, &all, heard_until);
    let Some(bill) = bills.iter().find(|bill| bill.month == month.first) else {
        let none = if language == Language::Ko {
            "이 달의 요금표가 없음"
        } else {
            "no tariff holds in this month"
        };
        return Ok(format!("{head}: {none}\n"));
    };
    let mut text = format!("{head}\n");
    for item in bill.items.iter().filter(|item| item.item.starts_with("energy_")) {
        for line in &item.lines {
            let (quantity, price) = (line.quantity.normalize(), line.price.normalize());
            let item = item_name(&item.item, language);
            text += &wrapped(&format!("{item}: {quantity} kWh × {price}  ({})", line.rule), 3);
        }
    }
    Ok(text)
}

/// What the kWh emitted, by factor.
fn of_carbon(site: &Site, intervals: &[&Interval], language: Language) -> String {
    let ko = language == Language::Ko;
    let mut by_factor = BTreeMap::<&str, (&Factor, f64)>::new();
    let mut unknown_kwh = 0.0;
    for interval in intervals {
        let kwh = interval.energy_import_kwh.unwrap_or(0.0);
        let day = site.zone.to_datetime(interval.start).date();
        match site.carbon.as_ref().and_then(|series| series.location(day)) {
            Some(factor) => by_factor.entry(&factor.id).or_insert((factor, 0.0)).1 += kwh,
            None => unknown_kwh += kwh,
        }
    }
    let mut text = String::from(if ko { "6. 온실가스\n" } else { "6. carbon\n" });
    for (id, (factor, kwh)) in by_factor {
        let kgco2e = kwh * factor.kgco2e_per_kwh;
        writeln!(
            text,
            "   {} kWh × {} ({id}) = {} kgCO2e",
            number(Some(kwh)),
            factor.kgco2e_per_kwh,
            number(Some(kgco2e))
        )
        .ok();
        let status = status_name(&factor.status, language);
        text += &wrapped(&format!("{}, {} [{status}]", factor.authority, factor.source), 3);
    }
    if unknown_kwh > 0.0 {
        let none = if ko { "배출계수 없음" } else { "without a factor" };
        writeln!(text, "   {} kWh: {none}", number(Some(unknown_kwh))).ok();
    }
    text
}
