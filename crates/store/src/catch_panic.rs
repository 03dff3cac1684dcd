//! Owns how a panic inside a storage library is handled: it becomes an error and never takes down the caller's thread.
//!
//! The libraries panic on damaged files (measured: sled after a third of the power cuts), and raft-engine panics when an fsync
//! fails. After a panic the library's own locks and maps may be half changed, so an engine that stays reachable must be
//! poisoned: [`catch_panic_and_poison`].

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::StoreError;
use crate::poison::Poison;

/// The result of `call`, or `on_panic` if it panics.
pub(crate) fn catch_panic<T>(
    on_panic: StoreError,
    call: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(Err(on_panic))
}

/// The result of `call`, unless `poison` is set. If it panics, `on_panic` is the result and sets `poison`.
pub(crate) fn catch_panic_and_poison<T>(
    poison: &Poison,
    on_panic: StoreError,
    call: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    poison.check()?;
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result,
        Err(_panic) => poison.watch(Err(on_panic)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_becomes_the_error_that_was_named() {
        let outcome = catch_panic::<()>(StoreError::LogPanicked, || panic!("inside the library"));
        assert!(matches!(outcome, Err(StoreError::LogPanicked)));
        assert!(catch_panic(StoreError::LogPanicked, || Ok(())).is_ok());
    }

    #[test]
    fn panicking_engine_is_poisoned() {
        let poison = Poison::default();
        let outcome =
            catch_panic_and_poison::<()>(&poison, StoreError::LogPanicked, || panic!("inside the library"));
        assert!(matches!(outcome, Err(StoreError::LogPanicked)));
        let later = catch_panic_and_poison(&poison, StoreError::LogPanicked, || Ok(()));
        assert!(matches!(later, Err(StoreError::Poisoned { .. })));
    }
}
