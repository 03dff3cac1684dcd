//! Holds this node's current copy of the directory and announces its replacement.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use custodia_store::StateEngine;
use tokio::sync::watch;

use super::view::Directory;

/// This node's copy of the directory.
#[derive(Debug)]
pub(crate) struct DirectoryCell {
    current: ArcSwap<Directory>,
    changed: watch::Sender<u64>,
    /// Through which log entry the copy reaches.
    applied: AtomicU64,
}

impl DirectoryCell {
    pub(crate) fn new(directory: Directory) -> Self {
        let current = ArcSwap::from_pointee(directory);
        Self { current, changed: watch::Sender::new(0), applied: AtomicU64::new(0) }
    }

    pub(crate) fn load(&self) -> Arc<Directory> {
        self.current.load_full()
    }

    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Reads the directory again, as of the log entry `applied`. If that fails, the previous copy stays in place, marked as
    /// outdated: nothing is judged by its catalogue. It also stays while a replica that lost its state catches up with it: no
    /// restriction that was in force is forgotten meanwhile.
    pub(crate) fn reload(&self, engine: &dyn StateEngine, applied: u64) {
        if applied < self.applied.load(Ordering::Acquire) {
            return;
        }
        let before = self.current.load_full();
        let directory = match Directory::load(engine) {
            Ok(directory) => {
                self.applied.store(applied, Ordering::Release);
                directory
            }
            Err(error) => {
                tracing::error!(%error, "cannot read the directory; calls that need the catalogue are refused");
                before.outdated()
            }
        };
        if *before != directory {
            self.current.store(Arc::new(directory));
            self.changed.send_modify(|version| *version += 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use custodia_profile::NodeId;
    use custodia_store::{Batch, Key, MemoryEngine, ValueHeader};

    use super::*;
    use crate::directory::write_node;
    use crate::transport::Peer;

    #[test]
    fn replica_that_catches_up_does_not_take_the_directory_back() {
        let (engine, cell) = (MemoryEngine::new(), DirectoryCell::new(Directory::default()));
        let node = NodeId::new(1).unwrap();
        let write = write_node(&Peer { node, address: "n1:1".to_owned() }, 1);
        let mut batch = Batch::new();
        batch.set(write.key, write.value);
        engine.write(batch).unwrap();
        cell.reload(&engine, 7);
        for (applied, known) in [(0, true), (6, true), (7, false)] {
            cell.reload(&MemoryEngine::new(), applied);
            assert_eq!(cell.load().node(node).is_some(), known, "at entry {applied}");
        }
    }

    #[test]
    fn directory_that_cannot_be_read_keeps_the_way_and_says_that_it_is_outdated() {
        let (engine, cell) = (MemoryEngine::new(), DirectoryCell::new(Directory::default()));
        let node = NodeId::new(1).unwrap();
        let write = |key: bytes::Bytes, value: Option<bytes::Bytes>| {
            let mut batch = Batch::new();
            batch.set(key, value);
            engine.write(batch).unwrap();
            cell.reload(&engine, 0);
            cell.load()
        };
        let of_node = write_node(&Peer { node, address: "n1:1".to_owned() }, 1);
        assert!(write(of_node.key.clone(), of_node.value.clone()).is_readable());
        let outdated = write(of_node.key.clone(), Some(ValueHeader::default().encode(&[0xff])));
        assert!(!outdated.is_readable());
        assert_eq!(outdated.node(node).unwrap().address, "n1:1");
        assert!(!write(Key::meta("catalogue").into_bytes(), None).is_readable(), "still");
        assert!(write(of_node.key, of_node.value).is_readable());
    }
}
