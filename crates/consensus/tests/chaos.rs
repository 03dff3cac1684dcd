//! Nodes die, restart and lose connections in random order, under load. No acknowledged write is lost, and no read is older
//! than what was acknowledged before it began.

#[cfg(test)]
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::{Hub, TestCluster, get, put, shard};
use custodia_consensus::{Consensus, Outcome, ReadMode, Timing};
use custodia_profile::GroupId;

const SHARDS: u16 = 2;
const WRITERS: u64 = 6;

/// A small random number generator, so that a run can be repeated from its seed.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 % u64::from(sides)).unwrap_or(0)
    }
}

/// A record and what is known about it.
struct Record {
    group: GroupId,
    number: u64,
    acknowledged: AtomicU64,
    reads: AtomicU64,
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_millis(700)
}

/// A linearizable read at a node, if the node can serve it.
async fn read(at: &Consensus, record: &Record) -> Option<u64> {
    let barrier = at.read_barrier(record.group, ReadMode::Lease, deadline()).await.ok()?;
    let found = get(at, record.group, record.number).map_or(0, |(revision, _)| revision);
    barrier.check().ok().map(|()| found)
}

/// Raises the record's revision by one, again and again.
async fn write(hub: Arc<Hub>, record: Arc<Record>, done: Arc<AtomicBool>) {
    while !done.load(Ordering::Relaxed) {
        for at in hub.live() {
            let before = record.acknowledged.load(Ordering::SeqCst);
            let Some(seen) = read(&at, &record).await else { continue };
            assert!(seen >= before, "stale read: {seen} after {before} was acknowledged");
            record.reads.fetch_add(1, Ordering::Relaxed);
            let next = put(record.group, record.number, seen + 1, b"payload");
            if let Ok(Outcome::Applied { .. }) = at.propose(record.group, next, deadline()).await {
                record.acknowledged.fetch_max(seen + 1, Ordering::SeqCst);
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Reads at every node, including those that may believe that they still lead.
async fn watch(hub: Arc<Hub>, records: Vec<Arc<Record>>, done: Arc<AtomicBool>) {
    while !done.load(Ordering::Relaxed) {
        for record in &records {
            for at in hub.live() {
                let before = record.acknowledged.load(Ordering::SeqCst);
                if let Some(seen) = read(&at, record).await {
                    assert!(seen >= before, "stale read: {seen} after {before} was acknowledged");
                    record.reads.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

async fn disturb(cluster: &mut TestCluster, dice: &mut Dice, rounds: u64) {
    for _ in 0..rounds {
        let number = dice.throw(3) + 1;
        let other = number % 3 + 1;
        match dice.throw(5) {
            0 | 1 => {
                cluster.kill(number).await;
                tokio::time::sleep(Duration::from_millis(dice.throw(900).into())).await;
                cluster.start(number).await;
            }
            2 => {
                cluster.stop(number).await;
                cluster.start(number).await;
            }
            3 => {
                cluster.hub.cut_both(number, other);
                tokio::time::sleep(Duration::from_millis(dice.throw(900).into())).await;
                cluster.hub.mend();
            }
            _ => {
                cluster.hub.cut(number, other);
                cluster.hub.cut(number, other % 3 + 1);
                tokio::time::sleep(Duration::from_millis(dice.throw(900).into())).await;
                cluster.hub.mend();
            }
        }
        tokio::time::sleep(Duration::from_millis((200 + dice.throw(500)).into())).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "a seed, not a time")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_faults_lose_no_write_and_let_no_read_be_stale() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos();
    let seed = number("CHAOS_SEED").unwrap_or(u64::from(clock) | 1);
    let rounds = number("CHAOS_ROUNDS").unwrap_or(8);
    eprintln!("CHAOS_SEED={seed} CHAOS_ROUNDS={rounds}");
    let timing = Timing { snapshot_entries: 200, kept_entries: 50, ..Timing::fast() };
    let mut cluster = TestCluster::new(3, SHARDS, timing).await;
    let record = |number: u64| {
        let group = shard(u16::try_from(number).unwrap() % SHARDS);
        Arc::new(Record { group, number, acknowledged: AtomicU64::new(0), reads: AtomicU64::new(0) })
    };
    let records: Vec<Arc<Record>> = (0..WRITERS).map(record).collect();
    let done = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for record in &records {
        tasks.push(tokio::spawn(write(Arc::clone(&cluster.hub), Arc::clone(record), Arc::clone(&done))));
    }
    tasks.push(tokio::spawn(watch(Arc::clone(&cluster.hub), records.clone(), Arc::clone(&done))));
    disturb(&mut cluster, &mut Dice(seed), rounds).await;
    done.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    cluster.all_led(SHARDS).await;
    for record in &records {
        cluster.agree(record.group).await;
        let acknowledged = record.acknowledged.load(Ordering::SeqCst);
        let held = get(cluster.at(1), record.group, record.number).map_or(0, |(revision, _)| revision);
        assert!(acknowledged > 0, "nothing was written");
        assert!(held >= acknowledged, "acknowledged {acknowledged}, held {held}");
    }
    let reads: u64 = records.iter().map(|record| record.reads.load(Ordering::Relaxed)).sum();
    eprintln!("{reads} linearizable reads checked");
    cluster.shutdown().await;
}
