//! A no holds whatever any clock says, and a request that comes late undoes nothing (CO-5): dates ahead of the nodes'
//! clocks, ids of a clock that is fast or slow, and repetitions that the nodes have forgotten.

use custodia_proto::v1::consent_service_client::ConsentServiceClient;
use custodia_proto::v1::{self, ConsentStatus, RefusalReason};
use custodia_proto::{FieldMask, Timestamp};
use custodia_tests::actions::{consent_revision, consenting_customer, stored_customer};
use custodia_tests::sample::{
    consent, fault, get, grant, ingest, new_customer, now, observation, tc_string, text_of, texts, withdrawal,
};
use custodia_tests::{Sandbox, Suite};
use tonic::Code;
use uuid::{NoContext, Uuid};

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(a_refusal_beats_a_consent_that_is_dated_ahead_of_the_clock)
        .shared(a_refusal_with_an_id_of_a_slow_clock_beats_an_earlier_consent)
        .shared(a_consent_from_a_fast_clock_does_not_lift_a_withdrawal)
        .shared(an_imported_decision_counts_as_of_its_date)
        .shared(a_no_that_is_said_again_beats_what_is_imported_with_a_date_in_between)
        .shared(a_wish_not_to_be_contacted_is_lifted_only_by_who_has_read_it)
        .shared(a_forgotten_retry_does_not_bring_back_an_earlier_tc_string)
        .shared(a_forgotten_retry_does_not_bring_back_an_earlier_region)
        .shared(a_forgotten_retry_does_not_bring_back_earlier_preferences)
        .shared(a_forgotten_retry_does_not_replace_a_later_consent)
        .shared(a_forgotten_retry_does_not_bring_back_an_earlier_attribute_definition)
}

/// A request id whose time is so many seconds before now; negative: after now.
fn id_of(seconds_ago: i64) -> String {
    let seconds = i64::try_from(now().as_secs()).expect("before 2262") - seconds_ago;
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds.cast_unsigned(), 0)).to_string()
}

/// How many seconds ago two requests were made: a moment ago, or longer ago than nodes remember requests and date what they
/// observed.
const MADE: [(i64, i64); 2] = [(20, 10), (3 * 86_400, 2 * 86_400)];

fn in_seconds(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: i64::try_from(now().as_secs()).expect("before 2262") + seconds, nanos: 0 })
}

fn refusal(customer_id: &str) -> v1::RecordConsentRequest {
    v1::RecordConsentRequest {
        status: ConsentStatus::Refused.into(),
        notice_version: String::new(),
        method: 0,
        evidence: None,
        ..consent(customer_id, "marketing")
    }
}

/// What every node gives of the attribute `interest` for `marketing`: nothing, for this reason.
async fn withheld_for(sandbox: &Sandbox, customer_id: &str, reason: RefusalReason) {
    for node in 0..3 {
        let profile = sandbox.profiles(node).await.get_profile(get(customer_id, "marketing")).await;
        let profile = profile.expect("found").into_inner();
        assert_eq!(text_of(&profile, "interest"), None, "node {node} gives what the customer refused");
        assert_eq!(profile.withheld[0].reason(), reason);
    }
}

async fn a_refusal_beats_a_consent_that_is_dated_ahead_of_the_clock(sandbox: &Sandbox) {
    let customer_id = consenting_customer(sandbox, "marketing", "interest").await;
    let ahead =
        v1::RecordConsentRequest { decided_at: in_seconds(240), ..consent(&customer_id, "marketing") };
    sandbox.consents(0).await.record_consent(ahead).await.expect("recorded");
    let state = sandbox.consents(1).await.record_consent(refusal(&customer_id)).await.expect("recorded");
    assert_eq!(state.into_inner().status(), ConsentStatus::Refused);
    withheld_for(sandbox, &customer_id, RefusalReason::ConsentRefused).await;
}

async fn a_refusal_with_an_id_of_a_slow_clock_beats_an_earlier_consent(sandbox: &Sandbox) {
    let customer_id = consenting_customer(sandbox, "marketing", "interest").await;
    let slow = v1::RecordConsentRequest { request_id: id_of(3_600), ..refusal(&customer_id) };
    let state = sandbox.consents(1).await.record_consent(slow).await.expect("recorded").into_inner();
    assert_eq!(state.status(), ConsentStatus::Refused);
    withheld_for(sandbox, &customer_id, RefusalReason::ConsentRefused).await;
    // The same of a caller whose clock dates the decision itself.
    let customer_id = consenting_customer(sandbox, "marketing", "interest").await;
    let slow = v1::RecordConsentRequest { decided_at: in_seconds(-3_600), ..refusal(&customer_id) };
    let state = sandbox.consents(2).await.record_consent(slow).await.expect("recorded").into_inner();
    assert_eq!(state.status(), ConsentStatus::Refused);
    withheld_for(sandbox, &customer_id, RefusalReason::ConsentRefused).await;
}

async fn a_consent_from_a_fast_clock_does_not_lift_a_withdrawal(sandbox: &Sandbox) {
    let customer_id = consenting_customer(sandbox, "marketing", "interest").await;
    sandbox
        .consents(0)
        .await
        .withdraw_consent(withdrawal(&customer_id, "marketing"))
        .await
        .expect("withdrawn");
    let late = [
        v1::RecordConsentRequest { decided_at: in_seconds(240), ..consent(&customer_id, "marketing") },
        v1::RecordConsentRequest { request_id: id_of(-240), ..consent(&customer_id, "marketing") },
        consent(&customer_id, "marketing"),
    ];
    for late in late {
        let status = sandbox.consents(1).await.record_consent(late).await.expect_err("a no stands");
        let expected = (Code::FailedPrecondition, "NO_STANDS".to_owned(), "consent_revision".to_owned());
        assert_eq!(fault(&status), expected);
    }
    let revision = consent_revision(sandbox, &customer_id).await;
    let stale =
        v1::RecordConsentRequest { consent_revision: revision - 1, ..consent(&customer_id, "marketing") };
    let status = sandbox.consents(1).await.record_consent(stale).await.expect_err("it saw an older state");
    let expected = (Code::Aborted, "CONSENT_REVISION_STALE".to_owned(), "consent_revision".to_owned());
    assert_eq!(fault(&status), expected);
    let carried = v1::IngestProfileRequest {
        purpose: "marketing".into(),
        consents: vec![grant("marketing")],
        ..ingest(&customer_id, vec![observation("interest", "chess")])
    };
    let answer = sandbox.profiles(2).await.ingest_profile(carried).await.expect("judged").into_inner();
    assert_eq!(answer.attributes[0].refusal(), RefusalReason::ConsentWithdrawn);
    assert_eq!(
        (answer.consents[0].recorded, answer.consents[0].refusal()),
        (false, RefusalReason::ConsentWithdrawn)
    );
    withheld_for(sandbox, &customer_id, RefusalReason::ConsentWithdrawn).await;
    // The customer's own consent, given after the withdrawal was seen, by a clock that is an hour slow.
    let again = v1::RecordConsentRequest {
        consent_revision: revision,
        decided_at: in_seconds(-3_600),
        ..consent(&customer_id, "marketing")
    };
    let state = sandbox.consents(1).await.record_consent(again).await.expect("recorded").into_inner();
    assert_eq!(state.status(), ConsentStatus::Given);
    let profile = sandbox.profiles(2).await.get_profile(get(&customer_id, "marketing")).await.expect("found");
    assert!(text_of(&profile.into_inner(), "interest").is_some());
}

/// CO-8. The privacy office alone imports, and an answer never reports another status than was asked for.
async fn an_imported_decision_counts_as_of_its_date(sandbox: &Sandbox) {
    let customer_id = new_customer();
    let imported = |request: v1::RecordConsentRequest, seconds| v1::RecordConsentRequest {
        recording: v1::Recording::Imported.into(),
        decided_at: in_seconds(seconds),
        ..request
    };
    let mut source = ConsentServiceClient::new(sandbox.channel_as(0, "ingest", "importer").await);
    let given = || consent(&customer_id, "marketing");
    let status = source.record_consent(imported(given(), -60)).await.expect_err("not the privacy office");
    assert_eq!(
        fault(&status),
        (Code::PermissionDenied, "ROLE_NOT_ALLOWED".to_owned(), "recording".to_owned())
    );
    let record = async |request| sandbox.consents(1).await.record_consent(request).await;
    let undated = v1::RecordConsentRequest { decided_at: None, ..imported(given(), 0) };
    assert_eq!(fault(&record(undated).await.expect_err("no date")).2, "decided_at");
    record(imported(refusal(&customer_id), -50)).await.expect("the newer one, first");
    for _ in 0..2 {
        let state = record(imported(given(), -60)).await.expect("it is older").into_inner();
        let superseded = (ConsentStatus::Given, v1::DecisionEffect::Superseded, 2);
        assert_eq!((state.status(), state.effect(), state.consent_revision), superseded);
    }
    let state = record(imported(given(), -40)).await.expect("it is newer").into_inner();
    assert_eq!((state.status(), state.effect()), (ConsentStatus::Given, v1::DecisionEffect::Applied));
    record(refusal(&customer_id)).await.expect("a live no");
    let state = record(imported(given(), 0)).await.expect("an entry of the ledger").into_inner();
    assert_eq!(state.effect(), v1::DecisionEffect::Superseded, "no import lifts a live no");
}

/// PR-6. "Do not contact" is a no, too.
async fn a_wish_not_to_be_contacted_is_lifted_only_by_who_has_read_it(sandbox: &Sandbox) {
    let customer_id = stored_customer(sandbox, &[("email", "a@example.org")]).await;
    let update = |wanted, etag: &str, request_id| v1::UpdatePreferencesRequest {
        preferences: Some(v1::Preferences {
            customer_id: customer_id.clone(),
            channels: vec![v1::ChannelPreference {
                channel: "email".to_owned(),
                wanted,
                ..Default::default()
            }],
            etag: etag.to_owned(),
            ..Default::default()
        }),
        purpose: "service".to_owned(),
        request_id,
        ..Default::default()
    };
    let send = async |request| sandbox.preferences(1).await.update_preferences(request).await;
    send(update(true, "", id_of(0))).await.expect("taken");
    let no = send(update(false, "", id_of(3_600))).await.expect("a no from a slow clock").into_inner();
    let status = send(update(true, "", id_of(-240))).await.expect_err("it names no etag");
    let expected = (Code::FailedPrecondition, "ETAG_REQUIRED".to_owned(), "preferences.etag".to_owned());
    assert_eq!(fault(&status), expected);
    send(update(true, &no.etag, id_of(0))).await.expect("it has seen the wish");
}

async fn a_forgotten_retry_does_not_bring_back_an_earlier_tc_string(sandbox: &Sandbox) {
    for (first_ago, second_ago) in MADE {
        earlier_tc_string(sandbox, first_ago, second_ago).await;
    }
}

async fn earlier_tc_string(sandbox: &Sandbox, first_ago: i64, second_ago: i64) {
    let customer_id = new_customer();
    let record = |text: &str, request_id| v1::RecordTcStringRequest {
        customer_id: customer_id.clone(),
        tc_string: text.to_owned(),
        request_id,
    };
    let first = tc_string(1);
    let second = first.replacen("NwAAAENAwF", "NwAAAEDEwF", 1);
    let early = record(&first, id_of(first_ago));
    sandbox.consents(0).await.record_tc_string(early.clone()).await.expect("recorded");
    sandbox
        .consents(1)
        .await
        .record_tc_string(record(&second, id_of(second_ago)))
        .await
        .expect("of the same day");
    forget_requests(sandbox, &customer_id, &[grant("service")]).await;
    let status = sandbox.consents(2).await.record_tc_string(early).await.expect_err("it is late");
    assert_eq!(fault(&status).1, "REQUEST_SUPERSEDED");
    let status = sandbox.consents(2).await.record_tc_string(record(&tc_string(2), id_of(0))).await;
    assert_eq!(fault(&status.expect_err("it was updated a day earlier")).1, "TC_STRING_SUPERSEDED");
    let request = v1::GetTcStringRequest { customer_id, purpose: "service".to_owned(), ..Default::default() };
    let stored = sandbox.consents(0).await.get_tc_string(request).await.expect("found").into_inner();
    assert_eq!(stored.tc_string, second);
}

fn regions(customer_id: &str, region: &str, request_id: String) -> v1::UpdateDataSubjectRequest {
    v1::UpdateDataSubjectRequest {
        data_subject: Some(v1::DataSubject {
            customer_id: customer_id.to_owned(),
            regions: vec![region.to_owned()],
            ..Default::default()
        }),
        update_mask: Some(FieldMask { paths: vec!["regions".to_owned()] }),
        request_id,
    }
}

/// Makes the nodes forget the customer's earlier requests: they remember 64. Each of these has the consents.
async fn forget_requests(sandbox: &Sandbox, customer_id: &str, consents: &[v1::ConsentGrant]) {
    for number in 0..64 {
        let name = texts(&[("given_name", &format!("name {number}"))]);
        let row = v1::IngestProfileRequest { consents: consents.to_vec(), ..ingest(customer_id, name) };
        sandbox.profiles(0).await.ingest_profile(row).await.expect("ingested");
    }
}

/// CO-9. Under the region of an opt-out law more is permitted than under the one that the customer has now.
async fn a_forgotten_retry_does_not_bring_back_an_earlier_region(sandbox: &Sandbox) {
    for (first_ago, second_ago) in MADE {
        earlier_region(sandbox, first_ago, second_ago).await;
    }
}

async fn earlier_region(sandbox: &Sandbox, first_ago: i64, second_ago: i64) {
    let customer_id = new_customer();
    let first = regions(&customer_id, "US-CA", id_of(first_ago));
    sandbox.consents(0).await.update_data_subject(first.clone()).await.expect("updated");
    let second = regions(&customer_id, "DE", id_of(second_ago));
    sandbox.consents(1).await.update_data_subject(second).await.expect("updated");
    forget_requests(sandbox, &customer_id, &[grant("service")]).await;
    let status = sandbox.consents(2).await.update_data_subject(first).await.expect_err("it is late");
    assert_eq!((status.code(), fault(&status).1.as_str()), (Code::Aborted, "REQUEST_SUPERSEDED"));
    let request = v1::GetDataSubjectRequest { customer_id, purpose: "service".to_owned() };
    let subject = sandbox.consents(0).await.get_data_subject(request).await.expect("found").into_inner();
    assert_eq!(subject.regions, ["DE"]);
}

async fn a_forgotten_retry_does_not_bring_back_earlier_preferences(sandbox: &Sandbox) {
    for (first_ago, second_ago) in MADE {
        earlier_preferences(sandbox, first_ago, second_ago).await;
    }
}

async fn earlier_preferences(sandbox: &Sandbox, first_ago: i64, second_ago: i64) {
    let customer_id = stored_customer(sandbox, &[("email", "a@example.org")]).await;
    let update = |language: &str, request_id| v1::UpdatePreferencesRequest {
        preferences: Some(v1::Preferences {
            customer_id: customer_id.clone(),
            language: language.to_owned(),
            ..Default::default()
        }),
        purpose: "service".to_owned(),
        request_id,
        ..Default::default()
    };
    let first = update("de", id_of(first_ago));
    sandbox.preferences(0).await.update_preferences(first.clone()).await.expect("updated");
    sandbox.preferences(1).await.update_preferences(update("fr", id_of(second_ago))).await.expect("updated");
    forget_requests(sandbox, &customer_id, &[grant("service")]).await;
    let status = sandbox.preferences(2).await.update_preferences(first).await.expect_err("it is late");
    assert_eq!((status.code(), fault(&status).1.as_str()), (Code::Aborted, "REQUEST_SUPERSEDED"));
    let request = v1::GetPreferencesRequest { customer_id, purpose: "service".to_owned() };
    let stored = sandbox.preferences(0).await.get_preferences(request).await.expect("found").into_inner();
    assert_eq!(stored.language, "fr");
}

/// CO-5. An undated consent counts from when its request was made.
async fn a_forgotten_retry_does_not_replace_a_later_consent(sandbox: &Sandbox) {
    for (first_ago, second_ago) in MADE {
        let customer_id = new_customer();
        let given = |channel: &str, request_id| v1::RecordConsentRequest {
            channel: channel.to_owned(),
            request_id,
            ..consent(&customer_id, "service")
        };
        let first = given("web", id_of(first_ago));
        sandbox.consents(0).await.record_consent(first.clone()).await.expect("recorded");
        sandbox.consents(1).await.record_consent(given("phone", id_of(second_ago))).await.expect("recorded");
        // The data comes without its own consent, which would be the newest.
        forget_requests(sandbox, &customer_id, &[]).await;
        let answer = sandbox.consents(2).await.record_consent(first).await.expect("nothing to refuse");
        let answer = answer.into_inner();
        let superseded = ("web", v1::DecisionEffect::Superseded);
        assert_eq!((answer.channel.as_str(), answer.effect()), superseded, "made {first_ago} s ago");
        let request = v1::GetConsentsRequest { customer_id, purpose: "service".to_owned() };
        let states = sandbox.consents(0).await.get_consents(request).await.expect("found").into_inner();
        assert_eq!(states.consents[0].channel, "phone");
    }
}

async fn a_forgotten_retry_does_not_bring_back_an_earlier_attribute_definition(sandbox: &Sandbox) {
    let mut attribute = custodia_tests::sample::attribute("late_retry", v1::ValueType::Text, &["service"]);
    attribute = custodia_tests::actions::create_attribute(sandbox, 0, attribute).await.expect("created");
    attribute.etag.clear();
    let request = v1::UpdateAttributeRequest { attribute: Some(attribute) };
    let status = sandbox.catalog(1).await.update_attribute(request).await.expect_err("no etag");
    assert_eq!(fault(&status).2, "attribute.etag");
}

/// CO-5. Said again, a no is a decision of its own: it has its date and its entry in the ledger.
async fn a_no_that_is_said_again_beats_what_is_imported_with_a_date_in_between(sandbox: &Sandbox) {
    for refused in [true, false] {
        let customer_id = consenting_customer(sandbox, "marketing", "interest").await;
        let mut said = Vec::new();
        for node in 0..2 {
            let mut consents = sandbox.consents(node).await;
            let answer = if refused {
                consents.record_consent(refusal(&customer_id)).await
            } else {
                consents.withdraw_consent(withdrawal(&customer_id, "marketing")).await
            };
            said.push(answer.expect("a no").into_inner());
        }
        let ms = |state: &v1::ConsentState| {
            let at = state.decided_at.expect("a date");
            at.seconds * 1_000 + i64::from(at.nanos) / 1_000_000
        };
        assert_eq!(said[1].consent_revision, said[0].consent_revision + 1, "an entry of its own");
        assert!(ms(&said[1]) > ms(&said[0]), "calls of the other one lie between");
        let imported = v1::RecordConsentRequest {
            recording: v1::Recording::Imported.into(),
            decided_at: said[1].decided_at.map(|at| {
                if at.nanos == 0 {
                    Timestamp { seconds: at.seconds - 1, nanos: 999_000_000 }
                } else {
                    Timestamp { nanos: at.nanos - 1_000_000, ..at }
                }
            }),
            ..consent(&customer_id, "marketing")
        };
        let late = sandbox.consents(2).await.record_consent(imported).await.expect("an entry").into_inner();
        assert_eq!(late.effect(), v1::DecisionEffect::Superseded, "it is older");
        let reason = if refused { RefusalReason::ConsentRefused } else { RefusalReason::ConsentWithdrawn };
        withheld_for(sandbox, &customer_id, reason).await;
    }
}
