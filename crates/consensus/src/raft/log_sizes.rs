//! How many bytes a replica's log holds, and up to which index it may be purged to hold fewer.
//!
//! Sizes are kept for steps of about [`STEP_BYTES`], so a long log of small entries needs little memory. Entries that were in
//! the log when the process started count nothing: the purge of later ones removes them too.

use std::collections::VecDeque;

/// A step is closed at this size.
const STEP_BYTES: u64 = 256 * 1024;

#[derive(Debug)]
struct Step {
    first: u64,
    last: u64,
    bytes: u64,
}

/// The sizes of the entries of one log, in order.
#[derive(Debug, Default)]
pub(crate) struct LogSizes {
    steps: VecDeque<Step>,
    held: u64,
}

impl LogSizes {
    /// An entry was appended.
    pub(crate) fn push(&mut self, index: u64, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.held = self.held.saturating_add(bytes);
        match self.steps.back_mut() {
            Some(step) if step.bytes < STEP_BYTES => {
                step.last = index;
                step.bytes = step.bytes.saturating_add(bytes);
            }
            Some(_) | None => self.steps.push_back(Step { first: index, last: index, bytes }),
        }
    }

    /// Every entry after `index` was removed. A step that is cut keeps its size.
    pub(crate) fn truncate_after(&mut self, index: Option<u64>) {
        while self.steps.back().is_some_and(|step| Some(step.first) > index) {
            self.held -= self.steps.pop_back().map_or(0, |step| step.bytes);
        }
        if let (Some(step), Some(index)) = (self.steps.back_mut(), index) {
            step.last = step.last.min(index);
        }
    }

    /// Every entry through `index` was removed. A step that is cut keeps its size.
    pub(crate) fn purge_through(&mut self, index: u64) {
        while self.steps.front().is_some_and(|step| step.last <= index) {
            self.held -= self.steps.pop_front().map_or(0, |step| step.bytes);
        }
    }

    /// Bytes of all entries held.
    pub(crate) const fn held(&self) -> u64 {
        self.held
    }

    /// The last index to purge so that at most `bytes` remain, to within a step.
    pub(crate) fn purge_to_hold(&self, bytes: u64) -> Option<u64> {
        let mut kept = 0_u64;
        let too_much = |step: &&Step| {
            kept = kept.saturating_add(step.bytes);
            kept > bytes
        };
        self.steps.iter().rev().find(too_much).map(|step| step.last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_remains_after_a_purge_is_what_was_asked_for(
            sizes in proptest::collection::vec(0..400_000_usize, 1..80),
            hold in 0..8_000_000_u64,
        ) {
            let mut log = LogSizes::default();
            for (index, bytes) in (10..).zip(&sizes) {
                log.push(index, *bytes);
            }
            let of = |index: u64| sizes[usize::try_from(index - 10).unwrap()] as u64;
            let last = 9 + sizes.len() as u64;
            prop_assert_eq!(log.held(), sizes.iter().map(|bytes| *bytes as u64).sum::<u64>());
            match log.purge_to_hold(hold) {
                None => prop_assert!(log.held() <= hold),
                Some(through) => {
                    let left: u64 = (through + 1..=last).map(of).sum();
                    prop_assert!(left <= hold);
                    prop_assert!(left + STEP_BYTES + 400_000 > hold, "more is purged than needed");
                    log.purge_through(through);
                    prop_assert_eq!(log.held(), left);
                }
            }
        }

        #[test]
        fn truncation_forgets_whole_steps_and_never_counts_too_little(
            sizes in proptest::collection::vec(1..400_000_usize, 1..40), cut in 0..50_u64,
        ) {
            let mut log = LogSizes::default();
            for (index, bytes) in (0..).zip(&sizes) {
                log.push(index, *bytes);
            }
            log.truncate_after(Some(cut));
            let kept: u64 = sizes.iter().take(usize::try_from(cut).unwrap() + 1).map(|bytes| *bytes as u64).sum();
            prop_assert!(log.held() >= kept && log.held() <= kept + STEP_BYTES + 400_000);
            log.truncate_after(None);
            prop_assert_eq!(log.held(), 0);
        }
    }
}
