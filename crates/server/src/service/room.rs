//! The room in which a shard's leader works: what every call of the services needs, on whichever node it arrives.
//!
//! Must always hold: a shard is read and written on its leader alone, behind a read barrier or by a conditional
//! command. Nothing of a customer is kept between calls but keys, and those by the `keys` module.

use std::{fmt, sync::Arc};

use custodia_consensus::{Consensus, ConsensusError};
use custodia_profile::{CustomerId, GroupId, NodeId, ShardId};
use custodia_seal::ClusterId;
use tokio::time::Instant;

use super::{
    catalogue_view::{CatalogueCache, CatalogueView},
    error::{LeaderHint, ServiceError},
    forward::{Forwarder, Target},
    locks::CustomerLocks,
    meters,
    shards::NodeKeys,
    usage::Usage,
};
use crate::{config::ControllerConfig, limits::Limits};

/// What the services of a node share.
pub(crate) struct Room {
    node: NodeId,
    consensus: Arc<Consensus>,
    keys: Arc<NodeKeys>,
    forwarder: Arc<dyn Forwarder>,
    limits: Limits,
    catalogue: CatalogueCache,
    locks: CustomerLocks,
    usage: Usage,
    controller: ControllerConfig,
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Room {
    pub(crate) fn new(
        node: NodeId,
        consensus: Arc<Consensus>,
        keys: Arc<NodeKeys>,
        forwarder: Arc<dyn Forwarder>,
        limits: Limits,
    ) -> Self {
        meters::describe();
        let catalogue = CatalogueCache::new(Arc::clone(&consensus));
        Self {
            node,
            consensus,
            keys,
            forwarder,
            limits,
            catalogue,
            locks: CustomerLocks::new(),
            usage: Usage::new(),
            controller: ControllerConfig::default(),
        }
    }

    /// The same room, of this controller.
    #[must_use]
    pub(crate) fn of_controller(self, controller: ControllerConfig) -> Self {
        Self { controller, ..self }
    }

    pub(super) const fn node(&self) -> NodeId {
        self.node
    }

    pub(super) const fn consensus(&self) -> &Arc<Consensus> {
        &self.consensus
    }

    pub(super) fn keys(&self) -> &NodeKeys {
        &self.keys
    }

    pub(super) fn forwarder(&self) -> &dyn Forwarder {
        &*self.forwarder
    }

    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) const fn controller(&self) -> &ControllerConfig {
        &self.controller
    }

    pub(super) const fn locks(&self) -> &CustomerLocks {
        &self.locks
    }

    pub(super) const fn usage(&self) -> &Usage {
        &self.usage
    }

    pub(super) const fn catalogue_cache(&self) -> &CatalogueCache {
        &self.catalogue
    }

    /// The catalogue and the map as this node has them now.
    pub(super) fn view(&self) -> Result<Arc<CatalogueView>, ServiceError> {
        self.catalogue.view()
    }

    /// The cluster, once this node is in one.
    pub(super) fn cluster(&self) -> Result<ClusterId, ServiceError> {
        self.consensus.cluster().ok_or(ServiceError::Consensus(ConsensusError::NotInitialised))
    }

    /// The shard of a customer. A node that is in a cluster but has no map has lost its state and is fetching it
    /// back: another node takes the call.
    pub(super) fn shard_of(&self, customer: CustomerId) -> Result<ShardId, ServiceError> {
        self.cluster()?;
        let shard = self.consensus.directory().shard_of(customer.slot());
        shard.ok_or(ServiceError::Consensus(ConsensusError::NoReplica { group: GroupId::Directory }))
    }

    /// Where a call about a customer goes.
    pub(super) fn target_of(&self, customer: CustomerId) -> Result<Target, ServiceError> {
        Ok(Target { group: GroupId::Shard(self.shard_of(customer)?), customer: Some(customer) })
    }

    /// Does this node lead the group?
    pub(super) fn leads(&self, group: GroupId) -> bool {
        self.consensus.is_leader(group)
    }

    /// The leader of a group, where it is another node and known. A node without a replica of a shard asks the one
    /// that leads it by preference.
    pub(super) fn leader_hint(&self, group: GroupId) -> Option<LeaderHint> {
        let leader = self.consensus.leader(group).or_else(|| self.preferred_elsewhere(group))?;
        self.hint_of(leader)
    }

    fn preferred_elsewhere(&self, group: GroupId) -> Option<NodeId> {
        let GroupId::Shard(shard) = group else { return None };
        let directory = self.consensus.directory();
        let placement = directory.shard(shard)?;
        placement.replica_on(self.node).is_none().then_some(placement.preferred)
    }

    fn hint_of(&self, node: NodeId) -> Option<LeaderHint> {
        if node == self.node {
            return None;
        }
        let address = self.consensus.directory().node(node)?.address.clone();
        Some(LeaderHint { node, address })
    }

    /// Waits until a local read of the group's state sees everything that was acknowledged before.
    pub(super) async fn read_barrier(&self, group: GroupId, deadline: Instant) -> Result<(), ServiceError> {
        let barrier = self.consensus.read_barrier(group, deadline.into_std()).await;
        barrier.map_err(|error| {
            if matches!(error, ConsensusError::Timeout) {
                return ServiceError::DeadlinePassed;
            }
            self.explained(group, error)
        })
    }

    /// A failure of consensus, with the leader's address where another node leads.
    pub(super) fn explained(&self, group: GroupId, error: ConsensusError) -> ServiceError {
        if let ConsensusError::NotLeader { leader } = error {
            return ServiceError::NotLeader { leader: leader.and_then(|node| self.hint_of(node)) };
        }
        if let ConsensusError::NoReplica { .. } = error {
            return ServiceError::NotLeader { leader: self.leader_hint(group) };
        }
        ServiceError::Consensus(error)
    }
}
