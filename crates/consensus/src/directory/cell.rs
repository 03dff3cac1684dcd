//! Holds this node's current copy of the directory and announces its replacement.

use std::sync::Arc;

use arc_swap::ArcSwap;
use custodia_store::StateEngine;
use tokio::sync::watch;

use super::view::Directory;

/// This node's copy of the directory.
#[derive(Debug)]
pub(crate) struct DirectoryCell {
    current: ArcSwap<Directory>,
    changed: watch::Sender<u64>,
}

impl DirectoryCell {
    pub(crate) fn new(directory: Directory) -> Self {
        Self { current: ArcSwap::from_pointee(directory), changed: watch::Sender::new(0) }
    }

    pub(crate) fn load(&self) -> Arc<Directory> {
        self.current.load_full()
    }

    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Reads the directory again. If that fails, the previous copy stays in place, marked as outdated: nothing is judged by its
    /// catalogue.
    pub(crate) fn reload(&self, engine: &dyn StateEngine) {
        let before = self.current.load_full();
        let directory = Directory::load(engine).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read the directory; calls that need the catalogue are refused");
            before.outdated()
        });
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
    fn directory_that_cannot_be_read_keeps_the_way_and_says_that_it_is_outdated() {
        let (engine, cell) = (MemoryEngine::new(), DirectoryCell::new(Directory::default()));
        let node = NodeId::new(1).unwrap();
        let write = |key: bytes::Bytes, value: Option<bytes::Bytes>| {
            let mut batch = Batch::new();
            batch.set(key, value);
            engine.write(batch).unwrap();
            cell.reload(&engine);
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
