//! RotateKeys: each shard's keys are rotated on its leader.
//!
//! ```text
//! caller's call ─▶ the shards concerned ─▶ for each shard one call with shard_id, to its leader ─▶ sum
//!                  and for ROOT one with every_shard, to the leader of the directory: it keeps the blinding key
//! ```
//!
//! At BLINDING one call is one step of a rotation that concerns all shards (`shard/rotation`).
//!
//! Invariant: a rotation that is cut off leaves every value readable, and the next call finishes it.

use custodia_profile::{GroupId, KeyEpoch, ShardId};
use custodia_proto::v1;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::timeout_at;

use crate::{
    api::handler::ShardLeadersCall,
    keys::{KeysError, Rotated, ShardKeys},
    routing::{Call, CustomerLocation, Hop, Route},
    shard::{BlindingPhase, ShardContext},
    wire::{ServiceError, parse},
};

/// The maximum number of shards that one call rotates concurrently.
const SHARDS_AT_ONCE: usize = 8;

impl ShardLeadersCall for v1::RotateKeysRequest {
    async fn answer(self, context: &ShardContext, call: &Call) -> Result<Self::Answer, ServiceError> {
        let level = level(&self)?;
        if level == v1::KeyLevel::Blinding {
            return rotate_blinding_key(context, call, self.blinding_epoch).await;
        }
        let is_everywhere =
            level == v1::KeyLevel::Root || (self.every_shard && level != v1::KeyLevel::Customer);
        if call.hop == Hop::Forwarded && level == v1::KeyLevel::Root && self.every_shard {
            return rewrap_blinding_key(context, call, self).await;
        }
        if call.hop == Hop::Forwarded || !is_everywhere {
            return rotate(context, call, level, self).await;
        }
        let blinding = if level == v1::KeyLevel::Root {
            let part = Self { every_shard: true, ..self.clone() };
            rewrap_blinding_key(context, call, part).await?
        } else {
            Self::Answer::default()
        };
        let directory = context.routing().consensus().directory();
        let parts = directory.shards().map(|placement| {
            let shard_id = placement.shard.as_u16().into();
            let customer_id = String::new();
            let part = Self { shard_id, every_shard: false, customer_id, ..self.clone() };
            rotate(context, call, level, part)
        });
        let parts: Vec<_> = parts.collect();
        let add = |sum: Self::Answer, one: Self::Answer| async move {
            Ok(v1::RotateKeysResponse {
                keys_rotated: sum.keys_rotated.saturating_add(one.keys_rotated),
                values_resealed: sum.values_resealed.saturating_add(one.values_resealed),
                blinding: None,
            })
        };
        stream::iter(parts).buffer_unordered(SHARDS_AT_ONCE).try_fold(blinding, add).await
    }
}

/// Wraps the key that blinds identifiers with the current root key, on the leader of the directory.
async fn rewrap_blinding_key(
    context: &ShardContext,
    call: &Call,
    request: v1::RotateKeysRequest,
) -> Result<v1::RotateKeysResponse, ServiceError> {
    if let Route::Forward(leader) = context.routing().route(GroupId::Directory, call.hop)? {
        return context.forward(&leader, call, &request).await;
    }
    let rewrapped = context.keys().blinding().rewrap(call.deadline.into_std()).await;
    let rewrapped = rewrapped.map_err(|error| context.key_failure(GroupId::Directory, error))?;
    Ok(v1::RotateKeysResponse { keys_rotated: rewrapped, ..Default::default() })
}

/// One step of the rotation of the key that blinds identifiers and blocking keys.
async fn rotate_blinding_key(
    context: &ShardContext,
    call: &Call,
    epoch: u32,
) -> Result<v1::RotateKeysResponse, ServiceError> {
    let epoch = if epoch == 0 { None } else { Some(KeyEpoch::new(epoch)?) };
    let step = Box::pin(context.rotation_step(epoch, call.deadline)).await?;
    let phase = match step.phase {
        Some(BlindingPhase::Filling | BlindingPhase::Filled) => v1::BlindingRotationPhase::Fill,
        Some(BlindingPhase::Switched) => v1::BlindingRotationPhase::Switch,
        Some(BlindingPhase::Dropping | BlindingPhase::Dropped) => v1::BlindingRotationPhase::Drop,
        None => v1::BlindingRotationPhase::Finish,
    };
    let count = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
    let blinding = v1::BlindingRotation {
        key_epoch: step.epoch.map_or(0, KeyEpoch::as_u32),
        phase: phase.into(),
        shards_done: count(step.shards_done),
        shards: count(step.shards),
        customers_read: step.customers_read,
        identifiers_indexed: step.identifiers_indexed,
        entries_removed: step.entries_removed,
        complete: step.phase.is_none(),
    };
    Ok(v1::RotateKeysResponse {
        keys_rotated: u64::from(blinding.complete && step.epoch.is_some()),
        values_resealed: 0,
        blinding: Some(blinding),
    })
}

fn level(request: &v1::RotateKeysRequest) -> Result<v1::KeyLevel, ServiceError> {
    match v1::KeyLevel::try_from(request.level) {
        Ok(v1::KeyLevel::Unspecified) => Err(ServiceError::missing("level")),
        Ok(level) => Ok(level),
        Err(_unknown) => {
            Err(ServiceError::invalid("level", "expected ROOT, SHARD, BUCKET, CUSTOMER or BLINDING"))
        }
    }
}

/// The shard or customer whose keys are rotated.
#[derive(Debug, Clone, Copy)]
enum Target {
    Shard(ShardId),
    Customer(CustomerLocation),
}

impl Target {
    fn of(
        context: &ShardContext,
        level: v1::KeyLevel,
        request: &v1::RotateKeysRequest,
    ) -> Result<Self, ServiceError> {
        let names_customer = !request.customer_id.is_empty();
        match level {
            v1::KeyLevel::Customer => Self::customer(context, request),
            v1::KeyLevel::Bucket if names_customer => Self::customer(context, request),
            v1::KeyLevel::Unspecified
            | v1::KeyLevel::Root
            | v1::KeyLevel::Shard
            | v1::KeyLevel::Bucket
            | v1::KeyLevel::Blinding => context.routing().known_shard(request.shard_id).map(Self::Shard),
        }
    }

    fn customer(context: &ShardContext, request: &v1::RotateKeysRequest) -> Result<Self, ServiceError> {
        context.routing().locate(parse::customer_id(&request.customer_id)?).map(Self::Customer)
    }

    const fn shard(self) -> ShardId {
        match self {
            Self::Shard(shard) | Self::Customer(CustomerLocation { shard, .. }) => shard,
        }
    }
}

/// Rotates the keys of one shard, or of one of its customers, on the shard's leader.
async fn rotate(
    context: &ShardContext,
    call: &Call,
    level: v1::KeyLevel,
    request: v1::RotateKeysRequest,
) -> Result<v1::RotateKeysResponse, ServiceError> {
    let target = Target::of(context, level, &request)?;
    let group = GroupId::Shard(target.shard());
    if let Route::Forward(leader) = context.routing().route(group, call.hop)? {
        return context.forward(&leader, call, &request).await;
    }
    let keys = context.keys_of(target.shard())?;
    // Cutting a rotation off is safe: everything stays readable, and the next call continues it.
    let rotated = timeout_at(call.deadline, rotate_here(keys, level, target)).await;
    let rotated = rotated.map_err(|_elapsed| ServiceError::OutcomeUnknown)?;
    let rotated = rotated.map_err(|error| context.key_failure(group, error))?;
    Ok(v1::RotateKeysResponse { keys_rotated: rotated.keys, values_resealed: rotated.values, blinding: None })
}

async fn rotate_here(keys: &ShardKeys, level: v1::KeyLevel, target: Target) -> Result<Rotated, KeysError> {
    match (level, target) {
        (v1::KeyLevel::Root, _) => keys.rotate_root().await,
        (v1::KeyLevel::Shard, _) => keys.rotate_shard().await,
        (v1::KeyLevel::Bucket, Target::Customer(at)) => {
            keys.rotate_bucket(keys.bucket_of(at.customer)?).await
        }
        (v1::KeyLevel::Bucket, Target::Shard(_)) => keys.rotate_buckets().await,
        (v1::KeyLevel::Customer, Target::Customer(at)) => keys.rotate_customer(at.customer).await,
        (v1::KeyLevel::Customer, Target::Shard(_)) => Err(KeysError::NoCustomer),
        (v1::KeyLevel::Unspecified | v1::KeyLevel::Blinding, _) => Ok(Rotated::default()),
    }
}
