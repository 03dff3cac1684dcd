//! Documents against docs/consent-exports.md: they have no field that is not on that page, and every required one.

mod events;
mod page;
mod receipts;
mod terms;

use custodia_profile::{
    Address, AttributeDefinition, AttributeFields, AttributeNumber, AttributeValue, Channel,
    ChannelPreference, Collector, ContactChannel, DecidedBy, Evidence, GroundStatus, Label, LegalHold,
    NoticeId, Party, PoolId, PreferenceFields, Preferences, Provenance, PurposeFields, Recipient,
    RecipientFields, Reference, Region, Restriction, Revision, Value,
};
use custodia_profile::{ConsentMethod, GoogleConsentType};
use serde_json::Value as Json;

use super::*;
use crate::catalogue::test_entries;
use page::{Field, faults, fields, rows};

const NOW: TimestampMs = TimestampMs::from_ms(1_750_000_000_123);
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

const NEWSLETTER: u32 = 1;
const CARE: u32 = 2;
const ORDERS: u32 = 3;
const ADS: u32 = 4;
/// Nothing is recorded on it.
const UNUSED: u32 = 5;

fn number(number: u32) -> PurposeNumber {
    PurposeNumber::new(number).expect("a number")
}

fn notice(version: &str, asks_again: bool) -> Notice {
    Notice {
        version: NoticeId::new("version", version).expect("a version"),
        text_sha256: Some([0xab; 32]),
        language: "de".to_owned(),
        asks_again,
        valid_from: None,
    }
}

fn catalogue() -> Catalogue {
    use LawfulBasis::{Consent, Contract, LegitimateInterests};
    let fields = |number, id: &str, bases: &[LawfulBasis]| {
        let plain: &PurposeFields = &test_entries::purpose(number, id, bases);
        PurposeFields { notices: vec![notice("1", false), notice("2", true)], ..plain.clone() }
    };
    let mut catalogue = Catalogue::new();
    let mut put = |fields| catalogue.put_purpose(Purpose::new(fields).expect("valid")).expect("taken");
    put(PurposeFields {
        display_name: "Our newsletter".to_owned(),
        description: "News once a month.".to_owned(),
        dpv: "dpv:Marketing".to_owned(),
        retention_days: 30,
        ..fields(NEWSLETTER, "newsletter", &[Consent, LegitimateInterests])
    });
    put(fields(CARE, "care", &[Consent]));
    put(fields(ORDERS, "orders", &[Contract, Consent]));
    put(PurposeFields { sale_or_sharing: true, ..fields(ADS, "ads", &[Consent]) });
    put(fields(UNUSED, "unused", &[Consent]));
    let mut put = |number, name: &str, category: &str, classification, purpose| {
        let plain: &AttributeFields = &test_entries::attribute(number, name, &[purpose]);
        let data_category = (!category.is_empty()).then(|| category.parse().expect("a category"));
        let fields = AttributeFields { data_category, classification, ..plain.clone() };
        catalogue.put_attribute(AttributeDefinition::new(fields).expect("valid")).expect("taken");
    };
    put(1, "email", "contact", Classification::Personal, NEWSLETTER);
    put(2, "blood_group", "health", Classification::Sensitive, CARE);
    put(3, "allergies", "", Classification::Sensitive, CARE);
    put(4, "weekday", "calendar", Classification::Anonymous, NEWSLETTER);
    let mut put = |id: &str, display_name: &str, purposes: &[u32], (third_party, suspended)| {
        let recipient = Recipient::new(RecipientFields {
            id: id.parse().expect("a name"),
            display_name: display_name.to_owned(),
            description: String::new(),
            owner: "SECRET-OWNER".to_owned(),
            purposes: purposes.iter().map(|of| number(*of)).collect(),
            collection_purposes: Vec::new(),
            third_party,
            suspended,
            revision: Revision::from_u64(1),
        });
        catalogue.put_recipient(recipient.expect("valid")).expect("taken");
    };
    put("mailer", "The mailing house", &[NEWSLETTER, ADS], (true, false));
    put("broker", "", &[ADS], (true, false));
    put("old-mailer", "The old mailing house", &[NEWSLETTER], (true, true));
    put("desk", "Agent desktop", &[NEWSLETTER, CARE, ADS], (false, false));
    catalogue
}

fn given(method: ConsentMethod) -> GroundState {
    GroundState {
        notice: Some(NoticeId::new("notice", "2").expect("a version")),
        method: Some(method),
        evidence: Some(Evidence {
            act: Some(AffirmativeAct::TickedBox),
            statement_sha256: Some([0xcd; 32]),
            language: Some(Label::new("language", "de-CH").expect("a tag")),
            decided_by: DecidedBy::DataSubject,
            incapacity: Some(Reference::new("incapacity", "SECRET-ORDER").expect("a reference")),
        }),
        collector: Some(Collector::new("collector", "SECRET-COLLECTOR").expect("a name")),
        reference: Some(Reference::new("reference", "SECRET-REFERENCE").expect("a reference")),
        channel: Some(Channel::new("channel", "web").expect("a channel")),
        ..GroundState::bare(GroundStatus::Given, NOW.plus_ms(-DAY_MS), NOW.plus_ms(-DAY_MS))
    }
}

fn decided(status: GroundStatus) -> GroundState {
    GroundState { status, ..given(ConsentMethod::Unambiguous) }
}

fn record(grounds: Vec<(u32, LawfulBasis, GroundState)>) -> CustomerRecord {
    let mut record = CustomerRecord::new(NOW);
    record.subject.regions.insert("DE".parse::<Region>().expect("a region"));
    record.grounds = grounds.into_iter().map(|(of, basis, state)| ((number(of), basis), state)).collect();
    record
}

/// A record with an example of everything that a record can contain.
fn full_record() -> CustomerRecord {
    let mut record = record(vec![
        (NEWSLETTER, LawfulBasis::Consent, given(ConsentMethod::Unambiguous)),
        (NEWSLETTER, LawfulBasis::LegitimateInterests, decided(GroundStatus::Given)),
        (CARE, LawfulBasis::Consent, given(ConsentMethod::Explicit)),
        (ORDERS, LawfulBasis::Contract, decided(GroundStatus::Given)),
        (ORDERS, LawfulBasis::Consent, decided(GroundStatus::Withdrawn)),
        (ADS, LawfulBasis::Consent, given(ConsentMethod::Unambiguous)),
    ]);
    let secret = |text| Reference::new("reference", text).expect("a reference");
    record.subject.birth_date = Some("1990-07-08".parse().expect("a date"));
    record.subject.restriction = Some(Restriction { reason: secret("SECRET-RESTRICTION"), since: NOW });
    record.subject.legal_hold = Some(LegalHold { reference: secret("SECRET-HOLD"), since: NOW });
    let value = AttributeValue {
        value: Value::text("SECRET-VALUE").expect("a text"),
        original: None,
        provenance: Provenance {
            source: "shop".parse().expect("a source"),
            observed_at: NOW,
            recorded_at: NOW,
            purpose: number(NEWSLETTER),
            basis: LawfulBasis::Consent,
            party: Party::First,
        },
    };
    record.attributes.insert(AttributeNumber::new(1).expect("a number"), value);
    record.preferences = Preferences::new(PreferenceFields {
        channels: vec![ChannelPreference {
            unwanted_purposes: Vec::new(),
            channel: ContactChannel::new("channel", "email").expect("a channel"),
            wanted: true,
            address: Some(Address::new("address", "SECRET-ADDRESS").expect("an address")),
        }],
        ..PreferenceFields::default()
    })
    .expect("valid");
    record
}

fn controller() -> ControllerConfig {
    let text = str::to_owned;
    ControllerConfig {
        name: text("Muster GmbH"),
        contact: text("The data protection officer"),
        street: text("Musterweg 1"),
        postal_code: text("10115"),
        locality: text("Berlin"),
        country: text("DE"),
        email: text("privacy@muster.example"),
        phone: text("tel:+49-30-1234567"),
        policy_url: text("https://muster.example/privacy"),
        rights_url: text("https://muster.example/rights"),
    }
}

/// The document of all purposes of the record and of those named in addition.
fn document(
    format: Format,
    record: &CustomerRecord,
    named: &[u32],
    controller: &ControllerConfig,
    now: TimestampMs,
) -> String {
    let catalogue = catalogue();
    let mut numbers: BTreeSet<_> = record.grounds.keys().map(|(number, _)| *number).collect();
    numbers.extend(named.iter().map(|of| number(*of)));
    let purposes = numbers.iter().map(|of| &**catalogue.purpose(*of).expect("a purpose")).collect();
    let exported = Exported::new(customer(), record, purposes, &catalogue, controller, now);
    format.document(&exported).expect("serialises")
}

fn json(format: Format, record: &CustomerRecord) -> Json {
    serde_json::from_str(&document(format, record, &[], &controller(), NOW)).expect("JSON")
}

/// The consent record of the only purpose, with the states of consent before the recorded one.
fn with_past(past: Vec<GroundState>, recorded: GroundState) -> Json {
    let (catalogue, controller) = (catalogue(), controller());
    let record = record(vec![(NEWSLETTER, LawfulBasis::Consent, recorded.clone())]);
    let purposes = vec![&**catalogue.purpose(number(NEWSLETTER)).expect("a purpose")];
    let mut exported = Exported::new(customer(), &record, purposes, &catalogue, &controller, NOW);
    exported.past.insert(number(NEWSLETTER), past.into_iter().chain([recorded]).collect());
    let text = Format::Dpv27560.document(&exported).expect("serialises");
    serde_json::from_str::<Json>(&text).expect("JSON")["@graph"][0].clone()
}

fn customer() -> CustomerId {
    CustomerId::from_parts(1_700_000_000_000, [7; 10], PoolId::DEFAULT)
}

/// Different kinds of records; a receipt is for those with a consent.
fn records(format: Format) -> Vec<CustomerRecord> {
    let nowhere = CustomerRecord { subject: DataSubject::default(), ..full_record() };
    let mut anywhere = full_record();
    anywhere.subject.region_unknown = true;
    anywhere.subject.regions.insert("US-CA".parse().expect("a region"));
    let bare = GroundState::bare(GroundStatus::Refused, NOW, NOW);
    let said_no = record(vec![(ADS, LawfulBasis::Consent, bare)]);
    let with_consent = vec![full_record(), nowhere, anywhere];
    match format {
        Format::Dpv27560 => [with_consent, vec![said_no, record(Vec::new())]].concat(),
        Format::Receipt => with_consent,
    }
}

fn field_table(format: Format) -> Vec<Field> {
    fields(match format {
        Format::Dpv27560 => "## Consent record: `DPV_27560`",
        Format::Receipt => "## Consent receipt: `RECEIPT`",
    })
}

#[test]
fn every_document_has_the_fields_of_the_page_and_no_others() {
    for format in [Format::Dpv27560, Format::Receipt] {
        let fields = field_table(format);
        assert!(fields.len() > 30, "the table is read");
        for record in records(format) {
            for controller in [controller(), ControllerConfig::default()] {
                let text = document(format, &record, &[UNUSED], &controller, NOW);
                let document = serde_json::from_str(&text).expect("JSON");
                assert_eq!(faults(&document, &fields), Vec::<String>::new(), "{text}");
            }
        }
    }
}

#[test]
fn every_field_of_the_page_occurs_in_some_document() {
    for format in [Format::Dpv27560, Format::Receipt] {
        let documents: Vec<Json> = records(format)
            .iter()
            .map(|record| {
                serde_json::from_str(&document(format, record, &[UNUSED], &controller(), NOW)).expect("JSON")
            })
            .collect();
        for field in field_table(format) {
            assert!(documents.iter().any(|document| field.occurs_in(document)), "{}", field.path);
        }
    }
}

#[test]
fn a_missing_or_unlisted_field_is_detected() {
    for (format, required) in [(Format::Dpv27560, "@graph"), (Format::Receipt, "policyUrl")] {
        let fields = field_table(format);
        let mut document = json(format, &full_record());
        let top = document.as_object_mut().expect("an object");
        top.insert("value".to_owned(), Json::from("x"));
        assert_eq!(faults(&document, &fields), ["value is not on the page"]);
        let top = document.as_object_mut().expect("an object");
        top.remove("value");
        top.insert(required.to_owned(), Json::Null);
        assert_eq!(faults(&document, &fields).len(), 1);
        document.as_object_mut().expect("an object").remove(required);
        assert_eq!(faults(&document, &fields), [format!("{required} is missing")]);
    }
}

#[test]
fn a_document_holds_nothing_that_the_customer_may_not_see() {
    for format in [Format::Dpv27560, Format::Receipt] {
        for record in records(format) {
            let text = document(format, &record, &[], &controller(), NOW);
            assert!(!text.contains("SECRET"), "{text}");
            assert!(!text.contains("1990"), "no birth date: {text}");
            let mut free = record.clone();
            (free.subject.restriction, free.subject.legal_hold) = (None, None);
            assert_eq!(document(format, &free, &[], &controller(), NOW), text, "a hold leaves no trace");
        }
    }
}

#[test]
fn a_document_depends_only_on_its_input() {
    for format in [Format::Dpv27560, Format::Receipt] {
        let first = document(format, &full_record(), &[], &controller(), NOW);
        assert_eq!(document(format, &full_record(), &[], &controller(), NOW), first);
        assert_ne!(document(format, &full_record(), &[], &controller(), NOW.plus_ms(1_000)), first);
    }
}

#[test]
fn the_status_of_a_consent_matches_the_page() {
    let outdated = NoticeId::new("notice", "1").expect("a version");
    let consent = given(ConsentMethod::Explicit);
    for row in rows("| Recorded | `@type` of the status |") {
        let [recorded, expected] = row.as_slice() else { panic!("two cells: {row:?}") };
        let states = match recorded.as_str() {
            "given" => vec![consent.clone()],
            "given, and expired since, or its notice is outdated" => vec![
                GroundState { expires_at: Some(NOW), ..consent.clone() },
                GroundState { notice: Some(outdated.clone()), ..consent.clone() },
            ],
            "given, and not in force for another reason" => vec![
                GroundState { valid_from: Some(NOW.plus_ms(1)), ..consent.clone() },
                given(ConsentMethod::OptOut),
            ],
            "refused" => vec![decided(GroundStatus::Refused)],
            "withdrawn" => vec![decided(GroundStatus::Withdrawn)],
            "requested" => vec![decided(GroundStatus::Requested)],
            "revoked" => vec![decided(GroundStatus::Revoked)],
            "invalidated" => vec![decided(GroundStatus::Invalidated)],
            "nothing" => Vec::new(),
            other => panic!("no such state: {other}"),
        };
        let records: Vec<_> = if states.is_empty() {
            vec![record(Vec::new())]
        } else {
            states.into_iter().map(|state| record(vec![(CARE, LawfulBasis::Consent, state)])).collect()
        };
        for record in records {
            let text = document(Format::Dpv27560, &record, &[CARE], &controller(), NOW);
            let document: Json = serde_json::from_str(&text).expect("JSON");
            let statuses = document["@graph"][0]["dpv:hasConsentStatus"].as_array().expect("a list");
            let mut found = Vec::new();
            for status in statuses {
                let kinds = &status["@type"];
                found.push(format!("`{}`", kinds[0].as_str().expect("a type")));
                let consent_type = kinds[1].as_str().expect("guide, section 8.5.1: it MUST be present");
                assert!(consent_type.ends_with("Consent"), "{recorded}: {consent_type}");
            }
            let expected = expected.replace("the same", "`dpv:ConsentGiven`");
            assert_eq!(found.join(", then "), expected, "{recorded}");
        }
    }
}

#[test]
fn a_consent_record_says_what_was_decided_when_and_by_whom() {
    let document = json(Format::Dpv27560, &full_record());
    let newsletter = &document["@graph"][0];
    assert_eq!(newsletter["dpv:hasJurisdiction"], serde_json::json!(["loc:DE"]));
    assert_eq!(newsletter["dpv:hasNotice"][0]["dct:identifier"], "newsletter/2");
    assert_eq!(newsletter["dpv:hasNotice"][0]["dct:language"], "de-CH", "as it was shown");
    let process = &newsletter["dpv:hasProcess"];
    assert_eq!(process["dpv:hasLegalBasis"], serde_json::json!(["dpv:ExpressedConsent"]), "no swap");
    assert_eq!(process["dpv:hasPersonalData"].as_array().expect("a list").len(), 1, "nothing anonymous");
    let status = &newsletter["dpv:hasConsentStatus"][0];
    assert_eq!(status["dpv:isIndicatedAtTime"], "2025-06-14T15:06:40.123Z");
    assert_eq!(status["dpv:isIndicatedBy"], "dpv:DataSubject");
    assert_eq!(status["dpv:hasIndicationMethod"], "ticked a box, via web");
    let names: Vec<_> = process["dpv:hasRecipient"].as_array().expect("a list").iter().collect();
    assert_eq!(names.len(), 3, "the controller and the applications that are not suspended");
    assert_eq!(
        document["@graph"][1]["dpv:hasProcess"]["dpv:hasPersonalData"][0]["@type"],
        "dpv:SpecialCategoryPersonalData"
    );
}

/// Guide, sections 8.3.3.1 and 8.4.1.
#[test]
fn data_has_a_category_of_the_vocabulary_and_entities_have_iris() {
    let document = json(Format::Dpv27560, &full_record());
    let mut broader = Vec::new();
    for node in document["@graph"].as_array().expect("a list") {
        for data in node["dpv:hasProcess"]["dpv:hasPersonalData"].as_array().expect("a list") {
            broader.push(data["skos:broader"].as_str().expect("it MUST be present").to_owned());
        }
        let controller = node["dpv:hasDataController"].as_str().expect("an IRI");
        assert!(controller.starts_with("urn:uuid:"), "{controller}");
        let entity = &node["dpv:hasEntity"][0];
        assert_eq!([&entity["@id"], &entity["dpv:hasIdentifier"]], [controller, controller]);
        assert_eq!(node["dpv:hasProcess"]["dpv:hasRecipient"][0]["@id"], controller);
        let subject = node["dpv:hasDataSubject"]["@id"].as_str().expect("an IRI");
        assert!(subject.starts_with("urn:uuid:"), "{subject}");
    }
    // contact, allergies, health; orders and ads state no data.
    let expected =
        ["pd:Contact", "dpv:SensitivePersonalData", "pd:Health", "dpv:PersonalData", "dpv:PersonalData"];
    assert_eq!(broader, expected);
}

#[test]
fn what_rests_on_a_contract_alone_is_no_consent_record() {
    let contract = || (ORDERS, LawfulBasis::Contract, decided(GroundStatus::Given));
    let alone = json(Format::Dpv27560, &record(vec![contract()]));
    assert_eq!(alone["@graph"], serde_json::json!([]));
    let consent = (ORDERS, LawfulBasis::Consent, decided(GroundStatus::Given));
    let both = json(Format::Dpv27560, &record(vec![contract(), consent]));
    assert_eq!(both["@graph"].as_array().expect("a list").len(), 1);
}

#[test]
fn a_customer_on_whom_nothing_is_recorded_gets_a_document_that_says_so() {
    let records = json(Format::Dpv27560, &record(Vec::new()));
    assert_eq!(records["@graph"], serde_json::json!([]));
    let named = document(Format::Receipt, &full_record(), &[UNUSED], &controller(), NOW);
    let named: Json = serde_json::from_str(&named).expect("JSON");
    assert_eq!(named["notInForce"][2]["reason"], "NO_GROUND");
}

#[test]
fn the_page_lists_every_type_of_googles_consent_mode() {
    let listed: Vec<_> = rows("| Type of the API | Name for the tag | What it asks consent for |")
        .into_iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect();
    let known: Vec<_> = GoogleConsentType::ALL
        .into_iter()
        .map(|kind| {
            let wire = v1::GoogleConsentType::try_from(i32::from(kind.number())).expect("a type of the API");
            (format!("`{}`", wire.as_str_name()), format!("`{}`", kind.name()))
        })
        .collect();
    assert_eq!(listed, known);
}

/// Regression: a search and replace had altered an IRI, so that the `dct:` terms of a record did not exist.
#[test]
fn the_prefixes_match_the_vocabularies() {
    let record: serde_json::Value = {
        let text = document(Format::Dpv27560, &full_record(), &[], &controller(), NOW);
        serde_json::from_str(&text).expect("JSON")
    };
    for (prefix, iri) in [
        ("dct", "http://purl.org/dc/terms/"),
        ("dpv", "https://w3id.org/dpv#"),
        ("loc", "https://w3id.org/dpv/loc#"),
        ("pd", "https://w3id.org/dpv/pd#"),
        ("rdf", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"),
        ("schema", "https://schema.org/"),
        ("skos", "http://www.w3.org/2004/02/skos/core#"),
        ("xsd", "http://www.w3.org/2001/XMLSchema#"),
    ] {
        assert_eq!(record["@context"][prefix], iri);
    }
}

#[test]
fn the_page_lists_every_field_of_a_decoded_tc_string() {
    const API: &str = include_str!("../../../../../../proto/custodia/v1/consent.proto");
    let message = API.split("message TcString {").nth(1).and_then(|rest| rest.split('}').next());
    let fields = message.expect("the message").lines().filter_map(|line| {
        let (declaration, _number) = line.split_once(" = ")?;
        Some(format!("`{}`", declaration.split_whitespace().last()?))
    });
    let listed = rows("| Field of the API | Field of the string | Bits | What it says |");
    let listed: Vec<_> = listed.into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(listed, fields.collect::<Vec<_>>());
}
