//! Namespaces of identifiers in the catalogue, on every node (ID-2, GO-1).

use custodia_proto::v1;
use custodia_tests::actions::create_attribute;
use custodia_tests::sample::{attribute, fault};
use custodia_tests::{Sandbox, Suite};
use tonic::{Code, Status};

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(a_namespace_is_known_on_every_node_at_once)
        .shared(what_stored_identifiers_rely_on_cannot_change)
        .shared(a_namespace_that_cannot_be_is_refused_by_field)
        .shared(an_attribute_is_an_identifier_of_one_namespace)
        .shared(only_those_who_keep_the_catalogue_change_a_namespace)
}

fn namespace(id: &str, kind: v1::NamespaceKind) -> v1::Namespace {
    v1::Namespace {
        id: id.to_owned(),
        display_name: id.to_owned(),
        kind: kind.into(),
        purposes: vec!["service".to_owned()],
        ..Default::default()
    }
}

async fn create(sandbox: &Sandbox, node: usize, wire: v1::Namespace) -> Result<v1::Namespace, Status> {
    let request = v1::CreateNamespaceRequest { namespace: Some(wire), validate_only: false };
    Ok(sandbox.catalog(node).await.create_namespace(request).await?.into_inner())
}

async fn update(sandbox: &Sandbox, node: usize, wire: v1::Namespace) -> Result<v1::Namespace, Status> {
    let request = v1::UpdateNamespaceRequest { namespace: Some(wire) };
    Ok(sandbox.catalog(node).await.update_namespace(request).await?.into_inner())
}

async fn get(sandbox: &Sandbox, node: usize, id: &str) -> Result<v1::Namespace, Status> {
    let request = v1::GetNamespaceRequest { id: id.to_owned() };
    Ok(sandbox.catalog(node).await.get_namespace(request).await?.into_inner())
}

async fn a_namespace_is_known_on_every_node_at_once(sandbox: &Sandbox) {
    let wire = v1::Namespace {
        description: "Where the customer reads mail".to_owned(),
        blocked_values: vec!["info@".to_owned(), "@mailinator.com".to_owned()],
        priority: 300,
        purposes: vec!["service".to_owned(), "marketing".to_owned()],
        ignore_plus_tag: true,
        ignore_dots_of: vec!["GMail.com".to_owned()],
        ..namespace("known-mail", v1::NamespaceKind::Email)
    };
    let only_checked = v1::CreateNamespaceRequest { namespace: Some(wire.clone()), validate_only: true };
    sandbox.catalog(1).await.create_namespace(only_checked).await.expect("valid");
    assert_eq!(get(sandbox, 1, "known-mail").await.expect_err("not created").code(), Code::NotFound);
    let created = create(sandbox, 0, wire.clone()).await.expect("created");
    let expected = v1::Namespace {
        per_customer_max: 16,
        ignore_dots_of: vec!["gmail.com".to_owned()],
        on_conflict: v1::LinkPolicy::Propose.into(),
        etag: created.etag.clone(),
        ..wire.clone()
    };
    assert_eq!(created, expected, "the defaults and the normal forms are shown");
    for node in 0..3 {
        assert_eq!(get(sandbox, node, "known-mail").await.expect("known"), created);
    }
    let status = create(sandbox, 2, wire).await.expect_err("exists");
    assert_eq!((status.code(), fault(&status).1.as_str()), (Code::AlreadyExists, "ENTRY_EXISTS"));
    let changed =
        v1::Namespace { per_customer_max: 4, on_conflict: v1::LinkPolicy::Merge.into(), ..created.clone() };
    let changed = update(sandbox, 2, changed).await.expect("updated");
    assert_eq!((changed.per_customer_max, changed.on_conflict()), (4, v1::LinkPolicy::Merge));
    let status = update(sandbox, 1, created).await.expect_err("stale");
    assert_eq!(fault(&status).1, "ETAG_STALE");
    let mut listed = Vec::new();
    let mut list = v1::ListNamespacesRequest { page_size: 1, ..Default::default() };
    loop {
        let page =
            sandbox.catalog(listed.len() % 3).await.list_namespaces(list).await.expect("listed").into_inner();
        listed.extend(page.namespaces);
        list = v1::ListNamespacesRequest { page_size: 1, page_token: page.next_page_token };
        if list.page_token.is_empty() {
            break;
        }
    }
    assert!(listed.is_sorted_by(|one, next| one.id < next.id) && listed.contains(&changed), "{listed:?}");
    let page = v1::ListCatalogChangesRequest { page_size: 1_000, ..Default::default() };
    let changes =
        sandbox.catalog(2).await.list_catalog_changes(page).await.expect("listed").into_inner().changes;
    let history = changes.into_iter().filter_map(|change| match change.entry {
        Some(v1::catalog_change::Entry::Namespace(entry)) if entry.id == "known-mail" => {
            Some(entry.per_customer_max)
        }
        _ => None,
    });
    assert_eq!(history.collect::<Vec<_>>(), [16, 4]);
}

async fn what_stored_identifiers_rely_on_cannot_change(sandbox: &Sandbox) {
    let card = create(sandbox, 1, namespace("frozen-card", v1::NamespaceKind::Text)).await.expect("created");
    let mail = create(sandbox, 1, namespace("frozen-mail", v1::NamespaceKind::Email)).await.expect("created");
    let domains = vec!["gmail.com".to_owned()];
    for (field, wire) in [
        ("namespace.kind", v1::Namespace { kind: v1::NamespaceKind::Phone.into(), ..card.clone() }),
        ("namespace.shared", v1::Namespace { shared: true, ..card.clone() }),
        ("namespace.case_sensitive", v1::Namespace { case_sensitive: true, ..card.clone() }),
        ("namespace.ignore_plus_tag", v1::Namespace { ignore_plus_tag: true, ..mail.clone() }),
        ("namespace.ignore_dots_of", v1::Namespace { ignore_dots_of: domains, ..mail.clone() }),
    ] {
        let status = update(sandbox, 2, wire).await.expect_err("frozen");
        let (code, reason, found) = fault(&status);
        assert_eq!((code, reason.as_str(), found.as_str()), (Code::InvalidArgument, "FIELD_INVALID", field));
    }
    let other = v1::Namespace { pattern: "[0-9]+".to_owned(), blocked_values: vec!["1".to_owned()], ..card };
    update(sandbox, 0, other).await.expect("what is stored keeps its meaning");
}

async fn a_namespace_that_cannot_be_is_refused_by_field(sandbox: &Sandbox) {
    use v1::NamespaceKind::{Email, Phone, Text};
    let wire = |kind| namespace("impossible", kind);
    let cases = [
        ("namespace.id", v1::Namespace { id: "Impossible".to_owned(), ..wire(Text) }),
        ("namespace.id", v1::Namespace { id: "x".repeat(33), ..wire(Text) }),
        ("namespace.kind", v1::Namespace { kind: 0, ..wire(Text) }),
        ("namespace.kind", v1::Namespace { kind: 4, ..wire(Text) }),
        ("namespace.purposes", v1::Namespace { purposes: vec![], ..wire(Text) }),
        ("namespace.purposes[0]", v1::Namespace { purposes: vec!["nothing".to_owned()], ..wire(Text) }),
        ("namespace.per_customer_max", v1::Namespace { per_customer_max: 65, ..wire(Text) }),
        ("namespace.per_customer_max", v1::Namespace { per_customer_max: 256, ..wire(Text) }),
        ("namespace.pattern", v1::Namespace { pattern: "[".to_owned(), ..wire(Text) }),
        ("namespace.pattern", v1::Namespace { pattern: "a".to_owned(), ..wire(Email) }),
        ("namespace.ignore_dots_of", v1::Namespace { ignore_dots_of: vec!["a b".to_owned()], ..wire(Email) }),
        ("namespace.default_region", v1::Namespace { default_region: "UK".to_owned(), ..wire(Phone) }),
        ("namespace.default_region", v1::Namespace { default_region: "AQ".to_owned(), ..wire(Phone) }),
        ("namespace.attribute", v1::Namespace { attribute: "no_such".to_owned(), ..wire(Text) }),
        ("namespace.attribute", v1::Namespace { attribute: "points".to_owned(), ..wire(Text) }),
        ("namespace.on_conflict", v1::Namespace { on_conflict: 3, ..wire(Text) }),
    ];
    for (field, wire) in cases {
        let status = create(sandbox, 1, wire).await.expect_err(field);
        assert_eq!((status.code(), fault(&status).2.as_str()), (Code::InvalidArgument, field));
    }
}

async fn an_attribute_is_an_identifier_of_one_namespace(sandbox: &Sandbox) {
    let text = attribute("member_number", v1::ValueType::Text, &["service"]);
    create_attribute(sandbox, 0, text).await.expect("created");
    let of = |id: &str| v1::Namespace {
        attribute: "member_number".to_owned(),
        ..namespace(id, v1::NamespaceKind::Text)
    };
    let first = create(sandbox, 1, of("member-one")).await.expect("created");
    assert_eq!(first.attribute, "member_number");
    let status = create(sandbox, 2, of("member-two")).await.expect_err("it is the other one's");
    assert_eq!(fault(&status).2, "namespace.attribute");
    update(sandbox, 0, v1::Namespace { attribute: String::new(), ..first }).await.expect("given up");
    create(sandbox, 2, of("member-two")).await.expect("free again");
}

async fn only_those_who_keep_the_catalogue_change_a_namespace(sandbox: &Sandbox) {
    use v1::catalog_service_client::CatalogServiceClient;
    for role in ["agent", "ingest"] {
        let mut catalog = CatalogServiceClient::new(sandbox.channel_as(1, role, "reader").await);
        let wire = namespace("unwelcome", v1::NamespaceKind::Text);
        let request = v1::CreateNamespaceRequest { namespace: Some(wire), validate_only: false };
        let status = catalog.create_namespace(request).await.expect_err("not its task");
        assert_eq!(status.code(), Code::PermissionDenied);
        catalog.list_namespaces(v1::ListNamespacesRequest::default()).await.expect("it may know them");
    }
}
