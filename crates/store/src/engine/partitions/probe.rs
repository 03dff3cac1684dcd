//! Whether a disk can still be written and synced: tells a damaged database from a failing disk.
//!
//! An engine that stopped by itself does not say why. If its disk is full or fails, an empty engine in its place would fail
//! too, and the whole node must stop.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::error::StoreError;
use crate::files;
use crate::partition_id::PartitionId;

/// Bytes written: what an engine writes at a time.
const PROBE_BYTES: usize = 4 * 1024 * 1024;

/// Writes, syncs and removes a file.
pub(super) fn can_write(folder: &Path, partition: PartitionId) -> bool {
    let path = folder.join(format!("{partition}.probe"));
    let write = || {
        File::create(&path).and_then(|mut file| {
            file.write_all(&vec![0x5a; PROBE_BYTES])?;
            file.sync_all()
        })
    };
    let written = write().map_err(|error| StoreError::io("write", &path, error));
    let removed = files::remove_file(&path);
    match written.and(removed) {
        Ok(()) => true,
        Err(error) => {
            tracing::error!(%error, "the disk of the state cannot be written");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use custodia_profile::GroupId;

    use super::*;

    #[test]
    fn disk_that_cannot_be_written_is_told_from_one_that_can() {
        let folder = tempfile::tempdir().unwrap();
        let partition = PartitionId::of(GroupId::Directory);
        assert!(can_write(folder.path(), partition));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(!can_write(&folder.path().join("missing"), partition));
    }
}
