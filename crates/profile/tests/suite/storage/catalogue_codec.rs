//! The bytes of the catalogue on disk: fixtures of version 2, round trips, and bytes that are none of ours.

use custodia_profile::{
    AttributeDefinition, AttributeFields, BalancingTest, CatalogueChange, CatalogueEntry, ChannelDefinition,
    ChannelFields, ChannelKind, ConsentModel, Date, DayOfWeek, GoogleConsentType, Jurisdiction,
    JurisdictionBases, JurisdictionFields, LawfulBasis, MatchField, NoContactHours, Notice, ProfileError,
    Purpose, PurposeFields, Recipient, RecipientFields, Region, RegionalAge, Revision, SensitiveConsent,
    SourceMapping, SpecialCategoryGround, SpecialUse, Stored, TimestampMs, ValueFormat, ValueType,
};
use proptest::{collection, option, prelude::*, sample::subsequence};

use crate::{
    contact::preferences::quiet,
    storage::codec::{
        VERSION, bytes_of_another_version, decodes_or_blames_the_bytes, every_cut_and_every_flip, hex, holds,
        names_the_version, unhex,
    },
    world::{at, attribute, attribute_fields, balancing_test, labels, purpose, purpose_fields},
};

// A change here means that stored data can no longer be read.
const PURPOSE: &str = "\
    02080212046e6577731a046e657773220f576879207765206b6565702069742e2a146470763a5365727669636550726f\
    766973696f6e320201063a300a0131122007070707070707070707070707070707070707070707070707070707070707\
    071a02656e2880a0abfef96250015a070a0262721201025a040a0272756207636f6e746163746a084d61696c65722d31\
    70ed027a094d61726b6574696e6782011146697363616c20436f646520c2a73134378a015e0a12546f206b6565702063\
    7573746f6d6572732e12175468657265206973206e6f206d696c646572207761792e1a0f546865792065787065637420\
    69742e220f50726976616379206f6666696365722888c0023209427920652d6d61696c9001019a01020107a2010107a8\
    0101ba0102020a";
const ATTRIBUTE: &str = "\
    0208ac021205656d61696c1a0b576861742069742069732e20012803320201023a0363726d401048015207636f6e7461\
    63745a03455552601e6a1b0a0363726d1206452d4d61696c1a0c496e206361706974616c732e";
const JURISDICTION: &str = "\
    020a0575732d6361120a43616c69666f726e69611a0443435041220555532d4341220555532d434f280230013a060102\
    030405064201014810500d58016001680170037a090a0555532d434f100e8201120a060a010710e008120555532d434f\
    1a01028a010201029201010198010c";
const RECIPIENT: &str = "\
    020a084d61696c65722d3112064d61696c65721a0f53656e647320746865206e6577732e22094d61726b6574696e672a\
    0301ac0230013801";
const CHANGE: &str = "\
    0208071080a0abfef9621a0561646d696e3a370a084d61696c65722d3112064d61696c65721a0f53656e647320746865\
    206e6577732e22094d61726b6574696e672a0301ac0230013801";

const CHANNEL: &str = "\
    020a0d63617272696572706967656f6e120e4361727269657220706967656f6e18052001";
const CHANNEL_CHANGE: &str = "\
    0208071080a0abfef9621a0561646d696e42230a0d63617272696572706967656f6e120e436172726965722070696765\
    6f6e18052001";

fn a_purpose() -> Purpose {
    let mut fields = purpose_fields(2, "news", &[LawfulBasis::Consent, LawfulBasis::LegitimateInterests]);
    fields.notices.truncate(1);
    fields.notices[0].valid_from = Some(at(0));
    let bases = |jurisdiction: &str, lawful_bases| JurisdictionBases {
        jurisdiction: jurisdiction.parse().unwrap(),
        lawful_bases,
    };
    let fields = PurposeFields {
        jurisdiction_bases: vec![bases("br", vec![LawfulBasis::Contract]), bases("ru", vec![])],
        data_categories: vec!["contact".parse().unwrap()],
        recipients: vec!["Mailer-1".parse().unwrap()],
        retention_days: 365,
        owner: "Marketing".to_owned(),
        law: "Fiscal Code §147".to_owned(),
        balancing_test: Some(balancing_test()),
        sale_or_sharing: true,
        google_consent_types: vec![GoogleConsentType::AdStorage, GoogleConsentType::SecurityStorage],
        google_types_without_consent: vec![GoogleConsentType::SecurityStorage],
        direct_marketing: true,
        special_category_grounds: vec![SpecialCategoryGround::Employment, SpecialCategoryGround::Research],
        ..fields
    };
    Purpose::new(fields).unwrap()
}

fn an_attribute() -> AttributeDefinition {
    let mapping = SourceMapping {
        source: "crm".parse().unwrap(),
        field: "E-Mail".to_owned(),
        difference: "In capitals.".to_owned(),
    };
    let fields = AttributeFields {
        data_category: Some("contact".parse().unwrap()),
        unit: "EUR".to_owned(),
        retention_days: 30,
        mappings: vec![mapping],
        ..attribute_fields(300, "email", ValueType::Text, &[1, 2])
    };
    AttributeDefinition::new(fields).unwrap()
}

fn a_jurisdiction() -> Jurisdiction {
    let fields = JurisdictionFields {
        id: "us-ca".parse().unwrap(),
        display_name: "California".to_owned(),
        law: "CCPA".to_owned(),
        regions: vec!["US-CA".parse().unwrap(), "US-CO".parse().unwrap()],
        consent_model: ConsentModel::OptOut,
        honours_gpc: true,
        lawful_bases: LawfulBasis::ALL.to_vec(),
        sensitive_bases: vec![LawfulBasis::Consent],
        sensitive_consent: SensitiveConsent::Explicit,
        sensitive_needs_ground: true,
        gpc_yields_to_consent: true,
        opt_in_below_age: 16,
        sale_forbidden_below_age: 12,
        guardian_below_age: 13,
        regional_ages: vec![RegionalAge { region: "US-CO".parse().unwrap(), guardian_below_age: 14 }],
        no_contact_hours: vec![NoContactHours {
            hours: quiet(&[DayOfWeek::Sunday], "18:40", "00:00"),
            regions: vec!["US-CO".parse().unwrap()],
            kinds: vec![ChannelKind::TextMessage],
        }],
        consent_channels: vec![ChannelKind::ElectronicMail, ChannelKind::TextMessage],
        soft_opt_in_channels: vec![ChannelKind::ElectronicMail],
        revision: Revision::from_u64(1),
        built_in: true,
    };
    Jurisdiction::new(fields).unwrap()
}

fn a_recipient() -> Recipient {
    let fields = RecipientFields {
        id: "Mailer-1".parse().unwrap(),
        display_name: "Mailer".to_owned(),
        description: "Sends the news.".to_owned(),
        owner: "Marketing".to_owned(),
        purposes: vec![purpose(1), purpose(300)],
        collection_purposes: Vec::new(),
        third_party: false,
        suspended: true,
        revision: Revision::from_u64(1),
    };
    Recipient::new(fields).unwrap()
}

fn a_channel() -> ChannelDefinition {
    let fields = ChannelFields {
        id: "carrierpigeon".parse().unwrap(),
        display_name: "Carrier pigeon".to_owned(),
        kind: ChannelKind::Post,
        revision: Revision::from_u64(1),
        built_in: false,
    };
    ChannelDefinition::new(fields).unwrap()
}

fn change(entry: impl Into<CatalogueEntry>) -> CatalogueChange {
    CatalogueChange::new(7, at(0), "admin".to_owned(), entry.into()).unwrap()
}

#[test]
fn a_purpose_with_its_reasons_is_read() {
    holds(&a_purpose(), PURPOSE);
}

#[test]
fn an_attribute_with_its_sources_is_read() {
    holds(&an_attribute(), ATTRIBUTE);
}

#[test]
fn a_jurisdiction_is_read() {
    holds(&a_jurisdiction(), JURISDICTION);
}

#[test]
fn a_recipient_is_read() {
    holds(&a_recipient(), RECIPIENT);
}

#[test]
fn a_channel_is_read() {
    holds(&a_channel(), CHANNEL);
}

#[test]
fn a_change_is_read() {
    holds(&change(a_recipient()), CHANGE);
    holds(&change(a_channel()), CHANNEL_CHANGE);
}

fn never_panics(bytes: &[u8]) {
    decodes_or_blames_the_bytes::<Purpose>(bytes);
    decodes_or_blames_the_bytes::<AttributeDefinition>(bytes);
    decodes_or_blames_the_bytes::<Jurisdiction>(bytes);
    decodes_or_blames_the_bytes::<Recipient>(bytes);
    decodes_or_blames_the_bytes::<ChannelDefinition>(bytes);
    decodes_or_blames_the_bytes::<CatalogueChange>(bytes);
}

#[test]
fn every_cut_and_every_flipped_byte_of_the_catalogue_is_survived() {
    let all = [
        a_purpose().encode(),
        an_attribute().encode(),
        a_jurisdiction().encode(),
        a_recipient().encode(),
        a_channel().encode(),
        change(a_channel()).encode(),
        change(a_purpose()).encode(),
        change(an_attribute()).encode(),
        change(a_jurisdiction()).encode(),
        change(a_recipient()).encode(),
    ];
    for bytes in all {
        every_cut_and_every_flip(&bytes, never_panics);
    }
}

#[test]
fn an_age_that_no_byte_holds_is_no_age_of_zero() {
    let fields = JurisdictionFields { guardian_below_age: 127, ..(*a_jurisdiction()).clone() };
    let stored = hex(&Jurisdiction::new(fields).unwrap().encode());
    let (before, after) = stored.split_once("507f").unwrap();
    // 383, in two bytes.
    let error = Jurisdiction::decode(&unhex(&format!("{before}50ff02{after}")));
    assert_eq!(error, Err(ProfileError::CorruptField { kind: "jurisdiction", field: "age" }));
}

fn texts() -> impl Strategy<Value = String> {
    "[a-zà-ÿ0-9 ]{0,8}"
}

fn answers() -> impl Strategy<Value = String> {
    "[a-z][a-zà-ÿ0-9 ]{0,8}"
}

fn some_bases() -> impl Strategy<Value = Vec<LawfulBasis>> {
    subsequence(LawfulBasis::ALL.to_vec(), 0..=6).prop_shuffle()
}

fn slugs<T: std::str::FromStr<Err = ProfileError> + Ord + std::fmt::Debug>() -> impl Strategy<Value = Vec<T>>
{
    collection::btree_set("[a-z][a-z0-9-]{0,6}".prop_map(|text| text.parse::<T>().unwrap()), 0..4)
        .prop_map(|set| set.into_iter().collect())
}

fn revisions() -> impl Strategy<Value = Revision> {
    any::<u64>().prop_map(Revision::from_u64)
}

fn balancing_tests() -> impl Strategy<Value = BalancingTest> {
    let days = (-719_162..=2_932_896_i32).prop_map(|days| Date::from_days(days).unwrap());
    ([answers(), answers(), answers(), answers(), answers()], days).prop_map(
        |([interest, necessity, balance, reviewer, objection_route], reviewed_on)| BalancingTest {
            interest,
            necessity,
            balance,
            reviewer,
            reviewed_on,
            objection_route,
        },
    )
}

fn notices() -> impl Strategy<Value = Vec<Notice>> {
    let notice = (option::of(any::<[u8; 32]>()), texts(), any::<bool>(), any::<bool>());
    let versions = collection::btree_set(labels(), 0..4);
    let moments = collection::vec(any::<i64>(), 4);
    (versions, collection::vec(notice, 4), moments).prop_map(|(versions, notices, mut moments)| {
        moments.sort_unstable();
        let all = versions.into_iter().zip(notices).zip(moments);
        all.map(|((version, (text_sha256, language, asks_again, dated)), from)| Notice {
            version,
            text_sha256,
            language,
            asks_again,
            valid_from: dated.then(|| TimestampMs::from_ms(from)),
        })
        .collect()
    })
}

fn purposes() -> impl Strategy<Value = Purpose> {
    let jurisdictions = (slugs(), collection::vec(some_bases(), 4)).prop_map(|(ids, bases)| {
        let named = |(jurisdiction, lawful_bases)| JurisdictionBases { jurisdiction, lawful_bases };
        ids.into_iter().zip(bases).map(named).collect::<Vec<_>>()
    });
    let letters = subsequence(SpecialCategoryGround::ALL.to_vec(), 0..=10).prop_shuffle();
    let special = proptest::sample::select(SpecialUse::ALL.to_vec());
    let google = subsequence(GoogleConsentType::ALL.to_vec(), 0..=7).prop_shuffle();
    (
        (1_u32.., "[a-z][a-z0-9-]{0,9}", [texts(), texts(), texts(), texts()], answers()),
        (some_bases(), jurisdictions, some_bases(), notices()),
        (slugs(), slugs(), any::<u32>(), balancing_tests()),
        (any::<bool>(), google, any::<bool>(), revisions(), option::of(special), letters),
    )
        .prop_map(|(named, bases, use_of, rest)| {
            let (number, id, [display_name, description, dpv, owner], law) = named;
            let (mut lawful_bases, jurisdiction_bases, standing_bases, notices) = bases;
            if lawful_bases.is_empty() {
                lawful_bases.push(LawfulBasis::Consent);
            }
            let elsewhere = jurisdiction_bases.iter().flat_map(|bases| &bases.lawful_bases);
            let allowed: Vec<_> = lawful_bases.iter().chain(elsewhere).copied().collect();
            let may_stand = |basis: &LawfulBasis| basis.may_stand() && allowed.contains(basis);
            let special_use = rest.4.filter(|_| !rest.0);
            let fields = PurposeFields {
                number: purpose(number),
                id: id.parse().unwrap(),
                display_name,
                description,
                dpv,
                lawful_bases,
                jurisdiction_bases,
                notices,
                standing_bases: standing_bases.into_iter().filter(may_stand).collect(),
                data_categories: use_of.0,
                recipients: use_of.1,
                retention_days: use_of.2,
                owner,
                law,
                balancing_test: Some(use_of.3),
                sale_or_sharing: rest.0,
                google_types_without_consent: rest.1.iter().take(2).copied().collect(),
                google_consent_types: rest.1,
                direct_marketing: rest.2 && special_use.is_none(),
                special_use,
                special_category_grounds: rest.5,
                deprecated: rest.2,
                revision: rest.3,
            };
            Purpose::new(fields).unwrap()
        })
}

fn attributes() -> impl Strategy<Value = AttributeDefinition> {
    let mapping = ("[a-z0-9]{1,5}", answers(), texts()).prop_map(|(source, field, difference)| {
        SourceMapping { source: source.parse().unwrap(), field, difference }
    });
    let distinct = |mappings: Vec<SourceMapping>| {
        let named = |mapping: SourceMapping| ((mapping.source.clone(), mapping.field.clone()), mapping);
        let distinct: std::collections::BTreeMap<_, _> = mappings.into_iter().map(named).collect();
        distinct.into_values().collect::<Vec<_>>()
    };
    let mappings = collection::vec(mapping, 0..4).prop_map(distinct);
    let category = option::of("[a-z0-9][a-z0-9-]{0,9}");
    let match_as = option::of(proptest::sample::select(MatchField::ALL.to_vec()));
    let format = option::of(proptest::sample::select(ValueFormat::ALL.to_vec()));
    (category, texts(), any::<u32>(), mappings, (match_as, format), revisions()).prop_map(
        |(category, unit, retention_days, mappings, (match_as, format), revision)| {
            let has_country = format == Some(ValueFormat::PostalCode);
            let fields = AttributeFields {
                data_category: category.map(|id| id.parse().unwrap()),
                unit,
                retention_days,
                mappings,
                match_as,
                format,
                country_attribute: has_country.then(|| attribute(7)),
                revision,
                ..attribute_fields(1, "email", ValueType::Text, &[1])
            };
            AttributeDefinition::new(fields).unwrap()
        },
    )
}

fn jurisdictions() -> impl Strategy<Value = Jurisdiction> {
    let regions = collection::btree_set("[A-Z]{2}(-[A-Z0-9]{1,3})?", 0..5);
    let id = "[a-z][a-z0-9-]{0,9}".prop_filter("it has no regions", |id| id != "default");
    let model = proptest::sample::select(ConsentModel::ALL.to_vec());
    let form = proptest::sample::select(SensitiveConsent::ALL.to_vec());
    (
        (id, texts(), texts(), regions, revisions()),
        (model, any::<bool>(), some_bases(), some_bases(), form),
        (any::<u8>(), any::<u8>(), option::of(any::<u8>()), any::<bool>(), any::<bool>()),
    )
        .prop_map(|(named, rules, ages)| {
            let (id, display_name, law, regions, revision) = named;
            let hours = if ages.2.is_some() { vec![quiet(&[], "21:00", "08:00")] } else { Vec::new() };
            let (consent_model, honours_gpc, mut lawful_bases, sensitive, sensitive_consent) = rules;
            if lawful_bases.is_empty() {
                lawful_bases.push(LawfulBasis::Consent);
            }
            let knows_interests = lawful_bases.contains(&LawfulBasis::LegitimateInterests);
            let regions: Vec<Region> = regions.iter().filter_map(|code| code.parse().ok()).collect();
            let first = regions.first().cloned().zip(ages.2);
            let regional_ages =
                first.map(|(region, guardian_below_age)| RegionalAge { region, guardian_below_age });
            let fields = JurisdictionFields {
                id: id.parse().unwrap(),
                display_name,
                law,
                regions,
                consent_model,
                honours_gpc,
                sensitive_bases: sensitive.into_iter().filter(|basis| lawful_bases.contains(basis)).collect(),
                lawful_bases,
                sensitive_consent,
                sensitive_needs_ground: ages.3,
                gpc_yields_to_consent: ages.4,
                opt_in_below_age: ages.0,
                sale_forbidden_below_age: ages.1 / 2,
                guardian_below_age: ages.1,
                regional_ages: regional_ages.into_iter().collect(),
                consent_channels: if hours.is_empty() { Vec::new() } else { ChannelKind::ALL.to_vec() },
                soft_opt_in_channels: hours
                    .iter()
                    .filter(|_| knows_interests)
                    .map(|_| ChannelKind::Post)
                    .collect(),
                no_contact_hours: hours
                    .into_iter()
                    .map(|hours| NoContactHours {
                        hours,
                        regions: Vec::new(),
                        kinds: vec![ChannelKind::Call],
                    })
                    .collect(),
                revision,
                built_in: false,
            };
            Jurisdiction::new(fields).unwrap()
        })
}

fn recipients() -> impl Strategy<Value = Recipient> {
    let purposes = collection::btree_set(1_u32.., 0..5);
    (
        "[A-Za-z0-9._-]{1,9}",
        [texts(), texts(), texts()],
        (purposes.clone(), purposes),
        any::<bool>(),
        revisions(),
    )
        .prop_map(
            |(id, [display_name, description, owner], (purposes, collected), suspended, revision)| {
                let fields = RecipientFields {
                    id: id.parse().unwrap(),
                    display_name,
                    description,
                    owner,
                    purposes: purposes.into_iter().map(purpose).collect(),
                    collection_purposes: collected.into_iter().map(purpose).collect(),
                    third_party: suspended,
                    suspended,
                    revision,
                };
                Recipient::new(fields).unwrap()
            },
        )
}

fn entries() -> impl Strategy<Value = CatalogueEntry> {
    prop_oneof![
        purposes().prop_map(Into::into),
        attributes().prop_map(Into::into),
        jurisdictions().prop_map(Into::into),
        recipients().prop_map(Into::into),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_purpose_round_trips(purpose in purposes()) {
        prop_assert_eq!(Purpose::decode(&purpose.encode()), Ok(purpose));
    }

    #[test]
    fn every_attribute_round_trips(attribute in attributes()) {
        prop_assert_eq!(AttributeDefinition::decode(&attribute.encode()), Ok(attribute));
    }

    #[test]
    fn every_jurisdiction_round_trips(jurisdiction in jurisdictions()) {
        prop_assert_eq!(Jurisdiction::decode(&jurisdiction.encode()), Ok(jurisdiction));
    }

    #[test]
    fn every_recipient_round_trips(recipient in recipients()) {
        prop_assert_eq!(Recipient::decode(&recipient.encode()), Ok(recipient));
    }

    #[test]
    fn every_change_round_trips(entry in entries(), version: u64, ms: i64, changed_by in texts()) {
        let change = CatalogueChange::new(version, TimestampMs::from_ms(ms), changed_by, entry).unwrap();
        prop_assert_eq!(CatalogueChange::decode(&change.encode()), Ok(change));
    }

    #[test]
    fn bytes_of_another_version_are_refused_in_the_catalogue(bytes in bytes_of_another_version()) {
        names_the_version::<Purpose>("purpose", &bytes);
        names_the_version::<AttributeDefinition>("attribute", &bytes);
        names_the_version::<Jurisdiction>("jurisdiction", &bytes);
        names_the_version::<Recipient>("recipient", &bytes);
        names_the_version::<CatalogueChange>("catalogue change", &bytes);
    }

    #[test]
    fn any_bytes_are_a_catalogue_entry_or_an_error_and_never_a_panic(mut bytes in collection::vec(any::<u8>(), 1..200)) {
        bytes[0] = VERSION;
        never_panics(&bytes);
    }
}
