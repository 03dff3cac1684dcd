//! The writer thread (one batch and one fsync for all waiting operations) and the thread that removes old files.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};

use custodia_profile::ReplicaId;
use raft_engine::{Command, Engine, LogBatch};

use super::queue::{Operation, Queued, QueuedBatch};
use super::record::{self, RecordCodec};
use super::{LogOptions, Shared, check};
use crate::catch_panic::catch_panic;
use crate::error::StoreError;

/// Old files are removed each time when this part of their limit has been written.
const CLEAN_EVERY_PART: u64 = 32;

/// Starts both threads. They end after the queue is closed.
pub(super) fn start(
    engine: &Arc<Engine>,
    shared: &Arc<Shared>,
    options: LogOptions,
) -> Result<Vec<JoinHandle<()>>, StoreError> {
    let clean_every = usize::try_from(options.purge_above_bytes / CLEAN_EVERY_PART).unwrap_or(usize::MAX);
    let (clean, clean_wanted) = sync_channel(1);
    let cleaner = {
        let (engine, shared) = (Arc::clone(engine), Arc::downgrade(shared));
        spawn("log-clean", move || clean_files(&engine, &shared, &clean_wanted))?
    };
    let writer = {
        let (engine, shared) = (Arc::clone(engine), Arc::clone(shared));
        spawn("log-write", move || write_batches(&engine, &shared, clean_every, &clean))?
    };
    Ok(vec![writer, cleaner])
}

fn spawn(name: &'static str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let builder = thread::Builder::new().name(name.to_owned());
    builder.spawn(body).map_err(|source| StoreError::Thread { name, source })
}

fn write_batches(engine: &Engine, shared: &Shared, clean_every: usize, clean: &SyncSender<()>) {
    let mut since_clean = 0;
    while let Some(batch) = shared.queue.take() {
        let sequence = batch.sequence;
        let (operations, result) = write_batch(engine, shared, batch);
        match result {
            Ok(bytes) => {
                since_clean += bytes;
                shared.queue.publish(sequence);
            }
            Err(error) => {
                tracing::error!(error = %error, "log write failed; log stopped");
                shared.poison.set(&error);
            }
        }
        for Queued { done, .. } in operations {
            let result = shared.poison.check();
            let call = || {
                done(result);
                Ok(())
            };
            if catch_panic(StoreError::LogPanicked, call).is_err() {
                tracing::error!("log callback panicked");
            }
        }
        if since_clean >= clean_every {
            since_clean = 0;
            // One pending clean-up is enough.
            clean.try_send(()).unwrap_or_default();
        }
    }
}

/// Writes and syncs one batch. raft-engine panics when an fsync fails; that becomes an error.
fn write_batch(
    engine: &Engine,
    shared: &Shared,
    batch: QueuedBatch,
) -> (Vec<Queued>, Result<usize, StoreError>) {
    let QueuedBatch { committed, mut operations, .. } = batch;
    let write = || -> Result<usize, StoreError> {
        shared.poison.check()?;
        let mut batch = LogBatch::default();
        for (replica, bytes) in &committed {
            put(&mut batch, replica.as_u64(), record::COMMITTED, record::encode_metadata(bytes))?;
        }
        for Queued { replica, operation, .. } in &mut operations {
            add(&mut batch, *replica, operation)?;
        }
        engine.write(&mut batch, true).map_err(StoreError::log)
    };
    let result = catch_panic(StoreError::LogPanicked, write);
    (operations, result)
}

fn add(batch: &mut LogBatch, replica: ReplicaId, operation: &Operation) -> Result<(), StoreError> {
    let region = replica.as_u64();
    match operation {
        Operation::Append(records) => {
            let entries: Vec<_> = records.iter().map(record::encode_record).collect();
            batch.add_entries::<RecordCodec>(region, &entries).map_err(StoreError::log)
        }
        Operation::CutAfter(last) => {
            batch.add_entries::<RecordCodec>(region, &[record::encode_record(last)]).map_err(StoreError::log)
        }
        Operation::Vote(vote) => put(batch, region, record::VOTE, record::encode_metadata(vote)),
        Operation::DropBelow(index) => {
            batch.add_command(region, Command::Compact { index: *index });
            Ok(())
        }
        Operation::Purge(purged) => {
            batch.add_command(region, Command::Compact { index: purged.index + 1 });
            put(batch, region, record::PURGED, record::encode_purged(purged))
        }
        Operation::Destroy => {
            batch.add_command(region, Command::Clean);
            put(batch, record::OF_THE_LOG, &region.to_be_bytes(), record::encode_metadata(&[]))
        }
        Operation::Barrier => Ok(()),
    }
}

fn put(batch: &mut LogBatch, region: u64, key: &[u8], value: Vec<u8>) -> Result<(), StoreError> {
    batch.put(region, key.to_vec(), value).map_err(StoreError::log)
}

fn clean_files(engine: &Engine, shared: &Weak<Shared>, wanted: &Receiver<()>) {
    while wanted.recv().is_ok() {
        let Some(shared) = shared.upgrade() else { return };
        let folder = Path::new(engine.path());
        let purge = || {
            check::begin_cleaning(folder)?;
            let regions = engine.purge_expired_files().map_err(StoreError::log)?;
            check::end_cleaning(folder)?;
            Ok(regions)
        };
        match catch_panic(StoreError::LogPanicked, purge) {
            Ok(regions) => {
                let replicas = regions.into_iter().filter_map(|region| ReplicaId::new(region).ok());
                shared.purge_wanted.lock().extend(replicas);
            }
            Err(error) => {
                tracing::error!(error = %error, "old log files cannot be removed; log stopped");
                shared.poison.set(&error);
            }
        }
    }
}
