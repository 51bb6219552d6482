//! What one kWh costs at an instant.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::Contract;

/// Band of a time-of-use tariff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "plain words")]
pub enum Band {
    Light,
    Mid,
    Peak,
    Flat,
}

/// Price of one kWh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// Band it was taken from.
    pub band: Band,
    /// Energy price after discounts, plus charges on every kWh, before levies.
    pub net_per_kwh: Decimal,
    /// With the levies of the day.
    pub gross_per_kwh: Decimal,
}

/// A price and until when it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceUntil {
    /// The price; `None` when no edition covers the instant.
    pub price: Option<Price>,
    /// The next instant at which it may change.
    pub until: Timestamp,
}

impl Contract {
    /// Whether the contract has begun at `at`.
    pub fn has_begun(&self, _at: Timestamp) -> bool {
        false
    }
}

impl Contract {
    /// Stand-in until the tariff is evaluated: no price is known.
    pub fn price_at(&self, at: Timestamp) -> PriceUntil {
        PriceUntil {
            price: None,
            until: at + jiff::SignedDuration::from_hours(1),
        }
    }
}
