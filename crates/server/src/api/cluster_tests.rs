//! Three whole nodes in this process: every call of the API, taken by whichever node.

use custodia_proto::v1;
use tonic::Code;
use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::{
    cluster_for_tests::{Cluster, get, ingest, observation, text},
    consents_for_tests::given,
};

fn reason(status: &tonic::Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

fn event(id: &str, seconds: i64) -> v1::Event {
    v1::Event {
        event_id: id.to_owned(),
        name: "Order Completed".to_owned(),
        occurred_at: Some(prost_types::Timestamp { seconds, nanos: 0 }),
        properties: [("total".to_owned(), text("7").expect("a value"))].into(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_takes_every_call() {
    let mut cluster = Cluster::start(3).await;
    cluster.define().await;
    reads_and_writes(&cluster).await;
    repeated_requests(&cluster).await;
    consents(&cluster).await;
    late_retries(&cluster).await;
    events(&cluster).await;
    reused_event_ids(&cluster).await;
    many_at_a_time(&cluster).await;
    catalogue(&cluster).await;
    turned_keys(&cluster).await;
    cluster.halt().await;
}

/// PR-7, CO-3, GO-3.
async fn reads_and_writes(cluster: &Cluster) {
    for taker in 0..3 {
        let request = ingest(&[("email", "ana@example.org"), ("shoe_size", "38"), ("city", "Iași")]);
        let answer = cluster.profiles(taker).ingest_profile(request).await.expect("ingested").into_inner();
        assert!(answer.created);
        let merged: Vec<_> =
            answer.attributes.iter().map(|outcome| (outcome.merged, outcome.refusal())).collect();
        let none = v1::RefusalReason::Unspecified;
        assert_eq!(merged, [(true, none), (false, v1::RefusalReason::UnknownAttribute), (true, none)]);
        for reader in 0..3 {
            let request = get(&answer.customer_id, "service");
            let profile = cluster.profiles(reader).get_profile(request).await.expect("found").into_inner();
            assert_eq!(profile.etag, answer.etag);
            let names: Vec<_> = profile.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
            assert_eq!(names, ["city", "email"]);
            let request = get(&answer.customer_id, "marketing");
            let profile = cluster.profiles(reader).get_profile(request).await.expect("found").into_inner();
            assert_eq!((profile.attributes.len(), profile.withheld.len()), (0, 2));
        }
        // Nothing is allowed, nothing comes into being.
        let refused = v1::IngestProfileRequest { consents: Vec::new(), ..ingest(&[("email", "x")]) };
        let answer = cluster.profiles(taker).ingest_profile(refused).await.expect("judged").into_inner();
        assert_eq!((answer.created, answer.attributes[0].refusal()), (false, v1::RefusalReason::NoGround));
        let status =
            cluster.profiles(taker).get_profile(get(&answer.customer_id, "service")).await.expect_err("none");
        assert_eq!(status.code(), Code::NotFound);
    }
    let status = cluster.profiles(0).get_profile(get("cust_x", "service")).await.expect_err("malformed");
    assert_eq!(status.get_details_bad_request().expect("a field").field_violations[0].field, "customer_id");
}

async fn repeated_requests(cluster: &Cluster) {
    let request = ingest(&[("email", "first@example.org")]);
    let first = cluster.profiles(0).ingest_profile(request.clone()).await.expect("ingested").into_inner();
    for node in 0..3 {
        let again =
            cluster.profiles(node).ingest_profile(request.clone()).await.expect("answered").into_inner();
        assert_eq!(again, first);
    }
    let mut other = request.clone();
    other.observations = vec![observation("email", "second@example.org")];
    let status = cluster.profiles(1).ingest_profile(other).await.expect_err("another request");
    assert_eq!(reason(&status), "REQUEST_ID_REUSED");

    let mut update = ingest(&[("email", "third@example.org")]);
    update.customer_id = first.customer_id.clone();
    update.etag = first.etag.clone();
    let trial = v1::IngestProfileRequest { validate_only: true, ..update.clone() };
    assert!(
        cluster.profiles(2).ingest_profile(trial).await.expect("judged").into_inner().attributes[0].merged
    );
    let second = cluster.profiles(2).ingest_profile(update.clone()).await.expect("ingested").into_inner();
    assert!(!second.created && second.etag != first.etag);
    update.request_id = Uuid::now_v7().to_string();
    let status = cluster.profiles(0).ingest_profile(update).await.expect_err("stale");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "ETAG_STALE"));

    // A refusal that was given is given again, although it would be merged by now.
    let refused = v1::IngestProfileRequest { consents: Vec::new(), ..ingest(&[("email", "x")]) };
    let answer = cluster.profiles(0).ingest_profile(refused.clone()).await.expect("judged").into_inner();
    let consent = v1::RecordConsentRequest { customer_id: answer.customer_id.clone(), ..given("service") };
    cluster.consents(1).record_consent(consent).await.expect("recorded");
    let again = cluster.profiles(2).ingest_profile(refused.clone()).await.expect("answered").into_inner();
    assert_eq!(again, answer);
    let later = v1::IngestProfileRequest {
        request_id: Uuid::now_v7().to_string(),
        customer_id: answer.customer_id,
        ..refused
    };
    assert!(
        cluster.profiles(2).ingest_profile(later).await.expect("ingested").into_inner().attributes[0].merged
    );
}

/// CO-5.
async fn consents(cluster: &Cluster) {
    let answer =
        cluster.profiles(0).ingest_profile(ingest(&[("email", "a@example.org")])).await.expect("ingested");
    let customer_id = answer.into_inner().customer_id;
    let consent = v1::RecordConsentRequest { customer_id: customer_id.clone(), ..given("marketing") };
    let state = cluster.consents(1).record_consent(consent).await.expect("recorded").into_inner();
    assert_eq!((state.status(), state.consent_revision), (v1::ConsentStatus::Given, 2));
    let withdrawal = v1::WithdrawConsentRequest {
        customer_id: customer_id.clone(),
        purpose: "service".to_owned(),
        channel: "phone".to_owned(),
        ..Default::default()
    };
    let state = cluster.consents(2).withdraw_consent(withdrawal).await.expect("withdrawn").into_inner();
    assert_eq!((state.status(), state.consent_revision), (v1::ConsentStatus::Withdrawn, 3));
    for node in 0..3 {
        let profile = cluster
            .profiles(node)
            .get_profile(get(&customer_id, "service"))
            .await
            .expect("found")
            .into_inner();
        assert_eq!(profile.withheld[0].reason(), v1::RefusalReason::ConsentWithdrawn);
        let request =
            v1::GetConsentsRequest { customer_id: customer_id.clone(), purpose: "service".to_owned() };
        let consents = cluster.consents(node).get_consents(request).await.expect("found").into_inner();
        assert_eq!(consents.etag, state.etag);
        let purposes: Vec<_> = consents.consents.iter().map(|state| state.purpose.as_str()).collect();
        assert_eq!(purposes, ["marketing", "service"]);
    }
    let unknown =
        v1::RecordConsentRequest { customer_id, notice_version: "9".to_owned(), ..given("marketing") };
    let status = cluster.consents(0).record_consent(unknown).await.expect_err("no such notice");
    assert_eq!(reason(&status), "NOTICE_UNKNOWN");
}

/// The first attempt of a request may be forgotten, or never have arrived: its retry must not undo what came after it.
async fn late_retries(cluster: &Cluster) {
    let request = ingest(&[("email", "newer@example.org")]);
    let customer_id =
        cluster.profiles(0).ingest_profile(request).await.expect("ingested").into_inner().customer_id;
    let hour_ago = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs() - 3_600;
    let late = || Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, hour_ago, 0)).to_string();
    let mut retry = ingest(&[("email", "older@example.org")]);
    (retry.customer_id, retry.request_id) = (customer_id.clone(), late());
    retry.consents.clear();
    let answer = cluster.profiles(1).ingest_profile(retry.clone()).await.expect("judged").into_inner();
    assert_eq!(answer.attributes[0].refusal(), v1::RefusalReason::ObservedBeforeStored);
    retry.request_id = Uuid::new_v4().to_string();
    let answer = cluster.profiles(1).ingest_profile(retry).await.expect("judged").into_inner();
    assert!(answer.attributes[0].merged, "an id without a time is dated at its arrival");

    let withdrawal = v1::WithdrawConsentRequest {
        customer_id: customer_id.clone(),
        purpose: "service".to_owned(),
        ..Default::default()
    };
    cluster.consents(2).withdraw_consent(withdrawal).await.expect("withdrawn");
    let retry =
        v1::RecordConsentRequest { customer_id: customer_id.clone(), request_id: late(), ..given("service") };
    let state = cluster.consents(0).record_consent(retry).await.expect("answered").into_inner();
    assert_eq!(state.status(), v1::ConsentStatus::Withdrawn);
    let mut retry = ingest(&[("email", "late@example.org")]);
    (retry.customer_id, retry.request_id) = (customer_id, late());
    let answer = cluster.profiles(1).ingest_profile(retry).await.expect("judged").into_inner();
    assert_eq!(answer.attributes[0].refusal(), v1::RefusalReason::ConsentWithdrawn);
}

/// An answer must not say that an event is stored when another one is.
async fn reused_event_ids(cluster: &Cluster) {
    let mut first = ingest(&[("email", "a@example.org")]);
    first.events = vec![event("e-1", 100)];
    let customer_id =
        cluster.profiles(0).ingest_profile(first).await.expect("ingested").into_inner().customer_id;
    let append = |events: Vec<v1::Event>| v1::AppendEventsRequest {
        customer_id: customer_id.clone(),
        purpose: "service".to_owned(),
        source: "crm".to_owned(),
        events,
        ..Default::default()
    };
    let other = v1::Event { channel: "phone".to_owned(), ..event("e-1", 100) };
    let twice = v1::Event { channel: "phone".to_owned(), ..event("e-2", 200) };
    let sent = vec![event("e-2", 200), twice, other.clone(), other.clone(), event("e-3", 300)];
    let answer = cluster.profiles(1).append_events(append(sent)).await.expect("judged").into_inner();
    let outcomes: Vec<_> =
        answer.events.iter().map(|outcome| (outcome.appended, outcome.refusal())).collect();
    let (none, reused) = (v1::RefusalReason::Unspecified, v1::RefusalReason::EventIdReused);
    assert_eq!(outcomes, [(true, none), (false, reused), (false, reused), (false, reused), (true, none)]);
    let again = append(vec![event("e-1", 100)]);
    let answer = cluster.profiles(2).append_events(again).await.expect("judged").into_inner();
    assert!(answer.events[0].appended, "the same event again");
    let mut ingested = ingest(&[]);
    (ingested.customer_id, ingested.events) = (customer_id, vec![other]);
    let answer = cluster.profiles(0).ingest_profile(ingested).await.expect("judged").into_inner();
    assert_eq!((answer.events[0].appended, answer.events[0].refusal()), (false, reused));
}

async fn events(cluster: &Cluster) {
    let mut request = ingest(&[("email", "a@example.org")]);
    request.events = vec![event("e-1", 100)];
    let answer = cluster.profiles(0).ingest_profile(request).await.expect("ingested").into_inner();
    let append = v1::AppendEventsRequest {
        customer_id: answer.customer_id.clone(),
        purpose: "service".to_owned(),
        source: "shop".to_owned(),
        events: vec![event("e-1", 100), event("e-3", 300), event("e-2", 200), event("e-3", 300)],
        request_id: Uuid::now_v7().to_string(),
        ..Default::default()
    };
    for node in 0..3 {
        let outcomes =
            cluster.profiles(node).append_events(append.clone()).await.expect("appended").into_inner().events;
        assert!(outcomes.len() == 4 && outcomes.iter().all(|outcome| outcome.appended));
    }
    let mut list = v1::ListEventsRequest {
        customer_id: answer.customer_id,
        purpose: "service".to_owned(),
        page_size: 2,
        ..Default::default()
    };
    let mut found = Vec::new();
    loop {
        let page =
            cluster.profiles(found.len() % 3).list_events(list.clone()).await.expect("listed").into_inner();
        found.extend(page.events.into_iter().filter_map(|stored| stored.event).map(|event| event.event_id));
        list.page_token = page.next_page_token;
        if list.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, ["e-3", "e-2", "e-1"]);
    list.purpose = "marketing".to_owned();
    list.page_size = 0;
    let page = cluster.profiles(0).list_events(list).await.expect("listed").into_inner();
    assert_eq!((page.events.len(), page.withheld[0].count), (0, 3));
}

async fn many_at_a_time(cluster: &Cluster) {
    let rows: Vec<_> = (0..100)
        .map(|number| {
            let mut row = ingest(&[("given_name", &format!("name {number}"))]);
            if number == 50 {
                row.purpose.clear();
            }
            row
        })
        .collect();
    let mut answers = cluster
        .profiles(1)
        .ingest_profiles(futures::stream::iter(rows))
        .await
        .expect("a stream")
        .into_inner();
    let mut ids = Vec::new();
    for sequence in 0..100 {
        let answer = answers.message().await.expect("no break").expect("an answer");
        assert_eq!(answer.sequence, sequence);
        match answer.result.expect("a result") {
            v1::ingest_profiles_response::Result::Response(response) => ids.push(response.customer_id),
            v1::ingest_profiles_response::Result::Error(error) => {
                assert_eq!((sequence, error.field.as_str(), error.code), (50, "purpose", 3));
            }
        }
    }
    assert!(answers.message().await.expect("no break").is_none());
    ids.insert(7, "cust_01h455vb4pex5vsknk084sn02q".to_owned());
    ids.insert(9, "nobody".to_owned());
    for node in 0..3 {
        let request = v1::BatchGetProfilesRequest {
            customer_ids: ids.clone(),
            purpose: "service".to_owned(),
            read_mask: Some(prost_types::FieldMask { paths: vec!["given_name".to_owned()] }),
            ..Default::default()
        };
        let batch = cluster.profiles(node).batch_get_profiles(request).await.expect("answered").into_inner();
        assert_eq!(batch.profiles.len(), ids.len());
        for (at, (item, id)) in batch.profiles.into_iter().zip(&ids).enumerate() {
            assert_eq!(item.customer_id, *id);
            match (at, item.result.expect("a result")) {
                (7, v1::batch_profile::Result::Error(error)) => assert_eq!(error.code, 5),
                (9, v1::batch_profile::Result::Error(error)) => assert_eq!(error.field, "customer_ids[9]"),
                (_, v1::batch_profile::Result::Profile(profile)) => assert_eq!(profile.attributes.len(), 1),
                (_, v1::batch_profile::Result::Error(error)) => panic!("{at}: {error:?}"),
            }
        }
    }
}

/// GO-1. What is acknowledged anywhere is known everywhere, at once.
async fn catalogue(cluster: &Cluster) {
    let status = cluster.define_attribute(1, "email").await.expect_err("exists");
    assert_eq!(status.code(), Code::AlreadyExists);
    let mut numbers = std::collections::BTreeSet::new();
    for round in 0..6 {
        let name = format!("fresh_{round}");
        let (definer, user) = (round % 3, (round + 1) % 3);
        let defined = cluster.define_attribute(definer, &name).await.expect("defined");
        assert!(numbers.insert(defined.number));
        let answer = cluster.profiles(user).ingest_profile(ingest(&[(&name, "x")])).await.expect("ingested");
        assert!(answer.into_inner().attributes[0].merged, "{name}");
    }
    let request = v1::GetPurposeRequest { id: "marketing".to_owned() };
    let mut purpose = cluster.catalog(2).get_purpose(request).await.expect("found").into_inner();
    let stale = purpose.clone();
    purpose.deprecated = true;
    let update = |purpose| v1::UpdatePurposeRequest { purpose: Some(purpose) };
    let updated = cluster.catalog(1).update_purpose(update(purpose)).await.expect("updated").into_inner();
    assert!(updated.deprecated && updated.etag != stale.etag);
    let status = cluster.catalog(0).update_purpose(update(stale)).await.expect_err("stale");
    assert_eq!(reason(&status), "ETAG_STALE");
    let mut late = ingest(&[("email", "x")]);
    late.consents[0].purpose = "marketing".to_owned();
    let status = cluster.profiles(0).ingest_profile(late).await.expect_err("deprecated");
    assert_eq!(reason(&status), "PURPOSE_DEPRECATED");
    assert_eq!(
        status.get_details_bad_request().expect("a field").field_violations[0].field,
        "consents[0].purpose"
    );
    let list = v1::ListAttributesRequest { page_size: 4, ..Default::default() };
    let page = cluster.catalog(0).list_attributes(list).await.expect("listed").into_inner();
    let names: Vec<_> = page.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
    assert_eq!(names, ["city", "email", "fresh_0", "fresh_1"]);
    let list = v1::ListAttributesRequest { page_token: page.next_page_token, ..Default::default() };
    let page = cluster.catalog(1).list_attributes(list).await.expect("listed").into_inner();
    assert_eq!((page.attributes.len(), page.next_page_token.as_str()), (5, ""));
    let status = cluster.profiles(0).get_profile(get("cust_01h455vb4pex5vsknk084sn02q", "nothing")).await;
    assert_eq!(reason(&status.expect_err("unknown")), "PURPOSE_UNKNOWN");
}

/// SE-1.
async fn turned_keys(cluster: &Cluster) {
    let answer =
        cluster.profiles(0).ingest_profile(ingest(&[("email", "a@example.org")])).await.expect("ingested");
    let customer_id = answer.into_inner().customer_id;
    for level in [v1::KeyLevel::Root, v1::KeyLevel::Shard, v1::KeyLevel::Bucket, v1::KeyLevel::Customer] {
        for node in 0..3 {
            let request = v1::RotateKeysRequest {
                level: level.into(),
                every_shard: level != v1::KeyLevel::Customer,
                customer_id: if level == v1::KeyLevel::Customer {
                    customer_id.clone()
                } else {
                    String::new()
                },
                ..Default::default()
            };
            let turned = cluster.cluster(node).rotate_keys(request).await.expect("turned").into_inner();
            assert_eq!(turned.keys_rotated > 0, level != v1::KeyLevel::Root, "{level:?}");
            let profile =
                cluster.profiles(node).get_profile(get(&customer_id, "service")).await.expect("found");
            assert_eq!(profile.into_inner().attributes.len(), 1);
        }
    }
    let nodes =
        cluster.cluster(0).list_nodes(v1::ListNodesRequest {}).await.expect("listed").into_inner().nodes;
    assert!(nodes.iter().all(|node| node.state() == v1::NodeState::Up && node.replicas == 4), "{nodes:?}");
    let shards =
        cluster.cluster(1).list_shards(v1::ListShardsRequest::default()).await.expect("listed").into_inner();
    assert!(shards.shards.len() == 4 && shards.shards.iter().all(|shard| shard.leader_node_id != 0));
}
