//! Parses catalogue entries from the wire: purposes, attributes, jurisdictions, recipients, channels and namespaces.
//!
//! Invariant: everything that an entry names exists (its purposes, the jurisdictions whose bases it states), so a typo
//! cannot leave a rule without effect. Only a purpose may name recipients that are registered later; until then the name
//! admits nobody.

use custodia_profile::{
    AttributeDefinition, AttributeFields, AttributeName, AttributeNumber, BalancingTest, Catalogue,
    CategoryId, ChannelDefinition, ChannelFields, ChannelId, ChannelKind, Classification, ConsentModel,
    GoogleConsentType, Jurisdiction, JurisdictionBases, JurisdictionFields, JurisdictionId, LawfulBasis,
    LinkPolicy, MatchField, Namespace, NamespaceFields, NamespaceId, NamespaceKind, NoContactHours, Notice,
    NoticeId, ProfileError, Purpose, PurposeFields, PurposeId, PurposeNumber, Recipient, RecipientFields,
    RecipientId, Region, RegionalAge, Revision, SensitiveConsent, SourceId, SourceMapping,
    SpecialCategoryGround, SpecialUse, ValueFormat, ValueType, check_dpv_purpose,
    limits::{
        ATTRIBUTE_PURPOSES_MAX, BLOCKED_VALUES_MAX, DATA_CATEGORIES_MAX, DOTLESS_DOMAINS_MAX,
        JURISDICTION_BASES_MAX, JURISDICTION_REGIONS_MAX, MAPPINGS_MAX, NAMESPACE_PURPOSES_MAX,
        NO_CONTACT_HOURS_MAX, NOTICES_MAX, PURPOSE_RECIPIENTS_MAX, RECIPIENT_PURPOSES_MAX,
    },
};
use custodia_proto::v1;

use crate::api::preference::hours;
use crate::wire::{
    FieldFault, ServiceError,
    parse::{chosen, each, named, sha256, within_limit},
    parse_optional,
};

/// Strips the message's name from the fields in the profile crate's errors: here the caller adds it, as for all others.
pub(super) fn of_definition(message: &str) -> impl Fn(ProfileError) -> ServiceError + '_ {
    move |error| ServiceError::from(error).renamed(|field| field.strip_prefix(message).map(str::to_owned))
}

/// An enum's member that must not be unspecified.
pub(super) fn required<T>(
    field: &str,
    number: i32,
    member: impl Fn(u8) -> Result<T, ProfileError>,
) -> Result<T, ServiceError> {
    let found = chosen(number, member).map_err(named(field))?;
    found.ok_or_else(|| ServiceError::missing(field))
}

fn bases(field: &str, wire: &[i32]) -> Result<Vec<LawfulBasis>, ServiceError> {
    // Checked first, so that an oversized list is not read to its end.
    within_limit(field, wire.len(), LawfulBasis::ALL.len())?;
    each(field, wire, |basis| required("", *basis, LawfulBasis::from_number))
}

/// Parses a purpose, with the number and revision that the catalogue assigns.
pub(super) fn purpose(
    wire: &v1::Purpose,
    number: PurposeNumber,
    revision: Revision,
    catalogue: &Catalogue,
) -> Result<Purpose, ServiceError> {
    within_limit("notices", wire.notices.len(), NOTICES_MAX)?;
    within_limit("jurisdiction_bases", wire.jurisdiction_bases.len(), JURISDICTION_BASES_MAX)?;
    within_limit("data_categories", wire.data_categories.len(), DATA_CATEGORIES_MAX)?;
    within_limit("recipients", wire.recipients.len(), PURPOSE_RECIPIENTS_MAX)?;
    let google_types = |field: &str, wire: &[i32]| {
        within_limit(field, wire.len(), GoogleConsentType::ALL.len())?;
        each(field, wire, |kind| required("", *kind, GoogleConsentType::from_number))
    };
    let letters = &wire.special_category_grounds;
    within_limit("special_category_grounds", letters.len(), SpecialCategoryGround::ALL.len())?;
    check_dpv_purpose("purpose.dpv", &wire.dpv)?;
    let fields = PurposeFields {
        number,
        id: PurposeId::new(&wire.id).map_err(named("id"))?,
        display_name: wire.display_name.clone(),
        description: wire.description.clone(),
        dpv: wire.dpv.clone(),
        lawful_bases: bases("lawful_bases", &wire.lawful_bases)?,
        jurisdiction_bases: each("jurisdiction_bases", &wire.jurisdiction_bases, |one| {
            jurisdiction_bases(one, catalogue)
        })?,
        notices: each("notices", &wire.notices, notice)?,
        standing_bases: bases("standing_bases", &wire.standing_bases)?,
        data_categories: each("data_categories", &wire.data_categories, |text| {
            CategoryId::new(text).map_err(named(""))
        })?,
        recipients: each("recipients", &wire.recipients, |text| RecipientId::new(text).map_err(named("")))?,
        retention_days: wire.retention_days,
        owner: wire.owner.clone(),
        law: wire.law.clone(),
        balancing_test: wire.balancing_test.as_ref().map(balancing_test).transpose()?,
        sale_or_sharing: wire.sale_or_sharing,
        google_consent_types: google_types("google_consent_types", &wire.google_consent_types)?,
        google_types_without_consent: google_types(
            "google_types_without_consent",
            &wire.google_types_without_consent,
        )?,
        direct_marketing: wire.direct_marketing,
        special_use: chosen(wire.special_use, SpecialUse::from_number).map_err(named("special_use"))?,
        special_category_grounds: each("special_category_grounds", letters, |letter| {
            required("", *letter, SpecialCategoryGround::from_number)
        })?,
        deprecated: wire.deprecated,
        revision,
    };
    Purpose::new(fields).map_err(of_definition("purpose."))
}

fn jurisdiction_bases(
    wire: &v1::JurisdictionBases,
    catalogue: &Catalogue,
) -> Result<JurisdictionBases, ServiceError> {
    let jurisdiction = JurisdictionId::new(&wire.jurisdiction).map_err(named("jurisdiction"))?;
    if catalogue.jurisdiction(jurisdiction.as_str()).is_none() {
        return Err(ServiceError::field("jurisdiction", FieldFault::JurisdictionUnknown));
    }
    Ok(JurisdictionBases { jurisdiction, lawful_bases: bases("lawful_bases", &wire.lawful_bases)? })
}

fn balancing_test(wire: &v1::BalancingTest) -> Result<BalancingTest, ServiceError> {
    let reviewed_on = "balancing_test.reviewed_on";
    if wire.reviewed_on.is_empty() {
        return Err(ServiceError::missing(reviewed_on));
    }
    Ok(BalancingTest {
        interest: wire.interest.clone(),
        necessity: wire.necessity.clone(),
        balance: wire.balance.clone(),
        reviewer: wire.reviewer.clone(),
        reviewed_on: wire.reviewed_on.parse().map_err(named(reviewed_on))?,
        objection_route: wire.objection_route.clone(),
    })
}

fn notice(wire: &v1::NoticeVersion) -> Result<Notice, ServiceError> {
    Ok(Notice {
        version: NoticeId::new("version", &wire.version)?,
        text_sha256: sha256("text_sha256", &wire.text_sha256)?,
        language: wire.language.clone(),
        asks_again: wire.asks_again,
        valid_from: parse_optional(wire.valid_from.as_ref(), "valid_from")?,
    })
}

/// The number of a purpose named in a list.
pub(super) fn purpose_number(text: &str, catalogue: &Catalogue) -> Result<PurposeNumber, ServiceError> {
    let id = PurposeId::new(text).map_err(named(""))?;
    let known = catalogue.purpose_by_id(id.as_str()).map(|purpose| purpose.number);
    known.ok_or_else(|| ServiceError::field("", FieldFault::PurposeUnknown))
}

/// Parses an attribute, with the number and revision that the catalogue assigns.
pub(super) fn attribute(
    wire: &v1::AttributeDefinition,
    number: AttributeNumber,
    revision: Revision,
    catalogue: &Catalogue,
) -> Result<AttributeDefinition, ServiceError> {
    within_limit("purposes", wire.purposes.len(), ATTRIBUTE_PURPOSES_MAX)?;
    within_limit("mappings", wire.mappings.len(), MAPPINGS_MAX)?;
    let data_category = Some(&wire.data_category).filter(|text| !text.is_empty());
    let fields = AttributeFields {
        number,
        name: AttributeName::new(&wire.name).map_err(named("name"))?,
        description: wire.description.clone(),
        value_type: required("type", wire.r#type, ValueType::from_number)?,
        classification: required("classification", wire.classification, Classification::from_number)?,
        purposes: each("purposes", &wire.purposes, |text| purpose_number(text, catalogue))?,
        owner: wire.owner.clone(),
        bytes_max: usize::try_from(wire.bytes_max).unwrap_or(usize::MAX),
        data_category: data_category
            .map(|text| CategoryId::new(text).map_err(named("data_category")))
            .transpose()?,
        unit: wire.unit.clone(),
        retention_days: wire.retention_days,
        mappings: each("mappings", &wire.mappings, mapping)?,
        match_as: chosen(wire.match_as, MatchField::from_number).map_err(named("match_as"))?,
        format: chosen(wire.format, ValueFormat::from_number).map_err(named("format"))?,
        country_attribute: country_attribute(&wire.country_attribute, catalogue)?,
        revision,
    };
    AttributeDefinition::new(fields).map_err(of_definition("attribute."))
}

/// The attribute that says the country of a postal code.
fn country_attribute(name: &str, catalogue: &Catalogue) -> Result<Option<AttributeNumber>, ServiceError> {
    let field = "country_attribute";
    if name.is_empty() {
        return Ok(None);
    }
    let unknown = || ServiceError::field(field, FieldFault::AttributeUnknown);
    let definition = catalogue.attribute_by_name(name).ok_or_else(unknown)?;
    if definition.format != Some(ValueFormat::CountryCode) {
        return Err(ServiceError::invalid(field, "expected an attribute of the format COUNTRY_CODE"));
    }
    Ok(Some(definition.number))
}

fn mapping(wire: &v1::SourceMapping) -> Result<SourceMapping, ServiceError> {
    Ok(SourceMapping {
        source: SourceId::new(&wire.source).map_err(named("source"))?,
        field: wire.field.clone(),
        difference: wire.difference.clone(),
    })
}

/// Parses a jurisdiction, with the revision that the catalogue assigns.
pub(super) fn jurisdiction(
    wire: &v1::Jurisdiction,
    revision: Revision,
) -> Result<Jurisdiction, ServiceError> {
    within_limit("regions", wire.regions.len(), JURISDICTION_REGIONS_MAX)?;
    within_limit("no_contact_hours", wire.no_contact_hours.len(), NO_CONTACT_HOURS_MAX)?;
    within_limit("regional_ages", wire.regional_ages.len(), JURISDICTION_REGIONS_MAX)?;
    let fields = JurisdictionFields {
        id: JurisdictionId::new(&wire.id).map_err(named("id"))?,
        display_name: wire.display_name.clone(),
        law: wire.law.clone(),
        regions: regions(&wire.regions)?,
        consent_model: required("consent_model", wire.consent_model, ConsentModel::from_number)?,
        honours_gpc: wire.honours_gpc,
        lawful_bases: bases("lawful_bases", &wire.lawful_bases)?,
        sensitive_bases: bases("sensitive_bases", &wire.sensitive_bases)?,
        sensitive_consent: chosen(wire.sensitive_consent, SensitiveConsent::from_number)
            .map_err(named("sensitive_consent"))?
            .unwrap_or(SensitiveConsent::Explicit),
        sensitive_needs_ground: wire.sensitive_needs_ground,
        gpc_yields_to_consent: wire.gpc_yields_to_consent,
        opt_in_below_age: age("opt_in_below_age", wire.opt_in_below_age)?,
        sale_forbidden_below_age: age("sale_forbidden_below_age", wire.sale_forbidden_below_age)?,
        guardian_below_age: age("guardian_below_age", wire.guardian_below_age)?,
        regional_ages: each("regional_ages", &wire.regional_ages, regional_age)?,
        no_contact_hours: each("no_contact_hours", &wire.no_contact_hours, no_contact_hours)?,
        consent_channels: kinds("consent_channels", &wire.consent_channels)?,
        soft_opt_in_channels: kinds("soft_opt_in_channels", &wire.soft_opt_in_channels)?,
        revision,
        // The constructor knows which names are built in.
        built_in: false,
    };
    Jurisdiction::new(fields).map_err(of_definition("jurisdiction."))
}

fn regional_age(wire: &v1::RegionalAge) -> Result<RegionalAge, ServiceError> {
    Ok(RegionalAge {
        region: Region::new(&wire.region).map_err(named("region"))?,
        guardian_below_age: age("guardian_below_age", wire.guardian_below_age)?,
    })
}

fn kinds(field: &str, wire: &[i32]) -> Result<Vec<ChannelKind>, ServiceError> {
    within_limit(field, wire.len(), ChannelKind::ALL.len())?;
    each(field, wire, |kind| required("", *kind, ChannelKind::from_number))
}

fn no_contact_hours(wire: &v1::NoContactHours) -> Result<NoContactHours, ServiceError> {
    within_limit("regions", wire.regions.len(), JURISDICTION_REGIONS_MAX)?;
    let stated = wire.hours.as_ref().ok_or_else(|| ServiceError::missing("hours"))?;
    if !stated.channel.is_empty() {
        return Err(ServiceError::invalid("hours.channel", "expected none: kinds say on which channels"));
    }
    Ok(NoContactHours {
        hours: hours(stated).map_err(|error| error.renamed(|field| Some(format!("hours.{field}"))))?,
        regions: regions(&wire.regions)?,
        kinds: kinds("kinds", &wire.kinds)?,
    })
}

fn regions(codes: &[String]) -> Result<Vec<Region>, ServiceError> {
    each("regions", codes, |text| Region::new(text).map_err(named("")))
}

fn age(field: &str, years: u32) -> Result<u8, ServiceError> {
    u8::try_from(years).map_err(|_range| ServiceError::invalid(field, "expected at most 255 years"))
}

/// Parses a recipient, with the revision that the catalogue assigns.
pub(super) fn recipient(
    wire: &v1::Recipient,
    revision: Revision,
    catalogue: &Catalogue,
) -> Result<Recipient, ServiceError> {
    within_limit("purposes", wire.purposes.len(), RECIPIENT_PURPOSES_MAX)?;
    let collected = &wire.collection_purposes;
    within_limit("collection_purposes", collected.len(), RECIPIENT_PURPOSES_MAX)?;
    let fields = RecipientFields {
        id: RecipientId::new(&wire.id).map_err(named("id"))?,
        display_name: wire.display_name.clone(),
        description: wire.description.clone(),
        owner: wire.owner.clone(),
        purposes: each("purposes", &wire.purposes, |text| purpose_number(text, catalogue))?,
        collection_purposes: each("collection_purposes", collected, |text| purpose_number(text, catalogue))?,
        third_party: wire.third_party,
        suspended: wire.suspended,
        revision,
    };
    Recipient::new(fields).map_err(of_definition("recipient."))
}

/// Parses a channel, with the revision that the catalogue assigns.
pub(super) fn channel(
    wire: &v1::ChannelDefinition,
    revision: Revision,
) -> Result<ChannelDefinition, ServiceError> {
    let fields = ChannelFields {
        id: ChannelId::new(&wire.id).map_err(named("id"))?,
        display_name: wire.display_name.clone(),
        kind: required("kind", wire.kind, ChannelKind::from_number)?,
        revision,
        // The constructor knows which names are built in.
        built_in: false,
    };
    ChannelDefinition::new(fields).map_err(of_definition("channel."))
}

/// Parses a namespace, with the revision that the catalogue assigns.
pub(super) fn namespace(
    wire: &v1::Namespace,
    revision: Revision,
    catalogue: &Catalogue,
) -> Result<Namespace, ServiceError> {
    within_limit("purposes", wire.purposes.len(), NAMESPACE_PURPOSES_MAX)?;
    within_limit("blocked_values", wire.blocked_values.len(), BLOCKED_VALUES_MAX)?;
    within_limit("ignore_dots_of", wire.ignore_dots_of.len(), DOTLESS_DOMAINS_MAX)?;
    let region = Some(&wire.default_region).filter(|code| !code.is_empty());
    let attribute = Some(&wire.attribute).filter(|name| !name.is_empty());
    let policy = chosen(wire.on_conflict, LinkPolicy::from_number).map_err(named("on_conflict"))?;
    let fields = NamespaceFields {
        id: NamespaceId::new(&wire.id).map_err(named("id"))?,
        display_name: wire.display_name.clone(),
        description: wire.description.clone(),
        kind: required("kind", wire.kind, NamespaceKind::from_number)?,
        unique: !wire.shared,
        // The constructor says what the limit is.
        per_customer_max: u8::try_from(wire.per_customer_max).unwrap_or(u8::MAX),
        blocked_values: wire.blocked_values.clone(),
        priority: wire.priority,
        purposes: each("purposes", &wire.purposes, |text| purpose_number(text, catalogue))?,
        default_region: region.map(|code| Region::new(code).map_err(named("default_region"))).transpose()?,
        pattern: wire.pattern.clone(),
        case_sensitive: wire.case_sensitive,
        ignore_plus_tag: wire.ignore_plus_tag,
        ignore_dots_of: wire.ignore_dots_of.clone(),
        attribute: attribute.map(|name| attribute_number(name, catalogue)).transpose()?,
        on_conflict: policy.unwrap_or(LinkPolicy::Propose),
        stale_after_days: wire.stale_after_days,
        revision,
    };
    Namespace::new(fields).map_err(of_definition("namespace."))
}

fn attribute_number(text: &str, catalogue: &Catalogue) -> Result<AttributeNumber, ServiceError> {
    let name = AttributeName::new(text).map_err(named("attribute"))?;
    let known = catalogue.attribute_by_name(name.as_str()).map(|attribute| attribute.number);
    known.ok_or_else(|| ServiceError::field("attribute", FieldFault::AttributeUnknown))
}
