//! Every id is its own type: a positive integer below 2^53, so that JavaScript can hold it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The largest id there may be (2^53 - 1, the largest integer a double holds exactly).
pub const MAX_ID: i64 = (1 << 53) - 1;

/// An id was zero, negative or too large for JSON numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is an integer from 1 to 9007199254740991, not {0}")]
pub struct InvalidId(pub i64);

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "i64", into = "i64")]
        pub struct $name(i64);

        impl $name {
            /// The number itself.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl TryFrom<i64> for $name {
            type Error = InvalidId;

            fn try_from(id: i64) -> Result<Self, InvalidId> {
                if (1..=MAX_ID).contains(&id) { Ok(Self(id)) } else { Err(InvalidId(id)) }
            }
        }

        impl From<$name> for i64 {
            fn from(id: $name) -> i64 {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// One monitored quantity of one process: a control chart.
    CharacteristicId;
    /// One subgroup (or individual) that was measured.
    SampleId;
    /// One rule that fired on one sample.
    ViolationId;
    /// Violations of one characteristic that belong together.
    EpisodeId;
    /// One notice to one receiver: what is tried until it is over.
    DeliveryId;
    /// A while in which nobody is told of some processes.
    SilenceId;
    /// One set of control limits, which is also one phase of a characteristic.
    LimitsId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_positive_and_fits_a_double() {
        assert_eq!(SampleId::try_from(1).map(SampleId::get), Ok(1));
        assert_eq!(SampleId::try_from(MAX_ID).map(SampleId::get), Ok(MAX_ID));
        for bad in [0, -1, MAX_ID + 1, i64::MIN] {
            assert_eq!(SampleId::try_from(bad), Err(InvalidId(bad)));
        }
    }
}
