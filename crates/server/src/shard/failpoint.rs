//! Places at which a test ends the process: between the steps of what spans several shards. Only a debug build has them.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

/// The failpoint of this process, and how often it is still passed before it takes effect.
static ARMED: OnceLock<(String, AtomicU32)> = OnceLock::new();

/// Arms the one failpoint of this process: `claim-put:2` ends it where it reaches `claim-put` for the third time. Has no effect in
/// a release build, nor for a second time.
pub fn arm_failpoint(stated: &str) {
    let Some((name, passes)) = stated.split_once(':') else { return };
    if let Ok(passes) = passes.parse() {
        ARMED.get_or_init(|| (name.to_owned(), AtomicU32::new(passes)));
    }
}

/// Ends the process if this failpoint is armed.
#[expect(clippy::disallowed_methods, reason = "a test wants the process to die here, as if it was killed")]
pub(super) fn failpoint(name: &str) {
    if cfg!(debug_assertions)
        && let Some((armed, passes)) = ARMED.get()
        && armed == name
        && passes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err()
    {
        std::process::abort();
    }
}
