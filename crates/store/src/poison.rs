//! The latch that stops an engine or a log after its first failed write.
//!
//! Why: after a failed write or fsync nobody knows what is on disk, and a second fsync that succeeds proves
//! nothing (the kernel has dropped the dirty pages). So the first failure is final until the process starts again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::error::StoreError;

/// Set once, never cleared.
#[derive(Debug, Default)]
pub(crate) struct Poison {
    set: AtomicBool,
    cause: OnceLock<Cause>,
}

#[derive(Debug)]
enum Cause {
    DiskFull,
    Failed(Arc<str>),
}

impl Poison {
    /// Refuses when the latch is set. One relaxed load on the good path.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.set.load(Ordering::Acquire) { Err(self.error()) } else { Ok(()) }
    }

    /// Sets the latch; the first cause stays.
    pub(crate) fn set(&self, error: &StoreError) {
        let cause = if matches!(error, StoreError::DiskFull) {
            Cause::DiskFull
        } else {
            Cause::Failed(chain_text(error).into())
        };
        self.cause.get_or_init(|| cause);
        self.set.store(true, Ordering::Release);
    }

    /// Sets the latch if the result is an error, and hands the result back.
    pub(crate) fn watch<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.inspect_err(|error| self.set(error))
    }

    /// What every later call is told.
    pub(crate) fn error(&self) -> StoreError {
        match self.cause.get() {
            Some(Cause::DiskFull) => StoreError::DiskFull,
            Some(Cause::Failed(cause)) => StoreError::Poisoned { cause: Arc::clone(cause) },
            None => StoreError::Poisoned { cause: "unknown".into() },
        }
    }
}

fn chain_text(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(current) = cause {
        text.push_str(": ");
        text.push_str(&current.to_string());
        cause = current.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_failure_is_what_every_later_call_is_told() {
        let poison = Poison::default();
        assert!(poison.check().is_ok());
        poison.set(&StoreError::LogPanicked);
        poison.set(&StoreError::DiskFull);
        assert!(matches!(poison.check(), Err(StoreError::Poisoned { cause }) if cause.contains("panicked")));
    }

    #[test]
    fn full_disk_stays_recognisable() {
        let poison = Poison::default();
        poison.set(&StoreError::DiskFull);
        assert!(matches!(poison.check(), Err(StoreError::DiskFull)));
    }
}
