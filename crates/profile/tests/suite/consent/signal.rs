//! What a customer's browser and consent platform say: Global Privacy Control and TC strings.

use custodia_profile::{
    Catalogue, CustomerRecord, DecidedBy, Decision, GroundStatus,
    GroundStatus::{Given, Refused, Withdrawn},
    Jurisdiction, JurisdictionFields,
    LawfulBasis::{self, Consent},
    LedgerBody, Permission, PrivacySignal, ProfileError, Purpose, PurposeFields, Reader, RefusalReason,
    SignalRecorded, TcString, TimestampMs, Verdict, Withdrawal, record_decision, record_signal,
    record_tc_string, withdraw,
};

use crate::world::{
    MARKETING, NOW, RESEARCH, answering, at, catalogue as without_sale, context, customer, decision, label,
    made, purpose, purpose_fields, state,
};

/// By consent, and sold.
const SELLING: u32 = 21;
/// By consent, and shared.
const SHARING: u32 = 22;

fn catalogue() -> Catalogue {
    let mut catalogue = without_sale();
    for (number, id) in [(SELLING, "selling"), (SHARING, "sharing")] {
        let fields = PurposeFields { sale_or_sharing: true, ..purpose_fields(number, id, &[Consent]) };
        catalogue.put_purpose(Purpose::new(fields).unwrap()).unwrap();
    }
    catalogue
}

fn of_region(region: &str) -> CustomerRecord {
    let mut record = CustomerRecord::new(at(-1_000));
    record.subject.regions = [region.parse().unwrap()].into();
    record
}

fn signal(record: &CustomerRecord, now: TimestampMs) -> SignalRecorded {
    record_signal(record, PrivacySignal::Gpc, Some(&label("web")), &catalogue(), context(now))
}

fn statuses(record: &CustomerRecord) -> [Option<GroundStatus>; 2] {
    [SELLING, SHARING].map(|number| record.ground(purpose(number), Consent).map(|state| state.status))
}

fn give(record: &CustomerRecord, now: TimestampMs) -> CustomerRecord {
    let given = Decision { decided_at: Some(now), ..decision(SELLING, Consent, Given) };
    record_decision(record, &answering(record, given), &catalogue(), context(now)).unwrap().record
}

#[test]
fn a_signal_refuses_every_purpose_of_sale_or_sharing_and_no_other() {
    let before = of_region("US-CA");
    let after = signal(&before, NOW);
    assert!(after.honoured);
    assert_eq!(statuses(&after.record), [Some(Refused), Some(Refused)]);
    assert_eq!(after.record.grounds.len(), 2);
    // By the names of the purposes: selling, sharing.
    let states: Vec<_> = after.states.iter().map(|(number, state)| (*number, state.status)).collect();
    assert_eq!(states, [(purpose(SELLING), Refused), (purpose(SHARING), Refused)]);
    let (_, state) = &after.states[0];
    assert_eq!((state.decided_by(), state.decided_at), (DecidedBy::DataSubject, NOW));
    assert_eq!(state.reference.as_ref().map(|of| of.as_str()), Some("Sec-GPC: 1"));
    assert_eq!(state.channel.as_ref().map(|of| of.as_str()), Some("web"));
    assert_eq!(after.ledger.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(after.ledger[1].previous, after.ledger[0].hash(&customer()));
    assert_eq!(after.ledger[2].body, LedgerBody::Subject(after.record.subject.clone()));
    assert_eq!(after.record.ledger_head, after.ledger[2].hash(&customer()));
}

#[test]
fn a_signal_refuses_purposes_of_sale_that_come_later_until_the_customer_consents() {
    let record = record_signal(&of_region("US-CA"), PrivacySignal::Gpc, None, &without_sale(), context(NOW));
    assert!(record.states.is_empty(), "there was no such purpose yet");
    let catalogue = catalogue();
    let selling = catalogue.purpose(purpose(SELLING)).unwrap();
    let verdict = |record: &CustomerRecord| {
        Permission::for_purpose(selling, Reader::Controller, record, &catalogue, at(10)).verdict()
    };
    assert_eq!(verdict(&record.record), Verdict::Refuse(RefusalReason::ConsentRefused));
    assert!(verdict(&of_region("US-CA")).ground().is_some(), "without the signal the law is opt-out");
    let mut moved = record.record.clone();
    moved.subject.regions = ["US".parse().unwrap()].into();
    assert_eq!(verdict(&moved), Verdict::Refuse(RefusalReason::ConsentRefused));
    assert_eq!(verdict(&give(&record.record, at(1))).ground(), Some(Consent), "a later consent lifts it");
}

#[test]
fn a_signal_that_is_not_honoured_is_remembered_for_where_it_is_and_one_of_several_is_enough() {
    let europe = signal(&of_region("DE"), NOW);
    assert_eq!((europe.honoured, europe.ledger.len(), europe.states), (false, 1, Vec::new()));
    assert_eq!((statuses(&europe.record), europe.record.subject.sale_opt_out), ([None, None], Some(NOW)));
    assert_eq!(signal(&europe.record, at(1)).record, europe.record, "said again it changes nothing");
    let catalogue = catalogue();
    let selling = catalogue.purpose(purpose(SELLING)).unwrap();
    let mut moved = europe.record;
    moved.subject.regions = ["US-CA".parse().unwrap()].into();
    let permission = Permission::for_purpose(selling, Reader::Controller, &moved, &catalogue, at(1));
    assert_eq!(permission.verdict(), Verdict::Refuse(RefusalReason::ConsentRefused));
    let mut both = of_region("DE");
    both.subject.regions.insert("US-CA".parse().unwrap());
    assert!(signal(&both, NOW).honoured);
    assert!(signal(&CustomerRecord::new(NOW), NOW).honoured, "the default jurisdiction honours it");
}

#[test]
fn a_signal_beats_every_basis_of_a_purpose_of_sale() {
    let mut catalogue = catalogue();
    let fields =
        PurposeFields { sale_or_sharing: true, ..purpose_fields(23, "bartering", &[LawfulBasis::Contract]) };
    catalogue.put_purpose(Purpose::new(fields).unwrap()).unwrap();
    let bartering = catalogue.purpose(purpose(23)).unwrap();
    let verdict = |record: &CustomerRecord| {
        Permission::for_purpose(bartering, Reader::Controller, record, &catalogue, at(1)).verdict()
    };
    let mut before = of_region("US-CA");
    before.grounds.insert((purpose(23), LawfulBasis::Contract), state(Given, at(-1)));
    assert_eq!(verdict(&before).ground(), Some(LawfulBasis::Contract));
    let after = signal(&before, NOW).record;
    assert_eq!(verdict(&after), Verdict::Refuse(RefusalReason::ConsentRefused));
}

#[test]
fn a_signal_said_again_changes_nothing_until_something_was_permitted_since() {
    let once = signal(&of_region("US-CA"), NOW);
    let twice = signal(&once.record, at(1));
    assert_eq!((&twice.record, twice.ledger.len(), twice.states), (&once.record, 0, once.states));
    let given = give(&once.record, at(2));
    assert_eq!(statuses(&given), [Some(Given), Some(Refused)]);
    let thrice = signal(&given, at(3));
    assert_eq!((statuses(&thrice.record), thrice.ledger.len()), ([Some(Refused), Some(Refused)], 2));
}

/// 11 CCR §7025(c)(3): a jurisdiction may let a consent stand that was given after the signal, though it is repeated.
#[test]
fn a_repeated_signal_yields_to_a_consent_where_the_jurisdiction_says_so() {
    let mut catalogue = catalogue();
    let strict = catalogue.jurisdiction("us-ca").unwrap();
    let lenient = JurisdictionFields { gpc_yields_to_consent: true, ..(***strict).clone() };
    catalogue.put_jurisdiction(Jurisdiction::new(lenient).unwrap()).unwrap();
    let signal = |record: &CustomerRecord, now| {
        record_signal(record, PrivacySignal::Gpc, None, &catalogue, context(now)).record
    };
    let given = give(&of_region("US-CA"), at(-1));
    let once = signal(&given, NOW);
    assert_eq!(statuses(&once), [Some(Refused), Some(Refused)], "the first signal beats an earlier consent");
    let given = give(&once, at(2));
    assert_eq!(signal(&given, at(3)), given);
    let own = record_signal(&given, PrivacySignal::DoNotSell, None, &catalogue, context(at(4))).record;
    assert_eq!(statuses(&own), [Some(Refused), Some(Refused)], "the customer's own opt-out counts");
}

#[test]
fn a_signal_holds_though_a_consent_was_dated_ahead_of_the_clock() {
    let ahead = Decision { decided_at: Some(at(200_000)), ..decision(SELLING, Consent, Given) };
    let given = record_decision(&of_region("US-CA"), &ahead, &catalogue(), context(NOW)).unwrap();
    assert_eq!(statuses(&signal(&given.record, at(1)).record), [Some(Refused), Some(Refused)]);
}

#[test]
fn a_withdrawal_that_stands_is_left_as_it_is() {
    let given = give(&of_region("US-CA"), NOW);
    let withdrawal = Withdrawal { purpose: purpose(SELLING), basis: Consent, channel: None };
    let withdrawn = withdraw(&given, &withdrawal, &catalogue(), context(at(1))).unwrap();
    let after = signal(&withdrawn.record, at(2));
    assert_eq!(statuses(&after.record), [Some(Withdrawn), Some(Refused)]);
    assert_eq!(after.states.first().map(|(_, state)| state), Some(&withdrawn.state));
}

#[test]
fn the_other_purposes_keep_their_state() {
    let research = decision(RESEARCH, Consent, Given);
    let given = record_decision(&of_region("US-CA"), &research, &catalogue(), context(NOW)).unwrap();
    let after = signal(&given.record, at(1)).record;
    assert_eq!(after.ground(purpose(RESEARCH), Consent), Some(&given.state));
    assert_eq!(after.ground(purpose(MARKETING), Consent), None);
}

/// Cal. Civ. Code §1798.120(a): the customer's own opt-out needs no law that honours a browser's signal.
#[test]
fn the_customers_own_opt_out_of_sale_counts_everywhere_and_for_later_purposes() {
    for region in ["DE", "US-CA"] {
        let own = |record: &CustomerRecord, now| {
            record_signal(record, PrivacySignal::DoNotSell, None, &catalogue(), context(now))
        };
        let after = own(&of_region(region), NOW);
        assert!(after.honoured);
        assert_eq!((statuses(&after.record), after.ledger.len()), ([Some(Refused), Some(Refused)], 3));
        assert_eq!((after.record.subject.do_not_sell, after.record.subject.sale_opt_out), (Some(NOW), None));
        assert_eq!(own(&after.record, at(1)).record, after.record, "said again it changes nothing");
        let early =
            record_signal(&of_region(region), PrivacySignal::DoNotSell, None, &without_sale(), context(NOW));
        let late = decision(SELLING, Consent, Given);
        let error = record_decision(&early.record, &late, &catalogue(), context(at(9))).unwrap_err();
        assert_eq!(error, ProfileError::NoStands { reason: RefusalReason::ConsentRefused });
    }
}

/// Cal. Civ. Code §1798.121: a limit refuses no purpose, is remembered, and a repetition is newer than a consent since.
#[test]
fn a_limit_on_sensitive_data_is_remembered_and_refuses_no_purpose() {
    let limit = |record: &CustomerRecord, now| {
        record_signal(record, PrivacySignal::LimitSensitive, None, &catalogue(), context(now))
    };
    let once = limit(&of_region("US-CA"), NOW);
    assert_eq!((once.honoured, once.ledger.len(), once.states), (true, 1, Vec::new()));
    assert_eq!((statuses(&once.record), once.record.subject.sensitive_limit), ([None, None], Some(NOW)));
    assert_eq!(limit(&once.record, at(1)).record, once.record);
    let given = give(&once.record, at(2));
    assert_eq!(limit(&given, at(3)).record.subject.sensitive_limit, Some(at(3)));
}

/// A signal counts once a region honours it, so it must be newer than a consent of before it was repeated.
#[test]
fn a_signal_repeated_where_no_law_honours_it_beats_a_consent_given_since() {
    let once = signal(&of_region("DE"), NOW);
    let given = give(&once.record, at(2));
    let twice = signal(&given, at(3));
    assert_eq!((twice.ledger.len(), twice.record.subject.sale_opt_out), (1, Some(at(3))));
    let catalogue = catalogue();
    let selling = catalogue.purpose(purpose(SELLING)).unwrap();
    let mut moved = twice.record;
    moved.subject.regions = ["US-CA".parse().unwrap()].into();
    let permission = Permission::for_purpose(selling, Reader::Controller, &moved, &catalogue, at(4));
    assert_eq!(permission.verdict(), Verdict::Refuse(RefusalReason::ConsentRefused));
    let late = decision(SELLING, Consent, Given);
    let error = record_decision(&moved, &late, &catalogue, context(at(9))).unwrap_err();
    assert_eq!(error, ProfileError::NoStands { reason: RefusalReason::ConsentRefused });
}

/// The example of the specification, brought up to policy version 5; updated on 2025-06-03.
const TC_STRING: &str = "CQSbk4AQSbk4ANwAAAENAwFgAAAAAAAAAAYgACPAAAAA.IDKQA4AAgAKAGQAygAAA.YAAAAAAAAAAA";
const TC_NOW: TimestampMs = TimestampMs::from_ms(1_751_500_800_000);

#[test]
fn a_tc_string_is_stored_with_its_ledger_entry_and_once() {
    let before = CustomerRecord::new(TC_NOW);
    let after = record_tc_string(&before, TC_STRING, made(TC_NOW), context(TC_NOW)).unwrap();
    let stored = after.record.tc_string.clone().unwrap();
    assert_eq!((stored.text.as_str(), stored.recorded_at), (TC_STRING, TC_NOW));
    let entry = after.ledger.unwrap();
    assert_eq!((entry.sequence, entry.body.clone()), (0, LedgerBody::TcString(stored)));
    assert_eq!(after.record.ledger_head, entry.hash(&customer()));
    let again = record_tc_string(&after.record, TC_STRING, made(TC_NOW), context(TC_NOW.plus_ms(1))).unwrap();
    assert_eq!((again.record, again.ledger), (after.record, None));
}

#[test]
fn a_tc_string_that_was_updated_before_the_stored_one_is_refused() {
    // The same string, updated a day earlier.
    let older = TC_STRING.replacen("CQSbk4AQSbk4A", "CQSYR8AQSYR8A", 1);
    let updated = |text: &str| TcString::parse(text, TC_NOW).unwrap().last_updated;
    assert!(updated(&older) < updated(TC_STRING));
    let newer =
        record_tc_string(&CustomerRecord::new(TC_NOW), TC_STRING, made(TC_NOW), context(TC_NOW)).unwrap();
    let late = record_tc_string(&newer.record, &older, made(TC_NOW), context(TC_NOW.plus_ms(1)));
    assert_eq!(late.unwrap_err(), ProfileError::TcStringSuperseded);
    let first =
        record_tc_string(&CustomerRecord::new(TC_NOW), &older, made(TC_NOW), context(TC_NOW)).unwrap();
    let then = record_tc_string(&first.record, TC_STRING, made(TC_NOW), context(TC_NOW.plus_ms(1))).unwrap();
    assert_eq!(then.record.tc_string.unwrap().text.as_str(), TC_STRING);
}

/// Strings name the day of their update alone. Of two of one day the one that was sent later counts, and a late retry of
/// the earlier one does not bring it back.
#[test]
fn of_two_tc_strings_of_one_day_the_one_that_was_sent_later_counts() {
    let other = TC_STRING.replacen("NwAAAENAwF", "NwAAAEDEwF", 1);
    assert_ne!(other, TC_STRING);
    let first = record_tc_string(&CustomerRecord::new(TC_NOW), TC_STRING, made(TC_NOW), context(TC_NOW));
    let first = first.unwrap().record;
    let later = TC_NOW.plus_ms(5);
    let second = record_tc_string(&first, &other, made(later), context(later)).unwrap().record;
    assert_eq!(second.tc_string.as_ref().unwrap().text.as_str(), other);
    let retry = record_tc_string(&second, TC_STRING, made(TC_NOW), context(TC_NOW.plus_ms(9)));
    assert_eq!(retry.unwrap_err(), ProfileError::RequestSuperseded);
}

#[test]
fn a_tc_string_that_is_malformed_or_out_of_date_is_not_stored() {
    let before = CustomerRecord::new(TC_NOW);
    let error = record_tc_string(&before, "C!", made(TC_NOW), context(TC_NOW)).unwrap_err();
    assert!(matches!(error, ProfileError::TcString { .. }));
    let two_years_on = TC_NOW.plus_ms(2 * 366 * 24 * 60 * 60 * 1_000);
    let error = record_tc_string(&before, TC_STRING, made(TC_NOW), context(two_years_on)).unwrap_err();
    assert_eq!(error.field(), Some("tc_string"));
}
