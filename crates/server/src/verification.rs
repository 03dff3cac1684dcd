//! Verification: the leader of a group compares what its replicas have stored.
//!
//! ```text
//! entry in the group's log ─► every replica: checksums of its state as of the entry (consensus/src/raft/verifier.rs)
//!        leader: asks each node for them ─► compares ─► metric, error in the log ─► the replica that differs from a majority
//!                                                                                   of all is taken out of service, rebuilt
//! ```
//! What must hold:
//! - a replica is replaced only where more than half of all replicas, itself not among them, have one and the same state. So
//!   whole copies remain, and a majority to elect and to commit. Its state is lost and set aside as if it were damaged
//!   (consensus/src/cluster/recovery.rs), and so is that of the other shards in the same partition;
//! - at most one replica of a group is replaced at a time: each verification asks for one, and a replica that does not run is
//!   not compared, so it does not count for the majority;
//! - nothing names a customer: neither an answer nor the log.

use std::{sync::Arc, time::Duration};

use custodia_consensus::ConsensusError;
use custodia_profile::{GroupId, NodeId, SlotId};
use custodia_proto::internal::v1::{
    GetStateChecksumsRequest, GetStateChecksumsResponse, RangeChecksum, ReplaceReplicaRequest,
    StateChecksums as WireChecksums,
};
use custodia_store::{KeyKind, KeyRange, StateChecksums};
use futures::future::join_all;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Code, Status};

use crate::{
    counters::count_verification,
    identity::RoleSet,
    refusal::Refusal,
    shard::ShardContext,
    wire::{ServiceError, now},
};

/// The timeout of a verification in the background.
const BACKGROUND_TIMEOUT: Duration = Duration::from_secs(600);
/// How long a node is asked before it is asked again: less than the deadline that it allows a call.
const ASK_TIMEOUT: Duration = Duration::from_secs(20);
/// The timeout of the call that begins a replacement.
const REPLACE_TIMEOUT: Duration = Duration::from_secs(5);

/// How a replica compares with the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// With a majority of all replicas or, where there is none, with all that were compared.
    Agrees,
    /// From a majority or, where there is none, from another replica; first in this range.
    Differs(KeyRange),
    /// There are no checksums of it.
    NotCompared,
}

/// One replica of a group that was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VerifiedReplica {
    pub(crate) node: NodeId,
    pub(crate) verdict: Verdict,
    /// It is being rebuilt.
    pub(crate) replaced: bool,
}

/// The outcome of a verification.
#[derive(Debug)]
pub(crate) struct Verified {
    /// The index of its entry.
    pub(crate) index: u64,
    /// By node.
    pub(crate) replicas: Vec<VerifiedReplica>,
}

/// A replica's checksums, if it has any.
type Collected = (NodeId, Option<Arc<StateChecksums>>);

/// Verifies a group that this node leads. Replicas that have no checksums after three quarters of the time are not compared.
///
/// # Errors
/// [`ServiceError::NotLeader`], and others of a proposal.
pub(crate) async fn verify(
    context: &ShardContext,
    group: GroupId,
    deadline: Instant,
) -> Result<Verified, ServiceError> {
    let late = |_elapsed| ServiceError::DeadlinePassed;
    let _verifying = timeout_at(deadline, context.verifying().lock()).await.map_err(late)?;
    let (routing, consensus) = (context.routing(), context.routing().consensus());
    let failed = |error| routing.consensus_error(group, error);
    let index = consensus.begin_verification(group, deadline.into_std()).await.map_err(failed)?;
    let left = deadline.saturating_duration_since(Instant::now());
    let collected = collect(context, group, index, deadline - left / 4).await?;
    let (mut replicas, has_majority) = judge(&collected);
    report(group, index, &replicas);
    if has_majority {
        let differing = replicas.iter_mut().find(|replica| matches!(replica.verdict, Verdict::Differs(_)));
        if let Some(replica) = differing {
            replica.replaced = replace(context, group, index, replica.node).await;
        }
    }
    Ok(Verified { index, replicas })
}

/// The checksums of all members of a group, in the order of their nodes.
async fn collect(
    context: &ShardContext,
    group: GroupId,
    index: u64,
    deadline: Instant,
) -> Result<Vec<Collected>, ServiceError> {
    let statuses = context.routing().consensus().group_statuses();
    let status = statuses.into_iter().find(|status| status.group == group);
    let status = status.ok_or(ServiceError::Consensus(ConsensusError::NoReplica { group }))?;
    let mut nodes = [status.voters, status.learners].concat();
    nodes.sort_unstable();
    let one = |node| async move { (node, checksums_of(context, group, index, node, deadline).await) };
    Ok(join_all(nodes.into_iter().map(one)).await)
}

async fn checksums_of(
    context: &ShardContext,
    group: GroupId,
    index: u64,
    node: NodeId,
    deadline: Instant,
) -> Option<Arc<StateChecksums>> {
    let routing = context.routing();
    if node == routing.node() {
        return routing.consensus().checksums(group, index, deadline.into_std()).await.ok()?;
    }
    loop {
        let to = routing.hint_of(node)?;
        let request = GetStateChecksumsRequest { group: group.as_u16().into(), index };
        let patience = deadline.min(Instant::now() + ASK_TIMEOUT);
        match routing.peers().state_checksums(&to, request, patience).await {
            Ok(answer) => return answer.checksums.and_then(from_wire).map(Arc::new),
            Err(status) if status.code() == Code::DeadlineExceeded && Instant::now() < deadline => {}
            Err(status) => {
                tracing::info!(%group, %node, index, code = ?status.code(), "this node gave no checksums");
                return None;
            }
        }
    }
}

/// Judges every replica, and whether a majority of all has one state.
fn judge(collected: &[Collected]) -> (Vec<VerifiedReplica>, bool) {
    let compared: Vec<_> = collected.iter().filter_map(|(_, checksums)| checksums.as_ref()).collect();
    let is_majority = |checksums: &Arc<StateChecksums>| {
        let equal = compared.iter().filter(|other| **other == checksums).count();
        equal * 2 > collected.len()
    };
    let majority = compared.iter().copied().find(|checksums| is_majority(checksums));
    let judged_by = majority.map_or_else(|| compared.clone(), |majority| vec![majority]);
    let verdict = |checksums: &Arc<StateChecksums>| {
        let differences = judged_by.iter().filter_map(|other| checksums.first_difference(other));
        differences.min().map_or(Verdict::Agrees, Verdict::Differs)
    };
    let replicas = collected.iter().map(|(node, checksums)| VerifiedReplica {
        node: *node,
        verdict: checksums.as_ref().map_or(Verdict::NotCompared, verdict),
        replaced: false,
    });
    (replicas.collect(), majority.is_some())
}

/// Counts a verification and logs what is wrong.
fn report(group: GroupId, index: u64, replicas: &[VerifiedReplica]) {
    let mut outcome = "agree";
    for VerifiedReplica { node, verdict, .. } in replicas {
        match verdict {
            Verdict::Agrees => {}
            Verdict::NotCompared => {
                tracing::warn!(%group, %node, index, "replica not compared with the others");
                outcome = if outcome == "agree" { "incomplete" } else { outcome };
            }
            Verdict::Differs(range) => {
                let (kind, slot) = (range.kind_name(), range.slot.map(SlotId::as_u16));
                tracing::error!(%group, %node, index, kind, slot, "the stored state of a replica differs from the others'");
                outcome = "differ";
            }
        }
    }
    count_verification(outcome);
}

/// Has a replica replaced; whether that has begun.
async fn replace(context: &ShardContext, group: GroupId, index: u64, node: NodeId) -> bool {
    let routing = context.routing();
    let begun = if node == routing.node() {
        routing.consensus().replace_replica(group, index).map_err(|error| error.to_string())
    } else {
        let Some(to) = routing.hint_of(node) else { return false };
        let request = ReplaceReplicaRequest { group: group.as_u16().into(), index };
        let begun = routing.peers().replace_replica(&to, request, Instant::now() + REPLACE_TIMEOUT).await;
        begun.map_err(|status| status.message().to_owned())
    };
    if let Err(error) = &begun {
        tracing::error!(%group, %node, error, "cannot replace the replica that differs; the next verification tries again");
    }
    begun.is_ok()
}

/// Answers the leader of a group.
///
/// # Errors
/// `DEADLINE_EXCEEDED`: not yet; others if there is no such replica.
pub(crate) async fn own_checksums(
    context: &ShardContext,
    request: &GetStateChecksumsRequest,
    deadline: Instant,
) -> Result<GetStateChecksumsResponse, Status> {
    let group = group_of(request.group)?;
    let routing = context.routing();
    match routing.consensus().checksums(group, request.index, deadline.into_std()).await {
        Ok(checksums) => {
            let checksums = checksums.as_deref().map(to_wire);
            Ok(GetStateChecksumsResponse { checksums })
        }
        Err(ConsensusError::Timeout) => Err(ServiceError::DeadlinePassed.into()),
        Err(error) => Err(routing.consensus_error(group, error).into()),
    }
}

/// Replaces this node's replica, if it is the leader of the group that asks.
///
/// # Errors
/// If another node asks, or there is no such replica.
pub(crate) fn replace_own(
    context: &ShardContext,
    from: NodeId,
    request: &ReplaceReplicaRequest,
) -> Result<(), Status> {
    let group = group_of(request.group)?;
    let routing = context.routing();
    if routing.consensus().leader(group) != Some(from) {
        tracing::warn!(%from, %group, "replacement of a replica refused: the sender does not lead the group");
        return Err(Refusal::NotAllowed { allowed: RoleSet::NONE }.into());
    }
    let replaced = routing.consensus().replace_replica(group, request.index);
    replaced.map_err(|error| routing.consensus_error(group, error).into())
}

fn group_of(number: u32) -> Result<GroupId, ServiceError> {
    GroupId::from_number(number).ok_or_else(|| ServiceError::invalid("group", "no such group"))
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of a sum")]
fn to_wire(checksums: &StateChecksums) -> WireChecksums {
    let ranges = checksums.iter().map(|(range, sum)| RangeChecksum {
        kind: range.kind.map(|kind| kind.number().into()),
        slot: range.slot.map(|slot| slot.as_u16().into()),
        sum_high: (sum >> 64) as u64,
        sum_low: sum as u64,
    });
    WireChecksums { ranges: ranges.collect() }
}

/// `None` if a range is none that this program knows: then the states cannot be compared.
fn from_wire(wire: WireChecksums) -> Option<StateChecksums> {
    let range = |one: RangeChecksum| {
        let kind = match one.kind {
            Some(number) => Some(KeyKind::with_number(number.try_into().ok()?)?),
            None => None,
        };
        let slot = match one.slot {
            Some(number) => Some(SlotId::new(number.try_into().ok()?).ok()?),
            None => None,
        };
        let sum = u128::from(one.sum_high) << 64 | u128::from(one.sum_low);
        Some((KeyRange { kind, slot }, sum))
    };
    wire.ranges.into_iter().map(range).collect()
}

/// Verifies each group that this node leads once in each interval; runs until aborted. The clock says which group is next, so
/// that a restart forgets none, and the nodes of a cluster verify one group after the other.
pub(crate) async fn keep_verifying(context: Arc<ShardContext>, interval: Duration) {
    let mut schedule = Schedule::default();
    loop {
        let directory = context.routing().consensus().directory();
        let mut groups = vec![GroupId::Directory];
        groups.extend(directory.shards().map(|placement| GroupId::Shard(placement.shard)));
        let now_ms = u64::try_from(now().as_ms()).unwrap_or_default();
        let (due, wait) = schedule.due(&groups, interval, now_ms);
        for group in due {
            if context.routing().leads(group) {
                verify_in_background(&context, group).await;
            }
        }
        sleep(wait).await;
    }
}

async fn verify_in_background(context: &ShardContext, group: GroupId) {
    let began = Instant::now();
    match verify(context, group, Instant::now() + BACKGROUND_TIMEOUT).await {
        Ok(verified) => {
            tracing::debug!(%group, index = verified.index, took = ?began.elapsed(), "replicas compared");
        }
        Err(ServiceError::NotLeader { .. }) => {}
        Err(error) => tracing::warn!(%group, %error, "cannot compare the replicas"),
    }
}

/// Which groups are to be verified. The interval is cut into as many steps as there are groups, counted from 1970.
#[derive(Debug, Default)]
struct Schedule {
    step_ms: u64,
    /// The next step.
    next: u64,
}

impl Schedule {
    /// The groups that have become due, each at most once, and how long to wait for the next.
    fn due(&mut self, groups: &[GroupId], interval: Duration, now_ms: u64) -> (Vec<GroupId>, Duration) {
        let count = u64::try_from(groups.len()).unwrap_or(u64::MAX).max(1);
        let step_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).div_ceil(count).max(1);
        let current = now_ms / step_ms;
        if self.step_ms != step_ms {
            *self = Self { step_ms, next: current + 1 };
        }
        // No more than one round to make up for, and none to wait for if the clock was set back.
        let next = self.next.clamp((current + 1).saturating_sub(count), current + 1);
        self.next = current + 1;
        let at = |step: u64| groups.get(usize::try_from(step % count).unwrap_or_default()).copied();
        let due = (next..=current).filter_map(at).collect();
        (due, Duration::from_millis((current + 1) * step_ms - now_ms))
    }
}

#[cfg(test)]
mod tests {
    use custodia_profile::ShardId;

    use super::*;

    fn node(number: u32) -> NodeId {
        NodeId::new(number).expect("a node")
    }

    fn range(slot: u16) -> KeyRange {
        KeyRange { kind: Some(KeyKind::Core), slot: Some(SlotId::new(slot).expect("a slot")) }
    }

    /// Replicas on nodes 1, 2, … with these sums of slots 0, 1, …
    fn collected(replicas: &[Option<&[u128]>]) -> Vec<Collected> {
        let table = |sums: &[u128]| Arc::new((0..).map(range).zip(sums.iter().copied()).collect());
        (1..).map(node).zip(replicas.iter().map(|sums| sums.map(table))).collect()
    }

    #[test]
    fn the_replica_outside_of_a_majority_of_all_differs_and_without_a_majority_all_do() {
        use Verdict::{Agrees, Differs, NotCompared};
        let [a, b, c]: [Option<&[u128]>; 3] = [Some(&[1, 2]), Some(&[1, 3]), Some(&[4, 2])];
        let (first, second) = (Differs(range(0)), Differs(range(1)));
        let cases: &[(&[_], &[Verdict], bool)] = &[
            (&[a, a, a], &[Agrees, Agrees, Agrees], true),
            (&[a, b, a], &[Agrees, second, Agrees], true),
            (&[c, a, a], &[first, Agrees, Agrees], true),
            (&[a, a, None], &[Agrees, Agrees, NotCompared], true),
            (&[a, b, None], &[second, second, NotCompared], false),
            (&[a, b, c], &[first, first, first], false),
            (&[a, None, None], &[Agrees, NotCompared, NotCompared], false),
            (&[a, b], &[second, second], false),
            (&[a], &[Agrees], true),
            (&[a, a, a, b, c], &[Agrees, Agrees, Agrees, second, first], true),
            (&[a, a, b, None, None], &[second, second, second, NotCompared, NotCompared], false),
        ];
        for (replicas, expected, majority) in cases {
            let (verdicts, has_majority) = judge(&collected(replicas));
            let verdicts: Vec<_> = verdicts.into_iter().map(|replica| replica.verdict).collect();
            assert_eq!(verdicts, *expected, "{replicas:?}");
            assert_eq!(has_majority, *majority, "{replicas:?}");
        }
    }

    #[test]
    fn checksums_survive_the_way_between_nodes_and_an_unknown_range_is_no_table() {
        let table: StateChecksums = [
            (KeyRange { kind: None, slot: None }, 1),
            (KeyRange { kind: Some(KeyKind::ShardKey), slot: None }, u128::MAX - 1),
            (range(4_095), 7 << 64),
        ]
        .into_iter()
        .collect();
        let wire = to_wire(&table);
        assert_eq!(from_wire(wire.clone()), Some(table));
        for (kind, slot) in [(Some(250), None), (Some(1), Some(4_096)), (Some(70_000), None)] {
            let mut unknown = wire.clone();
            unknown.ranges.push(RangeChecksum { kind, slot, ..RangeChecksum::default() });
            assert_eq!(from_wire(unknown), None);
        }
    }

    #[test]
    fn every_group_is_due_once_in_each_interval_whatever_the_clock_does() {
        let shards = (0..3).map(|number| GroupId::Shard(ShardId::new(number).expect("a shard")));
        let groups: Vec<_> = std::iter::once(GroupId::Directory).chain(shards).collect();
        let (mut schedule, interval) = (Schedule::default(), Duration::from_millis(400));
        assert_eq!(schedule.due(&groups, interval, 1_040), (vec![], Duration::from_millis(60)));
        let mut seen = Vec::new();
        for now_ms in [1_100, 1_250, 1_399, 1_400] {
            seen.extend(schedule.due(&groups, interval, now_ms).0);
        }
        let next = |steps: std::ops::Range<usize>| steps.map(|step| groups[step % 4]).collect::<Vec<_>>();
        assert_eq!(seen, next(11..15));
        assert_eq!(schedule.due(&groups, interval, 1_700).0, next(15..18), "late");
        assert_eq!(schedule.due(&groups, interval, 9_900).0, next(96..100), "one round at most");
        assert_eq!(schedule.due(&groups, interval, 1_050).0, [], "set back");
        assert_eq!(schedule.due(&groups, interval, 1_150).0, next(11..12));
    }
}
