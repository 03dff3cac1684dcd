//! What [`Consensus::start`](crate::Consensus::start) needs: the node's identity, its opened storage and its transport.

use std::fmt;
use std::sync::Arc;

use custodia_profile::NodeId;
use custodia_store::{DataFolder, SharedLog, StateEngine};

use crate::timing::Timing;
use crate::transport::PeerTransport;

/// What a node brings to consensus.
pub struct ConsensusOptions {
    /// This node's id.
    pub node: NodeId,
    /// The address at which other nodes reach it.
    pub address: String,
    /// The opened state engine.
    pub engine: Arc<dyn StateEngine>,
    /// The opened shared log.
    pub log: SharedLog,
    /// The locked data folder.
    pub folder: Arc<DataFolder>,
    /// The connection to other nodes.
    pub transport: Arc<dyn PeerTransport>,
    /// Intervals and timeouts.
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
