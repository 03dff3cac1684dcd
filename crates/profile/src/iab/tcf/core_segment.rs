//! Owns the core segment of a TC string.

use super::{Bits, PublisherRestriction, TcString, VendorRestriction, VendorSet, without_consent_only};
use crate::{error::TcStringError, id::TimestampMs};

const VERSION: u8 = 2;

impl TcString {
    /// The core segment, with nothing from the other segments.
    pub(super) fn read_core(bits: &mut Bits) -> Result<Self, TcStringError> {
        let version = bits.small(6)?;
        if version != VERSION {
            return Err(TcStringError::Version { found: version });
        }
        // In the order of the segment.
        Ok(Self {
            created: read_moment(bits)?,
            last_updated: read_moment(bits)?,
            cmp_id: bits.medium(12)?,
            cmp_version: bits.medium(12)?,
            consent_screen: bits.small(6)?,
            consent_language: read_letters(bits, "consent language")?,
            vendor_list_version: bits.medium(12)?,
            policy_version: bits.small(6)?,
            service_specific: bits.flag()?,
            non_standard_texts: bits.flag()?,
            special_features: bits.ids(12)?,
            purposes_consent: bits.ids(24)?,
            purposes_legitimate_interest: without_consent_only(bits.ids(24)?),
            purpose_one_treatment: bits.flag()?,
            publisher_country: read_letters(bits, "publisher country")?,
            vendors_consent: VendorSet::read(bits)?,
            vendors_legitimate_interest: VendorSet::read(bits)?,
            publisher_restrictions: read_restrictions(bits)?,
            vendors_disclosed: None,
            publisher: None,
        })
    }
}

/// Tenths of a second since 1970.
fn read_moment(bits: &mut Bits) -> Result<TimestampMs, TcStringError> {
    let tenths = i64::try_from(bits.number(36)?);
    tenths
        .map(|tenths| TimestampMs::from_ms(tenths * 100))
        .map_err(|_more_than_36_bits| TcStringError::Truncated)
}

/// Two letters of six bits, `A` being 0.
fn read_letters(bits: &mut Bits, field: &'static str) -> Result<String, TcStringError> {
    let mut letters = String::new();
    for _ in 0..2 {
        let letter = b'A' + bits.small(6)?;
        if !letter.is_ascii_uppercase() {
            return Err(TcStringError::Field { field });
        }
        letters.push(letter.into());
    }
    Ok(letters)
}

fn read_restrictions(bits: &mut Bits) -> Result<Vec<PublisherRestriction>, TcStringError> {
    let mut restrictions = Vec::new();
    for _ in 0..bits.medium(12)? {
        let (purpose, restriction) = (bits.small(6)?, VendorRestriction::of(bits.small(2)?));
        if purpose == 0 {
            return Err(TcStringError::Field { field: "restricted purpose" });
        }
        let vendors = VendorSet::read_ranges(bits, u16::MAX)?;
        restrictions.push(PublisherRestriction { purpose, restriction, vendors });
    }
    Ok(restrictions)
}
