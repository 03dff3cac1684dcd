//! The catalogue: what changes it, who reads for which purpose, which attributes are used, and its log.

use std::collections::BTreeSet;

use custodia_proto::FieldMask;
use custodia_proto::v1::{self, profile_service_client::ProfileServiceClient};
use custodia_tests::actions::{create_attribute, create_purpose, create_recipient, stored_customer};
use custodia_tests::sample::{attribute, event, fault, get, ingest, new_customer, purpose, texts};
use custodia_tests::{Sandbox, Suite, eventually};
use tonic::Code;
use tonic_types::StatusExt as _;

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(a_built_in_jurisdiction_is_changed_like_any_other)
        .shared(a_recipient_reads_for_its_purposes_on_every_node)
        .shared(verdicts_come_without_values_on_request)
        .shared(an_attribute_that_nobody_reads_is_listed_as_unused)
        .shared(every_node_lists_the_same_changes)
        .shared(an_attribute_created_on_one_node_is_known_on_every_node_at_once)
        .shared(a_deprecated_purpose_takes_no_consent_on_any_node)
        .shared(a_write_that_has_waited_is_judged_by_the_catalogue_of_its_proposal)
}

/// CO-9.
async fn a_built_in_jurisdiction_is_changed_like_any_other(sandbox: &Sandbox) {
    let list = v1::ListJurisdictionsRequest::default();
    let listed =
        sandbox.catalog(2).await.list_jurisdictions(list).await.expect("listed").into_inner().jurisdictions;
    assert!(listed.iter().all(|jurisdiction| jurisdiction.built_in));
    let california = listed.into_iter().find(|jurisdiction| jurisdiction.id == "us-ca").expect("built in");
    let wire = v1::Jurisdiction { display_name: "California, changed".to_owned(), ..california.clone() };
    let update = |wire| v1::UpdateJurisdictionRequest { jurisdiction: Some(wire) };
    let changed =
        sandbox.catalog(1).await.update_jurisdiction(update(wire)).await.expect("updated").into_inner();
    assert!(changed.built_in && changed.etag != california.etag);
    for node in 0..3 {
        // Every node has always known this name, so only the change itself is news.
        eventually("the change has arrived", async || {
            let request = v1::GetJurisdictionRequest { id: "us-ca".to_owned() };
            let found = sandbox.catalog(node).await.get_jurisdiction(request).await.expect("found");
            found.into_inner() == changed
        })
        .await;
    }
    let status = sandbox.catalog(0).await.update_jurisdiction(update(california)).await.expect_err("stale");
    assert_eq!(fault(&status).1, "ETAG_STALE");
    let new_zealand = v1::Jurisdiction {
        id: "nz".to_owned(),
        regions: vec!["NZ".to_owned()],
        consent_model: v1::ConsentModel::OptIn.into(),
        lawful_bases: vec![v1::LawfulBasis::Consent.into()],
        ..Default::default()
    };
    let create = |wire| v1::CreateJurisdictionRequest { jurisdiction: Some(wire), validate_only: false };
    let created =
        sandbox.catalog(2).await.create_jurisdiction(create(new_zealand.clone())).await.expect("created");
    assert!(!created.into_inner().built_in);
    let second = v1::Jurisdiction { id: "nz-2".to_owned(), ..new_zealand };
    let status =
        sandbox.catalog(1).await.create_jurisdiction(create(second)).await.expect_err("in another one");
    let (code, _, field) = fault(&status);
    assert_eq!((code, field.as_str()), (Code::InvalidArgument, "jurisdiction.regions"));
}

/// SE-2, CO-4. What is acknowledged anywhere counts everywhere, at once, where it allows more.
async fn a_recipient_reads_for_its_purposes_on_every_node(sandbox: &Sandbox) {
    let customer_id = stored_customer(sandbox, &[("email", "a@example.org")]).await;
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
        readers.push(ProfileServiceClient::new(sandbox.channel_as(node, "agent", "crm-desk").await));
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
    let created = create_recipient(sandbox, 1, recipient(&["marketing"], "")).await;
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
    sandbox.catalog(2).await.update_recipient(update).await.expect("updated");
    for reader in &mut readers {
        let profile = reader.get_profile(get(&customer_id, "service")).await.expect("allowed").into_inner();
        assert_eq!(profile.attributes.len(), 1);
    }
    // The privacy office reads as the controller, and an operator reads nothing of a customer.
    let mut privacy = ProfileServiceClient::new(sandbox.channel_as(0, "privacy", "officer").await);
    privacy.get_profile(get(&customer_id, "service")).await.expect("the controller itself");
    let mut source = ProfileServiceClient::new(sandbox.channel_as(0, "ingest", "unheard-of").await);
    let collected = source.ingest_profile(ingest("", texts(&[("email", "b@example.org")]))).await;
    let status = collected.expect_err("unknown");
    assert_eq!(told(&status), denied("RECIPIENT_NOT_REGISTERED", "service"));
    let status = source.get_profile(get(&customer_id, "service")).await.expect_err("unknown");
    assert_eq!(told(&status), denied("RECIPIENT_NOT_REGISTERED", "service"));
}

async fn verdicts_come_without_values_on_request(sandbox: &Sandbox) {
    let customer_id = stored_customer(sandbox, &[("email", "a@example.org"), ("surname", "Iași")]).await;
    let ask = |purpose: &str, verdicts: v1::VerdictDetail| {
        let mut request = get(&customer_id, purpose);
        request.verdicts = verdicts.into();
        request
    };
    let profile =
        sandbox.profiles(1).await.get_profile(ask("service", v1::VerdictDetail::Only)).await.expect("found");
    let attributes = profile.into_inner().attributes;
    let names: Vec<_> = attributes.iter().map(|attribute| attribute.name.as_str()).collect();
    assert_eq!(names, ["email", "surname"]);
    assert!(attributes.iter().all(|one| {
        one.value.is_none() && one.provenance.is_none() && one.ground() == v1::LawfulBasis::Consent
    }));
    let full =
        sandbox.profiles(2).await.get_profile(ask("service", v1::VerdictDetail::Full)).await.expect("found");
    assert!(full.into_inner().attributes.iter().all(|one| one.value.is_some() && one.provenance.is_some()));
    for (detail, withheld) in [(v1::VerdictDetail::Only, 2), (v1::VerdictDetail::None, 0)] {
        let profile = sandbox
            .profiles(0)
            .await
            .get_profile(ask("marketing", detail))
            .await
            .expect("found")
            .into_inner();
        assert_eq!((profile.attributes.len(), profile.withheld.len()), (0, withheld));
    }
}

/// The unused attributes with this prefix, as a node lists them.
async fn unused(sandbox: &Sandbox, node: usize, prefix: &str) -> Vec<v1::UnusedAttribute> {
    let request = v1::ListUnusedAttributesRequest { days: 30 };
    let listed = sandbox.catalog(node).await.list_unused_attributes(request).await.expect("listed");
    listed.into_inner().attributes.into_iter().filter(|one| one.name.starts_with(prefix)).collect()
}

/// Waits until every node lists these attributes as unused, of those named `kept_…`.
async fn wait_for_unused(sandbox: &Sandbox, expected: &[&str]) {
    for node in 0..3 {
        eventually("use is known on every node", async || {
            let found = unused(sandbox, node, "kept_").await;
            found.iter().map(|attribute| attribute.name.as_str()).eq(expected.iter().copied())
        })
        .await;
    }
}

/// GO-3.
async fn an_attribute_that_nobody_reads_is_listed_as_unused(sandbox: &Sandbox) {
    for name in ["kept_one", "kept_two"] {
        let text = attribute(name, v1::ValueType::Text, &["service"]);
        create_attribute(sandbox, 0, text).await.expect("created");
    }
    let mut read = Vec::new();
    for taker in 0..3 {
        let request = ingest("", texts(&[("kept_one", "1"), ("kept_two", "2")]));
        let answer =
            sandbox.profiles(taker).await.ingest_profile(request).await.expect("ingested").into_inner();
        read.push(answer.customer_id);
    }
    wait_for_unused(sandbox, &["kept_one", "kept_two"]).await;
    let found = unused(sandbox, 0, "kept_").await;
    assert!(found.iter().all(|one| one.last_read_on.is_empty() && one.last_collected_on.len() == 10));
    // To be judged is not to be read.
    let mut judged = get(&read[0], "service");
    judged.verdicts = v1::VerdictDetail::Only.into();
    sandbox.profiles(0).await.get_profile(judged).await.expect("judged");
    let mut request = get(&read[1], "service");
    request.read_mask = Some(FieldMask { paths: vec!["kept_one".to_owned()] });
    sandbox.profiles(1).await.get_profile(request).await.expect("read");
    wait_for_unused(sandbox, &["kept_two"]).await;
    for days in [0, 3_651] {
        let request = v1::ListUnusedAttributesRequest { days };
        let status =
            sandbox.catalog(0).await.list_unused_attributes(request).await.expect_err("out of range");
        assert_eq!(fault(&status).2, "days");
    }
}

/// CO-8. Tests beside this one change the catalogue too, so what one node lists is the beginning of what the next one does.
async fn every_node_lists_the_same_changes(sandbox: &Sandbox) {
    let recipient = |purposes: &[&str], etag: String| v1::Recipient {
        id: "mail-room".to_owned(),
        purposes: purposes.iter().map(|&purpose| purpose.to_owned()).collect(),
        etag,
        ..Default::default()
    };
    let created = create_recipient(sandbox, 0, recipient(&["marketing"], String::new())).await;
    let second = recipient(&["marketing", "service"], created.etag);
    let request = v1::UpdateRecipientRequest { recipient: Some(second) };
    sandbox.catalog(1).await.update_recipient(request).await.expect("updated");
    let mut before: Vec<v1::CatalogChange> = Vec::new();
    for node in 0..3 {
        let found = all_changes(sandbox, node).await;
        let versions: Vec<_> = found.iter().map(|change| change.version).collect();
        assert!(versions.iter().copied().eq(1..=versions.len() as u64), "{versions:?}");
        assert!(found.iter().all(|change| change.changed_by == "admin" && change.changed_at.is_some()));
        let of_recipient = found.iter().filter_map(|change| match &change.entry {
            Some(v1::catalog_change::Entry::Recipient(recipient)) if recipient.id == "mail-room" => {
                Some(recipient.purposes.len())
            }
            _ => None,
        });
        assert_eq!(of_recipient.collect::<Vec<_>>(), [1, 2]);
        assert_eq!(found[..before.len()], before);
        before = found;
    }
}

async fn all_changes(sandbox: &Sandbox, node: usize) -> Vec<v1::CatalogChange> {
    let mut client = sandbox.catalog(node).await;
    let mut request = v1::ListCatalogChangesRequest { page_size: 4, ..Default::default() };
    let mut found = Vec::new();
    loop {
        let page = client.list_catalog_changes(request.clone()).await.expect("listed").into_inner();
        assert!(page.changes.len() <= 4);
        found.extend(page.changes);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return found;
        }
    }
}

/// GO-1.
async fn an_attribute_created_on_one_node_is_known_on_every_node_at_once(sandbox: &Sandbox) {
    let text = |name: &str| attribute(name, v1::ValueType::Text, &["service"]);
    let status = create_attribute(sandbox, 1, text("email")).await.expect_err("exists");
    assert_eq!(status.code(), Code::AlreadyExists);
    let (mut names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..6 {
        let name = format!("fresh_{round}");
        let created = create_attribute(sandbox, round % 3, text(&name)).await.expect("created");
        assert!(numbers.insert(created.number));
        let request = ingest("", texts(&[(&name, "x")]));
        let answer = sandbox.profiles((round + 1) % 3).await.ingest_profile(request).await.expect("ingested");
        assert!(answer.into_inner().attributes[0].merged, "{name}");
        names.insert(name);
    }
    let mut list = v1::ListAttributesRequest { page_size: 4, ..Default::default() };
    let mut listed: Vec<String> = Vec::new();
    let mut pages = 0;
    loop {
        let page = sandbox.catalog(pages % 3).await.list_attributes(list.clone()).await.expect("listed");
        let page = page.into_inner();
        pages += 1;
        listed.extend(page.attributes.into_iter().map(|attribute| attribute.name));
        list.page_token = page.next_page_token;
        if list.page_token.is_empty() {
            break;
        }
        assert_eq!(listed.len(), 4 * pages, "every page but the last is full");
    }
    assert!(listed.windows(2).all(|two| two[0] < two[1]), "each once, in order: {listed:?}");
    assert!(names.iter().all(|name| listed.contains(name)), "{listed:?}");
}

/// GO-1.
async fn a_deprecated_purpose_takes_no_consent_on_any_node(sandbox: &Sandbox) {
    let stale =
        create_purpose(sandbox, purpose("leaflets", &[v1::LawfulBasis::Consent])).await.expect("created");
    let update = |purpose| v1::UpdatePurposeRequest { purpose: Some(purpose) };
    let deprecated = v1::Purpose { deprecated: true, ..stale.clone() };
    let updated = sandbox.catalog(1).await.update_purpose(update(deprecated)).await.expect("updated");
    let updated = updated.into_inner();
    assert!(updated.deprecated && updated.etag != stale.etag);
    let status = sandbox.catalog(0).await.update_purpose(update(stale)).await.expect_err("stale");
    assert_eq!(fault(&status).1, "ETAG_STALE");
    for node in 0..3 {
        let mut late = ingest("", texts(&[("email", "x")]));
        late.consents[0].purpose = "leaflets".to_owned();
        let status = sandbox.profiles(node).await.ingest_profile(late).await.expect_err("deprecated");
        let (_, reason, field) = fault(&status);
        assert_eq!((reason.as_str(), field.as_str()), ("PURPOSE_DEPRECATED", "consents[0].purpose"));
    }
    let request = get(&new_customer(), "nothing");
    let status = sandbox.profiles(0).await.get_profile(request).await.expect_err("unknown");
    assert_eq!(fault(&status).1, "PURPOSE_UNKNOWN");
}

/// CO-3. Writes wait for their customer's lock; once the suspension of their application is acknowledged, none of them passes,
/// but for the one that may have been proposed before.
async fn a_write_that_has_waited_is_judged_by_the_catalogue_of_its_proposal(sandbox: &Sandbox) {
    let customer_id = stored_customer(sandbox, &[("email", "a@example.org")]).await;
    let count = async || {
        let request = v1::ListEventsRequest {
            customer_id: customer_id.clone(),
            purpose: "service".to_owned(),
            page_size: 500,
            ..Default::default()
        };
        sandbox.profiles(0).await.list_events(request).await.expect("listed").into_inner().events.len()
    };
    let mut attempt = 0;
    eventually("the suspension is acknowledged while writes wait", async || {
        attempt += 1;
        let till = v1::Recipient {
            id: format!("till-waiting-{attempt}"),
            collection_purposes: vec!["service".to_owned()],
            ..Default::default()
        };
        let till = create_recipient(sandbox, 0, till).await;
        let channel = sandbox.channel_as(0, "ingest", &till.id).await;
        let mut waiting = tokio::task::JoinSet::new();
        for number in 0..200 {
            let mut profiles = ProfileServiceClient::new(channel.clone());
            let request = v1::AppendEventsRequest {
                customer_id: customer_id.clone(),
                purpose: "service".to_owned(),
                source: "till".to_owned(),
                events: vec![event(&format!("waiting-{attempt}-{number}"), number)],
                ..Default::default()
            };
            waiting.spawn(async move { profiles.append_events(request).await.map(drop) });
        }
        // By then all of them are parsed, and wait.
        let first = waiting.join_next().await.expect("a write").expect("no panic");
        assert!(first.is_ok(), "{first:?}");
        let suspended =
            v1::UpdateRecipientRequest { recipient: Some(v1::Recipient { suspended: true, ..till }) };
        sandbox.catalog(0).await.update_recipient(suspended).await.expect("suspended");
        let before = count().await;
        let outcomes = waiting.join_all().await;
        let after = count().await;
        assert!(after <= before + 1, "{} passed after the suspension", after - before);
        outcomes.iter().any(Result::is_err)
    })
    .await;
}
