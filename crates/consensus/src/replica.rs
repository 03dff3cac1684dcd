//! One replica of one group on this node, from its start to its end.
//!
//! ```text
//! open log ─► state below the log's purge point? ─► rebuild from another node ─┐
//!    │                                                                         ▼
//!    └─────────────────────────────────────────────────────────► restart guard ─► Raft ─► serves
//! ```
//! **Restart guard.** A voter that has restarted has forgotten the lease that it granted. If it voted at once, a new
//! leader could come while the old one still reads under its lease: a stale read, seen in measurements. So a replica with
//! a vote on disk waits for one whole lease, counted from the start of the process, before its Raft exists. The regression
//! test is `restarted_voter_does_not_break_the_lease`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use custodia_profile::{GroupId, NodeId, ReplicaId};
use custodia_store::{KeyKind, KeyParts, SharedLog};
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{LinearizableReadError, RaftError};
use openraft::{Instant as _, LinearizerOption};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::command::{COMMAND_BYTES_MAX, Command, Outcome};
use crate::error::ConsensusError;
use crate::log::ReplicaLog;
use crate::machine::{StateMachine, read_applied};
use crate::network::Network;
use crate::node::Node;
use crate::passed::PassedBarrier;
use crate::proposer::{self, Fate, PROPOSALS_QUEUED_MAX, Proposal, fate_of};
use crate::rebuild;
use crate::types::{Raft, ReplicaNode};

/// Who leads a group, as one replica sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leadership {
    /// The term that this is about.
    pub term: u64,
    /// Who leads, if known.
    pub leader: Option<NodeId>,
    /// Whether it is this node. A leader that is new may still refuse for a moment, until a majority has answered it.
    pub leading: bool,
}

/// How a group fares on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupStatus {
    /// The group.
    pub group: GroupId,
    /// This node's replica of it.
    pub replica: ReplicaId,
    /// Who leads, if known.
    pub leader: Option<NodeId>,
    /// Whether this node does.
    pub leading: bool,
    /// The term.
    pub term: u64,
    /// Index of the last log entry.
    pub last_log: Option<u64>,
    /// Index of the last applied entry.
    pub applied: Option<u64>,
    /// Index that the last snapshot reaches.
    pub snapshot: Option<u64>,
    /// Index through which the log is purged.
    pub purged: Option<u64>,
    /// The nodes that vote.
    pub voters: Vec<NodeId>,
    /// The nodes that only listen.
    pub learners: Vec<NodeId>,
    /// Whether the replica still runs: it stops when its storage fails.
    pub running: bool,
}

/// A running replica.
pub(crate) struct Replica {
    pub(crate) group: GroupId,
    pub(crate) id: ReplicaId,
    /// The map version that placed it.
    pub(crate) since: u64,
    pub(crate) raft: Raft,
    log: SharedLog,
    read_lease: Duration,
    election_max: Duration,
    queue: mpsc::Sender<Proposal>,
    leadership: watch::Sender<Leadership>,
    passed: PassedBarrier,
    /// One transfer is asked for at a time.
    giving: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica").field("group", &self.group).field("id", &self.id).finish_non_exhaustive()
    }
}

impl Replica {
    /// Starts a replica. Returns when it serves, which for a lost one is after it was rebuilt.
    pub(crate) async fn start(
        node: &Arc<Node>,
        group: GroupId,
        id: ReplicaId,
        since: u64,
    ) -> Result<Arc<Self>, ConsensusError> {
        let context = node.machine_context();
        let resuming = context.clone();
        let resumed = tokio::task::spawn_blocking(move || resuming.spool.resume(&resuming, group)).await;
        resumed.map_err(|_gone| ConsensusError::Stopped)??;
        let has_state = read_applied(node.engine.as_ref(), group)?.0.is_some();
        let log = ReplicaLog::open(node.log.clone(), group, id, has_state).await?;
        rebuild::rebuild_if_lost(node, group, id, &log).await?;
        if log.has_voted() {
            tokio::time::sleep_until((node.started + node.restart_guard).into()).await;
        }
        let ended = CancellationToken::new();
        let machine = StateMachine::open(group, context, log.clone(), ended.clone().drop_guard())?;
        let config = Arc::new(node.timing.raft_config(&group.to_string())?);
        let network = Network { node: Arc::clone(node), group, replica: id.as_u64() };
        let refused =
            |error: openraft::errors::Fatal<_>| ConsensusError::Replica { reason: error.to_string() };
        let raft = Raft::new(id.as_u64(), config, network, log, machine).await.map_err(refused)?;
        let (queue, queued) = mpsc::channel(PROPOSALS_QUEUED_MAX);
        node.spawn("the proposer", proposer::run(raft.clone(), queued, node.stop.clone()));
        let replica = Arc::new(Self {
            group,
            id,
            since,
            raft,
            log: node.log.clone(),
            read_lease: node.timing.read_lease(),
            election_max: node.timing.election_max,
            queue,
            leadership: watch::Sender::new(Leadership::default()),
            passed: PassedBarrier::new(node.timing.read_lease()),
            giving: tokio::sync::Mutex::new(()),
        });
        node.spawn("the view of leadership", watch(Arc::clone(node), Arc::clone(&replica), ended));
        Ok(replica)
    }

    pub(crate) fn leadership(&self) -> Leadership {
        *self.leadership.borrow()
    }

    pub(crate) fn leadership_watch(&self) -> watch::Receiver<Leadership> {
        self.leadership.subscribe()
    }

    pub(crate) async fn propose(
        &self,
        command: Command,
        deadline: Instant,
    ) -> Result<Outcome, ConsensusError> {
        self.check_keys(&command)?;
        let command = command.encode();
        if command.len() > COMMAND_BYTES_MAX {
            return Err(ConsensusError::TooLarge { bytes: command.len(), limit: COMMAND_BYTES_MAX });
        }
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Proposal { command, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ConsensusError::Overloaded { limit: PROPOSALS_QUEUED_MAX },
            mpsc::error::TrySendError::Closed(_) => self.why_stopped(),
        })?;
        match tokio::time::timeout_at(deadline.into(), answered).await {
            Ok(Ok(Err(Fate::Stopped))) => Err(self.why_stopped()),
            Ok(Ok(outcome)) => Ok(outcome?),
            Ok(Err(_dropped)) => Err(ConsensusError::Timeout),
            Err(_elapsed) => Err(ConsensusError::Timeout),
        }
    }

    /// A command may touch its group's keys only, and not what replicas keep about themselves.
    fn check_keys(&self, command: &Command) -> Result<(), ConsensusError> {
        let conditions = command.conditions.iter().map(|condition| &condition.key);
        for key in conditions.chain(command.writes.iter().map(|write| &write.key)) {
            let own = KeyParts::parse(key)
                .is_ok_and(|parts| parts.group == self.group && parts.kind != KeyKind::Replica);
            if !own {
                return Err(ConsensusError::ForeignKey { group: self.group });
            }
        }
        Ok(())
    }

    /// A barrier that has just passed, or a lease of which little is used, or else a round to a majority; then all of it
    /// applied here.
    pub(crate) async fn read_barrier(&self, deadline: Instant) -> Result<(), ConsensusError> {
        let asked = Instant::now();
        if self.passed.serves(asked) && asked < deadline {
            return Ok(());
        }
        Box::pin(self.ask_for_barrier(asked, deadline)).await
    }

    async fn ask_for_barrier(&self, asked: Instant, deadline: Instant) -> Result<(), ConsensusError> {
        let term = self.leadership().term;
        let patience = deadline.saturating_duration_since(Instant::now());
        if patience.is_zero() {
            return Err(ConsensusError::Timeout);
        }
        let option = LinearizerOption::new(Some(self.read_lease), true)
            .with_wait_timeout(patience.min(self.election_max));
        let linearizer = self.raft.get_read_linearizer(option).await.map_err(|error| match error {
            RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)) => fate_of(&forward).into(),
            RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)) => ConsensusError::NoQuorum,
            RaftError::Fatal(_) => self.why_stopped(),
        })?;
        match linearizer.try_await_ready(&self.raft, Some(patience)).await {
            Ok(Ok(_ready)) => {
                self.passed.passed(term, asked);
                Ok(())
            }
            Ok(Err(_not_applied)) => Err(ConsensusError::Timeout),
            Err(_fatal) => Err(self.why_stopped()),
        }
    }

    /// The failure of storage that stopped the replica, if that was it.
    fn why_stopped(&self) -> ConsensusError {
        match self.log.bounds(self.id) {
            Ok(_) => ConsensusError::Stopped,
            Err(error) => ConsensusError::Store(error),
        }
    }

    pub(crate) fn status(&self) -> GroupStatus {
        let metrics = self.raft.metrics().borrow_watched().clone();
        let membership = metrics.membership_config.membership();
        let nodes = |ids: &mut dyn Iterator<Item = u64>| -> Vec<NodeId> {
            let mut nodes: Vec<_> =
                ids.filter_map(|id| membership.get_node(&id)).filter_map(node_id).collect();
            nodes.sort_unstable();
            nodes
        };
        let leadership = self.leadership();
        GroupStatus {
            group: self.group,
            replica: self.id,
            leader: leadership.leader,
            leading: leadership.leading,
            term: metrics.current_term,
            last_log: metrics.last_log_index,
            applied: metrics.last_applied.map(|id| id.index),
            snapshot: metrics.snapshot.map(|id| id.index),
            purged: metrics.purged.map(|id| id.index),
            voters: nodes(&mut membership.voter_ids()),
            learners: nodes(&mut membership.learner_ids()),
            running: metrics.running_state.is_ok(),
        }
    }

    /// Asks Raft to give this replica's leadership away. Whether it was taken shows in the leadership.
    pub(crate) async fn give_leadership_to(&self, successor: u64) -> Result<(), ConsensusError> {
        let _turn = self.giving.lock().await;
        self.passed.giving_away();
        let stopped = |_fatal| ConsensusError::Stopped;
        self.raft.trigger().transfer_leader(successor).await.map_err(stopped)?;
        // answered after the request, by the same queue: no older term can have taken it
        let term =
            self.raft.with_raft_state(|state| state.vote_ref().leader_id.term).await.map_err(stopped)?;
        self.passed.given_away(term);
        Ok(())
    }

    /// The replica that a leadership of this node could go to: `wanted` if it is given, otherwise the one that is
    /// furthest. It must have answered lately and hold nearly everything.
    pub(crate) fn successor(&self, wanted: Option<ReplicaId>, fresh: Duration, lag_max: u64) -> Option<u64> {
        let metrics = self.raft.metrics().borrow_watched().clone();
        let last = metrics.last_log_index?;
        let heartbeat = metrics.heartbeat?;
        let voters: Vec<u64> = metrics.membership_config.membership().voter_ids().collect();
        let candidates = metrics.replication?.into_iter().filter(|(replica, matched)| {
            let answered = heartbeat.get(replica).copied().flatten();
            *replica != self.id.as_u64()
                && voters.contains(replica)
                && wanted.is_none_or(|wanted| wanted.as_u64() == *replica)
                && answered.is_some_and(|at| at.elapsed() <= fresh)
                && matched.is_some_and(|matched| last.saturating_sub(matched.index) <= lag_max)
        });
        candidates.max_by_key(|(_, matched)| matched.map(|id| id.index)).map(|(replica, _)| replica)
    }
}

pub(crate) fn node_id(node: &ReplicaNode) -> Option<NodeId> {
    NodeId::new(node.node).ok()
}

/// Follows the library's view of the group until the node stops, which it does when the replica ends before it.
async fn watch(node: Arc<Node>, replica: Arc<Replica>, ended: CancellationToken) {
    tokio::select! {
        () = follow_leadership(&node, &replica) => {}
        () = ended.cancelled() => {}
    }
    node.break_off(format!("the replica of {}", replica.group));
    // A replica that has stopped leads nothing, whatever it said last.
    replica.leadership.send_modify(|last| *last = Leadership { leader: None, leading: false, ..*last });
    node.leadership.send_modify(|version| *version += 1);
}

async fn follow_leadership(node: &Node, replica: &Replica) {
    let mut metrics = replica.raft.server_metrics();
    loop {
        let now = {
            let metrics = metrics.borrow_watched();
            let membership = metrics.membership_config.membership();
            let leader =
                metrics.current_leader.and_then(|leader| membership.get_node(&leader)).and_then(node_id);
            Leadership {
                term: metrics.vote.leader_id.term,
                leader,
                leading: metrics.current_leader == Some(replica.id.as_u64()),
            }
        };
        let changed = replica.leadership.send_if_modified(|last| {
            let changed = *last != now;
            *last = now;
            changed
        });
        if changed && !now.leading {
            replica.passed.ended();
        }
        if changed {
            node.leadership.send_modify(|version| *version += 1);
        }
        tokio::select! {
            () = node.stop.cancelled() => return,
            changed = metrics.changed() => if changed.is_err() { return },
        }
    }
}
