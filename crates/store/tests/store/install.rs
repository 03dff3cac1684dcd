//! Replacing a group's state with a snapshot: whole, restartable at every point, and without effect on another group.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use custodia_profile::{CustomerId, GroupId, PoolId, ShardId};
use custodia_store::{
    Batch, EngineKind, EngineSnapshot, Key, KeyPrefix, MemoryEngine, Pair, Poison, ReplicaEntry, Resumed,
    SnapshotFileWriter, StateEngine, StoreError, ValueHeader, install_snapshot_file, remove_snapshot_file,
    resume_install, write_snapshot_file,
};

const SNAPSHOT: &str = "shard-1-snapshot";
const CUSTOMERS: u64 = 3_000;

fn group(number: u16) -> GroupId {
    GroupId::Shard(ShardId::new(number).unwrap())
}

fn core(group: GroupId, number: u64) -> Key {
    Key::core(group, &CustomerId::from_parts(number, [1; 10], PoolId::DEFAULT))
}

fn value(text: &str) -> Bytes {
    ValueHeader::default().encode(text.as_bytes())
}

fn fill(engine: &dyn StateEngine, group: GroupId, customers: std::ops::Range<u64>, text: &str) {
    let mut batch = Batch::new();
    for number in customers {
        batch.put(core(group, number), value(&format!("{text} {number} {}", "x".repeat(700))));
    }
    batch.put(Key::replica(group, ReplicaEntry::Applied), value(&format!("applied {text}")));
    engine.write(batch).unwrap();
}

/// A snapshot of another node's group 1.
fn received_snapshot(folder: &Path) -> Vec<Pair> {
    let source = MemoryEngine::new();
    fill(&source, group(1), 500..500 + CUSTOMERS, "new");
    let mut writer = SnapshotFileWriter::create(folder, SNAPSHOT, b"").unwrap();
    let mut snapshot = source.snapshot(KeyPrefix::group(group(1)).as_bytes()).unwrap();
    write_snapshot_file(&mut *snapshot, &mut writer).unwrap();
    writer.finish().unwrap();
    let mut expected = everything(&source, group(1));
    expected.retain(|(key, _)| *key != *Key::replica(group(1), ReplicaEntry::Applied).as_bytes());
    expected
        .insert(0, (Key::replica(group(1), ReplicaEntry::Applied).into_bytes(), value("applied by install")));
    expected
}

fn everything(engine: &dyn StateEngine, group: GroupId) -> Vec<Pair> {
    engine.scan(KeyPrefix::group(group).as_bytes(), None, usize::MAX).unwrap()
}

fn install(engine: &dyn StateEngine, folder: &Path) -> Result<(), StoreError> {
    install_snapshot_file(
        engine,
        folder,
        SNAPSHOT,
        group(1),
        &[(ReplicaEntry::Applied, value("applied by install"))],
    )
}

/// Passes on a number of writes, then fails all others: a crash at that point.
#[derive(Debug)]
struct DiesAfter {
    engine: Arc<dyn StateEngine>,
    writes_left: AtomicUsize,
}

impl StateEngine for DiesAfter {
    fn kind(&self) -> EngineKind {
        self.engine.kind()
    }
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.engine.get(key)
    }
    fn scan(&self, prefix: &[u8], start_after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        self.engine.scan(prefix, start_after, limit)
    }
    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let left =
            self.writes_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.or(Err(StoreError::DiskFull)).and_then(|_| self.engine.write(batch))
    }
    fn flush(&self) -> Result<(), StoreError> {
        self.engine.flush()
    }
    fn snapshot(&self, prefix: &[u8]) -> Result<Box<dyn EngineSnapshot>, StoreError> {
        self.engine.snapshot(prefix)
    }
    fn disk_bytes(&self) -> u64 {
        self.engine.disk_bytes()
    }
    fn poison(&self) -> &Poison {
        self.engine.poison()
    }
}

#[test]
fn install_replaces_one_group_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let expected = received_snapshot(folder.path());
    let engine = MemoryEngine::new();
    for number in 0..3 {
        fill(&engine, group(number), 0..700, "old");
    }
    let others = (everything(&engine, group(0)), everything(&engine, group(2)));
    install(&engine, folder.path()).unwrap();
    assert!(everything(&engine, group(1)) == expected);
    assert!((everything(&engine, group(0)), everything(&engine, group(2))) == others);
    assert_eq!(resume_install(&engine, folder.path(), group(1)).unwrap(), Resumed::Nothing);
}

#[test]
fn install_interrupted_anywhere_is_completed_on_open() {
    let folder = tempfile::tempdir().unwrap();
    let expected = received_snapshot(folder.path());
    let mut interrupted = 0;
    for writes in 0.. {
        let engine: Arc<dyn StateEngine> = Arc::new(MemoryEngine::new());
        fill(&*engine, group(1), 0..700, "old");
        let before = everything(&*engine, group(1));
        let dying = DiesAfter { engine: Arc::clone(&engine), writes_left: AtomicUsize::new(writes) };
        let done = install(&dying, folder.path()).is_ok();
        let resumed = resume_install(&*engine, folder.path(), group(1)).unwrap();
        match (done, writes) {
            (true, _) => assert_eq!(resumed, Resumed::Nothing),
            (false, 0) => {
                assert_eq!(resumed, Resumed::Nothing);
                assert!(everything(&*engine, group(1)) == before, "nothing was begun");
                continue;
            }
            (false, _) => assert_eq!(resumed, Resumed::Finished),
        }
        assert!(everything(&*engine, group(1)) == expected, "after {writes} writes");
        if done {
            break;
        }
        interrupted += 1;
    }
    assert!(interrupted >= 4, "the install has too few steps to test");
}

#[test]
fn replica_whose_snapshot_file_is_lost_starts_empty() {
    let folder = tempfile::tempdir().unwrap();
    received_snapshot(folder.path());
    let engine: Arc<dyn StateEngine> = Arc::new(MemoryEngine::new());
    fill(&*engine, group(1), 0..700, "old");
    let dying = DiesAfter { engine: Arc::clone(&engine), writes_left: AtomicUsize::new(2) };
    install(&dying, folder.path()).unwrap_err();
    remove_snapshot_file(folder.path(), SNAPSHOT).unwrap();
    assert_eq!(resume_install(&*engine, folder.path(), group(1)).unwrap(), Resumed::SnapshotFileLost);
    assert!(everything(&*engine, group(1)).is_empty());
    assert_eq!(resume_install(&*engine, folder.path(), group(1)).unwrap(), Resumed::Nothing);
}

#[test]
fn corrupt_or_foreign_snapshot_file_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    received_snapshot(folder.path());
    let engine = MemoryEngine::new();
    fill(&engine, group(2), 0..10, "old");
    let before = everything(&engine, group(2));
    let foreign = install_snapshot_file(&engine, folder.path(), SNAPSHOT, group(2), &[]);
    assert!(matches!(foreign, Err(StoreError::Corrupt { .. })), "{foreign:?}");
    let path = folder.path().join(SNAPSHOT);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(install(&engine, folder.path()), Err(StoreError::SnapshotFileCorrupt { .. })));
    assert!(everything(&engine, group(2)) == before);
    assert!(everything(&engine, group(1)).is_empty());
}
