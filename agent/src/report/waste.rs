//! Findings added up: by kind, and what they cost together.
//!
//! Pure. Invariants: what is not known of any finding is `None`, never 0.

use std::collections::BTreeMap;

use energy::{Finding, Site, finding::Kind};
use rust_decimal::Decimal;

use super::figures::{KindFigures, currency, some_sum};

/// What findings cost together, in the site's currency. A demand peak costs what lies above those before it on its bill.
pub(crate) fn cost_sum<'a>(findings: impl IntoIterator<Item = &'a Finding>, site: &Site) -> Option<Decimal> {
    let currency = currency(site)?;
    let costs = findings.into_iter().filter_map(|finding| finding.cost.as_ref());
    costs
        .filter(|cost| cost.currency == currency)
        .map(|cost| cost.amount)
        .reduce(|sum, amount| sum + amount)
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
