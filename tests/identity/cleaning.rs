//! Cleaning: formats of attributes, stale identifiers, and the report on the quality of identifiers (GO-4, ID-5).

use std::collections::BTreeMap;

use custodia_proto::FieldMask;
use custodia_proto::v1::identity_service_client::IdentityServiceClient;
use custodia_proto::v1::{
    self, AttributeDefinition, CreateAttributeRequest, CreateNamespaceRequest, GetNamespaceRequest,
    IdentifierFault, IdentifierFinding, Namespace, NamespaceKind, NamespaceReport, RefusalReason,
    ReportIdentifiersRequest, UpdateAttributeRequest, UpdateNamespaceRequest, ValueFormat, ValueType,
};
use custodia_tests::sample::{attribute, fault, get, ingest, new_customer, new_id, now, text_of, texts};
use custodia_tests::{Sandbox, Suite};
use tonic::Code;

use crate::merging::merged;
use crate::namespaces::{identified, ingested, listed, observed, patiently};

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(an_address_is_stored_in_its_normal_form_with_the_original)
        .shared(a_report_counts_and_lists_what_is_wrong_on_every_node)
        .shared(only_the_privacy_office_asks_for_a_report)
}

async fn define_address(sandbox: &Sandbox) {
    let mut catalog = sandbox.catalog(0).await;
    let text = |name: &str, format: ValueFormat| AttributeDefinition {
        format: format.into(),
        ..attribute(name, ValueType::Text, &["service"])
    };
    let code = AttributeDefinition {
        country_attribute: "home_country".to_owned(),
        ..text("home_code", ValueFormat::PostalCode)
    };
    let country = text("home_country", ValueFormat::CountryCode);
    for attribute in [country, code, text("home_street", ValueFormat::AddressLine)] {
        let request = CreateAttributeRequest { attribute: Some(attribute), validate_only: false };
        catalog.create_attribute(request).await.expect("an attribute is created");
    }
}

async fn an_address_is_stored_in_its_normal_form_with_the_original(sandbox: &Sandbox) {
    define_address(sandbox).await;
    let address = [("home_code", "sw1a1aa"), ("home_street", " Downing  Street 10 "), ("home_country", "uk")];
    let customer = new_customer();
    let answer = ingested(sandbox, 1, ingest(&customer, texts(&address))).await;
    assert!(answer.attributes.iter().all(|outcome| outcome.merged), "{answer:?}");
    let request = get(&customer, "service");
    for node in 0..3 {
        let profile = sandbox.profiles(node).await.get_profile(request.clone()).await.expect("known");
        let profile = profile.into_inner();
        assert_eq!(shown(&profile, "home_code"), ("SW1A 1AA".to_owned(), "sw1a1aa".to_owned()));
        assert_eq!(
            shown(&profile, "home_street"),
            ("Downing Street 10".to_owned(), " Downing  Street 10 ".to_owned())
        );
        assert_eq!(shown(&profile, "home_country"), ("GB".to_owned(), "uk".to_owned()));
    }
    // What cannot be one is refused alone, and what is right already has no original.
    let address = [("home_country", "DE"), ("home_code", "1067"), ("home_street", "n/a")];
    let answer = ingested(sandbox, 2, ingest(&customer, texts(&address))).await;
    let refusals: Vec<_> = answer.attributes.iter().map(v1::AttributeOutcome::refusal).collect();
    let refused = RefusalReason::InvalidFormat;
    assert_eq!(refusals, [RefusalReason::Unspecified, refused, refused]);
    let profile = sandbox.profiles(0).await.get_profile(request).await.expect("known").into_inner();
    assert_eq!(shown(&profile, "home_country"), ("DE".to_owned(), String::new()));
    a_format_can_change_and_its_country_must_be_one(sandbox).await;
}

/// An attribute's value, and what its source wrote if that differs.
fn shown(profile: &v1::Profile, name: &str) -> (String, String) {
    let of = profile.attributes.iter().find(|attribute| attribute.name == name).expect("given");
    (text_of(profile, name).expect("a text"), of.original.clone())
}

async fn a_format_can_change_and_its_country_must_be_one(sandbox: &Sandbox) {
    let mut catalog = sandbox.catalog(0).await;
    let request = v1::GetAttributeRequest { name: "home_street".to_owned() };
    let stored = catalog.get_attribute(request).await.expect("an attribute").into_inner();
    let changed = AttributeDefinition { format: ValueFormat::City.into(), ..stored };
    let request = UpdateAttributeRequest { attribute: Some(changed) };
    let stored = catalog.update_attribute(request).await.expect("a format can change").into_inner();
    let of_no_country = AttributeDefinition {
        country_attribute: "home_street".to_owned(),
        format: ValueFormat::PostalCode.into(),
        ..stored
    };
    let request = UpdateAttributeRequest { attribute: Some(of_no_country) };
    let status = catalog.update_attribute(request).await.expect_err("a street says no country");
    assert_eq!(
        (status.code(), fault(&status).2.as_str()),
        (Code::InvalidArgument, "attribute.country_attribute")
    );
}

const LETTER: &str = "letter";
const HOME: &str = "home-phone";

/// Namespaces of this test alone: `letter` (mail, 30 days) and `home-phone` (shared, never stale).
async fn define_namespaces(sandbox: &Sandbox) {
    let mut catalog = sandbox.catalog(0).await;
    let of = |id: &str, kind: NamespaceKind| Namespace {
        id: id.to_owned(),
        kind: kind.into(),
        purposes: vec!["service".to_owned()],
        ..Default::default()
    };
    let letter = Namespace { stale_after_days: 30, ..of(LETTER, NamespaceKind::Email) };
    let home = Namespace { shared: true, default_region: "DE".to_owned(), ..of(HOME, NamespaceKind::Phone) };
    for namespace in [letter, home] {
        let request = CreateNamespaceRequest { namespace: Some(namespace), validate_only: false };
        catalog.create_namespace(request).await.expect("a namespace is created");
    }
}

fn days_ago(days: i64) -> custodia_proto::Timestamp {
    let seconds = i64::try_from(now().as_secs()).expect("it is before 2300");
    custodia_proto::Timestamp { seconds: seconds - days * 86_400, nanos: 0 }
}

async fn seen(sandbox: &Sandbox, identifiers: &[(&str, &str)], days: i64) -> String {
    let mut request = identified(&new_customer(), &[]);
    request.identifiers = identifiers
        .iter()
        .map(|(namespace, value)| v1::IdentifierObservation {
            observed_at: Some(days_ago(days)),
            ..observed(namespace, value)
        })
        .collect();
    let answer = ingested(sandbox, 0, request).await;
    assert!(answer.identifiers.iter().all(|outcome| outcome.merged), "{answer:?}");
    answer.customer_id
}

async fn evidence(
    sandbox: &Sandbox,
    customer: &str,
    value: &str,
    verified: Option<i64>,
    bounced: Option<i64>,
) {
    let verification = |days| v1::Verification {
        method: v1::VerificationMethod::DoubleOptIn.into(),
        verified_at: Some(days_ago(days)),
        reference: "mail 7".to_owned(),
    };
    let request = v1::UpdateIdentifierRequest {
        customer_id: customer.to_owned(),
        purpose: "service".to_owned(),
        identifier: Some(crate::namespaces::identifier(LETTER, value)),
        verification: verified.map(verification),
        bounced_at: bounced.map(days_ago),
        request_id: new_id(),
    };
    sandbox.identity(1).await.update_identifier(request).await.expect("recorded");
}

async fn restrict(sandbox: &Sandbox, customer: &str) {
    let restriction = v1::Restriction { reason: "accuracy contested".to_owned(), since: None };
    let subject = v1::DataSubject {
        customer_id: customer.to_owned(),
        restriction: Some(restriction),
        ..Default::default()
    };
    let request = v1::UpdateDataSubjectRequest {
        data_subject: Some(subject),
        update_mask: Some(FieldMask { paths: vec!["restriction".to_owned()] }),
        request_id: new_id(),
    };
    sandbox.consents(0).await.update_data_subject(request).await.expect("restricted");
}

/// A whole report through a node, in pages of two findings: the counts by namespace, and what is listed.
async fn reported(
    sandbox: &Sandbox,
    node: usize,
    of: ReportIdentifiersRequest,
) -> (BTreeMap<String, NamespaceReport>, Vec<IdentifierFinding>, u64) {
    let mut request = ReportIdentifiersRequest { purpose: "service".to_owned(), page_size: 2, ..of };
    let (mut counts, mut findings, mut restricted) = (BTreeMap::new(), Vec::new(), 0);
    loop {
        let mut identity = sandbox.identity(node).await;
        let page = patiently(async || identity.report_identifiers(request.clone()).await).await;
        let page = page.expect("reported").into_inner();
        for more in page.namespaces {
            let sum: &mut NamespaceReport = counts.entry(more.namespace.clone()).or_default();
            sum.held += more.held;
            sum.verified += more.verified;
            sum.never_verified += more.never_verified;
            sum.verification_outdated += more.verification_outdated;
            sum.stale += more.stale;
            sum.bounced += more.bounced;
            sum.invalid += more.invalid;
            sum.shared += more.shared;
        }
        findings.extend(page.findings);
        restricted += page.restricted_customers;
        if page.next_page_token.is_empty() {
            assert!((page.done - 1.0).abs() < f64::EPSILON);
            return (counts, findings, restricted);
        }
        request.page_token = page.next_page_token;
    }
}

fn of(namespace: &str, list: IdentifierFault) -> ReportIdentifiersRequest {
    ReportIdentifiersRequest { namespace: namespace.to_owned(), list: list.into(), ..Default::default() }
}

/// Who is listed.
fn customers(findings: &[IdentifierFinding]) -> Vec<&str> {
    let mut customers: Vec<_> = findings.iter().map(|of| of.customer_id.as_str()).collect();
    customers.sort_unstable();
    customers
}

async fn a_report_counts_and_lists_what_is_wrong_on_every_node(sandbox: &Sandbox) {
    define_namespaces(sandbox).await;
    let fresh = seen(sandbox, &[(LETTER, "fresh@example.org"), (HOME, "030 901820")], 1).await;
    let old = seen(sandbox, &[(LETTER, "old@example.org")], 40).await;
    let proven = seen(sandbox, &[(LETTER, "proven@example.org"), (HOME, "030 901820")], 40).await;
    let bounced = seen(sandbox, &[(LETTER, "bounced@example.org")], 1).await;
    let frozen = seen(sandbox, &[(LETTER, "frozen@example.org")], 40).await;
    let twin = seen(sandbox, &[(LETTER, "twin@example.org"), (HOME, "030 901821")], 1).await;
    evidence(sandbox, &proven, "proven@example.org", Some(3), None).await;
    evidence(sandbox, &bounced, "bounced@example.org", Some(35), Some(2)).await;
    restrict(sandbox, &frozen).await;
    // One who was merged into another counts once.
    merged(sandbox, 0, &fresh, &twin).await;
    let expected_letters = NamespaceReport {
        namespace: String::new(),
        held: 5,
        verified: 1,
        never_verified: 3,
        verification_outdated: 1,
        stale: 1,
        bounced: 1,
        invalid: 0,
        shared: 0,
    };
    for node in 0..3 {
        let (counts, findings, restricted) =
            reported(sandbox, node, of(LETTER, IdentifierFault::Stale)).await;
        assert_eq!(counts.keys().collect::<Vec<_>>(), [LETTER]);
        assert_eq!(counts[LETTER], expected_letters, "node {node}");
        assert!(restricted >= 1);
        assert_eq!(customers(&findings), [&old]);
        assert_eq!((findings[0].value.as_str(), findings[0].verified_at), ("o…@example.org", None));
        let (counts, findings, _) = reported(sandbox, node, of(HOME, IdentifierFault::Shared)).await;
        assert_eq!((counts[HOME].held, counts[HOME].shared, counts[HOME].stale), (3, 2, 0));
        let mut sharing = [fresh.as_str(), &proven];
        sharing.sort_unstable();
        assert_eq!(customers(&findings), sharing);
    }
    // Another measure than the namespace's; the faults of one finding are all told.
    let sooner = ReportIdentifiersRequest { stale_after_days: 2, ..of(LETTER, IdentifierFault::Bounced) };
    let (counts, findings, _) = reported(sandbox, 1, sooner).await;
    assert_eq!((counts[LETTER].stale, counts[LETTER].verification_outdated), (2, 2));
    let faults = [IdentifierFault::VerificationOutdated, IdentifierFault::Bounced].map(i32::from);
    assert_eq!((customers(&findings), &findings[0].faults[..]), (vec![bounced.as_str()], &faults[..]));
    // The customer's own list says it too.
    assert!(listed(sandbox, 2, &old).await[0].stale && !listed(sandbox, 2, &proven).await[0].stale);
    what_today_s_rules_refuse_is_invalid_and_can_be_released(sandbox, &old).await;
}

async fn what_today_s_rules_refuse_is_invalid_and_can_be_released(sandbox: &Sandbox, old: &str) {
    let mut catalog = sandbox.catalog(0).await;
    let request = GetNamespaceRequest { id: LETTER.to_owned() };
    let stored = catalog.get_namespace(request).await.expect("a namespace").into_inner();
    let blocking = Namespace { blocked_values: vec!["old@".to_owned()], ..stored };
    let request = UpdateNamespaceRequest { namespace: Some(blocking) };
    catalog.update_namespace(request).await.expect("blocked from now on");
    let (counts, findings, _) = reported(sandbox, 2, of(LETTER, IdentifierFault::Invalid)).await;
    assert_eq!((counts[LETTER].invalid, customers(&findings)), (1, vec![old]));
    let released = crate::namespaces::released(sandbox, 1, old, (LETTER, "old@example.org")).await;
    assert!(released.released);
    let (counts, ..) = reported(sandbox, 0, of(LETTER, IdentifierFault::Invalid)).await;
    assert_eq!((counts[LETTER].held, counts[LETTER].invalid), (4, 0));
}

async fn only_the_privacy_office_asks_for_a_report(sandbox: &Sandbox) {
    let request = ReportIdentifiersRequest { purpose: "service".to_owned(), ..Default::default() };
    for role in ["agent", "ingest", "operator"] {
        let channel = sandbox.channel_as(1, role, &format!("reporter-{role}")).await;
        let mut identity = IdentityServiceClient::new(channel);
        let status = identity.report_identifiers(request.clone()).await.expect_err("another role");
        assert_eq!(status.code(), Code::PermissionDenied, "{role}");
    }
    let wrong = [
        (ReportIdentifiersRequest::default(), "purpose"),
        (ReportIdentifiersRequest { namespace: "nothing".to_owned(), ..request.clone() }, "namespace"),
        (ReportIdentifiersRequest { stale_after_days: 3_651, ..request.clone() }, "stale_after_days"),
        (ReportIdentifiersRequest { list: 7, ..request.clone() }, "list"),
        (ReportIdentifiersRequest { page_size: 1_001, ..request.clone() }, "page_size"),
        (ReportIdentifiersRequest { page_token: "00".to_owned(), ..request }, "page_token"),
    ];
    for (request, field) in wrong {
        let status = sandbox.identity(0).await.report_identifiers(request).await.expect_err(field);
        assert_eq!((status.code(), fault(&status).2.as_str()), (Code::InvalidArgument, field), "{status}");
    }
}
