//! Bytes on disk: the shared Raft log and the state engines.
