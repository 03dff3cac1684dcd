//! Decides which node answers a call: where the customer lives, who leads, and the one hop to the leader.
//!
//! ```text
//! caller ── call ──▶ node A ── leads? ── yes ──▶ answer
//!                              └─ no ── PeerService.Forward ──▶ node B ── leads? ── yes ──▶ answer
//!                                                                        └─ no ──▶ UNAVAILABLE + custodia-leader
//! ```
//!
//! Invariant: a forwarded call is never forwarded again, and nothing here retries. So a call costs at most one hop,
//! and two nodes that take each other for the leader cannot bounce a call between them. A call that names an identifier instead of a
//! customer has a hop to the leader of the identifier's shard before it, where it gets its customer.
//!
//! `clock_offsets.rs`: how far the clocks of the other nodes are away.

mod clock_offsets;
mod forward;

use std::{fmt, sync::Arc};

use custodia_consensus::{Consensus, ConsensusError, ReadBarrier, ReadMode};
use custodia_profile::{CustomerId, GroupId, MergeId, NodeId, ShardId};
use custodia_seal::ClusterId;
use tokio::time::Instant;

pub(crate) use clock_offsets::{ClockOffsets, Offset};
pub(crate) use forward::PeerCalls;

use crate::{
    identity::Caller,
    propose::{Attempt, ProposeError, propose_until_applied},
    wire::{LeaderHint, ServiceError},
};

/// The shard where a customer lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CustomerLocation {
    pub(crate) shard: ShardId,
    pub(crate) customer: CustomerId,
}

impl CustomerLocation {
    pub(crate) const fn group(self) -> GroupId {
        GroupId::Shard(self.shard)
    }
}

/// How a call came to this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hop {
    /// From a caller; may be forwarded.
    First,
    /// From another node; answered here or refused.
    Forwarded,
    /// From a caller, while this node drains: refused with the node to ask instead.
    Draining,
}

/// The caller, how the call reached this node, what its reads may rely on, and its deadline.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) caller: Caller,
    pub(crate) hop: Hop,
    pub(crate) read_mode: ReadMode,
    pub(crate) deadline: Instant,
    /// The merges that brought the call to the customer whom it is about.
    pub(crate) redirects: Vec<Redirect>,
}

/// A call about a customer who was merged into another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Redirect {
    /// Whom the caller named.
    pub(crate) named: CustomerId,
    pub(crate) survivor: CustomerId,
    /// It must be in force for the answer to be about the customer who was named.
    pub(crate) merge: MergeId,
}

/// Which node answers a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Here,
    Forward(LeaderHint),
}

/// This node's view of the cluster: its own number, consensus, and the way to the other nodes.
pub(crate) struct Routing {
    node: NodeId,
    consensus: Arc<Consensus>,
    peers: Arc<dyn PeerCalls>,
    clocks: ClockOffsets,
}

impl fmt::Debug for Routing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routing").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Routing {
    pub(crate) fn new(
        node: NodeId,
        consensus: Arc<Consensus>,
        peers: Arc<dyn PeerCalls>,
        clocks: ClockOffsets,
    ) -> Self {
        Self { node, consensus, peers, clocks }
    }

    pub(crate) const fn node(&self) -> NodeId {
        self.node
    }

    pub(crate) const fn consensus(&self) -> &Arc<Consensus> {
        &self.consensus
    }

    /// The clocks of the other nodes.
    pub(crate) const fn clocks(&self) -> &ClockOffsets {
        &self.clocks
    }

    pub(crate) fn peers(&self) -> &dyn PeerCalls {
        &*self.peers
    }

    /// The id of the cluster.
    ///
    /// # Errors
    /// This node belongs to no cluster yet.
    pub(crate) fn cluster(&self) -> Result<ClusterId, ServiceError> {
        self.consensus.cluster().ok_or(ServiceError::Consensus(ConsensusError::NotInitialised))
    }

    /// The shard where a customer lives.
    ///
    /// # Errors
    /// This node belongs to no cluster, or has no shard map: it lost its state and is fetching it back, so another node
    /// must take the call.
    pub(crate) fn locate(&self, customer: CustomerId) -> Result<CustomerLocation, ServiceError> {
        self.cluster()?;
        let shard = self.consensus.directory().shard_of(customer.slot());
        let lost = ConsensusError::NoReplica { group: GroupId::Directory };
        Ok(CustomerLocation { shard: shard.ok_or(lost)?, customer })
    }

    /// The shard that a request names in its field `shard_id`.
    ///
    /// # Errors
    /// There is no such shard.
    pub(crate) fn known_shard(&self, shard_id: u32) -> Result<ShardId, ServiceError> {
        let unknown = || ServiceError::invalid("shard_id", "no such shard");
        let number = u16::try_from(shard_id).map_err(|_range| unknown())?;
        let shard = ShardId::new(number)?;
        self.consensus.directory().shard(shard).ok_or_else(unknown)?;
        Ok(shard)
    }

    /// Whether this node leads the group.
    pub(crate) fn leads(&self, group: GroupId) -> bool {
        self.consensus.is_leader(group)
    }

    /// The node that answers a call about a group.
    ///
    /// # Errors
    /// [`ServiceError::NotLeader`] if another node leads and the call may not be forwarded, or no leader is known;
    /// [`ServiceError::Draining`].
    pub(crate) fn route(&self, group: GroupId, hop: Hop) -> Result<Route, ServiceError> {
        match hop {
            Hop::Draining => Err(ServiceError::Draining { leader: self.instead_of_this_node(group) }),
            Hop::First | Hop::Forwarded if self.leads(group) => Ok(Route::Here),
            Hop::Forwarded => Err(ServiceError::NotLeader { leader: self.leader_hint(group) }),
            Hop::First => {
                let leader = self.leader_hint(group);
                leader.map(Route::Forward).ok_or(ServiceError::NotLeader { leader: None })
            }
        }
    }

    /// The node to ask about a group when this one stops: the leader or, if that is this node, another node with a replica.
    /// Until the leadership moves there, that node forwards the call to this one, which still serves other nodes.
    fn instead_of_this_node(&self, group: GroupId) -> Option<LeaderHint> {
        self.leader_hint(group).or_else(|| {
            let directory = self.consensus.directory();
            let nodes: Vec<NodeId> = match group {
                GroupId::Directory => directory.nodes().map(|peer| peer.node).collect(),
                GroupId::Shard(shard) => {
                    directory.shard(shard)?.replicas.iter().map(|placement| placement.node).collect()
                }
            };
            nodes.into_iter().find_map(|node| self.hint_of(node))
        })
    }

    /// The leader of a group, if it is known and another node. A node without a replica of a shard names the shard's
    /// preferred leader.
    pub(crate) fn leader_hint(&self, group: GroupId) -> Option<LeaderHint> {
        let leader = self.consensus.leader(group).or_else(|| self.preferred_elsewhere(group))?;
        self.hint_of(leader)
    }

    fn preferred_elsewhere(&self, group: GroupId) -> Option<NodeId> {
        let GroupId::Shard(shard) = group else { return None };
        let directory = self.consensus.directory();
        let placement = directory.shard(shard)?;
        placement.replica_on(self.node).is_none().then_some(placement.preferred)
    }

    /// Another node and its address, if the directory has it.
    pub(crate) fn hint_of(&self, node: NodeId) -> Option<LeaderHint> {
        if node == self.node {
            return None;
        }
        let address = self.consensus.directory().node(node)?.address.clone();
        Some(LeaderHint { node, address })
    }

    /// On `Ok`, local reads of the group's state see every write acknowledged before the call, as long as
    /// [`Self::still_valid`] says so after them.
    pub(crate) async fn read_barrier(
        &self,
        group: GroupId,
        mode: ReadMode,
        deadline: Instant,
    ) -> Result<ReadBarrier, ServiceError> {
        let barrier = self.consensus.read_barrier(group, mode, deadline.into_std()).await;
        barrier.map_err(|error| self.barrier_failed(group, error))
    }

    /// Fails if the state behind a barrier was lost while it was read.
    pub(crate) fn still_valid(&self, group: GroupId, barrier: &ReadBarrier) -> Result<(), ServiceError> {
        barrier.check().map_err(|error| self.barrier_failed(group, error))
    }

    /// Changes a group's state: evaluates, proposes, and starts over on a conflict.
    pub(crate) async fn propose_until_applied<T, Evaluated>(
        &self,
        group: GroupId,
        deadline: Instant,
        evaluate: impl FnMut() -> Evaluated + Send,
    ) -> Result<T, ServiceError>
    where
        T: Send,
        Evaluated: Future<Output = Result<Attempt<T>, ServiceError>> + Send,
    {
        let proposed = propose_until_applied(&*self.consensus, group, deadline.into_std(), evaluate).await;
        proposed.map_err(|error| match error {
            ProposeError::Evaluate(error) => error,
            ProposeError::Barrier(error) => self.barrier_failed(group, error),
            // Only a request about a customer has an id with which it may be retried.
            ProposeError::Consensus(ConsensusError::Timeout)
                if Instant::now() < deadline && group != GroupId::Directory =>
            {
                ServiceError::LeadershipLost
            }
            ProposeError::Consensus(ConsensusError::Timeout) => ServiceError::OutcomeUnknown,
            ProposeError::Consensus(error) => self.consensus_error(group, error),
            ProposeError::Contended { tries } => ServiceError::Contended { tries },
        })
    }

    /// Converts a failure of the read barrier; nothing was changed.
    pub(crate) fn barrier_failed(&self, group: GroupId, error: ConsensusError) -> ServiceError {
        if matches!(error, ConsensusError::Timeout) {
            return ServiceError::DeadlinePassed;
        }
        self.consensus_error(group, error)
    }

    /// Converts a failure of consensus, adding the leader's address if another node leads.
    pub(crate) fn consensus_error(&self, group: GroupId, error: ConsensusError) -> ServiceError {
        if let ConsensusError::NotLeader { leader } = error {
            return ServiceError::NotLeader { leader: leader.and_then(|node| self.hint_of(node)) };
        }
        if let ConsensusError::NoReplica { .. } = error {
            return ServiceError::NotLeader { leader: self.leader_hint(group) };
        }
        ServiceError::Consensus(error)
    }
}
