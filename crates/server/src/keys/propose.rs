//! What the keys need of consensus, as a trait, so that their tests run without a cluster.

use std::fmt;
use std::time::Instant;

use async_trait::async_trait;
use custodia_consensus::{Command, Consensus, ConsensusError, Outcome};
use custodia_profile::GroupId;

/// Proposes commands to a group that this node leads.
#[async_trait]
pub(crate) trait Propose: Send + Sync + fmt::Debug {
    /// Proposes, and returns when the command is applied to the local state or refused.
    async fn propose(
        &self,
        group: GroupId,
        command: Command,
        deadline: Instant,
    ) -> Result<Outcome, ConsensusError>;

    /// After it the local state holds everything that was acknowledged before.
    async fn read_barrier(&self, group: GroupId, deadline: Instant) -> Result<(), ConsensusError>;
}

#[async_trait]
impl Propose for Consensus {
    async fn propose(
        &self,
        group: GroupId,
        command: Command,
        deadline: Instant,
    ) -> Result<Outcome, ConsensusError> {
        Self::propose(self, group, command, deadline).await
    }

    async fn read_barrier(&self, group: GroupId, deadline: Instant) -> Result<(), ConsensusError> {
        Self::read_barrier(self, group, deadline).await
    }
}
