//! The loop that changes a group's state: evaluate, propose with conditions, start over on a conflict.
//!
//! ```text
//! read barrier ─▶ evaluate ── Done ──────────────────────────▶ answer
//!      ▲             └─ Propose ─▶ propose ── applied ───────▶ answer
//!      └──────────── conflict ◀──────┘
//! ```
//!
//! Invariant: a command names everything that its evaluation read as a condition. If any of it changed in between,
//! the whole command fails and the next evaluation reads the new state. This needs no lock.

use std::{fmt, future::Future, time::Instant};

use async_trait::async_trait;
use custodia_consensus::{Command, Consensus, ConsensusError, Outcome, ReadMode};
use custodia_profile::GroupId;
use metrics::counter;

/// The maximum number of evaluations of one command.
pub(crate) const TRIES_MAX: u32 = 8;

/// Counter: commands evaluated again because the state had changed.
pub(crate) const CONFLICTS: &str = "custodia_write_conflicts_total";

/// The part of consensus that a change of a group's state needs. A trait, so tests run without a cluster.
#[async_trait]
pub(crate) trait Propose: Send + Sync + fmt::Debug {
    /// Proposes a command, and returns once it is applied to the local state or refused.
    async fn propose(
        &self,
        group: GroupId,
        command: Command,
        deadline: Instant,
    ) -> Result<Outcome, ConsensusError>;

    /// On `Ok`, local reads see every write acknowledged before the call. In the read mode of this node.
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
        // What a proposal was evaluated on are its conditions, so it needs no check afterwards.
        Self::read_barrier(self, group, ReadMode::Lease, deadline).await.map(|_| ())
    }
}

/// The result of an evaluation.
#[derive(Debug)]
pub(crate) enum Attempt<T> {
    /// There is nothing to propose.
    Done(T),
    /// The answer is valid once the command is applied.
    Propose {
        /// The change, with its conditions.
        command: Command,
        /// The answer to the caller.
        answer: T,
    },
}

impl<T> Attempt<T> {
    /// The same with another form of the answer.
    pub(crate) fn map<U>(self, form: impl FnOnce(T) -> U) -> Attempt<U> {
        match self {
            Self::Done(answer) => Attempt::Done(form(answer)),
            Self::Propose { command, answer } => Attempt::Propose { command, answer: form(answer) },
        }
    }
}

/// Why a change is not known to be applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProposeError<E> {
    /// The evaluation failed. No command was proposed.
    #[error("the change could not be evaluated")]
    Evaluate(#[source] E),
    /// The read barrier failed. No command was proposed.
    #[error("the read barrier failed")]
    Barrier(#[source] ConsensusError),
    /// The proposal failed. After [`ConsensusError::Timeout`] it may still be applied.
    #[error("the proposal failed")]
    Consensus(#[source] ConsensusError),
    /// Every proposal met a conflict. Nothing was applied.
    #[error("gave up after {tries} conflicts")]
    Contended {
        /// The number of proposals.
        tries: u32,
    },
}

/// Passes the read barrier, evaluates the current state and proposes the result; starts over on a conflict, for at most
/// [`TRIES_MAX`] rounds.
///
/// # Errors
/// [`ProposeError`]. Only a conflict is retried.
pub(crate) async fn propose_until_applied<T, E, Evaluated>(
    proposer: &dyn Propose,
    group: GroupId,
    deadline: Instant,
    mut evaluate: impl FnMut() -> Evaluated + Send,
) -> Result<T, ProposeError<E>>
where
    T: Send,
    E: Send,
    Evaluated: Future<Output = Result<Attempt<T>, E>> + Send,
{
    for _ in 0..TRIES_MAX {
        proposer.read_barrier(group, deadline).await.map_err(ProposeError::Barrier)?;
        let (command, answer) = match evaluate().await.map_err(ProposeError::Evaluate)? {
            Attempt::Done(answer) => return Ok(answer),
            Attempt::Propose { command, answer } => (command, answer),
        };
        match proposer.propose(group, command, deadline).await.map_err(ProposeError::Consensus)? {
            Outcome::Applied { .. } => return Ok(answer),
            Outcome::Conflict { .. } => counter!(CONFLICTS).increment(1),
        }
    }
    Err(ProposeError::Contended { tries: TRIES_MAX })
}

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        future::ready,
        sync::atomic::{AtomicU32, Ordering},
        time::Duration,
    };

    use bytes::Bytes;
    use parking_lot::Mutex;

    use super::*;

    /// Returns the planned outcomes, then applies everything; records the order of the calls.
    #[derive(Debug, Default)]
    struct Planned {
        outcomes: Mutex<VecDeque<Result<Outcome, ConsensusError>>>,
        barrier: Mutex<Option<ConsensusError>>,
        asked: Mutex<Vec<&'static str>>,
    }

    #[async_trait]
    impl Propose for Planned {
        async fn propose(&self, _: GroupId, _: Command, _: Instant) -> Result<Outcome, ConsensusError> {
            self.asked.lock().push("propose");
            self.outcomes.lock().pop_front().unwrap_or(Ok(Outcome::Applied { index: 1 }))
        }

        async fn read_barrier(&self, _: GroupId, _: Instant) -> Result<(), ConsensusError> {
            self.asked.lock().push("barrier");
            self.barrier.lock().take().map_or(Ok(()), Err)
        }
    }

    impl Planned {
        fn new(outcomes: impl IntoIterator<Item = Result<Outcome, ConsensusError>>) -> Self {
            Self { outcomes: Mutex::new(outcomes.into_iter().collect()), ..Self::default() }
        }

        /// Runs the loop with an evaluation that returns how often it ran.
        async fn run(&self) -> Result<u32, ProposeError<&'static str>> {
            let runs = AtomicU32::new(0);
            self.run_with(|| {
                let answer = runs.fetch_add(1, Ordering::Relaxed) + 1;
                Ok(Attempt::Propose { command: Command::default(), answer })
            })
            .await
        }

        async fn run_with(
            &self,
            mut evaluate: impl FnMut() -> Result<Attempt<u32>, &'static str> + Send,
        ) -> Result<u32, ProposeError<&'static str>> {
            let deadline = Instant::now() + Duration::from_secs(10);
            let group = GroupId::Directory;
            propose_until_applied(self, group, deadline, || ready(evaluate())).await
        }
    }

    fn conflict() -> Result<Outcome, ConsensusError> {
        Ok(Outcome::Conflict { key: Bytes::from_static(b"key") })
    }

    #[tokio::test]
    async fn conflict_is_evaluated_again_after_a_new_barrier() {
        let planned = Planned::new([conflict(), conflict()]);
        assert_eq!(planned.run().await.unwrap(), 3, "the answer comes from the evaluation that was applied");
        assert_eq!(*planned.asked.lock(), ["barrier", "propose"].repeat(3));
    }

    #[tokio::test]
    async fn endless_conflicts_give_up() {
        let planned = Planned::new((0..=TRIES_MAX).map(|_| conflict()));
        let error = planned.run().await.unwrap_err();
        assert!(matches!(error, ProposeError::Contended { tries: TRIES_MAX }), "{error}");
        assert_eq!(planned.outcomes.lock().len(), 1, "no further try");
    }

    #[tokio::test]
    async fn nothing_is_proposed_if_nothing_changes() {
        let planned = Planned::default();
        assert_eq!(planned.run_with(|| Ok(Attempt::Done(7))).await.unwrap(), 7);
        assert_eq!(*planned.asked.lock(), ["barrier"]);
    }

    #[tokio::test]
    async fn failures_are_distinguished_and_never_retried() {
        let planned = Planned::default();
        let error = planned.run_with(|| Err("refused")).await.unwrap_err();
        assert!(matches!(error, ProposeError::Evaluate("refused")), "{error}");
        assert_eq!(*planned.asked.lock(), ["barrier"]);

        let planned = Planned::new([Err(ConsensusError::Timeout)]);
        let error = planned.run().await.unwrap_err();
        assert!(matches!(error, ProposeError::Consensus(ConsensusError::Timeout)), "{error}");
        assert_eq!(*planned.asked.lock(), ["barrier", "propose"]);

        let planned = Planned { barrier: Mutex::new(Some(ConsensusError::NoQuorum)), ..Planned::default() };
        let error = planned.run().await.unwrap_err();
        assert!(matches!(error, ProposeError::Barrier(ConsensusError::NoQuorum)), "{error}");
        assert_eq!(*planned.asked.lock(), ["barrier"]);
    }
}
