//! What a caller who writes but may not read learns from its answers: nothing that depends on what is stored, beyond the
//! law's verdict on the purpose under which it collects (SE-2).

use custodia_proto::v1::consent_service_client::ConsentServiceClient;
use custodia_proto::v1::preference_service_client::PreferenceServiceClient;
use custodia_proto::v1::profile_service_client::ProfileServiceClient;
use custodia_proto::v1::{self, ConsentStatus, Recipient, RefusalReason};
use custodia_proto::{FieldMask, Timestamp};
use custodia_tests::actions::{create_campaign, create_recipient, stored_customer};
use custodia_tests::sample::{
    consent, event, fault, get, grant, ingest, new_customer, new_id, now, tc_string, texts, withdrawal,
};
use custodia_tests::{Sandbox, Suite};
use tonic::transport::Channel;
use tonic::{Code, Status};

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(an_application_that_may_not_read_cannot_guess_a_stored_value)
        .shared(its_decisions_are_echoed_whatever_is_recorded)
        .shared(its_changes_are_echoed_whether_the_customer_exists_or_not)
        .shared(it_names_no_version_and_is_told_the_verdict_of_the_law_alone)
        .shared(the_date_of_a_consent_that_comes_with_data_tells_nothing)
        .shared(a_no_is_taken_with_whatever_else_it_says)
        .shared(a_no_to_everything_shows_the_states_of_all_purposes_to_nobody_who_may_not_read_them)
        .shared(registration_and_suspension_bind_whoever_collects_but_keep_nobody_from_saying_no)
}

/// An application that collects for `service` and `marketing` and reads nothing, connected to every node in turn.
async fn collector(sandbox: &Sandbox, name: &str) -> Vec<Channel> {
    let recipient = Recipient {
        id: name.to_owned(),
        collection_purposes: vec!["service".to_owned(), "marketing".to_owned()],
        ..Default::default()
    };
    create_recipient(sandbox, 0, recipient).await;
    let mut channels = Vec::new();
    for node in 0..3 {
        channels.push(sandbox.channel_as(node, "ingest", name).await);
    }
    channels
}

/// A minute ago, the same for all that a test compares.
fn a_minute_ago() -> Option<Timestamp> {
    Some(Timestamp { seconds: i64::try_from(now().as_secs()).expect("before 2262") - 60, nanos: 0 })
}

/// Which of two observations of one moment would win tells how they compare: a search for the stored value. So does whether
/// an event's id is taken.
async fn an_application_that_may_not_read_cannot_guess_a_stored_value(sandbox: &Sandbox) {
    let at = a_minute_ago();
    let mut stored = ingest("", texts(&[("email", "m@example.org")]));
    stored.observations[0].observed_at = at;
    stored.events = vec![event("e-1", 1)];
    let customer_id =
        sandbox.profiles(0).await.ingest_profile(stored).await.expect("ingested").into_inner().customer_id;
    let channels = collector(sandbox, "till-guess").await;
    let mut answers = Vec::new();
    let guesses = ["a@example.org", "m@example.org", "z@example.org"];
    for (number, (guess, validate_only)) in
        guesses.iter().flat_map(|guess| [(*guess, true), (*guess, false)]).enumerate()
    {
        let mut probe = ingest(&customer_id, texts(&[("email", guess)]));
        (probe.consents, probe.validate_only) = (Vec::new(), validate_only);
        probe.observations[0].observed_at = at;
        probe.events = vec![v1::Event { channel: guess.to_string(), ..event("e-1", 1) }];
        if number % 2 == 0 {
            probe.request_id.clear();
        }
        let mut till = ProfileServiceClient::new(channels[number % 3].clone());
        answers.push(till.ingest_profile(probe).await.expect("judged").into_inner());
    }
    let mut first = answers[0].clone();
    assert!(first.attributes[0].merged && first.events[0].appended, "{first:?}");
    assert!(answers.iter().all(|seen| *seen == first), "{answers:?}");
    // A stranger's profile is answered alike, but for the law's verdict: nobody consented.
    let mut probe = ingest(&new_customer(), texts(&[("email", "a@example.org")]));
    probe.events = vec![event("e-1", 1)];
    let mut till = ProfileServiceClient::new(channels[0].clone());
    let stranger = till.ingest_profile(probe.clone()).await.expect("judged").into_inner();
    first.customer_id.clone_from(&stranger.customer_id);
    assert_eq!(stranger, first, "the consent came with the data");
    assert_eq!((stranger.created, stranger.etag.as_str()), (false, ""));
    let append = v1::AppendEventsRequest {
        customer_id: new_customer(),
        purpose: "service".to_owned(),
        source: "till".to_owned(),
        events: probe.events,
        ..Default::default()
    };
    let answer = till.append_events(append).await.expect("judged, of somebody unknown").into_inner();
    assert_eq!(answer.events[0].refusal(), RefusalReason::NoGround);
}

async fn its_decisions_are_echoed_whatever_is_recorded(sandbox: &Sandbox) {
    let known = stored_customer(sandbox, &[("email", "a@example.org")]).await;
    sandbox.consents(0).await.withdraw_consent(withdrawal(&known, "marketing")).await.expect("withdrawn");
    let channels = collector(sandbox, "till-decisions").await;
    let old = |customer_id: &str, purpose| v1::RecordConsentRequest {
        decided_at: Some(Timestamp { seconds: 1, nanos: 0 }),
        collector: "till".to_owned(),
        ..consent(customer_id, purpose)
    };
    for (node, purpose) in [(0, "service"), (1, "marketing"), (2, "marketing")] {
        let mut till = ConsentServiceClient::new(channels[node].clone());
        let mut seen = Vec::new();
        for customer_id in [known.clone(), new_customer()] {
            let given = till.record_consent(old(&customer_id, purpose)).await.expect("taken").into_inner();
            assert_eq!((given.status(), given.collector.as_str()), (ConsentStatus::Given, "till"));
            assert_eq!((given.consent_revision, given.etag.as_str(), given.recorded_at), (0, "", None));
            let ended = till.withdraw_consent(withdrawal(&customer_id, purpose)).await.expect("taken");
            let ended = ended.into_inner();
            assert_eq!(ended.status(), ConsentStatus::Withdrawn);
            let blank = String::new;
            seen.push((
                v1::ConsentState { customer_id: blank(), ..given },
                v1::ConsentState { customer_id: blank(), ..ended },
            ));
        }
        assert_eq!(seen[0], seen[1], "{purpose}");
    }
    // What it may not see is recorded all the same: the no, and not the consent that would have lifted it.
    let request = v1::GetConsentsRequest { customer_id: known, purpose: "privacy-requests".to_owned() };
    let consents = sandbox.consents(0).await.get_consents(request).await.expect("found").into_inner();
    assert!(consents.consents.iter().all(|state| state.status() == ConsentStatus::Withdrawn), "{consents:?}");
}

async fn its_changes_are_echoed_whether_the_customer_exists_or_not(sandbox: &Sandbox) {
    let known = stored_customer(sandbox, &[("email", "a@example.org")]).await;
    let child = v1::UpdateDataSubjectRequest {
        data_subject: Some(v1::DataSubject {
            customer_id: known.clone(),
            birth_date: "2020-01-01".to_owned(),
            ..Default::default()
        }),
        update_mask: Some(FieldMask { paths: vec!["birth_date".to_owned()] }),
        request_id: new_id(),
    };
    sandbox.consents(0).await.update_data_subject(child.clone()).await.expect("updated");
    let channels = collector(sandbox, "till-changes").await;
    let mut seen = Vec::new();
    for (node, customer_id) in [known, new_customer()].into_iter().enumerate() {
        let mut consents = ConsentServiceClient::new(channels[node].clone());
        let mut preferences = PreferenceServiceClient::new(channels[node].clone());
        let mut subject = child.clone();
        subject.request_id = new_id();
        subject.data_subject.as_mut().expect("a subject").customer_id.clone_from(&customer_id);
        let subject = consents.update_data_subject(subject).await.expect("taken").into_inner();
        assert_eq!((subject.birth_date.as_str(), subject.etag.as_str()), ("2020-01-01", ""));
        // The birth date of a child makes a consent of its own worthless; the caller does not learn which it is.
        let given =
            consents.record_consent(consent(&customer_id, "marketing")).await.expect("taken").into_inner();
        let tcf = v1::RecordTcStringRequest {
            customer_id: customer_id.clone(),
            tc_string: tc_string(1),
            request_id: new_id(),
        };
        let tcf = consents.record_tc_string(tcf).await.expect("taken").into_inner();
        let gpp = v1::RecordGppStringRequest {
            customer_id: customer_id.clone(),
            gpp_string: "DBABTA~1YYN".to_owned(),
            ..Default::default()
        };
        let gpp = consents.record_gpp_string(gpp).await.expect("taken").into_inner();
        let signal = v1::RecordPrivacySignalRequest {
            customer_id: customer_id.clone(),
            signal: v1::PrivacySignal::Gpc.into(),
            ..Default::default()
        };
        let signal = consents.record_privacy_signal(signal).await.expect("taken").into_inner();
        let wishes = v1::Preferences {
            customer_id: customer_id.clone(),
            language: "de".to_owned(),
            ..Default::default()
        };
        let update = v1::UpdatePreferencesRequest {
            preferences: Some(wishes),
            purpose: "service".to_owned(),
            request_id: new_id(),
            ..Default::default()
        };
        let wishes = preferences.update_preferences(update).await.expect("taken").into_inner();
        let contact = v1::RecordContactRequest {
            customer_id: customer_id.clone(),
            channel: "email".to_owned(),
            purpose: "service".to_owned(),
            ..Default::default()
        };
        let contact = preferences.record_contact(contact).await.expect("taken").into_inner();
        let all = v1::WithdrawAllConsentsRequest { customer_id: customer_id.clone(), ..Default::default() };
        let all = consents.withdraw_all_consents(all).await.expect("taken").into_inner();
        let answers =
            format!("{subject:?} {given:?} {tcf:?} {gpp:?} {signal:?} {wishes:?} {contact:?} {all:?}");
        assert_eq!(answers.matches(&customer_id).count(), 8, "each answer names its customer");
        seen.push(answers.replace(&customer_id, ""));
    }
    assert_eq!(seen[0], seen[1]);
}

async fn it_names_no_version_and_is_told_the_verdict_of_the_law_alone(sandbox: &Sandbox) {
    let known = stored_customer(sandbox, &[("email", "a@example.org")]).await;
    let etag =
        sandbox.profiles(0).await.get_profile(get(&known, "service")).await.expect("found").into_inner().etag;
    let channels = collector(sandbox, "till-versions").await;
    let mut profiles = ProfileServiceClient::new(channels[0].clone());
    let mut consents = ConsentServiceClient::new(channels[1].clone());
    let named = |field: &str| (Code::PermissionDenied, "VERSION_NOT_READABLE".to_owned(), field.to_owned());
    for etag in [etag, "00000000000000ff".to_owned()] {
        let guess =
            v1::IngestProfileRequest { etag: etag.clone(), ..ingest(&known, texts(&[("email", "b")])) };
        assert_eq!(fault(&profiles.ingest_profile(guess).await.expect_err("a guess")), named("etag"));
        let guess = v1::RecordConsentRequest { etag, ..consent(&known, "marketing") };
        assert_eq!(fault(&consents.record_consent(guess).await.expect_err("a guess")), named("etag"));
    }
    for consent_revision in [1, 2] {
        let guess = v1::RecordConsentRequest { consent_revision, ..consent(&known, "marketing") };
        let status = consents.record_consent(guess).await.expect_err("a guess");
        assert_eq!(fault(&status), named("consent_revision"));
    }
    for customer in [&known, &new_customer()] {
        let guess = v1::RecordConsentRequest { existing_customer: true, ..consent(customer, "marketing") };
        let status = consents.record_consent(guess).await.expect_err("a guess");
        assert_eq!(fault(&status), named("existing_customer"));
    }
    // Whoever collects must know when to stop.
    sandbox.consents(2).await.withdraw_consent(withdrawal(&known, "service")).await.expect("withdrawn");
    let stopped = v1::IngestProfileRequest { consents: vec![], ..ingest(&known, texts(&[("email", "b")])) };
    let answer = profiles.ingest_profile(stopped).await.expect("judged").into_inner();
    assert_eq!(answer.attributes[0].refusal(), RefusalReason::ConsentWithdrawn);
}

/// A search over the dates of carried consents would find the birth date, and the date of a stored consent.
async fn the_date_of_a_consent_that_comes_with_data_tells_nothing(sandbox: &Sandbox) {
    let channels = collector(sandbox, "till-dates").await;
    let dated = |ms: i64| Some(Timestamp { seconds: ms / 1_000, nanos: 0 });
    let now_ms = i64::try_from(now().as_millis()).expect("before 2262");
    let (year, day) = (365 * 86_400_000, 86_400_000);
    let mut stored = Vec::new();
    for (birth_date, consented) in [("1980-01-01", 50), ("1990-01-01", 50), ("1990-01-01", 5)] {
        let customer_id = new_customer();
        let subject = v1::UpdateDataSubjectRequest {
            data_subject: Some(v1::DataSubject {
                customer_id: customer_id.clone(),
                birth_date: birth_date.to_owned(),
                ..Default::default()
            }),
            update_mask: Some(FieldMask { paths: vec!["birth_date".to_owned()] }),
            request_id: new_id(),
        };
        sandbox.consents(0).await.update_data_subject(subject).await.expect("updated");
        let given = v1::RecordConsentRequest {
            decided_at: dated(now_ms - consented * day),
            ..consent(&customer_id, "service")
        };
        sandbox.consents(0).await.record_consent(given).await.expect("recorded");
        stored.push(customer_id);
    }
    for (purpose, given_ms, lasts_ms) in [
        ("marketing", now_ms - 25 * year, None),
        ("marketing", now_ms - year, None),
        ("service", now_ms - 20 * day, Some(1_000)),
        ("service", now_ms - 60 * day, Some(1_000)),
        ("service", now_ms - 20 * day, Some(year)),
    ] {
        let mut seen = Vec::new();
        for (customer_id, channel) in stored.iter().zip(&channels) {
            let carried = v1::ConsentGrant {
                given_at: dated(given_ms),
                expires_at: lasts_ms.and_then(|ms: i64| dated(given_ms + ms)),
                ..grant(purpose)
            };
            let probe = v1::IngestProfileRequest {
                purpose: purpose.to_owned(),
                consents: vec![carried],
                events: vec![event("e-1", 1)],
                validate_only: true,
                ..ingest(customer_id, texts(&[("email", "b@example.org")]))
            };
            let mut till = ProfileServiceClient::new(channel.clone());
            let answer = till.ingest_profile(probe).await.expect("judged").into_inner();
            seen.push(v1::IngestProfileResponse { customer_id: String::new(), ..answer });
        }
        assert!(seen.iter().all(|one| *one == seen[0]), "{purpose} {given_ms} {lasts_ms:?}: {seen:?}");
    }
}

/// CO-5: whoever passes on a no may have filled in what belongs to a given ground, and need not be registered for a
/// guardian's no either.
async fn a_no_is_taken_with_whatever_else_it_says(sandbox: &Sandbox) {
    let channels = [
        collector(sandbox, "till-no").await.remove(0),
        sandbox.channel_as(1, "ingest", "unheard-of").await,
        sandbox.channel_as(2, "privacy", "privacy-office").await,
    ];
    let by_guardian =
        v1::ConsentEvidence { decided_by: v1::DecidedBy::Guardian.into(), ..Default::default() };
    for channel in channels {
        for (status, evidence, reason) in [
            (ConsentStatus::Refused, None, RefusalReason::ConsentRefused),
            (ConsentStatus::Revoked, Some(by_guardian.clone()), RefusalReason::ConsentRevoked),
        ] {
            let known = stored_customer(sandbox, &[("email", "a@example.org")]).await;
            let no = v1::RecordConsentRequest {
                status: status.into(),
                evidence,
                consent_revision: 77,
                etag: "00000000000000ff".to_owned(),
                notice_version: "unheard-of".to_owned(),
                valid_from: a_minute_ago(),
                expires_at: a_minute_ago(),
                ..consent(&known, "service")
            };
            let mut consents = ConsentServiceClient::new(channel.clone());
            let answer = consents.record_consent(no).await.expect("a no is taken").into_inner();
            assert_eq!(answer.status(), status);
            let profile = sandbox.profiles(1).await.get_profile(get(&known, "service")).await.expect("found");
            assert_eq!(profile.into_inner().withheld[0].reason(), reason);
        }
    }
}

/// Everything else than an ingest by which an application collects, and what it is answered.
async fn collections(channel: &Channel, customer_id: &str) -> Vec<Result<(), Status>> {
    let mut profiles = ProfileServiceClient::new(channel.clone());
    let mut consents = ConsentServiceClient::new(channel.clone());
    let mut preferences = PreferenceServiceClient::new(channel.clone());
    let events = v1::AppendEventsRequest {
        customer_id: customer_id.to_owned(),
        purpose: "service".to_owned(),
        source: "till".to_owned(),
        events: vec![event("e-1", 1)],
        ..Default::default()
    };
    let region = v1::UpdateDataSubjectRequest {
        data_subject: Some(v1::DataSubject {
            customer_id: customer_id.to_owned(),
            regions: vec!["US-CA".to_owned()],
            ..Default::default()
        }),
        update_mask: Some(FieldMask { paths: vec!["regions".to_owned()] }),
        ..Default::default()
    };
    let contact = v1::RecordContactRequest {
        customer_id: customer_id.to_owned(),
        channel: "email".to_owned(),
        purpose: "service".to_owned(),
        ..Default::default()
    };
    let wishes = v1::UpdatePreferencesRequest {
        preferences: Some(v1::Preferences { customer_id: customer_id.to_owned(), ..Default::default() }),
        purpose: "service".to_owned(),
        ..Default::default()
    };
    vec![
        profiles.append_events(events).await.map(drop),
        consents.record_consent(consent(customer_id, "marketing")).await.map(drop),
        consents.update_data_subject(region).await.map(drop),
        preferences.record_contact(contact).await.map(drop),
        preferences.update_preferences(wishes).await.map(drop),
    ]
}

async fn registration_and_suspension_bind_whoever_collects_but_keep_nobody_from_saying_no(sandbox: &Sandbox) {
    let channels = collector(sandbox, "till-bound").await;
    create_campaign(sandbox, "boundcampaign").await;
    let known = stored_customer(sandbox, &[("email", "a@example.org")]).await;
    let mut till = ProfileServiceClient::new(channels[0].clone());
    // Under a purpose that is not its own, in the data or in a consent that comes with it.
    let other = v1::IngestProfileRequest {
        purpose: "privacy-requests".to_owned(),
        ..ingest(&known, texts(&[("email", "b")]))
    };
    let mut carried = ingest(&known, texts(&[("email", "b")]));
    carried.consents.push(grant("boundcampaign"));
    for request in [other, carried] {
        let status = till.ingest_profile(request).await.expect_err("not its purpose");
        assert_eq!(fault(&status).1, "RECIPIENT_NOT_ALLOWED");
    }
    till.ingest_profile(ingest(&known, texts(&[("email", "b")]))).await.expect("its own purpose");

    let request = v1::GetRecipientRequest { id: "till-bound".to_owned() };
    let mut recipient = sandbox.catalog(0).await.get_recipient(request).await.expect("found").into_inner();
    recipient.suspended = true;
    let request = v1::UpdateRecipientRequest { recipient: Some(recipient) };
    sandbox.catalog(0).await.update_recipient(request).await.expect("suspended");
    let stranger = sandbox.channel_as(2, "ingest", "unheard-of").await;
    let suspended = channels[0].clone();
    for (channel, reason) in [(suspended, "RECIPIENT_NOT_ALLOWED"), (stranger, "RECIPIENT_NOT_REGISTERED")] {
        let mut profiles = ProfileServiceClient::new(channel.clone());
        let mut consents = ConsentServiceClient::new(channel.clone());
        let denied = (Code::PermissionDenied, reason.to_owned(), String::new());
        let request = ingest(&known, texts(&[("email", "c@example.org")]));
        let status =
            profiles.ingest_profile(request).await.expect_err("in force as soon as it is acknowledged");
        assert_eq!(fault(&status), denied);
        for answer in collections(&channel, &known).await {
            assert_eq!(fault(&answer.expect_err("refused")), denied);
        }
        let refusal = v1::RecordConsentRequest {
            status: ConsentStatus::Refused.into(),
            ..consent(&known, "marketing")
        };
        let no = consents.record_consent(refusal).await.expect("a no is taken from everybody").into_inner();
        assert_eq!((no.status(), no.etag.as_str()), (ConsentStatus::Refused, ""));
        consents.withdraw_consent(withdrawal(&known, "marketing")).await.expect("a no is taken");
    }
    let profile = sandbox.profiles(1).await.get_profile(get(&known, "marketing")).await.expect("found");
    assert_eq!(profile.into_inner().withheld[0].reason(), RefusalReason::ConsentWithdrawn);
}

/// It reads for `service`, and is answered with the states of every purpose.
async fn a_no_to_everything_shows_the_states_of_all_purposes_to_nobody_who_may_not_read_them(
    sandbox: &Sandbox,
) {
    let ads = v1::Purpose {
        sale_or_sharing: true,
        ..custodia_tests::sample::purpose("ads-shown", &[v1::LawfulBasis::Consent])
    };
    custodia_tests::actions::create_purpose(sandbox, ads).await.expect("created");
    let recipient = Recipient {
        id: "desk-of-service".to_owned(),
        purposes: vec!["service".to_owned()],
        ..Default::default()
    };
    create_recipient(sandbox, 0, recipient).await;
    for node in 0..3 {
        let known = stored_customer(sandbox, &[("email", "a@example.org")]).await;
        let mut desk = ConsentServiceClient::new(sandbox.channel_as(node, "ingest", "desk-of-service").await);
        let signal = v1::RecordPrivacySignalRequest {
            customer_id: known.clone(),
            signal: v1::PrivacySignal::Gpc.into(),
            request_id: new_id(),
            ..Default::default()
        };
        let answer = desk.record_privacy_signal(signal).await.expect("taken").into_inner();
        let echo = v1::RecordPrivacySignalResponse { customer_id: known.clone(), ..Default::default() };
        assert_eq!(answer, echo);
        let all = v1::WithdrawAllConsentsRequest { customer_id: known.clone(), ..Default::default() };
        let answer = desk.withdraw_all_consents(all).await.expect("taken").into_inner();
        let echo = v1::WithdrawAllConsentsResponse { customer_id: known.clone(), ..Default::default() };
        assert_eq!(answer, echo);
        let request = v1::GetConsentsRequest { customer_id: known, purpose: "privacy-requests".to_owned() };
        let consents = sandbox.consents(0).await.get_consents(request).await.expect("found").into_inner();
        let withdrawn = |state: &v1::ConsentState| state.status() == ConsentStatus::Withdrawn;
        assert!(consents.consents.len() > 1 && consents.consents.iter().all(withdrawn), "{consents:?}");
    }
}
