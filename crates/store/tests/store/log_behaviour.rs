//! The guarantees of `log.rs` without crashes or damage, also after the log is closed and reopened.

use std::path::Path;
use std::sync::mpsc;
use std::thread;

use bytes::Bytes;
use custodia_profile::ReplicaId;
use custodia_store::{Done, LogBounds, LogOptions, LogRecord, Purged, SharedLog, StoreError};

pub(crate) fn replica(number: u64) -> ReplicaId {
    ReplicaId::new(number).unwrap()
}

pub(crate) fn record(index: u64, text: &str) -> LogRecord {
    LogRecord { index, bytes: Bytes::copy_from_slice(text.as_bytes()) }
}

fn records(range: std::ops::Range<u64>, text: &str) -> Vec<LogRecord> {
    range.map(|index| record(index, &format!("{text} {index}"))).collect()
}

/// Calls an operation and waits for its `done`.
pub(crate) fn wait(operation: impl FnOnce(Done)) -> Result<(), StoreError> {
    let (sender, receiver) = mpsc::channel();
    operation(Box::new(move |result| sender.send(result).unwrap()));
    receiver.recv().unwrap()
}

fn append(log: &SharedLog, replica: ReplicaId, records: Vec<LogRecord>) -> Result<(), StoreError> {
    wait(|done| log.append(replica, records, done))
}

fn read_all(log: &SharedLog, replica: ReplicaId) -> Vec<LogRecord> {
    let mut found: Vec<LogRecord> = Vec::new();
    loop {
        let from = found.last().map_or(0, |record| record.index + 1);
        let more = log.read(replica, from, u64::MAX, 10_000).unwrap();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

fn span(bounds: &LogBounds) -> (Option<u64>, Option<u64>, Option<u64>) {
    (bounds.first, bounds.last, bounds.purged.as_ref().map(|purged| purged.index))
}

/// Runs a check on the open log and again after reopening it.
fn now_and_reopened(folder: &Path, log: SharedLog, check: impl Fn(&SharedLog)) -> SharedLog {
    check(&log);
    drop(log);
    let log = SharedLog::open(folder).unwrap();
    check(&log);
    log
}

#[test]
fn saved_data_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = SharedLog::open(folder.path()).unwrap();
    assert_eq!(log.bounds(replica(1)).unwrap(), LogBounds::default());
    assert_eq!(log.read_vote(replica(1)).unwrap(), None);
    append(&log, replica(1), records(0..5, "a")).unwrap();
    append(&log, replica(2), records(7..9, "b")).unwrap();
    append(&log, replica(1), records(5..6, "a")).unwrap();
    wait(|done| log.save_vote(replica(1), &b"vote 1"[..], done)).unwrap();
    wait(|done| log.save_vote(replica(1), &b"vote 2"[..], done)).unwrap();
    log.save_committed(replica(1), &b"committed 3"[..]).unwrap();
    now_and_reopened(folder.path(), log, |log| {
        assert_eq!(log.replicas(), [replica(1), replica(2)]);
        assert_eq!(span(&log.bounds(replica(1)).unwrap()), (Some(0), Some(5), None));
        assert_eq!(span(&log.bounds(replica(2)).unwrap()), (Some(7), Some(8), None));
        assert_eq!(read_all(log, replica(1)), records(0..6, "a"));
        assert_eq!(read_all(log, replica(2)), records(7..9, "b"));
        assert_eq!(log.read_vote(replica(1)).unwrap().unwrap(), "vote 2");
        assert_eq!(log.read_committed(replica(1)).unwrap().unwrap(), "committed 3");
        assert_eq!(log.read_vote(replica(2)).unwrap(), None);
    });
}

#[test]
fn read_keeps_to_its_range_and_size() {
    let folder = tempfile::tempdir().unwrap();
    let log = SharedLog::open(folder.path()).unwrap();
    append(&log, replica(1), (3..20).map(|index| record(index, &"x".repeat(100))).collect()).unwrap();
    now_and_reopened(folder.path(), log, |log| {
        let read = |from, to, bytes| {
            let records = log.read(replica(1), from, to, bytes).unwrap();
            records.iter().map(|record| record.index).collect::<Vec<_>>()
        };
        assert_eq!(read(5, 8, usize::MAX), [5, 6, 7]);
        assert_eq!(read(0, 5, usize::MAX), [3, 4]);
        assert_eq!(read(18, 99, usize::MAX), [18, 19]);
        assert_eq!(read(5, 8, 0), [5], "one record comes however large");
        assert!((1..=3).contains(&read(5, 15, 350).len()));
        assert_eq!(read(8, 8, 9), [0; 0]);
        assert_eq!(read(30, 40, 9), [0; 0]);
        assert_eq!(log.read(replica(9), 0, 9, 9).unwrap(), []);
    });
}

/// Records leave memory only when they are on disk, and reads return the same from either.
#[test]
fn long_log_is_read_from_memory_and_disk_alike() {
    let folder = tempfile::tempdir().unwrap();
    let log = SharedLog::open(folder.path()).unwrap();
    let expected: Vec<_> =
        (0..600).map(|index| record(index, &format!("{index} {}", "y".repeat(2_000)))).collect();
    for chunk in expected.chunks(20) {
        append(&log, replica(1), chunk.to_vec()).unwrap();
    }
    now_and_reopened(folder.path(), log, |log| assert!(read_all(log, replica(1)) == expected));
}

#[test]
fn record_can_be_read_before_it_is_durable() {
    let folder = tempfile::tempdir().unwrap();
    let log = SharedLog::open(folder.path()).unwrap();
    for index in 0..200 {
        log.append(replica(1), vec![record(index, "value")], Box::new(|result| result.unwrap()));
        assert_eq!(log.read(replica(1), index, index + 1, 1).unwrap(), [record(index, "value")]);
    }
}

#[test]
fn holes_and_overwrites_are_refused_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = SharedLog::open(folder.path()).unwrap();
    append(&log, replica(1), records(0..3, "a")).unwrap();
    for start in [0, 2, 4, 100] {
        let refused = append(&log, replica(1), records(start..start + 2, "b"));
        assert!(matches!(refused, Err(StoreError::LogHole { expected: 3, found, .. }) if found == start));
    }
    let mut inside = records(3..6, "b");
    inside.remove(1);
    assert!(matches!(
        append(&log, replica(1), inside),
        Err(StoreError::LogHole { expected: 4, found: 5, .. })
    ));
    append(&log, replica(1), Vec::new()).unwrap();
    now_and_reopened(folder.path(), log, |log| assert_eq!(read_all(log, replica(1)), records(0..3, "a")));
}

#[test]
fn callbacks_come_in_the_order_of_the_calls_across_groups() {
    let folder = tempfile::tempdir().unwrap();
    let log = SharedLog::open(folder.path()).unwrap();
    let (sender, receiver) = mpsc::channel();
    for number in 0..500_u64 {
        let sender = sender.clone();
        let done: Done = Box::new(move |result| sender.send((number, result.is_ok())).unwrap());
        let id = replica(1 + number % 7);
        match number % 70 {
            5..12 => log.save_vote(id, number.to_be_bytes().to_vec(), done),
            _ => {
                let next = log.bounds(id).unwrap().last.map_or(0, |last| last + 1);
                log.append(id, vec![record(next, "value")], done);
            }
        }
    }
    let order: Vec<_> = (0..500).map(|_| receiver.recv().unwrap()).collect();
    assert!(order.iter().enumerate().all(|(at, &(number, ok))| ok && number == u64::try_from(at).unwrap()));
}

#[test]
fn many_replicas_append_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = SharedLog::open(folder.path()).unwrap();
    thread::scope(|scope| {
        for number in 1..=16 {
            let log = log.clone();
            scope.spawn(move || {
                for index in 0..60 {
                    append(&log, replica(number), vec![record(index, &format!("{number}-{index}"))]).unwrap();
                }
            });
        }
    });
    now_and_reopened(folder.path(), log, |log| {
        for number in 1..=16 {
            let expected: Vec<_> = (0..60).map(|index| record(index, &format!("{number}-{index}"))).collect();
            assert_eq!(read_all(log, replica(number)), expected);
        }
    });
}

#[test]
fn truncated_tail_is_gone_and_can_be_rewritten() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = SharedLog::open(folder.path()).unwrap();
    append(&log, replica(1), records(0..10, "old")).unwrap();
    wait(|done| log.truncate_after(replica(1), 5, done)).unwrap();
    log = now_and_reopened(folder.path(), log, |log| {
        assert_eq!(read_all(log, replica(1)), records(0..6, "old"));
        assert_eq!(span(&log.bounds(replica(1)).unwrap()), (Some(0), Some(5), None));
    });
    assert!(append(&log, replica(1), records(7..8, "new")).is_err());
    append(&log, replica(1), records(6..9, "new")).unwrap();
    // All at once, nothing awaited in between.
    log.truncate_after(replica(1), 7, Box::new(|result| result.unwrap()));
    log.append(replica(1), records(8..12, "newer"), Box::new(|result| result.unwrap()));
    log.truncate_after(replica(1), 10, Box::new(|result| result.unwrap()));
    wait(|done| log.truncate_after(replica(1), 99, done)).unwrap();
    let expected = [records(0..6, "old"), records(6..8, "new"), records(8..11, "newer")].concat();
    log = now_and_reopened(folder.path(), log, |log| assert_eq!(read_all(log, replica(1)), expected));
    wait(|done| log.truncate_after(replica(1), None, done)).unwrap();
    log = now_and_reopened(folder.path(), log, |log| {
        assert_eq!(read_all(log, replica(1)), []);
        assert_eq!(log.bounds(replica(1)).unwrap(), LogBounds::default());
    });
    append(&log, replica(1), records(0..2, "last")).unwrap();
    now_and_reopened(folder.path(), log, |log| assert_eq!(read_all(log, replica(1)), records(0..2, "last")));
}

#[test]
fn purged_records_are_gone_and_the_marker_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = SharedLog::open(folder.path()).unwrap();
    append(&log, replica(1), records(0..10, "a")).unwrap();
    wait(|done| log.purge_through(replica(1), 4, &b"marker 4"[..], done)).unwrap();
    log = now_and_reopened(folder.path(), log, |log| {
        let bounds = log.bounds(replica(1)).unwrap();
        assert_eq!((bounds.first, bounds.last), (Some(5), Some(9)));
        assert_eq!(bounds.purged, Some(Purged { index: 4, marker: Bytes::from_static(b"marker 4") }));
        assert_eq!(read_all(log, replica(1)), records(5..10, "a"));
    });
    wait(|done| log.purge_through(replica(1), 2, &b"earlier"[..], done)).unwrap();
    assert_eq!(span(&log.bounds(replica(1)).unwrap()), (Some(5), Some(9), Some(4)));
    let refused = wait(|done| log.truncate_after(replica(1), 3, done));
    assert!(matches!(refused, Err(StoreError::LogPurged { index: 3, purged: 4, .. })));
    wait(|done| log.truncate_after(replica(1), 4, done)).unwrap();
    log = now_and_reopened(folder.path(), log, |log| {
        assert_eq!(span(&log.bounds(replica(1)).unwrap()), (None, None, Some(4)));
    });
    assert!(append(&log, replica(1), records(6..8, "b")).is_err());
    append(&log, replica(1), records(5..8, "b")).unwrap();
    now_and_reopened(folder.path(), log, |log| assert_eq!(read_all(log, replica(1)), records(5..8, "b")));
}

/// After a snapshot the log continues behind it, whatever it held before.
#[test]
fn purge_beyond_the_end_moves_the_log_forward() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = SharedLog::open(folder.path()).unwrap();
    append(&log, replica(1), records(0..10, "a")).unwrap();
    for id in [replica(1), replica(2)] {
        wait(|done| log.purge_through(id, 100, &b"snapshot"[..], done)).unwrap();
    }
    log = now_and_reopened(folder.path(), log, |log| {
        for id in [replica(1), replica(2)] {
            assert_eq!(span(&log.bounds(id).unwrap()), (None, None, Some(100)));
            assert!(append(log, id, records(10..12, "b")).is_err());
        }
    });
    for id in [replica(1), replica(2)] {
        append(&log, id, records(101..105, "b")).unwrap();
    }
    now_and_reopened(folder.path(), log, |log| {
        for id in [replica(1), replica(2)] {
            assert_eq!(span(&log.bounds(id).unwrap()), (Some(101), Some(104), Some(100)));
            assert_eq!(read_all(log, id), records(101..105, "b"));
        }
    });
}

#[test]
fn destroyed_replica_is_never_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = SharedLog::open(folder.path()).unwrap();
    append(&log, replica(1), records(0..10, "a")).unwrap();
    append(&log, replica(2), records(0..3, "b")).unwrap();
    wait(|done| log.save_vote(replica(1), &b"vote"[..], done)).unwrap();
    log.save_committed(replica(1), &b"committed"[..]).unwrap();
    log.destroy(replica(1)).unwrap();
    log.destroy(replica(1)).unwrap();
    now_and_reopened(folder.path(), log, |log| {
        assert!(log.is_destroyed(replica(1)));
        assert_eq!(log.replicas(), [replica(2)]);
        let is_refused =
            |result: Result<(), StoreError>| matches!(result, Err(StoreError::ReplicaDestroyed { .. }));
        assert!(is_refused(append(log, replica(1), records(10..11, "a"))));
        assert!(is_refused(wait(|done| log.save_vote(replica(1), &b"vote"[..], done))));
        assert!(is_refused(log.save_committed(replica(1), &b"late"[..])));
        assert!(is_refused(log.read_vote(replica(1)).map(|_| ())));
        assert!(is_refused(log.bounds(replica(1)).map(|_| ())));
        assert_eq!(read_all(log, replica(2)), records(0..3, "b"));
    });
}

/// Old files are rewritten and removed while idle replicas keep their records, also across reopening.
#[test]
fn files_of_purged_records_are_removed() {
    let options = LogOptions { file_bytes: 256 * 1024, purge_above_bytes: 1024 * 1024 };
    let folder = tempfile::tempdir().unwrap();
    let log = SharedLog::open_with(folder.path(), options).unwrap();
    append(&log, replica(2), records(0..20, "idle")).unwrap();
    wait(|done| log.save_vote(replica(2), &b"idle vote"[..], done)).unwrap();
    log.destroy(replica(3)).unwrap();
    let megabytes = 20;
    let text = "z".repeat(32 * 1024);
    for index in 0..megabytes * 32 {
        append(&log, replica(1), vec![record(index, &text)]).unwrap();
        if index % 16 == 15 {
            wait(|done| log.purge_through(replica(1), index - 8, &b""[..], done)).unwrap();
        }
    }
    drop(log);
    for _ in 0..2 {
        let log = SharedLog::open_with(folder.path(), options).unwrap();
        assert!(log.disk_bytes() < 15 * 1024 * 1024, "{} bytes are left", log.disk_bytes());
        assert_eq!(read_all(&log, replica(2)), records(0..20, "idle"));
        assert_eq!(log.read_vote(replica(2)).unwrap().unwrap(), "idle vote");
        assert!(log.is_destroyed(replica(3)));
        assert_eq!(log.bounds(replica(1)).unwrap().last, Some(megabytes * 32 - 1));
        let last = append(&log, replica(1), vec![record(megabytes * 32, "again")]);
        assert!(last.is_ok());
        wait(|done| log.truncate_after(replica(1), megabytes * 32 - 1, done)).unwrap();
    }
}

#[test]
fn log_closed_in_the_middle_still_answers_every_call() {
    let folder = tempfile::tempdir().unwrap();
    let log = SharedLog::open(folder.path()).unwrap();
    let (sender, receiver) = mpsc::channel();
    for index in 0..100 {
        let sender = sender.clone();
        let done: Done = Box::new(move |result| sender.send(result.is_ok()).unwrap());
        log.append(replica(1), vec![record(index, "value")], done);
    }
    drop(log);
    assert_eq!((0..100).filter(|_| receiver.recv().unwrap()).count(), 100);
}
