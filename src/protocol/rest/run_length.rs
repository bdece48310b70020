//! What the rules of a characteristic cost in false alarms, over REST.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::rules::RuleSet;
use crate::domain::run_length::{AverageRunLength, RunLengthMethod};
use crate::protocol::rest::characteristic::{RuleView, RulesView};

/// Answer of `GET` and `PUT /characteristics/{id}/rules`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RulesAnswer {
    /// All eight.
    pub rules: Vec<RuleView>,
    pub in_control_arl: InControlArl,
}

impl RulesAnswer {
    /// Rules with their run length; `None` while that is not known.
    pub fn new(rules: &RuleSet, in_control_arl: Option<AverageRunLength>) -> Self {
        Self { rules: RulesView::from(rules).rules, in_control_arl: in_control_arl.into() }
    }
}

/// Points on the location chart until the first false signal, on average, for independent normal points and
/// known limits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum InControlArl {
    /// It is known.
    Known {
        /// In points; null without rules (`exact`: there is never a signal), and where none was seen in all that
        /// was simulated (`simulation`).
        value: Option<f64>,
        /// In points; null where `value` is no estimate.
        standard_error: Option<f64>,
        method: RunLengthMethod,
    },
    /// It will be: ask again.
    Pending {
        /// Always true.
        pending: bool,
    },
}

impl From<Option<AverageRunLength>> for InControlArl {
    fn from(run_length: Option<AverageRunLength>) -> Self {
        match run_length {
            Some(AverageRunLength { points, standard_error, method }) => {
                Self::Known { value: points, standard_error, method }
            }
            None => Self::Pending { pending: true },
        }
    }
}
