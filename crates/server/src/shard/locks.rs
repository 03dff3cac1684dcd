//! One lock for each customer with a write in progress, so that the leader evaluates a customer's writes one after another
//! instead of losing them to conflicts.
//!
//! Invariant: the map has an entry for exactly the customers whose lock is held or awaited, and at most
//! [`WAITERS_MAX`] writes hold or await one. Correctness never depends on these locks: the command's conditions ensure it.

use std::{collections::HashMap, sync::Arc};

use custodia_profile::CustomerId;
use parking_lot::Mutex;
use tokio::{
    sync::{Mutex as AsyncMutex, OwnedMutexGuard},
    time::{Instant, timeout_at},
};

use crate::wire::ServiceError;

/// The maximum number of writes that hold or await one customer's lock.
pub(crate) const WAITERS_MAX: usize = 256;

const STRIPES: usize = 64;

type Stripe = Mutex<HashMap<CustomerId, Arc<AsyncMutex<()>>>>;

/// The customer locks of one node.
#[derive(Debug)]
pub(crate) struct CustomerLocks {
    stripes: Box<[Stripe]>,
}

/// Holds a customer's lock until dropped.
#[derive(Debug)]
pub(crate) struct CustomerGuard<'a> {
    held: Option<OwnedMutexGuard<()>>,
    _entry: QueueEntry<'a>,
}

/// Membership in one customer's queue; the last one to drop removes the map entry.
#[derive(Debug)]
struct QueueEntry<'a> {
    stripe: &'a Stripe,
    customer: CustomerId,
    lock: Option<Arc<AsyncMutex<()>>>,
}

impl CustomerLocks {
    pub(crate) fn new() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Stripe::default()).collect() }
    }

    /// Waits for the customer's lock, at most until the deadline.
    ///
    /// # Errors
    /// [`ServiceError::CustomerBusy`] if too many writes wait already; [`ServiceError::DeadlinePassed`].
    pub(crate) async fn lock(
        &self,
        customer: CustomerId,
        deadline: Instant,
    ) -> Result<CustomerGuard<'_>, ServiceError> {
        let (entry, lock) = self.enqueue(customer)?;
        let held =
            timeout_at(deadline, lock.lock_owned()).await.map_err(|_elapsed| ServiceError::DeadlinePassed)?;
        Ok(CustomerGuard { held: Some(held), _entry: entry })
    }

    fn enqueue(&self, customer: CustomerId) -> Result<(QueueEntry<'_>, Arc<AsyncMutex<()>>), ServiceError> {
        let stripe = self.stripe_of(customer);
        let mut customers = stripe.lock();
        let lock = Arc::clone(customers.entry(customer).or_default());
        // Strong references: one in the map, one here, and up to two for each write in the queue.
        if Arc::strong_count(&lock) > 2 * WAITERS_MAX {
            return Err(ServiceError::CustomerBusy);
        }
        Ok((QueueEntry { stripe, customer, lock: Some(Arc::clone(&lock)) }, lock))
    }

    #[expect(clippy::indexing_slicing, reason = "the remainder is below the length, which is never 0")]
    fn stripe_of(&self, customer: CustomerId) -> &Stripe {
        &self.stripes[usize::from(customer.slot().as_u16()) % self.stripes.len()]
    }
}

impl Drop for CustomerGuard<'_> {
    fn drop(&mut self) {
        // Released before the queue entry, so that `QueueEntry::drop` counts the references correctly.
        drop(self.held.take());
    }
}

impl Drop for QueueEntry<'_> {
    fn drop(&mut self) {
        let mut customers = self.stripe.lock();
        drop(self.lock.take());
        if customers.get(&self.customer).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            customers.remove(&self.customer);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use custodia_profile::PoolId;

    use super::*;

    fn customer(tag: u8) -> CustomerId {
        CustomerId::from_parts(1_700_000_000_000, [tag; 10], PoolId::default())
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    fn entries(locks: &CustomerLocks) -> usize {
        locks.stripes.iter().map(|stripe| stripe.lock().len()).sum()
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_write_of_the_same_customer_waits_and_one_of_another_does_not() {
        let locks = CustomerLocks::new();
        let first = locks.lock(customer(1), soon()).await.expect("free");
        let other = locks.lock(customer(2), soon()).await.expect("free");
        assert!(matches!(locks.lock(customer(1), soon()).await, Err(ServiceError::DeadlinePassed)));
        drop(first);
        drop(locks.lock(customer(1), soon()).await.expect("free again"));
        drop(other);
        assert_eq!(entries(&locks), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_of_one_customer_is_bounded_and_leaves_nothing_behind() {
        let locks = CustomerLocks::new();
        let held = locks.lock(customer(1), soon()).await.expect("free");
        let waiting: Vec<_> = (0..WAITERS_MAX - 1).map(|_| locks.lock(customer(1), soon())).collect();
        let mut waiting = futures::future::join_all(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        assert!(matches!(locks.lock(customer(1), soon()).await, Err(ServiceError::CustomerBusy)));
        drop((waiting, held));
        assert_eq!(entries(&locks), 0);
    }
}
