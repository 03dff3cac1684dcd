//! Three whole nodes in this process: the catalogue, its log, who reads, and what is used.

use std::time::Duration;

use custodia_proto::v1::{
    self, catalog_service_client::CatalogServiceClient, profile_service_client::ProfileServiceClient,
};
use tokio::time::Instant;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::{
    api::test_cluster::{Cluster, get, ingest},
    wire::LEADER_METADATA,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn reason(status: &tonic::Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_catalogue_governs_on_every_node() {
    let mut cluster = Cluster::start(3).await;
    cluster.define().await;
    built_in_jurisdictions(&cluster).await;
    recipients(&cluster).await;
    verdicts_alone(&cluster).await;
    unused_attributes(&cluster).await;
    changes(&cluster).await;
    kept_over_a_restart(&mut cluster).await;
    cluster.halt().await;
}

/// CO-9.
async fn built_in_jurisdictions(cluster: &Cluster) {
    let list = v1::ListJurisdictionsRequest::default();
    let listed =
        cluster.catalog(2).list_jurisdictions(list).await.expect("listed").into_inner().jurisdictions;
    assert!(listed.iter().all(|jurisdiction| jurisdiction.built_in));
    let california = listed.into_iter().find(|jurisdiction| jurisdiction.id == "us-ca").expect("built in");
    let wire = v1::Jurisdiction { display_name: "California, changed".to_owned(), ..california.clone() };
    let update = |wire| v1::UpdateJurisdictionRequest { jurisdiction: Some(wire) };
    let changed = cluster.catalog(1).update_jurisdiction(update(wire)).await.expect("updated").into_inner();
    assert!(changed.built_in && changed.etag != california.etag);
    for node in 0..3 {
        // A name that every node has always known is new only where its change has arrived.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let request = v1::GetJurisdictionRequest { id: "us-ca".to_owned() };
            let found = cluster.catalog(node).get_jurisdiction(request).await.expect("found").into_inner();
            if found == changed {
                break;
            }
            assert!(Instant::now() < deadline, "{found:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let status = cluster.catalog(0).update_jurisdiction(update(california)).await.expect_err("stale");
    assert_eq!(reason(&status), "ETAG_STALE");
    let canada = v1::Jurisdiction {
        id: "ca".to_owned(),
        regions: vec!["CA".to_owned()],
        consent_model: v1::ConsentModel::OptIn.into(),
        lawful_bases: vec![v1::LawfulBasis::Consent.into()],
        ..Default::default()
    };
    let create = |wire| v1::CreateJurisdictionRequest { jurisdiction: Some(wire), validate_only: false };
    let created = cluster.catalog(2).create_jurisdiction(create(canada.clone())).await.expect("created");
    assert!(!created.into_inner().built_in);
    let second = v1::Jurisdiction { id: "ca-2".to_owned(), ..canada };
    let status = cluster.catalog(1).create_jurisdiction(create(second)).await.expect_err("in another one");
    let field = status.get_details_bad_request().expect("a field").field_violations[0].field.clone();
    assert_eq!((status.code(), field.as_str()), (Code::InvalidArgument, "jurisdiction.regions"));
}

/// SE-2, CO-4. What is acknowledged anywhere counts everywhere, at once, where it allows more.
async fn recipients(cluster: &Cluster) {
    let answer =
        cluster.profiles(0).ingest_profile(ingest(&[("email", "a@example.org")])).await.expect("ingested");
    let customer_id = answer.into_inner().customer_id;
    let recipient = |purposes: &[&str], etag: &str| v1::Recipient {
        id: "crm-desk".to_owned(),
        purposes: purposes.iter().map(|&purpose| purpose.to_owned()).collect(),
        etag: etag.to_owned(),
        ..Default::default()
    };
    let told = |status: &tonic::Status| {
        let info = status.get_details_error_info().expect("an ErrorInfo");
        (status.code(), info.reason, info.metadata.get("purpose").cloned().unwrap_or_default())
    };
    let denied =
        |reason: &str, purpose: &str| (Code::PermissionDenied, reason.to_owned(), purpose.to_owned());
    let mut readers = Vec::new();
    for node in 0..3 {
        readers.push(ProfileServiceClient::new(cluster.channel_as(node, "agent", "crm-desk").await));
    }
    for reader in &mut readers {
        let status = reader.get_profile(get(&customer_id, "service")).await.expect_err("unknown");
        assert_eq!(told(&status), denied("RECIPIENT_NOT_REGISTERED", "service"));
        let list = v1::ListEventsRequest {
            customer_id: customer_id.clone(),
            purpose: "service".to_owned(),
            ..Default::default()
        };
        let status = reader.list_events(list).await.expect_err("unknown");
        assert_eq!(told(&status), denied("RECIPIENT_NOT_REGISTERED", "service"));
    }
    let create =
        v1::CreateRecipientRequest { recipient: Some(recipient(&["marketing"], "")), validate_only: false };
    let created = cluster.catalog(1).create_recipient(create).await.expect("created").into_inner();
    for reader in &mut readers {
        let request = v1::BatchGetProfilesRequest {
            customer_ids: vec![customer_id.clone()],
            purpose: "service".to_owned(),
            ..Default::default()
        };
        let status = reader.batch_get_profiles(request).await.expect_err("for another purpose");
        assert_eq!(told(&status), denied("RECIPIENT_NOT_ALLOWED", "service"));
    }
    let update =
        v1::UpdateRecipientRequest { recipient: Some(recipient(&["marketing", "service"], &created.etag)) };
    cluster.catalog(2).update_recipient(update).await.expect("updated");
    for reader in &mut readers {
        let profile = reader.get_profile(get(&customer_id, "service")).await.expect("allowed").into_inner();
        assert_eq!(profile.attributes.len(), 1);
    }
    // The privacy office reads as the controller, and an operator reads nothing of a customer.
    let mut privacy = ProfileServiceClient::new(cluster.channel_as(0, "privacy", "officer").await);
    privacy.get_profile(get(&customer_id, "service")).await.expect("the controller itself");
    let mut source = ProfileServiceClient::new(cluster.channel_as(0, "ingest", "till").await);
    source
        .ingest_profile(ingest(&[("email", "b@example.org")]))
        .await
        .expect("collection is the controller's own");
    let status = source.get_profile(get(&customer_id, "service")).await.expect_err("unknown");
    assert_eq!(told(&status), denied("RECIPIENT_NOT_REGISTERED", "service"));
}

async fn verdicts_alone(cluster: &Cluster) {
    let answer =
        cluster.profiles(0).ingest_profile(ingest(&[("email", "a@example.org"), ("city", "Iași")])).await;
    let customer_id = answer.expect("ingested").into_inner().customer_id;
    let ask = |purpose: &str, verdicts: v1::VerdictDetail| {
        let mut request = get(&customer_id, purpose);
        request.verdicts = verdicts.into();
        request
    };
    let profile =
        cluster.profiles(1).get_profile(ask("service", v1::VerdictDetail::Only)).await.expect("found");
    let attributes = profile.into_inner().attributes;
    let names: Vec<_> = attributes.iter().map(|attribute| attribute.name.as_str()).collect();
    assert_eq!(names, ["city", "email"]);
    assert!(attributes.iter().all(|one| {
        one.value.is_none() && one.provenance.is_none() && one.ground() == v1::LawfulBasis::Consent
    }));
    let full = cluster.profiles(2).get_profile(ask("service", v1::VerdictDetail::Full)).await.expect("found");
    assert!(full.into_inner().attributes.iter().all(|one| one.value.is_some() && one.provenance.is_some()));
    for (detail, withheld) in [(v1::VerdictDetail::Only, 2), (v1::VerdictDetail::None, 0)] {
        let profile =
            cluster.profiles(0).get_profile(ask("marketing", detail)).await.expect("found").into_inner();
        assert_eq!((profile.attributes.len(), profile.withheld.len()), (0, withheld));
    }
}

async fn unused(cluster: &Cluster, node: usize) -> Vec<v1::UnusedAttribute> {
    let request = v1::ListUnusedAttributesRequest { days: 30 };
    cluster.catalog(node).list_unused_attributes(request).await.expect("listed").into_inner().attributes
}

/// Waits until a node names these attributes as unused.
async fn wait_for_unused(cluster: &Cluster, node: usize, expected: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = unused(cluster, node).await;
        let names: Vec<_> = found.iter().map(|attribute| attribute.name.as_str()).collect();
        if names == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{names:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// GO-3.
async fn unused_attributes(cluster: &Cluster) {
    for name in ["kept_one", "kept_two"] {
        cluster.define_attribute(0, name).await.expect("defined");
    }
    let mut read = Vec::new();
    for taker in 0..3 {
        let request = ingest(&[("kept_one", "1"), ("kept_two", "2")]);
        let answer = cluster.profiles(taker).ingest_profile(request).await.expect("ingested").into_inner();
        read.push(answer.customer_id);
    }
    for node in 0..3 {
        wait_for_unused(cluster, node, &["kept_one", "kept_two"]).await;
    }
    let found = unused(cluster, 0).await;
    assert!(found.iter().all(|one| one.last_read_on.is_empty() && one.last_collected_on.len() == 10));
    // To be judged is not to be read.
    let mut judged = get(&read[0], "service");
    judged.verdicts = v1::VerdictDetail::Only.into();
    cluster.profiles(0).get_profile(judged).await.expect("judged");
    let mut request = get(&read[1], "service");
    request.read_mask = Some(prost_types::FieldMask { paths: vec!["kept_one".to_owned()] });
    cluster.profiles(1).get_profile(request).await.expect("read");
    for node in 0..3 {
        wait_for_unused(cluster, node, &["kept_two"]).await;
    }
    for days in [0, 3_651] {
        let request = v1::ListUnusedAttributesRequest { days };
        let status = cluster.catalog(0).list_unused_attributes(request).await.expect_err("out of range");
        assert_eq!(status.get_details_bad_request().expect("a field").field_violations[0].field, "days");
    }
}

/// CO-8. Every node tells the same.
async fn changes(cluster: &Cluster) {
    let mut first = None;
    for node in 0..3 {
        let mut client = CatalogServiceClient::clone(&cluster.catalog(node));
        let mut request = v1::ListCatalogChangesRequest { page_size: 4, ..Default::default() };
        let mut found = Vec::new();
        loop {
            let page = client.list_catalog_changes(request.clone()).await.expect("listed").into_inner();
            assert!(page.changes.len() <= 4);
            found.extend(page.changes);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        let versions: Vec<_> = found.iter().map(|change| change.version).collect();
        assert!(
            versions.iter().copied().eq(1..=u64::try_from(versions.len()).expect("small")),
            "{versions:?}"
        );
        assert!(found.iter().all(|change| change.changed_by == "desk" && change.changed_at.is_some()));
        let of_recipient = found.iter().filter_map(|change| match &change.entry {
            Some(v1::catalog_change::Entry::Recipient(recipient)) => Some(recipient.purposes.len()),
            _ => None,
        });
        assert_eq!(of_recipient.collect::<Vec<_>>(), [1, 2]);
        assert_eq!(*first.get_or_insert_with(|| found.clone()), found);
    }
}

/// GO-3. What was read in the last moment before a node stops is not forgotten.
async fn kept_over_a_restart(cluster: &mut Cluster) {
    let read = |customer_id: &str, attribute: &str| {
        let mut request = get(customer_id, "service");
        request.read_mask = Some(prost_types::FieldMask { paths: vec![attribute.to_owned()] });
        request
    };
    // A customer of a shard that the last node leads: it names no other leader.
    let mut taken = None;
    while taken.is_none() {
        let answer =
            cluster.profiles(2).ingest_profile(ingest(&[("kept_two", "2")])).await.expect("ingested");
        let customer_id = answer.into_inner().customer_id;
        let answer = cluster.profiles(2).get_profile(read(&customer_id, "kept_one")).await.expect("read");
        taken = answer.metadata().get(LEADER_METADATA).is_none().then_some(customer_id);
    }
    let customer_id = taken.expect("found");
    cluster.profiles(2).get_profile(read(&customer_id, "kept_two")).await.expect("read");
    cluster.halt_from(2).await;
    for node in 0..2 {
        wait_for_unused(cluster, node, &[]).await;
    }
    cluster.halt().await;
    cluster.run().await;
    cluster.wait_until_whole().await;
    for node in 0..3 {
        wait_for_unused(cluster, node, &[]).await;
    }
    let request = v1::GetJurisdictionRequest { id: "us-ca".to_owned() };
    let found = cluster.catalog(1).get_jurisdiction(request).await.expect("found").into_inner();
    assert_eq!(found.display_name, "California, changed");
    let request = v1::ListRecipientsRequest::default();
    let listed = cluster.catalog(2).list_recipients(request).await.expect("listed").into_inner().recipients;
    assert_eq!(listed.len(), 1);
}
