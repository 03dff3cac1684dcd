//! The door to consensus: what the server calls. Everything behind it is private to this crate.
//!
//! ```text
//!            propose ─► group commit queue ─► Raft group ─► shared log ─► apply ─► state engine
//!       read_barrier ─► lease, or one round to a majority; then the caller reads the engine itself
//! handle_call,
//! handle_exchange    ─► Raft groups of this node            (what other nodes send)
//!        directory() ─► this node's copy of the directory
//! ```
//! Every task that is started belongs to this object and has ended when [`Consensus::shutdown`] returns.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use custodia_profile::{GroupId, NodeId};
use custodia_seal::ClusterId;
use custodia_store::{DataFolder, SharedLog, StateEngine};
use futures::stream::BoxStream;
use tokio::sync::watch;

use crate::bootstrap;
use crate::command::{Command, Outcome};
use crate::directory::Directory;
use crate::error::ConsensusError;
use crate::node::Node;
use crate::replica::{GroupStatus, Leadership};
use crate::service;
use crate::supervisor;
use crate::timing::Timing;
use crate::transport::{Peer, PeerTransport, TransportError};

/// What a node brings along.
pub struct ConsensusOptions {
    /// Which node this is.
    pub node: NodeId,
    /// Where other nodes reach it.
    pub address: String,
    /// The state engine, opened.
    pub engine: Arc<dyn StateEngine>,
    /// The shared log, opened.
    pub log: SharedLog,
    /// The data folder, locked.
    pub folder: Arc<DataFolder>,
    /// The way to other nodes.
    pub transport: Arc<dyn PeerTransport>,
    /// The clocks.
    pub timing: Timing,
}

impl fmt::Debug for ConsensusOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsensusOptions")
            .field("node", &self.node)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// All Raft groups of one node.
pub struct Consensus {
    pub(crate) node: Arc<Node>,
}

impl fmt::Debug for Consensus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consensus").field("node", &self.node.id).finish_non_exhaustive()
    }
}

impl Consensus {
    /// Starts what the data folder says this node has: nothing if it is in no cluster yet; otherwise its replica of the
    /// directory at once, and the replicas of shards as the directory says. Returns before they have leaders. A replica
    /// whose state was lost is rebuilt from the other nodes on the way.
    ///
    /// # Errors
    /// When the engine or the log cannot be read.
    pub async fn start(options: ConsensusOptions) -> Result<Arc<Self>, ConsensusError> {
        Self::start_node(Node::open(options)?).await
    }

    pub(crate) async fn start_node(node: Arc<Node>) -> Result<Arc<Self>, ConsensusError> {
        // What is reported as applied from now on is durable.
        node.flush().await?;
        supervisor::start(&node)?;
        Ok(Arc::new(Self { node }))
    }

    /// Creates the cluster: `nodes` are all its nodes, this one among them. May be called again after an interruption,
    /// with the same parameters. Returns when the directory is written; leaders of shards follow within moments.
    ///
    /// # Errors
    /// [`ConsensusError::InvalidShape`], [`ConsensusError::AlreadyInitialised`] naming the node that is not empty,
    /// [`ConsensusError::OtherShape`] when the cluster exists otherwise, [`ConsensusError::Peer`] when a node cannot be
    /// reached.
    pub async fn init_cluster(
        &self,
        nodes: Vec<Peer>,
        shards: u16,
        replicas: u8,
    ) -> Result<ClusterId, ConsensusError> {
        bootstrap::init_cluster(&self.node, nodes, shards, replicas).await
    }

    /// The cluster this node belongs to, if it does.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterId> {
        self.node.cluster()
    }

    /// This node's copy of the directory. Cheap. On the node that leads the directory it holds everything whose
    /// proposal has returned; elsewhere it may be some milliseconds behind.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        self.node.directory.load()
    }

    /// Changes whenever the copy of the directory is replaced.
    #[must_use]
    pub fn directory_changed(&self) -> watch::Receiver<u64> {
        self.node.directory.changed()
    }

    /// Proposes a command to a group that this node leads, and waits until it is applied here. Proposals of the same
    /// moment share a log entry.
    ///
    /// # Errors
    /// [`ConsensusError::Timeout`] means that the outcome is unknown. All others mean that nothing was applied:
    /// [`ConsensusError::NotLeader`], [`ConsensusError::NoQuorum`], [`ConsensusError::Overloaded`], ….
    pub async fn propose(
        &self,
        group: GroupId,
        command: Command,
        deadline: Instant,
    ) -> Result<Outcome, ConsensusError> {
        self.node.replica(group)?.propose(command, deadline).await
    }

    /// After it returns well, a read of the engine sees everything that was acknowledged before the call.
    ///
    /// # Errors
    /// [`ConsensusError::NotLeader`], [`ConsensusError::NoQuorum`], [`ConsensusError::NoReplica`].
    pub async fn read_barrier(&self, group: GroupId, deadline: Instant) -> Result<(), ConsensusError> {
        self.node.replica(group)?.read_barrier(deadline).await
    }

    /// The state engine, for reads.
    #[must_use]
    pub fn engine(&self) -> &Arc<dyn StateEngine> {
        &self.node.engine
    }

    /// Who leads a group, as far as this node's replica of it knows.
    #[must_use]
    pub fn leader(&self, group: GroupId) -> Option<NodeId> {
        self.node.replica(group).ok()?.leadership().leader
    }

    /// Whether this node leads a group.
    #[must_use]
    pub fn is_leader(&self, group: GroupId) -> bool {
        self.node.replica(group).is_ok_and(|replica| replica.leadership().leading)
    }

    /// The leadership of a group as this node's replica sees it, and its changes. Nothing without a running replica.
    #[must_use]
    pub fn leadership(&self, group: GroupId) -> Option<watch::Receiver<Leadership>> {
        Some(self.node.replica(group).ok()?.leadership_watch())
    }

    /// Changes whenever the leadership of any group on this node changes, and when a replica starts. What has changed is
    /// in [`Consensus::group_statuses`] and [`Consensus::leadership`].
    #[must_use]
    pub fn leadership_changed(&self) -> watch::Receiver<u64> {
        self.node.leadership.subscribe()
    }

    /// All groups that have a running replica here.
    #[must_use]
    pub fn group_statuses(&self) -> Vec<GroupStatus> {
        self.node.running().iter().map(|replica| replica.status()).collect()
    }

    /// Answers a call of another node. `from` is who the connection proves it is.
    pub async fn handle_call(&self, from: NodeId, body: Bytes) -> Bytes {
        service::call::handle(&self.node, from, body).await
    }

    /// Answers an exchange with another node. `from` is who the connection proves it is.
    pub async fn handle_exchange(
        &self,
        from: NodeId,
        input: BoxStream<'static, Result<Bytes, TransportError>>,
    ) -> BoxStream<'static, Bytes> {
        service::exchange::handle(&self.node, from, input).await
    }

    /// Returns when this node has failed: its engine or its log, or a part of consensus that broke off. Its replicas are
    /// stopped or about to be, and only a new process starts them again.
    pub async fn failed(&self) -> ConsensusError {
        self.node.failed.cancelled().await;
        self.node.why_failed()
    }

    /// Gives leadership away, within a bounded time, stops all groups and makes the state durable. Proposals that come
    /// later get [`ConsensusError::Stopped`]. May be called twice.
    pub async fn shutdown(&self) {
        supervisor::stop(&self.node).await;
    }
}
