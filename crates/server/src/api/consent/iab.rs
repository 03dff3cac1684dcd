//! Converts the IAB's consent strings to wire messages.

use custodia_profile::{
    CustomerId, GppContent, GppSection, PrivacySignal, PublisherConsent, PublisherRestriction,
    StoredGppString, StoredTcString, TcString, TimestampMs, VendorRestriction, VendorSet, gpp_signals,
};
use custodia_proto::v1;

use crate::wire::{ServiceError, timestamp};

/// A recorded TC string, decoded, and what it leaves these vendors.
pub(super) fn tc_string(
    customer: CustomerId,
    stored: &StoredTcString,
    vendors: &[u16],
) -> Result<v1::TcString, ServiceError> {
    // It was read when it was recorded.
    let read = stored
        .parse()
        .map_err(|_fault| ServiceError::Internal { context: "a recorded TC string cannot be decoded" })?;
    Ok(v1::TcString {
        customer_id: customer.to_string(),
        tc_string: stored.text.as_str().to_owned(),
        recorded_at: Some(timestamp(stored.recorded_at)),
        vendor_purposes: vendors.iter().map(|vendor| vendor_purposes(&read, *vendor)).collect(),
        ..decoded(read)
    })
}

fn vendor_purposes(read: &TcString, vendor: u16) -> v1::TcVendorPurposes {
    let left = read.vendor_purposes(vendor);
    v1::TcVendorPurposes {
        vendor: vendor.into(),
        purposes_consent: numbers(&left.consent),
        purposes_legitimate_interest: numbers(&left.legitimate_interest),
        disclosed: left.disclosed == Some(true),
    }
}

/// What a TC string says.
fn decoded(read: TcString) -> v1::TcString {
    v1::TcString {
        created: Some(timestamp(read.created)),
        last_updated: Some(timestamp(read.last_updated)),
        cmp_id: read.cmp_id.into(),
        cmp_version: read.cmp_version.into(),
        consent_screen: read.consent_screen.into(),
        consent_language: read.consent_language,
        vendor_list_version: read.vendor_list_version.into(),
        policy_version: read.policy_version.into(),
        service_specific: read.service_specific,
        non_standard_texts: read.non_standard_texts,
        special_features: numbers(&read.special_features),
        purposes_consent: numbers(&read.purposes_consent),
        purposes_legitimate_interest: numbers(&read.purposes_legitimate_interest),
        purpose_one_treatment: read.purpose_one_treatment,
        publisher_country: read.publisher_country,
        vendors_consent: vendors(&read.vendors_consent),
        vendors_legitimate_interest: vendors(&read.vendors_legitimate_interest),
        publisher_restrictions: read.publisher_restrictions.iter().map(restriction).collect(),
        vendors_disclosed_known: read.vendors_disclosed.is_some(),
        vendors_disclosed: read.vendors_disclosed.as_ref().map(vendors).unwrap_or_default(),
        publisher: read.publisher.as_ref().map(publisher),
        ..Default::default()
    }
}

/// The vendors stay ranges: a string of the greatest length can restrict all of them 1,850 times.
fn restriction(restriction: &PublisherRestriction) -> v1::TcPublisherRestriction {
    let kind = match restriction.restriction {
        VendorRestriction::NotAllowed => v1::TcRestriction::NotAllowed,
        VendorRestriction::RequireConsent => v1::TcRestriction::RequireConsent,
        VendorRestriction::RequireLegitimateInterest => v1::TcRestriction::RequireLegitimateInterest,
        VendorRestriction::Undefined => v1::TcRestriction::Undefined,
    };
    let range =
        |(first, last): &(u16, u16)| v1::TcVendorRange { first: (*first).into(), last: (*last).into() };
    v1::TcPublisherRestriction {
        purpose: restriction.purpose.into(),
        restriction: kind.into(),
        vendors: restriction.vendors.ranges().iter().map(range).collect(),
    }
}

fn publisher(publisher: &PublisherConsent) -> v1::TcPublisher {
    v1::TcPublisher {
        purposes_consent: numbers(&publisher.purposes_consent),
        purposes_legitimate_interest: numbers(&publisher.purposes_legitimate_interest),
        custom_purposes_consent: numbers(&publisher.custom_purposes_consent),
        custom_purposes_legitimate_interest: numbers(&publisher.custom_purposes_legitimate_interest),
    }
}

/// A recorded GPP string, decoded.
pub(super) fn gpp_string(
    customer: CustomerId,
    stored: &StoredGppString,
) -> Result<v1::GppString, ServiceError> {
    // It was read when it was recorded.
    let read = stored
        .read()
        .map_err(|_fault| ServiceError::Internal { context: "a recorded GPP string cannot be decoded" })?;
    let signal = |signal: PrivacySignal| i32::from(signal.number());
    Ok(v1::GppString {
        customer_id: customer.to_string(),
        gpp_string: stored.text.as_str().to_owned(),
        signals: gpp_signals(&read).into_iter().map(signal).collect(),
        sections: read.sections.into_iter().map(|one| section(one, stored.recorded_at)).collect(),
        recorded_at: Some(timestamp(stored.recorded_at)),
    })
}

fn section(section: GppSection, recorded_at: TimestampMs) -> v1::GppSection {
    let name = section.name().unwrap_or_default().to_owned();
    let mut wire = v1::GppSection { id: section.id.into(), name, decoded: true, ..Default::default() };
    match section.content {
        GppContent::Tcf(read) => {
            let fault = read.check_in_force(recorded_at).err();
            wire.tc_string_fault = fault.map_or("", |fault| fault.name()).to_owned();
            wire.tc_string = Some(decoded(*read));
        }
        GppContent::Us(fields) => {
            let field = |field: custodia_profile::GppField| v1::GppField {
                name: field.name.to_owned(),
                values: numbers(&field.values),
            };
            wire.fields = fields.into_iter().map(field).collect();
        }
        GppContent::Unknown => wire.decoded = false,
    }
    wire
}

fn numbers(ids: &[u8]) -> Vec<u32> {
    ids.iter().copied().map(u32::from).collect()
}

fn vendors(set: &VendorSet) -> Vec<u32> {
    set.iter().map(u32::from).collect()
}
