//! Bytes on disk: the shared Raft log and the state engines.
//!
//! A node writes files in this crate only. The crate does not know openraft, encryption keys or customers' data: values are
//! sealed before they arrive, and log records are opaque bytes.
//!
//! ```text
//! install ─► snapshot_file ─► files ─► error ─► engine_kind, partition_id
//!    └─► key, value, engine ◄─ checksums      folder ─► snapshot_file
//! engine, log ─► catch_panic ─► poison ─► error      engine ─► key ─► error
//! ```

mod catch_panic;
mod checksums;
mod engine;
mod engine_kind;
mod error;
mod files;
mod folder;
mod install;
mod key;
mod log;
mod partition_id;
mod poison;
mod snapshot_file;
mod value;

pub use checksums::{KeyRange, StateChecksums};
pub use engine::{
    Batch, EngineSnapshot, FjallEngine, MemoryEngine, OnLost, Opened, OpenedPartitions, Pair, Partition,
    SledEngine, StateEngine, StatePartitions, open_engine,
};
pub use engine_kind::{EngineKind, UnknownEngine};
pub use error::{StoreError, with_causes};
pub use folder::DataFolder;
pub use install::{Resumed, delete_group, install_snapshot_file, resume_install, write_snapshot_file};
pub use key::{EventSortKey, Key, KeyKind, KeyParts, KeyPrefix, ReplicaEntry, group_of};
pub use log::{Done, LogBounds, LogOptions, LogRecord, Purged, SharedLog};
pub use partition_id::PartitionId;
pub use poison::{OnPoison, Poison};
pub use snapshot_file::{
    SnapshotFileReader, SnapshotFileWriter, list_snapshot_files, remove_snapshot_file, verify_snapshot_file,
};
pub use value::{VALUE_HEADER_BYTES, ValueHeader};
