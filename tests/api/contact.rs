//! Preferences and contacts: how, when and about what, and never what consent forbids (PR-6, CO-4).

use custodia_proto::v1::{
    ChannelPreference, CheckContactRequest, CheckContactResponse, ContactVerdict, FrequencyCap,
    GetPreferencesRequest, IngestProfileRequest, LawfulBasis, Preferences, QuietHours, RecordConsentRequest,
    RecordContactRequest, RefusalReason, TopicPreference, UpdatePreferencesRequest,
};
use custodia_proto::{FieldMask, Timestamp};
use custodia_tests::sample::{consent, grant, ingest, new_id, now, observation, withdrawal};
use custodia_tests::{Sandbox, Suite};
use tonic::Code;

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(a_contact_follows_the_wishes_of_the_customer)
        .shared(a_frequency_cap_counts_each_contact_once)
        .shared(no_preference_allows_what_consent_forbids)
}

/// The start of a day, `days` from today, in UTC.
fn day(days: u64) -> u64 {
    (now().as_secs() / 86_400 + days) * 86_400
}

fn at(seconds: u64) -> Option<Timestamp> {
    Some(Timestamp { seconds: i64::try_from(seconds).unwrap(), nanos: 0 })
}

async fn check(sandbox: &Sandbox, request: CheckContactRequest) -> CheckContactResponse {
    sandbox.preferences(2).await.check_contact(request).await.unwrap().into_inner()
}

/// A customer with consent to service and marketing, and wishes.
async fn customer(sandbox: &Sandbox) -> Preferences {
    let both = IngestProfileRequest {
        consents: vec![grant("service"), grant("marketing")],
        ..ingest("", vec![observation("given_name", "Ada")])
    };
    let customer = sandbox.client().ingest_profile(both).await.unwrap().customer_id;
    let channel = |channel: &str, wanted, address: &str| ChannelPreference {
        channel: channel.into(),
        wanted,
        address: address.into(),
    };
    let cap =
        FrequencyCap { channel: "email".into(), purpose: String::new(), contacts_max: 2, window_hours: 48 };
    let night =
        QuietHours { days: vec![], begins: "20:00".into(), ends: "08:00".into(), channel: String::new() };
    let wishes = Preferences {
        customer_id: customer,
        language: "de".into(),
        time_zone: "Europe/Berlin".into(),
        channels: vec![channel("email", true, "ada@example.org"), channel("phone", false, "+49301234567")],
        frequency_caps: vec![cap],
        quiet_hours: vec![night],
        topics: vec![TopicPreference { topic: "insurance".into(), wanted: false }],
        etag: String::new(),
    };
    let stored = sandbox.preferences(0).await.update_preferences(update(wishes.clone())).await.unwrap();
    let stored = stored.into_inner();
    assert_eq!(Preferences { etag: String::new(), ..stored.clone() }, wishes);
    stored
}

fn update(preferences: Preferences) -> UpdatePreferencesRequest {
    UpdatePreferencesRequest {
        preferences: Some(preferences),
        purpose: "service".into(),
        request_id: new_id(),
        ..Default::default()
    }
}

fn ask(customer: &Preferences, channel: &str, topic: &str, seconds: u64) -> CheckContactRequest {
    CheckContactRequest {
        customer_id: customer.customer_id.clone(),
        channel: channel.into(),
        purpose: "marketing".into(),
        topic: topic.into(),
        at: at(seconds),
    }
}

/// Noon in UTC is daytime in Berlin all year round.
fn noon(days: u64) -> u64 {
    day(days) + 12 * 3_600
}

/// Point 9: channel, address, topics, language and quiet hours, with a moment as input.
async fn a_contact_follows_the_wishes_of_the_customer(sandbox: &Sandbox) {
    let stored = customer(sandbox).await;
    let nowhere = Preferences { time_zone: "Mars/Olympus".into(), ..stored.clone() };
    let status = sandbox.preferences(0).await.update_preferences(update(nowhere)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("time_zone"), "{status}");
    let request =
        GetPreferencesRequest { customer_id: stored.customer_id.clone(), purpose: "service".into() };
    let read = sandbox.preferences(1).await.get_preferences(request).await.unwrap().into_inner();
    assert_eq!(read, stored);

    let answer = check(sandbox, ask(&stored, "email", "", noon(1))).await;
    assert_eq!((answer.verdict(), answer.ground()), (ContactVerdict::Allowed, LawfulBasis::Consent));
    assert_eq!((answer.address.as_str(), answer.language.as_str()), ("ada@example.org", "de"));
    let refused = [
        ("phone", "", RefusalReason::ChannelNotAllowed),
        ("sms", "", RefusalReason::ChannelNotAllowed),
        ("email", "insurance", RefusalReason::TopicNotWanted),
    ];
    for (channel, topic, reason) in refused {
        let answer = check(sandbox, ask(&stored, channel, topic, noon(1))).await;
        assert_eq!((answer.verdict(), answer.reason()), (ContactVerdict::NotAllowed, reason));
        assert!(answer.address.is_empty() && !answer.explanation.is_empty());
    }
    // 23:00 UTC is night in Berlin; the morning begins at 6 or 7 UTC
    let answer = check(sandbox, ask(&stored, "email", "", day(1) + 23 * 3_600)).await;
    assert_eq!((answer.verdict(), answer.reason()), (ContactVerdict::AllowedFrom, RefusalReason::QuietHours));
    let from = u64::try_from(answer.allowed_from.unwrap().seconds).unwrap();
    assert!([6, 7].map(|hour| day(2) + hour * 3_600).contains(&from), "{from}");
}

/// Point 9: recorded contacts count, each once.
async fn a_frequency_cap_counts_each_contact_once(sandbox: &Sandbox) {
    // Without quiet hours: they could begin just when the cap ends.
    let wishes = Preferences { quiet_hours: vec![], ..customer(sandbox).await };
    let update = UpdatePreferencesRequest {
        update_mask: Some(FieldMask { paths: vec!["quiet_hours".into()] }),
        ..update(wishes)
    };
    let customer = sandbox.preferences(0).await.update_preferences(update).await.unwrap().into_inner();
    let mut preferences = sandbox.preferences(0).await;
    for minutes in [1, 2] {
        let answer = check(sandbox, ask(&customer, "email", "", noon(1))).await;
        assert_eq!(answer.verdict(), ContactVerdict::Allowed);
        let request = RecordContactRequest {
            customer_id: customer.customer_id.clone(),
            channel: "email".into(),
            purpose: "marketing".into(),
            contacted_at: at(now().as_secs() - minutes * 60),
            request_id: new_id(),
        };
        preferences.record_contact(request.clone()).await.unwrap();
        preferences.record_contact(request).await.unwrap(); // a retry counts once
    }
    let answer = check(sandbox, ask(&customer, "email", "", noon(1))).await;
    assert_eq!(
        (answer.verdict(), answer.reason()),
        (ContactVerdict::AllowedFrom, RefusalReason::FrequencyCap)
    );
    let answer = check(sandbox, ask(&customer, "email", "", noon(3))).await;
    assert_eq!(answer.verdict(), ContactVerdict::Allowed, "two days later the cap is free again");
}

/// Point 9: no preference allows what consent forbids.
async fn no_preference_allows_what_consent_forbids(sandbox: &Sandbox) {
    let client = sandbox.client();
    let customer = customer(sandbox).await;
    let id = &customer.customer_id;
    let no = client.withdraw_consent(withdrawal(id, "marketing")).await.unwrap();
    let answer = check(sandbox, ask(&customer, "email", "", noon(1))).await;
    assert_eq!(answer.verdict(), ContactVerdict::NotAllowed);
    assert_eq!(answer.reason(), RefusalReason::ConsentWithdrawn);
    assert!(answer.address.is_empty());
    // a consent that ends before the contact allows nothing either
    let short = RecordConsentRequest {
        expires_at: at(noon(1) - 60),
        consent_revision: no.consent_revision,
        ..consent(id, "marketing")
    };
    client.record_consent(short).await.unwrap();
    let answer = check(sandbox, ask(&customer, "email", "", noon(1))).await;
    assert_eq!(answer.reason(), RefusalReason::ConsentExpired);
    client.withdraw_consent(withdrawal(id, "marketing")).await.unwrap();
    let request = GetPreferencesRequest { customer_id: id.clone(), purpose: "marketing".into() };
    let read = sandbox.preferences(0).await.get_preferences(request).await.unwrap().into_inner();
    assert!(read.channels.iter().all(|channel| channel.address.is_empty()), "no address without a ground");
}
