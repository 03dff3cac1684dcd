//! The receipt.

use custodia_profile::RefusalReason;

use super::*;

#[test]
fn a_receipt_lists_as_services_only_what_is_in_force() {
    let receipt = json(Format::Receipt, &full_record());
    let purposes = receipt["services"][0]["purposes"].as_array().expect("a list");
    let entries: Vec<_> = purposes
        .iter()
        .map(|entry| {
            (entry["purpose"].as_str().expect("a name"), entry["consentType"].as_str().expect("a type"))
        })
        .collect();
    let act = "A clear affirmative act: ticked a box, via web";
    let expected = [("Our newsletter", act), ("care", "EXPLICIT"), ("orders", "N/A"), ("ads", act)];
    assert_eq!(entries, expected);
    let apart = receipt["notInForce"].as_array().expect("a list");
    let said: Vec<_> =
        apart.iter().map(|entry| (entry["purpose"].as_str(), entry["reason"].as_str())).collect();
    let expected =
        [(Some("Our newsletter"), Some("CONSENT_RELIED_ON")), (Some("orders"), Some("CONSENT_WITHDRAWN"))];
    assert_eq!(said, expected);
    assert_eq!(apart[1]["explanation"], RefusalReason::ConsentWithdrawn.explanation());
    assert_eq!(
        (receipt["sensitive"].as_bool(), &receipt["spiCat"]),
        (Some(true), &serde_json::json!(["allergies", "health"]))
    );
    assert_eq!(receipt["issuedAt"], 1_750_000_000);
    assert_eq!(receipt["consentTimestamp"], 1_749_913_600);
}

#[test]
fn a_receipt_names_third_parties_where_there_are_recipients_and_only_there() {
    let receipt = json(Format::Receipt, &full_record());
    for entry in receipt["services"][0]["purposes"].as_array().expect("a list") {
        let (disclosed, names) = (&entry["thirdPartyDisclosure"], entry.get("thirdPartyName"));
        assert_eq!(disclosed.as_bool().expect("a flag"), names.is_some(), "{entry}");
    }
    let purposes = &receipt["services"][0]["purposes"];
    assert_eq!(purposes[0]["thirdPartyName"], "The mailing house", "it does not sell, and has a recipient");
    assert_eq!(purposes[1]["thirdPartyDisclosure"], false);
    assert_eq!(purposes[3]["thirdPartyName"], "broker, The mailing house");
}

#[test]
fn a_receipt_names_the_language_by_two_letters_or_not_at_all() {
    assert_eq!(json(Format::Receipt, &full_record())["language"], "de");
    let mut unknown = given(ConsentMethod::Explicit);
    unknown.evidence = None;
    unknown.notice = Some(NoticeId::new("notice", "3").expect("a version"));
    let receipt = json(Format::Receipt, &record(vec![(CARE, LawfulBasis::Consent, unknown)]));
    assert_eq!(receipt.get("language"), None);
}

#[test]
fn there_is_no_receipt_where_nothing_was_consented_to() {
    let catalogue = catalogue();
    let controller = controller();
    let refused = |record: &CustomerRecord, past: Vec<GroundState>| {
        let purposes = vec![&**catalogue.purpose(number(CARE)).expect("a purpose")];
        let mut exported = Exported::new(customer(), record, purposes, &catalogue, &controller, NOW);
        exported.past.insert(number(CARE), past);
        match Format::Receipt.document(&exported) {
            Ok(text) => Ok(serde_json::from_str::<Json>(&text).expect("JSON")),
            Err(ServiceError::NothingConsented) => Err(()),
            Err(other) => panic!("{other}"),
        }
    };
    let consent = |status| record(vec![(CARE, LawfulBasis::Consent, decided(status))]);
    let contract = record(vec![(CARE, LawfulBasis::Contract, decided(GroundStatus::Given))]);
    for nothing in
        [record(Vec::new()), contract, consent(GroundStatus::Refused), consent(GroundStatus::Requested)]
    {
        assert!(refused(&nothing, Vec::new()).is_err());
    }
    // What was given and taken back has one, of the time at which it was given.
    let given = GroundState { decided_at: NOW.plus_ms(-5_000), ..given(ConsentMethod::Explicit) };
    let withdrawn = consent(GroundStatus::Withdrawn);
    let receipt = refused(&withdrawn, vec![given, decided(GroundStatus::Withdrawn)]).expect("a receipt");
    assert_eq!(receipt["consentTimestamp"], 1_749_999_995);
    assert_eq!(receipt["notInForce"][0]["reason"], "CONSENT_WITHDRAWN");
}
