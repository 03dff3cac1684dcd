//! Preferences, contacts and exports, taken by any node.

use custodia_proto::Timestamp;
use custodia_proto::v1::{
    self, consent_service_client::ConsentServiceClient, preference_service_client::PreferenceServiceClient,
};
use custodia_tests::actions::stored_customer;
use custodia_tests::sample::{detail, fault, new_customer};
use custodia_tests::{Sandbox, Suite};
use tonic::Code;
use uuid::Uuid;

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(preferences_need_a_ground_and_show_addresses_for_one_alone)
        .shared(preferences_are_updated_once_and_under_their_etag)
        .shared(a_contact_check_follows_wishes_law_and_cap)
        .shared(a_contact_counts_once_however_late_its_request_is_repeated)
        .shared(an_unregistered_application_reads_and_collects_nothing)
        .shared(every_node_exports_the_same_consents)
        .shared(after_a_withdrawal_no_address_is_shown_or_taken)
}

const HOUR_S: i64 = 3_600;

/// A customer whose address was collected for the purpose `service`.
async fn customer(sandbox: &Sandbox) -> String {
    stored_customer(sandbox, &[("email", "ana@example.org")]).await
}

/// The same with preferences.
async fn customer_with_wishes(sandbox: &Sandbox) -> String {
    let customer = customer(sandbox).await;
    let request = update(&customer, "service");
    sandbox.preferences(0).await.update_preferences(request).await.expect("taken");
    customer
}

fn wishes(customer: &str) -> v1::Preferences {
    let channel = |channel: &str, wanted, address: &str| v1::ChannelPreference {
        channel: channel.to_owned(),
        wanted,
        address: address.to_owned(),
        ..Default::default()
    };
    v1::Preferences {
        customer_id: customer.to_owned(),
        language: "ro".to_owned(),
        channels: vec![channel("email", true, "ana@example.org"), channel("phone", false, "+40 21")],
        frequency_caps: vec![v1::FrequencyCap {
            channel: "email".to_owned(),
            purpose: "service".to_owned(),
            contacts_max: 1,
            window_hours: 24,
        }],
        topics: vec![v1::TopicPreference { topic: "sailing".to_owned(), wanted: false }],
        ..Default::default()
    }
}

fn update(customer: &str, purpose: &str) -> v1::UpdatePreferencesRequest {
    v1::UpdatePreferencesRequest {
        preferences: Some(wishes(customer)),
        purpose: purpose.to_owned(),
        request_id: Uuid::now_v7().to_string(),
        ..Default::default()
    }
}

fn read(customer: &str, purpose: &str) -> v1::GetPreferencesRequest {
    v1::GetPreferencesRequest { customer_id: customer.to_owned(), purpose: purpose.to_owned() }
}

fn check(customer: &str, channel: &str, purpose: &str) -> v1::CheckContactRequest {
    v1::CheckContactRequest {
        customer_id: customer.to_owned(),
        channel: channel.to_owned(),
        purpose: purpose.to_owned(),
        ..Default::default()
    }
}

fn contacted(customer: &str, at: Option<i64>) -> v1::RecordContactRequest {
    v1::RecordContactRequest {
        customer_id: customer.to_owned(),
        channel: "Email".to_owned(),
        purpose: "service".to_owned(),
        contacted_at: at.map(|seconds| Timestamp { seconds, nanos: 0 }),
        request_id: Uuid::now_v7().to_string(),
    }
}

/// Preferences are collected for a purpose that the law permits, and addresses are given for such a purpose alone.
async fn preferences_need_a_ground_and_show_addresses_for_one_alone(sandbox: &Sandbox) {
    let customer = customer(sandbox).await;
    let customer = customer.as_str();
    let status = sandbox.preferences(0).await.update_preferences(update(customer, "marketing")).await;
    let status = status.expect_err("no consent to marketing");
    assert_eq!(fault(&status), (Code::FailedPrecondition, "NO_GROUND".to_owned(), String::new()));
    assert_eq!(
        (detail(&status, "purpose"), detail(&status, "reason")),
        (Some("marketing".into()), Some("NO_GROUND".into()))
    );
    let stranger = update(&new_customer(), "service");
    let status = sandbox.preferences(0).await.update_preferences(stranger).await.expect_err("nobody");
    assert_eq!(fault(&status).1, "CUSTOMER_NOT_FOUND");
    let mut faulty = update(customer, "service");
    faulty.preferences.as_mut().expect("preferences").channels[1].channel.clear();
    let status = sandbox.preferences(1).await.update_preferences(faulty).await.expect_err("no channel");
    assert_eq!(fault(&status).2, "preferences.channels[1].channel");

    let taken = sandbox.preferences(1).await.update_preferences(update(customer, "service")).await;
    let stored = taken.expect("taken").into_inner();
    let expected = v1::Preferences { etag: stored.etag.clone(), ..wishes(customer) };
    assert_eq!(stored, expected);
    for node in 0..3 {
        let given = sandbox.preferences(node).await.get_preferences(read(customer, "service")).await;
        assert_eq!(given.expect("given").into_inner(), expected);
        let given = sandbox.preferences(node).await.get_preferences(read(customer, "marketing")).await;
        let given = given.expect("given").into_inner();
        assert!(given.channels.iter().all(|channel| channel.address.is_empty()), "{given:?}");
        assert_eq!((given.language.as_str(), given.channels.len()), ("ro", 2));
    }
}

async fn preferences_are_updated_once_and_under_their_etag(sandbox: &Sandbox) {
    let customer = customer(sandbox).await;
    let customer = customer.as_str();
    let mut request = update(customer, "service");
    request.preferences.as_mut().expect("preferences").language = "de".to_owned();
    let first =
        sandbox.preferences(0).await.update_preferences(request.clone()).await.expect("taken").into_inner();
    for node in 0..3 {
        let again = sandbox.preferences(node).await.update_preferences(request.clone()).await;
        assert_eq!(again.expect("answered").into_inner(), first);
    }
    request.preferences.as_mut().expect("preferences").language = "ro".to_owned();
    let status =
        sandbox.preferences(1).await.update_preferences(request.clone()).await.expect_err("another request");
    assert_eq!(fault(&status).1, "REQUEST_ID_REUSED");
    request.request_id = Uuid::now_v7().to_string();
    request.preferences.as_mut().expect("preferences").etag = "0000000000000001".to_owned();
    let status = sandbox.preferences(2).await.update_preferences(request.clone()).await.expect_err("stale");
    assert_eq!(status.code(), Code::Aborted);
    request.preferences.as_mut().expect("preferences").etag.clone_from(&first.etag);
    let second = sandbox.preferences(2).await.update_preferences(request).await.expect("taken").into_inner();
    assert!(second.etag > first.etag);
    let unchanged = sandbox.preferences(0).await.update_preferences(update(customer, "service")).await;
    assert_eq!(unchanged.expect("answered").into_inner(), second, "the same wishes change nothing");
}

async fn verdict(
    sandbox: &Sandbox,
    node: usize,
    request: v1::CheckContactRequest,
) -> (v1::ContactVerdict, v1::RefusalReason, String) {
    let answer = sandbox.preferences(node).await.check_contact(request).await.expect("judged").into_inner();
    (answer.verdict(), answer.reason(), answer.address)
}

async fn a_contact_check_follows_wishes_law_and_cap(sandbox: &Sandbox) {
    let customer = customer_with_wishes(sandbox).await;
    let customer = customer.as_str();
    use v1::{
        ContactVerdict::{Allowed, NotAllowed},
        RefusalReason::{ChannelNotAllowed, NoGround, TopicNotWanted, Unspecified},
    };
    for node in 0..3 {
        let allowed = (Allowed, Unspecified, "ana@example.org".to_owned());
        assert_eq!(verdict(sandbox, node, check(customer, "email", "service")).await, allowed);
        let no = |reason| (NotAllowed, reason, String::new());
        assert_eq!(verdict(sandbox, node, check(customer, "phone", "service")).await, no(ChannelNotAllowed));
        assert_eq!(verdict(sandbox, node, check(customer, "email", "marketing")).await, no(NoGround));
        let sailing =
            v1::CheckContactRequest { topic: "sailing".to_owned(), ..check(customer, "email", "service") };
        assert_eq!(verdict(sandbox, node, sailing).await, no(TopicNotWanted));
    }

    let status = sandbox.preferences(0).await.record_contact(contacted(customer, Some(1 << 37))).await;
    let status = status.expect_err("in the future");
    assert_eq!(fault(&status).2, "contacted_at");
    let old = sandbox.preferences(0).await.record_contact(contacted(customer, Some(1_600_000_000))).await;
    old.expect("recorded");
    assert_eq!(verdict(sandbox, 1, check(customer, "email", "service")).await.0, Allowed, "long ago");

    let request = contacted(customer, None);
    let first =
        sandbox.preferences(1).await.record_contact(request.clone()).await.expect("recorded").into_inner();
    let again = sandbox.preferences(2).await.record_contact(request).await.expect("answered").into_inner();
    assert_eq!(again, first, "a retry is no second contact");
    let capped = sandbox.preferences(2).await.check_contact(check(customer, "email", "service")).await;
    let capped = capped.expect("judged").into_inner();
    assert_eq!(capped.verdict(), v1::ContactVerdict::AllowedFrom);
    assert_eq!(
        (capped.reason(), capped.ground()),
        (v1::RefusalReason::FrequencyCap, v1::LawfulBasis::Consent)
    );
    let free = capped.allowed_from.expect("a moment");
    let then = v1::CheckContactRequest { at: Some(free), ..check(customer, "email", "service") };
    assert_eq!(verdict(sandbox, 0, then).await.0, Allowed, "what it says holds");
    let before = Timestamp { seconds: free.seconds - HOUR_S, ..free };
    let then = v1::CheckContactRequest { at: Some(before), ..check(customer, "email", "service") };
    assert_eq!(verdict(sandbox, 0, then).await.0, v1::ContactVerdict::AllowedFrom);
    let past = v1::CheckContactRequest {
        at: Some(Timestamp { seconds: 1_600_000_000, nanos: 0 }),
        ..check(customer, "email", "service")
    };
    let status = sandbox.preferences(0).await.check_contact(past).await.expect_err("in the past");
    assert_eq!(fault(&status).2, "at");
}

/// Every call that states why it asks is refused as a whole to a caller that is no recipient.
async fn an_unregistered_application_reads_and_collects_nothing(sandbox: &Sandbox) {
    let customer = customer(sandbox).await;
    let customer = customer.as_str();
    let channel = sandbox.channel_as(1, "ingest", "unheard-of").await;
    let mut preferences = PreferenceServiceClient::new(channel.clone());
    let mut consents = ConsentServiceClient::new(channel);
    let statuses = [
        preferences.get_preferences(read(customer, "service")).await.expect_err("refused"),
        preferences.check_contact(check(customer, "email", "service")).await.expect_err("refused"),
        consents
            .export_consent(export(customer, v1::ConsentExportFormat::Receipt))
            .await
            .expect_err("refused"),
    ];
    for status in statuses {
        assert_eq!(fault(&status).0, Code::PermissionDenied);
        assert_eq!(fault(&status).1, "RECIPIENT_NOT_REGISTERED");
        assert_eq!(detail(&status, "purpose").as_deref(), Some("service"));
    }
    for status in [
        preferences.update_preferences(update(customer, "service")).await.expect_err("refused"),
        preferences.record_contact(contacted(customer, None)).await.expect_err("refused"),
    ] {
        assert_eq!(fault(&status).1, "RECIPIENT_NOT_REGISTERED");
    }
}

fn export(customer: &str, format: v1::ConsentExportFormat) -> v1::ExportConsentRequest {
    v1::ExportConsentRequest {
        customer_id: customer.to_owned(),
        purpose: "service".to_owned(),
        format: format.into(),
        purposes: Vec::new(),
    }
}

async fn every_node_exports_the_same_consents(sandbox: &Sandbox) {
    let customer = customer_with_wishes(sandbox).await;
    let customer = customer.as_str();
    for node in 0..3 {
        let request = export(customer, v1::ConsentExportFormat::Dpv27560);
        let answer =
            sandbox.consents(node).await.export_consent(request).await.expect("exported").into_inner();
        assert_eq!(
            (answer.customer_id.as_str(), answer.media_type.as_str()),
            (customer, "application/ld+json")
        );
        let document: serde_json::Value = serde_json::from_str(&answer.document).expect("JSON");
        assert_eq!(document["@graph"].as_array().expect("a list").len(), 1);
        let status = &document["@graph"][0]["dpv:hasConsentStatus"][0]["@type"];
        assert_eq!(*status, serde_json::json!(["dpv:ConsentGiven", "dpv:ExplicitlyExpressedConsent"]));
        let request = v1::ExportConsentRequest {
            purposes: vec!["marketing".to_owned()],
            ..export(customer, v1::ConsentExportFormat::Receipt)
        };
        let nothing = sandbox.consents(node).await.export_consent(request).await.expect_err("no consent");
        assert_eq!(
            (nothing.code(), fault(&nothing).1.as_str()),
            (Code::FailedPrecondition, "NOTHING_CONSENTED")
        );
        let request = export(customer, v1::ConsentExportFormat::Receipt);
        let answer =
            sandbox.consents(node).await.export_consent(request).await.expect("exported").into_inner();
        assert_eq!(answer.media_type, "application/json");
        let receipt: serde_json::Value = serde_json::from_str(&answer.document).expect("JSON");
        assert_eq!(receipt["services"][0]["purposes"].as_array().expect("a list").len(), 1);
        assert!(!answer.document.contains("ana@example.org"));
    }
    let status = sandbox
        .consents(0)
        .await
        .export_consent(export(customer, v1::ConsentExportFormat::Unspecified))
        .await;
    assert_eq!(fault(&status.expect_err("no format")).2, "format");
    let request = v1::ExportConsentRequest {
        purposes: vec!["service".to_owned(), "nonesuch".to_owned()],
        ..export(customer, v1::ConsentExportFormat::Receipt)
    };
    let status = sandbox.consents(0).await.export_consent(request).await.expect_err("no such purpose");
    assert_eq!((fault(&status).1, fault(&status).2), ("PURPOSE_UNKNOWN".into(), "purposes[1]".into()));
}

async fn after_a_withdrawal_no_address_is_shown_or_taken(sandbox: &Sandbox) {
    let customer = customer_with_wishes(sandbox).await;
    let customer = customer.as_str();
    let request = v1::WithdrawConsentRequest {
        customer_id: customer.to_owned(),
        purpose: "service".to_owned(),
        ..Default::default()
    };
    sandbox.consents(1).await.withdraw_consent(request).await.expect("withdrawn");
    for node in 0..3 {
        let withdrawn = (v1::ContactVerdict::NotAllowed, v1::RefusalReason::ConsentWithdrawn, String::new());
        assert_eq!(verdict(sandbox, node, check(customer, "email", "service")).await, withdrawn);
        let given = sandbox.preferences(node).await.get_preferences(read(customer, "service")).await;
        let given = given.expect("given").into_inner();
        assert!(given.channels.iter().all(|channel| channel.address.is_empty()), "{given:?}");
        let mut moved = update(customer, "service");
        let wishes = moved.preferences.as_mut().expect("wishes");
        wishes.channels[0].address = "elsewhere@example.org".to_owned();
        let status = sandbox.preferences(node).await.update_preferences(moved.clone()).await;
        assert_eq!(fault(&status.expect_err("a new address needs a ground")).1, "CONSENT_WITHDRAWN");
        let wishes = moved.preferences.as_mut().expect("wishes");
        wishes.channels[0] =
            v1::ChannelPreference { address: String::new(), wanted: false, ..wishes.channels[0].clone() };
        moved.request_id = Uuid::now_v7().to_string();
        sandbox.preferences(node).await.update_preferences(moved).await.expect("a no can always be recorded");
        let request = export(customer, v1::ConsentExportFormat::Receipt);
        let answer =
            sandbox.consents(node).await.export_consent(request).await.expect("exported").into_inner();
        let receipt: serde_json::Value = serde_json::from_str(&answer.document).expect("JSON");
        assert_eq!(receipt["services"], serde_json::json!([]));
        assert_eq!(receipt["notInForce"][0]["reason"], "CONSENT_WITHDRAWN");
    }
}

/// PR-6. The node has forgotten the request, whose answer was one of 64, and the contact counts once.
async fn a_contact_counts_once_however_late_its_request_is_repeated(sandbox: &Sandbox) {
    let customer = customer(sandbox).await;
    let mut wishes = update(&customer, "service");
    wishes.preferences.as_mut().expect("preferences").frequency_caps[0].contacts_max = 2;
    sandbox.preferences(0).await.update_preferences(wishes).await.expect("taken");
    let record = async |request: &v1::RecordContactRequest| {
        sandbox.preferences(0).await.record_contact(request.clone()).await.map(drop)
    };
    for first in [contacted(&customer, None), contacted(&customer, Some(now_s() - 60))] {
        let free = verdict_at(sandbox, check(&customer, "email", "service")).await;
        assert_eq!(free, v1::ContactVerdict::Allowed, "one of two contacts, at most");
        record(&first).await.expect("recorded");
        for _ in 0..65 {
            let other = v1::RecordContactRequest { channel: "sms".to_owned(), ..contacted(&customer, None) };
            record(&other).await.expect("recorded");
        }
        record(&first).await.expect("answered");
    }
    let reached = verdict_at(sandbox, check(&customer, "email", "service")).await;
    assert_eq!(reached, v1::ContactVerdict::AllowedFrom);
    // What a repetition would date anew is refused.
    let day_before =
        uuid::Timestamp::from_unix(uuid::NoContext, (now_s() - 24 * HOUR_S - 60).cast_unsigned(), 0);
    for request_id in [Uuid::new_v4(), Uuid::new_v7(day_before)] {
        let request_id = request_id.to_string();
        let undated = v1::RecordContactRequest { request_id, ..contacted(&customer, None) };
        let status = record(&undated).await.expect_err("it has no date of its own");
        assert_eq!(
            fault(&status),
            (Code::InvalidArgument, "FIELD_INVALID".to_owned(), "contacted_at".to_owned())
        );
        let contacted_at = contacted(&customer, Some(now_s())).contacted_at;
        record(&v1::RecordContactRequest { contacted_at, ..undated }).await.expect("recorded");
    }
}

fn now_s() -> i64 {
    i64::try_from(custodia_tests::sample::now().as_secs()).expect("before 2262")
}

async fn verdict_at(sandbox: &Sandbox, request: v1::CheckContactRequest) -> v1::ContactVerdict {
    sandbox.preferences(1).await.check_contact(request).await.expect("judged").into_inner().verdict()
}
