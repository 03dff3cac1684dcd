//! What [`Consensus::start`](crate::Consensus::start) needs: the node's identity, its opened storage and its transport.

use std::fmt;
use std::sync::Arc;

use custodia_profile::NodeId;
use custodia_store::{DataFolder, SharedLog, StatePartitions};

use crate::timing::Timing;
use crate::transport::PeerTransport;

/// What a read barrier relies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadMode {
    /// The leader's lease: no round trip, as long as the clocks of the nodes run alike.
    #[default]
    Lease,
    /// An acknowledgement by a quorum of a message that was sent after the read came: correct whatever any clock does.
    Quorum,
}

/// What a node brings to consensus.
pub struct ConsensusOptions {
    /// This node's id.
    pub node: NodeId,
    /// The address at which other nodes reach it.
    pub address: String,
    /// The opened state.
    pub engine: Arc<StatePartitions>,
    /// The opened shared log.
    pub log: SharedLog,
    /// The locked data folder.
    pub folder: Arc<DataFolder>,
    /// The connection to other nodes.
    pub transport: Arc<dyn PeerTransport>,
    /// Intervals and timeouts.
    pub timing: Timing,
    /// What read barriers rely on, unless a call asks for more.
    pub read_mode: ReadMode,
}

impl fmt::Debug for ConsensusOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsensusOptions")
            .field("node", &self.node)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
