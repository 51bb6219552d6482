//! Hours, price and factor that hold for a machine: looked up once, used for all samples until one of them changes.

use crate::{
    detect::{Rate, RatePrice},
    interval::{grid::floor, point::timestamp},
    site::{Machine, Site},
    tariff::contract_at,
};

/// What holds for a machine until an instant: looked up once, used for all samples until then.
#[derive(Debug, Clone, Default)]
pub(super) struct Context {
    from_ms: i64,
    pub(super) until_ms: i64,
    pub(super) is_open: Option<bool>,
    pub(super) rate: Rate,
}

/// A context never holds longer than this.
const CONTEXT_MAX_MS: i64 = 3_600_000;

impl Context {
    /// Whether it was looked up for a stretch that holds `at_ms`; a fresh one holds nothing.
    pub(super) fn holds(&self, at_ms: i64) -> bool {
        (self.from_ms..self.until_ms).contains(&at_ms)
    }

    /// What holds for `machine` from `at_ms` on.
    pub(super) fn at(site: &Site, machine: &Machine, at_ms: i64) -> Self {
        let at = timestamp(at_ms);
        let open = machine.hours.as_ref().map(|hours| hours.at(at));
        let contract = contract_at(&site.contracts, at);
        let price = contract.map(|contract| (contract, contract.price_at(at)));
        let ends = [
            open.map(|open| open.until),
            price.as_ref().map(|(_, price)| price.until),
        ];
        let whole_hour_ms = floor(at_ms, CONTEXT_MAX_MS) + CONTEXT_MAX_MS;
        let until_ms = ends
            .iter()
            .flatten()
            .map(|until| until.as_millisecond())
            .fold(whole_hour_ms, i64::min);
        let factor = site
            .carbon
            .as_ref()
            .and_then(|series| series.location(site.zone.to_datetime(at).date()));
        let rate = Rate {
            price: price.and_then(|(contract, price)| {
                let price = price.price?;
                Some(RatePrice {
                    band: price.band,
                    net: price.net_per_kwh,
                    gross: price.gross_per_kwh,
                    decimals: contract.rules.decimals,
                    currency: contract.rules.currency.as_str().into(),
                })
            }),
            kgco2e_per_kwh: factor.map(|factor| factor.kgco2e_per_kwh),
        };
        Self {
            from_ms: at_ms,
            until_ms,
            is_open: open.map(|open| open.is_open),
            rate,
        }
    }
}
