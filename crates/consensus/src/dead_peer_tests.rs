//! Regression: the library calls an append stream that fails before it has pulled its first request again at once. Here is
//! the trap itself, with a network of its own; that ours does not fall into it is shown by `tests/dead_peer.rs`.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt};
use openraft::OptionalSend;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};

use crate::common::eventually;
use crate::snapshot::SnapshotData;
use crate::suite_tests::open;
use crate::timing::Timing;
use crate::types::{AppendRequest, AppendResult, Raft, ReplicaNode, RpcError, Snapshot, TypeConfig, Vote};

/// The way to a node that is dead.
#[derive(Clone)]
struct Dead {
    pulls_first: bool,
    calls: Arc<AtomicU64>,
}

fn dead() -> Unreachable<TypeConfig> {
    Unreachable::from_string("dead")
}

impl RaftNetworkFactory<TypeConfig> for Dead {
    type Network = Self;

    async fn new_client(&mut self, _target: u64, _node: &ReplicaNode) -> Self {
        self.clone()
    }

    async fn new_heartbeat_client(&mut self, _target: u64, _node: &ReplicaNode) -> Self {
        Self { pulls_first: true, calls: Arc::default() }
    }
}

impl RaftNetworkV2<TypeConfig> for Dead {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        _rpc: AppendRequest,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RpcError> {
        Err(dead().into())
    }

    fn stream_append<'s, S>(
        &'s mut self,
        mut input: S,
        _option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Result<AppendResult, RpcError>>, RpcError>>
    where
        S: Stream<Item = AppendRequest> + OptionalSend + Unpin + 'static,
    {
        async move {
            if self.pulls_first {
                input.next().await;
            }
            self.calls.fetch_add(1, Ordering::Relaxed);
            Err(dead().into())
        }
        .boxed()
    }

    async fn vote(
        &mut self,
        _rpc: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        Err(dead().into())
    }

    async fn full_snapshot(
        &mut self,
        _vote: Vote,
        _snapshot: Snapshot,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        Err(dead().into())
    }
}

/// How often a leader calls a dead learner in one second.
async fn calls_in_a_second(pulls_first: bool) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let (log, machine) = open(&folder).await;
    let calls = Arc::<AtomicU64>::default();
    let network = Dead { pulls_first, calls: Arc::clone(&calls) };
    let config = Arc::new(Timing::fast().raft_config("test").unwrap());
    let raft = Raft::new(1, config, network, log, machine).await.unwrap();
    raft.initialize(BTreeMap::from([(1, ReplicaNode::default())])).await.unwrap();
    raft.trigger().elect(false).await.unwrap();
    // A leader that is new refuses for a moment.
    eventually("it takes the learner", async || {
        raft.add_learner(2, ReplicaNode::default(), false).await.is_ok()
    })
    .await;
    let before = calls.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = calls.load(Ordering::Relaxed);
    raft.shutdown().await.unwrap();
    after - before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn library_spins_unless_the_first_request_is_pulled() {
    let careless = calls_in_a_second(false).await;
    let careful = calls_in_a_second(true).await;
    assert!(careful <= 40, "{careful} calls");
    assert!(careless > 20 * careful.max(1), "the trap is gone: {careless} calls against {careful}");
}
