//! Opens raft-engine (after [`super::check`] has checked its files) and repairs what its own recovery may leave.
//!
//! - Purged records may come back (raft-engine can lose a compaction in a rewrite): they are removed again, so that the next
//!   append leaves no hole, at which raft-engine panics.
//! - A destroyed replica may come back in the same way: its tombstone removes it again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use custodia_profile::ReplicaId;
use parking_lot::Mutex;
use raft_engine::{Command, Config, Engine, LogBatch, ReadableSize, RecoveryMode};
use uuid::Uuid;

use super::replica::ReplicaLog;
use super::{LogOptions, Replicas, check, record};
use crate::catch_panic::catch_panic;
use crate::error::StoreError;
use crate::files;

/// Threads that read the files at startup.
const RECOVERY_THREADS: usize = 2;

/// The engine, the generation of its log, and the replicas in it.
pub(super) fn open(folder: &Path, options: LogOptions) -> Result<(Arc<Engine>, Uuid, Replicas), StoreError> {
    files::create_folder(folder)?;
    check::check_files(folder)?;
    let config = config(folder, options)?;
    let engine = catch_panic(StoreError::LogPanicked, || Engine::open(config).map_err(StoreError::log))?;
    let (generation, replicas) = catch_panic(StoreError::LogPanicked, || load(&engine))?;
    // raft-engine syncs the folder when it begins another file, but not for the first.
    files::sync_folder(folder)?;
    Ok((Arc::new(engine), generation, replicas))
}

/// Files are not recycled: behind its end a file must not hold records of an earlier use. Records are not compressed: they
/// are sealed.
fn config(folder: &Path, options: LogOptions) -> Result<Config, StoreError> {
    let dir = folder.to_str().ok_or_else(|| {
        let reason = std::io::Error::new(std::io::ErrorKind::InvalidFilename, "not UTF-8");
        StoreError::io("open", folder, reason)
    })?;
    Ok(Config {
        dir: dir.to_owned(),
        recovery_mode: RecoveryMode::TolerateTailCorruption,
        recovery_threads: RECOVERY_THREADS,
        batch_compression_threshold: ReadableSize(0),
        target_file_size: ReadableSize(options.file_bytes),
        purge_threshold: ReadableSize(options.purge_above_bytes.max(options.file_bytes)),
        enable_log_recycle: false,
        ..Config::default()
    })
}

fn load(engine: &Engine) -> Result<(Uuid, Replicas), StoreError> {
    let destroyed = tombstones(engine)?;
    let mut repairs = LogBatch::default();
    let generation = match engine.get(record::OF_THE_LOG, record::GENERATION) {
        Some(found) => record::decode_generation(found)?,
        None => {
            let new = Uuid::new_v4();
            let value = record::encode_metadata(new.as_bytes());
            repairs.put(record::OF_THE_LOG, record::GENERATION.to_vec(), value).map_err(StoreError::log)?;
            new
        }
    };
    let mut live = BTreeMap::new();
    for region in engine.raft_groups() {
        let Ok(replica) = ReplicaId::new(region) else { continue };
        if destroyed.contains(&replica) {
            repairs.add_command(region, Command::Clean);
            continue;
        }
        live.insert(replica, Arc::new(Mutex::new(load_replica(engine, replica, &mut repairs)?)));
    }
    engine.write(&mut repairs, true).map_err(StoreError::log)?;
    Ok((generation, Replicas { live, destroyed }))
}

fn load_replica(
    engine: &Engine,
    replica: ReplicaId,
    repairs: &mut LogBatch,
) -> Result<ReplicaLog, StoreError> {
    let region = replica.as_u64();
    let purged = engine.get(region, record::PURGED).map(record::decode_purged).transpose()?;
    let mut span = engine.first_index(region).zip(engine.last_index(region));
    if let (Some(purged), Some((first, last))) = (&purged, span) {
        let after = purged.index + 1;
        if first > after {
            return Err(StoreError::LogHole { replica, expected: after, found: first });
        }
        if first < after {
            repairs.add_command(region, Command::Compact { index: after });
            span = (after <= last).then_some((after, last));
        }
    }
    let mut log = ReplicaLog::recovered(span, purged);
    log.vote = engine.get(region, record::VOTE).map(record::decode_metadata).transpose()?;
    log.committed = engine.get(region, record::COMMITTED).map(record::decode_metadata).transpose()?;
    Ok(log)
}

fn tombstones(engine: &Engine) -> Result<BTreeSet<ReplicaId>, StoreError> {
    let mut destroyed = BTreeSet::new();
    engine
        .scan_raw_messages(record::OF_THE_LOG, None, None, false, |key, _| {
            let id = <[u8; 8]>::try_from(key).ok().map(u64::from_be_bytes);
            destroyed.extend(id.and_then(|id| ReplicaId::new(id).ok()));
            true
        })
        .map_err(StoreError::log)?;
    Ok(destroyed)
}
