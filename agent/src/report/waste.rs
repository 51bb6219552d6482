//! Findings added up: by kind, and what they cost together.
//!
//! Pure. Invariants: what is not known of any finding is `None`, never 0; one bill bears one demand peak a month.

use std::collections::BTreeMap;

use energy::{Finding, Site, finding::Kind};
use jiff::civil::Date;
use rust_decimal::Decimal;

use super::{
    Month,
    figures::{KindFigures, currency, some_sum},
};

/// What findings cost together, in the site's currency. Demand peaks of one month stand on one bill, which is made from
/// the highest: the others cost nothing more.
pub(crate) fn cost_sum<'a>(findings: impl IntoIterator<Item = &'a Finding>, site: &Site) -> Option<Decimal> {
    let currency = currency(site)?;
    let mut bills = BTreeMap::<(Kind, Option<Date>), Decimal>::new();
    for finding in findings {
        let Some(cost) = finding.cost.as_ref().filter(|cost| cost.currency == currency) else {
            continue;
        };
        if finding.kind == Kind::DemandPeak {
            let month = Month::of(finding.since, &site.zone).first;
            let highest = bills.entry((finding.kind, Some(month))).or_default();
            *highest = cost.amount.max(*highest);
        } else {
            *bills.entry((finding.kind, None)).or_default() += cost.amount;
        }
    }
    bills.into_values().reduce(|sum, amount| sum + amount)
}

/// The findings of a time, kind by kind, in the catalogue's order.
pub(super) fn by_kind(findings: &[Finding], site: &Site) -> Vec<KindFigures> {
    let mut kinds = BTreeMap::<Kind, Vec<&Finding>>::new();
    for finding in findings {
        kinds.entry(finding.kind).or_default().push(finding);
    }
    let one_kind = |(kind, findings): (Kind, Vec<&Finding>)| KindFigures {
        kind,
        count: findings.len(),
        energy_kwh: some_sum(findings.iter().filter_map(|finding| finding.energy_kwh)),
        cost: cost_sum(findings.iter().copied(), site),
        kgco2e: some_sum(findings.iter().filter_map(|finding| finding.kgco2e)),
    };
    kinds.into_iter().map(one_kind).collect()
}
