//! Removes the entries under an old key from a shard.
//!
//! A part of the walk and its end are one command, so that a part that is walked twice removes nothing more.

use bytes::Bytes;
use custodia_consensus::Write;
use custodia_profile::{GroupId, KeyEpoch, ShardId};
use custodia_proto::internal::v1::RotationAnswer;
use custodia_store::{KeyKind, KeyPrefix, ValueHeader};
use tokio::time::Instant;

use super::{
    ask::reached,
    stage::{BlindingPhase, Stage},
};
use crate::{
    propose::Attempt,
    shard::{ShardContext, failpoint::failpoint},
    wire::ServiceError,
};

/// Entries that a step reads.
const ENTRIES_MAX: usize = 1_024;

impl ShardContext {
    /// The next entries of a shard. Executed on its leader, after every shard has switched.
    pub(super) async fn drop_step(
        &self,
        shard: ShardId,
        epoch: KeyEpoch,
        deadline: Instant,
    ) -> Result<RotationAnswer, ServiceError> {
        let group = GroupId::Shard(shard);
        let switched = Stage { epoch, phase: BlindingPhase::Switched };
        let dropping = Stage { epoch, phase: BlindingPhase::Dropping };
        self.advance(group, switched, dropping, deadline).await?;
        let attempt = || async move { self.next_dropped(group, dropping) };
        let (stage, entries_removed) = self.routing().propose_until_applied(group, deadline, attempt).await?;
        failpoint("blinding-dropped");
        Ok(RotationAnswer { entries_removed, ..reached(stage) })
    }

    fn next_dropped(&self, group: GroupId, dropping: Stage) -> Result<Attempt<(Stage, u64)>, ServiceError> {
        let stored = self.stage(group)?;
        if stored.stage != dropping {
            return Ok(Attempt::Done((stored.stage, 0)));
        }
        let prefix = KeyPrefix::kind(group, KeyKind::Identifier);
        let prefix = prefix.as_bytes();
        let entries = self.engine().scan(prefix, stored.walked_to(prefix).as_deref(), ENTRIES_MAX)?;
        let at_end = entries.len() < ENTRIES_MAX;
        let last = entries.last().map(|(key, _)| key.slice(prefix.len()..)).filter(|_| !at_end);
        let phase = if at_end { BlindingPhase::Dropped } else { dropping.phase };
        let stage = Stage { phase, ..dropping };
        let mut command = stored.replaced(stage, &last.unwrap_or_default());
        let mut removed = 0;
        for (key, value) in entries {
            if is_older(&value, dropping.epoch)? {
                command.writes.push(Write { key, value: None });
                removed += 1;
            }
        }
        Ok(Attempt::Propose { command, answer: (stage, removed) })
    }
}

/// Whether an entry is under a key before this one: its guard says under which. One without was put when there was one key alone.
fn is_older(value: &Bytes, epoch: KeyEpoch) -> Result<bool, ServiceError> {
    Ok(ValueHeader::read(value)?.guard < epoch.as_u32().into())
}
