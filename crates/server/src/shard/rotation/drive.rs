//! What the next step of a rotation is: the shards say how far they are, so it depends on nothing that a node or a caller remembers.
//!
//! ```text
//! no rotation ─▶ begin ─▶ fill, shard by shard ─▶ switch all ─▶ drop, shard by shard ─▶ finish
//! ```
//! Must always hold: the stages are asked behind read barriers before each step, and they only grow. So whoever does a step knows that
//! every shard has reached what the step rests on; two who do it at once do the same.

use custodia_profile::KeyEpoch;
use custodia_proto::internal::v1::{RotationAction, RotationAnswer};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;

use super::stage::{BlindingPhase, Stage};
use crate::{shard::ShardContext, wire::ServiceError};

/// Shards that switch at the same time.
const SWITCHED_AT_ONCE: usize = 16;

/// What a step did, and how far the rotation is.
#[derive(Debug, Default)]
pub(crate) struct RotationStep {
    /// Of the key that becomes current; none: there is no key.
    pub(crate) epoch: Option<KeyEpoch>,
    /// The phase to which the step belongs; none: all shards are through, and the old key is destroyed.
    pub(crate) phase: Option<BlindingPhase>,
    /// Shards that the phase is through with.
    pub(crate) shards_done: usize,
    pub(crate) shards: usize,
    pub(crate) customers_read: u64,
    pub(crate) identifiers_indexed: u64,
    pub(crate) entries_removed: u64,
}

impl ShardContext {
    /// Does one step of the rotation to the key of an epoch; without one, of the rotation that is unfinished, or else of a new one.
    pub(crate) async fn rotation_step(
        &self,
        epoch: Option<KeyEpoch>,
        deadline: Instant,
    ) -> Result<RotationStep, ServiceError> {
        let epoch = match epoch {
            Some(epoch) => epoch,
            None => match self.begin_rotation(deadline).await? {
                Some(epoch) => epoch,
                None => return Ok(RotationStep::default()),
            },
        };
        let stages = self.stages(deadline).await?;
        let at = |phase| Stage { epoch, phase };
        let least = stages.iter().map(|(_, stage)| *stage).min().ok_or(ServiceError::IndexUnavailable)?;
        let (action, done) = if least < at(BlindingPhase::Filled) {
            (RotationAction::Fill, BlindingPhase::Filled)
        } else if least < at(BlindingPhase::Switched) {
            (RotationAction::Switch, BlindingPhase::Switched)
        } else if least < at(BlindingPhase::Dropped) {
            (RotationAction::Drop, BlindingPhase::Dropped)
        } else {
            self.finish_rotation(epoch, deadline).await?;
            let (shards, epoch) = (stages.len(), Some(epoch));
            return Ok(RotationStep { epoch, shards, shards_done: shards, ..RotationStep::default() });
        };
        let behind: Vec<_> = stages.iter().filter(|(_, stage)| *stage < at(done)).collect();
        // All switch at once: in between, lookups ask under both keys.
        let at_once = if action == RotationAction::Switch { behind.len() } else { 1 };
        let rotated =
            behind.iter().take(at_once).map(|(shard, _)| self.rotate_shard(action, *shard, epoch, deadline));
        let rotated: Vec<_> = rotated.collect();
        let answers: Vec<_> = stream::iter(rotated).buffer_unordered(SWITCHED_AT_ONCE).try_collect().await?;
        let is_through =
            |answer: &&RotationAnswer| answer.stages.first().is_some_and(|stage| stage.phase >= done as u32);
        let through = answers.iter().filter(is_through).count();
        let sum = |of: fn(&RotationAnswer) -> u64| answers.iter().map(of).sum::<u64>();
        Ok(RotationStep {
            epoch: Some(epoch),
            phase: Some(done),
            shards_done: stages.len() - behind.len() + through,
            shards: stages.len(),
            customers_read: sum(|answer| answer.customers_read),
            identifiers_indexed: sum(|answer| answer.identifiers_indexed),
            entries_removed: sum(|answer| answer.entries_removed),
        })
    }
}
