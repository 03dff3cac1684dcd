//! The ledger: what is appended, the chain and every way to break it, and the state as of a past moment (CO-8).

use custodia_profile::{
    CallerRole, ChainFault, ChainLink, CustomerId, CustomerRecord, Decision, FieldChange,
    GroundStatus::{Given, Refused, Withdrawn},
    LawfulBasis::{Consent, Contract},
    LedgerBody, LedgerEntry, NO_HASH, PoolId, Recorder, Stored, StoredGppString, StoredTcString,
    SubjectChange, Withdrawal, as_of, ledger_hash, record_decision, update_subject, verify_chain, withdraw,
};
use proptest::{prelude::*, sample::Index};

use crate::{
    storage::codec::hex,
    world::{
        MARKETING, NOW, RESEARCH, SERVICE, at, catalogue, context, context_of, customer, decision, label,
        made, purpose, recorder,
    },
};

/// A customer's ledger as a file holds it: each entry's bytes and the hash that is claimed for them.
#[derive(Debug, Clone)]
struct File {
    links: Vec<(Vec<u8>, [u8; 32])>,
    head: [u8; 32],
    total: u64,
}

impl File {
    fn of(customer: &CustomerId, record: &CustomerRecord, entries: &[LedgerEntry]) -> Self {
        let link = |entry: &LedgerEntry| (entry.encode(), entry.hash(customer));
        Self {
            links: entries.iter().map(link).collect(),
            head: record.ledger_head,
            total: record.ledger_entries,
        }
    }

    fn verify(&self, customer: &CustomerId) -> Result<(), ChainFault> {
        let links: Vec<_> =
            self.links.iter().map(|(canonical, hash)| ChainLink { canonical, hash: *hash }).collect();
        verify_chain(customer, &links, self.head, self.total)
    }

    fn fault(&self) -> ChainFault {
        self.verify(&customer()).unwrap_err()
    }

    /// Puts other bytes in the place of an entry, and claims the hash that they have.
    fn forge(&mut self, place: usize, entry: &LedgerEntry) {
        self.links[place] = (entry.encode(), entry.hash(&customer()));
    }
}

fn stranger() -> CustomerId {
    CustomerId::from_parts(1_700_000_000_000, [8; 10], PoolId::default())
}

/// Six entries of every kind, one a second.
fn history(customer: &CustomerId) -> (CustomerRecord, Vec<LedgerEntry>) {
    let catalogue = catalogue();
    let mut record = CustomerRecord::new(at(-1_000));
    let mut entries = Vec::new();
    let mut take = |record: &mut CustomerRecord, after: CustomerRecord, entry: Option<LedgerEntry>| {
        *record = after;
        entries.push(entry.unwrap());
    };
    let decide = |record: &CustomerRecord, decision: &Decision, second: i64| {
        let recorded =
            record_decision(record, decision, &catalogue, context_of(customer, at(second * 1_000))).unwrap();
        (recorded.record, recorded.ledger.into_iter().next())
    };
    let (after, entry) = decide(&record, &decision(RESEARCH, Consent, Given), 0);
    take(&mut record, after, entry);
    let (after, entry) = decide(&record, &decision(SERVICE, Contract, Given), 1);
    take(&mut record, after, entry);
    let moved = SubjectChange {
        regions: FieldChange::Set(["DE".parse().unwrap()].into()),
        ..SubjectChange::default()
    };
    let changed = update_subject(&record, moved, made(at(2_000)), context_of(customer, at(2_000))).unwrap();
    take(&mut record, changed.record, changed.ledger);
    let withdrawal = Withdrawal { purpose: purpose(RESEARCH), basis: Consent, channel: None };
    let withdrawn = withdraw(&record, &withdrawal, &catalogue, context_of(customer, at(3_000))).unwrap();
    take(&mut record, withdrawn.record, withdrawn.ledger.into_iter().next());
    let (after, entry) = decide(&record, &decision(MARKETING, Consent, Refused), 4);
    take(&mut record, after, entry);
    let restricted =
        SubjectChange { restriction: FieldChange::Set(label("contested")), ..SubjectChange::default() };
    let changed =
        update_subject(&record, restricted, made(at(5_000)), context_of(customer, at(5_000))).unwrap();
    take(&mut record, changed.record, changed.ledger);
    (record, entries)
}

fn file() -> File {
    let (record, entries) = history(&customer());
    File::of(&customer(), &record, &entries)
}

#[test]
fn an_untouched_ledger_is_whole() {
    let file = file();
    assert_eq!((file.links.len(), file.total), (6, 6));
    assert_eq!(file.verify(&customer()), Ok(()));
    assert_eq!(verify_chain(&customer(), &[], NO_HASH, 0), Ok(()));
}

#[test]
fn each_entry_holds_the_hash_of_the_one_before() {
    let (record, entries) = history(&customer());
    let mut previous = NO_HASH;
    for (entry, sequence) in entries.iter().zip(0..) {
        assert_eq!((entry.sequence, entry.previous), (sequence, previous));
        previous = entry.hash(&customer());
    }
    assert_eq!(record.ledger_head, previous);
}

/// SHA-256 of `custodia.ledger.v1`, the id's sixteen bytes and `abc`, as any other program computes it.
#[test]
fn the_hash_is_what_the_interface_says() {
    let hash = ledger_hash(&customer(), b"abc");
    assert_eq!(hex(&hash), "7d94bcce7072054affe7947751b0cce8d3afb109154173627258d30815d53a16");
}

#[test]
fn a_changed_byte_is_found_at_its_entry() {
    let file = file();
    for place in 0..file.links.len() {
        for byte in 0..file.links[place].0.len() {
            let mut changed = file.clone();
            changed.links[place].0[byte] ^= 1;
            assert_eq!(changed.fault(), ChainFault::Changed { sequence: place as u64 });
        }
        let mut changed = file.clone();
        changed.links[place].1[0] ^= 1;
        assert_eq!(changed.fault(), ChainFault::Changed { sequence: place as u64 });
    }
}

#[test]
fn a_changed_entry_whose_hash_is_computed_anew_is_found_at_its_place() {
    let (_, entries) = history(&customer());
    for (place, entry) in entries.iter().enumerate() {
        let mut forged = file();
        forged.forge(place, &LedgerEntry { recorded_at: at(77_777), ..entry.clone() });
        assert_eq!(forged.fault(), ChainFault::Changed { sequence: place as u64 });
    }
}

#[test]
fn a_chain_forged_from_an_entry_to_the_end_does_not_reach_the_head() {
    let (_, entries) = history(&customer());
    for from in 0..entries.len() {
        let mut forged = file();
        let mut previous = entries[from].previous;
        for (place, entry) in entries.iter().enumerate().skip(from) {
            let entry = LedgerEntry { recorded_at: at(77_777), previous, ..entry.clone() };
            forged.forge(place, &entry);
            previous = entry.hash(&customer());
        }
        assert_eq!(forged.fault(), ChainFault::Changed { sequence: 5 });
    }
}

#[test]
fn a_missing_entry_is_named() {
    for place in 0..6 {
        let mut cut = file();
        cut.links.remove(place);
        assert_eq!(cut.fault(), ChainFault::Missing { sequence: place as u64 });
    }
    let mut tail = file();
    tail.links.truncate(3);
    assert_eq!(tail.fault(), ChainFault::Missing { sequence: 3 });
    let mut all = file();
    all.links.clear();
    assert_eq!(all.fault(), ChainFault::Missing { sequence: 0 });
}

#[test]
fn a_tail_that_is_cut_and_not_counted_does_not_reach_the_head() {
    let mut cut = file();
    cut.links.truncate(4);
    cut.total = 4;
    assert_eq!(cut.fault(), ChainFault::Changed { sequence: 3 });
    cut.links.clear();
    cut.total = 0;
    assert_eq!(cut.fault(), ChainFault::Missing { sequence: 0 });
}

#[test]
fn a_first_entry_that_is_cut_and_numbered_over_is_found() {
    let (record, entries) = history(&customer());
    let mut numbered_over: Vec<_> = entries[1..].to_vec();
    for (entry, sequence) in numbered_over.iter_mut().zip(0..) {
        entry.sequence = sequence;
    }
    let mut cut = File::of(&customer(), &record, &numbered_over);
    cut.total = 5;
    assert_eq!(cut.fault(), ChainFault::Changed { sequence: 4 });
}

#[test]
fn entries_in_another_order_are_found() {
    for (one, other) in [(0, 1), (2, 3), (0, 5), (1, 4)] {
        let mut mixed = file();
        mixed.links.swap(one, other);
        assert_eq!(mixed.fault(), ChainFault::Reordered { sequence: one as u64 });
    }
    let mut twice = file();
    let again = twice.links[1].clone();
    twice.links.insert(2, again.clone());
    assert_eq!(twice.fault(), ChainFault::Reordered { sequence: 2 });
    let mut instead = file();
    instead.links[2] = again;
    assert_eq!(instead.fault(), ChainFault::Missing { sequence: 2 });
}

#[test]
fn an_entry_of_another_customer_is_found() {
    let (record, entries) = history(&stranger());
    let strange = File::of(&stranger(), &record, &entries);
    assert_eq!(strange.verify(&stranger()), Ok(()));
    assert_eq!(strange.fault(), ChainFault::Changed { sequence: 0 }, "the whole ledger of another");
    for (place, entry) in entries.iter().enumerate() {
        let mut mixed = file();
        mixed.links[place] = strange.links[place].clone();
        assert_eq!(mixed.fault(), ChainFault::Changed { sequence: place as u64 });
        mixed.forge(place, entry);
        let same_bytes = place == 0;
        assert_eq!(
            mixed.verify(&customer()).is_ok(),
            same_bytes,
            "only the first holds no hash of the customer"
        );
    }
}

#[test]
fn an_entry_too_many_is_found() {
    let (mut record, mut entries) = history(&customer());
    let (head, total) = (record.ledger_head, record.ledger_entries);
    let body = entries[0].body.clone();
    entries.push(record.append_ledger(body, context(at(9_000))));
    let more = File { head, total, ..File::of(&customer(), &record, &entries) };
    assert_eq!(more.fault(), ChainFault::Surplus { sequence: 6 });
}

#[test]
fn bytes_that_are_no_entry_are_found() {
    let mut file = file();
    file.links[4] = (vec![2, 0xff], ledger_hash(&customer(), &[2, 0xff]));
    assert_eq!(file.fault(), ChainFault::Unreadable { sequence: 4 });
}

#[test]
fn a_chain_that_stops_short_of_the_first_entry_is_found() {
    let (mut record, entries) = history(&customer());
    let mut unchained: Vec<_> = entries[..2].to_vec();
    unchained[1].previous = NO_HASH;
    record.ledger_entries = 2;
    record.ledger_head = unchained[1].hash(&customer());
    assert_eq!(File::of(&customer(), &record, &unchained).fault(), ChainFault::Changed { sequence: 0 });
    record.ledger_head = NO_HASH;
    assert_eq!(File::of(&customer(), &record, &unchained).fault(), ChainFault::Changed { sequence: 1 });
}

#[test]
fn every_entry_names_who_recorded_it_and_the_name_is_under_the_hash() {
    let (_, entries) = history(&customer());
    assert!(entries.iter().all(|entry| entry.recorded_by == recorder()));
    for (place, entry) in entries.iter().enumerate() {
        for other in [
            Recorder { name: "somebody-else".parse().unwrap(), ..recorder() },
            Recorder { role: CallerRole::Ingest, ..recorder() },
        ] {
            let mut forged = file();
            forged.links[place].0 = LedgerEntry { recorded_by: other.clone(), ..entry.clone() }.encode();
            assert_eq!(forged.fault(), ChainFault::Changed { sequence: place as u64 }, "{other}");
        }
    }
}

#[test]
fn entries_are_in_the_order_of_time_though_a_clock_is_set_back() {
    let catalogue = catalogue();
    let first = decision(RESEARCH, Consent, Given);
    let one = record_decision(&CustomerRecord::new(NOW), &first, &catalogue, context(at(60_000))).unwrap();
    let withdrawal = Withdrawal { purpose: purpose(RESEARCH), basis: Consent, channel: None };
    let two = withdraw(&one.record, &withdrawal, &catalogue, context(at(50_000))).unwrap();
    let entry = two.ledger[0].clone();
    assert_eq!(entry.recorded_at, at(60_000));
    assert_eq!(LedgerEntry::decode(&entry.encode()), Ok(entry));
}

#[test]
fn the_state_as_of_a_moment_is_what_was_recorded_by_then() {
    let (record, entries) = history(&customer());
    let ground = |law: &custodia_profile::LawAsOf, number, basis| {
        law.grounds.get(&(purpose(number), basis)).map(|state| state.status)
    };
    let before = as_of(&entries, at(-1));
    assert_eq!(before, custodia_profile::LawAsOf::default());
    let given = as_of(&entries, at(1_999));
    assert_eq!(ground(&given, RESEARCH, Consent), Some(Given));
    assert_eq!(ground(&given, SERVICE, Contract), Some(Given));
    assert!(given.subject.is_empty() && given.subject_sequence.is_none());
    let moved = as_of(&entries, at(2_000));
    assert_eq!((moved.subject.regions.len(), moved.subject_sequence), (1, Some(2)));
    let withdrawn = as_of(&entries, at(3_000));
    assert_eq!(ground(&withdrawn, RESEARCH, Consent), Some(Withdrawn));
    assert_eq!(withdrawn.ground_sequences.get(&(purpose(RESEARCH), Consent)), Some(&3));
    let now = as_of(&entries, at(9_000));
    assert_eq!((now.grounds, now.subject), (record.grounds, record.subject));
}

#[test]
fn a_consent_string_is_part_of_the_state_as_of_a_moment() {
    let stored = StoredTcString { text: label("CQ"), recorded_at: NOW };
    let mut record = CustomerRecord::new(NOW);
    let entry = record.append_ledger(LedgerBody::TcString(stored.clone()), context(NOW));
    assert_eq!(as_of([&entry], NOW).tc_string, Some(stored));
    let stored = StoredGppString { text: label("DBAA"), recorded_at: NOW };
    let entry = record.append_ledger(LedgerBody::GppString(stored.clone()), context(NOW));
    assert_eq!(as_of([&entry], NOW).gpp_string, Some(stored));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever is done to a ledger of `count` entries, it is whole only if it is the one that was written.
    #[test]
    fn only_the_ledger_that_was_written_is_whole(
        count in 1_usize..12, place: Index, other: Index, byte: Index, flip in 1_u8..=255, kind in 0_u8..5
    ) {
        let mut record = CustomerRecord::new(NOW);
        let body = |number: usize| LedgerBody::TcString(StoredTcString {
            text: label(&format!("text {number}")), recorded_at: NOW,
        });
        let entries: Vec<_> =
            (0..count).map(|number| record.append_ledger(body(number), context(at(number as i64)))).collect();
        let mut file = File::of(&customer(), &record, &entries);
        prop_assert_eq!(file.verify(&customer()), Ok(()));
        let (place, other) = (place.index(count), other.index(count));
        match kind {
            0 => drop(file.links.remove(place)),
            1 => file.links.swap(place, other),
            2 => file.links.insert(other, file.links[place].clone()),
            3 => {
                let byte = byte.index(file.links[place].0.len());
                file.links[place].0[byte] ^= flip;
            }
            _ => {
                let byte = byte.index(file.links[place].0.len());
                file.links[place].0[byte] ^= flip;
                file.links[place].1 = ledger_hash(&customer(), &file.links[place].0);
            }
        }
        prop_assert_eq!(file.verify(&customer()).is_ok(), kind == 1 && place == other);
    }
}
