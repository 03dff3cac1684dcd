//! The one loop in which this node changes the state of a group: evaluate, propose under conditions, again on a conflict.
//!
//! ```text
//! read barrier ─▶ evaluate ── Done ──────────────────────────▶ answer
//!      ▲             └─ Propose ─▶ propose ── applied ───────▶ answer
//!      └──────────── conflict ◀──────┘
//! ```
//!
//! Must always hold: a command names everything that its evaluation read as a condition. A change in between then makes
//! the whole command fail, and the next evaluation reads the new state. No lock is needed for that.

use std::{fmt, future::Future, time::Instant};

use async_trait::async_trait;
use custodia_consensus::{Command, Consensus, ConsensusError, Outcome};
use custodia_profile::GroupId;
use metrics::counter;

/// How often a command is evaluated at most.
pub(crate) const TRIES_MAX: u32 = 8;

/// Counter: commands that were evaluated again because the state had changed meanwhile.
pub(crate) const CONFLICTS: &str = "custodia_write_conflicts_total";

/// What changing a group's state needs of consensus. A trait, so that tests run without a cluster.
#[async_trait]
pub(crate) trait Propose: Send + Sync + fmt::Debug {
    /// Proposes, and returns when the command is applied to the local state or refused.
    async fn propose(
        &self,
        group: GroupId,
        command: Command,
        deadline: Instant,
    ) -> Result<Outcome, ConsensusError>;

    /// On `Ok`, local reads see every write acknowledged before the call.
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

/// What an evaluation leads to.
#[derive(Debug)]
pub(crate) enum Attempt<T> {
    /// There is nothing to propose.
    Done(T),
    /// The answer is true once the command is applied.
    Propose {
        /// The change, with its conditions.
        command: Command,
        /// What to answer.
        answer: T,
    },
}

/// Why nothing is known to be applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProposeError<E> {
    /// The evaluation failed. The command was not applied.
    #[error("the change could not be evaluated")]
    Evaluate(#[source] E),
    /// The read barrier failed. The command was not applied.
    #[error("the read barrier failed")]
    Barrier(#[source] ConsensusError),
    /// The proposal failed; after [`ConsensusError::Timeout`] it may still be applied.
    #[error("the proposal failed")]
    Consensus(#[source] ConsensusError),
    /// Others kept changing the same state. The command was not applied.
    #[error("gave up after {tries} conflicts")]
    Contended {
        /// How often it was proposed.
        tries: u32,
    },
}

/// Passes the read barrier, evaluates on the state that it made current, proposes; starts over on a conflict, at most
/// [`TRIES_MAX`] times.
///
/// # Errors
/// [`ProposeError`]; nothing is repeated but a conflict.
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

    /// Answers proposals as planned, then applies them; notes the order of what is asked of it.
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

        /// Runs the loop with an evaluation that answers how often it ran.
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
    async fn conflict_is_evaluated_again_behind_a_new_barrier() {
        let planned = Planned::new([conflict(), conflict()]);
        assert_eq!(planned.run().await.unwrap(), 3, "the answer is of the evaluation that was applied");
        assert_eq!(*planned.asked.lock(), ["barrier", "propose"].repeat(3));
    }

    #[tokio::test]
    async fn endless_conflicts_end() {
        let planned = Planned::new((0..=TRIES_MAX).map(|_| conflict()));
        let error = planned.run().await.unwrap_err();
        assert!(matches!(error, ProposeError::Contended { tries: TRIES_MAX }), "{error}");
        assert_eq!(planned.outcomes.lock().len(), 1, "no try more");
    }

    #[tokio::test]
    async fn nothing_is_proposed_where_there_is_nothing_to_do() {
        let planned = Planned::default();
        assert_eq!(planned.run_with(|| Ok(Attempt::Done(7))).await.unwrap(), 7);
        assert_eq!(*planned.asked.lock(), ["barrier"]);
    }

    #[tokio::test]
    async fn failure_is_told_apart_and_never_repeated() {
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
