//! Two known customers in one ingest: a pair of the queue, once, until it is decided or the two no longer conflict (ID-3, ID-4).

use custodia_proto::v1::profile_service_client::ProfileServiceClient;
use custodia_proto::v1::{
    self, DuplicatePair, IngestProfileRequest, IngestProfileResponse, Recipient, RefusalReason,
    ReviewDecision,
};
use custodia_tests::actions::create_recipient;
use custodia_tests::sample::{fault, new_customer, new_id};
use custodia_tests::{Sandbox, Suite};
use tonic::Code;

use crate::kills::{arm, disarm};
use crate::merging::{try_merge, try_unmerge, unmerge};
use crate::namespaces::{
    define, found_everywhere, identified, ingested, new_card, new_email, patiently, released,
};
use crate::people::{
    NOBODY_ELSE, background, changed, compare, is_of, review, sandbox as people, scanned, stored_all,
};

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(two_known_people_in_one_ingest_are_a_pair_of_the_queue_once)
        .shared(a_decision_holds_until_an_ingest_names_another_namespace)
        .shared(a_merge_that_limits_forbid_is_proposed)
        .shared(nobody_who_is_restricted_or_merged_is_proposed)
        .shared(a_writer_who_may_not_read_proposes_and_learns_nothing)
        .shared(a_key_that_cannot_be_stored_stores_nothing)
        .alone(whoever_dies_the_proposal_is_there_after_the_retry)
        .alone(a_scan_keeps_a_proposal_until_the_two_no_longer_conflict)
}

/// Two customers: one known by a mail address, the other by an identifier of a namespace.
struct Two {
    email: String,
    one: String,
    theirs: String,
    other: String,
}

async fn two(sandbox: &Sandbox, namespace: &str) -> Two {
    let (email, theirs) = (new_email("proposed"), if namespace == "card" { new_card() } else { new_id() });
    let one = ingested(sandbox, 0, identified("", &[("email", &email)])).await.customer_id;
    let other = ingested(sandbox, 1, identified("", &[(namespace, &theirs)])).await.customer_id;
    assert_ne!(one, other);
    Two { email, one, theirs, other }
}

impl Two {
    /// What names both.
    fn request(&self, namespace: &str) -> IngestProfileRequest {
        identified("", &[("email", &self.email), (namespace, &self.theirs)])
    }
}

/// The pairs of the queue, and those that were decided.
async fn queue(sandbox: &Sandbox, node: usize, decided: bool) -> Vec<DuplicatePair> {
    let mut request = v1::ListDuplicatesRequest {
        purpose: "service".to_owned(),
        page_size: 1_000,
        decided,
        ..Default::default()
    };
    let mut pairs = Vec::new();
    loop {
        let mut duplicates = sandbox.duplicates(node).await;
        let page = patiently(async || duplicates.list_duplicates(request.clone()).await).await;
        let page = page.expect("listed").into_inner();
        pairs.extend(page.pairs);
        if page.next_page_token.is_empty() {
            return pairs;
        }
        request.page_token = page.next_page_token;
    }
}

/// The pair of these two, if it is in the queue; it is there once at most.
async fn proposed(sandbox: &Sandbox, node: usize, one: &str, other: &str) -> Option<DuplicatePair> {
    let mut pairs = queue(sandbox, node, false).await;
    pairs.retain(|pair| is_of(pair, one, other));
    assert!(pairs.len() <= 1, "{pairs:?}");
    pairs.pop()
}

/// The namespaces and holders of a pair's conflicts.
fn conflicts(pair: &DuplicatePair) -> Vec<(&str, &str)> {
    pair.conflicts.iter().map(|of| (of.namespace.as_str(), of.holder_customer_id.as_str())).collect()
}

/// Whom the agent's context of a customer suspects, and by which namespaces.
async fn suspected(sandbox: &Sandbox, node: usize, customer: &str) -> Vec<(String, Vec<String>)> {
    let request = v1::GetAgentContextRequest {
        customer_id: customer.to_owned(),
        purpose: "service".to_owned(),
        ..Default::default()
    };
    let mut identity = sandbox.identity(node).await;
    let context = identity.get_agent_context(request).await.expect("known").into_inner();
    context.suspected_duplicates.into_iter().map(|of| (of.customer_id, of.namespaces)).collect()
}

async fn decide(sandbox: &Sandbox, pair: &DuplicatePair, decision: ReviewDecision) -> DuplicatePair {
    let mut duplicates = sandbox.duplicates(0).await;
    let answer = duplicates.review_duplicate(review(pair, decision)).await.expect("decided");
    answer.into_inner().pair.expect("a pair")
}

async fn two_known_people_in_one_ingest_are_a_pair_of_the_queue_once(sandbox: &Sandbox) {
    define(sandbox).await;
    let two = &two(sandbox, "card").await;
    let tried = IngestProfileRequest { validate_only: true, ..two.request("card") };
    assert_eq!(ingested(sandbox, 0, tried).await.identifiers[1].held_by, two.other);
    assert_eq!(proposed(sandbox, 0, &two.one, &two.other).await, None, "nothing was done");
    let request = two.request("card");
    let first = ingested(sandbox, 0, request.clone()).await;
    assert_eq!((&first.customer_id, &first.identifiers[1].held_by), (&two.one, &two.other));
    let pair = proposed(sandbox, 1, &two.one, &two.other).await.expect("in the queue, without any model");
    assert_eq!(conflicts(&pair), [("card", two.other.as_str())]);
    assert!(pair.score.is_none() && pair.found_at.is_some() && !pair.etag.is_empty(), "{pair:?}");
    assert!(!format!("{pair:?}").contains(&two.theirs), "the namespace, never the value");
    for node in 0..3 {
        assert_eq!(ingested(sandbox, node, request.clone()).await, first, "answered from memory");
        let again = ingested(sandbox, node, two.request("card")).await;
        assert_eq!(again.identifiers[1].held_by, two.other);
        assert_eq!(proposed(sandbox, node, &two.one, &two.other).await.as_ref(), Some(&pair));
        for (customer, other) in [(&two.one, &two.other), (&two.other, &two.one)] {
            let expected = (other.clone(), vec!["card".to_owned()]);
            assert_eq!(suspected(sandbox, node, customer).await, [expected]);
        }
    }
    // Whoever names the customer may be mistaken about the identifier.
    let named =
        identified(&ingested(sandbox, 0, identified("", &[])).await.customer_id, &[("card", &two.theirs)]);
    let stranger = ingested(sandbox, 1, named).await;
    assert_eq!(stranger.identifiers[0].held_by, two.other);
    assert_eq!(proposed(sandbox, 2, &stranger.customer_id, &two.other).await, None);
}

async fn a_decision_holds_until_an_ingest_names_another_namespace(sandbox: &Sandbox) {
    define(sandbox).await;
    let two = &two(sandbox, "card").await;
    ingested(sandbox, 0, two.request("card")).await;
    let pair = proposed(sandbox, 0, &two.one, &two.other).await.expect("in the queue");
    let later = decide(sandbox, &pair, ReviewDecision::Later).await;
    ingested(sandbox, 1, two.request("card")).await;
    assert_eq!(proposed(sandbox, 1, &two.one, &two.other).await, Some(later.clone()), "with its note");
    let different = decide(sandbox, &later, ReviewDecision::Different).await;
    assert_eq!(different.conflicts, pair.conflicts, "what was decided on");
    for node in 0..3 {
        ingested(sandbox, node, two.request("card")).await;
        assert_eq!(proposed(sandbox, node, &two.one, &two.other).await, None);
        assert!(queue(sandbox, node, true).await.contains(&different));
        assert!(suspected(sandbox, node, &two.one).await.is_empty());
        assert!(suspected(sandbox, node, &two.other).await.is_empty());
    }
    // Another identifier of the same namespace is no news: values are not kept.
    let card = new_card();
    ingested(sandbox, 0, identified(&two.other, &[("card", &card)])).await;
    ingested(sandbox, 0, identified("", &[("email", &two.email), ("card", &card)])).await;
    assert_eq!(proposed(sandbox, 0, &two.one, &two.other).await, None);
    let device = new_id();
    ingested(sandbox, 1, identified(&two.other, &[("device", &device)])).await;
    ingested(sandbox, 2, identified("", &[("email", &two.email), ("device", &device)])).await;
    let again = proposed(sandbox, 1, &two.one, &two.other).await.expect("another namespace");
    let both = [("card", two.other.as_str()), ("device", two.other.as_str())];
    assert_eq!((conflicts(&again), again.decision()), (both.to_vec(), ReviewDecision::Unspecified));
    let same = decide(sandbox, &again, ReviewDecision::Same).await;
    let passport = new_id();
    ingested(sandbox, 0, identified(&two.other, &[("passport", &passport)])).await;
    ingested(sandbox, 1, identified("", &[("email", &two.email), ("passport", &passport)])).await;
    assert_eq!(proposed(sandbox, 0, &two.one, &two.other).await, None);
    assert!(queue(sandbox, 0, true).await.contains(&same));
}

async fn a_merge_that_limits_forbid_is_proposed(sandbox: &Sandbox) {
    define(sandbox).await;
    // The policy of logins is to merge, but a person has one passport.
    let two = &two(sandbox, "login").await;
    ingested(sandbox, 0, identified(&two.one, &[("passport", &new_id())])).await;
    ingested(sandbox, 1, identified(&two.other, &[("passport", &new_id())])).await;
    let request = two.request("login");
    let answer = ingested(sandbox, 2, request.clone()).await;
    assert!(answer.merged_customer_ids.is_empty() && answer.identifiers[1].held_by == two.other);
    let pair = proposed(sandbox, 0, &two.one, &two.other).await.expect("in the queue");
    assert_eq!(conflicts(&pair), [("login", two.other.as_str())]);
    assert_eq!(ingested(sandbox, 1, request).await, answer, "answered from memory");
    assert_eq!(proposed(sandbox, 1, &two.one, &two.other).await, Some(pair));
    // And one login.
    let three = ingested(sandbox, 0, identified("", &[("login", &new_id()), ("card", &new_card())])).await;
    let (device, login) = (new_id(), new_id());
    ingested(sandbox, 1, identified(&three.customer_id, &[("device", &device)])).await;
    let four = ingested(sandbox, 2, identified("", &[("login", &login)])).await.customer_id;
    let both = ingested(sandbox, 0, identified("", &[("device", &device), ("login", &login)])).await;
    assert_eq!(both.customer_id, three.customer_id, "{both:?}");
    assert_eq!(both.identifiers[1].refusal(), RefusalReason::IdentifierLimit);
    let pair = proposed(sandbox, 0, &three.customer_id, &four).await.expect("in the queue");
    assert_eq!(conflicts(&pair), [("login", four.as_str())]);
}

/// Restricts the data of a customer (GDPR Art. 18), or lifts that by its etag.
async fn restrict(sandbox: &Sandbox, customer: &str, lifted_by: Option<String>) {
    let restriction = v1::Restriction { reason: "accuracy contested".to_owned(), since: None };
    let data_subject = v1::DataSubject {
        customer_id: customer.to_owned(),
        restriction: lifted_by.is_none().then_some(restriction),
        etag: lifted_by.unwrap_or_default(),
        ..Default::default()
    };
    let request = v1::UpdateDataSubjectRequest {
        data_subject: Some(data_subject),
        update_mask: Some(custodia_proto::FieldMask { paths: vec!["restriction".to_owned()] }),
        request_id: new_id(),
    };
    let mut consents = sandbox.consents(0).await;
    consents.update_data_subject(request).await.expect("updated");
}

async fn nobody_who_is_restricted_or_merged_is_proposed(sandbox: &Sandbox) {
    define(sandbox).await;
    let two = &two(sandbox, "card").await;
    for customer in [&two.other, &two.one] {
        restrict(sandbox, customer, None).await;
        let answer = ingested(sandbox, 1, two.request("card")).await;
        assert_eq!(answer.customer_id, two.one);
        assert_eq!(proposed(sandbox, 2, &two.one, &two.other).await, None, "GDPR Art. 18");
        let purpose = "privacy-requests".to_owned();
        let read = v1::GetDataSubjectRequest { customer_id: customer.clone(), purpose };
        let etag = sandbox.consents(0).await.get_data_subject(read).await.expect("known").into_inner().etag;
        restrict(sandbox, customer, Some(etag)).await;
    }
    ingested(sandbox, 0, two.request("card")).await;
    assert!(proposed(sandbox, 0, &two.one, &two.other).await.is_some(), "the next ingest proposes it");
    let request = v1::MergeProfilesRequest {
        customer_id: two.one.clone(),
        merged_customer_id: two.other.clone(),
        purpose: "service".to_owned(),
        ..Default::default()
    };
    let rehearsal = v1::MergeProfilesRequest { validate_only: true, ..request.clone() };
    try_merge(sandbox, 1, rehearsal).await.expect("would be merged");
    assert!(proposed(sandbox, 0, &two.one, &two.other).await.is_some());
    try_merge(sandbox, 1, request).await.expect("merged");
    for node in 0..3 {
        assert_eq!(
            proposed(sandbox, node, &two.one, &two.other).await,
            None,
            "one person, and nothing to decide"
        );
        assert!(suspected(sandbox, node, &two.one).await.is_empty());
        let answer = ingested(sandbox, node, two.request("card")).await;
        assert!(answer.identifiers[1].merged, "{answer:?}");
    }
    try_unmerge(sandbox, 2, unmerge(&two.one, &two.other)).await.expect("undone");
    ingested(sandbox, 0, two.request("card")).await;
    assert!(proposed(sandbox, 0, &two.one, &two.other).await.is_some(), "they are two again");
}

async fn a_writer_who_may_not_read_proposes_and_learns_nothing(sandbox: &Sandbox) {
    define(sandbox).await;
    let recipient = Recipient {
        id: "till-proposing".to_owned(),
        collection_purposes: vec!["service".to_owned()],
        ..Default::default()
    };
    create_recipient(sandbox, 0, recipient).await;
    let two = &two(sandbox, "card").await;
    let mut till = ProfileServiceClient::new(sandbox.channel_as(1, "ingest", "till-proposing").await);
    let mut answer = async |request: IngestProfileRequest| -> IngestProfileResponse {
        till.ingest_profile(request).await.expect("taken").into_inner()
    };
    let free = answer(identified("", &[("email", &new_email("free")), ("card", &new_card())])).await;
    assert_eq!(answer(two.request("card")).await, free, "whatever is known");
    assert!(proposed(sandbox, 0, &two.one, &two.other).await.is_some());
    assert_eq!(answer(two.request("card")).await, free, "and whatever is proposed");
}

/// Without it a record that cannot be known by its key would be another customer each time that it comes.
async fn a_key_that_cannot_be_stored_stores_nothing(sandbox: &Sandbox) {
    define(sandbox).await;
    let keyed =
        |identifiers: &[(&str, &str)]| IngestProfileRequest { has_key: true, ..identified("", identifiers) };
    let mut profiles = sandbox.profiles(0).await;
    let email = new_email("keyed");
    for (key, reason) in [
        (("card", "unknown"), "IDENTIFIER_BLOCKED"),
        (("card", "no card"), "IDENTIFIER_INVALID"),
        (("nothing", "7"), "UNKNOWN_NAMESPACE"),
    ] {
        let status = profiles.ingest_profile(keyed(&[key, ("email", &email)])).await.expect_err(reason);
        assert_eq!((status.code(), fault(&status).1.as_str()), (Code::FailedPrecondition, reason));
    }
    let nobody_agreed = IngestProfileRequest { consents: Vec::new(), ..keyed(&[("card", &new_card())]) };
    let status = profiles.ingest_profile(nobody_agreed).await.expect_err("no ground");
    assert_eq!(fault(&status).1, "NO_GROUND");
    found_everywhere(sandbox, "email", &email, &[]).await;
    for wrong in [keyed(&[("phone", "030 9019 1234")]), keyed(&[])] {
        let status = profiles.ingest_profile(wrong).await.expect_err("no key of one person");
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    }
    let card = new_card();
    let first = ingested(sandbox, 1, keyed(&[("card", &card), ("email", &email)])).await;
    assert!(first.created);
    // Whom another identifier has found keeps its data, whoever has the key.
    let other = new_card();
    let holder = ingested(sandbox, 2, keyed(&[("card", &other)])).await.customer_id;
    let found = ingested(sandbox, 0, keyed(&[("card", &other), ("email", &email)])).await;
    assert_eq!((&found.customer_id, &found.identifiers[0].held_by), (&first.customer_id, &holder));
    let named = IngestProfileRequest { customer_id: new_customer(), ..keyed(&[("card", "unknown")]) };
    assert!(profiles.ingest_profile(named).await.is_err());
}

async fn whoever_dies_the_proposal_is_there_after_the_retry() {
    let mut sandbox = Sandbox::start().await;
    define(&sandbox).await;
    // The first is put before the commit. The second follows from a merge that cannot be, which is tried after the commit.
    for (failpoint, namespace) in [("merge-proposed", "card"), ("write-committed", "login")] {
        let mut pairs = Vec::new();
        for _ in 0..8 {
            let two = two(&sandbox, namespace).await;
            if namespace == "login" {
                ingested(&sandbox, 0, identified(&two.one, &[("passport", &new_id())])).await;
                ingested(&sandbox, 1, identified(&two.other, &[("passport", &new_id())])).await;
            }
            let request = two.request(namespace);
            pairs.push((two, request));
        }
        arm(&mut sandbox, 0, &format!("{failpoint}:0")).await;
        // One of the eight is led by the node that dies. The others do not wait for it.
        let mut first = Vec::new();
        for (_, request) in &pairs {
            let mut profiles = sandbox.profiles(1).await;
            first.push(profiles.ingest_profile(request.clone()).await.is_ok());
        }
        assert!(disarm(&mut sandbox, 0).await, "{failpoint} was not reached");
        assert!(first.contains(&false), "the ingest at whose step the node died was not acknowledged");
        for ((two, request), acknowledged) in pairs.iter().zip(first) {
            if acknowledged {
                let pair = proposed(&sandbox, 1, &two.one, &two.other).await;
                assert!(pair.is_some(), "{failpoint}: what was acknowledged has its proposal");
            }
            let answer = ingested(&sandbox, 2, request.clone()).await;
            assert_eq!(answer.identifiers[1].held_by, two.other);
            let pair = proposed(&sandbox, 0, &two.one, &two.other).await.expect("after the retry");
            assert_eq!(conflicts(&pair), [(namespace, two.other.as_str())]);
            for customer in [&two.one, &two.other] {
                assert_eq!(suspected(&sandbox, 1, customer).await.len(), 1, "{failpoint}");
            }
        }
    }
}

async fn a_scan_keeps_a_proposal_until_the_two_no_longer_conflict() {
    let sandbox = &people().await;
    define(sandbox).await;
    compare(sandbox).await;
    stored_all(sandbox, &background()).await;
    let (two, restricted) = (&two(sandbox, "card").await, &two(sandbox, "card").await);
    for two in [two, restricted] {
        // Nothing agrees, so a model alone would take them for two people.
        changed(sandbox, &two.other, &NOBODY_ELSE).await;
        ingested(sandbox, 0, two.request("card")).await;
    }
    scanned(sandbox, &[0, 1, 2]).await;
    for two in [two, restricted] {
        let pair = proposed(sandbox, 0, &two.one, &two.other).await.expect("in the queue");
        assert_eq!(conflicts(&pair), [("card", two.other.as_str())]);
        decide(sandbox, &pair, ReviewDecision::Later).await;
    }
    assert!(released(sandbox, 1, &two.other, ("card", &two.theirs)).await.released);
    restrict(sandbox, &restricted.other, None).await;
    let sum = scanned(sandbox, &[2]).await;
    assert!(sum.pairs_removed >= 2, "{sum:?} {:?}", queue(sandbox, 0, false).await);
    // Regression: the copy of a pair that was put off came back when the pair was taken out, and stayed with the larger customer.
    for two in [two, restricted] {
        assert_eq!(proposed(sandbox, 1, &two.one, &two.other).await, None);
        assert!(suspected(sandbox, 2, &two.one).await.is_empty());
        assert!(suspected(sandbox, 2, &two.other).await.is_empty());
    }
}
