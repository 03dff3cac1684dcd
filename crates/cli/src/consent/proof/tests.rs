//! A good file holds; whatever is done to one is found, at the line where it was done.

use custodia_profile::{
    AffirmativeAct, CallerRole, ChangeContext, ConsentMethod, CustomerRecord, DataSubject, Evidence,
    GroundState, GroundStatus, Label, LawfulBasis, LedgerBody, NO_HASH, PoolId, PurposeId, PurposeNumber,
    Recorder, Region, TimestampMs,
};

use super::*;

const PURPOSES: [&str; 4] = ["offers", "analytics", "partner-ads", "service"];

fn customer(number: u64) -> CustomerId {
    CustomerId::from_parts(1_700_000_000_000 + number, [7; 10], PoolId::DEFAULT)
}

fn ground(place: u32) -> LedgerBody {
    let now = TimestampMs::from_ms(1_767_225_600_000 + i64::from(place) * 60_000);
    let evidence = Evidence { act: Some(AffirmativeAct::TickedBox), ..Evidence::default() };
    let state = GroundState {
        method: Some(ConsentMethod::Explicit),
        notice: Label::optional("notice", "2026-01").unwrap(),
        evidence: Some(evidence),
        ..GroundState::bare(GroundStatus::Given, now, now)
    };
    let name = PURPOSES[usize::try_from(place).unwrap() % PURPOSES.len()];
    LedgerBody::Ground {
        purpose: PurposeNumber::new(place + 1).unwrap(),
        purpose_id: PurposeId::new(name).unwrap(),
        basis: LawfulBasis::Consent,
        state,
    }
}

/// Four decisions and what is known of the customer.
fn history(customer: CustomerId) -> v1::ListConsentHistoryResponse {
    let start = TimestampMs::from_ms(1_767_225_600_000);
    let mut record = CustomerRecord::new(start);
    let subject = DataSubject { regions: [Region::new("DE").unwrap()].into(), ..DataSubject::default() };
    let bodies = (0..4).map(ground).chain([LedgerBody::Subject(subject)]);
    let recorder = Recorder { name: "dpo".parse().unwrap(), role: CallerRole::Privacy };
    let mut entries = Vec::new();
    for body in bodies {
        let context = ChangeContext { customer: &customer, recorded_by: &recorder, now: start, history: &[] };
        let entry = record.append_ledger(body, context);
        entries.push(v1::ConsentHistoryEntry {
            sequence: entry.sequence,
            canonical: entry.encode(),
            hash: entry.hash(&customer).to_vec(),
            ..Default::default()
        });
    }
    v1::ListConsentHistoryResponse {
        customer_id: customer.to_string(),
        entries,
        next_page_token: String::new(),
        entries_total: record.ledger_entries,
        head: record.ledger_head.to_vec(),
    }
}

fn good() -> String {
    file_of(&history(customer(1)))
}

/// The file after something was done to its lines.
fn changed(change: impl FnOnce(&mut Vec<String>)) -> Result<Header, Fault> {
    let mut lines: Vec<_> = good().lines().map(str::to_owned).collect();
    change(&mut lines);
    verify(&(lines.join("\n") + "\n"), None)
}

fn fault(change: impl FnOnce(&mut Vec<String>)) -> (u64, String) {
    let Fault { line, reason } = changed(change).unwrap_err();
    (line, reason)
}

#[test]
fn a_good_file_holds_and_says_what_its_bytes_say() {
    let text = good();
    let header = verify(&text, None).unwrap();
    assert_eq!((header.entries, header.customer_id), (5, customer(1).to_string()));
    assert_eq!(verify(&text, Some(&header.head)).map(|header| header.entries), Ok(5));
    let line: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!(line["ground"]["purpose"], "offers");
    assert_eq!(line["ground"]["evidence"]["act"], "ticked-box");
    assert_eq!(line["recorded_at"], "2026-01-01T00:00:00Z");
    assert_eq!(line["recorded_by"], serde_json::json!({ "name": "dpo", "role": "privacy" }));
    assert_eq!(line["ground"]["expires_at"], Value::Null);
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["data_subject"]["regions"][0], "DE");
}

#[test]
fn a_customer_without_decisions_has_a_file_too() {
    let history = v1::ListConsentHistoryResponse {
        customer_id: customer(1).to_string(),
        head: NO_HASH.to_vec(),
        ..Default::default()
    };
    assert_eq!(verify(&file_of(&history), None).map(|header| header.entries), Ok(0));
}

#[test]
fn words_that_the_bytes_do_not_say_are_found() {
    let (line, reason) = fault(|lines| lines[2] = lines[2].replace("analytics", "marketing"));
    assert_eq!((line, reason.as_str()), (3, "`ground.purpose` differs from the entry's bytes"));
    let (line, reason) = fault(|lines| lines[3] = lines[3].replace("\"ticked-box\"", "\"signed\""));
    assert_eq!(line, 4);
    assert!(reason.contains("ground.evidence.act"), "{reason}");
    let (_, reason) = fault(|lines| lines[4] = lines[4].replace("\"privacy\"", "\"ingest\""));
    assert_eq!(reason, "`recorded_by.role` differs from the entry's bytes");
    let (line, reason) = fault(|lines| lines[5] = lines[5].replace("\"DE\"", "\"FR\""));
    assert_eq!((line, reason.contains("data_subject.regions")), (6, true), "{reason}");
    let (_, reason) = fault(|lines| lines[1] = lines[1].replacen('{', "{\"note\":1,", 1));
    assert!(reason.contains("`note`"), "{reason}");
}

#[test]
fn a_field_that_stands_twice_is_found_although_one_of_them_is_right() {
    let (line, reason) =
        fault(|lines| lines[1] = lines[1].replace("{\"purpose\"", "{\"status\":\"refused\",\"purpose\""));
    assert_eq!((line, reason.contains("repeated")), (2, true), "{reason}");
}

#[test]
fn changed_bytes_are_found_whether_or_not_their_hash_was_made_to_fit() {
    let mut forged = history(customer(1));
    let LedgerBody::Ground { purpose, purpose_id, basis, mut state } = ground(1) else { panic!("a ground") };
    state.status = GroundStatus::Refused;
    let entry = LedgerEntry::decode(&forged.entries[1].canonical).unwrap();
    let entry = LedgerEntry { body: LedgerBody::Ground { purpose, purpose_id, basis, state }, ..entry };
    forged.entries[1].canonical = entry.encode();
    let unhashed = verify(&file_of(&forged), None).unwrap_err();
    assert_eq!((unhashed.line, unhashed.reason.contains("changed")), (3, true), "{unhashed:?}");
    forged.entries[1].hash = entry.hash(&customer(1)).to_vec();
    let hashed = verify(&file_of(&forged), None).unwrap_err();
    assert_eq!((hashed.line, hashed.reason.contains("changed")), (3, true), "{hashed:?}");
}

#[test]
fn a_line_that_is_missing_moved_or_added_is_found() {
    let (line, reason) = fault(|lines| drop(lines.remove(3)));
    assert_eq!((line, reason.contains("missing")), (4, true), "{reason}");
    let (line, reason) = fault(|lines| drop(lines.pop()));
    assert_eq!((line, reason.contains("missing")), (6, true), "the last one too: {reason}");
    let (line, reason) = fault(|lines| lines.swap(2, 3));
    assert_eq!((line, reason.contains("out of order")), (3, true), "{reason}");
    let (line, reason) = fault(|lines| lines.push(lines[5].clone()));
    assert_eq!((line, reason.contains("fewer")), (7, true), "{reason}");
}

#[test]
fn a_history_that_was_cut_short_and_counted_anew_does_not_have_the_head() {
    let (line, _) = fault(|lines| {
        lines.pop();
        lines[0] = lines[0].replace("\"entries\":5", "\"entries\":4");
    });
    assert_eq!(line, 5, "the last entry is not the one that the head names");
}

#[test]
fn the_history_of_another_customer_is_found() {
    let other = customer(2).to_string();
    let (line, reason) = fault(|lines| lines[0] = lines[0].replace(&customer(1).to_string(), &other));
    assert_eq!((line, reason.contains("another customer")), (2, true), "{reason}");
}

#[test]
fn a_whole_new_history_is_found_by_a_head_that_was_noted() {
    let noted = verify(&good(), None).unwrap().head;
    let mut short = history(customer(1));
    short.entries.truncate(3);
    short.entries_total = 3;
    short.head.clone_from(&short.entries[2].hash);
    let text = file_of(&short);
    assert!(verify(&text, None).is_ok(), "by itself it holds together");
    assert_eq!(verify(&text, Some(&noted)).unwrap_err().line, 1);
}

#[test]
fn what_is_no_history_is_named_by_its_line() {
    assert_eq!(verify("", None).unwrap_err().line, 1);
    assert_eq!(fault(|lines| lines[0] = lines[0].replace("history-2", "history-9")).0, 1);
    assert_eq!(fault(|lines| lines[0] = lines[0].replace("\"head\":\"", "\"head\":\"x")).0, 1);
    assert_eq!(fault(|lines| lines[4] = "nonsense".into()).0, 5);
    assert_eq!(fault(|lines| lines.insert(2, String::new())).0, 3);
    let (line, reason) = fault(|lines| lines[2] = "{\"canonical\":\"ff\",\"hash\":\"00\"}".into());
    assert_eq!((line, reason.contains("32 bytes")), (3, true), "{reason}");
}
