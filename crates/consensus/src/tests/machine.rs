//! Laws of apply: the same entries give the same bytes, however they are cut into chunks, and a command sees the writes of
//! those before it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use custodia_profile::{CustomerId, GroupId, PoolId, ReplicaId, ShardId};
use custodia_store::{
    Batch, Key, KeyPrefix, MemoryEngine, Pair, ReplicaEntry, StateChecksums, StateEngine, ValueHeader,
};
use futures::StreamExt;
use openraft::EntryPayload;
use openraft::entry::RaftEntry;
use openraft::impls::leader_id_adv::LeaderId;
use openraft::storage::RaftStateMachine;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use crate::command::{Command, CommandBatch, Condition, Expected, Outcome, Write};
use crate::error::ConsensusError;
use crate::raft::log::ReplicaLog;
use crate::raft::machine::{StateMachine, apply, read_applied};
use crate::raft::record::Applied;
use crate::raft::snapshot_stream::chunks;
use crate::raft::types::{Entry, LogId, StoredMembership};
use crate::raft::verifier::Verifier;
use crate::tests::library_suite::storage;

const SEED: u64 = 7;

fn group() -> GroupId {
    GroupId::Shard(ShardId::new(3).unwrap())
}

fn key(number: u8) -> Bytes {
    Key::core(group(), &CustomerId::from_parts(u64::from(number), [0; 10], PoolId::DEFAULT)).into_bytes()
}

fn command() -> impl Strategy<Value = Command> {
    let expected = prop_oneof![
        Just(Expected::Absent),
        (0..3_u64).prop_map(Expected::Revision),
        (0..3_u64).prop_map(Expected::Guard),
        (0..3_u64, 0..3_u64).prop_map(|(revision, guard)| Expected::Both { revision, guard }),
    ];
    let condition =
        (0..4_u8, expected).prop_map(|(number, expected)| Condition { key: key(number), expected });
    let value = (0..3_u64, 0..3_u64, any::<[u8; 2]>())
        .prop_map(|(revision, guard, payload)| ValueHeader { revision, guard, bucket: 0 }.encode(&payload));
    let write = (0..4_u8, proptest::option::weighted(0.8, value))
        .prop_map(|(number, value)| Write { key: key(number), value });
    (proptest::collection::vec(condition, 0..2), proptest::collection::vec(write, 0..3))
        .prop_map(|(conditions, writes)| Command { conditions, writes })
}

fn entries(batches: &[Vec<Command>]) -> Vec<Entry> {
    let entry = |(index, commands): (u64, &Vec<Command>)| {
        let batch = CommandBatch::join(commands.iter().cloned().map(Command::encode).collect());
        Entry::new(LogId::new(LeaderId { term: 1, node_id: 1 }, index), EntryPayload::Normal(batch))
    };
    (0..).zip(batches).map(entry).collect()
}

/// Applies the entries in chunks that end at `cuts`.
fn run(entries: &[Entry], cuts: &[prop::sample::Index]) -> (Arc<MemoryEngine>, Vec<Vec<Outcome>>) {
    let engine = Arc::new(MemoryEngine::new());
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(entries.len() + 1)).collect();
    ends.push(entries.len());
    ends.sort_unstable();
    let mut outcomes = Vec::new();
    let (mut state, mut from) = ((None, StoredMembership::default()), 0);
    for end in ends {
        if end > from {
            let applied = apply(engine.as_ref(), group(), state, &entries[from..end]).unwrap();
            state = (applied.log_id, applied.membership);
            outcomes.extend(applied.outcomes);
            from = end;
        }
    }
    (engine, outcomes)
}

fn bytes_of(engine: &MemoryEngine) -> Vec<Pair> {
    engine.scan(KeyPrefix::group(group()).as_bytes(), None, usize::MAX).unwrap()
}

/// The checksums of a state that is read in chunks of this size.
fn checksums(engine: &MemoryEngine, chunk_bytes: usize) -> StateChecksums {
    let mut checksums = StateChecksums::default();
    let mut view = engine.snapshot(KeyPrefix::group(group()).as_bytes()).unwrap();
    loop {
        let pairs = view.next_chunk(chunk_bytes).unwrap();
        if pairs.is_empty() {
            return checksums;
        }
        checksums.add(SEED, &pairs);
    }
}

/// Entries from index 0: each puts a key, `None` is a verification.
fn puts_and_verifications(numbers: &[Option<u8>]) -> Vec<Entry> {
    let put = |number| Command {
        conditions: vec![],
        writes: vec![Write { key: key(number), value: Some(ValueHeader::default().encode(b"x")) }],
    };
    let batches = numbers.iter().map(|number| match number {
        Some(number) => CommandBatch::join(vec![put(*number).encode()]),
        None => CommandBatch::verification(SEED),
    });
    let entry = |(index, batch)| {
        Entry::new(LogId::new(LeaderId { term: 1, node_id: 1 }, index), EntryPayload::Normal(batch))
    };
    (0..).zip(batches).map(entry).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verification_covers_what_was_applied_through_its_entry_and_nothing_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder);
    let replica = ReplicaId::new(1).unwrap();
    let log = ReplicaLog::open(storage.log.clone(), group(), replica, false).await.unwrap();
    let verifier = Verifier::new(group(), Arc::default(), Arc::clone(&storage.verifying));
    let (state, end) = (storage.engine.partition(group()), CancellationToken::new().drop_guard());
    let mut machine = StateMachine::open(group(), storage, state, log, verifier.clone(), end).unwrap();
    let mut apply = async |entries: &[Entry]| {
        let entries: Vec<_> = entries.iter().cloned().map(|entry| Ok((entry, None))).collect();
        machine.apply(futures::stream::iter(entries)).await.unwrap();
    };
    let entries = puts_and_verifications(&[Some(1), None, Some(2), Some(1), None, Some(3)]);
    let soon = || Instant::now() + Duration::from_secs(60);
    apply(&entries[..4]).await;
    let (expected, _) = run(&entries[..2], &[]);
    assert_eq!(*verifier.checksums(1, soon()).await.unwrap().unwrap(), checksums(&expected, 1));
    assert!(matches!(verifier.checksums(4, Instant::now()).await, Err(ConsensusError::Timeout)));
    apply(&entries[4..]).await;
    let (expected, _) = run(&entries[..5], &[]);
    assert_eq!(*verifier.checksums(4, soon()).await.unwrap().unwrap(), checksums(&expected, 1));
    assert_eq!(verifier.checksums(1, soon()).await.unwrap(), None, "a later one has begun");
}

proptest! {
    #[test]
    fn two_replicas_are_byte_identical_however_entries_are_chunked(
        batches in proptest::collection::vec(proptest::collection::vec(command(), 0..5), 1..12),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let entries = entries(&batches);
        let (one, outcomes) = run(&entries, &[]);
        let (other, others_outcomes) = run(&entries, &cuts);
        prop_assert_eq!(bytes_of(&one), bytes_of(&other));
        prop_assert_eq!(checksums(&one, 1), checksums(&other, 1 << 20));
        prop_assert_eq!(outcomes, others_outcomes);
        let (applied, _) = read_applied(one.as_ref(), group()).unwrap();
        prop_assert_eq!(applied, entries.last().map(|entry| entry.log_id));
    }
}

#[test]
fn applied_log_id_is_in_the_same_batch_as_the_data() {
    let put = Command {
        conditions: vec![],
        writes: vec![Write { key: key(1), value: Some(ValueHeader::default().encode(b"x")) }],
    };
    let (engine, _) = run(&entries(&[vec![put]]), &[]);
    let keys: Vec<Bytes> = bytes_of(&engine).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [Key::replica(group(), ReplicaEntry::Applied).into_bytes(), key(1)]);
}

#[test]
fn conflict_names_the_first_key_that_differs_and_writes_nothing() {
    let write = |number| Write { key: key(number), value: Some(ValueHeader::default().encode(b"x")) };
    let absent = |number| Condition { key: key(number), expected: Expected::Absent };
    let first = Command { conditions: vec![absent(1)], writes: vec![write(1)] };
    let second = Command { conditions: vec![absent(2), absent(1)], writes: vec![write(2)] };
    let (engine, outcomes) = run(&entries(&[vec![first, second]]), &[]);
    assert_eq!(outcomes, [vec![Outcome::Applied { index: 0 }, Outcome::Conflict { key: key(1) }]]);
    assert_eq!(engine.get(&key(2)).unwrap(), None);
}

#[test]
fn damaged_value_stops_the_replica_rather_than_differing_from_the_others() {
    let engine = MemoryEngine::new();
    let mut batch = Batch::new();
    batch.put(key(1), Bytes::from_static(b"damaged"));
    engine.write(batch).unwrap();
    let command =
        Command { conditions: vec![Condition { key: key(1), expected: Expected::Absent }], writes: vec![] };
    let state = (None, StoredMembership::default());
    assert!(apply(&engine, group(), state, &entries(&[vec![command]])).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshot_that_was_cut_off_is_not_installed() {
    let put = Command {
        conditions: vec![],
        writes: vec![Write { key: key(1), value: Some(ValueHeader::default().encode(b"x")) }],
    };
    let (source, _) = run(&entries(&[vec![put]]), &[]);
    let meta =
        Applied::new(Some(LogId::new(LeaderId { term: 1, node_id: 1 }, 0)), &StoredMembership::default());
    let meta = meta.meta().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let storage = storage(&folder);
    let files = &storage.snapshot_files;
    let view = source.snapshot(KeyPrefix::group(group()).as_bytes()).unwrap();
    // Cut off before its last chunk: no file remains.
    let whole: Vec<Bytes> = chunks(Some(view)).collect().await;
    let cut = futures::stream::iter(whole[..whole.len() - 1].iter().cloned().map(Ok).collect::<Vec<_>>());
    assert!(files.receive(group(), &meta, cut).await.is_err());
    let all = futures::stream::iter(whole.into_iter().map(Ok));
    let received = files.receive(group(), &meta, all).await.unwrap();
    let state = storage.engine.partition(group());
    files.install(&state, group(), &meta, received).await.unwrap();
    files.resume(&state, group()).unwrap();
    assert_eq!(read_applied(storage.engine.as_ref(), group()).unwrap().0, meta.last_log_id);
    assert!(storage.engine.get(&key(1)).unwrap().is_some());
}
