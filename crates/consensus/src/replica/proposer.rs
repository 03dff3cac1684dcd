//! Group commit: concurrent proposals share a log entry.
//!
//! ```text
//! propose ─► bounded queue ─► batch (limited count and bytes) ─► log entry ─► apply ─► an outcome for each
//!                              │ up to 4 entries are in flight; what arrives meanwhile makes the next batch
//! ```
//! What must hold: commands enter the log in the order in which they entered the queue. Every proposal is answered exactly
//! once, or its sender is dropped, which the waiting caller takes as *unknown*.

use bytes::Bytes;
use custodia_profile::NodeId;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use openraft::errors::{ClientWriteError, ForwardReason, ForwardToLeader};
use openraft::impls::ProgressResponder;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::command::{CommandBatch, Outcome};
use crate::error::ConsensusError;
use crate::raft::machine::Raft;
use crate::raft::types::{ReplicaNode, TypeConfig};

/// The most proposals that wait in a group's queue. Further ones are refused as overload.
pub const PROPOSALS_QUEUED_MAX: usize = 4_096;
/// The most commands and bytes in one log entry (a larger command gets an entry of its own).
const BATCH_COMMANDS_MAX: usize = 512;
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// The most log entries of a group that are in flight.
const ENTRIES_IN_FLIGHT_MAX: usize = 4;

pub(crate) struct Proposal {
    pub(crate) command: Bytes,
    pub(crate) answer: oneshot::Sender<Result<Outcome, ProposalError>>,
}

/// Why a proposal was not applied, or that this is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProposalError {
    NotLeader(Option<NodeId>),
    NoQuorum,
    Unknown,
    Stopped,
}

impl From<ProposalError> for ConsensusError {
    fn from(error: ProposalError) -> Self {
        match error {
            ProposalError::NotLeader(leader) => Self::NotLeader { leader },
            ProposalError::NoQuorum => Self::NoQuorum,
            ProposalError::Unknown => Self::Timeout,
            ProposalError::Stopped => Self::Stopped,
        }
    }
}

impl From<&ForwardToLeader<TypeConfig>> for ProposalError {
    /// The library says why this replica cannot take a request, and who may.
    fn from(forward: &ForwardToLeader<TypeConfig>) -> Self {
        match forward.reason {
            ForwardReason::LeaseExpired => Self::NoQuorum,
            ForwardReason::NotLeader | ForwardReason::LeadershipTransfer => {
                Self::NotLeader(forward.leader_node.as_ref().and_then(ReplicaNode::node_id))
            }
        }
    }
}

impl From<&ClientWriteError<TypeConfig>> for ProposalError {
    fn from(error: &ClientWriteError<TypeConfig>) -> Self {
        match error {
            ClientWriteError::ForwardToLeader(forward) => forward.into(),
            ClientWriteError::LogEntryDiscarded(_) => Self::Unknown,
            // An ordinary write cannot cause either; unknown is the safe answer.
            ClientWriteError::ChangeMembershipError(_) | ClientWriteError::PreconditionFailed(_) => {
                Self::Unknown
            }
        }
    }
}

type Answers = Vec<oneshot::Sender<Result<Outcome, ProposalError>>>;

/// Batches and proposes until `stop`, then waits for what is in flight.
pub(crate) async fn run(raft: Raft, mut queue: mpsc::Receiver<Proposal>, stop: CancellationToken) {
    let mut in_flight = FuturesUnordered::new();
    let mut waiting: Vec<Proposal> = Vec::new();
    loop {
        while in_flight.len() < ENTRIES_IN_FLIGHT_MAX && !waiting.is_empty() {
            let (commands, answers) = take_batch(&mut waiting);
            if answers.is_empty() {
                continue;
            }
            let (responder, receiver) = ProgressResponder::complete_only();
            // Awaited one after the other, which keeps the order of the queue.
            match raft.client_write_ff(CommandBatch::join(commands), Some(responder)).await {
                Ok(()) => in_flight.push(async move {
                    let result = match receiver.await {
                        Ok(Ok(response)) => Ok(response.data),
                        Ok(Err(error)) => Err(ProposalError::from(&error)),
                        Err(_dropped) => Err(ProposalError::Unknown),
                    };
                    answer(answers, result);
                }),
                Err(_fatal) => answer(answers, Err(ProposalError::Stopped)),
            }
        }
        tokio::select! {
            Some(()) = in_flight.next(), if !in_flight.is_empty() => {}
            received = queue.recv_many(&mut waiting, BATCH_COMMANDS_MAX), if in_flight.len() < ENTRIES_IN_FLIGHT_MAX =>
                if received == 0 { break },
            () = stop.cancelled() => break,
        }
    }
    answer(waiting.into_iter().map(|proposal| proposal.answer).collect(), Err(ProposalError::Stopped));
    while in_flight.next().await.is_some() {}
}

/// Takes the first proposals that fit into one entry. Those whose caller has given up are dropped: they were never proposed.
fn take_batch(waiting: &mut Vec<Proposal>) -> (Vec<Bytes>, Answers) {
    let mut bytes = 0_usize;
    let fits = waiting.iter().take_while(|proposal| {
        let first = bytes == 0;
        bytes = bytes.saturating_add(proposal.command.len()).max(1);
        first || bytes <= BATCH_BYTES_MAX
    });
    let count = fits.count();
    let batch = waiting.drain(..count).filter(|proposal| !proposal.answer.is_closed());
    batch.map(|proposal| (proposal.command, proposal.answer)).unzip()
}

fn answer(answers: Answers, result: Result<Vec<Outcome>, ProposalError>) {
    let mut outcomes = result.map(Vec::into_iter);
    for waiter in answers {
        let outcome = match &mut outcomes {
            // One outcome for each command. Fewer would mean that the entry was not the proposed one.
            Ok(outcomes) => outcomes.next().ok_or(ProposalError::Unknown),
            Err(error) => Err(*error),
        };
        if waiter.send(outcome).is_err() {
            tracing::trace!("a proposal was answered after its deadline");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal(bytes: usize) -> (Proposal, oneshot::Receiver<Result<Outcome, ProposalError>>) {
        let (answer, answered) = oneshot::channel();
        (Proposal { command: Bytes::from(vec![0; bytes]), answer }, answered)
    }

    #[test]
    fn batches_are_bounded_by_bytes_and_a_large_command_goes_alone() {
        let sizes = [10, BATCH_BYTES_MAX, 10, 20, BATCH_BYTES_MAX - 30, 1];
        let (mut waiting, _answered): (Vec<_>, Vec<_>) = sizes.into_iter().map(proposal).unzip();
        let mut lengths = Vec::new();
        while !waiting.is_empty() {
            lengths.push(take_batch(&mut waiting).0.len());
        }
        assert_eq!(lengths, [1, 1, 3, 1]);
    }

    #[test]
    fn abandoned_proposal_is_not_proposed() {
        let (first, answered) = proposal(1);
        let (second, _waits) = proposal(2);
        drop(answered);
        let (commands, _) = take_batch(&mut vec![first, second]);
        assert_eq!(commands.iter().map(Bytes::len).collect::<Vec<_>>(), [2]);
    }
}
