//! The shared log, killed under load: durable records are present, and every record is as it was appended.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use custodia_profile::ReplicaId;
use custodia_store::{LogRecord, SharedLog};

use crate::random::Random;
use crate::{SPAWN, spawn};

const CHILD_FOLDER: &str = "CUSTODIA_LOG_CRASH_FOLDER";
const REPLICAS: usize = 5;
const KILLS: u64 = 12;

fn replica(number: u64) -> ReplicaId {
    ReplicaId::new(number).unwrap()
}

fn record(index: u64, text: &str) -> LogRecord {
    LogRecord { index, bytes: text.as_bytes().to_vec().into() }
}

fn text(number: u64, index: u64) -> String {
    let length = usize::try_from(Random::of(number, index).below(600)).unwrap();
    format!("{number}/{index}/{}", "v".repeat(length))
}

/// Not a test of its own: the process that is killed. It prints every append when it is durable.
#[test]
fn child_appends_until_it_is_killed() {
    let Ok(folder) = std::env::var(CHILD_FOLDER) else { return };
    let log = SharedLog::open(Path::new(&folder)).unwrap();
    let (sender, receiver) = mpsc::sync_channel(64);
    std::thread::spawn(move || {
        for (number, index) in receiver {
            println!("durable {number} {index}");
        }
    });
    for round in 0.. {
        for number in (1..).take(REPLICAS) {
            let bounds = log.bounds(replica(number)).unwrap();
            let next = bounds
                .last
                .map_or_else(|| bounds.purged.map_or(0, |purged| purged.index + 1), |last| last + 1);
            let records =
                (next..next + 1 + round % 3).map(|index| record(index, &text(number, index))).collect();
            let last = next + round % 3;
            let sender = sender.clone();
            log.append(
                replica(number),
                records,
                Box::new(move |result| {
                    result.unwrap();
                    sender.send((number, last)).unwrap();
                }),
            );
            log.save_committed(replica(number), next.to_be_bytes().to_vec()).unwrap();
            log.save_vote(replica(number), next.to_be_bytes().to_vec(), Box::new(|result| result.unwrap()));
            if round % 40 == 39 && next > 50 {
                log.purge_through(replica(number), next - 50, &b"m"[..], Box::new(|result| result.unwrap()));
            }
        }
    }
}

/// The last durable index of each replica as reported by a child; `None` if the kill came before its first append.
type Durable = [Option<u64>; REPLICAS];

/// Runs the child for a while and records what it reported as durable.
fn append_and_kill(folder: &Path, life: Duration, durable: &mut Durable) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "log::child_appends_until_it_is_killed", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = spawn(&mut command);
    let mut first = None;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let words: Vec<_> = line.split(' ').collect();
        let ["durable", number, index] = words[..] else { continue };
        durable[number.parse::<usize>().unwrap() - 1] = Some(index.parse().unwrap());
        if first.get_or_insert_with(Instant::now).elapsed() > life {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success());
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

#[test]
fn durable_appends_and_votes_survive_kill() {
    let mut random = Random::seeded();
    let folder = tempfile::tempdir().unwrap();
    let mut durable = [None; REPLICAS];
    for round in 0..KILLS {
        append_and_kill(folder.path(), Duration::from_millis(random.below(50)), &mut durable);
        let _no_spawn = SPAWN.read();
        let log = SharedLog::open(folder.path()).unwrap();
        for (number, durable) in (1..).zip(durable) {
            let last = check_contents(&log, number);
            assert!(
                last >= durable,
                "round {round} replica {number}: {durable:?} was durable, {last:?} is there"
            );
            let vote = log.read_vote(replica(number)).unwrap();
            let committed = log.read_committed(replica(number)).unwrap();
            assert!(
                durable < Some(3) || committed.is_some() && vote.is_some(),
                "round {round} replica {number}"
            );
        }
    }
}
