//! Preferences and contacts: how, when and about what, and never what consent forbids (PR-6, CO-4).

use custodia_proto::v1::{
    AppendEventsRequest, BatchCheckContactRequest, ChannelPreference, CheckContactRequest,
    CheckContactResponse, ConsentHistoryEntry, ContactVerdict, FrequencyCap, GetPreferencesRequest,
    IngestProfileRequest, LawfulBasis, ListConsentHistoryRequest, Preferences, QuietHours, Recipient,
    RecordConsentRequest, RecordContactRequest, RefusalReason, Role, TopicPreference,
    UpdatePreferencesRequest, batch_contact::Result as Judged, consent_service_client::ConsentServiceClient,
    preference_service_client::PreferenceServiceClient, profile_service_client::ProfileServiceClient,
};
use custodia_proto::{FieldMask, Timestamp};
use custodia_tests::actions::create_recipient;
use custodia_tests::sample::{
    consent, event, fault, get, grant, ingest, new_customer, new_id, now, observation, text_of, withdrawal,
};
use custodia_tests::{Sandbox, Suite};
use tonic::Code;

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(a_contact_follows_the_wishes_of_the_customer)
        .shared(a_frequency_cap_counts_each_contact_once)
        .shared(no_preference_allows_what_consent_forbids)
        .shared(many_contacts_are_checked_in_one_call)
        .shared(an_agent_records_what_a_caller_says)
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
        ..Default::default()
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
        ("email", "insurance", RefusalReason::TopicNotWanted),
    ];
    for (channel, topic, reason) in refused {
        let answer = check(sandbox, ask(&stored, channel, topic, noon(1))).await;
        assert_eq!((answer.verdict(), answer.reason()), (ContactVerdict::NotAllowed, reason));
        assert!(answer.address.is_empty() && !answer.explanation.is_empty());
    }
    let answer = check(sandbox, ask(&stored, "sms", "", noon(1))).await;
    assert_eq!(answer.verdict(), ContactVerdict::Allowed, "what is not wanted blocks nothing else");
    let status = sandbox.preferences(2).await.check_contact(ask(&stored, "carrierpigeon", "", noon(1))).await;
    let status = status.unwrap_err();
    assert_eq!(fault(&status), (Code::InvalidArgument, "CHANNEL_UNKNOWN".into(), "channel".into()));
    // 23:00 UTC is night in Berlin; the morning begins at 6 or 7 UTC
    let answer = check(sandbox, ask(&stored, "email", "", day(1) + 23 * 3_600)).await;
    assert_eq!((answer.verdict(), answer.reason()), (ContactVerdict::AllowedFrom, RefusalReason::QuietHours));
    let from = u64::try_from(answer.allowed_from.unwrap().seconds).unwrap();
    assert!([6, 7].map(|hour| day(2) + hour * 3_600).contains(&from), "{from}");
}

/// A campaign asks about many customers in one call.
async fn many_contacts_are_checked_in_one_call(sandbox: &Sandbox) {
    let (one, other) = (customer(sandbox).await, customer(sandbox).await);
    let no = withdrawal(&other.customer_id, "marketing");
    sandbox.client().withdraw_consent(no).await.unwrap();
    let request = BatchCheckContactRequest {
        customer_ids: vec![
            one.customer_id.clone(),
            "nobody".into(),
            other.customer_id.clone(),
            new_customer(),
            one.customer_id.clone(),
        ],
        channel: "email".into(),
        purpose: "marketing".into(),
        topic: String::new(),
        at: at(noon(1)),
    };
    for node in 0..3 {
        let answer = sandbox.preferences(node).await.batch_check_contact(request.clone()).await.unwrap();
        let contacts = answer.into_inner().contacts;
        let ids: Vec<_> = contacts.iter().map(|contact| contact.customer_id.clone()).collect();
        assert_eq!(ids, request.customer_ids, "in the order of the ids");
        let said: Vec<_> = contacts
            .into_iter()
            .map(|contact| match contact.result.expect("a result") {
                Judged::Contact(answer) => (answer.verdict().as_str_name(), answer.address),
                Judged::Error(error) => ("error", error.reason),
            })
            .collect();
        let allowed = ("CONTACT_VERDICT_ALLOWED", "ada@example.org".to_owned());
        assert_eq!(said[0], allowed);
        assert_eq!(said[1], ("error", "FIELD_INVALID".to_owned()));
        assert_eq!(said[2], ("CONTACT_VERDICT_NOT_ALLOWED", String::new()));
        assert_eq!(said[3], ("error", "CUSTOMER_NOT_FOUND".to_owned()));
        assert_eq!(said[4], allowed);
    }
    let too_many = BatchCheckContactRequest { customer_ids: vec![new_customer(); 501], ..request.clone() };
    let status = sandbox.preferences(0).await.batch_check_contact(too_many).await.unwrap_err();
    assert_eq!(fault(&status).2, "customer_ids");
    let unknown = BatchCheckContactRequest { channel: "carrierpigeon".into(), ..request };
    let status = sandbox.preferences(0).await.batch_check_contact(unknown).await.unwrap_err();
    assert_eq!((fault(&status).1, fault(&status).2), ("CHANNEL_UNKNOWN".into(), "channel".into()));
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

/// The agent is told, so the agent records. Unregistered, it may pass on a no and nothing else.
async fn an_agent_records_what_a_caller_says(sandbox: &Sandbox) {
    let customer = customer(sandbox).await;
    let id = customer.customer_id.clone();
    let stranger = sandbox.channel_as(0, "agent", "new-desk").await;
    let no = withdrawal(&id, "marketing");
    ConsentServiceClient::new(stranger.clone()).withdraw_consent(no).await.expect("anyone may pass on a no");
    let answer = check(sandbox, ask(&customer, "email", "", noon(1))).await;
    assert_eq!(answer.reason(), RefusalReason::ConsentWithdrawn);
    let contact = |purpose: &str| RecordContactRequest {
        customer_id: id.clone(),
        channel: "phone".into(),
        purpose: purpose.into(),
        contacted_at: at(now().as_secs()),
        request_id: new_id(),
    };
    let status = PreferenceServiceClient::new(stranger).record_contact(contact("service")).await;
    assert_eq!(fault(&status.unwrap_err()).1, "RECIPIENT_NOT_REGISTERED");

    let recipient = Recipient {
        id: "call-desk".into(),
        purposes: vec!["service".into()],
        collection_purposes: vec!["service".into()],
        ..Default::default()
    };
    create_recipient(sandbox, 0, recipient).await;
    let desk = sandbox.channel_as(1, "agent", "call-desk").await;
    let (mut profiles, mut preferences, mut consents) = (
        ProfileServiceClient::new(desk.clone()),
        PreferenceServiceClient::new(desk.clone()),
        ConsentServiceClient::new(desk),
    );
    let corrected =
        IngestProfileRequest { consents: vec![], ..ingest(&id, vec![observation("phone", "+49307654")]) };
    profiles.ingest_profile(corrected).await.expect("a number is corrected");
    let call = AppendEventsRequest {
        customer_id: id.clone(),
        purpose: "service".into(),
        source: "desk".into(),
        events: vec![event("call-1", 0)],
        request_id: new_id(),
        ..Default::default()
    };
    profiles.append_events(call).await.expect("the call is logged");
    preferences.record_contact(contact("service")).await.expect("the contact is logged");
    let status = preferences.record_contact(contact("marketing")).await.unwrap_err();
    assert_eq!(fault(&status).1, "RECIPIENT_NOT_ALLOWED", "only for its own purposes");
    let no_letters = ChannelPreference { channel: "post".into(), ..Default::default() };
    let mut wishes = customer.clone();
    wishes.etag.clear();
    wishes.channels.push(no_letters);
    preferences.update_preferences(update(wishes)).await.expect("a wish is recorded");
    consents.record_consent(consent(&id, "service")).await.expect("a consent is recorded");
    let status = consents.record_consent(consent(&id, "marketing")).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "a consent only for what it may collect");

    let profile = profiles.get_profile(get(&id, "service")).await.unwrap().into_inner();
    assert_eq!(text_of(&profile, "phone").as_deref(), Some("+49307654"));
    let history = ListConsentHistoryRequest {
        customer_id: id.clone(),
        purpose: "service".into(),
        ..Default::default()
    };
    let history = sandbox.consents(2).await.list_consent_history(history).await.unwrap().into_inner();
    let by = |entry: &ConsentHistoryEntry| entry.recorded_by.clone().map(|by| (by.name.clone(), by.role()));
    let agents: Vec<_> =
        history.entries.iter().filter_map(by).filter(|(_, role)| *role == Role::Agent).collect();
    assert_eq!(
        agents.first(),
        Some(&("new-desk".to_owned(), Role::Agent)),
        "the ledger says who recorded it"
    );
}
