//! The data subject, privacy signals, TC strings and consent mode, on every node.

use custodia_proto::FieldMask;
use custodia_proto::v1::{self, consent_service_client::ConsentServiceClient};
use custodia_tests::actions::{create_purpose, create_recipient, stored_customer};
use custodia_tests::sample::{consent, fault, get, new_customer, observation, purpose, tc_string};
use custodia_tests::{Sandbox, Suite};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(a_data_subject_is_updated_field_by_field)
        .shared(only_the_privacy_office_restricts_and_holds)
        .shared(a_minor_needs_the_consent_of_a_guardian)
        .shared(a_privacy_signal_opts_out_where_the_region_honours_it)
        .shared(a_tc_string_is_stored_once_and_a_bad_one_is_refused)
        .shared(a_gpp_string_is_stored_and_its_opt_outs_are_honoured)
        .shared(consent_mode_grants_what_every_purpose_of_a_signal_allows)
}

fn update(paths: &[&str], subject: v1::DataSubject) -> v1::UpdateDataSubjectRequest {
    v1::UpdateDataSubjectRequest {
        data_subject: Some(subject),
        update_mask: Some(FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() }),
        request_id: Uuid::now_v7().to_string(),
    }
}

fn of_region(customer_id: &str, region: &str) -> v1::UpdateDataSubjectRequest {
    let subject = v1::DataSubject {
        customer_id: customer_id.to_owned(),
        regions: vec![region.to_owned()],
        ..Default::default()
    };
    update(&["regions"], subject)
}

async fn updated(sandbox: &Sandbox, node: usize, request: v1::UpdateDataSubjectRequest) -> v1::DataSubject {
    sandbox.consents(node).await.update_data_subject(request).await.expect("updated").into_inner()
}

async fn subject(sandbox: &Sandbox, node: usize, customer_id: &str) -> Result<v1::DataSubject, Status> {
    let request =
        v1::GetDataSubjectRequest { customer_id: customer_id.to_owned(), purpose: "service".to_owned() };
    sandbox.consents(node).await.get_data_subject(request).await.map(tonic::Response::into_inner)
}

async fn a_data_subject_is_updated_field_by_field(sandbox: &Sandbox) {
    let customer_id = new_customer();
    assert_eq!(subject(sandbox, 0, &customer_id).await.expect_err("nobody").code(), Code::NotFound);
    let request = of_region(&customer_id, "DE");
    let first = updated(sandbox, 0, request.clone()).await;
    assert_eq!((first.regions.as_slice(), first.birth_date.as_str()), (&["DE".to_owned()][..], ""));
    assert!(first.updated_at.is_some());
    for node in 0..3 {
        assert_eq!(updated(sandbox, node, request.clone()).await, first, "a repeated request");
        assert_eq!(subject(sandbox, node, &customer_id).await.expect("found"), first);
    }
    let mut other = of_region(&customer_id, "US-CA");
    other.request_id = request.request_id;
    let status = sandbox.consents(1).await.update_data_subject(other).await.expect_err("another request");
    assert_eq!(fault(&status).1, "REQUEST_ID_REUSED");

    let wire = v1::DataSubject { birth_date: "1990-02-03".to_owned(), ..first.clone() };
    let second = updated(sandbox, 2, update(&["birth_date"], wire.clone())).await;
    assert_eq!((second.birth_date.as_str(), second.regions.len()), ("1990-02-03", 0), "a write is no read");
    let whole = subject(sandbox, 1, &customer_id).await.expect("found");
    assert_eq!((whole.birth_date.as_str(), &whole.regions), ("1990-02-03", &first.regions));
    let status = sandbox
        .consents(0)
        .await
        .update_data_subject(update(&["birth_date"], wire))
        .await
        .expect_err("stale");
    assert_eq!(fault(&status).1, "ETAG_STALE");
    // What is there already is no change.
    let same = updated(sandbox, 1, update(&["birth_date"], second.clone())).await;
    assert_eq!(same, second);
    let cleared = v1::DataSubject { customer_id: customer_id.clone(), ..Default::default() };
    let third = updated(sandbox, 0, update(&["regions", "birth_date"], cleared)).await;
    assert!(third.regions.is_empty() && third.birth_date.is_empty() && third.etag != second.etag);

    let status = sandbox.consents(1).await.update_data_subject(of_region(&customer_id, "UK")).await;
    let status = status.expect_err("not the code of the United Kingdom");
    assert_eq!(fault(&status).2, "data_subject.regions[0]");
    assert!(status.message().contains("use GB"), "{status}");
    let many = ["DE", "FR", "IT", "ES", "PT", "PL", "AT", "BE", "NL"].map(str::to_owned).to_vec();
    let wire = v1::DataSubject { customer_id: customer_id.clone(), regions: many, ..Default::default() };
    let status =
        sandbox.consents(0).await.update_data_subject(update(&["regions"], wire)).await.expect_err("nine");
    let expected = (Code::InvalidArgument, "LIMIT_EXCEEDED".to_owned(), "data_subject.regions".to_owned());
    assert_eq!(fault(&status), expected);
    let wire = v1::DataSubject { customer_id, birth_date: "2999-01-01".to_owned(), ..Default::default() };
    let status = sandbox
        .consents(0)
        .await
        .update_data_subject(update(&["birth_date"], wire))
        .await
        .expect_err("unborn");
    assert_eq!(fault(&status).2, "data_subject.birth_date");
}

/// GDPR Art. 18: stored, and nothing else. A hold keeps what is stored from change, and forbids no use.
async fn only_the_privacy_office_restricts_and_holds(sandbox: &Sandbox) {
    let customer_id = stored_customer(sandbox, &[("email", "a@example.org")]).await;
    let till = v1::Recipient {
        id: "till".to_owned(),
        collection_purposes: vec!["service".to_owned()],
        ..Default::default()
    };
    create_recipient(sandbox, 0, till).await;
    let wire = v1::DataSubject {
        customer_id: customer_id.clone(),
        restriction: Some(v1::Restriction { reason: "accuracy contested".to_owned(), since: None }),
        legal_hold: Some(v1::LegalHold { reference: "case 7".to_owned(), since: None }),
        ..Default::default()
    };
    for node in 0..3 {
        let mut source = ConsentServiceClient::new(sandbox.channel_as(node, "ingest", "till").await);
        for field in ["restriction", "legal_hold"] {
            let status = source.update_data_subject(update(&[field], wire.clone())).await.expect_err(field);
            let expected =
                (Code::PermissionDenied, "ROLE_NOT_ALLOWED".to_owned(), format!("data_subject.{field}"));
            assert_eq!(fault(&status), expected);
        }
        source.update_data_subject(of_region(&customer_id, "DE")).await.expect("no field of the office");
    }
    let privacy = sandbox.channel_as(1, "privacy", "office").await;
    let mut privacy = ConsentServiceClient::new(privacy);
    let reason = async |node: usize| {
        let profile =
            sandbox.profiles(node).await.get_profile(get(&customer_id, "service")).await.expect("found");
        profile.into_inner().withheld.first().map(v1::WithheldAttribute::reason)
    };
    let mut question = v1::ExplainDecisionRequest {
        customer_id: customer_id.clone(),
        purpose: "service".to_owned(),
        decided_purpose: "service".to_owned(),
        ..Default::default()
    };
    question.attribute = "email".to_owned();
    assert_eq!(reason(0).await, None);
    let held = privacy.update_data_subject(update(&["legal_hold"], wire.clone())).await.expect("changed");
    assert!(held.into_inner().legal_hold.and_then(|hold| hold.since).is_some());
    for node in 0..3 {
        assert_eq!(reason(node).await, None, "a hold forbids no use");
    }
    let other = v1::IngestProfileRequest { customer_id: customer_id.clone(), ..ingest("b@example.org") };
    let other = sandbox.profiles(0).await.ingest_profile(other).await.expect("answered").into_inner();
    assert_eq!(other.attributes[0].refusal(), v1::RefusalReason::LegalHold, "what is held stays");
    let restricted = privacy.update_data_subject(update(&["restriction"], wire.clone())).await;
    let restricted = restricted.expect("changed").into_inner();
    assert!(restricted.restriction.and_then(|restriction| restriction.since).is_some());
    let refusal = v1::RefusalReason::ProcessingRestricted;
    for node in 0..3 {
        assert_eq!(reason(node).await, Some(refusal));
        let explained =
            sandbox.consents(node).await.explain_decision(question.clone()).await.expect("explained");
        let explained = explained.into_inner();
        assert_eq!((explained.reason(), explained.ledger_sequences), (refusal, vec![3]));
    }
    let mut lifted = v1::DataSubject { customer_id: customer_id.clone(), ..Default::default() };
    let unseen = update(&["restriction", "legal_hold"], lifted.clone());
    let status = privacy.update_data_subject(unseen).await.expect_err("it names no etag");
    let expected = (Code::FailedPrecondition, "ETAG_REQUIRED".to_owned(), "data_subject.etag".to_owned());
    assert_eq!(fault(&status), expected);
    lifted.etag = subject(sandbox, 0, &customer_id).await.expect("found").etag;
    privacy.update_data_subject(update(&["restriction", "legal_hold"], lifted)).await.expect("lifted");
    assert_eq!(reason(2).await, None);
}

/// CO-9, GDPR Art. 8.
async fn a_minor_needs_the_consent_of_a_guardian(sandbox: &Sandbox) {
    let customer_id = new_customer();
    let wire = v1::DataSubject {
        customer_id: customer_id.clone(),
        birth_date: "2024-05-06".to_owned(),
        ..Default::default()
    };
    updated(sandbox, 0, update(&["birth_date"], wire)).await;
    let mut decision = consent(&customer_id, "marketing");
    let status = sandbox.consents(1).await.record_consent(decision.clone()).await.expect_err("a child");
    let expected =
        (Code::FailedPrecondition, "GUARDIAN_CONSENT_NEEDED".to_owned(), "evidence.decided_by".to_owned());
    assert_eq!(fault(&status), expected);
    decision.evidence.as_mut().expect("evidence").decided_by = v1::DecidedBy::Guardian.into();
    sandbox.consents(2).await.record_consent(decision).await.expect("the guardian's");
}

/// An e-mail address observed for the purpose `service`.
fn ingest(email: &str) -> v1::IngestProfileRequest {
    v1::IngestProfileRequest {
        purpose: "service".to_owned(),
        source: "crm".to_owned(),
        observations: vec![observation("email", email)],
        request_id: Uuid::now_v7().to_string(),
        ..Default::default()
    }
}

fn signal(customer_id: &str) -> v1::RecordPrivacySignalRequest {
    v1::RecordPrivacySignalRequest {
        customer_id: customer_id.to_owned(),
        signal: v1::PrivacySignal::Gpc.into(),
        channel: "web".to_owned(),
        request_id: Uuid::now_v7().to_string(),
    }
}

/// CO-9.
async fn a_privacy_signal_opts_out_where_the_region_honours_it(sandbox: &Sandbox) {
    let ads = v1::Purpose { sale_or_sharing: true, ..purpose("ads", &[v1::LawfulBasis::Consent]) };
    create_purpose(sandbox, ads).await.expect("created");
    let californian = new_customer();
    updated(sandbox, 0, of_region(&californian, "US-CA")).await;
    let request = signal(&californian);
    let first = sandbox
        .consents(0)
        .await
        .record_privacy_signal(request.clone())
        .await
        .expect("recorded")
        .into_inner();
    assert!(first.honoured);
    let states: Vec<_> =
        first.consents.iter().map(|state| (state.purpose.as_str(), state.status())).collect();
    assert_eq!(states, [("ads", v1::ConsentStatus::Refused)]);
    assert_eq!((first.consents[0].channel.as_str(), first.consents[0].consent_revision), ("web", 3));
    for node in 0..3 {
        let again =
            sandbox.consents(node).await.record_privacy_signal(request.clone()).await.expect("answered");
        assert_eq!(again.into_inner(), first, "a repeated request");
        // Said once more it is no new decision.
        let anew =
            sandbox.consents(node).await.record_privacy_signal(signal(&californian)).await.expect("answered");
        assert_eq!(anew.into_inner().consents, first.consents);
    }
    let european = new_customer();
    updated(sandbox, 1, of_region(&european, "FR")).await;
    let ignored = sandbox
        .consents(2)
        .await
        .record_privacy_signal(signal(&european))
        .await
        .expect("answered")
        .into_inner();
    assert_eq!((ignored.honoured, ignored.consents.len()), (false, 0));
    let remembered = subject(sandbox, 0, &european).await.expect("found").sale_opted_out_at;
    assert!(remembered.is_some(), "it counts once a region honours it");
    // The customer's own opt-out and limit count everywhere.
    let own = |signal: v1::PrivacySignal| v1::RecordPrivacySignalRequest {
        signal: signal.into(),
        request_id: Uuid::now_v7().to_string(),
        ..self::signal(&european)
    };
    let mut consents = sandbox.consents(0).await;
    let opt_out = consents.record_privacy_signal(own(v1::PrivacySignal::DoNotSell)).await.expect("recorded");
    let opt_out = opt_out.into_inner();
    assert!(opt_out.honoured && opt_out.consents[0].status() == v1::ConsentStatus::Refused);
    let limit =
        consents.record_privacy_signal(own(v1::PrivacySignal::LimitSensitive)).await.expect("recorded");
    let limit = limit.into_inner();
    assert_eq!((limit.honoured, limit.consents.len()), (true, 0));
    let known = subject(sandbox, 1, &european).await.expect("found");
    assert!(known.do_not_sell_at.is_some() && known.sensitive_limited_at.is_some());
    // A no of somebody of whom nothing is known is recorded.
    let stranger =
        sandbox.consents(1).await.record_privacy_signal(signal(&new_customer())).await.expect("recorded");
    assert!(stranger.into_inner().honoured);
    let mut unknown = signal(&european);
    unknown.signal = 0;
    let status = sandbox.consents(0).await.record_privacy_signal(unknown).await.expect_err("no signal");
    assert_eq!(fault(&status).2, "signal");
}

/// CO-6.
async fn a_tc_string_is_stored_once_and_a_bad_one_is_refused(sandbox: &Sandbox) {
    let customer_id = new_customer();
    let get = |customer_id: &str| v1::GetTcStringRequest {
        customer_id: customer_id.to_owned(),
        purpose: "service".to_owned(),
        ..Default::default()
    };
    let record = |text: &str| v1::RecordTcStringRequest {
        customer_id: customer_id.clone(),
        tc_string: text.to_owned(),
        request_id: Uuid::now_v7().to_string(),
    };
    let request = record(&tc_string(1));
    let first =
        sandbox.consents(0).await.record_tc_string(request.clone()).await.expect("recorded").into_inner();
    assert_eq!(
        (first.customer_id.as_str(), first.tc_string.as_str()),
        (customer_id.as_str(), request.tc_string.as_str())
    );
    assert!(first.policy_version >= 5 && first.service_specific && !first.vendors_disclosed.is_empty());
    assert!(first.created.is_some() && first.recorded_at.is_some());
    for node in 0..3 {
        let again = sandbox.consents(node).await.record_tc_string(request.clone()).await.expect("answered");
        assert_eq!(again.into_inner(), first, "a repeated request");
        let anew = sandbox
            .consents(node)
            .await
            .record_tc_string(record(&request.tc_string))
            .await
            .expect("answered");
        assert_eq!(anew.into_inner(), first, "the same string");
        let found =
            sandbox.consents(node).await.get_tc_string(get(&customer_id)).await.expect("found").into_inner();
        assert_eq!(found, first);
    }
    for (text, reason, detail) in [
        (String::new(), "FIELD_REQUIRED", None),
        ("C!".to_owned(), "TC_STRING_INVALID", Some("ENCODING")),
        (format!("{}=", tc_string(1)), "TC_STRING_INVALID", Some("PADDING")),
        (format!("{}\n", tc_string(1)), "TC_STRING_INVALID", Some("WHITESPACE")),
        (tc_string(1).replace('.', "%2E"), "TC_STRING_INVALID", Some("PERCENT_ENCODED")),
        ("DBABTA~1YNN".to_owned(), "TC_STRING_INVALID", Some("OTHER_STRING")),
        (tc_string(500), "TC_STRING_INVALID", Some("OUTDATED")),
        ("C".repeat(16_385), "LIMIT_EXCEEDED", None),
    ] {
        let status = sandbox.consents(1).await.record_tc_string(record(&text)).await.expect_err(reason);
        assert_eq!(fault(&status), (Code::InvalidArgument, reason.to_owned(), "tc_string".to_owned()));
        let info = status.get_details_error_info().expect("details");
        assert_eq!(info.metadata.get("fault").map(String::as_str), detail);
    }
    let nobody = sandbox.consents(0).await.get_tc_string(get(&new_customer())).await.expect_err("nobody");
    assert_eq!(fault(&nobody).1, "CUSTOMER_NOT_FOUND");
    let other = new_customer();
    updated(sandbox, 0, of_region(&other, "DE")).await;
    let none = sandbox.consents(2).await.get_tc_string(get(&other)).await.expect_err("none");
    assert_eq!((none.code(), fault(&none).1.as_str()), (Code::NotFound, "TC_STRING_NOT_FOUND"));
}

/// CO-4: a GPP string is recorded like a TC string, and its opt-outs are privacy signals.
async fn a_gpp_string_is_stored_and_its_opt_outs_are_honoured(sandbox: &Sandbox) {
    let customer_id = new_customer();
    updated(sandbox, 0, of_region(&customer_id, "US-CA")).await;
    let get = |customer_id: &str| v1::GetGppStringRequest {
        customer_id: customer_id.to_owned(),
        purpose: "service".to_owned(),
    };
    let record = |text: &str| v1::RecordGppStringRequest {
        customer_id: customer_id.clone(),
        gpp_string: text.to_owned(),
        channel: "web".to_owned(),
        request_id: Uuid::now_v7().to_string(),
    };
    // California: opted out of sale and sharing; Virginia: not.
    let request = record("DBACBs~BVWSSSVY.QA~BVoAABY");
    let first =
        sandbox.consents(0).await.record_gpp_string(request.clone()).await.expect("recorded").into_inner();
    let names: Vec<_> = first.sections.iter().map(|section| section.name.as_str()).collect();
    assert_eq!(names, ["usca", "usva"]);
    let field =
        |name: &str| first.sections[0].fields.iter().find(|field| field.name == name).expect("a field");
    assert_eq!((&*field("SaleOptOut").values, &*field("Gpc").values), (&[1][..], &[0][..]));
    let signals = [v1::PrivacySignal::DoNotSell, v1::PrivacySignal::LimitSensitive].map(i32::from);
    assert_eq!(first.signals, signals);
    for node in 0..3 {
        let again = sandbox.consents(node).await.record_gpp_string(request.clone()).await.expect("answered");
        assert_eq!(again.into_inner(), first, "a repeated request");
        let found =
            sandbox.consents(node).await.get_gpp_string(get(&customer_id)).await.expect("found").into_inner();
        assert_eq!(found, first);
    }
    let subject =
        v1::GetDataSubjectRequest { customer_id: customer_id.clone(), purpose: "service".to_owned() };
    let subject = sandbox.consents(1).await.get_data_subject(subject).await.expect("found").into_inner();
    assert!(subject.do_not_sell_at.is_some(), "remembered for purposes that come later");
    for (text, reason, detail) in [
        (String::new(), "FIELD_REQUIRED", None),
        ("DBABTA".to_owned(), "GPP_STRING_INVALID", Some("SECTION_COUNT")),
        (tc_string(1), "GPP_STRING_INVALID", Some("TC_STRING")),
        ("D".repeat(20_481), "LIMIT_EXCEEDED", None),
    ] {
        let status = sandbox.consents(1).await.record_gpp_string(record(&text)).await.expect_err(reason);
        assert_eq!(fault(&status), (Code::InvalidArgument, reason.to_owned(), "gpp_string".to_owned()));
        let info = status.get_details_error_info().expect("details");
        assert_eq!(info.metadata.get("fault").map(String::as_str), detail);
    }
    let other = new_customer();
    updated(sandbox, 0, of_region(&other, "DE")).await;
    let none = sandbox.consents(2).await.get_gpp_string(get(&other)).await.expect_err("none");
    assert_eq!((none.code(), fault(&none).1.as_str()), (Code::NotFound, "GPP_STRING_NOT_FOUND"));
}

/// The purposes `banners` (consent) and `counting` (standing legitimate interests), with their signals.
async fn define_signals(sandbox: &Sandbox) {
    use v1::GoogleConsentType::{AdStorage, AnalyticsStorage, SecurityStorage};
    let balancing_test = v1::BalancingTest {
        interest: "to count visits".to_owned(),
        necessity: "nothing milder counts".to_owned(),
        balance: "no profile is made".to_owned(),
        reviewer: "privacy office".to_owned(),
        reviewed_on: "2026-01-15".to_owned(),
        objection_route: "every page".to_owned(),
    };
    let banners = v1::Purpose {
        google_consent_types: vec![AdStorage.into(), AnalyticsStorage.into()],
        ..purpose("banners", &[v1::LawfulBasis::Consent])
    };
    let counting = v1::Purpose {
        standing_bases: vec![v1::LawfulBasis::LegitimateInterests.into()],
        balancing_test: Some(balancing_test),
        google_consent_types: vec![AnalyticsStorage.into(), SecurityStorage.into()],
        google_types_without_consent: vec![SecurityStorage.into()],
        ..purpose("counting", &[v1::LawfulBasis::LegitimateInterests])
    };
    for purpose in [banners, counting] {
        create_purpose(sandbox, purpose).await.expect("created");
    }
}

/// CO-6. The signals are those of the customer's consent: a standing interest grants a type only if it needs none.
async fn consent_mode_grants_what_every_purpose_of_a_signal_allows(sandbox: &Sandbox) {
    define_signals(sandbox).await;
    let customer_id = new_customer();
    updated(sandbox, 0, of_region(&customer_id, "DE")).await;
    let granted = async |node: usize| {
        let request =
            v1::GetConsentModeRequest { customer_id: customer_id.clone(), purpose: "service".to_owned() };
        let mode =
            sandbox.consents(node).await.get_consent_mode(request).await.expect("answered").into_inner();
        assert_eq!(mode.signals.len(), 7);
        let granted = mode.signals.iter().filter(|signal| signal.granted);
        let names: Vec<_> = granted.map(|signal| signal.name.clone()).collect();
        let refused = |kind| {
            mode.signals.iter().find(|signal| signal.r#type() == kind).map(v1::ConsentModeSignal::reason)
        };
        (names, refused(v1::GoogleConsentType::AnalyticsStorage).expect("a signal for every type"))
    };
    let security = "security_storage".to_owned();
    for node in 0..3 {
        assert_eq!(granted(node).await, (vec![security.clone()], v1::RefusalReason::NoGround));
    }
    let banners = consent(&customer_id, "banners");
    sandbox.consents(1).await.record_consent(banners).await.expect("recorded");
    for node in 0..3 {
        let expected = (vec!["ad_storage".to_owned(), security.clone()], v1::RefusalReason::NoGround);
        assert_eq!(granted(node).await, expected, "counting rests on no consent");
    }
    let objection = v1::WithdrawConsentRequest {
        customer_id: customer_id.clone(),
        purpose: "counting".to_owned(),
        lawful_basis: v1::LawfulBasis::LegitimateInterests.into(),
        ..Default::default()
    };
    sandbox.consents(2).await.withdraw_consent(objection).await.expect("recorded");
    for node in 0..3 {
        let (names, _) = granted(node).await;
        assert_eq!(names, ["ad_storage"]);
    }
}
