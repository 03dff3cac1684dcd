//! Owns the core segment of a TC string, and whether it is in force.

use jiff::{Timestamp, ToSpan, tz::TimeZone};

use super::{Bits, PublisherConsent, PublisherRestriction, TcString, VendorSet};
use crate::{error::TcStringError, id::TimestampMs, limits::FUTURE_MAX_MS};

const VERSION: u8 = 2;
/// Of TCF 2.3.
const POLICY_VERSION_MIN: u8 = 5;
/// After which customers must be asked again.
const VALID_MONTHS: i64 = 13;
/// Purposes that have had no legitimate interest since TCF 2.2.
const CONSENT_ONLY: std::ops::RangeInclusive<u8> = 3..=6;

/// The core segment, with nothing from the other segments.
#[derive(Debug)]
pub(super) struct Core(TcString);

impl Core {
    pub(super) fn read(bits: &mut Bits) -> Result<Self, TcStringError> {
        let version = bits.small(6)?;
        if version != VERSION {
            return Err(TcStringError::Version { found: version });
        }
        // In the order of the segment.
        let core = TcString {
            created: read_moment(bits)?,
            last_updated: read_moment(bits)?,
            cmp_id: bits.medium(12)?,
            cmp_version: bits.medium(12)?,
            consent_screen: bits.small(6)?,
            consent_language: bits.letters("consent language")?,
            vendor_list_version: bits.medium(12)?,
            policy_version: bits.small(6)?,
            service_specific: bits.flag()?,
            non_standard_texts: bits.flag()?,
            special_features: bits.ids(12)?,
            purposes_consent: bits.ids(24)?,
            purposes_legitimate_interest: without_consent_only(bits.ids(24)?),
            purpose_one_treatment: bits.flag()?,
            publisher_country: bits.letters("publisher country")?,
            vendors_consent: VendorSet::read(bits)?,
            vendors_legitimate_interest: VendorSet::read(bits)?,
            publisher_restrictions: read_restrictions(bits)?,
            vendors_disclosed: VendorSet::default(),
            publisher: None,
        };
        Ok(Self(core))
    }

    /// Whether the string may be relied upon now.
    pub(super) fn check_in_force(&self, now: TimestampMs) -> Result<(), TcStringError> {
        let Self(core) = self;
        if core.policy_version < POLICY_VERSION_MIN {
            return Err(TcStringError::PolicyVersion { found: core.policy_version });
        }
        if !core.service_specific {
            return Err(TcStringError::GlobalScope);
        }
        if core.created.max(core.last_updated) > now.plus_ms(FUTURE_MAX_MS) {
            return Err(TcStringError::InFuture);
        }
        if is_outdated(core.last_updated, now) { Err(TcStringError::Outdated) } else { Ok(()) }
    }

    pub(super) fn with_segments(
        self,
        vendors_disclosed: VendorSet,
        publisher: Option<PublisherConsent>,
    ) -> TcString {
        TcString { vendors_disclosed, publisher, ..self.0 }
    }
}

/// Tenths of a second since 1970.
fn read_moment(bits: &mut Bits) -> Result<TimestampMs, TcStringError> {
    let tenths = i64::try_from(bits.number(36)?);
    tenths
        .map(|tenths| TimestampMs::from_ms(tenths * 100))
        .map_err(|_more_than_36_bits| TcStringError::Truncated)
}

fn without_consent_only(purposes: Vec<u8>) -> Vec<u8> {
    purposes.into_iter().filter(|purpose| !CONSENT_ONLY.contains(purpose)).collect()
}

fn read_restrictions(bits: &mut Bits) -> Result<Vec<PublisherRestriction>, TcStringError> {
    let mut restrictions = Vec::new();
    for _ in 0..bits.medium(12)? {
        let (purpose, restriction) = (bits.small(6)?, bits.small(2)?);
        if purpose == 0 {
            return Err(TcStringError::Field { field: "restricted purpose" });
        }
        let vendors = VendorSet::read_ranges(bits, u16::MAX)?;
        restrictions.push(PublisherRestriction { purpose, restriction, vendors });
    }
    Ok(restrictions)
}

/// Whether more than 13 months of the calendar (UTC) have passed; if the month has no such day, its last day counts.
fn is_outdated(last_updated: TimestampMs, now: TimestampMs) -> bool {
    let until = Timestamp::from_millisecond(last_updated.as_ms())
        .and_then(|updated| updated.to_zoned(TimeZone::UTC).checked_add(VALID_MONTHS.months()));
    // A moment beyond the calendar's end cannot be past.
    until.is_ok_and(|until| now.as_ms() > until.timestamp().as_millisecond())
}
