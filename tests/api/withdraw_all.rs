//! "Unsubscribe from everything": one call, one commit, one ledger entry for each ground that changes (CO-5, CO-8).

use custodia_proto::v1::consent_history_entry::Change;
use custodia_proto::v1::{
    self, BalancingTest, ConsentStatus, LawfulBasis, Purpose, RefusalReason, Role,
    WithdrawAllConsentsRequest, WithdrawAllConsentsResponse,
};
use custodia_tests::actions::{
    consenting_customer, create_attribute, create_campaign, create_purpose, lives_in_germany,
};
use custodia_tests::sample::{
    attribute, consent, fault, get, new_customer, new_id, observation, purpose, withdrawal,
};
use custodia_tests::{Sandbox, Suite};
use tonic::Code;

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(afterwards_only_contracts_and_legal_obligations_permit)
        .shared(it_is_one_commit_with_an_entry_for_each_ground)
        .shared(repeating_it_changes_nothing)
        .shared(it_covers_purposes_just_created_on_another_node)
        .shared(a_no_of_somebody_of_whom_nothing_is_known_is_recorded)
}

fn request(customer_id: &str) -> WithdrawAllConsentsRequest {
    WithdrawAllConsentsRequest {
        customer_id: customer_id.to_owned(),
        channel: "web".to_owned(),
        request_id: new_id(),
    }
}

async fn withdraw_all(
    sandbox: &Sandbox,
    node: usize,
    request: WithdrawAllConsentsRequest,
) -> WithdrawAllConsentsResponse {
    sandbox.consents(node).await.withdraw_all_consents(request).await.expect("withdrawn").into_inner()
}

async fn history(sandbox: &Sandbox, customer_id: &str) -> v1::ListConsentHistoryResponse {
    let request = v1::ListConsentHistoryRequest {
        customer_id: customer_id.to_owned(),
        purpose: "privacy-requests".to_owned(),
        ..Default::default()
    };
    sandbox.consents(0).await.list_consent_history(request).await.expect("a page").into_inner()
}

/// GDPR Art. 7(3) and Art. 21: consents and legitimate interests end, a contract continues.
async fn afterwards_only_contracts_and_legal_obligations_permit(sandbox: &Sandbox) {
    let (_, topic) = create_campaign(sandbox, "unsubscribecampaign").await;
    let balancing_test = Some(BalancingTest {
        interest: "to offer suitable products".into(),
        necessity: "no less intrusive means".into(),
        balance: "customers expect it".into(),
        reviewer: "the privacy officer".into(),
        reviewed_on: "2026-01-15".into(),
        objection_route: "a link".into(),
    });
    let standing_bases = vec![LawfulBasis::LegitimateInterests.into()];
    let offers = purpose("unsubscribeoffers", &[LawfulBasis::LegitimateInterests]);
    let offers = Purpose { balancing_test, standing_bases, ..offers };
    create_purpose(sandbox, offers).await.expect("a purpose is created");
    let offer_topic = attribute("unsubscribe_offer", v1::ValueType::Text, &["unsubscribeoffers", "service"]);
    create_attribute(sandbox, 0, offer_topic).await.expect("an attribute is created");
    let customer_id = consenting_customer(sandbox, "unsubscribecampaign", &topic).await;
    lives_in_germany(sandbox, &customer_id).await;
    let contract = v1::RecordConsentRequest {
        lawful_basis: LawfulBasis::Contract.into(),
        reference: "contract 7".to_owned(),
        notice_version: String::new(),
        method: 0,
        evidence: None,
        ..consent(&customer_id, "service")
    };
    sandbox.client().record_consent(contract).await.expect("recorded");
    let ingested = v1::IngestProfileRequest {
        customer_id: customer_id.clone(),
        purpose: "service".to_owned(),
        source: "crm".to_owned(),
        observations: vec![observation("given_name", "Ada"), observation("unsubscribe_offer", "sailing")],
        request_id: new_id(),
        ..Default::default()
    };
    let answer = sandbox.client().ingest_profile(ingested).await.expect("ingested");
    assert!(answer.attributes.iter().all(|outcome| outcome.merged), "{answer:?}");
    let read = async |node: usize, purpose: &str| {
        let answer = sandbox.profiles(node).await.get_profile(get(&customer_id, purpose)).await;
        answer.expect("a profile").into_inner()
    };
    let given = async |node: usize, purpose: &str, name: &str| {
        read(node, purpose).await.attributes.iter().any(|attribute| attribute.name == name)
    };
    assert!(given(0, "unsubscribecampaign", &topic).await);
    assert!(given(0, "unsubscribeoffers", "unsubscribe_offer").await, "a standing ground");

    let answer = withdraw_all(sandbox, 1, request(&customer_id)).await;
    assert!(answer.consents.iter().all(|state| state.status() == ConsentStatus::Withdrawn), "{answer:?}");
    for node in 0..3 {
        assert!(!given(node, "unsubscribecampaign", &topic).await);
        assert!(!given(node, "unsubscribeoffers", "unsubscribe_offer").await);
        assert!(given(node, "service", "given_name").await, "the contract continues");
        let withheld = read(node, "unsubscribecampaign").await.withheld;
        assert!(
            withheld.iter().any(|one| one.name == topic && one.reason() == RefusalReason::ConsentWithdrawn)
        );
    }
}

async fn it_is_one_commit_with_an_entry_for_each_ground(sandbox: &Sandbox) {
    let (_, topic) = create_campaign(sandbox, "unsubscribefirst").await;
    create_campaign(sandbox, "unsubscribesecond").await;
    let customer_id = consenting_customer(sandbox, "unsubscribefirst", &topic).await;
    let second = consent(&customer_id, "unsubscribesecond");
    sandbox.client().record_consent(second).await.expect("recorded");
    let before = history(sandbox, &customer_id).await;
    let answer = withdraw_all(sandbox, 2, request(&customer_id)).await;
    let after = history(sandbox, &customer_id).await;
    let new = &after.entries[before.entries.len()..];
    assert_eq!(new.len(), answer.consents.len(), "one entry for each ground");
    let mut grounds = std::collections::BTreeSet::new();
    for entry in new {
        let Some(Change::Consent(state)) = &entry.change else { panic!("not a decision: {entry:?}") };
        assert!(grounds.insert((state.purpose.clone(), state.lawful_basis)), "the same ground twice");
        assert_eq!((state.status(), state.channel.as_str()), (ConsentStatus::Withdrawn, "web"));
        assert_eq!(state.etag, answer.etag, "all in the commit of the answer");
        let recorder = entry.recorded_by.clone().expect("who recorded it");
        assert_eq!((recorder.name.as_str(), recorder.role()), ("admin", Role::Privacy));
    }
    for purpose in ["unsubscribefirst", "unsubscribesecond"] {
        assert!(grounds.contains(&(purpose.to_owned(), LawfulBasis::Consent.into())), "{grounds:?}");
    }
}

async fn repeating_it_changes_nothing(sandbox: &Sandbox) {
    let (_, topic) = create_campaign(sandbox, "unsubscribeagain").await;
    let customer_id = consenting_customer(sandbox, "unsubscribeagain", &topic).await;
    let first = request(&customer_id);
    let answer = withdraw_all(sandbox, 0, first.clone()).await;
    let recorded = history(sandbox, &customer_id).await.entries_total;
    for node in 0..3 {
        assert_eq!(withdraw_all(sandbox, node, first.clone()).await, answer, "the same request");
    }
    assert_eq!(history(sandbox, &customer_id).await.entries_total, recorded);
    let other = WithdrawAllConsentsRequest { channel: "phone".to_owned(), ..first };
    let refused = sandbox.consents(0).await.withdraw_all_consents(other).await.expect_err("another request");
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
}

/// A node that has not yet applied a new purpose must not leave it out.
async fn it_covers_purposes_just_created_on_another_node(sandbox: &Sandbox) {
    let (_, topic) = create_campaign(sandbox, "unsubscribeknown").await;
    let customer_id = consenting_customer(sandbox, "unsubscribeknown", &topic).await;
    for node in 0..3 {
        let id = format!("unsubscribe-new-{node}");
        create_purpose(sandbox, purpose(&id, &[LawfulBasis::Consent])).await.expect("a purpose is created");
        let answer = withdraw_all(sandbox, node, request(&customer_id)).await;
        assert!(answer.consents.iter().any(|state| state.purpose == id), "node {node} left out {id}");
    }
}

/// Nobody may be kept from saying no: what arrives later finds it.
async fn a_no_of_somebody_of_whom_nothing_is_known_is_recorded(sandbox: &Sandbox) {
    let stranger = new_customer();
    let answer = withdraw_all(sandbox, 0, request(&stranger)).await;
    assert!(!answer.consents.is_empty() && !answer.etag.is_empty());
    let other = new_customer();
    let state = sandbox.consents(1).await.withdraw_consent(withdrawal(&other, "marketing")).await;
    assert_eq!(state.expect("withdrawn").into_inner().status(), ConsentStatus::Withdrawn);
    for customer in [stranger, other] {
        let late = sandbox.consents(2).await.record_consent(consent(&customer, "marketing")).await;
        assert_eq!(fault(&late.expect_err("a no stands")).1, "NO_STANDS");
    }
}
