//! A profile from its first observation to its withdrawal, through the public API of three nodes.

use custodia_proto::FieldMask;
use custodia_proto::v1::profile_service_client::ProfileServiceClient;
use custodia_proto::v1::{
    AppendEventsRequest, BatchGetProfilesRequest, ConsentMethod, ConsentStatus, GetConsentsRequest,
    IngestProfileRequest, LawfulBasis, ListEventsRequest, Recipient, RecordConsentRequest, RefusalReason,
    VerdictDetail, WithdrawConsentRequest, batch_profile, ingest_profiles_response,
};
use custodia_tests::actions::{create_campaign, create_recipient, stored_customer};
use custodia_tests::sample::{event, fault, get, grant, ingest, integer, new_id, observation, text_of};
use custodia_tests::{Sandbox, Suite};
use tonic::Code;

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(what_one_application_writes_every_node_serves)
        .shared(a_reader_learns_of_no_attribute_that_its_purpose_has_no_use_for)
        .shared(a_withdrawal_ends_reads_and_ingests_on_every_node)
        .shared(the_newest_observation_wins_and_a_repeated_request_has_one_effect)
        .shared(masks_batches_and_judging_without_change)
        .shared(a_read_may_ask_a_quorum_instead_of_the_lease)
        .shared(events_come_back_newest_first_and_once)
        .shared(a_page_token_tells_nothing_of_what_is_withheld)
        .shared(a_stream_answers_every_row_in_order_and_goes_on_after_a_bad_one)
}

/// Presence alone may tell much: that a customer has needs of accessibility, or a reason to be billed differently.
async fn a_reader_learns_of_no_attribute_that_its_purpose_has_no_use_for(sandbox: &Sandbox) {
    let purpose_id = "presence";
    let (_, needs) = create_campaign(sandbox, purpose_id).await;
    let mut request = ingest("", vec![observation("given_name", "Ada"), observation("phone", "+49 30")]);
    request.consents.push(grant(purpose_id));
    let customer = sandbox.profiles(0).await.ingest_profile(request).await.unwrap().into_inner().customer_id;
    let of_needs = IngestProfileRequest {
        purpose: purpose_id.into(),
        consents: Vec::new(),
        ..ingest(&customer, vec![observation(&needs, "lift")])
    };
    assert!(
        sandbox.profiles(1).await.ingest_profile(of_needs).await.unwrap().into_inner().attributes[0].merged
    );
    let desk = Recipient {
        id: "presence-desk".into(),
        purposes: vec!["service".into(), "marketing".into()],
        ..Default::default()
    };
    create_recipient(sandbox, 0, desk).await;
    for node in 0..3 {
        let channel = sandbox.channel_as(node, "agent", "presence-desk").await;
        let mut desk = ProfileServiceClient::new(channel);
        let seen = desk.get_profile(get(&customer, "service")).await.unwrap().into_inner();
        assert_eq!(seen.attributes.len(), 2);
        assert!(seen.withheld.is_empty(), "{:?}", seen.withheld);
        assert_eq!(seen.withheld_others, 1, "that there is more is no secret");
        // In use for the purpose, and withheld for want of consent: named, with the reason.
        let marketing = desk.get_profile(get(&customer, "marketing")).await.unwrap().into_inner();
        assert_eq!((marketing.withheld.len(), marketing.withheld_others), (1, 2));
        assert_eq!(marketing.withheld[0].name, "given_name");
        for (name, verdicts) in
            [(needs.as_str(), 0), ("points", 0), (needs.as_str(), VerdictDetail::Only.into())]
        {
            let mut asked = get(&customer, "service");
            asked.read_mask = Some(FieldMask { paths: vec![name.to_owned()] });
            asked.verdicts = verdicts;
            let seen = desk.get_profile(asked).await.unwrap().into_inner();
            let nothing = (seen.attributes.len(), seen.withheld.len(), seen.withheld_others);
            assert_eq!(nothing, (0, 0, 0), "{name}: stored or not, the answer is the same");
        }
        let office = sandbox.profiles(node).await.get_profile(get(&customer, "service")).await.unwrap();
        assert_eq!(office.into_inner().withheld[0].name, needs, "the privacy office sees every name");
    }
}

async fn what_one_application_writes_every_node_serves(sandbox: &Sandbox) {
    // PR-7, CO-3, GO-3
    let mut request = ingest("", vec![observation("given_name", "Ada"), observation("interest", "chess")]);
    request.observations.push(observation("shoe_size", "38"));
    let answer = sandbox.profiles(0).await.ingest_profile(request).await.unwrap().into_inner();
    assert!(answer.created);
    assert!(answer.customer_id.starts_with("cust_"));
    assert!(answer.attributes[0].merged);
    assert_eq!(answer.attributes[1].refusal(), RefusalReason::PurposeNotAllowed);
    assert_eq!(answer.attributes[2].refusal(), RefusalReason::UnknownAttribute);
    assert!(!answer.attributes[2].explanation.is_empty());

    for node in 0..3 {
        let mut profiles = sandbox.profiles(node).await;
        let profile = profiles.get_profile(get(&answer.customer_id, "service")).await.unwrap().into_inner();
        assert_eq!(text_of(&profile, "given_name").as_deref(), Some("Ada"));
        assert_eq!(profile.etag, answer.etag);
        let provenance = profile.attributes[0].provenance.as_ref().unwrap();
        assert_eq!((provenance.source.as_str(), provenance.purpose.as_str()), ("tests", "service"));
        assert_eq!(provenance.lawful_basis(), LawfulBasis::Consent);
        assert_eq!(profile.attributes[0].ground(), LawfulBasis::Consent);

        let marketing =
            profiles.get_profile(get(&answer.customer_id, "marketing")).await.unwrap().into_inner();
        assert!(marketing.attributes.is_empty());
        assert_eq!(marketing.withheld[0].name, "given_name");
        assert_eq!(marketing.withheld[0].reason(), RefusalReason::NoGround);
    }
}

async fn a_withdrawal_ends_reads_and_ingests_on_every_node(sandbox: &Sandbox) {
    // CO-3, CO-5
    let request = ingest("", vec![observation("email", "ada@example.org")]);
    let customer = sandbox.profiles(1).await.ingest_profile(request).await.unwrap().into_inner().customer_id;

    let consent = RecordConsentRequest {
        evidence: Some(custodia_tests::sample::evidence(custodia_proto::v1::AffirmativeAct::Clicked)),
        customer_id: customer.clone(),
        purpose: "marketing".into(),
        status: ConsentStatus::Given.into(),
        notice_version: "v1".into(),
        method: ConsentMethod::Explicit.into(),
        collector: "desk".into(),
        ..Default::default()
    };
    let state = sandbox.consents(2).await.record_consent(consent).await.unwrap().into_inner();
    assert_eq!(state.status(), ConsentStatus::Given);
    let before =
        sandbox.profiles(0).await.get_profile(get(&customer, "marketing")).await.unwrap().into_inner();
    assert_eq!(text_of(&before, "email").as_deref(), Some("ada@example.org"));

    let withdrawal = WithdrawConsentRequest {
        customer_id: customer.clone(),
        purpose: "marketing".into(),
        ..Default::default()
    };
    let state = sandbox.consents(0).await.withdraw_consent(withdrawal).await.unwrap().into_inner();
    assert_eq!(state.status(), ConsentStatus::Withdrawn);
    for node in 0..3 {
        let after =
            sandbox.profiles(node).await.get_profile(get(&customer, "marketing")).await.unwrap().into_inner();
        assert!(after.attributes.is_empty());
        assert_eq!(after.withheld[0].reason(), RefusalReason::ConsentWithdrawn);
    }
    let mut late = ingest(&customer, vec![observation("interest", "chess")]);
    late.purpose = "marketing".into();
    late.consents.clear();
    let answer = sandbox.profiles(1).await.ingest_profile(late).await.unwrap().into_inner();
    assert_eq!(answer.attributes[0].refusal(), RefusalReason::ConsentWithdrawn);

    let request = GetConsentsRequest { customer_id: customer, purpose: "privacy-requests".into() };
    let consents = sandbox.consents(1).await.get_consents(request).await.unwrap().into_inner().consents;
    let found: Vec<_> = consents.iter().map(|state| (state.purpose.as_str(), state.status())).collect();
    assert_eq!(found, [("marketing", ConsentStatus::Withdrawn), ("service", ConsentStatus::Given)]);
}

async fn the_newest_observation_wins_and_a_repeated_request_has_one_effect(sandbox: &Sandbox) {
    let mut profiles = sandbox.profiles(0).await;
    let mut old = observation("surname", "Byron");
    old.observed_at = Some(custodia_proto::Timestamp { seconds: 1_000_000_000, nanos: 0 });
    let first = ingest("", vec![observation("surname", "Lovelace")]);
    let answer = profiles.ingest_profile(first.clone()).await.unwrap().into_inner();
    let customer = answer.customer_id.clone();
    // the same request at every node: the same answer
    for node in 0..3 {
        let again = sandbox.profiles(node).await.ingest_profile(first.clone()).await.unwrap().into_inner();
        assert_eq!(again, answer);
    }
    let late = profiles.ingest_profile(ingest(&customer, vec![old])).await.unwrap().into_inner();
    assert_eq!(late.attributes[0].refusal(), RefusalReason::ObservedBeforeStored);
    let profile = profiles.get_profile(get(&customer, "service")).await.unwrap().into_inner();
    assert_eq!(text_of(&profile, "surname").as_deref(), Some("Lovelace"));

    // one request id, two requests
    let mut other = first.clone();
    other.observations[0] = observation("surname", "King");
    let status = profiles.ingest_profile(other).await.unwrap_err();
    assert_eq!(fault(&status).1, "REQUEST_ID_REUSED");

    // a stale etag
    let mut conditional = ingest(&customer, vec![observation("surname", "King")]);
    conditional.etag = profile.etag;
    let changed = profiles.ingest_profile(conditional.clone()).await.unwrap().into_inner();
    assert_ne!(changed.etag, conditional.etag);
    conditional.request_id = new_id();
    let status = profiles.ingest_profile(conditional).await.unwrap_err();
    assert_eq!((status.code(), fault(&status).1.as_str()), (Code::Aborted, "ETAG_STALE"));
}

async fn masks_batches_and_judging_without_change(sandbox: &Sandbox) {
    let mut profiles = sandbox.profiles(2).await;
    let mut customers = Vec::new();
    for number in 0..8 {
        let mut request = ingest("", vec![observation("given_name", &format!("name {number}"))]);
        request.observations.push(observation("phone", "+420123456789"));
        customers.push(profiles.ingest_profile(request).await.unwrap().into_inner().customer_id);
    }
    let mut masked = get(&customers[3], "service");
    masked.read_mask = Some(FieldMask { paths: vec!["given_name".into()] });
    masked.verdicts = VerdictDetail::None.into();
    let profile = profiles.get_profile(masked.clone()).await.unwrap().into_inner();
    assert_eq!(profile.attributes.len(), 1);
    masked.read_mask = Some(FieldMask { paths: vec!["no_such_attribute".into()] });
    assert_eq!(profiles.get_profile(masked).await.unwrap_err().code(), Code::InvalidArgument);

    let unknown = "cust_01h455vb4pex5vsknk084sn02q";
    let mut ids = customers.clone();
    ids.insert(4, unknown.into());
    let request = BatchGetProfilesRequest {
        customer_ids: ids.clone(),
        purpose: "service".into(),
        ..Default::default()
    };
    let batch = profiles.batch_get_profiles(request).await.unwrap().into_inner();
    assert_eq!(batch.profiles.iter().map(|one| one.customer_id.clone()).collect::<Vec<_>>(), ids);
    for (index, one) in batch.profiles.iter().enumerate() {
        match one.result.as_ref().unwrap() {
            batch_profile::Result::Profile(profile) => assert_eq!(profile.attributes.len(), 2, "{index}"),
            batch_profile::Result::Error(error) => {
                assert_eq!((index, error.code), (4, i32::from(Code::NotFound)));
            }
        }
        assert_eq!(index == 4, matches!(one.result, Some(batch_profile::Result::Error(_))));
    }

    let mut trial = ingest(&customers[0], vec![observation("given_name", "other")]);
    trial.validate_only = true;
    assert!(profiles.ingest_profile(trial).await.unwrap().into_inner().attributes[0].merged);
    let profile = profiles.get_profile(get(&customers[0], "service")).await.unwrap().into_inner();
    assert_eq!(text_of(&profile, "given_name").as_deref(), Some("name 0"));
}

async fn events_come_back_newest_first_and_once(sandbox: &Sandbox) {
    // PR-1
    let mut profiles = sandbox.profiles(1).await;
    let mut request = ingest("", vec![observation("given_name", "Ada")]);
    request.events = vec![event("order-0", 0)];
    let answer = profiles.ingest_profile(request).await.unwrap().into_inner();
    assert!(answer.events[0].appended);
    let customer = answer.customer_id;
    let append = |events| AppendEventsRequest {
        customer_id: customer.clone(),
        purpose: "service".into(),
        source: "shop".into(),
        events,
        request_id: new_id(),
        ..Default::default()
    };
    let mut many: Vec<_> = (1..=120).map(|n| event(&format!("order-{n}"), n * 1_000)).collect();
    many[5].properties.insert("total".into(), integer(12).unwrap());
    profiles.append_events(append(many.clone())).await.unwrap();
    // the same events again, in another request
    let again = profiles.append_events(append(many[..10].to_vec())).await.unwrap().into_inner();
    assert!(again.events.iter().all(|outcome| outcome.appended));

    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let request = ListEventsRequest {
            customer_id: customer.clone(),
            purpose: "service".into(),
            page_size: 50,
            page_token: token,
        };
        let page = sandbox.profiles(0).await.list_events(request).await.unwrap().into_inner();
        assert!(page.events.len() <= 50);
        seen.extend(page.events.into_iter().map(|stored| stored.event.unwrap()));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let expected: Vec<_> = (0..=120).rev().map(|n| format!("order-{n}")).collect();
    assert_eq!(seen.iter().map(|event| event.event_id.clone()).collect::<Vec<_>>(), expected);
    assert_eq!(seen[114].properties["total"], integer(12).unwrap());

    let request =
        ListEventsRequest { customer_id: customer, purpose: "marketing".into(), ..Default::default() };
    let page = profiles.list_events(request).await.unwrap().into_inner();
    assert!(page.events.is_empty());
    assert_eq!(page.withheld[0].reason(), RefusalReason::NoGround);
}

/// A page ends with an event that is withheld, and its token has the time of that event for the node alone.
async fn a_page_token_tells_nothing_of_what_is_withheld(sandbox: &Sandbox) {
    let mut profiles = sandbox.profiles(0).await;
    let both = IngestProfileRequest {
        events: vec![event("told", 2_000)],
        consents: vec![grant("service"), grant("marketing")],
        ..ingest("", vec![observation("given_name", "Ada")])
    };
    let customer = profiles.ingest_profile(both).await.unwrap().into_inner().customer_id;
    let secret = 1_000;
    let append = AppendEventsRequest {
        customer_id: customer.clone(),
        purpose: "marketing".into(),
        source: "shop".into(),
        events: vec![event("withheld-1", secret), event("withheld-2", 0)],
        request_id: new_id(),
        ..Default::default()
    };
    profiles.append_events(append).await.unwrap();
    let list = async |node: usize, customer: &str, token: &str| {
        let request = ListEventsRequest {
            customer_id: customer.to_owned(),
            purpose: "service".into(),
            page_size: 2,
            page_token: token.to_owned(),
        };
        sandbox.profiles(node).await.list_events(request).await.map(tonic::Response::into_inner)
    };
    let page = list(0, &customer, "").await.unwrap();
    assert_eq!((page.events.len(), page.withheld[0].count), (1, 1));
    let token = page.next_page_token;
    // the sort key of an event begins with the complement of its time
    let at = event("", secret).occurred_at.unwrap();
    let ms = at.seconds * 1_000 + i64::from(at.nanos) / 1_000_000;
    let inverted = !(ms.cast_unsigned() ^ (1 << 63));
    for time in [format!("{inverted:016x}"), format!("{ms:016x}")] {
        assert!(!token.contains(&time[8..]), "{token} has the time {time}");
    }
    assert_ne!(list(0, &customer, "").await.unwrap().next_page_token, token, "the same page, sealed anew");
    for node in 0..3 {
        let last = list(node, &customer, &token).await.unwrap();
        assert_eq!((last.events.len(), last.withheld[0].count, last.next_page_token.as_str()), (0, 1, ""));
    }
    let stranger = profiles.ingest_profile(ingest("", vec![observation("given_name", "Eve")])).await;
    let stranger = stranger.unwrap().into_inner().customer_id;
    let made_up = format!("01{inverted:016x}{}", "00".repeat(16));
    let mut changed = token.clone();
    changed.replace_range(20..21, if &token[20..21] == "0" { "1" } else { "0" });
    for (customer, token) in [(&stranger, &token), (&customer, &made_up), (&customer, &changed)] {
        let status = list(1, customer, token).await.unwrap_err();
        assert_eq!(fault(&status).2, "page_token", "{status:?}");
    }
}

async fn a_stream_answers_every_row_in_order_and_goes_on_after_a_bad_one(sandbox: &Sandbox) {
    let mut profiles = sandbox.profiles(0).await;
    let rows: Vec<_> = (0..300)
        .map(|n| {
            let mut row = ingest("", vec![observation("given_name", &format!("row {n}"))]);
            if n == 100 {
                row.purpose = String::new();
            }
            if n == 200 {
                row.consents = vec![grant("no-such-purpose")];
            }
            row
        })
        .collect();
    let answers = profiles.ingest_profiles(tokio_stream::iter(rows)).await.unwrap();
    let mut answers = answers.into_inner();
    let mut next = 0;
    while let Some(answer) = answers.message().await.unwrap() {
        assert_eq!(answer.sequence, next);
        match answer.result.unwrap() {
            ingest_profiles_response::Result::Response(response) => {
                assert!(next != 100 && next != 200, "row {next}: {response:?}");
                assert!(response.created && response.attributes[0].merged, "row {next}");
            }
            ingest_profiles_response::Result::Error(error) => {
                assert!(next == 100 || next == 200, "row {next}: {error:?}");
                assert_eq!(error.code, i32::from(Code::InvalidArgument));
            }
        }
        next += 1;
    }
    assert_eq!(next, 300);
}

/// The leader answers either way; the tests of consensus show what each relies on.
async fn a_read_may_ask_a_quorum_instead_of_the_lease(sandbox: &Sandbox) {
    let customer = stored_customer(sandbox, &[("given_name", "Ada")]).await;
    let in_mode = |mode: &'static str| {
        let mut request = tonic::Request::new(get(&customer, "service"));
        request.metadata_mut().insert("custodia-read-mode", mode.parse().unwrap());
        request
    };
    for node in 0..3 {
        let mut profiles = sandbox.profiles(node).await;
        for mode in ["lease", "quorum"] {
            let profile = profiles.get_profile(in_mode(mode)).await.unwrap().into_inner();
            assert_eq!(text_of(&profile, "given_name").as_deref(), Some("Ada"));
        }
        let status = profiles.get_profile(in_mode("eventual")).await.unwrap_err();
        let (code, _, field) = fault(&status);
        assert_eq!((code, field.as_str()), (Code::InvalidArgument, "custodia-read-mode"), "{status:?}");
    }
}
