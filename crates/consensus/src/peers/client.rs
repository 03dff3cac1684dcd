//! This node as other nodes see it: it signs envelopes with its identity, calls, and checks who calls.
//!
//! What must hold: the cluster id is set once; a message of another cluster, of a sender that its connection does not
//! prove, or of a node with another lease is refused (the join calls of `cluster/bootstrap.rs` make checks of their own).

use std::sync::{Arc, Once, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use custodia_profile::NodeId;
use custodia_seal::ClusterId;
use prost::Message;
use tokio::sync::Semaphore;

use super::message::{Body, Envelope, Reply, Target, read_answer};
use crate::directory::DirectoryCell;
use crate::error::{ConsensusError, Refusal};
use crate::timing::Timing;
use crate::transport::{Peer, PeerTransport};

/// How many snapshots a node sends at the same time, and how many it receives.
const SNAPSHOTS_MAX: usize = 2;

/// Calls other nodes in the name of this one.
pub(crate) struct PeerClient {
    /// This node.
    pub(crate) own: Peer,
    pub(crate) transport: Arc<dyn PeerTransport>,
    pub(crate) timing: Timing,
    pub(crate) snapshots_out: Arc<Semaphore>,
    pub(crate) snapshots_in: Semaphore,
    directory: Arc<DirectoryCell>,
    cluster: OnceLock<ClusterId>,
    /// Set once this node has logged that its lease differs.
    lease_refused: Once,
}

impl PeerClient {
    pub(crate) fn new(
        own: Peer,
        transport: Arc<dyn PeerTransport>,
        timing: Timing,
        directory: Arc<DirectoryCell>,
    ) -> Self {
        Self {
            own,
            transport,
            timing,
            snapshots_out: Arc::new(Semaphore::new(SNAPSHOTS_MAX)),
            snapshots_in: Semaphore::new(SNAPSHOTS_MAX),
            directory,
            cluster: OnceLock::new(),
            lease_refused: Once::new(),
        }
    }

    /// The cluster that this node belongs to.
    pub(crate) fn cluster(&self) -> Option<ClusterId> {
        self.cluster.get().copied()
    }

    /// Sets the cluster, if it is not set yet, and returns the one that is.
    pub(crate) fn set_cluster(&self, cluster: ClusterId) -> ClusterId {
        *self.cluster.get_or_init(|| cluster)
    }

    pub(crate) fn envelope(&self, target: Option<Target>, body: Body) -> Bytes {
        self.envelope_for(self.cluster(), target, body)
    }

    /// An envelope for a cluster to which this node need not belong yet.
    pub(crate) fn envelope_for(
        &self,
        cluster: Option<ClusterId>,
        target: Option<Target>,
        body: Body,
    ) -> Bytes {
        let envelope = Envelope {
            cluster: cluster.map_or_else(Bytes::new, |id| Bytes::copy_from_slice(id.as_bytes())),
            from_node: self.own.node.as_u32(),
            map_version: self.directory.load().map_version(),
            target,
            lease_ms: self.timing.lease_ms(),
            body: Some(body),
        };
        envelope.encode_to_vec().into()
    }

    /// Calls another node. A refusal is an error.
    pub(crate) async fn call(
        &self,
        to: &Peer,
        target: Option<Target>,
        body: Body,
        timeout: Duration,
    ) -> Result<Reply, ConsensusError> {
        self.send(to, self.envelope(target, body), timeout).await
    }

    /// Sends an encoded envelope and reads the answer. A refusal is an error.
    pub(crate) async fn send(
        &self,
        to: &Peer,
        message: Bytes,
        timeout: Duration,
    ) -> Result<Reply, ConsensusError> {
        let answer = self.transport.call(to, message, timeout).await;
        let answer = answer.map_err(|source| ConsensusError::Peer { node: to.node, source })?;
        read_answer(answer).map_err(|refusal| {
            if refusal == Refusal::OtherLease {
                self.lease_refused.call_once(|| {
                    tracing::error!(
                        peer = %to.node,
                        "peer rejected this node: its lease setting differs; compare `timing` in both configurations"
                    );
                });
            }
            ConsensusError::Refused { node: to.node, refusal }
        })
    }

    /// Checks a message from another node: that it is for this cluster, that its sender is the node that its connection
    /// proves, and that both have the same lease.
    pub(crate) fn check_sender(&self, from: NodeId, envelope: &Envelope) -> Result<(), Refusal> {
        if envelope.from_node != from.as_u32() {
            return Err(Refusal::OtherNode);
        }
        let cluster = self.cluster().ok_or(Refusal::OtherCluster)?;
        if envelope.cluster.as_ref() != cluster.as_bytes() {
            return Err(Refusal::OtherCluster);
        }
        self.check_lease(envelope)
    }

    pub(crate) fn check_lease(&self, envelope: &Envelope) -> Result<(), Refusal> {
        if envelope.lease_ms == self.timing.lease_ms() { Ok(()) } else { Err(Refusal::OtherLease) }
    }
}
