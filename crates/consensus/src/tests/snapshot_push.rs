//! Snapshots that a leader pushes: what a follower does with one that it does not need, and how long a leader waits for a
//! receiver that hangs.

use std::future::{pending, ready};
use std::sync::Arc;

use bytes::Bytes;
use custodia_profile::{GroupId, NodeId};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use openraft::EntryPayload;
use openraft::entry::RaftEntry;
use openraft::errors::{ReplicationClosed, StreamingError};
use openraft::impls::leader_id_adv::LeaderId;
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use prost::Message;
use tokio::time::timeout;

use crate::common::{PATIENCE, TestCluster, applied, eventually, get, key, shard, value};
use crate::consensus::Consensus;
use crate::peers::message::{Append, Body, Empty, Push, Reply, Target, read_answer};
use crate::peers::network::{Network, ReplicaClient};
use crate::raft::machine::read_applied;
use crate::raft::record::Applied;
use crate::raft::snapshot_files::Snapshot;
use crate::raft::snapshot_stream::{Chunk, PairRecord, until_silent};
use crate::raft::types::{AppendRequest, Entry, LogId, StoredMembership, Vote};
use crate::replica::Replica;
use crate::timing::Timing;
use crate::transport::TransportError;

/// Far above any term that the cluster reaches by itself.
const TERM: u64 = 100;

fn steady() -> Timing {
    Timing { balance: PATIENCE * 20, ..Timing::fast() }
}

fn replica(at: &Consensus) -> Arc<Replica> {
    at.node.replica(shard(0)).unwrap()
}

/// A follower cut off from the others, and a leader of a later term that sends to it.
struct Scenario {
    cluster: TestCluster,
    follower: u32,
    leader: NodeId,
    leads_as: u64,
    /// What all nodes have applied.
    base: LogId,
    membership: StoredMembership,
}

impl Scenario {
    async fn new() -> Self {
        let cluster = TestCluster::new(3, 1, steady()).await;
        cluster.put(shard(0), 1, 1, b"kept").await;
        let leader = cluster.led(shard(0)).await;
        let follower = if leader.as_u32() == 3 { 2 } else { 3 };
        let at = cluster.at(follower);
        eventually("everything is applied", async || {
            let Ok(replica) = at.node.replica(shard(0)) else { return false };
            let status = replica.status();
            get(at, shard(0), 1).is_some() && status.applied == status.last_log
        })
        .await;
        cluster.hub.isolate(NodeId::new(follower).unwrap(), &cluster.ids());
        let (base, membership) = read_applied(at.engine().as_ref(), shard(0)).unwrap();
        let leads_as = replica(cluster.at(leader.as_u32())).id.as_u64();
        Self { follower, leader, leads_as, base: base.unwrap(), membership, cluster }
    }

    fn at(&self) -> &Consensus {
        self.cluster.at(self.follower)
    }

    fn vote(&self) -> Vote {
        Vote::new_committed(TERM, self.leads_as)
    }

    /// A log id of the new leader, `offset` entries after what all nodes have applied.
    fn id(&self, offset: u64) -> LogId {
        LogId::new(LeaderId { term: TERM, node_id: self.leads_as }, self.base.index + offset)
    }

    fn head(&self, body: Body) -> Bytes {
        let target = Target { group: u32::from(shard(0).as_u16()), replica: replica(self.at()).id.as_u64() };
        self.cluster.at(self.leader.as_u32()).node.context.client.envelope(Some(target), body)
    }

    async fn exchange(&self, input: Vec<Bytes>) -> Reply {
        let input = stream::iter(input.into_iter().map(Ok)).chain(stream::pending()).boxed();
        read_answer(self.open(input).await.next().await.unwrap()).unwrap()
    }

    async fn open(
        &self,
        input: BoxStream<'static, Result<Bytes, TransportError>>,
    ) -> BoxStream<'static, Bytes> {
        timeout(PATIENCE, self.at().handle_exchange(self.leader, input)).await.expect("the exchange opens")
    }

    /// Appends the entries `(prev, prev + count]`.
    async fn append(&self, prev: LogId, count: u64, commit: LogId) {
        let first = prev.index - self.base.index + 1;
        let entries = (first..first + count).map(|offset| Entry::new(self.id(offset), EntryPayload::Blank));
        let request = AppendRequest {
            vote: self.vote(),
            prev_log_id: Some(prev),
            entries: entries.collect(),
            leader_commit: Some(commit),
        };
        let append = Append::from(&request).encode_to_vec().into();
        let Reply::Appended(appended) = self.exchange(vec![self.head(Body::Append(Empty {})), append]).await
        else {
            panic!("not an answer to an append request");
        };
        assert!(appended.result().unwrap().is_ok(), "the entries are taken");
    }

    fn push_head(&self, vote: Vote, last: LogId) -> Bytes {
        let meta = Applied::new(Some(last), &self.membership);
        self.head(Body::Push(Push { vote: vote.into(), meta }))
    }

    /// Pushes a snapshot that holds one record.
    async fn push(&self, vote: Vote, last: LogId) -> Vote {
        let pair = PairRecord { key: key(shard(0), 2), value: value(1, b"pushed") };
        let chunk = |pairs, last| Chunk { pairs, last }.encode_to_vec().into();
        let input = vec![self.push_head(vote, last), chunk(vec![pair], false), chunk(Vec::new(), true)];
        let Reply::Installed(vote) = self.exchange(input).await else { panic!("not an answer to a push") };
        vote.into()
    }

    async fn applies(&self, last: LogId) {
        eventually("it is applied", async || applied(self.at(), shard(0)) == Some(last.index)).await;
    }

    /// Which state the follower has, by the records that only one of them holds.
    fn is_installed(&self) -> bool {
        let (kept, pushed) = (get(self.at(), shard(0), 1), get(self.at(), shard(0), 2));
        assert_ne!(kept.is_some(), pushed.is_some());
        pushed.is_some()
    }

    async fn end(self) {
        assert!(replica(self.at()).status().running);
        assert!(self.cluster.files(self.follower, "snapshots").is_empty(), "a received snapshot was left");
        self.cluster.hub.mend();
        self.cluster.shutdown().await;
    }
}

/// Regression: the entries of the snapshot had arrived during its transfer, but not their commit. The library moved its
/// progress back behind what it had accepted, and its assertion ended the replica.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshot_of_entries_that_are_held_is_not_installed() {
    let scenario = Scenario::new().await;
    scenario.append(scenario.base, 42, scenario.base).await;
    assert_eq!(scenario.push(scenario.vote(), scenario.id(32)).await, scenario.vote());
    scenario.applies(scenario.id(32)).await;
    assert!(!scenario.is_installed());
    scenario.append(scenario.id(42), 1, scenario.id(43)).await;
    scenario.applies(scenario.id(43)).await;
    scenario.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshot_beyond_the_log_is_installed_and_an_older_one_after_it_is_not() {
    let scenario = Scenario::new().await;
    scenario.append(scenario.base, 5, scenario.base).await;
    assert_eq!(scenario.push(scenario.vote(), scenario.id(30)).await, scenario.vote());
    scenario.applies(scenario.id(30)).await;
    assert!(scenario.is_installed());
    // Below the purge point the log no longer has the entries to compare.
    eventually("the log is purged", async || {
        replica(scenario.at()).status().purged == Some(scenario.id(30).index)
    })
    .await;
    for older in [scenario.base, scenario.id(5), scenario.id(30)] {
        assert_eq!(scenario.push(scenario.vote(), older).await, scenario.vote());
    }
    scenario.append(scenario.id(30), 1, scenario.id(31)).await;
    scenario.applies(scenario.id(31)).await;
    scenario.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshot_of_a_deposed_leader_is_answered_with_the_higher_vote() {
    let scenario = Scenario::new().await;
    scenario.append(scenario.base, 5, scenario.base).await;
    let deposed = Vote::new_committed(TERM - 1, scenario.leads_as);
    let last = LogId::new(LeaderId { term: TERM - 1, node_id: scenario.leads_as }, scenario.base.index + 3);
    assert_eq!(scenario.push(deposed, last).await, scenario.vote());
    assert_eq!(applied(scenario.at(), shard(0)), Some(scenario.base.index));
    assert!(!scenario.is_installed());
    scenario.end().await;
}

/// Regression: the answer began only when the snapshot was installed. A transport that limits the time to open an exchange
/// cut off every snapshot that took longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_opens_before_the_snapshot_has_arrived() {
    let scenario = Scenario::new().await;
    let head = scenario.push_head(scenario.vote(), scenario.id(3));
    let answers = scenario.open(stream::iter([Ok(head)]).chain(stream::pending()).boxed()).await;
    drop(answers);
    scenario.end().await;
}

/// A real leader, and its client to a follower.
async fn pushing_leader(cluster: &TestCluster) -> (Arc<Replica>, ReplicaClient, u32, u32) {
    cluster.put(shard(0), 1, 1, b"x").await;
    cluster.agree(shard(0)).await;
    let leader = cluster.led(shard(0)).await.as_u32();
    let follower = if leader == 3 { 2 } else { 3 };
    let (from, to) = (replica(cluster.at(leader)), replica(cluster.at(follower)));
    let group: GroupId = shard(0);
    let context = &cluster.at(leader).node.context;
    let mut network = Network {
        client: Arc::clone(&context.client),
        heartbeats: Arc::clone(&context.heartbeats),
        clock: Arc::clone(&context.clock),
        group,
        replica: from.id.as_u64(),
    };
    let (_, membership) = read_applied(cluster.at(leader).engine().as_ref(), group).unwrap();
    let node = membership.membership().get_node(&to.id.as_u64()).unwrap().clone();
    let client = network.new_client(to.id.as_u64(), &node).await;
    (from, client, leader, follower)
}

async fn snapshot_of(leader: &Replica) -> (Vote, Snapshot) {
    let vote = leader.raft.with_raft_state(|state| *state.vote_ref()).await.unwrap();
    (vote, leader.raft.get_snapshot().await.unwrap().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_to_a_silent_receiver_is_abandoned() {
    let cluster = TestCluster::new(3, 1, steady()).await;
    let (replica, mut client, leader, follower) = pushing_leader(&cluster).await;
    cluster.hub.silence(follower, leader);
    let (vote, snapshot) = snapshot_of(&replica).await;
    let pushed = client.full_snapshot(vote, snapshot, pending(), RPCOption::new(PATIENCE * 20));
    let pushed = timeout(PATIENCE, pushed).await.expect("the leader gives up");
    assert!(matches!(pushed, Err(StreamingError::Unreachable(_))), "{pushed:?}");
    cluster.hub.mend_silence();
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_that_waits_for_a_permit_can_be_cancelled() {
    let cluster = TestCluster::new(3, 1, steady()).await;
    let (replica, mut client, leader, _) = pushing_leader(&cluster).await;
    let permits = Arc::clone(&cluster.at(leader).node.context.client.snapshots_out);
    let taken = permits.acquire_many(u32::try_from(permits.available_permits()).unwrap()).await.unwrap();
    let (vote, snapshot) = snapshot_of(&replica).await;
    let cancel = ready(ReplicationClosed::new("the leader is deposed"));
    let pushed = client.full_snapshot(vote, snapshot, cancel, RPCOption::new(PATIENCE * 20));
    let pushed = timeout(PATIENCE, pushed).await.expect("the push ends");
    assert!(matches!(pushed, Err(StreamingError::Closed(_))), "{pushed:?}");
    drop(taken);
    cluster.shutdown().await;
}

#[tokio::test]
async fn input_that_goes_silent_ends_with_an_error() {
    let input = stream::iter([Ok(Bytes::new())]).chain(stream::pending()).boxed();
    let silence = Timing::fast().heartbeat;
    let read: Result<Vec<_>, _> = until_silent(input, silence).try_collect().await;
    assert_eq!(read, Err(TransportError::Timeout));
}
