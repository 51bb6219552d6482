//! What a message says of a meter, or why it says nothing.
//!
//! It reads no message. Invariant: each reason has one label, the label `reason` of the counter `dropped_total`.

use energy::Name;

use super::payload::{Content, PayloadError};

/// Label of a message that says nothing of a meter, and need not.
pub(super) const OF_OTHER_THINGS: &str = "of_other_things";

/// What a message says of one meter.
#[derive(Debug, PartialEq)]
pub struct Said {
    /// The meter.
    pub meter: Name,
    /// What it says, or why it says nothing.
    pub content: Result<Content, Refusal>,
}

/// Why a message says nothing of a meter, or less than it gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Label `reason` of the counter `dropped_total`.
    pub label: &'static str,
    /// For people.
    pub reason: String,
    /// Whether it is worth a person's look: poison, and not one that speaks of other things.
    pub is_kept: bool,
}

impl Refusal {
    /// Of values beside others that could be read.
    pub(super) fn of_values(error: &PayloadError) -> Self {
        Self {
            label: error.reason(),
            reason: format!("{error}; the message's other values were taken"),
            is_kept: true,
        }
    }

    pub(super) fn of(error: &PayloadError, is_partial: bool) -> Self {
        let is_of_others = is_partial && matches!(error, PayloadError::Missing(_));
        Self {
            label: if is_of_others { OF_OTHER_THINGS } else { error.reason() },
            reason: error.to_string(),
            is_kept: !is_of_others,
        }
    }
}
