//! Whether a factor file can be used: ids once, one factor a purpose and day, splits that lead to their value.
//!
//! It applies no factor. It is here because a file of the user may override a shipped one.

use std::collections::BTreeSet;

use energy::{
    both,
    carbon::{Factor, FactorSeries, Gwp, Purpose, fuel::FuelPurpose},
    finding::Title,
};
use jiff::civil::Date;

use super::{
    Context,
    data::{DataFiles, Folder},
    diagnostic::Code,
    read::File,
};

/// A published split and its value are rounded to four places each.
const SPLIT_TOLERANCE: f64 = 0.000_15;

/// Reports what makes `series` unusable.
pub(super) fn check(context: &Context<'_>, series: &FactorSeries, file: &File) {
    for (place, why) in problems(series, gwp(context.data).as_deref()) {
        file.report_row(Code::BadDataFile, place, why);
    }
}

/// The warming potentials of `factors/gwp.toml`; `None` when the file cannot be used, which a listing says.
pub fn gwp(data: &DataFiles) -> Option<Vec<Gwp>> {
    let source = data.read(Folder::Factors, "gwp")?.ok()?;
    toml::from_str::<FactorSeries>(&source.text)
        .ok()
        .map(|series| series.gwp)
}

/// The table, and which of its rows, from 0.
type Row = (&'static str, usize);

fn problems(series: &FactorSeries, gwp: Option<&[Gwp]>) -> Vec<(Row, Title)> {
    let mut found = repeated(series);
    for (row, factor) in series.factor.iter().enumerate() {
        found.extend(split(factor, gwp).map(|why| (("factor", row), why)));
    }
    let of_use = |(_, factor): &(usize, &Factor)| factor.purpose != Purpose::Reference;
    found.extend(overlaps(series.factor.iter().enumerate().filter(of_use).map(
        |(row, factor)| {
            let key = format!("{} {}", factor.purpose.name(), factor.region.as_deref().unwrap_or(""));
            (key, factor.use_from, factor.use_to, &factor.id, ("factor", row))
        },
    )));
    let fuels = series
        .fuel
        .iter()
        .enumerate()
        .filter(|(_, fuel)| fuel.purpose != FuelPurpose::Reference);
    found.extend(overlaps(fuels.map(|(row, fuel)| {
        let key = format!("{} {}", fuel.purpose.name(), fuel.fuel);
        (key, fuel.use_from, fuel.use_to, &fuel.id, ("fuel", row))
    })));
    found.extend(overlaps(series.toe.iter().enumerate().map(|(row, toe)| {
        (
            format!("{:?}", toe.basis),
            toe.use_from,
            toe.use_to,
            &toe.id,
            ("toe", row),
        )
    })));
    found
}

fn repeated(series: &FactorSeries) -> Vec<(Row, Title)> {
    let factors = series
        .factor
        .iter()
        .enumerate()
        .map(|(row, factor)| (&factor.id, ("factor", row)));
    let toes = series.toe.iter().enumerate().map(|(row, toe)| (&toe.id, ("toe", row)));
    let fuels = series
        .fuel
        .iter()
        .enumerate()
        .map(|(row, fuel)| (&fuel.id, ("fuel", row)));
    let mut seen = BTreeSet::new();
    factors
        .chain(toes)
        .chain(fuels)
        .filter(|(id, _)| !seen.insert(id.as_str()))
        .map(|(id, row)| (row, both!("id가 {id:?}인 행이 둘입니다", "two rows have the id {id:?}")))
        .collect()
}

/// A split that does not lead to the factor's value.
fn split(factor: &Factor, gwp: Option<&[Gwp]>) -> Option<Title> {
    let set = factor.gwp.as_deref()?;
    let sets = gwp?;
    let Some(gwp) = sets.iter().find(|gwp| gwp.set == set) else {
        return Some(both!(
            "배출계수 {:?}: factors/gwp.toml에 온난화지수 {set:?}이(가) 없습니다",
            "factor {:?}: factors/gwp.toml has no set {set:?} of warming potentials",
            factor.id
        ));
    };
    let made = factor.from_split(gwp)?;
    let is_off = (made - factor.kgco2e_per_kwh).abs() > SPLIT_TOLERANCE;
    is_off.then(|| {
        both!(
            "배출계수 {:?}의 값은 {}인데 {set} 기준 가스별 합계는 {made:.4}입니다",
            "factor {:?} is {}, its split by {set} makes {made:.4}",
            factor.id,
            factor.kgco2e_per_kwh
        )
    })
}

/// What it stands for, from when and until when, its id, and its row.
type Period<'a> = (String, Date, Option<Date>, &'a String, Row);

/// Rows of one key that hold on one day: it would not be known which to take.
fn overlaps<'a>(rows: impl Iterator<Item = Period<'a>>) -> Vec<(Row, Title)> {
    let mut rows: Vec<Period<'_>> = rows.collect();
    rows.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    rows.windows(2)
        .filter(|pair| pair[0].0 == pair[1].0 && pair[0].2.is_none_or(|last| pair[1].1 <= last))
        .map(|pair| {
            let (one, next) = (&pair[0], &pair[1]);
            (
                next.4,
                both!(
                    "{:?}, {:?} 두 행이 모두 {}에 적용됩니다",
                    "{:?} and {:?} both hold on {}",
                    one.3,
                    next.3,
                    next.1
                ),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostic::{Diagnostic, messages};

    fn check(rows: &str, expected: &[&str]) {
        let text = format!("title = {{ ko = '가', en = 'a' }}\n{rows}");
        let series: FactorSeries = toml::from_str(&text).unwrap();
        let sar =
            "title = { ko = '가', en = 'a' }\n[[gwp]]\nset = 'SAR'\nch4 = 21\nn2o = 310\nsource = 's'\nstatus = 's'\n";
        let gwp = toml::from_str::<FactorSeries>(sar).unwrap().gwp;
        let told = problems(&series, Some(&gwp)).into_iter();
        let told = told.map(|(_, why)| Diagnostic::new(Code::BadDataFile, why)).collect();
        let told = messages(told);
        assert_eq!(told, expected, "{rows}");
    }

    fn row(id: &str, purpose: &str, from: &str, rest: &str) -> String {
        format!(
            "[[factor]]\nid = '{id}'\nkgco2e_per_kwh = 0.4594\npurpose = '{purpose}'\nuse_from = '{from}'\nauthority = 'a'\n\
             source = 's'\nstatus = 's'\n{rest}\n"
        )
    }

    #[test]
    fn what_cannot_be_told_apart_or_made_is_said() {
        let good = "kgco2_per_kwh = 0.4567\nkgch4_per_mwh = 0.0036\nkgn2o_per_mwh = 0.0085\ngwp = 'SAR'";
        check(&row("a", "esg_location", "2018-01-01", good), &[]);
        check(
            &row("a", "esg_location", "2018-01-01", &good.replace("0.4567", "0.5567")),
            &["factor \"a\" is 0.4594, its split by SAR makes 0.5594"],
        );
        check(
            &row("a", "esg_location", "2018-01-01", &good.replace("SAR", "AR9")),
            &["factor \"a\": factors/gwp.toml has no set \"AR9\" of warming potentials"],
        );
        let two = row("a", "esg_location", "2018-01-01", "") + &row("b", "esg_location", "2021-01-01", "");
        check(&two, &["\"a\" and \"b\" both hold on 2021-01-01"]);
        let apart = row("a", "esg_location", "2018-01-01", "use_to = '2020-12-31'")
            + &row("b", "esg_location", "2021-01-01", "")
            + &row("c", "reference", "2018-01-01", "");
        check(&apart, &[]);
        let regions = row("a", "esg_location", "2018-01-01", "region = 'x'")
            + &row("a", "esg_location", "2018-01-01", "region = 'y'");
        check(&regions, &["two rows have the id \"a\""]);
    }
}
