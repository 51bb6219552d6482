//! What a person sees when a replay is done: months, bills, findings, rows.
//!
//! It computes nothing but how a number is written; the figures are those of `summary.json`.

use std::path::Path;

use energy::{Quality, finding::Money};
use rust_decimal::Decimal;

use crate::{
    cli::table::{table, wrapped},
    language::Language,
    replay::Tally,
    report::{
        MonthFigures, Summary,
        words::{grouped, kind_name, money, seen},
    },
};

/// What came out.
pub(super) struct Told<'a> {
    /// The figures.
    pub summary: &'a Summary,
    /// What became of the rows.
    pub tally: Tally,
    /// ISO 4217 code of the costs of findings.
    pub currency: Option<&'a str>,
    /// Where it was written.
    pub out: &'a Path,
}

impl Told<'_> {
    /// All of it as text.
    pub(super) fn text(&self, language: Language) -> String {
        let blocks = [self.months(language), self.findings(language), self.rows(language)];
        let blocks: Vec<String> = blocks.into_iter().filter(|block| !block.is_empty()).collect();
        blocks.join("\n")
    }

    fn months(&self, language: Language) -> String {
        let (head, total) = match language {
            Language::Ko => (
                ["월", "사용량 kWh", "최대수요 kW", "확보율", "tCO2e", "전기요금"],
                "합계",
            ),
            Language::En => (["month", "energy kWh", "peak kW", "coverage", "tCO2e", "bill"], "total"),
        };
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for figures in &self.summary.months {
            rows.push(month(figures.month.as_deref().unwrap_or_default(), figures, language));
        }
        rows.push(month(total, &self.summary.total, language));
        table(&rows, &[false, true, true, true, true, true])
    }

    fn findings(&self, language: Language) -> String {
        if self.summary.findings.is_empty() {
            return String::new();
        }
        let (head, total) = match language {
            Language::Ko => (["낭비", "건수", "kWh", "금액", "kgCO2e"], "합계"),
            Language::En => (["waste", "count", "kWh", "cost", "kgCO2e"], "total"),
        };
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        let mut row = |name: &str, count: usize, kwh: Option<f64>, cost: Option<Decimal>, kgco2e: Option<f64>| {
            let cost = cost.zip(self.currency).map(|(amount, currency)| Money {
                amount,
                currency: currency.to_owned(),
            });
            rows.push(vec![
                name.to_owned(),
                count.to_string(),
                number(kwh, 1),
                or_dash(cost.map(|cost| money(&cost, language))),
                number(kgco2e, 1),
            ]);
        };
        for kind in &self.summary.findings {
            let name = kind_name(kind.kind, language);
            row(name, kind.count, kind.energy_kwh, kind.cost, kind.kgco2e);
        }
        let all = &self.summary.findings;
        row(
            total,
            all.iter().map(|kind| kind.count).sum(),
            all.iter()
                .filter_map(|kind| kind.energy_kwh)
                .reduce(|sum, kwh| sum + kwh),
            all.iter().filter_map(|kind| kind.cost).reduce(|sum, cost| sum + cost),
            all.iter().filter_map(|kind| kind.kgco2e).reduce(|sum, kg| sum + kg),
        );
        table(&rows, &[false, true, true, true, true])
    }

    fn rows(&self, language: Language) -> String {
        let Tally {
            rows,
            late,
            duplicate,
            unknown_meter,
            bad,
            ..
        } = self.tally;
        let refused = self.tally.conflict + self.tally.too_old + self.tally.off_grid;
        let out = self.out.display();
        let counts = match language {
            Language::Ko => format!(
                "행 {rows}개 → {out}\n  지연 {late}, 중복 {duplicate}, 거부 {refused}, 불량 {bad}, 미등록 계측기 {unknown_meter}\n"
            ),
            Language::En => {
                let plural = if rows == 1 { "" } else { "s" };
                format!(
                    "{rows} row{plural} → {out}\n  {late} late, {duplicate} repeated, {refused} refused, {bad} bad, {unknown_meter} of unknown meters\n"
                )
            }
        };
        counts + &self.refused(language)
    }

    /// Why readings are in no figure, and what mends it.
    fn refused(&self, language: Language) -> String {
        let reasons = [
            (
                self.tally.too_old,
                "너무 늦게 나와 제자리에 넣지 못했습니다. 기록을 시간순으로 정렬하십시오.",
                "came too late to be put in their place: sort the recording by time.",
            ),
            (
                self.tally.conflict,
                "같은 시각에 다른 값이 있습니다. 먼저 나온 값을 썼습니다.",
                "say something else for an instant that was told already: the first counts.",
            ),
            (
                self.tally.off_grid,
                "수요 구간의 시작과 맞지 않습니다. `demand_interval`과 시각 표시를 확인하십시오.",
                "begin where no demand interval does: check `demand_interval` and the labels.",
            ),
        ];
        let line = |(n, ko, en): (u64, &str, &str)| match (n, language) {
            (0, _) => String::new(),
            (n, Language::Ko) => wrapped(&format!("값 {n}개: {ko}"), 2),
            (n, Language::En) => wrapped(&format!("{n} readings {en}"), 2),
        };
        reasons.map(line).concat()
    }
}

fn month(name: &str, figures: &MonthFigures, language: Language) -> Vec<String> {
    let bill = figures.bill.as_ref().map(|bill| {
        money(
            &Money {
                amount: bill.total,
                currency: bill.currency.clone(),
            },
            language,
        )
    });
    // A peak that the meter itself did not say is marked.
    let mark = match (figures.peak_demand_quality, language) {
        (None | Some(Quality::Ok), _) => "",
        (Some(_), Language::Ko) => " (추정)",
        (Some(_), Language::En) => " (estimated)",
    };
    let peak = number(figures.peak_demand_kw, 1) + mark;
    vec![
        name.to_owned(),
        number(figures.energy_import_kwh, 1),
        peak,
        seen(figures.coverage, figures.complete, language),
        number(figures.kgco2e.location.map(|kg| kg / 1000.0), 3),
        or_dash(bill),
    ]
}

fn number(value: Option<f64>, decimals: usize) -> String {
    or_dash(value.map(|value| grouped(&format!("{value:.decimals$}"))))
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "–".to_owned())
}
