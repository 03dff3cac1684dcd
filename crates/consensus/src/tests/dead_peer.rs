//! Regression: if an append stream fails before it has taken its first request, the library calls it again at once. This
//! shows the trap itself, with a network of its own; `tests/dead_peer.rs` shows that our network avoids it.

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
use crate::raft::machine::Raft;
use crate::raft::snapshot_files::{Snapshot, SnapshotData};
use crate::raft::types::{AppendRequest, AppendResult, ReplicaNode, RpcError, TypeConfig, Vote};
use crate::tests::library_suite::open;
use crate::timing::Timing;

/// The network to a dead node.
#[derive(Clone)]
struct Dead {
    takes_first: bool,
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
        Self { takes_first: true, calls: Arc::default() }
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
            if self.takes_first {
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

/// How often a leader calls a dead learner in a second.
async fn calls_in_a_second(takes_first: bool) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let (log, machine) = open(&folder).await;
    let calls = Arc::<AtomicU64>::default();
    let network = Dead { takes_first, calls: Arc::clone(&calls) };
    let config = Arc::new(Timing::fast().raft_config("test").unwrap());
    let raft = Raft::new(1, config, network, log, machine).await.unwrap();
    raft.initialize(BTreeMap::from([(1, ReplicaNode::default())])).await.unwrap();
    raft.trigger().elect(false).await.unwrap();
    // A new leader refuses for a moment.
    eventually("the leader adds the learner", async || {
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
async fn library_spins_unless_the_first_request_is_taken() {
    let careless = calls_in_a_second(false).await;
    let careful = calls_in_a_second(true).await;
    assert!(careful <= 40, "{careful} calls");
    assert!(careless > 20 * careful.max(1), "the trap is gone: {careless} calls against {careful}");
}
