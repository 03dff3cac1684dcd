//! A cluster in one process: real log and real engine in temporary folders, and a transport over channels that tests can cut,
//! silence and count.

#![expect(dead_code, reason = "each test file uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use custodia_consensus::{
    Command, Condition, Consensus, ConsensusError, ConsensusOptions, Expected, Outcome, Peer, PeerTransport,
    ReadMode, Timing, TransportError, Write,
};
use custodia_profile::{CustomerId, GroupId, NodeId, PoolId, ShardId};
use custodia_store::{
    Batch, DataFolder, EngineKind, Key, KeyKind, KeyParts, KeyPrefix, LogOptions, MemoryEngine, Pair,
    StateEngine, StatePartitions, ValueHeader,
};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn node(number: u32) -> NodeId {
    NodeId::new(number).unwrap()
}

pub(crate) fn shard(number: u16) -> GroupId {
    GroupId::Shard(ShardId::new(number).unwrap())
}

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

/// Waits for a condition, and panics with its name if it does not come true.
pub(crate) async fn eventually(what: &str, condition: impl AsyncFnMut() -> bool) {
    eventually_or(|| what.to_owned(), condition).await;
}

/// The same, with a description of the state for the panic.
async fn eventually_or(what: impl Fn() -> String, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "never happened: {}", what());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The connections between the nodes.
#[derive(Default)]
pub(crate) struct Hub {
    nodes: Mutex<BTreeMap<NodeId, Arc<Consensus>>>,
    cut: Mutex<BTreeSet<(NodeId, NodeId)>>,
    silent: Mutex<BTreeSet<(NodeId, NodeId)>>,
    changed: watch::Sender<u64>,
    counts: Mutex<BTreeMap<(NodeId, NodeId), u64>>,
    exchanges: Mutex<BTreeMap<(NodeId, NodeId), u64>>,
}

impl Hub {
    fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.cut.lock().contains(&(from, to))
    }

    fn target(&self, to: NodeId) -> Result<Arc<Consensus>, TransportError> {
        let refused = || TransportError::Unreachable { reason: "nobody is listening".into() };
        self.nodes.lock().get(&to).map(Arc::clone).ok_or_else(refused)
    }

    /// Stops all messages until the connection is mended; those on their way wait.
    pub(crate) fn cut(&self, from: u32, to: u32) {
        self.cut.lock().insert((node(from), node(to)));
        self.changed.send_modify(|version| *version += 1);
    }

    pub(crate) fn cut_both(&self, one: u32, other: u32) {
        self.cut(one, other);
        self.cut(other, one);
    }

    pub(crate) fn mend_one(&self, from: u32, to: u32) {
        self.cut.lock().remove(&(node(from), node(to)));
        self.changed.send_modify(|version| *version += 1);
    }

    pub(crate) fn mend(&self) {
        self.cut.lock().clear();
        self.changed.send_modify(|version| *version += 1);
    }

    /// Makes a node accept the exchanges that another one opens and answer nothing on them, also after a restart.
    pub(crate) fn silence(&self, from: u32, to: u32) {
        self.silent.lock().insert((node(from), node(to)));
    }

    pub(crate) fn mend_silence(&self) {
        self.silent.lock().clear();
        self.changed.send_modify(|version| *version += 1);
    }

    pub(crate) fn isolate(&self, one: NodeId, others: &[NodeId]) {
        for other in others.iter().filter(|other| **other != one) {
            self.cut_both(one.as_u32(), other.as_u32());
        }
    }

    fn mend_node(&self, one: NodeId) {
        self.cut.lock().retain(|(from, to)| *from != one && *to != one);
        self.changed.send_modify(|version| *version += 1);
    }

    /// Calls and exchanges begun.
    pub(crate) fn count(&self, from: u32, to: u32) -> u64 {
        self.counts.lock().get(&(node(from), node(to))).copied().unwrap_or(0)
    }

    /// Exchanges begun.
    pub(crate) fn exchanges(&self, from: u32, to: u32) -> u64 {
        self.exchanges.lock().get(&(node(from), node(to))).copied().unwrap_or(0)
    }

    /// The nodes that can be reached.
    pub(crate) fn live(&self) -> Vec<Arc<Consensus>> {
        self.nodes.lock().values().map(Arc::clone).collect()
    }

    async fn passable(&self, from: NodeId, to: NodeId) {
        self.wait_while(|| self.is_cut(from, to)).await;
    }

    async fn audible(&self, from: NodeId, to: NodeId) {
        self.wait_while(|| self.silent.lock().contains(&(from, to))).await;
    }

    async fn wait_while(&self, holds: impl Fn() -> bool) {
        let mut changed = self.changed.subscribe();
        while holds() {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }
}

struct Wire {
    from: NodeId,
    hub: Arc<Hub>,
}

#[async_trait]
impl PeerTransport for Wire {
    async fn call(&self, to: &Peer, body: Bytes, timeout: Duration) -> Result<Bytes, TransportError> {
        *self.hub.counts.lock().entry((self.from, to.node)).or_default() += 1;
        let call = async {
            self.hub.passable(self.from, to.node).await;
            let answer = self.hub.target(to.node)?.handle_call(self.from, body).await;
            self.hub.passable(to.node, self.from).await;
            self.hub.target(to.node)?;
            Ok(answer)
        };
        tokio::time::timeout(timeout, call).await.unwrap_or(Err(TransportError::Timeout))
    }

    async fn exchange(
        &self,
        to: &Peer,
        input: BoxStream<'static, Bytes>,
        timeout: Duration,
    ) -> Result<BoxStream<'static, Result<Bytes, TransportError>>, TransportError> {
        *self.hub.counts.lock().entry((self.from, to.node)).or_default() += 1;
        *self.hub.exchanges.lock().entry((self.from, to.node)).or_default() += 1;
        let (from, to) = (self.from, to.node);
        let opening = self.hub.passable(from, to);
        tokio::time::timeout(timeout, opening).await.map_err(|_elapsed| TransportError::Timeout)?;
        let target = self.hub.target(to)?;
        let there = pipe(Arc::clone(&self.hub), (from, to), to, input.map(Ok).boxed());
        let (sender, receiver) = mpsc::channel::<Result<Bytes, TransportError>>(16);
        let hub = Arc::clone(&self.hub);
        tokio::spawn(async move {
            let answers = target.handle_exchange(from, there).await;
            drop(target);
            let mut answers = pipe(Arc::clone(&hub), (to, from), to, answers.map(Ok).boxed());
            while let Some(answer) = answers.next().await {
                hub.audible(to, from).await;
                if sender.send(answer).await.is_err() {
                    return;
                }
            }
        });
        Ok(stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) })
            .boxed())
    }
}

/// Passes messages on while the connection is not cut and the server is running.
fn pipe(
    hub: Arc<Hub>,
    (from, to): (NodeId, NodeId),
    server: NodeId,
    input: BoxStream<'static, Result<Bytes, TransportError>>,
) -> BoxStream<'static, Result<Bytes, TransportError>> {
    stream::unfold(Some((hub, input)), move |state| async move {
        let (hub, mut input) = state?;
        let message = input.next().await?;
        hub.passable(from, to).await;
        match hub.target(server) {
            Ok(_) => Some((message, Some((hub, input)))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

/// Where a node keeps its state across restarts.
pub(crate) enum Keep {
    Memory(Arc<MemoryEngine>),
    Fjall,
}

pub(crate) struct TestNode {
    pub(crate) id: NodeId,
    folder: tempfile::TempDir,
    keep: Keep,
    consensus: Option<Arc<Consensus>>,
}

pub(crate) struct TestCluster {
    pub(crate) hub: Arc<Hub>,
    pub(crate) timing: Timing,
    pub(crate) nodes: Vec<TestNode>,
}

impl TestCluster {
    /// Running nodes that are not yet a cluster.
    pub(crate) async fn empty(count: u32, timing: Timing) -> Self {
        Self::with(count, timing, || Keep::Memory(Arc::new(MemoryEngine::new()))).await
    }

    pub(crate) async fn with(count: u32, timing: Timing, keep: impl Fn() -> Keep) -> Self {
        let hub = Arc::new(Hub::default());
        let nodes = (1..=count).map(|number| TestNode {
            id: node(number),
            folder: tempfile::tempdir().unwrap(),
            keep: keep(),
            consensus: None,
        });
        let mut cluster = Self { hub, timing, nodes: nodes.collect() };
        for number in 1..=count {
            cluster.start(number).await;
        }
        cluster
    }

    /// A cluster in which every group has a leader.
    pub(crate) async fn new(count: u32, shards: u16, timing: Timing) -> Self {
        let cluster = Self::empty(count, timing).await;
        cluster.init(shards).await;
        cluster
    }

    pub(crate) async fn init(&self, shards: u16) {
        let replicas = u8::try_from(self.nodes.len().min(3)).unwrap();
        self.at(1).init_cluster(self.peers(), shards, replicas).await.unwrap();
        self.all_led(shards).await;
    }

    pub(crate) fn peers(&self) -> Vec<Peer> {
        self.nodes.iter().map(|one| peer(one.id)).collect()
    }

    pub(crate) fn ids(&self) -> Vec<NodeId> {
        self.nodes.iter().map(|one| one.id).collect()
    }

    fn slot(&self, number: u32) -> &TestNode {
        self.nodes.iter().find(|one| one.id.as_u32() == number).unwrap()
    }

    fn slot_mut(&mut self, number: u32) -> &mut TestNode {
        self.nodes.iter_mut().find(|one| one.id.as_u32() == number).unwrap()
    }

    pub(crate) fn at(&self, number: u32) -> &Arc<Consensus> {
        self.slot(number).consensus.as_ref().unwrap()
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = &Arc<Consensus>> {
        self.nodes.iter().filter_map(|one| one.consensus.as_ref())
    }

    /// The sizes of the files in a part of a node's folder.
    pub(crate) fn files(&self, number: u32, part: &str) -> Vec<u64> {
        let files = std::fs::read_dir(self.slot(number).folder.path().join(part)).unwrap();
        files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len())).collect()
    }

    /// What a node opens before it starts. Waits until its previous process has released the files.
    pub(crate) async fn options(&self, number: u32) -> ConsensusOptions {
        let one = self.slot(number);
        let path = one.folder.path();
        let kind = if matches!(one.keep, Keep::Fjall) { EngineKind::Fjall } else { EngineKind::Memory };
        // So small that logs are cleaned up while a test runs.
        let small_log = LogOptions { file_bytes: 256 * 1024, purge_above_bytes: 1024 * 1024 };
        let mut opened = None;
        eventually("the data folder and the log are free", async || {
            opened = DataFolder::open(path, one.id, kind)
                .and_then(|folder| Ok((folder.open_log_with(small_log)?, folder)))
                .ok();
            opened.is_some()
        })
        .await;
        let (log, folder) = opened.unwrap();
        let engine = match &one.keep {
            Keep::Memory(engine) => StatePartitions::single(Arc::<MemoryEngine>::clone(engine)),
            Keep::Fjall => StatePartitions::open(&folder.state_path(), kind, 8 << 20).unwrap().partitions,
        };
        ConsensusOptions {
            node: one.id,
            address: peer(one.id).address,
            engine: Arc::new(engine),
            log,
            folder: Arc::new(folder),
            transport: Arc::new(Wire { from: one.id, hub: Arc::clone(&self.hub) }),
            timing: self.timing.clone(),
            read_mode: ReadMode::Lease,
        }
    }

    pub(crate) async fn start(&mut self, number: u32) {
        let options = self.options(number).await;
        let consensus = Consensus::start(options).await.unwrap();
        self.attach(number, consensus);
    }

    pub(crate) fn attach(&mut self, number: u32, consensus: Arc<Consensus>) {
        self.hub.mend_node(node(number));
        self.hub.nodes.lock().insert(node(number), Arc::clone(&consensus));
        self.slot_mut(number).consensus = Some(consensus);
    }

    /// Like SIGKILL as the others see it: it is cut off before it stops, so it cannot hand leadership over.
    pub(crate) async fn kill(&mut self, number: u32) {
        self.hub.isolate(node(number), &self.ids());
        self.detach(number).shutdown().await;
        self.hub.mend_node(node(number));
    }

    /// Removes a node from the cluster's transport; from now on nobody reaches it.
    pub(crate) fn detach(&mut self, number: u32) -> Arc<Consensus> {
        self.hub.nodes.lock().remove(&node(number));
        self.slot_mut(number).consensus.take().unwrap()
    }

    /// Like SIGTERM.
    pub(crate) async fn stop(&mut self, number: u32) {
        let consensus = self.slot_mut(number).consensus.take().unwrap();
        consensus.shutdown().await;
        self.hub.nodes.lock().remove(&node(number));
    }

    /// Deletes the state of a stopped node, but not its log.
    pub(crate) fn lose_state(&mut self, number: u32) {
        let one = self.slot_mut(number);
        assert!(one.consensus.is_none());
        match &mut one.keep {
            Keep::Memory(engine) => *engine = Arc::new(MemoryEngine::new()),
            Keep::Fjall => std::fs::remove_dir_all(one.folder.path().join("state")).unwrap(),
        }
    }

    /// Deletes the state of a stopped node except for the directory, so it knows its shards as soon as it starts.
    pub(crate) fn lose_shards(&mut self, number: u32) {
        let one = self.slot_mut(number);
        assert!(one.consensus.is_none());
        let Keep::Memory(engine) = &mut one.keep else { panic!("the state is not in memory") };
        let kept = engine.scan(KeyPrefix::group(GroupId::Directory).as_bytes(), None, 1_000_000).unwrap();
        let mut batch = Batch::new();
        for (key, value) in kept {
            batch.set(key, Some(value));
        }
        *engine = Arc::new(MemoryEngine::new());
        engine.write(batch).unwrap();
    }

    pub(crate) fn leader_of(&self, group: GroupId) -> Option<NodeId> {
        self.running()
            .zip(self.nodes.iter().filter(|one| one.consensus.is_some()))
            .find_map(|(at, one)| at.is_leader(group).then_some(one.id))
    }

    pub(crate) async fn all_led(&self, shards: u16) {
        for number in 0..shards {
            self.led(shard(number)).await;
        }
    }

    /// Waits until a group has a leader that passes a read barrier.
    pub(crate) async fn led(&self, group: GroupId) -> NodeId {
        let mut leader = None;
        eventually(&format!("{group} has a leader"), async || {
            for one in self.nodes.iter() {
                let Some(at) = &one.consensus else { continue };
                if at.is_leader(group) && at.read_barrier(group, ReadMode::Lease, soon()).await.is_ok() {
                    leader = Some(one.id);
                    return true;
                }
            }
            false
        })
        .await;
        leader.unwrap()
    }

    /// Proposes to the current leader until one takes the command. An unknown outcome is an error.
    pub(crate) async fn propose(&self, group: GroupId, command: Command) -> Result<Outcome, ConsensusError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let leader = self.led(group).await;
            match self.at(leader.as_u32()).propose(group, command.clone(), soon()).await {
                Err(ConsensusError::NotLeader { .. } | ConsensusError::NoQuorum) => {
                    assert!(Instant::now() < deadline, "no leader takes the proposal");
                }
                outcome => return outcome,
            }
        }
    }

    pub(crate) async fn put(&self, group: GroupId, number: u64, revision: u64, payload: &[u8]) {
        let outcome = self.propose(group, put(group, number, revision, payload)).await.unwrap();
        assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
    }

    /// Waits until all running nodes have applied the same and their states are equal byte by byte.
    pub(crate) async fn agree(&self, group: GroupId) {
        let statuses = || self.running().map(|at| at.group_statuses()).collect::<Vec<_>>();
        eventually_or(
            || format!("{group} is equal everywhere: {:#?}", statuses()),
            async || {
                let applied: BTreeSet<Option<u64>> = self.running().map(|at| applied(at, group)).collect();
                let states: Vec<_> = self.running().map(|at| state(at.engine().as_ref(), group)).collect();
                applied.len() == 1
                    && !applied.contains(&None)
                    && states.windows(2).all(|two| two[0] == two[1])
            },
        )
        .await;
    }

    pub(crate) async fn shutdown(mut self) {
        for number in 1..=u32::try_from(self.nodes.len()).unwrap() {
            if self.slot(number).consensus.is_some() {
                self.stop(number).await;
            }
        }
    }
}

pub(crate) fn peer(id: NodeId) -> Peer {
    Peer { node: id, address: format!("node-{id}") }
}

pub(crate) fn applied(at: &Consensus, group: GroupId) -> Option<u64> {
    at.group_statuses().into_iter().find(|status| status.group == group)?.applied
}

/// The whole state of a group except what a replica keeps for itself; `None` while no replica of it runs.
pub(crate) fn state(engine: &dyn StateEngine, group: GroupId) -> Option<Vec<Pair>> {
    let all = engine.scan(KeyPrefix::group(group).as_bytes(), None, 1_000_000).ok()?;
    Some(all.into_iter().filter(|(key, _)| KeyParts::parse(key).unwrap().kind != KeyKind::Replica).collect())
}

pub(crate) fn key(group: GroupId, number: u64) -> Bytes {
    let customer = CustomerId::from_parts(number, [7; 10], PoolId::DEFAULT);
    Key::core(group, &customer).into_bytes()
}

pub(crate) fn value(revision: u64, payload: &[u8]) -> Bytes {
    ValueHeader { revision, guard: 0, bucket: 0 }.encode(payload)
}

/// Sets a record to a revision, if it has the previous one.
pub(crate) fn put(group: GroupId, number: u64, revision: u64, payload: &[u8]) -> Command {
    let expected = if revision == 1 { Expected::Absent } else { Expected::Revision(revision - 1) };
    Command {
        conditions: vec![Condition { key: key(group, number), expected }],
        writes: vec![Write { key: key(group, number), value: Some(value(revision, payload)) }],
    }
}

/// The revision and the payload of a record.
pub(crate) fn get(at: &Consensus, group: GroupId, number: u64) -> Option<(u64, Bytes)> {
    let value = at.engine().get(&key(group, number)).unwrap()?;
    let (header, payload) = ValueHeader::decode(&value).unwrap();
    Some((header.revision, payload))
}
