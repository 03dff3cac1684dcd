//! What parses, and the errors of what does not.

use custodia_profile::{
    AffirmativeAct, DecidedBy, PurposeId, PurposeNumber, Recording,
    limits::{EVENTS_MAX, OBSERVATIONS_MAX, PROPERTIES_MAX, TEXT_BYTES_MAX},
};
use custodia_proto::v1::{self, value::Kind};
use prost_types::Timestamp;

use super::parse;
use crate::{
    identity::{Role, RoleSet},
    wire::{FieldFault, ServiceError, parse as wire_parse},
};

fn text(text: &str) -> Option<v1::Value> {
    Some(v1::Value { kind: Some(Kind::Text(text.to_owned())) })
}

fn observation(attribute: &str, value: Option<v1::Value>) -> v1::Observation {
    v1::Observation { attribute: attribute.to_owned(), value, observed_at: None }
}

fn event() -> v1::Event {
    v1::Event {
        event_id: "e-1".to_owned(),
        name: "Order Completed".to_owned(),
        occurred_at: Some(Timestamp { seconds: 1, nanos: 0 }),
        ..v1::Event::default()
    }
}

fn ingest() -> v1::IngestProfileRequest {
    v1::IngestProfileRequest {
        customer_id: "ignored here".to_owned(),
        purpose: "service".to_owned(),
        source: "crm".to_owned(),
        observations: vec![observation("email", text("a@example.org"))],
        events: vec![event()],
        consents: vec![v1::ConsentGrant {
            purpose: "marketing".to_owned(),
            notice_version: "1".to_owned(),
            method: v1::ConsentMethod::Explicit.into(),
            evidence: Some(v1::ConsentEvidence {
                act: v1::AffirmativeAct::Clicked.into(),
                statement_sha256: "ab".repeat(32),
                language: "de-AT".to_owned(),
                ..Default::default()
            }),
            channel: "web".to_owned(),
            ..v1::ConsentGrant::default()
        }],
        request_id: "0190163d-8694-739b-aea5-966c26f8ad91".to_owned(),
        etag: "0000000000000007".to_owned(),
        ..v1::IngestProfileRequest::default()
    }
}

fn loader() -> RoleSet {
    RoleSet::of(&[Role::Ingest])
}

fn number(purpose: &PurposeId) -> Result<PurposeNumber, ServiceError> {
    Ok(PurposeNumber::new(if purpose.as_str() == "service" { 1 } else { 2 })?)
}

/// The path of the invalid field, and what is wrong with it.
fn fault<T: std::fmt::Debug>(result: Result<T, ServiceError>) -> (String, FieldFault) {
    match result {
        Err(ServiceError::Field { field, fault }) => (field, fault),
        other => panic!("expected a field error, got {other:?}"),
    }
}

fn changed(change: impl FnOnce(&mut v1::IngestProfileRequest)) -> (String, FieldFault) {
    let mut request = ingest();
    change(&mut request);
    fault(parse::ingest(&request, loader(), &number))
}

#[test]
fn a_complete_ingest_parses() {
    let (parsed, etag) = parse::ingest(&ingest(), loader(), &number).expect("valid");
    assert_eq!(etag.map(|etag| etag.as_u64()), Some(7));
    assert_eq!((parsed.purpose.as_u32(), parsed.grants[0].purpose.as_u32()), (1, 2));
    assert_eq!((parsed.observations.len(), parsed.grants.len()), (1, 1));
    assert_eq!(parsed.events[0].id.as_str(), "e-1");
}

#[test]
fn a_missing_field_is_named() {
    assert_eq!(changed(|request| request.purpose.clear()), ("purpose".to_owned(), FieldFault::Missing));
    assert_eq!(changed(|request| request.source.clear()), ("source".to_owned(), FieldFault::Missing));
    let (field, fault) = changed(|request| request.observations.push(observation("name", None)));
    assert_eq!((field.as_str(), fault), ("observations[1].value", FieldFault::Missing));
    let (field, fault) = changed(|request| request.events[0].occurred_at = None);
    assert_eq!((field.as_str(), fault), ("events[0].occurred_at", FieldFault::Missing));
    let (field, fault) = changed(|request| request.consents[0].method = 0);
    assert_eq!((field.as_str(), fault), ("consents[0].method", FieldFault::Missing));
    let (field, _) = changed(|request| request.consents[0].notice_version.clear());
    assert_eq!(field, "consents[0].notice_version");
    assert_eq!(changed(|request| request.consents[0].reference = "x".repeat(257)).0, "consents[0].reference");
}

#[test]
fn a_malformed_field_is_named_and_its_value_is_not_repeated() {
    let secret = "Grüße von Ana";
    type Edit = fn(&mut v1::IngestProfileRequest, String);
    let cases: [(&str, Edit); 5] = [
        ("purpose", |request, text| request.purpose = text),
        ("source", |request, text| request.source = text),
        ("etag", |request, text| request.etag = text),
        ("observations[0].attribute", |request, text| request.observations[0].attribute = text),
        ("observations[0].value", |request, text| {
            request.observations[0].value = Some(v1::Value { kind: Some(Kind::Date(text)) });
        }),
    ];
    for (field, change) in cases {
        let mut request = ingest();
        change(&mut request, secret.to_owned());
        let error = parse::ingest(&request, loader(), &number).expect_err(field);
        let status = tonic::Status::from(error);
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{field}");
        assert!(status.message().starts_with(field), "{}", status.message());
        assert!(!status.message().contains("Ana"), "{}", status.message());
    }
}

#[test]
fn a_request_over_a_limit_is_refused_with_the_limit() {
    let (field, fault) = changed(|request| {
        request.observations = vec![observation("email", text("x")); OBSERVATIONS_MAX + 1];
    });
    assert_eq!((field.as_str(), fault), ("observations", FieldFault::TooMany(OBSERVATIONS_MAX)));
    let (field, fault) = changed(|request| request.events = vec![event(); EVENTS_MAX + 1]);
    assert_eq!((field.as_str(), fault), ("events", FieldFault::TooMany(EVENTS_MAX)));
    let (field, fault) =
        changed(|request| request.observations[0].value = text(&"x".repeat(TEXT_BYTES_MAX + 1)));
    assert_eq!((field.as_str(), fault), ("observations[0].value", FieldFault::TooLong(TEXT_BYTES_MAX)));
    let (field, fault) = changed(|request| {
        let value = text("x").expect("a value");
        request.events[0].properties =
            (0..=PROPERTIES_MAX).map(|at| (at.to_string(), value.clone())).collect();
    });
    assert_eq!((field.as_str(), fault), ("events[0].properties", FieldFault::TooMany(PROPERTIES_MAX)));
}

#[test]
fn an_unknown_enum_number_is_refused() {
    for number in [-1, 4, 255, 256, i32::MAX] {
        assert_eq!(changed(|request| request.party = number).0, "party", "{number}");
    }
    assert_eq!(changed(|request| request.lawful_basis = 7).0, "lawful_basis");
}

#[test]
fn non_finite_numbers_and_control_characters_are_refused() {
    for kind in [Kind::Decimal(f64::NAN), Kind::Decimal(f64::INFINITY), Kind::Text("a\u{0}b".to_owned())] {
        let (field, _) =
            changed(|request| request.observations[0].value = Some(v1::Value { kind: Some(kind) }));
        assert_eq!(field, "observations[0].value");
    }
}

#[test]
fn a_property_is_not_named_because_its_name_is_free_text() {
    let (field, _) = changed(|request| {
        request.events[0].properties.insert("Ana Popescu".to_owned(), v1::Value { kind: None });
    });
    assert_eq!(field, "events[0].properties");
}

#[test]
fn a_malformed_customer_id_is_refused() {
    assert_eq!(fault(wire_parse::request_id("7")).0, "request_id");
    assert_eq!(fault(wire_parse::customer_id("")), ("customer_id".to_owned(), FieldFault::Missing));
    for wrong in [
        "cust_",
        "cust_01h455vb4pex5vsknk084sn02",
        "user_01h455vb4pex5vsknk084sn02q",
        "cust_ü1h455vb4pex5vsknk084sn0q",
    ] {
        assert_eq!(fault(wire_parse::customer_id(wrong)).0, "customer_id", "{wrong}");
    }
}

#[test]
fn a_consent_includes_its_evidence() {
    let (ingest, _) = parse::ingest(&ingest(), loader(), &number).expect("valid");
    let grant = &ingest.grants[0];
    let evidence = grant.evidence.as_ref().expect("evidence");
    assert_eq!(evidence.act, Some(AffirmativeAct::Clicked));
    assert_eq!(evidence.statement_sha256, Some([0xab; 32]));
    assert_eq!(evidence.language.as_ref().map(|language| language.as_str()), Some("de-AT"));
    assert_eq!(evidence.decided_by, DecidedBy::DataSubject);
    assert_eq!(grant.channel.as_ref().map(|channel| channel.as_str()), Some("web"));
    assert!(!grant.bundled);
}

#[test]
fn invalid_evidence_is_named_with_its_path() {
    let evidence = |change: fn(&mut v1::ConsentEvidence)| {
        changed(|request| change(request.consents[0].evidence.as_mut().expect("evidence"))).0
    };
    assert_eq!(evidence(|one| one.act = 99), "consents[0].evidence.act");
    assert_eq!(evidence(|one| one.decided_by = 99), "consents[0].evidence.decided_by");
    for wrong in ["ab", "zz"] {
        let (field, _) = changed(|request| {
            let evidence = request.consents[0].evidence.as_mut().expect("evidence");
            evidence.statement_sha256 = wrong.repeat(if wrong == "ab" { 31 } else { 32 });
        });
        assert_eq!(field, "consents[0].evidence.statement_sha256");
    }
    assert_eq!(evidence(|one| one.language = "x".repeat(36)), "consents[0].evidence.language");
    assert_eq!(changed(|request| request.consents[0].channel = "x".repeat(33)).0, "consents[0].channel");
}

#[test]
fn whoever_loads_files_imports_dated_grounds_and_an_agent_does_not() {
    let mut request = ingest();
    request.consents[0].recording = v1::Recording::Imported.into();
    assert_eq!(fault(parse::ingest(&request, loader(), &number)).0, "consents[0].given_at");
    request.consents[0].given_at = Some(Timestamp { seconds: 1, nanos: 0 });
    let (parsed, _) = parse::ingest(&request, loader(), &number).expect("valid");
    assert_eq!(parsed.grants[0].recording, Recording::Imported);
    let agent = RoleSet::of(&[Role::Agent]);
    let refused = fault(parse::ingest(&request, agent, &number));
    assert_eq!(refused, ("consents[0].recording".to_owned(), FieldFault::RoleNeeded(Role::Ingest)));
}
