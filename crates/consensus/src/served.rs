//! The state as the server reads it: that of the replicas that run.
//!
//! What must hold: a call reads through the replica that runs now, and only what that replica has. The state of a group whose
//! replica is lost or being rebuilt is empty or old, and no read may take that for the truth. A replica that ends takes its
//! state with it, so a read that was begun on it fails.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use custodia_store::{
    Batch, EngineKind, EngineSnapshot, Pair, Partition, PartitionId, Poison, StateEngine, StoreError,
    group_of,
};

use crate::cluster::node::Node;
use crate::error::ConsensusError;
use crate::replica::Replica;

/// A passed read barrier.
///
/// A rebuilt replica may for a moment have an older state than the one for which the barrier was passed. A read that
/// outlives its replica could see that, so whoever has read asks [`ReadBarrier::check`] before the answer leaves.
#[derive(Debug)]
#[must_use = "check it after the reads"]
pub struct ReadBarrier(Partition);

impl ReadBarrier {
    pub(crate) fn new(state: Partition) -> Self {
        Self(state)
    }

    /// Fails if the state that the barrier was passed for is lost.
    ///
    /// # Errors
    /// [`StoreError::PartitionLost`] in [`ConsensusError::Store`].
    pub fn check(&self) -> Result<(), ConsensusError> {
        Ok(self.0.check()?)
    }
}

/// The state of the running replicas of a node.
pub(crate) struct ServedState(Arc<Node>);

impl fmt::Debug for ServedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServedState").finish_non_exhaustive()
    }
}

impl ServedState {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self(node)
    }

    fn of(&self, key: &[u8]) -> Result<Arc<Replica>, StoreError> {
        let group = group_of(key)?;
        if let Some(replica) = self.0.replicas.get(group) {
            return Ok(replica);
        }
        self.0.context.storage.check()?;
        let cause = format!("no replica of {group} runs here").into();
        Err(StoreError::PartitionLost { partition: PartitionId::of(group), cause })
    }
}

impl StateEngine for ServedState {
    fn kind(&self) -> EngineKind {
        self.0.context.storage.engine.kind()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.of(key)?.state.get(key)
    }

    fn scan(&self, prefix: &[u8], start_after: Option<&[u8]>, limit: usize) -> Result<Vec<Pair>, StoreError> {
        self.of(prefix)?.state.scan(prefix, start_after, limit)
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.0.context.storage.engine.write(batch)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.0.context.storage.engine.flush()
    }

    fn snapshot(&self, prefix: &[u8]) -> Result<Box<dyn EngineSnapshot>, StoreError> {
        self.of(prefix)?.state.snapshot(prefix)
    }

    fn disk_bytes(&self) -> u64 {
        self.0.context.storage.engine.disk_bytes()
    }

    fn poison(&self) -> &Poison {
        self.0.context.storage.engine.poison()
    }
}
