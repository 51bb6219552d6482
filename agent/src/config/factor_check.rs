//! Whether a factor file can be used: ids once, one factor a purpose and day, splits that lead to their value.
//!
//! It applies no factor. It is here because a file of the user may override a shipped one.

use std::collections::BTreeSet;

use energy::carbon::{Factor, FactorSeries, Gwp, Purpose, fuel::FuelPurpose};
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
    for why in problems(series, gwp(context.data).as_deref()) {
        file.report(Code::BadDataFile, 0..0, why);
    }
}

/// The warming potentials of `factors/gwp.toml`; `None` when the file cannot be used, which a listing says.
pub fn gwp(data: &DataFiles) -> Option<Vec<Gwp>> {
    let source = data.read(Folder::Factors, "gwp")?.ok()?;
    toml::from_str::<FactorSeries>(&source.text)
        .ok()
        .map(|series| series.gwp)
}

fn problems(series: &FactorSeries, gwp: Option<&[Gwp]>) -> Vec<String> {
    let mut found = repeated(series);
    for factor in &series.factor {
        found.extend(split(factor, gwp));
    }
    let of_use = series.factor.iter().filter(|f| f.purpose != Purpose::Reference);
    found.extend(overlaps(of_use.map(|factor| {
        let key = format!("{} {}", factor.purpose.name(), factor.region.as_deref().unwrap_or(""));
        (key, &factor.id, factor.use_from, factor.use_to)
    })));
    let of_use = series.fuel.iter().filter(|row| row.purpose != FuelPurpose::Reference);
    found.extend(overlaps(of_use.map(|row| {
        let key = format!("{} {}", row.purpose.name(), row.fuel);
        (key, &row.id, row.use_from, row.use_to)
    })));
    found.extend(overlaps(
        series
            .toe
            .iter()
            .map(|toe| (format!("{:?}", toe.basis), &toe.id, toe.use_from, toe.use_to)),
    ));
    found
}

fn repeated(series: &FactorSeries) -> Vec<String> {
    let ids = series.factor.iter().map(|row| &row.id);
    let ids = ids.chain(series.toe.iter().map(|row| &row.id));
    let ids = ids.chain(series.fuel.iter().map(|row| &row.id));
    let mut seen = BTreeSet::new();
    ids.filter(|id| !seen.insert(id.as_str()))
        .map(|id| format!("two rows have the id {id:?}"))
        .collect()
}

/// A split that does not lead to the factor's value.
fn split(factor: &Factor, gwp: Option<&[Gwp]>) -> Option<String> {
    let set = factor.gwp.as_deref()?;
    let sets = gwp?;
    let Some(gwp) = sets.iter().find(|gwp| gwp.set == set) else {
        return Some(format!(
            "factor {:?}: factors/gwp.toml has no set {set:?} of warming potentials",
            factor.id
        ));
    };
    let made = factor.from_split(gwp)?;
    let is_off = (made - factor.kgco2e_per_kwh).abs() > SPLIT_TOLERANCE;
    is_off.then(|| {
        format!(
            "factor {:?} is {}, its split by {set} makes {made:.4}",
            factor.id, factor.kgco2e_per_kwh
        )
    })
}

type Period<'a> = (String, &'a String, Date, Option<Date>);

/// Rows of one key that hold on one day: it would not be known which to take.
fn overlaps<'a>(rows: impl Iterator<Item = Period<'a>>) -> Vec<String> {
    let mut rows: Vec<Period<'_>> = rows.collect();
    rows.sort_by(|a, b| (&a.0, a.2).cmp(&(&b.0, b.2)));
    rows.windows(2)
        .filter(|pair| pair[0].0 == pair[1].0 && pair[0].3.is_none_or(|last| pair[1].2 <= last))
        .map(|pair| format!("{:?} and {:?} both hold on {}", pair[0].1, pair[1].1, pair[1].2))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: &str, expected: &[&str]) {
        let text = format!("title = {{ ko = '가', en = 'a' }}\n{rows}");
        let series: FactorSeries = toml::from_str(&text).unwrap();
        let sar =
            "title = { ko = '가', en = 'a' }\n[[gwp]]\nset = 'SAR'\nch4 = 21\nn2o = 310\nsource = 's'\nstatus = 's'\n";
        let gwp = toml::from_str::<FactorSeries>(sar).unwrap().gwp;
        assert_eq!(problems(&series, Some(&gwp)), expected, "{rows}");
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
