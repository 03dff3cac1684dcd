//! What may be in flight at a time: calls, or bytes of requests and answers. Each budget is a limit of `[limits]`.
//!
//! Must always hold: what is in flight is at most the limit, except for answers that are sent in any case
//! ([`BytesBudgets::take_at_most`]).

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::refusal::Refusal;

/// One limit, and what is in flight of it. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    limit: &'static str,
    most: usize,
    free: Arc<Semaphore>,
}

impl Budget {
    /// The budget of a limit: its key in `[limits]` and its value.
    pub(super) fn new(limit: &'static str, most: usize) -> Self {
        Self { limit, most, free: Arc::new(Semaphore::new(most)) }
    }

    /// Takes so many until the permit is dropped.
    ///
    /// # Errors
    /// [`Refusal::Full`], with the limit.
    pub(super) fn take(&self, count: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let full = Refusal::Full { limit: self.limit, most: self.most };
        let count = u32::try_from(count).or(Err(full))?;
        Arc::clone(&self.free).try_acquire_many_owned(count).or(Err(full))
    }

    /// Refuses if nothing is left.
    ///
    /// # Errors
    /// [`Refusal::Full`], with the limit.
    fn check_left(&self) -> Result<(), Refusal> {
        match self.free.available_permits() {
            0 => Err(Refusal::Full { limit: self.limit, most: self.most }),
            _ => Ok(()),
        }
    }

    fn take_at_most(&self, count: usize) -> Option<OwnedSemaphorePermit> {
        self.take(count.min(self.free.available_permits())).ok()
    }

    /// Waits until nothing is in flight, and keeps it so while the permit is held.
    pub(super) async fn take_all(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.free.acquire_many(u32::try_from(self.most).unwrap_or(u32::MAX)).await
    }

    /// What is in flight.
    pub(super) fn in_use(&self) -> usize {
        self.most.saturating_sub(self.free.available_permits())
    }
}

/// The budgets to which the bytes of a call count.
#[derive(Debug, Clone)]
pub(super) struct BytesBudgets {
    /// Those of the connection, where it has a budget of its own.
    pub(super) connection: Option<Budget>,
    /// Those of the node.
    pub(super) node: Budget,
}

/// Bytes in flight, until it is dropped.
#[derive(Debug, Default)]
pub(super) struct HeldBytes {
    connection: Option<OwnedSemaphorePermit>,
    node: Option<OwnedSemaphorePermit>,
}

impl HeldBytes {
    /// Holds these as well. Both are of the same budgets.
    pub(super) fn add(&mut self, more: Self) {
        join(&mut self.connection, more.connection);
        join(&mut self.node, more.node);
    }

    /// Gives so many of them back.
    pub(super) fn give_back(&mut self, count: usize) {
        for permit in [&mut self.connection, &mut self.node].into_iter().flatten() {
            drop(permit.split(count));
        }
    }
}

fn join(held: &mut Option<OwnedSemaphorePermit>, more: Option<OwnedSemaphorePermit>) {
    match (held, more) {
        (_, None) => {}
        (Some(held), Some(more)) => held.merge(more),
        (held @ None, more) => *held = more,
    }
}

impl BytesBudgets {
    /// Refuses if a budget has nothing left, before any work is done for the call.
    ///
    /// # Errors
    /// [`Refusal::Full`], with the limit.
    pub(super) fn check_left(&self) -> Result<(), Refusal> {
        self.connection.as_ref().map_or(Ok(()), Budget::check_left)?;
        self.node.check_left()
    }

    /// Takes so many bytes.
    ///
    /// # Errors
    /// [`Refusal::Full`], with the limit.
    pub(super) fn take(&self, count: usize) -> Result<HeldBytes, Refusal> {
        let connection = self.connection.as_ref().map(|budget| budget.take(count)).transpose()?;
        Ok(HeldBytes { connection, node: Some(self.node.take(count)?) })
    }

    /// Takes so many bytes, or what is left: for an answer that is sent in any case, since it says what was done.
    pub(super) fn take_at_most(&self, count: usize) -> HeldBytes {
        let connection = self.connection.as_ref().and_then(|budget| budget.take_at_most(count));
        HeldBytes { connection, node: self.node.take_at_most(count) }
    }
}
