//! VerifyShard: the leader of a shard compares what its replicas have stored.

use custodia_profile::GroupId;
use custodia_proto::v1;

use crate::{
    api::handler::ShardLeadersCall,
    routing::{Call, Route},
    shard::ShardContext,
    verification::{Verdict, VerifiedReplica, verify},
    wire::ServiceError,
};

impl ShardLeadersCall for v1::VerifyShardRequest {
    async fn answer(self, context: &ShardContext, call: &Call) -> Result<Self::Answer, ServiceError> {
        let group = group(context, &self)?;
        if let Route::Forward(leader) = context.routing().route(group, call.hop)? {
            return context.forward(&leader, call, &self).await;
        }
        let verified = verify(context, group, call.deadline).await?;
        Ok(v1::ShardVerification {
            shard_id: self.shard_id,
            directory: self.directory,
            index: verified.index,
            replicas: verified.replicas.into_iter().map(replica).collect(),
        })
    }
}

fn group(context: &ShardContext, request: &v1::VerifyShardRequest) -> Result<GroupId, ServiceError> {
    context.routing().cluster()?;
    if request.directory {
        return Ok(GroupId::Directory);
    }
    context.routing().known_shard(request.shard_id).map(GroupId::Shard)
}

fn replica(verified: VerifiedReplica) -> v1::VerifiedReplica {
    let (verdict, range) = match verified.verdict {
        Verdict::Agrees => (v1::ReplicaVerdict::Agrees, None),
        Verdict::Differs(range) => (v1::ReplicaVerdict::Differs, Some(range)),
        Verdict::NotCompared => (v1::ReplicaVerdict::NotCompared, None),
    };
    v1::VerifiedReplica {
        node_id: verified.node.as_u32(),
        verdict: verdict.into(),
        first_kind: range.map(|range| range.kind_name().to_owned()).unwrap_or_default(),
        first_slot: range.and_then(|range| range.slot).map(|slot| slot.as_u16().into()),
        replaced: verified.replaced,
    }
}
