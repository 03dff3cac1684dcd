//! What the law says of merged customers, and what else must not show that two customers were one (ID-4, CO-3, CO-8).

use custodia_proto::v1::{
    self, ConsentStatus, GetAgentContextRequest, GetConsentsAsOfRequest, IngestProfileRequest,
    ListConsentHistoryRequest, LookupProfileRequest, RecordConsentRequest, RefusalReason,
    consent_history_entry::Change,
};
use custodia_tests::actions::consent_revision;
use custodia_tests::sample::{consent, event, fault, get, ingest, new_id, now, texts, withdrawal, withheld};
use custodia_tests::{Sandbox, Suite};
use tonic::{Code, Status};

use crate::merging::{events, merge, merged, person, profile, try_merge, unmerged};
use crate::namespaces::{define, identified, identifier, ingested};

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(a_merged_profile_permits_no_more_than_either_did)
        .shared(a_no_after_a_merge_counts_for_both)
        .shared(the_ledgers_of_both_are_kept_and_joined)
        .shared(a_consent_revision_of_one_customer_answers_no_no_of_another)
        .shared(no_import_lifts_a_live_no_from_before_a_merge)
        .shared(an_old_file_that_comes_again_lifts_nothing_after_a_merge)
        .shared(the_law_of_the_time_between_is_asked_of_the_survivor)
        .shared(a_shared_telephone_leads_to_a_merged_customer_once)
        .shared(sources_of_a_member_are_those_of_its_survivor)
        .shared(a_leader_is_named_as_for_any_other_customer)
        .shared(no_etag_of_one_customer_fits_the_other)
        .shared(two_customers_who_are_one_already_are_named)
}

async fn history(sandbox: &Sandbox, customer: &str) -> v1::ListConsentHistoryResponse {
    let request = ListConsentHistoryRequest {
        customer_id: customer.to_owned(),
        purpose: "privacy-requests".to_owned(),
        page_size: 500,
        ..Default::default()
    };
    sandbox.consents(2).await.list_consent_history(request).await.expect("a history").into_inner()
}

fn timestamp(ms_ago: u64) -> Option<custodia_proto::Timestamp> {
    let at = now() - std::time::Duration::from_millis(ms_ago);
    let seconds = i64::try_from(at.as_secs()).expect("a moment");
    Some(custodia_proto::Timestamp { seconds, nanos: i32::try_from(at.subsec_nanos()).expect("small") })
}

/// A decision from a file, made so many milliseconds ago.
fn imported(customer: &str, status: ConsentStatus, ms_ago: u64) -> RecordConsentRequest {
    let decision = RecordConsentRequest {
        status: status.into(),
        decided_at: timestamp(ms_ago),
        recording: v1::Recording::Imported.into(),
        ..consent(customer, "marketing")
    };
    if status == ConsentStatus::Given {
        return decision;
    }
    RecordConsentRequest { method: 0, evidence: None, notice_version: String::new(), ..decision }
}

const DAY_MS: u64 = 86_400_000;

async fn recorded(sandbox: &Sandbox, request: RecordConsentRequest) -> Result<v1::ConsentState, Status> {
    sandbox.consents(0).await.record_consent(request).await.map(|answer| answer.into_inner())
}

/// The status of consent to marketing.
async fn marketing(sandbox: &Sandbox, customer: &str) -> ConsentStatus {
    let request =
        v1::GetConsentsRequest { customer_id: customer.to_owned(), purpose: "privacy-requests".to_owned() };
    let answer = sandbox.consents(1).await.get_consents(request).await.expect("consents").into_inner();
    let of = answer.consents.into_iter().find(|of| of.purpose == "marketing");
    of.map_or(ConsentStatus::Unspecified, |of| of.status())
}

async fn a_merged_profile_permits_no_more_than_either_did(sandbox: &Sandbox) {
    let (ana, anna) = (person(sandbox, "ana", "shop").await, person(sandbox, "annalena", "crm").await);
    let mut consents_of = sandbox.consents(0).await;
    consents_of.record_consent(consent(&anna.id, "marketing")).await.expect("a consent");
    let given = ConsentStatus::Given;
    let answer = merged(sandbox, 0, &ana.id, &anna.id).await;
    let marketing = answer.consents.iter().find(|of| of.purpose == "marketing").expect("marketing");
    assert_eq!((marketing.survivor, marketing.merged()), (0, given));
    assert_eq!(marketing.after(), ConsentStatus::Invalidated, "one of the two never consented");
    let service = answer.consents.iter().find(|of| of.purpose == "service").expect("service");
    assert_eq!(service.after(), given, "both consented");
    let read = sandbox.profiles(1).await.get_profile(get(&ana.id, "marketing")).await.expect("an answer");
    let read = read.into_inner();
    assert!(read.attributes.is_empty());
    assert_eq!(withheld(&read, "email"), Some(RefusalReason::ConsentInvalidated));
}

async fn a_no_after_a_merge_counts_for_both(sandbox: &Sandbox) {
    let (ana, anna) = (person(sandbox, "ana", "shop").await, person(sandbox, "annalena", "crm").await);
    merged(sandbox, 0, &ana.id, &anna.id).await;
    let mut consents_of = sandbox.consents(2).await;
    consents_of.withdraw_consent(withdrawal(&anna.id, "service")).await.expect("withdrawn");
    unmerged(sandbox, 1, &ana.id, &anna.id).await;
    for id in [&ana.id, &anna.id] {
        let read = profile(sandbox, 0, id).await;
        assert!(read.attributes.is_empty());
        assert_eq!(withheld(&read, "email"), Some(RefusalReason::ConsentWithdrawn));
    }
}

async fn the_ledgers_of_both_are_kept_and_joined(sandbox: &Sandbox) {
    let (ana, anna) = (person(sandbox, "ana", "shop").await, person(sandbox, "annalena", "crm").await);
    let (ours, theirs) = (history(sandbox, &ana.id).await, history(sandbox, &anna.id).await);
    merged(sandbox, 0, &ana.id, &anna.id).await;
    let joined = history(sandbox, &ana.id).await;
    assert_eq!(joined.entries[..ours.entries.len()], ours.entries[..]);
    let Some(Change::Merged(of)) = &joined.entries[ours.entries.len()].change else {
        panic!("{:?}", joined.entries[ours.entries.len()])
    };
    assert_eq!(
        (of.customer_id.as_str(), of.total),
        (anna.id.as_str(), i64::try_from(theirs.entries.len()).expect("few"))
    );
    assert_eq!(of.head, theirs.head);
    // The other ledger is still there under its own id, and ends where the merge says.
    assert_eq!(history(sandbox, &anna.id).await, theirs);
    unmerged(sandbox, 0, &ana.id, &anna.id).await;
    let after = history(sandbox, &anna.id).await;
    assert_eq!(after.entries[..theirs.entries.len()], theirs.entries[..]);
    let Some(Change::Unmerged(of)) = &after.entries[theirs.entries.len()].change else {
        panic!("{:?}", after.entries[theirs.entries.len()])
    };
    assert_eq!(of.head, history(sandbox, &ana.id).await.head);
}

async fn a_consent_revision_of_one_customer_answers_no_no_of_another(sandbox: &Sandbox) {
    let (ana, anna) = (person(sandbox, "ana", "shop").await, person(sandbox, "annalena", "crm").await);
    let mut consents = sandbox.consents(0).await;
    consents.withdraw_consent(withdrawal(&ana.id, "marketing")).await.expect("withdrawn");
    // The other has as many entries as the merged ledger will have.
    while consent_revision(sandbox, &anna.id).await < 12 {
        consents.withdraw_consent(withdrawal(&anna.id, "service")).await.expect("withdrawn");
        let revision = consent_revision(sandbox, &anna.id).await;
        let given = RecordConsentRequest { consent_revision: revision, ..consent(&anna.id, "service") };
        recorded(sandbox, given).await.expect("given");
    }
    let last = consent_revision(sandbox, &anna.id).await;
    merged(sandbox, 0, &ana.id, &anna.id).await;
    for revision in 1..=last {
        for id in [&anna.id, &ana.id] {
            let blind = RecordConsentRequest { consent_revision: revision, ..consent(id, "marketing") };
            assert!(recorded(sandbox, blind).await.is_err(), "revision {revision}");
        }
    }
    let seen = consent_revision(sandbox, &ana.id).await;
    let given = RecordConsentRequest { consent_revision: seen, ..consent(&ana.id, "marketing") };
    recorded(sandbox, given).await.expect("who saw the no may lift it");
}

async fn no_import_lifts_a_live_no_from_before_a_merge(sandbox: &Sandbox) {
    let (ana, anna) = (person(sandbox, "ana", "shop").await, person(sandbox, "annalena", "crm").await);
    let mut consents = sandbox.consents(0).await;
    consents.withdraw_consent(withdrawal(&ana.id, "marketing")).await.expect("withdrawn");
    merged(sandbox, 0, &anna.id, &ana.id).await;
    recorded(sandbox, imported(&anna.id, ConsentStatus::Refused, 0)).await.expect("a no from a file");
    let third = person(sandbox, "third", "web").await;
    merged(sandbox, 0, &anna.id, &third.id).await;
    let _superseded = recorded(sandbox, imported(&anna.id, ConsentStatus::Given, 0)).await;
    assert_ne!(marketing(sandbox, &anna.id).await, ConsentStatus::Given);
}

async fn an_old_file_that_comes_again_lifts_nothing_after_a_merge(sandbox: &Sandbox) {
    let (ana, anna) = (person(sandbox, "ana", "shop").await, person(sandbox, "annalena", "crm").await);
    recorded(sandbox, imported(&ana.id, ConsentStatus::Refused, 5 * DAY_MS)).await.expect("from a file");
    let line = imported(&anna.id, ConsentStatus::Given, 3 * DAY_MS);
    let again = || RecordConsentRequest { request_id: new_id(), ..line.clone() };
    recorded(sandbox, line.clone()).await.expect("from a file");
    merged(sandbox, 0, &ana.id, &anna.id).await;
    assert_eq!(marketing(sandbox, &ana.id).await, ConsentStatus::Refused);
    let answer = recorded(sandbox, again()).await.expect("an entry");
    assert_eq!(answer.effect(), v1::DecisionEffect::Superseded);
    assert_eq!(marketing(sandbox, &ana.id).await, ConsentStatus::Refused);
    let entries = history(sandbox, &ana.id).await.entries.len();
    recorded(sandbox, again()).await.expect("known");
    assert_eq!(history(sandbox, &ana.id).await.entries.len(), entries);
    assert_eq!(marketing(sandbox, &ana.id).await, ConsentStatus::Refused);
}

async fn the_law_of_the_time_between_is_asked_of_the_survivor(sandbox: &Sandbox) {
    let (ana, anna) = (person(sandbox, "ana", "shop").await, person(sandbox, "annalena", "crm").await);
    let before = timestamp(0);
    merged(sandbox, 0, &ana.id, &anna.id).await;
    let mut consents = sandbox.consents(0).await;
    consents.withdraw_consent(withdrawal(&anna.id, "service")).await.expect("withdrawn");
    let between = timestamp(0);
    unmerged(sandbox, 0, &ana.id, &anna.id).await;
    let as_of = |time| GetConsentsAsOfRequest {
        customer_id: anna.id.clone(),
        purpose: "privacy-requests".to_owned(),
        time,
    };
    let refused = consents.get_consents_as_of(as_of(between)).await.expect_err("not this ledger");
    assert_eq!(fault(&refused).1, "MERGED_THEN");
    assert!(refused.message().contains(&ana.id));
    let answer = consents.get_consents_as_of(as_of(before)).await.expect("its own ledger").into_inner();
    assert_eq!(answer.consents[0].status(), ConsentStatus::Given);
    let mut of_survivor = as_of(between);
    of_survivor.customer_id.clone_from(&ana.id);
    let answer = consents.get_consents_as_of(of_survivor).await.expect("the survivor's").into_inner();
    assert!(answer.consents.iter().any(|of| of.status() == ConsentStatus::Withdrawn), "{answer:?}");
}

async fn a_shared_telephone_leads_to_a_merged_customer_once(sandbox: &Sandbox) {
    define(sandbox).await;
    let number = format!("030 9017{:05}", uuid::Uuid::new_v4().as_u128() % 100_000);
    let one = ingested(sandbox, 0, identified("", &[("phone", &number)])).await.customer_id;
    let two = ingested(sandbox, 1, identified("", &[("phone", &number)])).await.customer_id;
    merged(sandbox, 2, &one, &two).await;
    for node in 0..3 {
        let phone = Some(identifier("phone", &number));
        let purpose = "service".to_owned();
        let lookup = LookupProfileRequest {
            identifier: phone.clone(),
            purpose: purpose.clone(),
            ..Default::default()
        };
        let mut identity = sandbox.identity(node).await;
        let found = identity.lookup_profile(lookup).await.expect("found").into_inner();
        assert_eq!(found.profiles.len(), 1);
        let context = GetAgentContextRequest { identifier: phone, purpose, ..Default::default() };
        let context = identity.get_agent_context(context).await.expect("a context").into_inner();
        assert_eq!(context.profile.expect("one holder").customer_id, one);
        assert!(context.candidates.is_empty());
    }
}

async fn sources_of_a_member_are_those_of_its_survivor(sandbox: &Sandbox) {
    let (one, two) = (person(sandbox, "one", "shop").await, person(sandbox, "two", "crm").await);
    let mut request = ingest("", Vec::new());
    request.source = "kiosk".to_owned();
    request.events = vec![event("kiosk-1", 1)];
    let kiosk = ingested(sandbox, 0, request).await.customer_id;
    merged(sandbox, 0, &two.id, &kiosk).await;
    merged(sandbox, 1, &one.id, &two.id).await;
    let mut since = ingest(&kiosk, Vec::new());
    since.source = "kiosk".to_owned();
    since.events = vec![event("kiosk-2", 2)];
    ingested(sandbox, 2, since).await;
    assert_eq!(unmerged(sandbox, 0, &one.id, &two.id).await.events_moved, 1);
    assert!(events(sandbox, 1, &two.id).await.contains(&"kiosk-2".to_owned()));
    assert_eq!(events(sandbox, 2, &one.id).await.len(), 2);
}

async fn a_leader_is_named_as_for_any_other_customer(sandbox: &Sandbox) {
    let (ana, anna) = (person(sandbox, "ana", "shop").await, person(sandbox, "annalena", "crm").await);
    let leader = async |node: usize| {
        let answer = sandbox.profiles(node).await.get_profile(get(&anna.id, "service")).await.expect("found");
        answer.metadata().get("custodia-leader").cloned()
    };
    let before = [leader(0).await, leader(1).await, leader(2).await];
    merged(sandbox, 0, &ana.id, &anna.id).await;
    assert_eq!([leader(0).await, leader(1).await, leader(2).await], before);
}

async fn no_etag_of_one_customer_fits_the_other(sandbox: &Sandbox) {
    let (ana, anna) = (person(sandbox, "ana", "shop").await, person(sandbox, "annalena", "crm").await);
    let write = |id: &str, etag: &str, name: &str| IngestProfileRequest {
        etag: etag.to_owned(),
        ..ingest(id, texts(&[("given_name", name)]))
    };
    let of_anna = profile(sandbox, 0, &anna.id).await.etag;
    merged(sandbox, 0, &ana.id, &anna.id).await;
    let mut of_both = Vec::new();
    for number in 0..8 {
        of_both.push(ingested(sandbox, 0, write(&ana.id, "", &format!("Ana {number}"))).await.etag);
    }
    let mut profiles = sandbox.profiles(0).await;
    assert!(profiles.ingest_profile(write(&anna.id, &of_anna, "stale")).await.is_err());
    unmerged(sandbox, 0, &ana.id, &anna.id).await;
    for number in 0..8 {
        for etag in &of_both {
            let stale = profiles.ingest_profile(write(&anna.id, etag, "stale")).await.expect_err("stale");
            assert_eq!(fault(&stale).1, "ETAG_STALE");
        }
        ingested(sandbox, 1, write(&anna.id, "", &format!("Anna {number}"))).await;
    }
}

async fn two_customers_who_are_one_already_are_named(sandbox: &Sandbox) {
    let (ana, anna) = (person(sandbox, "ana", "shop").await, person(sandbox, "annalena", "crm").await);
    let third = person(sandbox, "third", "web").await;
    merged(sandbox, 0, &ana.id, &anna.id).await;
    let refused = try_merge(sandbox, 1, merge(&anna.id, &ana.id)).await.expect_err("one already");
    assert_eq!(fault(&refused).1, "SAME_CUSTOMER");
    let elsewhere = try_merge(sandbox, 2, merge(&third.id, &anna.id)).await.expect_err("merged elsewhere");
    assert_eq!(fault(&elsewhere).1, "MERGED_ELSEWHERE");
    let mut same = crate::merging::unmerge(&ana.id, &ana.id);
    same.request_id = new_id();
    let same = sandbox.identity(0).await.unmerge_profiles(same).await.expect_err("one customer");
    assert_eq!(fault(&same).0, Code::InvalidArgument);
}
