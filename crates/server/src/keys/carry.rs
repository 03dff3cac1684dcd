//! The middle of a turn: every child under an old key is brought under the new one, in batches.
//!
//! Why one pass is enough, though the scan is no snapshot: see mod.rs, "Turning a key without a pause".

use std::time::{Duration, Instant};

use bytes::Bytes;
use custodia_consensus::{Command, Condition, Outcome, Write};
use custodia_store::{KeyPrefix, Pair};

use super::shard_keys::TRIES_MAX;
use super::{KeysError, ShardKeys};

/// Children looked at in one go, and so the most that one command carries over.
const CHILDREN_MAX: usize = 128;
/// A command of a turn is closed when its values reach this; one value may be larger.
const COMMAND_BYTES: usize = 1024 * 1024;
/// How long one command of a turn may take. When it fails, the turn is repeated by whoever asked for it.
pub(super) const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// A child brought under the new key.
pub(super) struct Carried {
    /// Holds as long as nobody changed the child.
    pub(super) unchanged: Condition,
    /// The child under the new key.
    pub(super) write: Write,
}

/// Brings one child, its key and its value, under the new key; nothing when it is under it already.
pub(super) type Carry<'a> = dyn Fn(Bytes, Bytes) -> Result<Option<Carried>, KeysError> + Sync + 'a;

impl ShardKeys {
    pub(super) async fn propose(&self, command: Command) -> Result<Outcome, KeysError> {
        let deadline = Instant::now() + STEP_TIMEOUT;
        Ok(self.parts.proposer.propose(self.group(), command, deadline).await?)
    }

    pub(super) async fn barrier(&self) -> Result<(), KeysError> {
        let deadline = Instant::now() + STEP_TIMEOUT;
        Ok(self.parts.proposer.read_barrier(self.group(), deadline).await?)
    }

    /// Goes through everything under `prefix`. `current` holds as long as the new key is the current one. Returns how many
    /// were carried over.
    pub(super) async fn carry_over(
        &self,
        prefix: &KeyPrefix,
        current: &[Condition],
        carry: &Carry<'_>,
    ) -> Result<u64, KeysError> {
        let mut carried = 0;
        let mut after: Option<Bytes> = None;
        let mut conflicts = 0;
        loop {
            let page = self.engine().scan(prefix.as_bytes(), after.as_deref(), CHILDREN_MAX)?;
            if page.is_empty() {
                return Ok(carried);
            }
            let (command, last) = match gather(page, current, carry) {
                // Another leader ended the same turn after the page was read: look at it again.
                Err(KeysError::EpochGone { .. }) if conflicts < TRIES_MAX => {
                    conflicts += 1;
                    continue;
                }
                gathered => gathered?,
            };
            let writes = u64::try_from(command.writes.len()).unwrap_or(u64::MAX);
            if writes > 0 {
                match self.propose(command).await? {
                    Outcome::Applied { .. } => carried += writes,
                    // Somebody changed a child: look at the page again.
                    Outcome::Conflict { .. } if conflicts < TRIES_MAX => {
                        conflicts += 1;
                        continue;
                    }
                    Outcome::Conflict { .. } => return Err(KeysError::Contended { tries: TRIES_MAX }),
                }
            }
            conflicts = 0;
            after = last;
        }
    }
}

/// One command for as much of the page as it takes, and the last child that was looked at.
fn gather(
    page: Vec<Pair>,
    current: &[Condition],
    carry: &Carry<'_>,
) -> Result<(Command, Option<Bytes>), KeysError> {
    let mut command = Command { conditions: current.to_vec(), writes: Vec::new() };
    let mut bytes = 0;
    let mut last = None;
    for (key, value) in page {
        last = Some(key.clone());
        if let Some(child) = carry(key, value)? {
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
