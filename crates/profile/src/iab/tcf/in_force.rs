//! Owns whether a TC string may be relied upon.
//!
//! ```text
//!   updated before 2026-02-28       policy version 4 or later (TCF 2.2); disclosed vendors may be missing
//!   updated from 2026-02-28 on      policy version 5 or later (TCF 2.3 and 2.4: policies 5.0.a, 5.0.b); with disclosed vendors
//! ```
//! Source: the specification's sections "Managing conflicting string versions" and "Why was the disclosed vendor section
//! made mandatory in TCF 2.3?"; IAB Europe's transition period to TCF 2.3 ended on 28 February 2026. A string made under
//! an earlier rule stays valid until its 13 months have passed. Policies 5.0.b, published with TCF 2.4, left the format and
//! the number 5 as they were.

use jiff::{Timestamp, ToSpan, tz::TimeZone};

use super::TcString;
use crate::{error::TcStringError, id::TimestampMs, limits::FUTURE_MAX_MS};

/// 2026-02-28T00:00:00Z.
const TCF_2_3_FROM: TimestampMs = TimestampMs::from_ms(1_772_236_800_000);
const POLICY_OF_TCF_2_2: u8 = 4;
const POLICY_OF_TCF_2_3: u8 = 5;
/// After which customers must be asked again.
const VALID_MONTHS: i64 = 13;

impl TcString {
    /// Whether the string may be relied upon now.
    ///
    /// # Errors
    /// The first rule of the framework that it does not fulfil.
    pub fn check_in_force(&self, now: TimestampMs) -> Result<(), TcStringError> {
        let is_of_tcf_2_3 = self.created.max(self.last_updated) >= TCF_2_3_FROM;
        let required = if is_of_tcf_2_3 { POLICY_OF_TCF_2_3 } else { POLICY_OF_TCF_2_2 };
        if self.policy_version < required {
            return Err(TcStringError::PolicyVersion { found: self.policy_version, required });
        }
        if !self.service_specific {
            return Err(TcStringError::GlobalScope);
        }
        if is_of_tcf_2_3 && self.vendors_disclosed.is_none() {
            return Err(TcStringError::NoDisclosedVendors);
        }
        if self.created.max(self.last_updated) > now.plus_ms(FUTURE_MAX_MS) {
            return Err(TcStringError::InFuture);
        }
        if is_outdated(self.last_updated, now) { Err(TcStringError::Outdated) } else { Ok(()) }
    }
}

/// Whether more than 13 months of the calendar (UTC) have passed; if the month has no such day, its last day counts.
fn is_outdated(last_updated: TimestampMs, now: TimestampMs) -> bool {
    let until = Timestamp::from_millisecond(last_updated.as_ms())
        .and_then(|updated| updated.to_zoned(TimeZone::UTC).checked_add(VALID_MONTHS.months()));
    // A moment beyond the calendar's end cannot be past.
    until.is_ok_and(|until| now.as_ms() > until.timestamp().as_millisecond())
}
