//! The calls to the leaders of the shards and of the directory: their messages, and what a node answers.

use custodia_consensus::ReadMode;
use custodia_profile::{GroupId, KeyEpoch, ShardId};
use custodia_proto::internal::v1::{BlindingStage, RotationAction, RotationAnswer, RotationRequest};
use futures::future::try_join_all;
use tokio::time::Instant;

use super::stage::{BlindingPhase, Stage};
use crate::{
    routing::{Hop, Route},
    shard::{ShardContext, claims::of_index, duplicate::no_answer},
    wire::{LeaderHint, ServiceError},
};

fn request(action: RotationAction, shards: &[ShardId], epoch: u32) -> RotationRequest {
    let shards = shards.iter().map(|shard| shard.as_u16().into()).collect();
    RotationRequest { action: action.into(), shards, key_epoch: epoch }
}

fn stage_message(stage: Stage) -> BlindingStage {
    BlindingStage { key_epoch: stage.epoch.as_u32(), phase: stage.phase as u32 }
}

/// The answer that a shard is in a stage now.
pub(super) fn reached(stage: Stage) -> RotationAnswer {
    RotationAnswer { stages: vec![stage_message(stage)], ..RotationAnswer::default() }
}

fn stage_in(message: &BlindingStage) -> Result<Stage, ServiceError> {
    let phase = BlindingPhase::from_number(message.phase).ok_or(ServiceError::RequestMalformed)?;
    Ok(Stage { epoch: KeyEpoch::new(message.key_epoch)?, phase })
}

impl ShardContext {
    /// How far every shard is.
    pub(super) async fn stages(&self, deadline: Instant) -> Result<Vec<(ShardId, Stage)>, ServiceError> {
        let leaders = self.every_leader()?;
        let asked = leaders.iter().map(|part| async move {
            let request = request(RotationAction::Stages, &part.shards, 0);
            let answer = self.ask_rotation(part.leader.as_ref(), &request, deadline).await?;
            let stages = answer.stages.iter().map(stage_in).collect::<Result<Vec<_>, _>>()?;
            if stages.len() != part.shards.len() {
                return Err(ServiceError::IndexUnavailable);
            }
            Ok(part.shards.iter().copied().zip(stages).collect::<Vec<_>>())
        });
        let mut stages: Vec<_> = try_join_all(asked).await?.into_iter().flatten().collect();
        stages.sort_unstable_by_key(|(shard, _)| *shard);
        Ok(stages)
    }

    /// One step of a shard, on its leader.
    pub(super) async fn rotate_shard(
        &self,
        action: RotationAction,
        shard: ShardId,
        epoch: KeyEpoch,
        deadline: Instant,
    ) -> Result<RotationAnswer, ServiceError> {
        let part = self.leader_of_shard(shard)?;
        let request = request(action, &part.shards, epoch.as_u32());
        self.ask_rotation(part.leader.as_ref(), &request, deadline).await
    }

    /// The epoch of the key that a rotation leads to, begun now if none is unfinished. None: there is no key.
    pub(super) async fn begin_rotation(&self, deadline: Instant) -> Result<Option<KeyEpoch>, ServiceError> {
        let answer = self.ask_directory(&request(RotationAction::Begin, &[], 0), deadline).await?;
        Ok(KeyEpoch::new(answer.key_epoch).ok())
    }

    /// Destroys the keys before this one.
    pub(super) async fn finish_rotation(
        &self,
        epoch: KeyEpoch,
        deadline: Instant,
    ) -> Result<(), ServiceError> {
        let request = request(RotationAction::Finish, &[], epoch.as_u32());
        self.ask_directory(&request, deadline).await.map(drop)
    }

    async fn ask_directory(
        &self,
        request: &RotationRequest,
        deadline: Instant,
    ) -> Result<RotationAnswer, ServiceError> {
        let leader = match self.routing().route(GroupId::Directory, Hop::First).map_err(of_index)? {
            Route::Here => None,
            Route::Forward(leader) => Some(leader),
        };
        self.ask_rotation(leader.as_ref(), request, deadline).await
    }

    /// Asks another node; without one this node.
    async fn ask_rotation(
        &self,
        leader: Option<&LeaderHint>,
        request: &RotationRequest,
        deadline: Instant,
    ) -> Result<RotationAnswer, ServiceError> {
        let Some(leader) = leader else {
            return Box::pin(answer_rotation_call(self, request, deadline)).await.map_err(of_index);
        };
        let answer = self.routing().peers().call_rotation(leader, request.clone(), deadline).await;
        answer.map_err(|status| no_answer(leader, "a rotation", status))
    }
}

/// Answers another node, or this one, about the shards or the directory that this node leads.
///
/// # Errors
/// This node does not lead them; why the state cannot be read or changed.
pub(crate) async fn answer_rotation_call(
    context: &ShardContext,
    request: &RotationRequest,
    deadline: Instant,
) -> Result<RotationAnswer, ServiceError> {
    let shards = request.shards.iter().map(|shard| context.routing().known_shard(*shard));
    let shards = shards.collect::<Result<Vec<_>, _>>()?;
    let one = || shards.first().copied().ok_or(ServiceError::RequestMalformed);
    let epoch = || KeyEpoch::new(request.key_epoch);
    let blinding = context.keys().blinding();
    match request.action() {
        RotationAction::Unspecified => Err(ServiceError::RequestMalformed),
        RotationAction::Stages => {
            let mut stages = Vec::with_capacity(shards.len());
            for shard in shards {
                stages.push(stage_message(context.led_stage(shard, deadline).await?));
            }
            Ok(RotationAnswer { stages, ..RotationAnswer::default() })
        }
        RotationAction::Begin => {
            let begun = blinding.begin_rotation(deadline.into_std()).await;
            let begun = begun.map_err(|error| context.blinding_failure(error))?;
            let key_epoch = begun.map_or(0, KeyEpoch::as_u32);
            Ok(RotationAnswer { key_epoch, ..RotationAnswer::default() })
        }
        RotationAction::Fill => context.fill_step(one()?, epoch()?, deadline).await,
        RotationAction::Switch => context.switch_step(one()?, epoch()?, deadline).await,
        RotationAction::Drop => context.drop_step(one()?, epoch()?, deadline).await,
        RotationAction::Finish => {
            let finished = blinding.finish_rotation(epoch()?, deadline.into_std()).await;
            finished.map_err(|error| context.blinding_failure(error))?;
            Ok(RotationAnswer::default())
        }
    }
}

impl ShardContext {
    /// How far a shard is that this node leads, behind a read barrier.
    async fn led_stage(&self, shard: ShardId, deadline: Instant) -> Result<Stage, ServiceError> {
        let group = GroupId::Shard(shard);
        let read = async || self.stage(group);
        Ok(self.read_led(group, ReadMode::Lease, deadline, read).await?.stage)
    }
}
