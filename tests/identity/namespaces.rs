//! The namespaces of these tests, and requests with identifiers.

use std::time::{Duration, Instant};

use custodia_proto::v1::{
    self, CreateNamespaceRequest, Identifier, IdentifierObservation, IngestProfileRequest,
    IngestProfileResponse, LookupProfileRequest, Namespace, NamespaceKind,
};
use custodia_tests::sample::{ingest, texts};
use custodia_tests::{PATIENCE, Sandbox};
use tonic::{Code, Status};

/// Defines `email` (which the attribute of that name is; for service and marketing), and for service alone `phone` (shared), `card`,
/// `device` and `passport` (one a person); once for all tests.
pub(crate) async fn define(sandbox: &Sandbox) {
    let email = Namespace {
        kind: NamespaceKind::Email.into(),
        attribute: "email".to_owned(),
        priority: 30,
        ..namespace("email", &["service", "marketing"])
    };
    let phone = Namespace {
        kind: NamespaceKind::Phone.into(),
        shared: true,
        default_region: "DE".to_owned(),
        ..namespace("phone", &["service"])
    };
    let card = Namespace { priority: 20, pattern: "[0-9]{8}".to_owned(), ..namespace("card", &["service"]) };
    let device = Namespace { priority: 10, ..namespace("device", &["service"]) };
    let mut catalog = sandbox.catalog(0).await;
    let passport = Namespace { per_customer_max: 1, ..namespace("passport", &["service"]) };
    for namespace in [email, phone, card, device, passport] {
        let request = CreateNamespaceRequest { namespace: Some(namespace), validate_only: false };
        match catalog.create_namespace(request).await {
            Ok(_) => {}
            // Another test was faster.
            Err(status) if status.code() == Code::AlreadyExists => {}
            Err(status) => panic!("a namespace is created: {status}"),
        }
    }
}

fn namespace(id: &str, purposes: &[&str]) -> Namespace {
    Namespace {
        id: id.to_owned(),
        kind: NamespaceKind::Text.into(),
        purposes: purposes.iter().map(|purpose| (*purpose).to_owned()).collect(),
        ..Default::default()
    }
}

/// A mail address that no other test has.
pub(crate) fn new_email(name: &str) -> String {
    format!("{name}.{}@example.org", uuid::Uuid::new_v4().simple())
}

/// A card number that no other test has.
pub(crate) fn new_card() -> String {
    format!("{:08}", uuid::Uuid::new_v4().as_u128() % 100_000_000)
}

pub(crate) fn identifier(namespace: &str, value: &str) -> Identifier {
    Identifier { namespace: namespace.to_owned(), value: value.to_owned() }
}

pub(crate) fn observed(namespace: &str, value: &str) -> IdentifierObservation {
    IdentifierObservation { namespace: namespace.to_owned(), value: value.to_owned(), observed_at: None }
}

/// Data for the purpose `service` with identifiers.
pub(crate) fn identified(customer_id: &str, identifiers: &[(&str, &str)]) -> IngestProfileRequest {
    let identifiers = identifiers.iter().map(|(namespace, value)| observed(namespace, value)).collect();
    IngestProfileRequest { identifiers, ..ingest(customer_id, texts(&[("given_name", "Ana")])) }
}

/// Repeats a call while the leadership moves.
pub(crate) async fn patiently<T>(mut call: impl AsyncFnMut() -> Result<T, Status>) -> Result<T, Status> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match call().await {
            Err(status)
                if matches!(status.code(), Code::Unavailable | Code::Aborted)
                    && Instant::now() < deadline =>
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            answer => return answer,
        }
    }
}

/// Ingests through a node.
pub(crate) async fn ingested(
    sandbox: &Sandbox,
    node: usize,
    request: IngestProfileRequest,
) -> IngestProfileResponse {
    let mut profiles = sandbox.profiles(node).await;
    let answer = patiently(async || profiles.ingest_profile(request.clone()).await).await;
    answer.expect("ingested").into_inner()
}

/// What a customer is known by, for the purpose `service`; nothing of somebody unknown.
pub(crate) async fn listed(sandbox: &Sandbox, node: usize, customer_id: &str) -> Vec<v1::HeldIdentifier> {
    let request =
        v1::ListIdentifiersRequest { customer_id: customer_id.to_owned(), purpose: "service".to_owned() };
    let mut identity = sandbox.identity(node).await;
    match patiently(async || identity.list_identifiers(request.clone()).await).await {
        Ok(answer) => answer.into_inner().identifiers,
        Err(status) if status.code() == Code::NotFound => Vec::new(),
        Err(status) => panic!("{status}"),
    }
}

/// The ids of those who hold an identifier, as a node answers for the purpose `service`.
pub(crate) async fn holders(
    sandbox: &Sandbox,
    node: usize,
    namespace: &str,
    value: &str,
) -> Result<Vec<String>, Status> {
    let request = LookupProfileRequest {
        identifier: Some(identifier(namespace, value)),
        purpose: "service".to_owned(),
        ..Default::default()
    };
    let mut identity = sandbox.identity(node).await;
    let found = patiently(async || identity.lookup_profile(request.clone()).await).await?.into_inner();
    Ok(found.profiles.into_iter().map(|profile| profile.customer_id).collect())
}

/// Asserts that every node finds these customers.
pub(crate) async fn found_everywhere(sandbox: &Sandbox, namespace: &str, value: &str, customers: &[&str]) {
    for node in 0..3 {
        let mut found = match holders(sandbox, node, namespace, value).await {
            Ok(found) => found,
            Err(status) if status.code() == Code::NotFound => Vec::new(),
            Err(status) => panic!("node {node}: {status}"),
        };
        found.sort_unstable();
        let mut expected: Vec<_> = customers.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "node {node}, {namespace}");
    }
}

/// Releases a customer's identifier through a node.
pub(crate) async fn released(
    sandbox: &Sandbox,
    node: usize,
    customer_id: &str,
    of: (&str, &str),
) -> v1::ReleaseIdentifierResponse {
    let request = v1::ReleaseIdentifierRequest {
        customer_id: customer_id.to_owned(),
        purpose: "service".to_owned(),
        identifier: Some(identifier(of.0, of.1)),
        request_id: custodia_tests::sample::new_id(),
    };
    let mut identity = sandbox.identity(node).await;
    let answer = patiently(async || identity.release_identifier(request.clone()).await).await;
    answer.expect("released").into_inner()
}
