//! `wattwarden tariff price`: the three questions at an instant: one kWh, one more kW, and where the bill stands.

use std::process::ExitCode;

use energy::tariff::{
    Contract, PriceUntil,
    bill::{self, Amount, Bill, DemandWorth},
    contract_at,
};
use jiff::{SignedDuration, Timestamp, civil::Date};
use rust_decimal::Decimal;

use crate::{
    cli::{
        INPUT, Lang, Secrets, fail, finish, load,
        past::{self, PastArgs},
        replay_intervals::local,
        table::{table, wrapped},
    },
    clock::Clock,
    language::Language,
    report::{
        figures,
        words::{band_name, grouped},
    },
};

/// An instant as people type it.
fn instant(text: &str) -> Result<Timestamp, String> {
    text.parse()
        .map_err(|_| "an instant has a day, a time and its offset from UTC, as 2026-10-01T14:00+09:00".to_owned())
}

/// Data that end no longer than this before the instant are of it.
const RECENT: SignedDuration = SignedDuration::from_hours(1);

/// Arguments of `tariff price`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wattwarden tariff price\n  \
    wattwarden tariff price --from steel-2018 --at 2018-07-03T14:00+09:00")]
pub(super) struct PriceArgs {
    #[command(flatten)]
    past: PastArgs,
    /// The instant, as 2026-10-01T14:00+09:00; without it, now.
    #[arg(long, value_parser = instant)]
    at: Option<Timestamp>,
    /// Language; else the configuration's.
    #[arg(long, value_enum)]
    lang: Option<Lang>,
}

/// Answers the three questions.
pub(super) fn run(args: &PriceArgs) -> ExitCode {
    finish(made(args))
}

fn made(args: &PriceArgs) -> Result<String, ExitCode> {
    let config = load(&args.past.config, Secrets::LeaveOut)?;
    let language = args.lang.map_or(config.language, Language::from);
    let at = args.at.unwrap_or_else(|| Clock::system().now());
    let contracts = &config.site.contracts;
    let contract = contract_at(contracts, at).ok_or_else(|| {
        fail(
            INPUT,
            format!("no [[contract]] has begun at {at}: say which tariff holds from when"),
        )
    })?;
    let mut intervals = past::intervals(&args.past, &config, config.site.main_meter.as_deref())?;
    intervals.retain(|interval| interval.end <= at);
    let usage = figures::usage(&config.site, &intervals);
    let (bills, history) = bill::bills(contracts, &usage);
    let worth = bill::demand_worth(contracts, &history, &usage, at);
    let today = contract.rules.zone.to_datetime(at).date();
    let runs = |bill: &&Bill| !bill.complete && (bill.from..bill.to).contains(&today);
    let stands = bills.last().filter(runs);
    let ends = stands.and_then(|_| bill::project(contracts, &usage));
    let mut rows = vec![vec![contract.tariff_name.clone(), local(at, &config.site.zone)]];
    rows.extend(kwh(contract, &contract.price_at(at), language));
    rows.extend(worth.iter().flat_map(|worth| kw(contract, worth, language)));
    rows.extend(bill_rows(stands, ends.as_ref(), language));
    let newest = intervals.last().map(|interval| interval.end);
    let notes = notes(
        (contract, today),
        worth.as_ref(),
        newest.filter(|end| *end + RECENT < at),
        language,
    );
    Ok(table(&rows, &[false, false]) + "\n" + &notes)
}

fn kwh(contract: &Contract, price: &PriceUntil, language: Language) -> Vec<Vec<String>> {
    let ko = language == Language::Ko;
    let currency = &contract.rules.currency;
    let Some(price) = &price.price else {
        let unknown = if ko {
            "이 날의 요금표가 없음"
        } else {
            "no price table holds on this day"
        };
        return vec![vec!["kWh".into(), unknown.into()]];
    };
    // Prices of a kWh have two places more than what is paid.
    let unit_places = contract.rules.decimals + 2;
    let name = if ko { "1 kWh" } else { "one kWh" };
    let net = if ko {
        "세금·기금 전"
    } else {
        "before taxes and levies"
    };
    let mut rows = vec![
        vec![
            name.to_owned(),
            format!(
                "{} {currency} ({})",
                plain(price.gross_per_kwh, unit_places),
                band_name(price.band, language)
            ),
        ],
        vec![
            String::new(),
            format!("{} {currency} {net}", plain(price.net_per_kwh, unit_places)),
        ],
    ];
    if !price.discount_share.is_zero() {
        let off = plain(price.discount_share * Decimal::ONE_HUNDRED, 2);
        rows.push(vec![
            String::new(),
            if ko {
                format!("전력량요금 {off} % 할인")
            } else {
                format!("{off} % off the energy price")
            },
        ]);
    }
    rows
}

/// From where on another kW costs how much on this bill, a row each, and on later bills.
fn kw(contract: &Contract, worth: &DemandWorth, language: Language) -> Vec<Vec<String>> {
    let ko = language == Language::Ko;
    let won = |amount: Amount| format!("{} {}", plain(amount.gross, 2), contract.rules.currency);
    let mut costs: Vec<String> = Vec::new();
    if worth.steps.is_empty() && worth.later.is_empty() {
        costs.push(if ko {
            "0: 이 시간대는 최대수요에 들지 않음".into()
        } else {
            "nothing: demand of this band does not count".into()
        });
    }
    for step in &worth.steps {
        let (cost, kw) = (won(step.per_kw), plain(step.above_kw, 3));
        costs.push(if ko {
            format!("{kw} kW를 넘으면 이번 청구서에 {cost}")
        } else {
            format!("{cost} on this bill, above {kw} kW")
        });
    }
    for later in &worth.later {
        let (cost, kw, n) = (won(worth.later_per_kw), plain(later.above_kw, 3), later.n_bills);
        costs.push(if ko {
            format!("{kw} kW를 넘으면 이후 청구서 최대 {n}장에 각각 {cost}")
        } else {
            let each = if n == 1 {
                "on a later bill".to_owned()
            } else {
                format!("on each of up to {n} later bills")
            };
            format!("{cost} {each}, above {kw} kW")
        });
    }
    let name = if ko { "1 kW 더" } else { "one more kW" };
    let names = [name].into_iter().chain(std::iter::repeat(""));
    let row = |(name, cost): (&str, String)| vec![name.to_owned(), cost];
    names.zip(costs).map(row).collect()
}

/// What the answers rest on, a line each: which edition, and what is not known.
fn notes(
    (contract, today): (&Contract, Date),
    worth: Option<&DemandWorth>,
    newest: Option<Timestamp>,
    language: Language,
) -> String {
    let ko = language == Language::Ko;
    let mut notes = Vec::new();
    if let Some(day) = contract.edition {
        notes.push(if ko {
            format!("{day}의 요금표와 규정으로 계산했습니다.")
        } else {
            format!("Priced by the tables and rules of {day}.")
        });
    }
    let charges = contract
        .edition_of(today)
        .map(|edition| edition.charges)
        .unwrap_or_default();
    let carried_on = charges.iter().filter(|row| row.assumed);
    notes.extend(carried_on.map(|row| language.pick(&bill::carried_on(row)).to_owned()));
    notes.extend(worth.and_then(|worth| waived(contract, worth, language)));
    let unknown = worth.map_or(String::new(), |worth| worth.billed.unknown.join(", "));
    if !unknown.is_empty() {
        notes.push(if ko {
            format!("최대수요를 모르는 달: {unknown}. 요금적용전력이 더 클 수 있습니다.")
        } else {
            format!("The maximum demand of {unknown} is not known: the billed demand may be higher.")
        });
    }
    if let Some(end) = newest {
        let end = local(end, &contract.rules.zone);
        notes.push(if ko {
            format!("{end} 이후의 자료가 없습니다.")
        } else {
            format!("Nothing is known of the use since {end}.")
        });
    }
    notes.into_iter().map(|note| wrapped(&note, 0)).collect()
}

/// Why another kW above the contract costs no surcharge.
fn waived(contract: &Contract, worth: &DemandWorth, language: Language) -> Option<String> {
    let (kw, why) = (contract.contract_kw, language.pick(&worth.waived.as_ref()?.text));
    Some(match language {
        Language::Ko => format!("계약전력 {kw} kW를 넘는 경우: {why}"),
        Language::En => format!("Above the contract of {kw} kW: {why}"),
    })
}

fn bill_rows(stands: Option<&Bill>, ends: Option<&Bill>, language: Language) -> Vec<Vec<String>> {
    let ko = language == Language::Ko;
    let row = |name: &str, bill: &Bill| vec![name.to_owned(), format!("{} {}", plain(bill.total, 2), bill.currency)];
    let mut rows = Vec::new();
    rows.extend(stands.map(|bill| row(if ko { "이번 달 현재" } else { "bill so far" }, bill)));
    rows.extend(ends.map(|bill| row(if ko { "이번 달 예상" } else { "bill will end" }, bill)));
    rows
}

fn plain(value: Decimal, places: u32) -> String {
    grouped(&value.round_dp(places).normalize().to_string())
}
