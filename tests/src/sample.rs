//! A small catalogue, ready-made requests on it, and what their answers say.

use custodia_proto::v1::catalog_service_client::CatalogServiceClient;
use custodia_proto::v1::value::Kind;
use custodia_proto::v1::{
    AffirmativeAct, AttributeDefinition, Classification, ConsentEvidence, ConsentGrant, ConsentMethod,
    ConsentStatus, CreateAttributeRequest, CreatePurposeRequest, Event, GetProfileRequest,
    IngestProfileRequest, LawfulBasis, NoticeVersion, Observation, Profile, Purpose, RecordConsentRequest,
    RefusalReason, SpecialUse, Value, ValueType, WithdrawConsentRequest,
};

use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Defines the purposes `service` (contract or consent), `marketing` (consent) and `privacy-requests` (standing legal
/// obligation), and the attributes that [`attributes`] names.
pub async fn define_catalogue(catalog: &mut CatalogServiceClient<Channel>) {
    let purposes = [
        ("service", vec![LawfulBasis::Contract, LawfulBasis::Consent], vec![]),
        ("marketing", vec![LawfulBasis::Consent], vec![]),
        ("privacy-requests", vec![LawfulBasis::LegalObligation], vec![LawfulBasis::LegalObligation]),
    ];
    for (id, bases, standing) in purposes {
        let standing_bases = standing.into_iter().map(i32::from).collect();
        let special_use = if id == "privacy-requests" { SpecialUse::DataSubjectRights.into() } else { 0 };
        let law = "GDPR Art. 15".into();
        let purpose = Purpose { standing_bases, law, special_use, ..purpose(id, &bases) };
        let request = CreatePurposeRequest { purpose: Some(purpose), validate_only: false };
        catalog.create_purpose(request).await.expect("a purpose is created");
    }
    for (name, kind, purposes) in attributes() {
        let bytes_max = if name == "phone" { PHONE_BYTES_MAX } else { 0 };
        let attribute = AttributeDefinition { bytes_max, ..attribute(name, kind, purposes) };
        let request = CreateAttributeRequest { attribute: Some(attribute), validate_only: false };
        catalog.create_attribute(request).await.expect("an attribute is created");
    }
}

/// An attribute of personal data for these purposes.
pub fn attribute(name: &str, kind: ValueType, purposes: &[&str]) -> AttributeDefinition {
    AttributeDefinition {
        name: name.into(),
        description: format!("the attribute {name}"),
        r#type: kind.into(),
        classification: Classification::Personal.into(),
        purposes: purposes.iter().map(ToString::to_string).collect(),
        owner: "tests".into(),
        ..Default::default()
    }
}

/// A purpose with one notice, `v1`.
pub fn purpose(id: &str, bases: &[LawfulBasis]) -> Purpose {
    Purpose {
        id: id.into(),
        display_name: id.into(),
        description: format!("the purpose {id}"),
        dpv: "dpv:ServiceProvision".into(),
        lawful_bases: bases.iter().map(|basis| i32::from(*basis)).collect(),
        notices: vec![NoticeVersion { version: "v1".into(), language: "en".into(), ..Default::default() }],
        ..Default::default()
    }
}

/// Bytes that the sample attribute `phone` may have.
pub const PHONE_BYTES_MAX: u32 = 32;

/// Name, type and purposes of the sample attributes.
pub fn attributes() -> Vec<(&'static str, ValueType, &'static [&'static str])> {
    vec![
        ("given_name", ValueType::Text, &["service", "marketing"]),
        ("surname", ValueType::Text, &["service", "marketing"]),
        ("email", ValueType::Text, &["service", "marketing"]),
        ("phone", ValueType::Text, &["service"]),
        ("birth_date", ValueType::Date, &["service"]),
        ("points", ValueType::Integer, &["service", "marketing"]),
        ("balance", ValueType::Decimal, &["service"]),
        ("premium", ValueType::Boolean, &["service"]),
        ("last_seen", ValueType::Timestamp, &["service"]),
        ("interest", ValueType::Text, &["marketing"]),
    ]
}

/// A text value.
pub fn text(value: impl Into<String>) -> Option<Value> {
    Some(Value { kind: Some(Kind::Text(value.into())) })
}

/// An integer value.
pub fn integer(value: i64) -> Option<Value> {
    Some(Value { kind: Some(Kind::Integer(value)) })
}

/// A text observed now.
pub fn observation(attribute: &str, value: &str) -> Observation {
    Observation { attribute: attribute.into(), value: text(value), observed_at: None }
}

/// Texts observed now.
pub fn texts(values: &[(&str, &str)]) -> Vec<Observation> {
    values.iter().map(|(attribute, value)| observation(attribute, value)).collect()
}

/// The clock of this machine, which is that of the nodes too: the time since 1970.
#[expect(clippy::disallowed_methods, reason = "the one clock of the tests")]
pub fn now() -> std::time::Duration {
    std::time::SystemTime::UNIX_EPOCH.elapsed().expect("it is after 1970")
}

/// A new request id, random.
pub fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// A customer id that is well-formed and that no node knows.
pub fn new_customer() -> String {
    /// The digits of a typeid, in the order of their values.
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let number = uuid::Uuid::now_v7().as_u128();
    let digit =
        |place: u32| char::from(DIGITS[usize::try_from((number >> (5 * place)) & 31).expect("5 bits")]);
    format!("cust_{}", (0..26).rev().map(digit).collect::<String>())
}

/// Code, reason and field of a status.
pub fn fault(status: &Status) -> (Code, String, String) {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
    let field = details.bad_request().and_then(|bad| bad.field_violations.first());
    (status.code(), reason, field.map(|violation| violation.field.clone()).unwrap_or_default())
}

/// A detail that a status gives to programs.
pub fn detail(status: &Status, key: &str) -> Option<String> {
    status.get_error_details().error_info().and_then(|info| info.metadata.get(key).cloned())
}

/// A consent to the first notice of a purpose.
pub fn grant(purpose: &str) -> ConsentGrant {
    ConsentGrant {
        purpose: purpose.into(),
        notice_version: "v1".into(),
        method: ConsentMethod::Explicit.into(),
        collector: "tests".into(),
        evidence: Some(evidence(AffirmativeAct::TickedBox)),
        ..Default::default()
    }
}

/// What was done to consent.
pub fn evidence(act: AffirmativeAct) -> ConsentEvidence {
    ConsentEvidence { act: act.into(), language: "en".into(), ..Default::default() }
}

/// An explicit consent to the first notice of a purpose.
pub fn consent(customer_id: &str, purpose: &str) -> RecordConsentRequest {
    RecordConsentRequest {
        customer_id: customer_id.into(),
        purpose: purpose.into(),
        status: ConsentStatus::Given.into(),
        notice_version: "v1".into(),
        method: ConsentMethod::Explicit.into(),
        collector: "tests".into(),
        evidence: Some(evidence(AffirmativeAct::TickedBox)),
        request_id: new_id(),
        ..Default::default()
    }
}

/// A withdrawal of consent to a purpose.
pub fn withdrawal(customer_id: &str, purpose: &str) -> WithdrawConsentRequest {
    WithdrawConsentRequest {
        customer_id: customer_id.into(),
        purpose: purpose.into(),
        channel: "phone".into(),
        request_id: new_id(),
        ..Default::default()
    }
}

/// Data for the purpose `service`, with the consent that carries it.
pub fn ingest(customer_id: &str, observations: Vec<Observation>) -> IngestProfileRequest {
    IngestProfileRequest {
        customer_id: customer_id.into(),
        purpose: "service".into(),
        source: "tests".into(),
        observations,
        consents: vec![grant("service")],
        request_id: new_id(),
        ..Default::default()
    }
}

/// A read of everything for a purpose.
pub fn get(customer_id: &str, purpose: &str) -> GetProfileRequest {
    GetProfileRequest { customer_id: customer_id.into(), purpose: purpose.into(), ..Default::default() }
}

/// An event of this id that happened `ms` milliseconds after the start of 2026.
pub fn event(id: &str, ms: i64) -> Event {
    let ms = 1_767_225_600_000 + ms;
    let nanos = i32::try_from(ms.rem_euclid(1_000)).expect("below a second") * 1_000_000;
    Event {
        event_id: id.into(),
        name: "Order Completed".into(),
        occurred_at: Some(custodia_proto::Timestamp { seconds: ms.div_euclid(1_000), nanos }),
        channel: "web".into(),
        ..Default::default()
    }
}

/// The example of the IAB's specification, brought up to policy version 5, and as if updated so many days ago.
pub fn tc_string(days_ago: u64) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let today = now().as_secs() / 86_400;
    let deciseconds = (today - days_ago) * 864_000;
    let digit = |at: u32| char::from(DIGITS[usize::try_from(deciseconds >> (6 * at) & 63).expect("6 bits")]);
    let moment: String = (0..6).rev().map(digit).collect();
    format!("C{moment}{moment}NwAAAENAwFgAAAAAAAAAAYgACPAAAAA.IDKQA4AAgAKAGQAygAAA.YAAAAAAAAAAA")
}

/// The text value of an attribute in an answer, if it was given.
pub fn text_of(profile: &Profile, name: &str) -> Option<String> {
    let attribute = profile.attributes.iter().find(|attribute| attribute.name == name)?;
    let kind = attribute.value.as_ref()?.kind.as_ref()?;
    let Kind::Text(text) = kind else { panic!("{name} is {kind:?}") };
    Some(text.clone())
}

/// Why an attribute of an answer was withheld, if it was.
pub fn withheld(profile: &Profile, name: &str) -> Option<RefusalReason> {
    let attribute = profile.withheld.iter().find(|attribute| attribute.name == name)?;
    assert!(!attribute.explanation.is_empty(), "every reason has a sentence for people");
    Some(attribute.reason())
}
