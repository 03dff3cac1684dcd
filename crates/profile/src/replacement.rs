//! Owns when a request may replace a value as a whole: the data subject, the preferences, the consent strings. Always: a late
//! retry brings back nothing that was replaced since; and what limits the use of the data (a restriction, a wish not to be
//! contacted) is lifted only by who has read it.
//!
//! A request that names the version it read is ordered by that: the version stands, or the call fails. One that names
//! none is ordered by when it was made, which a UUIDv7 says. A retry has the id of the first attempt, so it is older than
//! what came in between. The clocks of two callers may differ; then the call of the slower one fails, and nothing
//! is overwritten in silence. A change that only limits the use further is taken whatever its date.

use crate::{error::ProfileError, id::TimestampMs};

/// What a request says about the value that it replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// It names the version that was read, which still stands.
    Version {
        /// When the request was made, no later than now.
        made_at: TimestampMs,
    },
    /// It names none.
    Date {
        /// When the request was made, no later than now.
        made_at: TimestampMs,
    },
}

impl Precondition {
    /// Whether the request may replace what an earlier one, made at `replaced`, wrote.
    ///
    /// # Errors
    /// `RequestSuperseded` if it was made before that.
    pub(crate) fn check(self, replaced: Option<TimestampMs>) -> Result<(), ProfileError> {
        match self {
            Self::Date { made_at } if replaced.is_some_and(|replaced| made_at < replaced) => {
                Err(ProfileError::RequestSuperseded)
            }
            Self::Date { .. } | Self::Version { .. } => Ok(()),
        }
    }

    /// Whether the request may lift a limit.
    ///
    /// # Errors
    /// `LiftsUnseen` if it names no version.
    pub(crate) const fn check_lifting(self, limit: &'static str) -> Result<(), ProfileError> {
        match self {
            Self::Version { .. } => Ok(()),
            Self::Date { .. } => Err(ProfileError::LiftsUnseen { limit }),
        }
    }

    /// The date of the value after the change: it never goes back.
    pub(crate) fn date_after(self, replaced: Option<TimestampMs>) -> Option<TimestampMs> {
        let (Self::Version { made_at } | Self::Date { made_at }) = self;
        Some(made_at).max(replaced)
    }
}
