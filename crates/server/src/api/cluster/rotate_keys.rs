//! RotateKeys: on the leader of each shard that it concerns.
//!
//! ```text
//! caller's call ─▶ the shards it means ─▶ per shard one call with shard_id, to its leader ─▶ sum
//! ```

use custodia_profile::{GroupId, ShardId};
use custodia_proto::v1;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::{Instant, timeout_at};

use super::{
    error::ServiceError,
    forward::{Call, Target, answer},
    parse,
    context::ShardContext,
};
use crate::{
    identity::Caller,
    keys::{KeysError, ShardKeys, Turned},
};

/// Shards whose keys are turned at the same time by one call.
const SHARDS_AT_ONCE: usize = 8;

/// Answers a caller's call.
pub(crate) async fn rotate_keys(
    context: &ShardContext,
    caller: &Caller,
    request: v1::RotateKeysRequest,
    deadline: Instant,
) -> Result<v1::RotateKeysResponse, ServiceError> {
    let everywhere = request.every_shard && level(&request)? != v1::KeyLevel::Customer;
    if !everywhere && level(&request)? != v1::KeyLevel::Root {
        return Ok(answer(context, caller, request, deadline).await?.into_inner());
    }
    let directory = context.consensus().directory();
    let calls = directory.shards().map(|placement| {
        let shard_id = placement.shard.as_u16().into();
        let one = v1::RotateKeysRequest {
            shard_id,
            every_shard: false,
            customer_id: String::new(),
            ..request.clone()
        };
        async move { answer(context, caller, one, deadline).await.map(tonic::Response::into_inner) }
    });
    let calls: Vec<_> = calls.collect();
    let add = |sum: v1::RotateKeysResponse, one: v1::RotateKeysResponse| async move {
        Ok(v1::RotateKeysResponse {
            keys_rotated: sum.keys_rotated.saturating_add(one.keys_rotated),
            values_resealed: sum.values_resealed.saturating_add(one.values_resealed),
        })
    };
    stream::iter(calls)
        .buffer_unordered(SHARDS_AT_ONCE)
        .try_fold(v1::RotateKeysResponse::default(), add)
        .await
}

fn level(request: &v1::RotateKeysRequest) -> Result<v1::KeyLevel, ServiceError> {
    match v1::KeyLevel::try_from(request.level) {
        Ok(v1::KeyLevel::Unspecified) => Err(ServiceError::missing("level")),
        Ok(level) => Ok(level),
        Err(_unknown) => Err(ServiceError::invalid("level", "expected ROOT, SHARD, BUCKET or CUSTOMER")),
    }
}

impl Call for v1::RotateKeysRequest {
    type Answer = v1::RotateKeysResponse;
    const METHOD: &'static str = "/custodia.v1.ClusterService/RotateKeys";

    /// By now the call is about one shard, whatever its level.
    fn prepare(&mut self, context: &ShardContext, _caller: &Caller) -> Result<Target, ServiceError> {
        let names_customer = !self.customer_id.is_empty();
        match level(self)? {
            v1::KeyLevel::Customer => context.target_of(parse::customer_id(&self.customer_id)?),
            v1::KeyLevel::Bucket if names_customer => context.target_of(parse::customer_id(&self.customer_id)?),
            v1::KeyLevel::Unspecified | v1::KeyLevel::Root | v1::KeyLevel::Shard | v1::KeyLevel::Bucket => {
                let unknown = || ServiceError::invalid("shard_id", "there is no such shard");
                let number = u16::try_from(self.shard_id).map_err(|_range| unknown())?;
                let shard = ShardId::new(number)?;
                context.consensus().directory().shard(shard).ok_or_else(unknown)?;
                Ok(Target { group: GroupId::Shard(shard), customer: None })
            }
        }
    }

    async fn execute(
        self,
        context: &ShardContext,
        _caller: &Caller,
        target: Target,
        deadline: Instant,
    ) -> Result<Self::Answer, ServiceError> {
        let GroupId::Shard(shard) = target.group else {
            return Err(ServiceError::Internal { context: "keys of the directory" });
        };
        let keys = context.keys_of(shard)?;
        // A turn that is cut off leaves everything readable and goes on where it stopped when it is asked for again.
        let turned = timeout_at(deadline, turn(keys, level(&self)?, target)).await;
        let turned = turned.map_err(|_elapsed| ServiceError::OutcomeUnknown)?;
        let turned = turned.map_err(|error| context.key_failure(target.group, error))?;
        Ok(v1::RotateKeysResponse { keys_rotated: turned.keys, values_resealed: turned.values })
    }
}

async fn turn(keys: &ShardKeys, level: v1::KeyLevel, target: Target) -> Result<Turned, KeysError> {
    match (level, target.customer) {
        (v1::KeyLevel::Root, _) => keys.turn_root().await,
        (v1::KeyLevel::Shard, _) => keys.turn_shard().await,
        (v1::KeyLevel::Bucket, Some(customer)) => keys.turn_bucket(keys.bucket_of(customer)?).await,
        (v1::KeyLevel::Bucket, None) => keys.turn_buckets().await,
        (v1::KeyLevel::Customer, Some(customer)) => keys.turn_customer(customer).await,
        (v1::KeyLevel::Customer, None) => Err(KeysError::NoCustomer),
        (v1::KeyLevel::Unspecified, _) => Ok(Turned::default()),
    }
}
