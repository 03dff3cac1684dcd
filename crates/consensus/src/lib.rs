//! Many Raft groups in one process: propose, read, snapshot, directory.
