//! Damage while a node runs: it costs one partition, and the others go on.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use custodia_profile::{GroupId, ShardId};
use custodia_store::{
    Batch, EngineKind, KeyPrefix, MemoryEngine, PartitionId, StateEngine, StatePartitions, StoreError,
};

use crate::model::{self, CACHE_BYTES};
use crate::subjects::KINDS_ON_DISK;

const VALUE_BYTES: usize = 16 * 1024;
/// More than a memtable and more than the share of the cache.
const VALUES: u32 = 600;
/// A compaction reads every table long before so many values are written.
const VALUES_MAX: u32 = 12_000;
const PATIENCE: Duration = Duration::from_secs(30);

fn shard(number: u16) -> GroupId {
    GroupId::Shard(ShardId::new(number).unwrap())
}

fn key(group: GroupId, number: u32) -> Vec<u8> {
    [KeyPrefix::group(group).as_bytes(), &[1], &number.to_be_bytes()].concat()
}

fn put(engine: &dyn StateEngine, group: GroupId, number: u32) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    // Not one repeated byte, so that no bit is without meaning.
    let value: Vec<u8> = (0..VALUE_BYTES).map(|at| u8::try_from((at * 31 + 7) % 251).unwrap()).collect();
    batch.put(key(group, number), value);
    engine.write(batch)
}

fn open(path: &Path, kind: EngineKind) -> StatePartitions {
    let opened = StatePartitions::open(path, kind, CACHE_BYTES).unwrap();
    assert!(opened.set_aside.is_empty());
    opened.partitions
}

/// The files that hold the values of a group: fjall's tables, sled's one file.
fn data_files(path: &Path, kind: EngineKind, group: GroupId) -> BTreeSet<PathBuf> {
    let folder = path.join(PartitionId::of(group).to_string());
    if kind == EngineKind::Sled {
        return [folder.join("db")].into();
    }
    let mut files = BTreeSet::new();
    for keyspace in fs::read_dir(folder.join("keyspaces")).unwrap() {
        let Ok(tables) = fs::read_dir(keyspace.unwrap().path().join("tables")) else { continue };
        files.extend(tables.map(|table| table.unwrap().path()));
    }
    files.retain(|file| file.metadata().is_ok_and(|metadata| metadata.len() > 1 << 20));
    files
}

/// Partitions with the values of two groups in files, opened anew: sled keeps what was just written in its cache.
#[expect(clippy::disallowed_methods, reason = "the test has no runtime")]
fn filled(path: &Path, kind: EngineKind) -> StatePartitions {
    let state = open(path, kind);
    for group in [shard(3), shard(4)] {
        (0..VALUES).for_each(|number| put(&state, group, number).unwrap());
    }
    state.flush().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while data_files(path, kind, shard(3)).is_empty() {
        assert!(Instant::now() < deadline, "nothing was written to a table");
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(state);
    open(path, kind)
}

/// Flips a bit in every 64 KiB of the values of a group.
fn damage(path: &Path, kind: EngineKind, group: GroupId) {
    for file in data_files(path, kind, group) {
        let file = fs::File::options().read(true).write(true).open(file).unwrap();
        let length = file.metadata().unwrap().len();
        for at in (5_000..length).step_by(64 * 1024) {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            byte[0] ^= 1;
            file.write_all_at(&byte, at).unwrap();
        }
    }
}

fn read_all(engine: &dyn StateEngine, group: GroupId) -> Result<(), StoreError> {
    (0..VALUES).try_for_each(|number| {
        let value = engine.get(&key(group, number))?;
        assert_eq!(value.map(|value| value.len()), Some(VALUE_BYTES), "a missing value is no error");
        Ok(())
    })
}

/// The damaged partition is lost and can be replaced; the other one has everything.
fn one_is_lost(state: &StatePartitions, path: &Path, damaged: GroupId, healthy: GroupId) {
    let partition = PartitionId::of(damaged);
    assert_eq!(state.lost(), [partition]);
    assert!(state.poison().check().is_ok(), "the node goes on");
    let ended = state.partition(damaged);
    assert!(ended.is_lost());
    assert!(matches!(put(state, damaged, 0), Err(StoreError::PartitionLost { .. })));
    read_all(state, healthy).unwrap();
    put(state, healthy, VALUES).unwrap();
    state.flush().unwrap();

    let aside = state.replace(partition).unwrap().unwrap();
    assert_eq!(aside, path.join(format!("{partition}.aside-1")));
    assert!(aside.is_dir(), "the damaged one is kept for inspection");
    assert_eq!(state.lost(), []);
    assert_eq!(state.get(&key(damaged, 1)).unwrap(), None);
    assert!(ended.is_lost(), "what was begun on the old state does not reach the new one");
    assert!(matches!(put(&ended, damaged, 1), Err(StoreError::PartitionLost { .. })));
    put(state, damaged, 1).unwrap();
    assert!(state.get(&key(damaged, 1)).unwrap().is_some());
    read_all(state, healthy).unwrap();
}

#[test]
fn damage_met_by_a_read_costs_one_partition() {
    for kind in KINDS_ON_DISK {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let state = filled(&path, kind);
        let told = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&told);
        state.on_lost(Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        }));
        damage(&path, kind, shard(3));
        let met = read_all(&state, shard(3));
        assert!(matches!(met, Err(StoreError::PartitionLost { .. })), "{kind}: {met:?}");
        assert_eq!(told.load(Ordering::Relaxed), 1);
        one_is_lost(&state, &path, shard(3), shard(4));
    }
}

/// fjall stops as a whole when a compaction meets damage, and says so at the next write.
#[test]
fn damage_met_in_the_background_costs_one_partition() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let state = filled(&path, EngineKind::Fjall);
    damage(&path, EngineKind::Fjall, shard(3));
    let met = (0..VALUES_MAX).find_map(|number| put(&state, shard(3), number).err());
    assert!(matches!(met, Some(StoreError::PartitionLost { .. })), "{met:?}");
    one_is_lost(&state, &path, shard(3), shard(4));
}

/// An engine that stops in another call, or in the background, says so before anybody knows why.
#[test]
fn engine_that_has_stopped_costs_its_partition_and_not_the_node() {
    let engine = Arc::new(MemoryEngine::new());
    let state = StatePartitions::single(Arc::<MemoryEngine>::clone(&engine));
    engine.poison().set(&StoreError::EnginePanicked { kind: EngineKind::Memory });
    let met = put(&state, shard(3), 1);
    assert!(matches!(met, Err(StoreError::PartitionLost { .. })), "{met:?}");
    assert_eq!(state.lost(), [PartitionId::of(shard(3))]);
    assert!(state.poison().check().is_ok(), "the node goes on");
}

#[test]
fn damaged_folder_that_cannot_be_renamed_is_not_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let state = open(&path, EngineKind::Fjall);
    put(&state, shard(3), 1).unwrap();
    state.partition(shard(3)).lose(&StoreError::Corrupt { what: "a test" });
    let partition = PartitionId::of(shard(3));
    let aside = path.join(format!("{partition}.aside-1"));
    // It seems free, but no folder can take its name.
    symlink("nowhere", &aside).unwrap();
    for _ in 0..2 {
        let refused = state.replace(partition);
        assert!(matches!(refused, Err(StoreError::Io { .. })), "{refused:?}");
        assert_eq!(state.lost(), [partition]);
    }
    fs::remove_file(&aside).unwrap();
    assert_eq!(state.replace(partition).unwrap(), Some(aside));
    assert_eq!(state.get(&key(shard(3), 1)).unwrap(), None);
}

#[test]
fn partition_in_memory_is_replaced_without_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder.path().join("state"), EngineKind::Memory);
    put(&state, shard(3), 1).unwrap();
    state.partition(shard(3)).lose(&StoreError::Corrupt { what: "a test" });
    assert_eq!(state.replace(PartitionId::of(shard(3))).unwrap(), None);
    assert_eq!(state.get(&key(shard(3), 1)).unwrap(), None);
}

#[test]
fn partition_that_does_not_open_is_set_aside_alone() {
    for kind in KINDS_ON_DISK {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        {
            let state = open(&path, kind);
            put(&state, shard(3), 1).unwrap();
            put(&state, GroupId::Directory, 1).unwrap();
            state.flush().unwrap();
        }
        let file = if kind == EngineKind::Fjall { "version" } else { "conf" };
        fs::write(path.join("03").join(file), "not what it was").unwrap();
        let opened = StatePartitions::open(&path, kind, CACHE_BYTES).unwrap();
        assert_eq!(opened.set_aside, [path.join("03.aside-1")]);
        assert_eq!(opened.partitions.get(&key(shard(3), 1)).unwrap(), None);
        assert!(opened.partitions.get(&key(GroupId::Directory, 1)).unwrap().is_some());
    }
}

#[test]
fn partition_that_is_lost_again_and_again_stays_lost() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder.path().join("state"), EngineKind::Fjall);
    let partition = PartitionId::of(shard(0));
    let damage = StoreError::Corrupt { what: "a test" };
    for _ in 0..3 {
        state.partition(shard(0)).lose(&damage);
        state.replace(partition).unwrap();
    }
    state.partition(shard(0)).lose(&damage);
    let refused = state.replace(partition).unwrap_err();
    assert!(refused.to_string().contains("replaced too often"), "{refused}");
    assert_eq!(state.lost(), [partition]);
    put(&state, shard(1), 1).unwrap();
}

#[test]
fn failed_write_that_is_no_damage_poisons_every_partition() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder.path().join("state"), EngineKind::Fjall);
    state.poison().set(&StoreError::DiskFull);
    for group in [shard(0), shard(1), GroupId::Directory] {
        assert!(matches!(put(&state, group, 1), Err(StoreError::DiskFull)));
        assert!(matches!(state.get(&key(group, 1)), Err(StoreError::DiskFull)));
    }
    assert_eq!(state.lost(), []);
}

#[test]
fn keys_of_two_groups_are_not_written_together() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&folder.path().join("state"), EngineKind::Fjall);
    let mut batch = model::batch(1);
    batch.put(key(shard(4), 1), &b"other"[..]);
    assert!(matches!(state.write(batch), Err(StoreError::NotOneGroup)));
    assert!(matches!(state.scan(b"", None, 1), Err(StoreError::NotOneGroup)));
    assert_eq!(state.lost(), [], "a fault of the caller is no damage");
}
