//! The latch that stops an engine or a log after its first failed write.
//!
//! Why: after a failed write or fsync the contents of the disk are unknown, and a second fsync that succeeds proves
//! nothing (the kernel has dropped the dirty pages). So the first failure is final until the process restarts.
//!
//! A leader on this store must learn of the failure even if it never writes again: see [`Poison::on_set`].

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::error::{StoreError, with_causes};

/// Called once with the cause, on the thread whose call failed. It must be short and must not call back into the store.
pub type OnPoison = Box<dyn FnOnce(StoreError) + Send>;

/// Set once, never cleared.
#[derive(Default)]
pub struct Poison {
    set: AtomicBool,
    cause: OnceLock<Cause>,
    /// Callbacks to run when it is set.
    waiting: Mutex<Vec<OnPoison>>,
}

impl fmt::Debug for Poison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Poison").field("cause", &self.cause.get()).finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Cause {
    DiskFull,
    Failed(Arc<str>),
}

impl Poison {
    /// Fails when the latch is set. One atomic load when it is not.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`] or [`StoreError::Poisoned`].
    pub fn check(&self) -> Result<(), StoreError> {
        if self.set.load(Ordering::Acquire) { Err(self.error()) } else { Ok(()) }
    }

    /// Sets the latch and runs the callbacks; the first cause stays. A simulation calls it to make a disk fail.
    pub fn set(&self, error: &StoreError) {
        let cause = if matches!(error, StoreError::DiskFull) {
            Cause::DiskFull
        } else {
            Cause::Failed(with_causes(error).into())
        };
        self.cause.get_or_init(|| cause);
        self.set.store(true, Ordering::Release);
        // A later `on_set` finds the latch set under this lock; an earlier one has added its callback.
        let waiting = std::mem::take(&mut *self.waiting.lock());
        for callback in waiting {
            callback(self.error());
        }
    }

    /// Runs `callback` when the latch is set, at once if it already is.
    pub fn on_set(&self, callback: OnPoison) {
        let mut waiting = self.waiting.lock();
        if self.set.load(Ordering::Acquire) {
            drop(waiting);
            callback(self.error());
        } else {
            waiting.push(callback);
        }
    }

    /// Sets the latch if the result is an error; returns the result.
    pub(crate) fn watch<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.inspect_err(|error| self.set(error))
    }

    /// The error of every later call.
    pub(crate) fn error(&self) -> StoreError {
        match self.cause.get() {
            Some(Cause::DiskFull) => StoreError::DiskFull,
            Some(Cause::Failed(cause)) => StoreError::Poisoned { cause: Arc::clone(cause) },
            None => StoreError::Poisoned { cause: "unknown".into() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_later_call_gets_the_first_failure() {
        let poison = Poison::default();
        assert!(poison.check().is_ok());
        poison.set(&StoreError::LogPanicked);
        poison.set(&StoreError::DiskFull);
        assert!(matches!(poison.check(), Err(StoreError::Poisoned { cause }) if cause.contains("panicked")));
    }

    #[test]
    fn callback_runs_once_and_at_once_if_already_set() {
        let (poison, told) = (Poison::default(), Arc::new(Mutex::new(Vec::new())));
        let wait = |name: &'static str| {
            let told = Arc::clone(&told);
            poison.on_set(Box::new(move |error| told.lock().push((name, error.to_string()))));
        };
        wait("early");
        assert!(told.lock().is_empty());
        poison.set(&StoreError::DiskFull);
        poison.set(&StoreError::LogPanicked);
        wait("late");
        let full = StoreError::DiskFull.to_string();
        assert_eq!(*told.lock(), [("early", full.clone()), ("late", full)]);
    }

    #[test]
    fn full_disk_stays_recognisable() {
        let poison = Poison::default();
        poison.set(&StoreError::DiskFull);
        assert!(matches!(poison.check(), Err(StoreError::DiskFull)));
    }
}
