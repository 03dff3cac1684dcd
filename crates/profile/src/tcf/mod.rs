//! Owns the TC string, the consent string of the IAB Transparency and Consent Framework 2.3. Always: a parsed string is
//! in force at the moment of parsing, and no text makes this panic.
//!
//! ```text
//!   base64url(core) . base64url(disclosed vendors) [ . base64url(publisher TC) ]     the last two in any order
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

mod bits;
mod core_segment;
mod vendors;

use bits::Bits;
use core_segment::Core;
pub use vendors::VendorSet;

use crate::{
    error::{ProfileError, TcStringError},
    id::{DAY_MS, TimestampMs},
    label::Label,
    limits::TC_STRING_BYTES_MAX,
};

const SEGMENT_DISCLOSED_VENDORS: u64 = 1;
const SEGMENT_ALLOWED_VENDORS: u64 = 2;
const SEGMENT_PUBLISHER: u64 = 3;

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

    /// What the text says, as it was understood when it was recorded.
    ///
    /// # Errors
    /// The fault; never for a text that [`StoredTcString::new`] accepted.
    pub fn parse(&self) -> Result<TcString, TcStringError> {
        TcString::parse(self.text.as_str(), self.recorded_at)
    }
}

/// What a publisher may not do, or only on another ground, for a purpose at some vendors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublisherRestriction {
    /// The framework's purpose, 1 to 63.
    pub purpose: u8,
    /// 0: not allowed; 1: by consent only; 2: by legitimate interest only; 3: without a meaning.
    pub restriction: u8,
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
    /// The version of the framework's policy, at least 5.
    pub policy_version: u8,
    /// For one service or group of services only; always true, see [`TcStringError::GlobalScope`].
    pub service_specific: bool,
    /// The platform showed texts of its own.
    pub non_standard_texts: bool,
    /// Special features that were opted in to, 1 to 12.
    pub special_features: Vec<u8>,
    /// Purposes that are consented to, 1 to 24.
    pub purposes_consent: Vec<u8>,
    /// Purposes on legitimate interest, not objected to, 1 to 24; never 3 to 6, for which the framework has had no
    /// legitimate interest since 2.2, whatever the bits say.
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
    /// Vendors that were shown.
    pub vendors_disclosed: VendorSet,
    /// What the publisher may do for itself.
    pub publisher: Option<PublisherConsent>,
}

impl TcString {
    /// Decodes a text received now.
    ///
    /// # Errors
    /// The first fault; see [`TcStringError`].
    pub fn parse(text: &str, now: TimestampMs) -> Result<Self, TcStringError> {
        if text.len() > TC_STRING_BYTES_MAX {
            return Err(TcStringError::TooLong);
        }
        let mut segments = text.split('.');
        let mut core_bits = Bits::decode(segments.next().unwrap_or_default())?;
        let core = Core::read(&mut core_bits)?;
        core.check_in_force(now)?;
        let (mut disclosed, mut publisher) = (None, None);
        for segment in segments {
            let mut bits = Bits::decode(segment)?;
            let is_repeated = match bits.number(3)? {
                SEGMENT_DISCLOSED_VENDORS => disclosed.replace(VendorSet::read(&mut bits)?).is_some(),
                SEGMENT_PUBLISHER => publisher.replace(PublisherConsent::read(&mut bits)?).is_some(),
                SEGMENT_ALLOWED_VENDORS => false,
                _ => return Err(TcStringError::Segment),
            };
            if is_repeated {
                return Err(TcStringError::Segment);
            }
        }
        let vendors_disclosed = disclosed.ok_or(TcStringError::NoDisclosedVendors)?;
        Ok(core.with_segments(vendors_disclosed, publisher))
    }
}

impl PublisherConsent {
    fn read(bits: &mut Bits) -> Result<Self, TcStringError> {
        let purposes_consent = bits.ids(24)?;
        let purposes_legitimate_interest = bits.ids(24)?;
        let custom = bits.small(6)?;
        Ok(Self {
            purposes_consent,
            purposes_legitimate_interest,
            custom_purposes_consent: bits.ids(custom)?,
            custom_purposes_legitimate_interest: bits.ids(custom)?,
        })
    }
}
