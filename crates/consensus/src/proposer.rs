//! Group commit: proposals of the same moment share a log entry.
//!
//! ```text
//! propose ─► bounded queue ─► batch (count and bytes bounded) ─► log entry ─► apply ─► outcomes, one each
//!                              │ up to 4 entries are under way; what comes meanwhile makes the next batch
//! ```
//! What must hold: commands enter the log in the order in which they entered the queue; every proposal is answered
//! exactly once, or its sender is dropped, which its waiter reads as *unknown*.

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
use crate::types::{Raft, TypeConfig};

/// Proposals that wait in a group's queue at most; above it, proposals are refused as overload.
pub const PROPOSALS_QUEUED_MAX: usize = 4_096;
/// Commands and bytes in one log entry at most (a larger command has an entry of its own).
const BATCH_COMMANDS_MAX: usize = 512;
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Log entries of a group that are under way at the same time.
const ENTRIES_IN_FLIGHT_MAX: usize = 4;

pub(crate) struct Proposal {
    pub(crate) command: Bytes,
    pub(crate) answer: oneshot::Sender<Result<Outcome, Fate>>,
}

/// Why a proposal was not applied, or that nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    NotLeader(Option<NodeId>),
    NoQuorum,
    Unknown,
    Stopped,
}

impl From<Fate> for ConsensusError {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::NotLeader(leader) => Self::NotLeader { leader },
            Fate::NoQuorum => Self::NoQuorum,
            Fate::Unknown => Self::Timeout,
            Fate::Stopped => Self::Stopped,
        }
    }
}

/// Where the library says that a request should go.
pub(crate) fn fate_of(forward: &ForwardToLeader<TypeConfig>) -> Fate {
    match forward.reason {
        ForwardReason::LeaseExpired => Fate::NoQuorum,
        ForwardReason::NotLeader | ForwardReason::LeadershipTransfer => {
            let node = forward.leader_node.as_ref();
            Fate::NotLeader(node.and_then(|node| NodeId::new(node.node).ok()))
        }
    }
}

type Answers = Vec<oneshot::Sender<Result<Outcome, Fate>>>;

/// Batches and proposes until `stop`, then waits for what is under way.
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
            // Awaited here, one after the other: this keeps the order of the queue.
            match raft.client_write_ff(CommandBatch::join(commands), Some(responder)).await {
                Ok(()) => in_flight.push(async move {
                    let result = match receiver.await {
                        Ok(Ok(response)) => Ok(response.data),
                        Ok(Err(error)) => Err(fate_of_write(&error)),
                        Err(_dropped) => Err(Fate::Unknown),
                    };
                    answer(answers, result);
                }),
                Err(_fatal) => answer(answers, Err(Fate::Stopped)),
            }
        }
        tokio::select! {
            Some(()) = in_flight.next(), if !in_flight.is_empty() => {}
            received = queue.recv_many(&mut waiting, BATCH_COMMANDS_MAX), if in_flight.len() < ENTRIES_IN_FLIGHT_MAX =>
                if received == 0 { break },
            () = stop.cancelled() => break,
        }
    }
    answer(waiting.into_iter().map(|proposal| proposal.answer).collect(), Err(Fate::Stopped));
    while in_flight.next().await.is_some() {}
}

fn fate_of_write(error: &ClientWriteError<TypeConfig>) -> Fate {
    match error {
        ClientWriteError::ForwardToLeader(forward) => fate_of(forward),
        ClientWriteError::LogEntryDiscarded(_) => Fate::Unknown,
        // Neither can come of an ordinary write; unknown is what is safe to say.
        ClientWriteError::ChangeMembershipError(_) | ClientWriteError::PreconditionFailed(_) => Fate::Unknown,
    }
}

/// The first proposals that fit into one entry. Whoever has given up is left out: nothing was proposed for it.
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

fn answer(answers: Answers, result: Result<Vec<Outcome>, Fate>) {
    let mut outcomes = result.map(Vec::into_iter);
    for waiter in answers {
        let outcome = match &mut outcomes {
            // One outcome for each command; fewer would mean that the entry was not the one proposed.
            Ok(outcomes) => outcomes.next().ok_or(Fate::Unknown),
            Err(fate) => Err(*fate),
        };
        if waiter.send(outcome).is_err() {
            tracing::trace!("a proposal was answered after its deadline");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal(bytes: usize) -> (Proposal, oneshot::Receiver<Result<Outcome, Fate>>) {
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
