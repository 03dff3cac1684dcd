//! Damage to the log: a torn end is dropped, any other damage is an error. (Kill -9 is in `tests/kill`.)

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use custodia_store::{LogOptions, LogRecord, SharedLog, StoreError};

use crate::image::{Image, pick};
use crate::log_behaviour::{record, replica, wait};
use crate::random::Random;

fn text(number: u64, index: u64) -> String {
    let length = usize::try_from(Random::of(number, index).below(600)).unwrap();
    format!("{number}/{index}/{}", "v".repeat(length))
}

/// Every record of the log is as it was appended at its index.
fn check_contents(log: &SharedLog, number: u64) -> Option<u64> {
    let bounds = log.bounds(replica(number)).unwrap();
    let (Some(first), Some(last)) = (bounds.first, bounds.last) else { return None };
    let mut next = first;
    while next <= last {
        for LogRecord { index, bytes } in log.read(replica(number), next, last + 1, 100_000).unwrap() {
            assert_eq!(index, next);
            assert!(bytes == text(number, index), "replica {number} index {index}");
            next += 1;
        }
    }
    Some(last)
}

/// A log with a hundred appends to one replica, each in a batch of its own, and the file that holds them.
fn written_log(folder: &Path) -> PathBuf {
    let log = SharedLog::open(folder).unwrap();
    for index in 0..100 {
        wait(|done| log.append(replica(1), vec![record(index, &text(1, index))], done)).unwrap();
    }
    drop(log);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "raftlog"));
    assert_eq!(files.len(), 1);
    files.remove(0)
}

#[test]
fn torn_end_is_dropped_and_the_log_continues() {
    let mut random = Random::seeded();
    let source = tempfile::tempdir().unwrap();
    let path = written_log(source.path());
    let bytes = fs::read(&path).unwrap();
    let image = Image::take(source.path());
    for round in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        image.write(folder.path());
        let file = folder.path().join(path.file_name().unwrap());
        // Cut inside the last record (they are 50 to 700 bytes), or leave a piece of one that was never finished.
        let torn = if round % 2 == 0 {
            bytes[..bytes.len() - 1 - pick(&mut random, 40)].to_vec()
        } else {
            let piece = 30 + pick(&mut random, 20);
            [&bytes[..], &bytes[bytes.len() - 60..bytes.len() - 60 + piece]].concat()
        };
        fs::write(&file, torn).unwrap();
        let log = SharedLog::open(folder.path()).unwrap();
        let last = check_contents(&log, 1).unwrap();
        assert_eq!(last, if round % 2 == 0 { 98 } else { 99 }, "round {round}");
        wait(|done| log.append(replica(1), vec![record(last + 1, &text(1, last + 1))], done)).unwrap();
        drop(log);
        let log = SharedLog::open(folder.path()).unwrap();
        assert_eq!(check_contents(&log, 1), Some(last + 1));
    }
}

#[test]
fn zeros_behind_the_end_are_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = written_log(folder.path());
    let mut file = fs::File::options().append(true).open(path).unwrap();
    file.write_all(&vec![0; 300_000]).unwrap();
    let log = SharedLog::open(folder.path()).unwrap();
    assert_eq!(check_contents(&log, 1), Some(99));
}

/// The failure: raft-engine treats any damage in its last file as a torn end and drops all that follows, synced or not.
/// A node would then have forgotten entries and votes that it had promised.
#[test]
fn damage_before_the_end_is_refused() {
    let mut random = Random::seeded();
    let source = tempfile::tempdir().unwrap();
    let path = written_log(source.path());
    let bytes = fs::read(&path).unwrap();
    let image = Image::take(source.path());
    // The first record's header in every bit, then anywhere. The last record ends the file; before it, all was synced.
    let first_header = (68..84).flat_map(|at| (0..8).map(move |bit| (at, bit)));
    let anywhere: Vec<_> = (0..60).map(|_| (pick(&mut random, bytes.len() - 800), random.below(8))).collect();
    for (at, bit) in first_header.chain(anywhere) {
        let folder = tempfile::tempdir().unwrap();
        image.write(folder.path());
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << bit;
        fs::write(folder.path().join(path.file_name().unwrap()), damaged).unwrap();
        let opened = SharedLog::open(folder.path());
        assert!(opened.is_err(), "byte {at} of {}", bytes.len());
        let again = SharedLog::open(folder.path());
        assert!(again.is_err(), "byte {at}: the refusal did not keep the evidence");
    }
}

/// A log with several files in both queues; an idle replica's records have moved to the queue of rewrites. The log moves records and
/// removes files in the background, so that this is looked for when it is closed.
fn cleaned_log() -> tempfile::TempDir {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path());
        if both_queues_are_in_use(folder.path()) {
            return folder;
        }
    }
    panic!("one queue is not in use");
}

fn fill(folder: &Path) {
    let options = LogOptions { file_bytes: 256 * 1024, purge_above_bytes: 1024 * 1024 };
    let log = SharedLog::open_with(folder, options).unwrap();
    for index in 0..20 {
        wait(|done| log.append(replica(2), vec![record(index, &text(2, index))], done)).unwrap();
    }
    wait(|done| log.save_vote(replica(2), &b"idle vote"[..], done)).unwrap();
    let large = "z".repeat(32 * 1024);
    for index in 0..2_000 {
        wait(|done| log.append(replica(1), vec![record(index, &large)], done)).unwrap();
        if index % 16 == 15 {
            wait(|done| log.purge_through(replica(1), index - 8, &b""[..], done)).unwrap();
            if index > 600 && both_queues_are_in_use(folder) {
                return;
            }
        }
    }
}

fn both_queues_are_in_use(folder: &Path) -> bool {
    let rewritten = log_files(folder, "rewrite").first().map_or(0, |file| fs::metadata(file).unwrap().len());
    log_files(folder, "raftlog").len() >= 3 && rewritten > 1_000
}

fn log_files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

/// The failure: raft-engine cuts off a last record whose entries are damaged, in every file, and drops all files before a
/// missing one. Entries and votes were lost without a word.
#[test]
fn damage_in_any_file_of_either_queue_is_refused() {
    let folder = cleaned_log();
    let (appends, rewrites) = (log_files(folder.path(), "raftlog"), log_files(folder.path(), "rewrite"));
    let open = || SharedLog::open(folder.path());
    let last = check_contents(&open().unwrap(), 2);
    let older = &appends[..appends.len() - 1];
    for path in older.iter().chain(&rewrites) {
        let bytes = fs::read(path).unwrap();
        let end = bytes.iter().rposition(|&byte| byte != 0).unwrap();
        for back in [0, 4, 60, 300] {
            let mut damaged = bytes.clone();
            damaged[end - back] ^= 1;
            fs::write(path, damaged).unwrap();
            let opened = open();
            assert!(
                matches!(opened, Err(StoreError::LogCorrupt { .. })),
                "{back} before the end of {path:?}"
            );
            assert!(open().is_err(), "the refusal kept the evidence");
        }
        fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(matches!(open(), Err(StoreError::LogCorrupt { .. })), "{path:?} lacks its end");
        fs::write(path, bytes).unwrap();
    }
    for path in &older[1..] {
        let bytes = fs::read(path).unwrap();
        fs::remove_file(path).unwrap();
        assert!(matches!(open(), Err(StoreError::LogFileMissing { .. })), "without {path:?}");
        fs::write(path, bytes).unwrap();
    }
    let log = open().unwrap();
    assert_eq!(
        (check_contents(&log, 2), log.read_vote(replica(2)).unwrap().unwrap()),
        (last, "idle vote".into())
    );
}

/// A power cut while old files are cleaned up tears the newest rewrite. The old files still have what it would have taken over.
#[test]
fn rewrite_torn_in_a_clean_up_is_cut_off() {
    let folder = cleaned_log();
    let newest = log_files(folder.path(), "rewrite").pop().unwrap();
    let generation = SharedLog::open(folder.path()).unwrap().generation();
    let mut file = fs::File::options().append(true).open(&newest).unwrap();
    file.write_all(&[7; 100]).unwrap();
    assert!(matches!(SharedLog::open(folder.path()), Err(StoreError::LogCorrupt { .. })));
    fs::write(folder.path().join("CLEANING"), b"").unwrap();
    for _ in 0..2 {
        let log = SharedLog::open(folder.path()).unwrap();
        assert_eq!((check_contents(&log, 2), log.generation()), (Some(19), generation));
    }
}

#[test]
fn damage_found_while_reading_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = {
        let log = SharedLog::open(folder.path()).unwrap();
        let large = |index| LogRecord { index, bytes: Bytes::from(vec![7; 100_000]) };
        for index in 0..20 {
            wait(|done| log.append(replica(1), vec![large(index)], done)).unwrap();
        }
        drop(log);
        let files = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        files.max_by_key(|path| path.metadata().unwrap().len()).unwrap()
    };
    let log = SharedLog::open(folder.path()).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[150_000] ^= 1;
    fs::write(&path, bytes).unwrap();
    let read = log.read(replica(1), 0, 3, usize::MAX);
    assert!(matches!(read, Err(StoreError::Corrupt { .. } | StoreError::Log(_))), "{read:?}");
}

/// A power cut can keep a record's end and lose its middle. raft-engine checks only the end when it opens a file.
#[test]
fn last_record_that_lacks_its_middle_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = written_log(folder.path());
    let log = SharedLog::open(folder.path()).unwrap();
    let large = LogRecord { index: 100, bytes: Bytes::from(vec![7; 20_000]) };
    wait(|done| log.append(replica(1), vec![large], done)).unwrap();
    drop(log);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() - 10_000;
    bytes[middle..middle + 4096].fill(0);
    fs::write(&path, bytes).unwrap();
    let log = SharedLog::open(folder.path()).unwrap();
    assert_eq!(check_contents(&log, 1), Some(99));
}
