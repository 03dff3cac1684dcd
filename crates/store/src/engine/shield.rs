//! Keeps a panic inside an engine from taking down the caller's thread.
//!
//! Both engines on disk can panic on damaged files (measured: sled on a third of the power cuts). The panic becomes an
//! error, and the engine is poisoned, because its inner locks and maps may be half changed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::EngineKind;
use crate::error::StoreError;
use crate::poison::Poison;

pub(super) fn shielded<T>(
    kind: EngineKind,
    poison: &Poison,
    call: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    poison.check()?;
    if let Ok(result) = catch_unwind(AssertUnwindSafe(call)) {
        return result;
    }
    let error = StoreError::EnginePanicked { kind };
    poison.set(&error);
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panicking_engine_is_poisoned() {
        let poison = Poison::default();
        let outcome = shielded::<()>(EngineKind::Sled, &poison, || panic!("inside the engine"));
        assert!(matches!(outcome, Err(StoreError::EnginePanicked { .. })));
        let later = shielded(EngineKind::Sled, &poison, || Ok(()));
        assert!(matches!(later, Err(StoreError::Poisoned { .. })));
    }
}
