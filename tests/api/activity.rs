//! Types of matters and traits in the catalogue, on every node (GO-1, GO-3, PR-4, PR-5).

use custodia_proto::v1::{self, MatterType, TraitAggregate, TraitDefinition};
use custodia_tests::sample::fault;
use custodia_tests::{Sandbox, Suite};
use tonic::{Code, Status};

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(a_type_of_matters_is_known_on_every_node_at_once)
        .shared(a_trait_is_known_on_every_node_at_once)
        .shared(a_definition_that_cannot_be_is_refused_by_field)
        .shared(only_those_who_keep_the_catalogue_change_a_definition)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn matter_type(id: &str) -> MatterType {
    MatterType {
        id: id.to_owned(),
        display_name: "Support case".to_owned(),
        description: "What is to be put right".to_owned(),
        opening_events: names(&["Case Opened", "Case Reopened"]),
        closing_events: names(&["Case Closed"]),
        key_property: "case_id".to_owned(),
        purposes: names(&["service"]),
        stale_after_days: 30,
        owner: "desk".to_owned(),
        etag: String::new(),
    }
}

fn definition(id: &str) -> TraitDefinition {
    TraitDefinition {
        id: id.to_owned(),
        display_name: "Revenue".to_owned(),
        description: "What the orders come to".to_owned(),
        aggregate: TraitAggregate::Sum.into(),
        events: names(&["Order Completed"]),
        property: "total".to_owned(),
        window_days: 365,
        purposes: names(&["service", "marketing"]),
        unit: "EUR".to_owned(),
        owner: "shop".to_owned(),
        etag: String::new(),
    }
}

async fn create_matter(sandbox: &Sandbox, node: usize, wire: MatterType) -> Result<MatterType, Status> {
    let request = v1::CreateMatterTypeRequest { matter_type: Some(wire), validate_only: false };
    Ok(sandbox.catalog(node).await.create_matter_type(request).await?.into_inner())
}

async fn update_matter(sandbox: &Sandbox, node: usize, wire: MatterType) -> Result<MatterType, Status> {
    let request = v1::UpdateMatterTypeRequest { matter_type: Some(wire) };
    Ok(sandbox.catalog(node).await.update_matter_type(request).await?.into_inner())
}

async fn create_trait(
    sandbox: &Sandbox,
    node: usize,
    wire: TraitDefinition,
) -> Result<TraitDefinition, Status> {
    let request = v1::CreateTraitRequest { r#trait: Some(wire), validate_only: false };
    Ok(sandbox.catalog(node).await.create_trait(request).await?.into_inner())
}

/// Every change of the catalogue so far.
async fn changes(sandbox: &Sandbox) -> Vec<Option<v1::catalog_change::Entry>> {
    let page = v1::ListCatalogChangesRequest { page_size: 1_000, ..Default::default() };
    let page = sandbox.catalog(2).await.list_catalog_changes(page).await.expect("listed").into_inner();
    page.changes.into_iter().map(|change| change.entry).collect()
}

async fn a_type_of_matters_is_known_on_every_node_at_once(sandbox: &Sandbox) {
    let wire = matter_type("known-case");
    let only_checked = v1::CreateMatterTypeRequest { matter_type: Some(wire.clone()), validate_only: true };
    sandbox.catalog(1).await.create_matter_type(only_checked).await.expect("valid");
    let get = v1::GetMatterTypeRequest { id: "known-case".to_owned() };
    let missing = sandbox.catalog(1).await.get_matter_type(get.clone()).await.expect_err("not created");
    assert_eq!(missing.code(), Code::NotFound);
    let created = create_matter(sandbox, 0, wire.clone()).await.expect("created");
    assert_eq!(created, MatterType { etag: created.etag.clone(), ..wire.clone() });
    for node in 0..3 {
        let found = sandbox.catalog(node).await.get_matter_type(get.clone()).await.expect("known");
        assert_eq!(found.into_inner(), created);
    }
    let status = create_matter(sandbox, 2, wire).await.expect_err("exists");
    assert_eq!((status.code(), fault(&status).1.as_str()), (Code::AlreadyExists, "ENTRY_EXISTS"));
    let changed = MatterType { stale_after_days: 0, ..created.clone() };
    let changed = update_matter(sandbox, 2, changed).await.expect("updated");
    let status = update_matter(sandbox, 1, created).await.expect_err("stale");
    assert_eq!(fault(&status).1, "ETAG_STALE");
    create_matter(sandbox, 1, matter_type("known-claim")).await.expect("another");
    let mut listed = Vec::new();
    let mut list = v1::ListMatterTypesRequest { page_size: 1, ..Default::default() };
    loop {
        let mut catalog = sandbox.catalog(listed.len() % 3).await;
        let page = catalog.list_matter_types(list).await.expect("listed").into_inner();
        listed.extend(page.matter_types);
        list = v1::ListMatterTypesRequest { page_size: 1, page_token: page.next_page_token };
        if list.page_token.is_empty() {
            break;
        }
    }
    assert!(listed.is_sorted_by(|one, next| one.id < next.id) && listed.contains(&changed), "{listed:?}");
    let history = changes(sandbox).await.into_iter().filter_map(|entry| match entry {
        Some(v1::catalog_change::Entry::MatterType(entry)) if entry.id == "known-case" => {
            Some(entry.stale_after_days)
        }
        _ => None,
    });
    assert_eq!(history.collect::<Vec<_>>(), [30, 0]);
}

async fn a_trait_is_known_on_every_node_at_once(sandbox: &Sandbox) {
    let wire = definition("known-revenue");
    let created = create_trait(sandbox, 0, wire.clone()).await.expect("created");
    assert_eq!(created, TraitDefinition { etag: created.etag.clone(), ..wire.clone() });
    let get = v1::GetTraitRequest { id: "known-revenue".to_owned() };
    for node in 0..3 {
        let found = sandbox.catalog(node).await.get_trait(get.clone()).await.expect("known");
        assert_eq!(found.into_inner(), created);
    }
    let status = create_trait(sandbox, 1, wire).await.expect_err("exists");
    assert_eq!((status.code(), fault(&status).1.as_str()), (Code::AlreadyExists, "ENTRY_EXISTS"));
    let largest =
        TraitDefinition { aggregate: TraitAggregate::Max.into(), window_days: 0, ..created.clone() };
    let update = |wire: TraitDefinition| v1::UpdateTraitRequest { r#trait: Some(wire) };
    let changed = sandbox.catalog(2).await.update_trait(update(largest)).await.expect("updated").into_inner();
    assert_eq!((changed.aggregate(), changed.window_days), (TraitAggregate::Max, 0));
    let status = sandbox.catalog(1).await.update_trait(update(created)).await.expect_err("stale");
    assert_eq!(fault(&status).1, "ETAG_STALE");
    let all = v1::ListTraitsRequest::default();
    let listed = sandbox.catalog(0).await.list_traits(all).await.expect("listed").into_inner().traits;
    assert!(listed.contains(&changed));
    let history = changes(sandbox).await.into_iter().filter_map(|entry| match entry {
        Some(v1::catalog_change::Entry::Trait(entry)) if entry.id == "known-revenue" => {
            Some(entry.aggregate())
        }
        _ => None,
    });
    assert_eq!(history.collect::<Vec<_>>(), [TraitAggregate::Sum, TraitAggregate::Max]);
}

async fn a_definition_that_cannot_be_is_refused_by_field(sandbox: &Sandbox) {
    let wire = || matter_type("impossible");
    let many = |count: usize| (0..count).map(|at| at.to_string()).collect::<Vec<_>>();
    let cases = [
        ("matter_type.id", MatterType { id: "Impossible".to_owned(), ..wire() }),
        ("matter_type.id", MatterType { id: String::new(), ..wire() }),
        ("matter_type.display_name", MatterType { display_name: "x".repeat(129), ..wire() }),
        ("matter_type.opening_events", MatterType { opening_events: vec![], ..wire() }),
        ("matter_type.opening_events", MatterType { opening_events: many(33), ..wire() }),
        ("matter_type.opening_events[1]", MatterType { opening_events: names(&["a", ""]), ..wire() }),
        ("matter_type.closing_events", MatterType { closing_events: vec![], ..wire() }),
        ("matter_type.closing_events", MatterType { closing_events: names(&["Case Opened"]), ..wire() }),
        ("matter_type.closing_events[0]", MatterType { closing_events: vec!["x".repeat(65)], ..wire() }),
        ("matter_type.key_property", MatterType { key_property: String::new(), ..wire() }),
        ("matter_type.key_property", MatterType { key_property: "x".repeat(65), ..wire() }),
        ("matter_type.purposes", MatterType { purposes: vec![], ..wire() }),
        ("matter_type.purposes[0]", MatterType { purposes: names(&["nothing"]), ..wire() }),
        ("matter_type.stale_after_days", MatterType { stale_after_days: 3_651, ..wire() }),
    ];
    for (field, wire) in cases {
        let status = create_matter(sandbox, 1, wire).await.expect_err(field);
        assert_eq!((status.code(), fault(&status).2.as_str()), (Code::InvalidArgument, field));
    }
    let wire = || definition("impossible");
    let count = TraitAggregate::Count.into();
    let cases = [
        ("trait.id", TraitDefinition { id: "im_possible".to_owned(), ..wire() }),
        ("trait.aggregate", TraitDefinition { aggregate: 0, ..wire() }),
        ("trait.aggregate", TraitDefinition { aggregate: 8, ..wire() }),
        ("trait.events", TraitDefinition { events: vec![], ..wire() }),
        ("trait.events", TraitDefinition { events: many(33), ..wire() }),
        ("trait.events[0]", TraitDefinition { events: names(&[""]), ..wire() }),
        ("trait.property", TraitDefinition { property: String::new(), ..wire() }),
        ("trait.property", TraitDefinition { aggregate: count, ..wire() }),
        ("trait.property", TraitDefinition { property: "x".repeat(65), ..wire() }),
        ("trait.window_days", TraitDefinition { window_days: 3_651, ..wire() }),
        ("trait.purposes", TraitDefinition { purposes: vec![], ..wire() }),
        ("trait.purposes[1]", TraitDefinition { purposes: names(&["service", "nothing"]), ..wire() }),
        ("trait.unit", TraitDefinition { unit: "x".repeat(33), ..wire() }),
    ];
    for (field, wire) in cases {
        let status = create_trait(sandbox, 2, wire).await.expect_err(field);
        assert_eq!((status.code(), fault(&status).2.as_str()), (Code::InvalidArgument, field));
    }
}

async fn only_those_who_keep_the_catalogue_change_a_definition(sandbox: &Sandbox) {
    use v1::catalog_service_client::CatalogServiceClient;
    for role in ["agent", "ingest"] {
        let mut catalog = CatalogServiceClient::new(sandbox.channel_as(1, role, "reader").await);
        let matter =
            v1::CreateMatterTypeRequest { matter_type: Some(matter_type("unwelcome")), validate_only: false };
        let status = catalog.create_matter_type(matter).await.expect_err("not its task");
        assert_eq!(status.code(), Code::PermissionDenied);
        let definition =
            v1::CreateTraitRequest { r#trait: Some(definition("unwelcome")), validate_only: false };
        let status = catalog.create_trait(definition).await.expect_err("not its task");
        assert_eq!(status.code(), Code::PermissionDenied);
        catalog.list_matter_types(v1::ListMatterTypesRequest::default()).await.expect("it may know them");
        catalog.list_traits(v1::ListTraitsRequest::default()).await.expect("it may know them");
    }
}
