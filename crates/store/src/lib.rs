//! Bytes on disk: the shared Raft log and the state engines.
//!
//! Files are written in this crate alone. Nothing here knows openraft, keys or customers' data: values arrive sealed, and
//! log records are opaque.

pub mod engine;
mod error;
mod files;
pub mod folder;
pub mod install;
pub mod key;
pub mod log;
mod poison;
pub mod spool;
pub mod value;

pub use engine::{
    Batch, EngineKind, EngineSnapshot, FjallEngine, MemoryEngine, Opened, Pair, SledEngine, StateEngine,
    open_engine,
};
pub use error::StoreError;
pub use folder::DataFolder;
pub use install::{Resumed, delete_group, install_spool, resume_install, spool_snapshot};
pub use key::{EventPlace, Key, KeyKind, KeyParts, KeyPrefix, ReplicaEntry};
pub use log::{Done, LogBounds, LogOptions, LogRecord, Purged, SharedLog};
pub use poison::{OnPoison, Poison};
pub use spool::{SpoolReader, SpoolWriter, list_spools, remove_spool, verify_spool};
pub use value::{VALUE_HEADER_BYTES, ValueHeader};
