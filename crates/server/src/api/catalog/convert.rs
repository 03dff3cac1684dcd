//! Converts catalogue entries to wire messages.

use custodia_profile::{
    AttributeDefinition, BalancingTest, Catalogue, CatalogueChange, CatalogueEntry, ChannelDefinition,
    ChannelKind, GoogleConsentType, Jurisdiction, JurisdictionBases, LawfulBasis, Namespace, NoContactHours,
    Notice, Purpose, PurposeNumber, Recipient, Region, RegionalAge, SourceMapping, SpecialCategoryGround,
};
use custodia_proto::v1;

use data_encoding::HEXLOWER;

use super::activity::{matter_type_wire, trait_wire};
use crate::api::preference::hours_wire;
use crate::wire::{convert::purpose_name, etag, timestamp};

fn numbers<T: Copy>(members: &[T], number: impl Fn(T) -> u8) -> Vec<i32> {
    members.iter().map(|member| number(*member).into()).collect()
}

fn bases(bases: &[LawfulBasis]) -> Vec<i32> {
    numbers(bases, LawfulBasis::number)
}

pub(super) fn purpose_names(numbers: &[PurposeNumber], catalogue: &Catalogue) -> Vec<String> {
    numbers.iter().map(|number| purpose_name(*number, catalogue)).collect()
}

/// A purpose on the wire.
pub(super) fn purpose(purpose: &Purpose) -> v1::Purpose {
    v1::Purpose {
        id: purpose.id.as_str().to_owned(),
        display_name: purpose.display_name.clone(),
        description: purpose.description.clone(),
        dpv: purpose.dpv.clone(),
        lawful_bases: bases(&purpose.lawful_bases),
        notices: purpose.notices.iter().map(notice).collect(),
        standing_bases: bases(&purpose.standing_bases),
        deprecated: purpose.deprecated,
        etag: etag(purpose.revision),
        jurisdiction_bases: purpose.jurisdiction_bases.iter().map(jurisdiction_bases).collect(),
        data_categories: purpose.data_categories.iter().map(|id| id.as_str().to_owned()).collect(),
        recipients: purpose.recipients.iter().map(|id| id.as_str().to_owned()).collect(),
        retention_days: purpose.retention_days,
        owner: purpose.owner.clone(),
        law: purpose.law.clone(),
        balancing_test: purpose.balancing_test.as_ref().map(balancing_test),
        sale_or_sharing: purpose.sale_or_sharing,
        google_consent_types: numbers(&purpose.google_consent_types, GoogleConsentType::number),
        google_types_without_consent: numbers(
            &purpose.google_types_without_consent,
            GoogleConsentType::number,
        ),
        direct_marketing: purpose.direct_marketing,
        special_use: purpose.special_use.map_or(0, |of| of.number().into()),
        special_category_grounds: numbers(&purpose.special_category_grounds, SpecialCategoryGround::number),
    }
}

fn notice(notice: &Notice) -> v1::NoticeVersion {
    v1::NoticeVersion {
        version: notice.version.as_str().to_owned(),
        text_sha256: notice.text_sha256.map(|hash| HEXLOWER.encode(&hash)).unwrap_or_default(),
        language: notice.language.clone(),
        asks_again: notice.asks_again,
        valid_from: notice.valid_from.map(timestamp),
    }
}

fn jurisdiction_bases(of: &JurisdictionBases) -> v1::JurisdictionBases {
    v1::JurisdictionBases {
        jurisdiction: of.jurisdiction.as_str().to_owned(),
        lawful_bases: bases(&of.lawful_bases),
    }
}

fn balancing_test(test: &BalancingTest) -> v1::BalancingTest {
    v1::BalancingTest {
        interest: test.interest.clone(),
        necessity: test.necessity.clone(),
        balance: test.balance.clone(),
        reviewer: test.reviewer.clone(),
        reviewed_on: test.reviewed_on.to_string(),
        objection_route: test.objection_route.clone(),
    }
}

/// An attribute on the wire.
pub(super) fn attribute(attribute: &AttributeDefinition, catalogue: &Catalogue) -> v1::AttributeDefinition {
    let country = attribute.country_attribute.and_then(|number| catalogue.attribute(number));
    v1::AttributeDefinition {
        name: attribute.name.as_str().to_owned(),
        number: attribute.number.as_u32(),
        description: attribute.description.clone(),
        r#type: attribute.value_type.number().into(),
        classification: attribute.classification.number().into(),
        purposes: purpose_names(&attribute.purposes, catalogue),
        owner: attribute.owner.clone(),
        bytes_max: u32::try_from(attribute.bytes_max).unwrap_or(u32::MAX),
        etag: etag(attribute.revision),
        data_category: attribute.data_category.as_ref().map_or_else(String::new, |id| id.as_str().to_owned()),
        unit: attribute.unit.clone(),
        retention_days: attribute.retention_days,
        mappings: attribute.mappings.iter().map(mapping).collect(),
        match_as: attribute.match_as.map_or(0, |field| field.number().into()),
        format: attribute.format.map_or(0, |format| format.number().into()),
        country_attribute: country.map(|of| of.name.as_str().to_owned()).unwrap_or_default(),
    }
}

fn mapping(mapping: &SourceMapping) -> v1::SourceMapping {
    v1::SourceMapping {
        source: mapping.source.as_str().to_owned(),
        field: mapping.field.clone(),
        difference: mapping.difference.clone(),
    }
}

/// A jurisdiction on the wire.
pub(super) fn jurisdiction(jurisdiction: &Jurisdiction) -> v1::Jurisdiction {
    v1::Jurisdiction {
        id: jurisdiction.id.as_str().to_owned(),
        display_name: jurisdiction.display_name.clone(),
        law: jurisdiction.law.clone(),
        regions: jurisdiction.regions.iter().map(Region::to_string).collect(),
        consent_model: jurisdiction.consent_model.number().into(),
        honours_gpc: jurisdiction.honours_gpc,
        lawful_bases: bases(&jurisdiction.lawful_bases),
        sensitive_bases: bases(&jurisdiction.sensitive_bases),
        sensitive_needs_ground: jurisdiction.sensitive_needs_ground,
        gpc_yields_to_consent: jurisdiction.gpc_yields_to_consent,
        opt_in_below_age: jurisdiction.opt_in_below_age.into(),
        sale_forbidden_below_age: jurisdiction.sale_forbidden_below_age.into(),
        guardian_below_age: jurisdiction.guardian_below_age.into(),
        etag: etag(jurisdiction.revision),
        built_in: jurisdiction.built_in,
        sensitive_consent: jurisdiction.sensitive_consent.number().into(),
        regional_ages: jurisdiction.regional_ages.iter().map(regional_age).collect(),
        no_contact_hours: jurisdiction.no_contact_hours.iter().map(no_contact_hours).collect(),
        consent_channels: kinds(&jurisdiction.consent_channels),
        soft_opt_in_channels: kinds(&jurisdiction.soft_opt_in_channels),
    }
}

fn kinds(kinds: &[ChannelKind]) -> Vec<i32> {
    numbers(kinds, ChannelKind::number)
}

fn no_contact_hours(of: &NoContactHours) -> v1::NoContactHours {
    v1::NoContactHours {
        hours: Some(hours_wire(&of.hours)),
        regions: of.regions.iter().map(Region::to_string).collect(),
        kinds: kinds(&of.kinds),
    }
}

fn regional_age(age: &RegionalAge) -> v1::RegionalAge {
    v1::RegionalAge { region: age.region.to_string(), guardian_below_age: age.guardian_below_age.into() }
}

/// A recipient on the wire.
pub(super) fn recipient(recipient: &Recipient, catalogue: &Catalogue) -> v1::Recipient {
    v1::Recipient {
        id: recipient.id.as_str().to_owned(),
        display_name: recipient.display_name.clone(),
        description: recipient.description.clone(),
        owner: recipient.owner.clone(),
        purposes: purpose_names(&recipient.purposes, catalogue),
        collection_purposes: purpose_names(&recipient.collection_purposes, catalogue),
        suspended: recipient.suspended,
        third_party: recipient.third_party,
        etag: etag(recipient.revision),
    }
}

/// A channel on the wire.
pub(super) fn channel(channel: &ChannelDefinition) -> v1::ChannelDefinition {
    v1::ChannelDefinition {
        id: channel.id.as_str().to_owned(),
        display_name: channel.display_name.clone(),
        kind: channel.kind.number().into(),
        etag: etag(channel.revision),
        built_in: channel.built_in,
    }
}

/// A namespace on the wire.
pub(super) fn namespace(namespace: &Namespace, catalogue: &Catalogue) -> v1::Namespace {
    let attribute = namespace.attribute.and_then(|number| catalogue.attribute(number));
    v1::Namespace {
        id: namespace.id.as_str().to_owned(),
        display_name: namespace.display_name.clone(),
        description: namespace.description.clone(),
        kind: namespace.kind.number().into(),
        shared: !namespace.unique,
        per_customer_max: namespace.per_customer_max.into(),
        blocked_values: namespace.blocked_values.clone(),
        priority: namespace.priority,
        purposes: purpose_names(&namespace.purposes, catalogue),
        default_region: namespace.default_region.as_ref().map(ToString::to_string).unwrap_or_default(),
        pattern: namespace.pattern.clone(),
        case_sensitive: namespace.case_sensitive,
        ignore_plus_tag: namespace.ignore_plus_tag,
        ignore_dots_of: namespace.ignore_dots_of.clone(),
        attribute: attribute.map(|attribute| attribute.name.as_str().to_owned()).unwrap_or_default(),
        on_conflict: namespace.on_conflict.number().into(),
        etag: etag(namespace.revision),
        stale_after_days: namespace.stale_after_days,
    }
}

/// A change on the wire. A number always means the same purpose, so the current catalogue knows every name.
pub(super) fn change(change: &CatalogueChange, catalogue: &Catalogue) -> v1::CatalogChange {
    use v1::catalog_change::Entry;
    let entry = match change.entry() {
        CatalogueEntry::Purpose(entry) => Entry::Purpose(purpose(entry)),
        CatalogueEntry::Attribute(entry) => Entry::Attribute(attribute(entry, catalogue)),
        CatalogueEntry::Jurisdiction(entry) => Entry::Jurisdiction(jurisdiction(entry)),
        CatalogueEntry::Recipient(entry) => Entry::Recipient(recipient(entry, catalogue)),
        CatalogueEntry::Channel(entry) => Entry::Channel(channel(entry)),
        CatalogueEntry::Namespace(entry) => Entry::Namespace(namespace(entry, catalogue)),
        CatalogueEntry::MatterType(entry) => Entry::MatterType(matter_type_wire(entry, catalogue)),
        CatalogueEntry::Trait(entry) => Entry::Trait(trait_wire(entry, catalogue)),
    };
    v1::CatalogChange {
        version: change.version(),
        changed_at: Some(timestamp(change.changed_at())),
        changed_by: change.changed_by().to_owned(),
        entry: Some(entry),
    }
}
