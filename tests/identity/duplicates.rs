//! Customers who may be one person: found, explained and decided on, on every node (ID-4, GO-4).

use std::collections::{BTreeMap, BTreeSet};

use custodia_profile::{BlockingSet, CustomerId, Stored as _};
use custodia_proto::FieldMask;
use custodia_proto::v1::duplicate_service_client::DuplicateServiceClient;
use custodia_proto::v1::{
    self, DuplicatePair, FindDuplicatesRequest, KeyLevel, ListDuplicatesRequest, MatchVerdict,
    ReviewDecision, ReviewDuplicateRequest, RotateKeysRequest, ScanDuplicatesRequest,
};
use custodia_store::{KeyKind, KeyParts, ValueHeader};
use custodia_tests::sample::{fault, new_id};
use custodia_tests::{Sandbox, Suite};
use tonic::Code;

use crate::namespaces::patiently;
use crate::people::{
    NOBODY_ELSE, alexandra, background, changed, compare, found, is_of, listed, review, sandbox, scanned,
    stored_all, stored_as,
};
use crate::stored_state::{groups, stored};

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .alone(two_spellings_are_found_from_any_node_and_a_decision_holds)
        .alone(a_changed_record_leaves_no_blocking_key_and_a_scan_survives_a_dead_node)
        .alone(only_the_privacy_office_looks_for_duplicates_and_never_at_restricted_data)
}

async fn two_spellings_are_found_from_any_node_and_a_decision_holds() {
    let sandbox = &sandbox().await;
    let [first, second, man, girl] = &alexandra();
    // Stored before anything is compared: no blocking key yet.
    let background = stored_all(sandbox, &background()).await;
    let ada = stored_as(sandbox, 0, first).await;
    let request = ScanDuplicatesRequest { purpose: "service".to_owned(), ..Default::default() };
    let status = sandbox.duplicates(0).await.scan_duplicates(request).await.expect_err("nothing is compared");
    assert_eq!((status.code(), fault(&status).1.as_str()), (Code::FailedPrecondition, "NOTHING_COMPARED"));
    compare(sandbox).await;
    let household = stored_all(sandbox, &[second.clone(), man.clone(), girl.clone()]).await;
    let sum = scanned(sandbox, &[0, 1, 2]).await;
    let all = u64::try_from(background.len() + 4).expect("few");
    assert_eq!(
        (sum.records_read, sum.records_indexed),
        (all, all - 3),
        "those written since have their keys"
    );
    assert!(sum.pairs_found >= 1 && sum.pairs_compared >= sum.pairs_found, "{sum:?}");
    let other = &household[0];
    found_everywhere(sandbox, &ada, &household).await;
    queued_once(sandbox, &ada, other).await;
    decided(sandbox, &ada, other).await;
    open_again(sandbox, &ada, other).await;
    leaves_the_queue(sandbox).await;
}

/// Every node finds the other spelling, and says why; nobody else who lives there.
async fn found_everywhere(sandbox: &Sandbox, ada: &String, household: &[String]) {
    let other = &household[0];
    for node in 0..3 {
        for (one, same) in [(ada, other), (other, ada)] {
            let answer = found(sandbox, node, one).await;
            let best = &answer.candidates[0];
            assert_eq!(&best.customer_id, same, "node {node}: {answer:?}");
            let score = best.score.as_ref().expect("a score");
            assert!(score.probability > 0.5, "{score:?}");
            let said: BTreeMap<_, _> =
                score.evidence.iter().map(|of| (of.field.as_str(), (of.level.as_str(), of.bits))).collect();
            assert_eq!(said["date of birth"].0, "day and month swapped");
            assert_eq!(said["street"].0, "same");
            assert!(said["surname"].1 > 0.0 && said["given name"].1 > 0.0, "{said:?}");
            // The man and the girl live there too, and are others.
            let members: Vec<_> = answer.candidates.iter().map(|of| &of.customer_id).collect();
            assert!(!members.contains(&&household[1]) && !members.contains(&&household[2]), "{answer:?}");
            let mut cluster = vec![ada.clone(), other.clone()];
            cluster.sort_unstable();
            assert_eq!(answer.cluster, cluster);
        }
    }
}

/// A second scan finds nothing new. A rotation of a customer's key leaves its pairs readable, and the agent's context names them.
async fn queued_once(sandbox: &Sandbox, ada: &String, other: &String) {
    let rotate = RotateKeysRequest {
        level: KeyLevel::Customer.into(),
        customer_id: ada.min(other).clone(),
        ..Default::default()
    };
    sandbox.cluster(0).await.rotate_keys(rotate).await.expect("the key is rotated");
    let pairs = listed(sandbox, 1, false).await;
    let again = scanned(sandbox, &[2]).await;
    assert_eq!((again.records_indexed, again.pairs_found, again.pairs_removed), (0, 0, 0), "{again:?}");
    assert_eq!(listed(sandbox, 0, false).await, pairs);
    assert!(pairs.iter().any(|pair| is_of(pair, ada, other)), "in the queue");
    for (customer, same) in [(ada, other), (other, ada)] {
        let request = v1::GetAgentContextRequest {
            customer_id: customer.clone(),
            purpose: "service".to_owned(),
            ..Default::default()
        };
        let context = sandbox.identity(2).await.get_agent_context(request).await.expect("known").into_inner();
        let suspected: Vec<_> = context.suspected_duplicates.iter().map(|of| &of.customer_id).collect();
        assert_eq!(suspected, [same]);
    }
}

/// A decision holds over the next scan.
async fn decided(sandbox: &Sandbox, ada: &str, other: &str) {
    let open = listed(sandbox, 1, false).await;
    let pair = open.iter().find(|pair| is_of(pair, ada, other)).expect("in the queue");
    let mut duplicates = sandbox.duplicates(1).await;
    let stale =
        ReviewDuplicateRequest { etag: "0000000000000001".into(), ..review(pair, ReviewDecision::Same) };
    let status = duplicates.review_duplicate(stale).await.expect_err("another version was looked at");
    assert_eq!(status.code(), Code::Aborted);
    let later = duplicates.review_duplicate(review(pair, ReviewDecision::Later)).await.expect("decided");
    let later = later.into_inner().pair.expect("a pair");
    assert_eq!((later.decision(), later.decided_by.as_str()), (ReviewDecision::Later, "admin"));
    assert!(listed(sandbox, 2, false).await.contains(&later), "it stays in the queue");
    let different = duplicates.review_duplicate(review(&later, ReviewDecision::Different)).await;
    let different = different.expect("decided").into_inner();
    assert!(different.next_step.is_empty());
    let different = different.pair.expect("a pair");
    let sum = scanned(sandbox, &[0, 1, 2]).await;
    assert_eq!((sum.pairs_found, sum.pairs_removed), (0, 0), "{sum:?}");
    assert_eq!(listed(sandbox, 0, true).await, std::slice::from_ref(&different));
    assert!(!listed(sandbox, 0, false).await.iter().any(|pair| is_of(pair, ada, other)));
    for customer in [ada, other] {
        let found = found(sandbox, 2, customer).await;
        assert!(found.candidates.is_empty(), "they are two people, a person said: {found:?}");
        assert_eq!(found.cluster, [customer]);
    }
}

/// The decision was on records that agreed in another way.
async fn open_again(sandbox: &Sandbox, ada: &str, other: &str) {
    changed(sandbox, other, &[("born", "1984-03-12")]).await;
    assert!(scanned(sandbox, &[1]).await.pairs_found >= 1);
    let open = listed(sandbox, 0, false).await;
    let open = open.iter().find(|pair| is_of(pair, ada, other)).expect("open again");
    assert_eq!((open.decision(), open.note.as_str()), (ReviewDecision::Unspecified, ""));
    let candidate = &found(sandbox, 0, other).await.candidates[0];
    assert_eq!((candidate.customer_id.as_str(), candidate.decision), (ada, 0));
    let mut duplicates = sandbox.duplicates(0).await;
    let same = duplicates.review_duplicate(review(open, ReviewDecision::Same)).await.expect("decided");
    assert!(same.into_inner().next_step.contains("custodia profile merge"));
    assert_eq!(found(sandbox, 1, other).await.candidates[0].decision(), ReviewDecision::Same);
}

/// An open pair that no longer agrees is taken back.
async fn leaves_the_queue(sandbox: &Sandbox) {
    let open = listed(sandbox, 0, false).await;
    let gone = open.iter().find(|pair| pair.score.as_ref().expect("one").verdict() == MatchVerdict::Same);
    let gone = gone.expect("the background has pairs");
    changed(sandbox, &gone.customer_id, &NOBODY_ELSE).await;
    assert!(scanned(sandbox, &[0]).await.pairs_removed >= 1);
    let left = listed(sandbox, 2, false).await;
    assert!(!left.iter().any(|pair| is_of(pair, &gone.customer_id, &gone.other_customer_id)));
}

pub(crate) type Keys = BTreeSet<(CustomerId, u64)>;

/// The keys under which customers are in the index, and those of their stored sets, on one node.
pub(crate) fn indexed(sandbox: &Sandbox, node: usize) -> (Keys, Keys) {
    let (mut entries, mut sets) = (BTreeSet::new(), BTreeSet::new());
    for (key, _) in stored(&sandbox.nodes[node], Some(KeyKind::BlockingKey)) {
        let parts = KeyParts::parse(&key).expect("a key");
        let blocking_key = u64::from_be_bytes(parts.suffix.try_into().expect("8 bytes"));
        entries.insert((parts.customer.expect("a customer"), blocking_key));
    }
    for (key, value) in stored(&sandbox.nodes[node], Some(KeyKind::BlockingSet)) {
        let customer = KeyParts::parse(&key).expect("a key").customer.expect("a customer");
        let (_, payload) = ValueHeader::decode(&value).expect("a value");
        let set = BlockingSet::decode(&payload).expect("a set");
        sets.extend(set.keys().iter().map(|key| (customer, *key)));
    }
    (entries, sets)
}

async fn a_changed_record_leaves_no_blocking_key_and_a_scan_survives_a_dead_node() {
    let mut sandbox = sandbox().await;
    compare(&sandbox).await;
    assert_eq!(groups().count(), 4);
    let background = stored_all(&sandbox, &background()).await;
    let [first, second, ..] = &alexandra();
    let (ada, other) = (stored_as(&sandbox, 0, first).await, stored_as(&sandbox, 1, second).await);
    assert_eq!(found(&sandbox, 2, &ada).await.candidates[0].customer_id, other);
    // The changed record shares nothing with what it was, and what it was is nowhere.
    changed(&sandbox, &other, &NOBODY_ELSE).await;
    let answer = found(&sandbox, 0, &ada).await;
    assert!(answer.candidates.is_empty(), "{answer:?}");
    changed(&sandbox, &other, &[("surname", "Meierhoff"), ("given_name", "Aleksandra")]).await;
    changed(&sandbox, &other, &[("born", "1984-12-03"), ("street", "Lindenstr. 12"), ("postcode", "10115")])
        .await;

    // Steps of a scan, then a node dies; the scan goes on on the others, and a new one is complete.
    let mut request = ScanDuplicatesRequest { purpose: "service".to_owned(), ..Default::default() };
    for _ in 0..4 {
        let mut duplicates = sandbox.duplicates(0).await;
        let step = patiently(async || duplicates.scan_duplicates(request.clone()).await).await;
        let step = step.expect("a step").into_inner();
        request.page_token = step.next_page_token;
    }
    sandbox.nodes[0].kill();
    while !request.page_token.is_empty() {
        let step = patiently(async || {
            let mut duplicates = sandbox.duplicates(1).await;
            duplicates.scan_duplicates(request.clone()).await
        });
        request.page_token = step.await.expect("a step").into_inner().next_page_token;
    }
    let sum = scanned(&sandbox, &[1, 2]).await;
    assert_eq!(sum.records_read, u64::try_from(background.len() + 2).expect("few"));
    assert_eq!(sum.pairs_found, 0, "the scan that went on has found all");
    assert!(listed(&sandbox, 2, false).await.iter().any(|pair| is_of(pair, &ada, &other)));

    sandbox.nodes[0].spawn();
    sandbox.wait_until_healthy().await;
    for node in 1..3 {
        sandbox.nodes[node].kill();
    }
    sandbox.nodes[0].kill();
    for node in 1..3 {
        let (entries, sets) = indexed(&sandbox, node);
        assert!(entries.len() > 1_000);
        let stale: Vec<_> = entries.difference(&sets).collect();
        let missing: Vec<_> = sets.difference(&entries).collect();
        assert!(stale.is_empty() && missing.is_empty(), "node {node}: {stale:?} {missing:?}");
        // Nothing of a value is there.
        for (key, value) in stored(&sandbox.nodes[node], None) {
            for text in ["Meierhoff", "meierhoff", "Lindenstr", "1984-12-03"] {
                let has = |bytes: &[u8]| bytes.windows(text.len()).any(|part| part == text.as_bytes());
                assert!(!has(&key) && !has(&value), "{text}");
            }
        }
    }
}

async fn only_the_privacy_office_looks_for_duplicates_and_never_at_restricted_data() {
    let sandbox = &sandbox().await;
    compare(sandbox).await;
    stored_all(sandbox, &background()).await;
    let [first, second, ..] = &alexandra();
    let (ada, other) = (stored_as(sandbox, 0, first).await, stored_as(sandbox, 1, second).await);
    let find = |customer: &str, purpose: &str| FindDuplicatesRequest {
        customer_id: customer.to_owned(),
        purpose: purpose.to_owned(),
        results_max: 0,
    };
    for role in ["agent", "ingest", "operator"] {
        let mut caller = DuplicateServiceClient::new(sandbox.channel_as(1, role, "somebody").await);
        let pair = DuplicatePair {
            customer_id: ada.clone(),
            other_customer_id: other.clone(),
            ..Default::default()
        };
        let purpose = "service".to_owned();
        let unknown = find(&custodia_tests::sample::new_customer(), "service");
        let refused = [
            caller.find_duplicates(find(&ada, "service")).await.map(drop).expect_err("refused"),
            caller.find_duplicates(unknown).await.map(drop).expect_err("refused"),
            caller
                .scan_duplicates(ScanDuplicatesRequest { purpose: purpose.clone(), ..Default::default() })
                .await
                .map(drop)
                .expect_err("refused"),
            caller
                .list_duplicates(ListDuplicatesRequest { purpose, ..Default::default() })
                .await
                .map(drop)
                .expect_err("refused"),
            caller
                .review_duplicate(review(&pair, ReviewDecision::Same))
                .await
                .map(drop)
                .expect_err("refused"),
        ];
        let messages: BTreeSet<_> = refused.iter().map(|status| status.message().to_owned()).collect();
        assert_eq!(messages.len(), 1, "the role alone decides: {messages:?}");
        assert!(refused.iter().all(|status| status.code() == Code::PermissionDenied));
    }
    let mut office = DuplicateServiceClient::new(sandbox.channel_as(2, "privacy", "office").await);
    assert!(office.find_duplicates(find(&ada, "service")).await.is_ok());
    let status = office.find_duplicates(find(&ada, "nothing")).await.expect_err("no such purpose");
    assert_eq!(fault(&status).1, "PURPOSE_UNKNOWN");

    // A restricted customer is not found, and not compared, but for the rights of data subjects.
    let restrict = |restriction| v1::UpdateDataSubjectRequest {
        data_subject: Some(v1::DataSubject { customer_id: other.clone(), restriction, ..Default::default() }),
        update_mask: Some(FieldMask { paths: vec!["restriction".to_owned()] }),
        request_id: new_id(),
    };
    assert_eq!(found(sandbox, 0, &ada).await.candidates.len(), 1);
    let restriction = v1::Restriction { reason: "accuracy contested".to_owned(), since: None };
    let mut consents = sandbox.consents(0).await;
    consents.update_data_subject(restrict(Some(restriction))).await.expect("restricted");
    assert!(found(sandbox, 0, &ada).await.candidates.is_empty());
    let status = office.find_duplicates(find(&other, "service")).await.expect_err("restricted");
    assert_eq!(fault(&status).1, "PROCESSING_RESTRICTED");
    let asked = office.find_duplicates(find(&other, "privacy-requests")).await.expect("a right of hers");
    assert_eq!(asked.into_inner().candidates[0].customer_id, ada);
}
