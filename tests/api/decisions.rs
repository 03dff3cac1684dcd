//! Decisions with their evidence, the ledger, and the law replayed as of a past moment, on every node.

use custodia_profile::{ChainLink, CustomerId, verify_chain};
use custodia_proto::v1::consent_service_client::ConsentServiceClient;
use custodia_proto::v1::{self, consent_history_entry::Change};
use custodia_proto::{FieldMask, Timestamp};
use custodia_tests::actions::{create_recipient, stored_customer};
use custodia_tests::sample::{consent, event, fault, get, ingest, new_customer, texts};
use custodia_tests::{Sandbox, Suite};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(a_decision_keeps_its_evidence_and_status)
        .shared(what_is_no_consent_is_refused_with_its_reason)
        .shared(an_unregistered_caller_reads_no_consents)
        .shared(whoever_reads_for_a_purpose_learns_the_revision_that_answers_a_no_and_no_state)
        .shared(the_pages_of_a_ledger_form_a_chain_that_verifies)
        .shared(a_long_ledger_is_read_without_a_gap)
        .shared(consents_are_known_as_of_a_past_moment)
        .shared(a_decision_is_explained_as_of_now_and_as_of_then)
        .shared(a_purpose_created_later_is_unknown_in_earlier_explanations)
        .shared(a_contract_comes_with_the_data_and_serves_nothing_of_a_consent_that_was_taken_back)
}

async fn record(sandbox: &Sandbox, node: usize, request: v1::RecordConsentRequest) -> v1::ConsentState {
    sandbox.consents(node).await.record_consent(request).await.expect("recorded").into_inner()
}

async fn withdraw(sandbox: &Sandbox, node: usize, customer_id: &str, purpose: &str) -> v1::ConsentState {
    let request = v1::WithdrawConsentRequest {
        customer_id: customer_id.to_owned(),
        purpose: purpose.to_owned(),
        channel: "phone".to_owned(),
        ..Default::default()
    };
    sandbox.consents(node).await.withdraw_consent(request).await.expect("withdrawn").into_inner()
}

async fn refusal_of_read(sandbox: &Sandbox, customer_id: &str) -> v1::RefusalReason {
    let profile = sandbox.profiles(1).await.get_profile(get(customer_id, "marketing")).await.expect("found");
    profile.into_inner().withheld[0].reason()
}

/// CO-5, CO-6.
async fn a_decision_keeps_its_evidence_and_status(sandbox: &Sandbox) {
    let customer_id = stored_customer(sandbox, &[("email", "a@example.org")]).await;
    let stated = v1::ConsentEvidence {
        act: v1::AffirmativeAct::DoubleOptIn.into(),
        statement_sha256: "0f".repeat(32),
        language: "de".to_owned(),
        bundled: false,
        decided_by: v1::DecidedBy::DataSubject.into(),
        incapacity: String::new(),
    };
    let request = v1::RecordConsentRequest {
        customer_id: customer_id.clone(),
        evidence: Some(stated.clone()),
        channel: "web".to_owned(),
        expires_at: Some(Timestamp { seconds: 4_000_000_000, nanos: 0 }),
        valid_from: Some(Timestamp { seconds: 1_000_000_000, nanos: 0 }),
        ..consent("", "marketing")
    };
    let state = record(sandbox, 1, request.clone()).await;
    assert_eq!(state.status(), v1::ConsentStatus::Given);
    assert_eq!((&state.evidence, state.channel.as_str()), (&Some(stated), "web"));
    assert_eq!((&state.expires_at, &state.valid_from), (&request.expires_at, &request.valid_from));
    for node in 0..3 {
        let again = record(sandbox, node, request.clone()).await;
        assert_eq!(again, state, "a repeated request");
        let list = v1::GetConsentsRequest { customer_id: customer_id.clone(), purpose: "service".to_owned() };
        let consents = sandbox.consents(node).await.get_consents(list).await.expect("found").into_inner();
        assert_eq!(consents.consents[0], state);
    }
    let revoked = v1::RecordConsentRequest {
        customer_id: customer_id.clone(),
        status: v1::ConsentStatus::Revoked.into(),
        evidence: Some(v1::ConsentEvidence {
            decided_by: v1::DecidedBy::Guardian.into(),
            ..Default::default()
        }),
        ..consent("", "marketing")
    };
    assert_eq!(record(sandbox, 2, revoked).await.status(), v1::ConsentStatus::Revoked);
    let asked = v1::RecordConsentRequest {
        customer_id: customer_id.clone(),
        status: v1::ConsentStatus::Requested.into(),
        evidence: None,
        ..consent("", "marketing")
    };
    let status = sandbox.consents(0).await.record_consent(asked).await.expect_err("a revocation is a no");
    assert_eq!(fault(&status).1, "ILLEGAL_TRANSITION");
    withdraw(sandbox, 1, &customer_id, "marketing").await;
    let stale = v1::RecordConsentRequest { customer_id, etag: state.etag, ..consent("", "marketing") };
    let status = sandbox.consents(2).await.record_consent(stale).await.expect_err("stale");
    assert_eq!(fault(&status), (Code::Aborted, "ETAG_STALE".to_owned(), "etag".to_owned()));
}

/// CO-6. What is no consent is not recorded, and the answer says why.
async fn what_is_no_consent_is_refused_with_its_reason(sandbox: &Sandbox) {
    type Change = fn(&mut v1::RecordConsentRequest);
    fn acted(request: &mut v1::RecordConsentRequest, act: v1::AffirmativeAct) {
        request.evidence = Some(v1::ConsentEvidence { act: act.into(), ..Default::default() });
    }
    let (invalid, state) = (Code::InvalidArgument, Code::FailedPrecondition);
    let cases: [(Change, Code, &str, &str); 8] = [
        (|request| acted(request, v1::AffirmativeAct::PreTickedBox), invalid, "PRE_TICKED", "evidence.act"),
        (|request| acted(request, v1::AffirmativeAct::Silence), invalid, "SILENCE", "evidence.act"),
        (|request| acted(request, v1::AffirmativeAct::ContinuedUse), invalid, "SILENCE", "evidence.act"),
        (
            |request| request.evidence.as_mut().expect("evidence").bundled = true,
            invalid,
            "BUNDLED",
            "evidence.bundled",
        ),
        (|request| request.evidence = None, invalid, "FIELD_REQUIRED", "evidence.act"),
        (|request| request.method = v1::ConsentMethod::OptOut.into(), state, "OPT_OUT_NOT_ALLOWED", "method"),
        (
            |request| request.status = v1::ConsentStatus::Invalidated.into(),
            state,
            "ILLEGAL_TRANSITION",
            "status",
        ),
        (
            |request| request.lawful_basis = v1::LawfulBasis::Contract.into(),
            invalid,
            "BASIS_NOT_ALLOWED",
            "lawful_basis",
        ),
    ];
    let customer_id = new_customer();
    for (at, (change, code, reason, field)) in cases.into_iter().enumerate() {
        let mut request = consent(&customer_id, "marketing");
        change(&mut request);
        let status = sandbox.consents(at % 3).await.record_consent(request).await.expect_err(reason);
        assert_eq!(fault(&status), (code, reason.to_owned(), field.to_owned()));
        if reason != "FIELD_REQUIRED" {
            let info = status.get_details_error_info().expect("details");
            assert_eq!(info.metadata.get("reason").map(String::as_str), Some(reason));
        }
    }
    let mut ingested = ingest("", texts(&[("email", "a@example.org")]));
    ingested.consents[0].evidence.as_mut().expect("evidence").bundled = true;
    let status = sandbox.profiles(0).await.ingest_profile(ingested).await.expect_err("bundled");
    let expected = (invalid, "BUNDLED".to_owned(), "consents[0].evidence.bundled".to_owned());
    assert_eq!(fault(&status), expected);
    let request = v1::GetConsentsRequest { customer_id, purpose: "service".to_owned() };
    let status = sandbox.consents(0).await.get_consents(request).await.expect_err("nothing was recorded");
    assert_eq!(status.code(), Code::NotFound);
}

/// CO-5. The application has no other purpose under which the law would permit its question.
async fn whoever_reads_for_a_purpose_learns_the_revision_that_answers_a_no_and_no_state(sandbox: &Sandbox) {
    let own = || vec!["marketing".to_owned()];
    let centre = v1::Recipient {
        id: "preference-centre".to_owned(),
        purposes: own(),
        collection_purposes: own(),
        ..Default::default()
    };
    create_recipient(sandbox, 0, centre).await;
    let customer_id = stored_customer(sandbox, &[("email", "a@example.org")]).await;
    let channel = sandbox.channel_as(1, "ingest", "preference-centre").await;
    let mut centre = ConsentServiceClient::new(channel);
    let ask = || v1::GetConsentsRequest { customer_id: customer_id.clone(), purpose: "marketing".to_owned() };
    let before = centre.get_consents(ask()).await.expect("answered").into_inner();
    assert_eq!(before.refused(), v1::RefusalReason::NoGround);
    withdraw(sandbox, 0, &customer_id, "marketing").await;
    let no = centre.get_consents(ask()).await.expect("answered").into_inner();
    let expected = v1::GetConsentsResponse {
        customer_id: customer_id.clone(),
        consent_revision: before.consent_revision + 1,
        refused: v1::RefusalReason::ConsentWithdrawn.into(),
        ..Default::default()
    };
    assert_eq!(no, expected, "no state, and no etag");
    let consent_revision = no.consent_revision;
    let answer = v1::RecordConsentRequest { consent_revision, ..consent(&customer_id, "marketing") };
    let given = centre.record_consent(answer).await.expect("it has seen the no").into_inner();
    assert_eq!(given.status(), v1::ConsentStatus::Given);
    let after = centre.get_consents(ask()).await.expect("answered").into_inner();
    assert_eq!((after.refused(), after.consents.len()), (v1::RefusalReason::Unspecified, 2));
}

async fn an_unregistered_caller_reads_no_consents(sandbox: &Sandbox) {
    let customer_id = new_customer();
    record(sandbox, 0, consent(&customer_id, "service")).await;
    let mut agent = ConsentServiceClient::new(sandbox.channel_as(1, "agent", "unheard-of").await);
    let request = v1::GetConsentsRequest { customer_id, purpose: "service".to_owned() };
    let status = agent.get_consents(request).await.expect_err("not registered");
    assert_eq!(
        (status.code(), fault(&status).1.as_str()),
        (Code::PermissionDenied, "RECIPIENT_NOT_REGISTERED")
    );
}

/// CO-8. The pages are the whole ledger, and what they claim can be verified by whoever has them.
async fn the_pages_of_a_ledger_form_a_chain_that_verifies(sandbox: &Sandbox) {
    let customer_id = new_customer();
    let decision = |purpose| consent(&customer_id, purpose);
    let first = record(sandbox, 0, decision("service")).await;
    record(sandbox, 1, decision("marketing")).await;
    withdraw(sandbox, 2, &customer_id, "marketing").await;
    let subject = v1::UpdateDataSubjectRequest {
        data_subject: Some(v1::DataSubject {
            customer_id: customer_id.clone(),
            regions: vec!["DE".to_owned()],
            ..Default::default()
        }),
        update_mask: Some(FieldMask { paths: vec!["regions".to_owned()] }),
        ..Default::default()
    };
    let subject = sandbox.consents(0).await.update_data_subject(subject).await.expect("updated").into_inner();
    let request = |page_size, page_token| v1::ListConsentHistoryRequest {
        customer_id: customer_id.clone(),
        purpose: "service".to_owned(),
        page_size,
        page_token,
    };
    let (mut entries, mut token) = (Vec::new(), String::new());
    let (head, total) = loop {
        let node = entries.len() % 3;
        let page =
            sandbox.consents(node).await.list_consent_history(request(3, token)).await.expect("listed");
        let page = page.into_inner();
        entries.extend(page.entries);
        token = page.next_page_token;
        if token.is_empty() {
            break (page.head, page.entries_total);
        }
        assert_eq!(entries.len(), 3);
    };
    let links: Vec<_> = entries
        .iter()
        .map(|entry| ChainLink {
            canonical: &entry.canonical,
            hash: entry.hash.as_slice().try_into().expect("32 bytes"),
        })
        .collect();
    let customer: CustomerId = customer_id.parse().expect("an id");
    verify_chain(&customer, &links, head.try_into().expect("32 bytes"), total).expect("whole");
    assert_eq!(entries[0].change, Some(Change::Consent(first)));
    assert_eq!(entries[3].change, Some(Change::DataSubject(subject)));
    let status_of = |entry: &v1::ConsentHistoryEntry| match &entry.change {
        Some(Change::Consent(state)) => (state.purpose.clone(), state.status(), state.consent_revision),
        other => panic!("expected a decision, got {other:?}"),
    };
    assert_eq!(status_of(&entries[1]), ("marketing".to_owned(), v1::ConsentStatus::Given, 2));
    assert_eq!(status_of(&entries[2]), ("marketing".to_owned(), v1::ConsentStatus::Withdrawn, 3));

    let other_list = page_token_of_events(sandbox).await;
    for (size, token, field) in [(501, String::new(), "page_size"), (0, other_list, "page_token")] {
        let status =
            sandbox.consents(0).await.list_consent_history(request(size, token)).await.expect_err(field);
        assert_eq!(fault(&status).2, field);
    }
    let mut nobody = request(0, String::new());
    nobody.customer_id = new_customer();
    let status = sandbox.consents(1).await.list_consent_history(nobody).await.expect_err("nobody");
    assert_eq!(status.code(), Code::NotFound);
}

/// A page token of another list.
async fn page_token_of_events(sandbox: &Sandbox) -> String {
    let request =
        v1::IngestProfileRequest { events: vec![event("e-1", 1), event("e-2", 2)], ..ingest("", vec![]) };
    let answer = sandbox.profiles(0).await.ingest_profile(request).await.expect("ingested");
    let list = v1::ListEventsRequest {
        customer_id: answer.into_inner().customer_id,
        purpose: "service".to_owned(),
        page_size: 1,
        ..Default::default()
    };
    let page = sandbox.profiles(0).await.list_events(list).await.expect("listed").into_inner();
    assert!(!page.next_page_token.is_empty(), "there is a second page");
    page.next_page_token
}

/// A ledger is read in chunks, and none of it is lost between two of them.
async fn a_long_ledger_is_read_without_a_gap(sandbox: &Sandbox) {
    const ENTRIES: usize = 2 * 64 + 1;
    let customer_id = new_customer();
    let (even, odd) = (v1::ConsentStatus::Refused, v1::ConsentStatus::Given);
    for number in 0..ENTRIES {
        let status = if number % 2 == 0 { even } else { odd };
        let consent = v1::RecordConsentRequest {
            customer_id: customer_id.clone(),
            status: status.into(),
            // Each consent answers the refusal before it.
            consent_revision: if status == odd { number as u64 } else { 0 },
            ..consent("", "marketing")
        };
        record(sandbox, 0, consent).await;
    }
    let mut request = v1::ListConsentHistoryRequest {
        customer_id: customer_id.clone(),
        purpose: "service".to_owned(),
        ..Default::default()
    };
    let mut sequences = Vec::new();
    loop {
        let page = sandbox.consents(1).await.list_consent_history(request.clone()).await.expect("listed");
        let page = page.into_inner();
        sequences.extend(page.entries.iter().map(|entry| entry.sequence));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            assert_eq!(page.entries.last().map(|entry| &entry.hash), Some(&page.head));
            break;
        }
        assert_eq!(sequences.len(), 100);
    }
    assert_eq!(sequences, (0..ENTRIES as u64).collect::<Vec<_>>());
    let explained = explain(sandbox, 2, question(&customer_id, "marketing")).await.expect("explained");
    assert_eq!(
        (explained.reason(), explained.ledger_sequences),
        (v1::RefusalReason::ConsentRefused, vec![ENTRIES as u64 - 1])
    );
}

/// The moment of a state, and one that is surely before the next decision.
async fn moment_of(state: &v1::ConsentState) -> Option<Timestamp> {
    tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    state.recorded_at
}

/// CO-8.
async fn consents_are_known_as_of_a_past_moment(sandbox: &Sandbox) {
    let customer_id = new_customer();
    let consent = consent(&customer_id, "marketing");
    let given_at = moment_of(&record(sandbox, 0, consent).await).await;
    let withdrawn = withdraw(sandbox, 1, &customer_id, "marketing").await;
    let ask = |time: Option<Timestamp>| v1::GetConsentsAsOfRequest {
        customer_id: customer_id.clone(),
        purpose: "service".to_owned(),
        time,
    };
    for node in 0..3 {
        for (time, expected) in [
            (Some(Timestamp { seconds: 1, nanos: 0 }), Vec::new()),
            (given_at, vec![(v1::ConsentStatus::Given, 1)]),
            (withdrawn.recorded_at, vec![(v1::ConsentStatus::Withdrawn, 2)]),
        ] {
            let answer = sandbox.consents(node).await.get_consents_as_of(ask(time)).await.expect("answered");
            let answer = answer.into_inner();
            assert_eq!(answer.etag, withdrawn.etag);
            let found: Vec<_> =
                answer.consents.iter().map(|state| (state.status(), state.consent_revision)).collect();
            assert_eq!(found, expected);
        }
    }
    for (time, reason) in
        [(None, "FIELD_REQUIRED"), (Some(Timestamp { seconds: 9_000_000_000, nanos: 0 }), "FIELD_INVALID")]
    {
        let status = sandbox.consents(0).await.get_consents_as_of(ask(time)).await.expect_err(reason);
        assert_eq!(fault(&status), (Code::InvalidArgument, reason.to_owned(), "time".to_owned()));
    }
}

fn question(customer_id: &str, decided_purpose: &str) -> v1::ExplainDecisionRequest {
    v1::ExplainDecisionRequest {
        customer_id: customer_id.to_owned(),
        purpose: "service".to_owned(),
        decided_purpose: decided_purpose.to_owned(),
        ..Default::default()
    }
}

async fn explain(
    sandbox: &Sandbox,
    node: usize,
    request: v1::ExplainDecisionRequest,
) -> Result<v1::DecisionExplanation, Status> {
    sandbox.consents(node).await.explain_decision(request).await.map(tonic::Response::into_inner)
}

/// CO-8.
async fn a_decision_is_explained_as_of_now_and_as_of_then(sandbox: &Sandbox) {
    let mut collected = ingest("", texts(&[("phone", "+49 30")]));
    collected.customer_id = new_customer();
    let customer_id = collected.customer_id.clone();
    sandbox.profiles(0).await.ingest_profile(collected).await.expect("ingested");
    let consent = consent(&customer_id, "marketing");
    let given_at = moment_of(&record(sandbox, 1, consent).await).await;
    withdraw(sandbox, 2, &customer_id, "marketing").await;
    let request = v1::GetPurposeRequest { id: "marketing".to_owned() };
    let marketing = sandbox.catalog(0).await.get_purpose(request).await.expect("found").into_inner();
    for node in 0..3 {
        let mut request = question(&customer_id, "marketing");
        let now = explain(sandbox, node, request.clone()).await.expect("explained");
        assert_eq!(
            (now.permitted, now.reason(), now.ledger_sequences.as_slice()),
            (false, v1::RefusalReason::ConsentWithdrawn, &[2][..])
        );
        assert_eq!(
            (now.jurisdictions.as_slice(), &now.purpose_etag),
            (&["default".to_owned()][..], &marketing.etag)
        );
        request.time = given_at;
        let then = explain(sandbox, node, request.clone()).await.expect("explained");
        assert_eq!(
            (then.permitted, then.ground(), then.origin(), then.ledger_sequences.as_slice()),
            (true, v1::LawfulBasis::Consent, v1::GroundOrigin::Recorded, &[1][..])
        );
        // Other tests change the catalogue meanwhile.
        let known = 1..=now.catalogue_version;
        assert!(then.time == given_at && known.contains(&then.catalogue_version), "{then:?}");
        request.recipient = "unheard-of".to_owned();
        let outsider = explain(sandbox, node, request).await.expect("explained");
        assert_eq!(outsider.reason(), v1::RefusalReason::RecipientNotRegistered);
        assert!(outsider.ledger_sequences.is_empty());

        let mut request = question(&customer_id, "service");
        request.attribute = "phone".to_owned();
        let attribute = explain(sandbox, node, request.clone()).await.expect("explained");
        assert!(attribute.permitted && !attribute.attribute_etag.is_empty());
        request.decided_purpose = "marketing".to_owned();
        request.time = given_at;
        let attribute = explain(sandbox, node, request).await.expect("explained");
        assert_eq!(attribute.reason(), v1::RefusalReason::PurposeNotAllowed);
    }
    assert_eq!(refusal_of_read(sandbox, &customer_id).await, v1::RefusalReason::ConsentWithdrawn);
    type Change = fn(&mut v1::ExplainDecisionRequest);
    let cases: [(Change, &str, &str); 4] = [
        (|request| request.decided_purpose = "nothing".to_owned(), "PURPOSE_UNKNOWN", "decided_purpose"),
        (|request| request.attribute = "nothing".to_owned(), "ATTRIBUTE_UNKNOWN", "attribute"),
        (|request| request.recipient = "a b".to_owned(), "FIELD_INVALID", "recipient"),
        (
            |request| request.time = Some(Timestamp { seconds: 9_000_000_000, nanos: 0 }),
            "FIELD_INVALID",
            "time",
        ),
    ];
    for (change, reason, field) in cases {
        let mut request = question(&customer_id, "marketing");
        change(&mut request);
        let status = explain(sandbox, 0, request).await.expect_err(reason);
        assert_eq!(fault(&status), (Code::InvalidArgument, reason.to_owned(), field.to_owned()));
    }
}

/// GDPR Arts. 6(1)(b), 17(1)(b); CO-3. A no over a purpose that a contract still carries says that use goes on.
async fn a_contract_comes_with_the_data_and_serves_nothing_of_a_consent_that_was_taken_back(
    sandbox: &Sandbox,
) {
    let customer_id = stored_customer(sandbox, &[("email", "a@example.org")]).await;
    let ended = withdraw(sandbox, 0, &customer_id, "service").await;
    assert_eq!(ended.still_permitted_by(), v1::LawfulBasis::Unspecified);
    assert_eq!(ended.evidence, None, "a withdrawal is not the act of the giving");
    let contract = v1::ConsentGrant {
        purpose: "service".to_owned(),
        lawful_basis: v1::LawfulBasis::Contract.into(),
        reference: "order 17".to_owned(),
        ..Default::default()
    };
    let order = v1::IngestProfileRequest {
        consents: vec![contract],
        ..ingest(&customer_id, texts(&[("given_name", "Ada")]))
    };
    let answer = sandbox.profiles(1).await.ingest_profile(order).await.expect("ingested").into_inner();
    assert!(answer.consents[0].recorded && answer.attributes[0].merged, "{answer:?}");
    for node in 0..3 {
        let profile = sandbox.profiles(node).await.get_profile(get(&customer_id, "service")).await;
        let profile = profile.expect("found").into_inner();
        let given: Vec<_> = profile.attributes.iter().map(|one| (one.name.as_str(), one.ground())).collect();
        assert_eq!(given, [("given_name", v1::LawfulBasis::Contract)]);
        let withheld: Vec<_> = profile.withheld.iter().map(|one| (one.name.as_str(), one.reason())).collect();
        assert_eq!(withheld, [("email", v1::RefusalReason::ConsentWithdrawn)]);
    }
    let again = withdraw(sandbox, 2, &customer_id, "service").await;
    assert_eq!(again.still_permitted_by(), v1::LawfulBasis::Contract);
}

/// What was decided then was decided with the catalogue of then.
async fn a_purpose_created_later_is_unknown_in_earlier_explanations(sandbox: &Sandbox) {
    let customer_id = new_customer();
    let consent = consent(&customer_id, "service");
    let before = moment_of(&record(sandbox, 0, consent).await).await;
    let purpose = v1::Purpose {
        id: "late".to_owned(),
        display_name: "Late".to_owned(),
        lawful_bases: vec![v1::LawfulBasis::LegalObligation.into()],
        standing_bases: vec![v1::LawfulBasis::LegalObligation.into()],
        law: "Fiscal Code §147".to_owned(),
        ..Default::default()
    };
    let request = v1::CreatePurposeRequest { purpose: Some(purpose), validate_only: false };
    sandbox.catalog(1).await.create_purpose(request).await.expect("defined");
    for node in 0..3 {
        let mut request = question(&customer_id, "late");
        let now = explain(sandbox, node, request.clone()).await.expect("explained");
        assert_eq!((now.permitted, now.origin()), (true, v1::GroundOrigin::Standing));
        request.time = before;
        let then = explain(sandbox, node, request).await.expect("explained");
        assert_eq!((then.permitted, then.reason()), (false, v1::RefusalReason::UnknownPurpose));
        assert!(then.catalogue_version < now.catalogue_version && then.purpose_etag.is_empty());
    }
}
