//! Owns the TC string, the consent string of the IAB Transparency and Consent Framework. Always: a parsed string is in
//! force at the moment of parsing, and no text makes this panic.
//!
//! ```text
//!   base64url(core) [ . base64url(disclosed vendors) ] [ . base64url(publisher TC) ]     the last two in any order
//!   core:       version 6 · created 36 · last updated 36 · CMP 12 · its version 12 · screen 6 · language 12 ·
//!               vendor list 12 · policy 6 · service-specific 1 · own texts 1 · special features 12 ·
//!               purposes by consent 24 · by legitimate interest 24 · purpose 1 treatment 1 · country 12 ·
//!               vendors by consent · by legitimate interest · publisher restrictions
//!   disclosed:  001 · vendors
//!   publisher:  011 · purposes by consent 24 · by legitimate interest 24 · n 6 · own purposes n · n
//!   vendors:    largest id 16 · is range 1 · one bit an id | entries 12 · (is range 1 · first 16 · [last 16])…
//! ```
//! Source: IAB Europe, Transparency and Consent String with Global Vendor & CMP List Formats, sections
//! "TC String Format", "What happened to Created and LastUpdated?" and "What happened to Global Scope and Out of Band?"
//! <https://github.com/InteractiveAdvertisingBureau/GDPR-Transparency-and-Consent-Framework/tree/master/TCFv2>.
//!
//! Bits after the last known field are ignored, as in the IAB's own libraries: a later revision may use them. A
//! segment of type 2 (vendors allowed out of band) has had no meaning since September 2021 and is ignored.
//! docs/consent-exports.md lists where this decoder differs from the IAB's libraries.

mod core_segment;
mod in_force;
mod vendor_purposes;
mod vendors;

pub use vendor_purposes::VendorPurposes;
pub use vendors::VendorSet;

use super::bits::{Bits, check_characters};
use crate::{
    error::{ProfileError, TcStringError},
    id::{DAY_MS, TimestampMs},
    label::Label,
    limits::TC_STRING_BYTES_MAX,
};

const SEGMENT_DISCLOSED_VENDORS: u64 = 1;
const SEGMENT_ALLOWED_VENDORS: u64 = 2;
const SEGMENT_PUBLISHER: u64 = 3;
/// Purposes that may rest on consent alone: 1 since TCF 2.0 (a vendor may not register it otherwise), 3 to 6 since 2.2.
const CONSENT_ONLY: [u8; 5] = [1, 3, 4, 5, 6];

/// A stored TC string: one that was in force when it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTcString {
    /// The text as received.
    pub text: Label<TC_STRING_BYTES_MAX>,
    /// When it was recorded.
    pub recorded_at: TimestampMs,
}

impl StoredTcString {
    /// Checks a text received now.
    ///
    /// # Errors
    /// `TcString` with the fault.
    pub fn new(text: &str, now: TimestampMs) -> Result<Self, ProfileError> {
        TcString::parse(text, now)?;
        Ok(Self { text: Label::new("tc_string", text)?, recorded_at: now })
    }

    /// When it was updated: by itself, since the framework's strings name a day alone. One that is dated ahead of its
    /// arrival counts from the beginning of that day: whoever made it had a fast clock.
    pub(crate) fn updated_on(&self) -> Option<TimestampMs> {
        let updated = self.parse().ok()?.last_updated;
        let arrived = self.recorded_at.as_ms();
        let day = TimestampMs::from_ms(arrived - arrived.rem_euclid(DAY_MS));
        Some(if updated > self.recorded_at { day } else { updated })
    }

    /// What the text says. It was in force when it was recorded.
    ///
    /// # Errors
    /// The fault; never for a text that [`StoredTcString::new`] accepted.
    pub fn parse(&self) -> Result<TcString, TcStringError> {
        TcString::read(self.text.as_str())
    }
}

/// How a publisher restricts a purpose at some vendors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VendorRestriction {
    /// 0: not allowed, whatever the vendor has registered.
    NotAllowed,
    /// 1: by consent alone.
    RequireConsent,
    /// 2: by legitimate interest alone.
    RequireLegitimateInterest,
    /// 3: without a meaning.
    Undefined,
}

impl VendorRestriction {
    /// Of two bits.
    const fn of(number: u8) -> Self {
        match number {
            0 => Self::NotAllowed,
            1 => Self::RequireConsent,
            2 => Self::RequireLegitimateInterest,
            _ => Self::Undefined,
        }
    }
}

/// A purpose that the publisher restricts at some vendors. It binds them: see [`TcString::vendor_purposes`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublisherRestriction {
    /// The framework's purpose, 1 to 63.
    pub purpose: u8,
    /// The restriction.
    pub restriction: VendorRestriction,
    /// The vendors.
    pub vendors: VendorSet,
}

/// What a publisher may do for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublisherConsent {
    /// The framework's purposes that are consented to.
    pub purposes_consent: Vec<u8>,
    /// The framework's purposes on legitimate interest, not objected to.
    pub purposes_legitimate_interest: Vec<u8>,
    /// The publisher's own purposes that are consented to.
    pub custom_purposes_consent: Vec<u8>,
    /// The publisher's own purposes on legitimate interest, not objected to.
    pub custom_purposes_legitimate_interest: Vec<u8>,
}

/// A decoded TC string. Ids count from 1 and are in ascending order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcString {
    /// When it was made; a day since 2021.
    pub created: TimestampMs,
    /// When it was changed last; the same as `created` since 2021.
    pub last_updated: TimestampMs,
    /// The consent management platform.
    pub cmp_id: u16,
    /// Its version.
    pub cmp_version: u16,
    /// Its screen.
    pub consent_screen: u8,
    /// Two capital letters, as the IAB's libraries write them.
    pub consent_language: String,
    /// The version of the global vendor list.
    pub vendor_list_version: u16,
    /// The version of the framework's policy.
    pub policy_version: u8,
    /// For one service or group of services only; true of every string in force, see [`TcStringError::GlobalScope`].
    pub service_specific: bool,
    /// The platform showed texts of its own.
    pub non_standard_texts: bool,
    /// Special features that were opted in to, 1 to 12.
    pub special_features: Vec<u8>,
    /// Purposes that are consented to, 1 to 24.
    pub purposes_consent: Vec<u8>,
    /// Purposes on legitimate interest, not objected to, 2 to 24; never 1 or 3 to 6, which may rest on consent alone,
    /// whatever the bits say.
    pub purposes_legitimate_interest: Vec<u8>,
    /// Purpose 1 was not disclosed.
    pub purpose_one_treatment: bool,
    /// Two capital letters.
    pub publisher_country: String,
    /// Vendors that are consented to.
    pub vendors_consent: VendorSet,
    /// Vendors on legitimate interest, not objected to.
    pub vendors_legitimate_interest: VendorSet,
    /// What the publisher restricts.
    pub publisher_restrictions: Vec<PublisherRestriction>,
    /// Vendors that were shown; `None`: the string does not say.
    pub vendors_disclosed: Option<VendorSet>,
    /// What the publisher may do for itself; `None`: the string does not say.
    pub publisher: Option<PublisherConsent>,
}

impl TcString {
    /// Decodes a text received now.
    ///
    /// # Errors
    /// The first fault, also if it is not in force; see [`TcStringError`].
    pub fn parse(text: &str, now: TimestampMs) -> Result<Self, TcStringError> {
        let read = Self::read(text)?;
        read.check_in_force(now)?;
        Ok(read)
    }

    /// Decodes a text, in force or not.
    ///
    /// # Errors
    /// The first fault of its form.
    pub fn read(text: &str) -> Result<Self, TcStringError> {
        if text.len() > TC_STRING_BYTES_MAX {
            return Err(TcStringError::TooLong);
        }
        if let Some(kind) = other_string(text) {
            return Err(TcStringError::OtherString { kind });
        }
        check_characters(text, b".")?;
        let mut segments = text.split('.');
        let mut read = Self::read_core(&mut Bits::decode(segments.next().unwrap_or_default())?)?;
        for segment in segments {
            let mut bits = Bits::decode(segment)?;
            let is_repeated = match bits.number(3)? {
                SEGMENT_DISCLOSED_VENDORS => {
                    read.vendors_disclosed.replace(VendorSet::read(&mut bits)?).is_some()
                }
                SEGMENT_PUBLISHER => read.publisher.replace(PublisherConsent::read(&mut bits)?).is_some(),
                SEGMENT_ALLOWED_VENDORS => false,
                _ => return Err(TcStringError::Segment),
            };
            if is_repeated {
                return Err(TcStringError::Segment);
            }
        }
        Ok(read)
    }
}

/// What a text is that is a consent string of another framework.
fn other_string(text: &str) -> Option<&'static str> {
    if text.starts_with('D') && text.contains('~') {
        return Some("GPP string");
    }
    let is_us_privacy = matches!(text.as_bytes(), [b'1', rest @ ..] if rest.len() == 3);
    is_us_privacy.then_some("US Privacy string")
}

fn without_consent_only(purposes: Vec<u8>) -> Vec<u8> {
    purposes.into_iter().filter(|purpose| !CONSENT_ONLY.contains(purpose)).collect()
}

impl PublisherConsent {
    fn read(bits: &mut Bits) -> Result<Self, TcStringError> {
        let purposes_consent = bits.ids(24)?;
        let purposes_legitimate_interest = without_consent_only(bits.ids(24)?);
        let custom = bits.small(6)?;
        Ok(Self {
            purposes_consent,
            purposes_legitimate_interest,
            custom_purposes_consent: bits.ids(custom)?,
            custom_purposes_legitimate_interest: bits.ids(custom)?,
        })
    }
}
