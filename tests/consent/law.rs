//! The law through the API of a running cluster: purposes, grounds, states, jurisdictions, recipients, and the same
//! decision at ingest, read, batch and events (CO-1 to CO-7, CO-9, PR-3, GO-3).

use custodia_proto::FieldMask;
use custodia_proto::v1::catalog_change::Entry;
use custodia_proto::v1::profile_service_client::ProfileServiceClient;
use custodia_proto::v1::{
    AffirmativeAct, AppendEventsRequest, BalancingTest, BatchGetProfilesRequest, ConsentEvidence,
    ConsentMethod, ConsentState, ConsentStatus, DataSubject, DecidedBy, GetJurisdictionRequest,
    GetProfileRequest, IngestProfileRequest, JurisdictionBases, LawfulBasis, LegalHold,
    ListCatalogChangesRequest, ListEventsRequest, ListJurisdictionsRequest, NoticeVersion, PrivacySignal,
    Profile, Purpose, Recipient, RecordConsentRequest, RecordPrivacySignalRequest, RefusalReason,
    Restriction, UpdateDataSubjectRequest, UpdatePurposeRequest, ValueType, VerdictDetail, batch_profile,
};
use custodia_tests::actions::{
    ask_again, consent_revision, consenting_customer, create_attribute, create_campaign, create_purpose,
    create_recipient,
};
use custodia_tests::sample::{
    attribute, consent, detail, event, evidence, fault, get, grant, ingest, new_id, observation, purpose,
    text_of, withdrawal, withheld,
};
use custodia_tests::{Sandbox, Suite, Validity};
use tonic::{Code, Status};

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(a_purpose_is_versioned_and_ends_by_deprecation)
        .shared(each_lawful_basis_has_what_it_needs_and_comes_before_the_data)
        .shared(what_is_no_consent_and_what_cannot_follow_is_refused)
        .shared(rules_follow_the_region_of_the_customer)
        .shared(what_beats_every_permission_does_so_everywhere)
        .shared(the_same_decision_is_made_wherever_data_moves)
        .shared(an_application_is_bound_to_its_purposes)
}

fn refusal(status: &Status) -> Option<String> {
    detail(status, "reason")
}

/// A customer whose name and interest are stored with consent for both purposes.
async fn customer(sandbox: &Sandbox) -> String {
    let client = sandbox.client();
    let answer = client.ingest_profile(ingest("", vec![observation("given_name", "Ada")])).await.unwrap();
    let marketing = IngestProfileRequest {
        purpose: "marketing".into(),
        consents: vec![grant("marketing")],
        ..ingest(&answer.customer_id, vec![observation("interest", "sailing")])
    };
    assert!(client.ingest_profile(marketing).await.unwrap().attributes[0].merged);
    answer.customer_id
}

async fn decide(sandbox: &Sandbox, decision: RecordConsentRequest) -> Result<ConsentState, Status> {
    Ok(sandbox.consents(1).await.record_consent(decision).await?.into_inner())
}

async fn read(sandbox: &Sandbox, customer: &str, purpose: &str) -> Profile {
    sandbox.client().get_profile(get(customer, purpose)).await.unwrap()
}

async fn subject(sandbox: &Sandbox, subject: DataSubject, mask: &[&str]) -> Result<DataSubject, Status> {
    let request = UpdateDataSubjectRequest {
        data_subject: Some(subject),
        update_mask: Some(FieldMask { paths: mask.iter().map(ToString::to_string).collect() }),
        request_id: new_id(),
    };
    Ok(sandbox.consents(0).await.update_data_subject(request).await?.into_inner())
}

fn lives_in(customer: &str, region: &str) -> DataSubject {
    DataSubject { customer_id: customer.into(), regions: vec![region.into()], ..Default::default() }
}

/// Point 1: purposes are versioned, never silently changed, and deprecated instead of deleted.
async fn a_purpose_is_versioned_and_ends_by_deprecation(sandbox: &Sandbox) {
    let mut catalog = sandbox.catalog(1).await;
    let new = Purpose {
        data_categories: vec!["contact".into()],
        recipients: vec!["crm".into()],
        retention_days: 400,
        owner: "privacy office".into(),
        jurisdiction_bases: vec![JurisdictionBases { jurisdiction: "ru".into(), lawful_bases: vec![] }],
        ..purpose("profiling", &[LawfulBasis::Consent])
    };
    let first = create_purpose(sandbox, new.clone()).await.unwrap();
    assert_eq!(Purpose { etag: String::new(), ..first.clone() }, new);

    let changed = Purpose { retention_days: 30, ..first.clone() };
    let blind = UpdatePurposeRequest { purpose: Some(Purpose { etag: String::new(), ..changed.clone() }) };
    assert_eq!(catalog.update_purpose(blind).await.unwrap_err().code(), Code::InvalidArgument);
    let request = UpdatePurposeRequest { purpose: Some(changed) };
    let second = catalog.update_purpose(request.clone()).await.unwrap().into_inner();
    assert_eq!(
        catalog.update_purpose(request).await.unwrap_err().code(),
        Code::Aborted,
        "the etag is used up"
    );

    let rewritten = NoticeVersion { language: "de".into(), ..second.notices[0].clone() };
    let silent = Purpose { notices: vec![rewritten], ..second.clone() };
    let status = catalog.update_purpose(UpdatePurposeRequest { purpose: Some(silent) }).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "a published notice stays as it was");

    let over = Purpose { deprecated: true, ..second };
    catalog.update_purpose(UpdatePurposeRequest { purpose: Some(over) }).await.unwrap();
    let customer = customer(sandbox).await;
    let status = decide(sandbox, consent(&customer, "profiling")).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");

    let request = ListCatalogChangesRequest::default();
    let changes = sandbox.catalog(2).await.list_catalog_changes(request).await.unwrap().into_inner().changes;
    assert!(changes.windows(2).all(|two| two[0].version < two[1].version));
    assert!(changes.iter().all(|change| change.changed_by == "admin" && change.changed_at.is_some()));
    let kept: Vec<(u32, bool)> = changes
        .iter()
        .filter_map(|change| match &change.entry {
            Some(Entry::Purpose(purpose)) if purpose.id == "profiling" => {
                Some((purpose.retention_days, purpose.deprecated))
            }
            _ => None,
        })
        .collect();
    assert_eq!(kept, [(400, false), (30, false), (30, true)], "every version is kept");
}

/// Point 2: each of the six bases with what it needs, recorded before the data.
async fn each_lawful_basis_has_what_it_needs_and_comes_before_the_data(sandbox: &Sandbox) {
    use LawfulBasis::{Consent, Contract, LegalObligation, LegitimateInterests, PublicTask, VitalInterests};
    let bare = purpose("registry", &[PublicTask]);
    let status = create_purpose(sandbox, bare.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "a public task names its law");
    create_purpose(sandbox, Purpose { law: "§ 3 BMG".into(), ..bare }).await.unwrap();
    let bare = purpose("fraud", &[LegitimateInterests]);
    let status = create_purpose(sandbox, bare.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "legitimate interests carry their balancing test");
    let balancing_test = BalancingTest {
        interest: "to prevent fraud".into(),
        necessity: "no milder means".into(),
        balance: "expected by customers, recital 47".into(),
        reviewer: "the privacy officer".into(),
        reviewed_on: "2026-01-15".into(),
        objection_route: "a call".into(),
    };
    create_purpose(sandbox, Purpose { balancing_test: Some(balancing_test), ..bare }).await.unwrap();
    create_purpose(sandbox, purpose("rescue", &[VitalInterests])).await.unwrap();
    let bases = [
        ("registry", PublicTask),
        ("fraud", LegitimateInterests),
        ("rescue", VitalInterests),
        ("service", Contract),
        ("privacy-requests", LegalObligation),
        ("marketing", Consent),
    ];
    let client = sandbox.client();
    let known = client.ingest_profile(ingest("", vec![observation("given_name", "Ada")])).await.unwrap();
    let customer = known.customer_id;
    subject(sandbox, lives_in(&customer, "DE"), &["regions"]).await.unwrap();
    for (purpose, basis) in bases {
        let ground = RecordConsentRequest {
            customer_id: customer.clone(),
            purpose: purpose.into(),
            status: ConsentStatus::Given.into(),
            lawful_basis: basis.into(),
            request_id: new_id(),
            ..Default::default()
        };
        let status = decide(sandbox, ground.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{purpose} without its proof: {status}");
        let ground = if basis == Consent {
            consent(&customer, purpose)
        } else {
            RecordConsentRequest { reference: "matter 7".into(), request_id: new_id(), ..ground }
        };
        let state = decide(sandbox, ground).await.unwrap();
        assert_eq!((state.status(), state.lawful_basis()), (ConsentStatus::Given, basis), "{purpose}");
    }
    // data before its ground is refused; after it, it merges and says on which ground
    let before = IngestProfileRequest {
        purpose: "marketing".into(),
        consents: vec![],
        ..ingest("", vec![observation("interest", "sailing")])
    };
    let answer = client.ingest_profile(before).await.unwrap();
    assert_eq!(answer.attributes[0].refusal(), RefusalReason::NoGround);
    let after = IngestProfileRequest {
        purpose: "marketing".into(),
        consents: vec![],
        ..ingest(&customer, vec![observation("interest", "sailing")])
    };
    assert!(client.ingest_profile(after).await.unwrap().attributes[0].merged);
    let profile = read(sandbox, &customer, "marketing").await;
    let given = profile.attributes.iter().find(|attribute| attribute.name == "interest").unwrap();
    assert_eq!(given.ground(), Consent);
    let provenance = given.provenance.as_ref().unwrap();
    assert_eq!((provenance.purpose.as_str(), provenance.lawful_basis()), ("marketing", Consent));
}

/// Point 3: what is no consent is refused as such, and so is a state that cannot follow.
async fn what_is_no_consent_and_what_cannot_follow_is_refused(sandbox: &Sandbox) {
    let client = sandbox.client();
    let customer = customer(sandbox).await;
    create_purpose(sandbox, purpose("circulars", &[LawfulBasis::Consent])).await.unwrap();
    let circulars = consent(&customer, "circulars");
    let with = |evidence: ConsentEvidence| RecordConsentRequest {
        evidence: Some(evidence),
        request_id: new_id(),
        ..circulars.clone()
    };
    let no_consent = [
        (evidence(AffirmativeAct::PreTickedBox), "PRE_TICKED"),
        (evidence(AffirmativeAct::Silence), "SILENCE"),
        (evidence(AffirmativeAct::ContinuedUse), "SILENCE"),
        (ConsentEvidence { bundled: true, ..evidence(AffirmativeAct::Clicked) }, "BUNDLED"),
    ];
    for (evidence, expected) in no_consent {
        let status = decide(sandbox, with(evidence)).await.unwrap_err();
        assert_eq!(refusal(&status).as_deref(), Some(expected), "{status}");
    }
    let opt_out = RecordConsentRequest {
        method: ConsentMethod::OptOut.into(),
        request_id: new_id(),
        ..circulars.clone()
    };
    let status = decide(sandbox, opt_out).await.unwrap_err();
    assert_eq!(refusal(&status).as_deref(), Some("OPT_OUT_NOT_ALLOWED"), "{status}");

    let step = |status: ConsentStatus, by: DecidedBy| RecordConsentRequest {
        status: status.into(),
        evidence: Some(ConsentEvidence { decided_by: by.into(), ..evidence(AffirmativeAct::Clicked) }),
        request_id: new_id(),
        ..circulars.clone()
    };
    let illegal = decide(sandbox, step(ConsentStatus::Invalidated, DecidedBy::Authority)).await.unwrap_err();
    assert_eq!(refusal(&illegal).as_deref(), Some("ILLEGAL_TRANSITION"), "{illegal}");
    let steps = [
        (ConsentStatus::Requested, DecidedBy::Controller, RefusalReason::ConsentRequested),
        (ConsentStatus::Refused, DecidedBy::DataSubject, RefusalReason::ConsentRefused),
        (ConsentStatus::Given, DecidedBy::DataSubject, RefusalReason::Unspecified),
        (ConsentStatus::Invalidated, DecidedBy::Authority, RefusalReason::ConsentInvalidated),
        (ConsentStatus::Given, DecidedBy::DataSubject, RefusalReason::Unspecified),
        (ConsentStatus::Revoked, DecidedBy::Controller, RefusalReason::ConsentRevoked),
    ];
    for (to, by, expected) in steps {
        let answers_no = to == ConsentStatus::Given;
        let consent_revision = if answers_no { consent_revision(sandbox, &customer).await } else { 0 };
        let said = RecordConsentRequest { consent_revision, ..step(to, by) };
        let state = decide(sandbox, said).await.unwrap();
        assert_eq!(state.status(), to);
        let probe = IngestProfileRequest {
            purpose: "circulars".into(),
            consents: vec![],
            observations: vec![],
            events: vec![event(&new_id(), 0)],
            validate_only: true,
            ..ingest(&customer, vec![])
        };
        let outcome = &client.ingest_profile(probe).await.unwrap().events[0];
        assert_eq!(outcome.refusal(), expected, "after {to:?}");
        assert_eq!(outcome.appended, expected == RefusalReason::Unspecified);
    }
}

/// Point 4: regions select the rules; a GPC signal opts out where the law honours it; minors need a guardian.
async fn rules_follow_the_region_of_the_customer(sandbox: &Sandbox) {
    let client = sandbox.client();
    let request = ListJurisdictionsRequest::default();
    let built_in = sandbox.catalog(0).await.list_jurisdictions(request).await.unwrap().into_inner();
    let ids: Vec<&str> = built_in.jurisdictions.iter().map(|one| one.id.as_str()).collect();
    for id in ["br", "default", "eu", "ru", "us-ca"] {
        assert!(ids.contains(&id), "{id} is built in");
    }
    let request = GetJurisdictionRequest { id: "us-ca".into() };
    let california = sandbox.catalog(1).await.get_jurisdiction(request).await.unwrap().into_inner();
    assert!(california.honours_gpc && california.built_in && california.law.contains("1798"));

    create_purpose(sandbox, Purpose { sale_or_sharing: true, ..purpose("ads", &[LawfulBasis::Consent]) })
        .await
        .unwrap();
    let offer = |customer: &str| IngestProfileRequest {
        purpose: "ads".into(),
        consents: vec![],
        events: vec![event(&new_id(), 0)],
        ..ingest(customer, vec![])
    };
    let (german, californian) = (customer(sandbox).await, customer(sandbox).await);
    subject(sandbox, lives_in(&german, "DE"), &["regions"]).await.unwrap();
    subject(sandbox, lives_in(&californian, "US-CA"), &["regions"]).await.unwrap();
    let outcome = client.ingest_profile(offer(&german)).await.unwrap().events.remove(0);
    assert_eq!(outcome.refusal(), RefusalReason::NoGround, "opt-in: unknown means no");
    let outcome = client.ingest_profile(offer(&californian)).await.unwrap().events.remove(0);
    assert!(outcome.appended, "opt-out: nothing was said");

    let signal = |customer: &str| RecordPrivacySignalRequest {
        customer_id: customer.into(),
        signal: PrivacySignal::Gpc.into(),
        channel: "web".into(),
        request_id: new_id(),
    };
    let mut consents = sandbox.consents(1).await;
    assert!(!consents.record_privacy_signal(signal(&german)).await.unwrap().into_inner().honoured);
    let heard = consents.record_privacy_signal(signal(&californian)).await.unwrap().into_inner();
    assert!(heard.honoured);
    let states: Vec<_> =
        heard.consents.iter().map(|state| (state.purpose.as_str(), state.status())).collect();
    assert_eq!(states, [("ads", ConsentStatus::Refused)]);
    let outcome = client.ingest_profile(offer(&californian)).await.unwrap().events.remove(0);
    assert_eq!(outcome.refusal(), RefusalReason::ConsentRefused, "Sec-GPC opts out of sale and sharing");

    let child = DataSubject { birth_date: "2020-02-29".into(), ..lives_in(&german, "DE") };
    subject(sandbox, child, &["birth_date"]).await.unwrap();
    // The signal is a no here too, should the region change: the consent says that it saw it.
    let consent_revision = consent_revision(sandbox, &german).await;
    let answer = || RecordConsentRequest { consent_revision, ..consent(&german, "ads") };
    let status = decide(sandbox, answer()).await.unwrap_err();
    assert_eq!(refusal(&status).as_deref(), Some("GUARDIAN_CONSENT_NEEDED"), "{status}");
    let by_guardian =
        ConsentEvidence { decided_by: DecidedBy::Guardian.into(), ..evidence(AffirmativeAct::Signed) };
    let guarded = RecordConsentRequest { evidence: Some(by_guardian), ..answer() };
    decide(sandbox, guarded).await.unwrap();
    assert!(client.ingest_profile(offer(&german)).await.unwrap().events[0].appended);
}

/// Point 5: a restriction beats every permission but rights, a hold keeps what is stored, an outdated notice permits nothing.
async fn what_beats_every_permission_does_so_everywhere(sandbox: &Sandbox) {
    let customer = customer(sandbox).await;
    let restricted = DataSubject {
        customer_id: customer.clone(),
        restriction: Some(Restriction { reason: "accuracy is contested".into(), since: None }),
        ..Default::default()
    };
    let size = attribute("shoe_size", ValueType::Text, &["service", "privacy-requests"]);
    create_attribute(sandbox, 0, size).await.unwrap();
    let shoes =
        sandbox.client().ingest_profile(ingest(&customer, vec![observation("shoe_size", "41")])).await;
    assert!(shoes.unwrap().attributes[0].merged);
    let state = subject(sandbox, restricted, &["restriction"]).await.unwrap();
    assert!(state.restriction.unwrap().since.is_some());
    for purpose in ["service", "marketing"] {
        let profile = read(sandbox, &customer, purpose).await;
        assert!(profile.attributes.is_empty(), "{purpose}");
        assert!(profile.withheld.iter().any(|one| one.reason() == RefusalReason::ProcessingRestricted));
    }
    let profile = read(sandbox, &customer, "privacy-requests").await;
    assert_eq!(text_of(&profile, "shoe_size").as_deref(), Some("41"), "Art. 15 is not suspended by Art. 18");
    let outcome = sandbox.client().ingest_profile(ingest(&customer, vec![observation("surname", "L")])).await;
    assert_eq!(outcome.unwrap().attributes[0].refusal(), RefusalReason::ProcessingRestricted);
    let held = DataSubject {
        customer_id: customer.clone(),
        legal_hold: Some(LegalHold { reference: "claim 12".into(), since: None }),
        etag: read(sandbox, &customer, "service").await.etag,
        ..Default::default()
    };
    subject(sandbox, held, &["restriction", "legal_hold"]).await.unwrap();
    assert_eq!(text_of(&read(sandbox, &customer, "service").await, "given_name").as_deref(), Some("Ada"));
    let kept =
        sandbox.client().ingest_profile(ingest(&customer, vec![observation("given_name", "Eve")])).await;
    assert_eq!(
        kept.unwrap().attributes[0].refusal(),
        RefusalReason::LegalHold,
        "what is held does not change"
    );
    let etag = read(sandbox, &customer, "service").await.etag;
    let free = DataSubject { customer_id: customer.clone(), etag, ..Default::default() };
    subject(sandbox, free, &["legal_hold"]).await.unwrap();
    assert_eq!(text_of(&read(sandbox, &customer, "service").await, "given_name").as_deref(), Some("Ada"));
    // only the privacy office may hold and let go
    let identity = sandbox.authority.issue("loader", &["ingest"], Validity::Current);
    let channel = sandbox.channel(0, &identity).await.unwrap();
    let mut loader = custodia_proto::v1::consent_service_client::ConsentServiceClient::new(channel);
    let request = UpdateDataSubjectRequest {
        data_subject: Some(DataSubject { customer_id: customer.clone(), ..Default::default() }),
        update_mask: Some(FieldMask { paths: vec!["legal_hold".into()] }),
        request_id: new_id(),
    };
    assert_eq!(loader.update_data_subject(request).await.unwrap_err().code(), Code::PermissionDenied);

    let (raffles, topic) = create_campaign(sandbox, "raffles").await;
    let customer = consenting_customer(sandbox, "raffles", &topic).await;
    assert_eq!(text_of(&read(sandbox, &customer, "raffles").await, &topic).as_deref(), Some("sailing"));
    ask_again(sandbox, raffles).await;
    let profile = read(sandbox, &customer, "raffles").await;
    assert_eq!(withheld(&profile, &topic), Some(RefusalReason::NoticeOutdated));
}

/// Point 6: ingest, read, verdicts alone, batch and events say the same.
async fn the_same_decision_is_made_wherever_data_moves(sandbox: &Sandbox) {
    let client = sandbox.client();
    let customer = customer(sandbox).await;
    let events = AppendEventsRequest {
        customer_id: customer.clone(),
        purpose: "marketing".into(),
        source: "tests".into(),
        events: vec![event("e1", 0)],
        request_id: new_id(),
        ..Default::default()
    };
    assert!(client.append_events(events.clone()).await.unwrap().events[0].appended);
    client.withdraw_consent(withdrawal(&customer, "marketing")).await.unwrap();

    let expected = RefusalReason::ConsentWithdrawn;
    let late = IngestProfileRequest {
        purpose: "marketing".into(),
        consents: vec![],
        events: vec![event("e2", 1)],
        ..ingest(&customer, vec![observation("interest", "chess")])
    };
    let answer = client.ingest_profile(late).await.unwrap();
    assert_eq!((answer.attributes[0].refusal(), answer.events[0].refusal()), (expected, expected));
    let again = AppendEventsRequest { request_id: new_id(), events: vec![event("e3", 2)], ..events };
    assert_eq!(client.append_events(again).await.unwrap().events[0].refusal(), expected);
    for node in 0..3 {
        let mut profiles = sandbox.profiles(node).await;
        let profile = profiles.get_profile(get(&customer, "marketing")).await.unwrap().into_inner();
        assert_eq!(withheld(&profile, "interest"), Some(expected));
        let only = GetProfileRequest { verdicts: VerdictDetail::Only.into(), ..get(&customer, "service") };
        let verdicts = profiles.get_profile(only).await.unwrap().into_inner();
        let name = verdicts.attributes.iter().find(|one| one.name == "given_name").unwrap();
        assert!(name.value.is_none() && name.provenance.is_none(), "verdicts alone");
        assert_eq!(name.ground(), LawfulBasis::Consent);
        assert_eq!(withheld(&verdicts, "interest"), Some(RefusalReason::PurposeNotAllowed));
        let batch = BatchGetProfilesRequest {
            customer_ids: vec![customer.clone()],
            purpose: "marketing".into(),
            ..Default::default()
        };
        let mut batch = profiles.batch_get_profiles(batch).await.unwrap().into_inner().profiles;
        let Some(batch_profile::Result::Profile(same)) = batch.remove(0).result else { unreachable!() };
        assert_eq!(same, profile);
        let list = ListEventsRequest {
            customer_id: customer.clone(),
            purpose: "marketing".into(),
            ..Default::default()
        };
        let page = profiles.list_events(list).await.unwrap().into_inner();
        assert!(page.events.is_empty());
        assert_eq!((page.withheld[0].reason(), page.withheld[0].count), (expected, 1));
    }
}

/// Point 6: a registered application reads for its purposes and for no other.
async fn an_application_is_bound_to_its_purposes(sandbox: &Sandbox) {
    let customer = customer(sandbox).await;
    let identity = sandbox.authority.issue("agent-desk", &["agent"], Validity::Current);
    let mut desk = ProfileServiceClient::new(sandbox.channel(2, &identity).await.unwrap());
    let status = desk.get_profile(get(&customer, "service")).await.unwrap_err();
    assert_eq!(
        (status.code(), fault(&status).1.as_str()),
        (Code::PermissionDenied, "RECIPIENT_NOT_REGISTERED")
    );
    let recipient = Recipient {
        id: "agent-desk".into(),
        display_name: "Agent desktop".into(),
        owner: "service".into(),
        purposes: vec!["service".into()],
        ..Default::default()
    };
    let recipient = create_recipient(sandbox, 0, recipient).await;
    let profile = desk.get_profile(get(&customer, "service")).await.unwrap().into_inner();
    assert_eq!(text_of(&profile, "given_name").as_deref(), Some("Ada"));
    let status = desk.get_profile(get(&customer, "marketing")).await.unwrap_err();
    assert_eq!((status.code(), fault(&status).1.as_str()), (Code::PermissionDenied, "RECIPIENT_NOT_ALLOWED"));
    let list = ListEventsRequest {
        customer_id: customer.clone(),
        purpose: "marketing".into(),
        ..Default::default()
    };
    assert_eq!(desk.list_events(list).await.unwrap_err().code(), Code::PermissionDenied);
    let suspended = Recipient { suspended: true, ..recipient };
    let request = custodia_proto::v1::UpdateRecipientRequest { recipient: Some(suspended) };
    sandbox.catalog(2).await.update_recipient(request).await.unwrap();
    let status = desk.get_profile(get(&customer, "service")).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "a suspended application reads nothing");
}
