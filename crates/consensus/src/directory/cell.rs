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

    /// Reads the directory again. If that fails, the previous copy stays in place.
    pub(crate) fn reload(&self, engine: &dyn StateEngine) {
        match Directory::load(engine) {
            Ok(directory) => {
                if *self.current.load_full() != directory {
                    self.current.store(Arc::new(directory));
                    self.changed.send_modify(|version| *version += 1);
                }
            }
            Err(error) => tracing::error!(%error, "cannot read the directory; keeping the previous copy"),
        }
    }
}
