//! One replica of one group on this node, from its start to its end.
//!
//! ```text
//! open log ─► state older than the log's purge point? ─► rebuild from another node ─┐
//!    ▲  │                                                                           ▼
//!    │  └───────────────────────────────────────────────────────────► restart guard ─► Raft ─► serves
//!    │                                                                                            │
//!    └── its partition of the state is lost (cluster/recovery.rs) ◄───────────────────────────────┤
//!        it ends for another reason: the node has failed ◄────────────────────────────────────────┘
//! ```
//! **Restart guard.** A voter that restarts has forgotten the lease that it granted. If it voted at once, a new leader could
//! be elected while the old one still reads under its lease: a stale read, which was observed. So a replica that has
//! stored a vote waits for one whole lease, counted from the start of the process, or from its own end in this process,
//! before its Raft is created. The regression test is `restarted_voter_does_not_break_the_lease`.

pub(crate) mod context;
mod lease_read;
mod proposer;
mod rebuild;
pub(crate) mod start;
mod status;

use std::sync::Arc;
use std::time::{Duration, Instant};

use custodia_profile::{GroupId, NodeId, ReplicaId};
use custodia_store::{KeyKind, KeyParts, Partition};
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{LinearizableReadError, RaftError};
use openraft::{Instant as _, LinearizerOption};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::context::NodeContext;
use self::lease_read::ReadLease;
pub use self::proposer::PROPOSALS_QUEUED_MAX;
use self::proposer::{Proposal, ProposalError};
use self::start::Start;
pub use self::start::{ReplicaState, StoppedReplica};
pub(crate) use self::status::LogPosition;
pub use self::status::{GroupStatus, Leadership};
use crate::blocking::blocking;
use crate::command::{COMMAND_BYTES_MAX, Command, CommandBatch, Outcome};
use crate::error::ConsensusError;
use crate::options::ReadMode;
use crate::peers::network::Network;
use crate::raft::log::ReplicaLog;
use crate::raft::machine::{Raft, StateMachine, read_applied};
use crate::raft::types::ReplicaNode;
use crate::raft::verifier::Verifier;

/// A running replica.
pub(crate) struct Replica {
    pub(crate) group: GroupId,
    pub(crate) id: ReplicaId,
    /// The map version that placed it.
    pub(crate) since: u64,
    pub(crate) raft: Raft,
    pub(crate) verifier: Verifier,
    pub(crate) log: ReplicaLog,
    /// What it applies to and reads from. Once this is lost, the replica serves nothing.
    pub(crate) state: Partition,
    node: Arc<NodeContext>,
    queue: mpsc::Sender<Proposal>,
    leadership: watch::Sender<Leadership>,
    read_lease: ReadLease,
    /// Held by the one leadership transfer that is being requested.
    transferring: tokio::sync::Mutex<()>,
}

impl Replica {
    /// Starts a replica. Returns when it serves; if it had lost its state, that is after it was rebuilt.
    pub(crate) async fn start(node: &Arc<NodeContext>, start: &Start) -> Result<Arc<Self>, ConsensusError> {
        let Start { group, id, since, ran_until, .. } = *start;
        let storage = Arc::clone(&node.storage);
        let state = storage.engine.partition(group);
        let resumed = state.clone();
        blocking(move || storage.snapshot_files.resume(&resumed, group)).await?;
        let has_state = read_applied(&state, group)?.0.is_some();
        let log = ReplicaLog::open(node.storage.log.clone(), group, id, has_state).await?;
        if ran_until.is_some() {
            log.sync().await?;
        }
        rebuild::rebuild_if_lost(node, start, &state, &log).await?;
        if log.has_voted() {
            let guarded_from = ran_until.unwrap_or(node.started);
            tokio::time::sleep_until((guarded_from + node.restart_guard).into()).await;
        }
        let ended = CancellationToken::new();
        let end = ended.clone().drop_guard();
        let storage = &node.storage;
        let verifier = Verifier::new(group, Arc::clone(&node.lifecycle), Arc::clone(&storage.verifying));
        let machine = StateMachine::open(
            group,
            Arc::clone(storage),
            state.clone(),
            log.clone(),
            verifier.clone(),
            end,
        )?;
        let config = Arc::new(node.timing.raft_config(&group.to_string())?);
        let network = Network {
            client: Arc::clone(&node.client),
            heartbeats: Arc::clone(&node.heartbeats),
            clock: Arc::clone(&node.clock),
            group,
            replica: id.as_u64(),
        };
        let refused =
            |error: openraft::errors::Fatal<_>| ConsensusError::Replica { reason: error.to_string() };
        let raft = Raft::new(id.as_u64(), config, network, log.clone(), machine).await.map_err(refused)?;
        let (queue, queued) = mpsc::channel(PROPOSALS_QUEUED_MAX);
        let proposing = proposer::run(raft.clone(), queued, node.lifecycle.stop.clone());
        node.lifecycle.spawn("the proposer", proposing);
        let replica = Arc::new(Self {
            group,
            id,
            since,
            raft,
            verifier,
            log,
            state,
            node: Arc::clone(node),
            queue,
            leadership: watch::Sender::new(Leadership::default()),
            read_lease: ReadLease::new(node.timing.read_lease()),
            transferring: tokio::sync::Mutex::new(()),
        });
        node.lifecycle.spawn("the leadership watch", watch(Arc::clone(&replica), ended));
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
            Ok(Ok(Err(ProposalError::Stopped))) => Err(self.why_stopped()),
            Ok(Ok(outcome)) => Ok(outcome?),
            Ok(Err(_dropped)) => Err(ConsensusError::Timeout),
            Err(_elapsed) => Err(ConsensusError::Timeout),
        }
    }

    /// Proposes a verification and returns the index of its entry once it is applied here.
    pub(crate) async fn propose_verification(&self, deadline: Instant) -> Result<u64, ConsensusError> {
        let (seed, _) = Uuid::new_v4().as_u64_pair();
        let proposed = self.raft.client_write(CommandBatch::verification(seed));
        match tokio::time::timeout_at(deadline.into(), proposed).await {
            Ok(Ok(response)) => Ok(response.log_id.index),
            Ok(Err(RaftError::APIError(error))) => Err(ProposalError::from(&error).into()),
            Ok(Err(RaftError::Fatal(_))) => Err(self.why_stopped()),
            Err(_elapsed) => Err(ConsensusError::Timeout),
        }
    }

    /// A command may touch only keys of its group, and none that replicas keep for themselves.
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

    /// Passes at once under the read lease. Otherwise it needs a recent acknowledgement by a quorum, or a round to one, and
    /// waits until everything committed by then is applied here. Where no lease counts, it is always a round.
    pub(crate) async fn read_barrier(&self, mode: ReadMode, deadline: Instant) -> Result<(), ConsensusError> {
        let asked = Instant::now();
        let steady = self.node.may_use_leases();
        if self.node.clock.went_back() {
            return Err(ConsensusError::Stopped);
        }
        let by_lease = steady && mode == ReadMode::Lease && self.node.read_mode == ReadMode::Lease;
        if by_lease && self.read_lease.covers(asked) && asked < deadline {
            return Ok(());
        }
        let age_max = if by_lease { self.node.timing.read_lease() } else { Duration::ZERO };
        Box::pin(self.ask_for_barrier(asked, age_max, deadline)).await
    }

    /// Passes with a quorum's acknowledgement of a message that was sent at most `age_max` before `asked`.
    async fn ask_for_barrier(
        &self,
        asked: Instant,
        age_max: Duration,
        deadline: Instant,
    ) -> Result<(), ConsensusError> {
        let term = self.leadership().term;
        let patience = deadline.saturating_duration_since(Instant::now());
        if patience.is_zero() {
            return Err(ConsensusError::Timeout);
        }
        let option = LinearizerOption::new(Some(age_max), true)
            .with_wait_timeout(patience.min(self.node.timing.election_max));
        let linearizer = self.raft.get_read_linearizer(option).await.map_err(|error| match error {
            RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)) => {
                ProposalError::from(&forward).into()
            }
            RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)) => ConsensusError::NoQuorum,
            RaftError::Fatal(_) => self.why_stopped(),
        })?;
        match linearizer.try_await_ready(&self.raft, Some(patience)).await {
            Ok(Ok(_ready)) => {
                self.read_lease.extend(term, asked);
                Ok(())
            }
            Ok(Err(_not_applied)) => Err(ConsensusError::Timeout),
            Err(_fatal) => Err(self.why_stopped()),
        }
    }

    /// Why the replica stopped: the storage failure, if that was the cause.
    fn why_stopped(&self) -> ConsensusError {
        if let Err(error) = self.state.check() {
            return ConsensusError::Store(error);
        }
        match self.node.storage.log.bounds(self.id) {
            Ok(_) => ConsensusError::Stopped,
            Err(error) => ConsensusError::Store(error),
        }
    }

    pub(crate) fn log_position(&self) -> LogPosition {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        LogPosition {
            applied: metrics.last_applied.map(|id| id.index),
            snapshot: metrics.snapshot.map(|id| id.index),
            purged: metrics.purged.map(|id| id.index),
        }
    }

    pub(crate) fn status(&self) -> GroupStatus {
        let metrics = self.raft.metrics().borrow_watched().clone();
        let membership = metrics.membership_config.membership();
        let nodes = |ids: &mut dyn Iterator<Item = u64>| -> Vec<NodeId> {
            let mut nodes: Vec<_> =
                ids.filter_map(|id| membership.get_node(&id)).filter_map(ReplicaNode::node_id).collect();
            nodes.sort_unstable();
            nodes
        };
        let leadership = self.leadership();
        let alone = membership.voter_ids().nth(1).is_none();
        let answered =
            metrics.last_quorum_acked.is_some_and(|at| at.elapsed() <= self.node.timing.election_max);
        let last = metrics.last_log_index.unwrap_or(0);
        let behind = |stored: Option<u64>| last.saturating_sub(stored.unwrap_or(0));
        let replicas = metrics.replication.as_ref();
        let replication_lag =
            replicas.and_then(|all| all.values().map(|id| behind(id.as_ref().map(|id| id.index))).max());
        GroupStatus {
            group: self.group,
            replica: self.id,
            leader: leadership.leader,
            leading: leadership.leading && (alone || answered),
            term: metrics.current_term,
            last_log: metrics.last_log_index,
            applied: metrics.last_applied.map(|id| id.index),
            replication_lag,
            snapshot: metrics.snapshot.map(|id| id.index),
            purged: metrics.purged.map(|id| id.index),
            voters: nodes(&mut membership.voter_ids()),
            learners: nodes(&mut membership.learner_ids()),
            running: metrics.running_state.is_ok(),
        }
    }

    /// Asks Raft to transfer this replica's leadership. Success shows in the leadership, not in the result.
    pub(crate) async fn transfer_leadership(&self, successor: u64) -> Result<(), ConsensusError> {
        let _transferring = self.transferring.lock().await;
        self.read_lease.begin_transfer();
        let stopped = |_fatal| ConsensusError::Stopped;
        self.raft.trigger().transfer_leader(successor).await.map_err(stopped)?;
        // The same queue answers this after the request, so no later term can have taken the request.
        let term =
            self.raft.with_raft_state(|state| state.vote_ref().leader_id.term).await.map_err(stopped)?;
        self.read_lease.end_transfer(term);
        Ok(())
    }

    /// The replica that could take over leadership: `wanted` if given, otherwise the one with the longest log. It must have
    /// answered recently and miss at most `lag_max` entries.
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

/// Follows the library's view of the group until the node stops. If the replica ends before that, the node has failed, unless
/// the replica's partition of the state is lost.
async fn watch(replica: Arc<Replica>, ended: CancellationToken) {
    let node = &replica.node;
    tokio::select! {
        () = follow_leadership(&replica) => {}
        () = ended.cancelled() => {}
    }
    if !replica.state.is_lost() {
        node.lifecycle.fail(format!("the replica of {}", replica.group));
    }
    // A stopped replica leads nothing, whatever it reported last.
    replica.leadership.send_modify(|last| *last = Leadership { leader: None, leading: false, ..*last });
    node.leadership_changed();
}

async fn follow_leadership(replica: &Replica) {
    let node = &replica.node;
    let mut metrics = replica.raft.server_metrics();
    loop {
        let now = {
            let metrics = metrics.borrow_watched();
            let membership = metrics.membership_config.membership();
            let leader = metrics
                .current_leader
                .and_then(|leader| membership.get_node(&leader))
                .and_then(ReplicaNode::node_id);
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
            replica.read_lease.end();
        }
        if changed {
            node.leadership_changed();
        }
        tokio::select! {
            () = node.lifecycle.stop.cancelled() => return,
            changed = metrics.changed() => if changed.is_err() { return },
        }
    }
}
