//! `wattwarden tariff bill`: a month's bill as the supplier would write it, what each item was made from, and what
//! differs from the bill that came.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::ValueEnum;
use energy::{
    tariff::{
        Contract,
        bill::{self, Bill, Difference, EnteredBill, Line},
    },
    unit::percent_seen,
};
use jiff::{ToSpan, civil::Date};
use rust_decimal::Decimal;

use crate::{
    cli::{
        INPUT, INTERNAL, Lang, Secrets, fail, finish, load,
        past::{self, PastArgs},
        table::{table, wrapped},
    },
    language::Language,
    report::{
        Month, figures,
        words::{grouped, item_name},
    },
};

/// Arguments of `tariff bill`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wattwarden tariff bill --month 2026-10 --explain\n  \
    wattwarden tariff bill -c steel.toml --from steel-2018 --month 2018-03\n  \
    wattwarden tariff bill --month 2026-10 --entered kepco-2026-10.toml\n\n\
    An entered bill is a file such as:\n  month = \"2026-10-01\"\n  total = 45_350_120\n  energy_import_kwh = 212_400\n  \
    items = { demand_charge = 6_331_520, climate = 1_911_600 }\n\
    Only what it holds is compared; `other` takes what the supplier charges beside the tariff.")]
pub(super) struct BillArgs {
    #[command(flatten)]
    past: PastArgs,
    /// The month, as 2026-10; without it, the newest bill.
    #[arg(long)]
    month: Option<Month>,
    /// Where the newest bill will end, by the days of the last four weeks.
    #[arg(long, conflicts_with = "month")]
    project: bool,
    /// Quantity, price, share and rule of every line.
    #[arg(long)]
    explain: bool,
    /// A bill as the supplier sent it: what differs, and what can explain it.
    #[arg(long, value_name = "FILE", conflicts_with = "project")]
    entered: Option<PathBuf>,
    /// Language; else the configuration's.
    #[arg(long, value_enum)]
    lang: Option<Lang>,
    /// Form.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Prints a bill.
pub(super) fn run(args: &BillArgs) -> ExitCode {
    finish(made(args))
}

fn made(args: &BillArgs) -> Result<String, ExitCode> {
    let config = load(&args.past.config, Secrets::LeaveOut)?;
    let language = args.lang.map_or(config.language, Language::from);
    let intervals = past::intervals(&args.past, &config, config.site.main_meter.as_deref())?;
    let entered = args
        .entered
        .as_ref()
        .map(|path| entered(path).map(|entered| (path, entered)))
        .transpose()?;
    let bill = if args.project {
        let usage = figures::usage(&config.site, &intervals);
        bill::project(&config.site.contracts, &usage).ok_or_else(|| {
            fail(
                INPUT,
                "nothing can be projected: there is no priced usage, or a time of day was never seen",
            )
        })?
    } else {
        let month = args
            .month
            .map(|month| month.first)
            .or(entered.as_ref().map(|(_, entered)| entered.month));
        let heard_until = past::heard_until(&args.past, &config)?;
        chosen(figures::bills(&config.site, &intervals, heard_until), month)?
    };
    let compared = entered.map(|(path, entered)| {
        let differences = bill::reconcile(&config.site.contracts, &bill, &entered);
        differences.map_err(|error| fail(INPUT, format!("{}: {error}", path.display())))
    });
    let differences = compared.transpose()?;
    match args.format {
        Form::Text => {
            // A bill has one currency: every contract with it counts it in the same places.
            let mut rules = config.site.contracts.iter().map(|contract| &contract.rules);
            let rules = rules.find(|rules| rules.currency == bill.currency);
            let places = rules.map_or(0, |rules| rules.decimals);
            let holidays = args.explain.then(|| holidays(&config.site.contracts, &bill, language));
            Ok(shown(&bill, places, args.explain, differences.as_deref(), language) + &holidays.unwrap_or_default())
        }
        Form::Json => {
            let document = serde_json::json!({ "bill": bill, "differences": differences });
            let text = serde_json::to_string_pretty(&document);
            text.map(|text| text + "\n").map_err(|error| fail(INTERNAL, error))
        }
    }
}

fn entered(path: &PathBuf) -> Result<EnteredBill, ExitCode> {
    let failed = |why: &dyn std::fmt::Display| fail(INPUT, format!("{}: {why}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
    let hint = "a bill is entered as month = \"2026-06-01\", and amounts as plain numbers: total = 38000000";
    toml::from_str(&text).map_err(|error| failed(&format!("{error}{hint}")))
}

fn chosen(bills: Vec<Bill>, month: Option<Date>) -> Result<Bill, ExitCode> {
    let months: Vec<String> = bills
        .iter()
        .map(|bill| bill.month.strftime("%Y-%m").to_string())
        .collect();
    let found = match month {
        Some(month) => bills.into_iter().find(|bill| bill.month == month.first_of_month()),
        None => bills.into_iter().next_back(),
    };
    found.ok_or_else(|| match months.as_slice() {
        [] => fail(
            INPUT,
            "there is no bill: no usage of the main meter, or no [[contract]] with a price for its days",
        ),
        [only] => fail(INPUT, format!("there is a bill of {only} only")),
        [first, .., last] => fail(INPUT, format!("there are bills from {first} to {last}")),
    })
}

fn shown(bill: &Bill, places: u32, explain: bool, differences: Option<&[Difference]>, language: Language) -> String {
    let amount = |value| amount_with(value, places);
    let mut rows = Vec::new();
    // What stands under each row.
    let mut under = Vec::new();
    for item in &bill.items {
        rows.push(vec![item_name(&item.item, language).to_owned(), amount(item.amount)]);
        under.push(String::new());
        for line in item.lines.iter().filter(|_| explain) {
            rows.push(vec![
                format!("  {}", line_text(line, &bill.currency, language)),
                amount(line.amount),
            ]);
            let how = line.how.as_ref().map(|how| wrapped(language.pick(how), 6));
            under.push(how.unwrap_or_default() + &wrapped(&line.rule, 6));
        }
    }
    if !bill.rounding().is_zero() {
        rows.push(vec![
            item_name("rounding", language).to_owned(),
            amount(bill.rounding()),
        ]);
        under.push(String::new());
    }
    rows.push(vec![item_name("total", language).to_owned(), amount(bill.total)]);
    under.push(rounding(bill, language).filter(|_| explain).unwrap_or_default());
    let items = table(&rows, &[false, true]);
    let items: Vec<String> = items
        .lines()
        .zip(&under)
        .map(|(row, under)| format!("{row}\n{under}"))
        .collect();
    let mut text = head(bill, language) + &items.concat();
    for note in &bill.notes {
        text += &listed(language.pick(&note.text));
    }
    text + &differences.map_or(String::new(), |differences| compared(differences, language))
}

/// The days that a bill took for public holidays, and not for what the weekday says.
fn holidays(contracts: &[Contract], bill: &Bill, language: Language) -> String {
    let is_holiday = |day: &Date| {
        let contract = contracts.iter().rev().find(|contract| contract.from <= *day);
        contract.is_some_and(|contract| contract.holidays.contains(day))
    };
    let days = bill.from.series(1.day()).take_while(|day| *day < bill.to);
    let days: Vec<String> = days
        .filter(is_holiday)
        .map(|day| day.strftime("%m-%d").to_string())
        .collect();
    if days.is_empty() {
        return String::new();
    }
    listed(&match language {
        Language::Ko => format!("공휴일로 계산한 날: {}", days.join(", ")),
        Language::En => format!("Billed as public holidays: {}", days.join(", ")),
    })
}

/// A remark, its lines behind a star.
fn listed(remark: &str) -> String {
    let lines = wrapped(remark, 2);
    format!("*{}", lines.strip_prefix(' ').unwrap_or(&lines))
}

/// What the items add up to, where the total was rounded.
fn rounding(bill: &Bill, language: Language) -> Option<String> {
    let (exact, currency) = (amount(bill.total - bill.rounding()), &bill.currency);
    let how = match language {
        Language::Ko => format!("{exact} {currency}의 끝수 처리"),
        Language::En => format!("rounded from {exact} {currency}"),
    };
    (!bill.rounding().is_zero()).then(|| wrapped(&how, 6))
}

fn head(bill: &Bill, language: Language) -> String {
    let (month, last) = (bill.month.strftime("%Y-%m"), bill.to.yesterday().unwrap_or(bill.to));
    let (from, currency, coverage) = (bill.from, &bill.currency, percent_seen(bill.coverage));
    let kw = bill.demand.billing_kw.round_dp(3).normalize();
    let set_by = bill.demand.set_by.as_ref();
    let set_by = set_by.map_or(String::new(), |month| format!(" ({month})"));
    match language {
        Language::Ko => format!(
            "전기요금 {month} ({from} – {last}, {currency})\n요금적용전력 {kw} kW{set_by} · 자료 확보율 {coverage}\n\n"
        ),
        Language::En => format!(
            "Bill {month} ({from} – {last}, {currency})\nbilled demand {kw} kW{set_by} · coverage {coverage}\n\n"
        ),
    }
}

/// `14,134.5 kWh × 133.4 × 50 %`, with the days it counts.
fn line_text(line: &Line, currency: &str, language: Language) -> String {
    let share = if line.share == Decimal::ONE {
        String::new()
    } else {
        format!(" × {} %", (line.share * Decimal::ONE_HUNDRED).round_dp(4).normalize())
    };
    let last = line.to.yesterday().unwrap_or(line.to);
    // A levy's base is exact to the last digit of a share of days; people read two places of money, three of a quantity.
    let places = if line.unit == currency { 2 } else { 3 };
    let quantity = grouped(&line.quantity.round_dp(places).normalize().to_string());
    let unit = match (line.unit.as_str(), language) {
        ("month", Language::Ko) => "개월",
        (unit, _) => unit,
    };
    format!(
        "{quantity} {unit} × {}{share}  {}…{}",
        line.price.normalize(),
        line.from.strftime("%m-%d"),
        last.strftime("%m-%d")
    )
}

fn compared(differences: &[Difference], language: Language) -> String {
    let ko = language == Language::Ko;
    if differences.is_empty() {
        let same = if ko {
            "입력한 값은 모두 같습니다."
        } else {
            "Everything that was entered is the same."
        };
        return format!("\n{same}\n");
    }
    let head = if ko {
        ["항목", "여기", "청구서", "차이"]
    } else {
        ["item", "here", "entered", "difference"]
    };
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut reasons = Vec::new();
    for found in differences {
        let name = item_name(&found.item, language);
        let amounts = [found.ours, found.theirs, found.difference].map(amount);
        rows.push([vec![name.to_owned()], amounts.to_vec()].concat());
        reasons.push(listed(&format!("{name}: {}", language.pick(&found.reason))));
    }
    format!("\n{}{}", table(&rows, &[false, true, true, true]), reasons.concat())
}

/// An amount with at most two places: what is exact to the last digit is for programs.
fn amount(value: Decimal) -> String {
    amount_with(value, 0)
}

/// The same, with at least these places.
fn amount_with(value: Decimal, places: u32) -> String {
    let mut rounded = value.round_dp(2).normalize();
    rounded.rescale(rounded.scale().max(places));
    grouped(&rounded.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_the_places_of_its_bill() {
        let check = |value: &str, places, expected: &str| {
            let value = value.parse().expect("a decimal");
            assert_eq!(amount_with(value, places), expected, "{value}");
        };
        check("1234567", 0, "1,234,567");
        check("3840.2", 2, "3,840.20");
        check("12", 2, "12.00");
        check("12.3456", 2, "12.35");
        check("5714.5", 0, "5,714.5");
    }
}
