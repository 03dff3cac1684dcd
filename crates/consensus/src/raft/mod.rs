//! The Raft library on our storage: its types, the records we store for it, one replica's log and state machine,
//! snapshots, and the checksums of the state.

pub(crate) mod log;
mod log_sizes;
pub(crate) mod machine;
pub(crate) mod record;
pub(crate) mod snapshot_files;
pub(crate) mod snapshot_stream;
pub(crate) mod storage;
pub(crate) mod types;
pub(crate) mod verifier;
