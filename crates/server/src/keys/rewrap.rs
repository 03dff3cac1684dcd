//! The middle of a rotation: brings every child under the new key, in batches.
//!
//! Why one pass is enough, though the scan is no snapshot: see mod.rs, "Rotating a key without a pause".

use std::time::{Duration, Instant};

use bytes::Bytes;
use custodia_consensus::{Command, Condition, Outcome, Write};
use custodia_store::{KeyPrefix, Pair};

use super::{KeysError, ShardKeys};
use crate::propose::{Attempt, TRIES_MAX, propose_until_applied};

/// Children looked at in one go, and so the most that one command rewraps.
const CHILDREN_MAX: usize = 128;
/// A command of a rotation is closed when its values reach this; one value may be larger.
const COMMAND_BYTES: usize = 1024 * 1024;
/// How long one step of a rotation may take. When it fails, whoever asked for the rotation repeats it.
pub(super) const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// A child under the new key.
pub(super) struct Rewrapped {
    /// Holds as long as nobody changed the child.
    pub(super) unchanged: Condition,
    /// The child under the new key.
    pub(super) write: Write,
}

/// Brings one child, its key and its value, under the new key; nothing when it already is.
pub(super) type Rewrap<'a> = dyn Fn(Bytes, Bytes) -> Result<Option<Rewrapped>, KeysError> + Sync + 'a;

impl ShardKeys {
    /// Changes keys in the shard's group until `deadline`.
    pub(super) async fn change<T: Send, Evaluated>(
        &self,
        deadline: Instant,
        evaluate: impl FnMut() -> Evaluated + Send,
    ) -> Result<T, KeysError>
    where
        Evaluated: Future<Output = Result<Attempt<T>, KeysError>> + Send,
    {
        let proposer = &*self.parts.proposer;
        Ok(propose_until_applied(proposer, self.group(), deadline, evaluate).await?)
    }

    /// Proposes once; false is a conflict.
    pub(super) async fn applies(&self, command: Command) -> Result<bool, KeysError> {
        let deadline = Instant::now() + STEP_TIMEOUT;
        let outcome = self.parts.proposer.propose(self.group(), command, deadline).await?;
        Ok(matches!(outcome, Outcome::Applied { .. }))
    }

    pub(super) async fn barrier(&self) -> Result<(), KeysError> {
        let deadline = Instant::now() + STEP_TIMEOUT;
        Ok(self.parts.proposer.read_barrier(self.group(), deadline).await?)
    }

    /// Goes through everything under `prefix`. `current` holds as long as the new key is the current one. Returns how many
    /// children it rewrapped.
    ///
    /// Not [`propose_until_applied`]: this is a walk, whose tries are counted anew for each page, which also tries again
    /// when reading a page meets a key that has just been dropped, and which needs no barrier, since the conditions
    /// alone decide.
    pub(super) async fn rewrap_all(
        &self,
        prefix: &KeyPrefix,
        current: &[Condition],
        rewrap: &Rewrap<'_>,
    ) -> Result<u64, KeysError> {
        let mut rewrapped = 0;
        let mut after: Option<Bytes> = None;
        let mut tries = 0;
        loop {
            let page = self.engine().scan(prefix.as_bytes(), after.as_deref(), CHILDREN_MAX)?;
            if page.is_empty() {
                return Ok(rewrapped);
            }
            let batch = batch(page, current, rewrap);
            let (command, last) = match batch {
                // Another leader finished the same rotation after the page was read: look at it again.
                Err(KeysError::EpochGone { .. }) if tries < TRIES_MAX => {
                    tries += 1;
                    continue;
                }
                batch => batch?,
            };
            let writes = u64::try_from(command.writes.len()).unwrap_or(u64::MAX);
            if writes > 0 {
                if !self.applies(command).await? {
                    // Somebody changed a child: look at the page again.
                    if tries == TRIES_MAX {
                        return Err(KeysError::Contended { tries: TRIES_MAX });
                    }
                    tries += 1;
                    continue;
                }
                rewrapped += writes;
            }
            tries = 0;
            after = last;
        }
    }
}

/// One command for as much of the page as it takes, and the last child that was looked at.
fn batch(
    page: Vec<Pair>,
    current: &[Condition],
    rewrap: &Rewrap<'_>,
) -> Result<(Command, Option<Bytes>), KeysError> {
    let mut command = Command { conditions: current.to_vec(), writes: Vec::new() };
    let mut bytes = 0;
    let mut last = None;
    for (key, value) in page {
        last = Some(key.clone());
        if let Some(child) = rewrap(key, value)? {
            bytes += child.write.value.as_ref().map_or(0, Bytes::len);
            command.conditions.push(child.unchanged);
            command.writes.push(child.write);
        }
        if bytes >= COMMAND_BYTES {
            break;
        }
    }
    Ok((command, last))
}
