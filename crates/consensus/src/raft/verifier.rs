//! The checksums of one replica's state as of a verification entry.
//!
//! ```text
//! apply the entry ─► a view of the state as of it ─► read in chunks, at most half of the time ─► checksums
//!                    (the same index on every replica)                                          kept until the next entry
//! ```
//! What must hold: the checksums are of what is stored, header and all, not of what was once applied. So they also show what
//! changed below the engine, or was rolled back there, which sums that apply kept up to date would not. The price is that
//! everything is read: one state at a time on a node, in the background, with a pause after each chunk as long as the chunk took.

use std::sync::Arc;
use std::time::Instant;

use custodia_profile::GroupId;
use custodia_store::{EngineSnapshot, StateChecksums, StoreError};
use tokio::sync::{Semaphore, watch};

use crate::blocking::blocking;
use crate::error::ConsensusError;
use crate::lifecycle::Lifecycle;

/// Bytes that are read before a pause.
const CHUNK_BYTES: usize = 1024 * 1024;

/// One verification of this replica.
#[derive(Debug, Clone)]
struct Verification {
    /// The index of its entry.
    index: u64,
    progress: Progress,
}

#[derive(Debug, Clone)]
enum Progress {
    Running,
    Done(Arc<StateChecksums>),
    Unreadable,
}

/// Computes the checksums of one replica. Clones share the last verification.
#[derive(Debug, Clone)]
pub(crate) struct Verifier {
    group: GroupId,
    lifecycle: Arc<Lifecycle>,
    verifying: Arc<Semaphore>,
    last: watch::Sender<Option<Verification>>,
}

impl Verifier {
    /// A verifier of a replica. `verifying` has a permit for each state that may be read at a time.
    pub(crate) fn new(group: GroupId, lifecycle: Arc<Lifecycle>, verifying: Arc<Semaphore>) -> Self {
        Self { group, lifecycle, verifying, last: watch::Sender::new(None) }
    }

    /// Begins the verification at this index; one that is still running is given up. `view` is the state as of the entry.
    pub(crate) fn begin(&self, index: u64, seed: u64, view: Result<Box<dyn EngineSnapshot>, StoreError>) {
        self.last.send_replace(Some(Verification { index, progress: Progress::Running }));
        let this = self.clone();
        self.lifecycle.spawn("a verification", async move {
            let computed = this.lifecycle.stop.run_until_cancelled(this.compute(index, seed, view)).await;
            let progress = match computed {
                None => return,
                Some(Ok(checksums)) => Progress::Done(Arc::new(checksums)),
                Some(Err(error)) => {
                    tracing::error!(group = %this.group, %error, "cannot read the replica's state to verify it");
                    Progress::Unreadable
                }
            };
            this.last.send_if_modified(|last| {
                let current = last.as_mut().filter(|last| last.index == index);
                current.map(|current| current.progress = progress).is_some()
            });
        });
    }

    async fn compute(
        &self,
        index: u64,
        seed: u64,
        view: Result<Box<dyn EngineSnapshot>, StoreError>,
    ) -> Result<StateChecksums, ConsensusError> {
        let mut view = view?;
        let _permit = self.verifying.acquire().await.map_err(|_closed| ConsensusError::Stopped)?;
        let mut checksums = StateChecksums::default();
        let mut is_end = false;
        while !is_end && self.is_last(index) {
            let began = Instant::now();
            let read = blocking(move || {
                let pairs = view.next_chunk(CHUNK_BYTES)?;
                checksums.add(seed, &pairs);
                Ok::<_, StoreError>((view, checksums, pairs.is_empty()))
            });
            (view, checksums, is_end) = read.await?;
            tokio::time::sleep(began.elapsed()).await;
        }
        Ok(checksums)
    }

    /// Whether this is the index of the last verification.
    pub(crate) fn is_last(&self, index: u64) -> bool {
        self.last.borrow().as_ref().is_some_and(|last| last.index == index)
    }

    /// The checksums as of the verification at this index, once they are there. `None` if there are none: a later
    /// verification has begun, or the state cannot be read.
    pub(crate) async fn checksums(
        &self,
        index: u64,
        deadline: Instant,
    ) -> Result<Option<Arc<StateChecksums>>, ConsensusError> {
        let mut last = self.last.subscribe();
        let decided = last.wait_for(|last| {
            let last = last.as_ref().filter(|last| last.index >= index);
            last.is_some_and(|last| last.index > index || !matches!(last.progress, Progress::Running))
        });
        let decided = tokio::time::timeout_at(deadline.into(), decided).await;
        let decided = decided.map_err(|_elapsed| ConsensusError::Timeout)?;
        let last = decided.map_err(|_closed| ConsensusError::Stopped)?;
        Ok(match &*last {
            Some(Verification { index: of, progress: Progress::Done(checksums) }) if *of == index => {
                Some(Arc::clone(checksums))
            }
            Some(_) | None => None,
        })
    }
}
