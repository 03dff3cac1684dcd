//! The events of a consent record (CO-5).

use custodia_profile::ConsentMethod;

use super::*;

/// Guide, section 8.5: each event with its own time, entity and method; CO-5.
#[test]
fn a_consent_record_tells_every_event_and_each_event_its_own_act() {
    let asked = GroundState { evidence: None, method: None, ..decided(GroundStatus::Requested) };
    let later = |state: GroundState, ms| GroundState { decided_at: NOW.plus_ms(ms), ..state };
    // A withdrawal keeps the evidence of what it takes back.
    let withdrawn = GroundState {
        channel: Some(Channel::new("channel", "phone").expect("a channel")),
        ..later(given(ConsentMethod::Explicit), -10)
    };
    let withdrawn = GroundState { status: GroundStatus::Withdrawn, ..withdrawn };
    let graph = with_past(vec![later(asked, -30), later(given(ConsentMethod::Explicit), -20)], withdrawn);
    let statuses = graph["dpv:hasConsentStatus"].as_array().expect("a list");
    let kinds: Vec<_> = statuses.iter().map(|status| status["@type"].clone()).collect();
    let expected = serde_json::json!([
        ["dpv:ConsentRequested", "dpv:ExpressedConsent"],
        ["dpv:ConsentGiven", "dpv:ExplicitlyExpressedConsent"],
        ["dpv:ConsentWithdrawn", "dpv:ExplicitlyExpressedConsent"]
    ]);
    assert_eq!(Json::from(kinds), expected);
    let by: Vec<_> = statuses.iter().map(|status| &status["dpv:isIndicatedBy"]).collect();
    assert_eq!(by, [&graph["dpv:hasDataController"], &"dpv:DataSubject".into(), &"dpv:DataSubject".into()]);
    let methods: Vec<_> = statuses.iter().map(|status| &status["dpv:hasIndicationMethod"]).collect();
    assert_eq!(methods, [&"via web".into(), &Json::from("ticked a box, via web"), &"via phone".into()]);
    assert!(statuses[1].get("dct:source").is_some() && statuses[2].get("dct:source").is_none());
}

/// Guide, sections 8.2.1 and 8.5: the act of giving is not rewritten when the consent ends, nor is its notice when another
/// one follows.
#[test]
fn a_consent_record_keeps_the_notice_of_each_decision_and_tells_the_end_apart() {
    let with = |version: &str, ms: i64, state: GroundState| GroundState {
        notice: Some(NoticeId::new("notice", version).expect("a version")),
        decided_at: NOW.plus_ms(ms),
        ..state
    };
    let consent = || given(ConsentMethod::Explicit);
    let last = GroundState { expires_at: Some(NOW.plus_ms(-1)), ..with("2", -20, consent()) };
    let graph = with_past(vec![with("1", -30, consent())], last.clone());
    let identifiers = |of: &Json| of["dct:identifier"].as_str().expect("a notice").to_owned();
    let shown: Vec<_> = graph["dpv:hasNotice"].as_array().expect("a list").iter().map(identifiers).collect();
    assert_eq!(shown, ["newsletter/1", "newsletter/2"]);
    let statuses = graph["dpv:hasConsentStatus"].as_array().expect("a list");
    let told: Vec<_> = statuses
        .iter()
        .map(|status| {
            (status["@type"][0].as_str().expect("a type"), status["dpv:hasNotice"]["dct:identifier"].as_str())
        })
        .collect();
    let expected = [
        ("dpv:ConsentGiven", Some("newsletter/1")),
        ("dpv:ConsentGiven", Some("newsletter/2")),
        ("dpv:ConsentExpired", None),
    ];
    assert_eq!(told, expected);
    assert_eq!(statuses[2]["dpv:isIndicatedAtTime"], iso_8601(NOW.plus_ms(-1)));
    assert_eq!(statuses[2]["dpv:isIndicatedBy"], graph["dpv:hasDataController"]);
    let invalidated = GroundState { status: GroundStatus::Invalidated, notice: None, ..last.clone() };
    let graph = with_past(vec![with("1", -30, consent()), last], invalidated);
    let shown: Vec<_> = graph["dpv:hasNotice"].as_array().expect("a list").iter().map(identifiers).collect();
    assert_eq!(shown, ["newsletter/1", "newsletter/2"], "they are not lost");
}
