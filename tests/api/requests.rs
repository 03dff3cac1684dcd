//! Every call of the API, taken by any node: a node that does not lead the customer forwards it.

use custodia_proto::{FieldMask, Timestamp, v1};
use custodia_tests::actions::stored_customer;
use custodia_tests::sample::{consent, fault, get, ingest, now, observation, text, texts};
use custodia_tests::{Sandbox, Suite, eventually};
use tonic::Code;
use tonic_types::StatusExt as _;
use uuid::Uuid;

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(every_node_serves_what_any_node_ingests)
        .shared(a_repeated_request_gets_the_first_answer)
        .shared(every_node_sees_a_consent_and_its_withdrawal)
        .shared(a_late_retry_undoes_nothing_that_came_after_it)
        .shared(events_are_stored_once_and_listed_newest_first)
        .shared(an_event_id_is_not_reused_for_another_event)
        .shared(streams_and_batches_answer_row_by_row)
        .shared(keys_of_every_level_rotate_through_any_node)
}

fn event(id: &str, seconds: i64) -> v1::Event {
    v1::Event {
        event_id: id.to_owned(),
        name: "Order Completed".to_owned(),
        occurred_at: Some(Timestamp { seconds, nanos: 0 }),
        properties: [("total".to_owned(), text("7").expect("a value"))].into(),
        ..Default::default()
    }
}

/// PR-7, CO-3, GO-3.
async fn every_node_serves_what_any_node_ingests(sandbox: &Sandbox) {
    for taker in 0..3 {
        let request =
            ingest("", texts(&[("email", "ana@example.org"), ("shoe_size", "38"), ("surname", "Iași")]));
        let answer =
            sandbox.profiles(taker).await.ingest_profile(request).await.expect("ingested").into_inner();
        assert!(answer.created);
        let merged: Vec<_> =
            answer.attributes.iter().map(|outcome| (outcome.merged, outcome.refusal())).collect();
        let none = v1::RefusalReason::Unspecified;
        assert_eq!(merged, [(true, none), (false, v1::RefusalReason::UnknownAttribute), (true, none)]);
        for reader in 0..3 {
            let request = get(&answer.customer_id, "service");
            let profile =
                sandbox.profiles(reader).await.get_profile(request).await.expect("found").into_inner();
            assert_eq!(profile.etag, answer.etag);
            let names: Vec<_> = profile.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
            assert_eq!(names, ["email", "surname"]);
            let request = get(&answer.customer_id, "marketing");
            let profile =
                sandbox.profiles(reader).await.get_profile(request).await.expect("found").into_inner();
            assert_eq!((profile.attributes.len(), profile.withheld.len()), (0, 2));
        }
        // Nothing is allowed, nothing comes into being.
        let refused =
            v1::IngestProfileRequest { consents: Vec::new(), ..ingest("", texts(&[("email", "x")])) };
        let answer =
            sandbox.profiles(taker).await.ingest_profile(refused).await.expect("judged").into_inner();
        assert_eq!((answer.created, answer.attributes[0].refusal()), (false, v1::RefusalReason::NoGround));
        let status = sandbox
            .profiles(taker)
            .await
            .get_profile(get(&answer.customer_id, "service"))
            .await
            .expect_err("none");
        assert_eq!(status.code(), Code::NotFound);
    }
    let status =
        sandbox.profiles(0).await.get_profile(get("cust_x", "service")).await.expect_err("malformed");
    assert_eq!(status.get_details_bad_request().expect("a field").field_violations[0].field, "customer_id");
}

async fn a_repeated_request_gets_the_first_answer(sandbox: &Sandbox) {
    let request = ingest("", texts(&[("email", "first@example.org")]));
    let first =
        sandbox.profiles(0).await.ingest_profile(request.clone()).await.expect("ingested").into_inner();
    for node in 0..3 {
        let again = sandbox
            .profiles(node)
            .await
            .ingest_profile(request.clone())
            .await
            .expect("answered")
            .into_inner();
        assert_eq!(again, first);
    }
    let mut other = request.clone();
    other.observations = vec![observation("email", "second@example.org")];
    let status = sandbox.profiles(1).await.ingest_profile(other).await.expect_err("another request");
    assert_eq!(fault(&status).1, "REQUEST_ID_REUSED");

    let mut update = ingest("", texts(&[("email", "third@example.org")]));
    update.customer_id = first.customer_id.clone();
    update.etag = first.etag.clone();
    let trial = v1::IngestProfileRequest { validate_only: true, ..update.clone() };
    assert!(
        sandbox.profiles(2).await.ingest_profile(trial).await.expect("judged").into_inner().attributes[0]
            .merged
    );
    let second =
        sandbox.profiles(2).await.ingest_profile(update.clone()).await.expect("ingested").into_inner();
    assert!(!second.created && second.etag != first.etag);
    update.request_id = Uuid::now_v7().to_string();
    let status = sandbox.profiles(0).await.ingest_profile(update).await.expect_err("stale");
    assert_eq!((status.code(), fault(&status).1.as_str()), (Code::Aborted, "ETAG_STALE"));

    // A refusal that was given is given again, although it would be merged by now.
    let refused = v1::IngestProfileRequest { consents: Vec::new(), ..ingest("", texts(&[("email", "x")])) };
    let answer =
        sandbox.profiles(0).await.ingest_profile(refused.clone()).await.expect("judged").into_inner();
    let consent =
        v1::RecordConsentRequest { customer_id: answer.customer_id.clone(), ..consent("", "service") };
    sandbox.consents(1).await.record_consent(consent).await.expect("recorded");
    let again =
        sandbox.profiles(2).await.ingest_profile(refused.clone()).await.expect("answered").into_inner();
    assert_eq!(again, answer);
    let later = v1::IngestProfileRequest {
        request_id: Uuid::now_v7().to_string(),
        customer_id: answer.customer_id,
        ..refused
    };
    assert!(
        sandbox.profiles(2).await.ingest_profile(later).await.expect("ingested").into_inner().attributes[0]
            .merged
    );
}

/// CO-5.
async fn every_node_sees_a_consent_and_its_withdrawal(sandbox: &Sandbox) {
    let customer_id = stored_customer(sandbox, &[("email", "a@example.org")]).await;
    let decision = consent(&customer_id, "marketing");
    let state = sandbox.consents(1).await.record_consent(decision).await.expect("recorded").into_inner();
    assert_eq!((state.status(), state.consent_revision), (v1::ConsentStatus::Given, 2));
    let withdrawal = v1::WithdrawConsentRequest {
        customer_id: customer_id.clone(),
        purpose: "service".to_owned(),
        channel: "phone".to_owned(),
        ..Default::default()
    };
    let state = sandbox.consents(2).await.withdraw_consent(withdrawal).await.expect("withdrawn").into_inner();
    assert_eq!((state.status(), state.consent_revision), (v1::ConsentStatus::Withdrawn, 3));
    for node in 0..3 {
        let profile = sandbox
            .profiles(node)
            .await
            .get_profile(get(&customer_id, "service"))
            .await
            .expect("found")
            .into_inner();
        assert_eq!(profile.withheld[0].reason(), v1::RefusalReason::ConsentWithdrawn);
        let request =
            v1::GetConsentsRequest { customer_id: customer_id.clone(), purpose: "service".to_owned() };
        let consents = sandbox.consents(node).await.get_consents(request).await.expect("found").into_inner();
        assert_eq!(consents.etag, state.etag);
        let purposes: Vec<_> = consents.consents.iter().map(|state| state.purpose.as_str()).collect();
        assert_eq!(purposes, ["marketing", "service"]);
    }
    let unknown =
        v1::RecordConsentRequest { notice_version: "9".to_owned(), ..consent(&customer_id, "marketing") };
    let status = sandbox.consents(0).await.record_consent(unknown).await.expect_err("no such notice");
    assert_eq!(fault(&status).1, "NOTICE_UNKNOWN");
}

/// The first attempt of a request may be forgotten, or never have arrived: its retry must not undo what came after it.
async fn a_late_retry_undoes_nothing_that_came_after_it(sandbox: &Sandbox) {
    let request = ingest("", texts(&[("email", "newer@example.org")]));
    let customer_id =
        sandbox.profiles(0).await.ingest_profile(request).await.expect("ingested").into_inner().customer_id;
    let hour_ago = now().as_secs() - 3_600;
    let late = || Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, hour_ago, 0)).to_string();
    let mut retry = ingest("", texts(&[("email", "older@example.org")]));
    (retry.customer_id, retry.request_id) = (customer_id.clone(), late());
    retry.consents.clear();
    let answer = sandbox.profiles(1).await.ingest_profile(retry.clone()).await.expect("judged").into_inner();
    assert_eq!(answer.attributes[0].refusal(), v1::RefusalReason::ObservedBeforeStored);
    retry.request_id = Uuid::new_v4().to_string();
    let answer = sandbox.profiles(1).await.ingest_profile(retry).await.expect("judged").into_inner();
    assert!(answer.attributes[0].merged, "an id without a time is dated at its arrival");

    let withdrawal = v1::WithdrawConsentRequest {
        customer_id: customer_id.clone(),
        purpose: "service".to_owned(),
        ..Default::default()
    };
    sandbox.consents(2).await.withdraw_consent(withdrawal).await.expect("withdrawn");
    let retry = v1::RecordConsentRequest {
        customer_id: customer_id.clone(),
        request_id: late(),
        ..consent("", "service")
    };
    let status = sandbox.consents(0).await.record_consent(retry).await.expect_err("a no stands");
    assert_eq!(fault(&status).1, "NO_STANDS");
    let mut retry = ingest("", texts(&[("email", "late@example.org")]));
    (retry.customer_id, retry.request_id) = (customer_id, late());
    let answer = sandbox.profiles(1).await.ingest_profile(retry).await.expect("judged").into_inner();
    assert_eq!(answer.attributes[0].refusal(), v1::RefusalReason::ConsentWithdrawn);
}

/// An answer must not say that an event is stored when another one is.
async fn an_event_id_is_not_reused_for_another_event(sandbox: &Sandbox) {
    let mut first = ingest("", texts(&[("email", "a@example.org")]));
    first.events = vec![event("e-1", 100)];
    let customer_id =
        sandbox.profiles(0).await.ingest_profile(first).await.expect("ingested").into_inner().customer_id;
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
    let answer = sandbox.profiles(1).await.append_events(append(sent)).await.expect("judged").into_inner();
    let outcomes: Vec<_> =
        answer.events.iter().map(|outcome| (outcome.appended, outcome.refusal())).collect();
    let (none, reused) = (v1::RefusalReason::Unspecified, v1::RefusalReason::EventIdReused);
    assert_eq!(outcomes, [(true, none), (false, reused), (false, reused), (false, reused), (true, none)]);
    let again = append(vec![event("e-1", 100)]);
    let answer = sandbox.profiles(2).await.append_events(again).await.expect("judged").into_inner();
    assert!(answer.events[0].appended, "the same event again");
    let mut ingested = ingest("", vec![]);
    (ingested.customer_id, ingested.events) = (customer_id, vec![other]);
    let answer = sandbox.profiles(0).await.ingest_profile(ingested).await.expect("judged").into_inner();
    assert_eq!((answer.events[0].appended, answer.events[0].refusal()), (false, reused));
}

async fn events_are_stored_once_and_listed_newest_first(sandbox: &Sandbox) {
    let mut request = ingest("", texts(&[("email", "a@example.org")]));
    request.events = vec![event("e-1", 100)];
    let answer = sandbox.profiles(0).await.ingest_profile(request).await.expect("ingested").into_inner();
    let append = v1::AppendEventsRequest {
        customer_id: answer.customer_id.clone(),
        purpose: "service".to_owned(),
        source: "shop".to_owned(),
        events: vec![event("e-1", 100), event("e-3", 300), event("e-2", 200), event("e-3", 300)],
        request_id: Uuid::now_v7().to_string(),
        ..Default::default()
    };
    for node in 0..3 {
        let outcomes = sandbox
            .profiles(node)
            .await
            .append_events(append.clone())
            .await
            .expect("appended")
            .into_inner()
            .events;
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
        let page = sandbox
            .profiles(found.len() % 3)
            .await
            .list_events(list.clone())
            .await
            .expect("listed")
            .into_inner();
        found.extend(page.events.into_iter().filter_map(|stored| stored.event).map(|event| event.event_id));
        list.page_token = page.next_page_token;
        if list.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, ["e-3", "e-2", "e-1"]);
    list.purpose = "marketing".to_owned();
    list.page_size = 0;
    let page = sandbox.profiles(0).await.list_events(list).await.expect("listed").into_inner();
    assert_eq!((page.events.len(), page.withheld[0].count), (0, 3));
}

async fn streams_and_batches_answer_row_by_row(sandbox: &Sandbox) {
    let rows: Vec<_> = (0..100)
        .map(|number| {
            let mut row = ingest("", texts(&[("given_name", &format!("name {number}"))]));
            if number == 50 {
                row.purpose.clear();
            }
            row
        })
        .collect();
    let mut answers = sandbox
        .profiles(1)
        .await
        .ingest_profiles(tokio_stream::iter(rows))
        .await
        .expect("a stream")
        .into_inner();
    let mut ids = Vec::new();
    for sequence in 0..100 {
        let answer = answers.message().await.expect("no break").expect("an answer");
        assert_eq!(answer.sequence, sequence);
        match answer.result.expect("a result") {
            v1::ingest_profiles_response::Result::Response(response) => {
                assert_ne!(sequence, 50, "a row without a purpose is refused");
                ids.push(response.customer_id);
            }
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
            read_mask: Some(FieldMask { paths: vec!["given_name".to_owned()] }),
            ..Default::default()
        };
        let batch =
            sandbox.profiles(node).await.batch_get_profiles(request).await.expect("answered").into_inner();
        assert_eq!(batch.profiles.len(), ids.len());
        for (at, (item, id)) in batch.profiles.into_iter().zip(&ids).enumerate() {
            assert_eq!(item.customer_id, *id);
            match (at, item.result.expect("a result")) {
                (7 | 9, v1::batch_profile::Result::Profile(profile)) => panic!("{at}: {profile:?}"),
                (7, v1::batch_profile::Result::Error(error)) => assert_eq!(error.code, 5),
                (9, v1::batch_profile::Result::Error(error)) => assert_eq!(error.field, "customer_ids[9]"),
                (_, v1::batch_profile::Result::Profile(profile)) => assert_eq!(profile.attributes.len(), 1),
                (_, v1::batch_profile::Result::Error(error)) => panic!("{at}: {error:?}"),
            }
        }
    }
}

/// SE-1.
async fn keys_of_every_level_rotate_through_any_node(sandbox: &Sandbox) {
    let customer_id = stored_customer(sandbox, &[("email", "a@example.org")]).await;
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
            let rotated =
                sandbox.cluster(node).await.rotate_keys(request).await.expect("rotated").into_inner();
            assert_eq!(rotated.keys_rotated > 0, level != v1::KeyLevel::Root, "{level:?}");
            let profile =
                sandbox.profiles(node).await.get_profile(get(&customer_id, "service")).await.expect("found");
            assert_eq!(profile.into_inner().attributes.len(), 1);
        }
    }
    eventually("every node is up with all its replicas", async || {
        let nodes = sandbox.cluster(0).await.list_nodes(v1::ListNodesRequest {}).await.expect("listed");
        let nodes = nodes.into_inner().nodes;
        nodes.len() == 3 && nodes.iter().all(|node| node.state() == v1::NodeState::Up && node.replicas == 4)
    })
    .await;
    eventually("every shard has a leader", async || {
        let shards = sandbox.shards(1).await.expect("listed");
        shards.len() == 4 && shards.iter().all(|shard| shard.leader_node_id != 0)
    })
    .await;
}
