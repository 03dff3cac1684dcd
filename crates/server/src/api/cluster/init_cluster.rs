//! InitCluster: creates a cluster from empty nodes.

use std::time::Duration;

use custodia_consensus::Peer;
use custodia_profile::{NodeAddress, NodeId, ShardId};
use custodia_proto::v1;
use tokio::time::{Instant, sleep, timeout_at};

use super::status::cluster_status;
use crate::{
    api::handler::AnyNodeCall,
    shard::ShardContext,
    wire::{ServiceError, parse::each},
};

/// How long the answer waits for a cluster that is ready to serve.
const READY_WAIT: Duration = Duration::from_secs(5);
const READY_POLL: Duration = Duration::from_millis(50);

/// The number of shards, if the operator does not say.
const SHARDS_DEFAULT: u16 = 256;
/// The number of replicas, if the operator does not say and there are enough nodes.
const REPLICAS_DEFAULT: u8 = 3;

impl AnyNodeCall for v1::InitClusterRequest {
    async fn answer(
        self,
        context: &ShardContext,
        deadline: Instant,
    ) -> Result<v1::ClusterStatus, ServiceError> {
        if self.nodes.is_empty() {
            return Err(ServiceError::missing("nodes"));
        }
        let nodes = each("nodes", &self.nodes, endpoint)?;
        let shards = shards(self.shards)?;
        let replicas = replicas(self.replicas, nodes.len())?;
        let creating = context.routing().consensus().init_cluster(nodes, shards, replicas);
        timeout_at(deadline, creating).await.map_err(|_elapsed| ServiceError::OutcomeUnknown)??;
        Ok(ready(context, deadline).await)
    }
}

/// The status, once every shard has a leader and all replicas, or after [`READY_WAIT`].
async fn ready(context: &ShardContext, deadline: Instant) -> v1::ClusterStatus {
    let patience = deadline.min(Instant::now() + READY_WAIT) - READY_POLL;
    loop {
        let status = cluster_status(context, deadline).await;
        let all = |count| count == status.shards;
        let is_ready = all(status.shards_with_leader) && all(status.shards_with_full_replicas);
        if is_ready || Instant::now() >= patience {
            return status;
        }
        sleep(READY_POLL).await;
    }
}

fn endpoint(wire: &v1::NodeEndpoint) -> Result<Peer, ServiceError> {
    if wire.address.is_empty() {
        return Err(ServiceError::missing("address"));
    }
    let valid = wire.address.parse::<NodeAddress>();
    valid.map_err(|error| ServiceError::invalid("address", error.to_string()))?;
    Ok(Peer { node: NodeId::new(wire.node_id)?, address: wire.address.clone() })
}

fn shards(asked: u32) -> Result<u16, ServiceError> {
    if asked == 0 {
        return Ok(SHARDS_DEFAULT);
    }
    let shards = u16::try_from(asked).unwrap_or(u16::MAX);
    ShardId::check_count(shards)?;
    Ok(shards)
}

/// The number of replicas. An even number tolerates no more failures than one fewer, so it must be odd.
fn replicas(asked: u32, nodes: usize) -> Result<u8, ServiceError> {
    let most = u8::try_from(nodes).unwrap_or(u8::MAX);
    let odd = |count: u8| if count.is_multiple_of(2) { count.saturating_sub(1) } else { count };
    if asked == 0 {
        return Ok(odd(REPLICAS_DEFAULT.min(most)));
    }
    match u8::try_from(asked) {
        Ok(replicas) if replicas.is_multiple_of(2) => {
            Err(ServiceError::invalid("replicas", "expected an odd number"))
        }
        Ok(replicas) if replicas <= most => Ok(replicas),
        Ok(_) | Err(_) => Err(ServiceError::invalid("replicas", "must not exceed the number of nodes")),
    }
}
