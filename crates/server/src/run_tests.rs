//! Whole nodes on loopback, in this process: their start, their refusals to start, their end, and two of them talking.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use bytes::Bytes;
use custodia_consensus::{Peer, TransportError};
use custodia_profile::{GroupId, KeyEpoch, ShardId};
use custodia_proto::v1::{InitClusterRequest, NodeEndpoint, cluster_service_client::ClusterServiceClient};
use custodia_seal::{ClusterId, RootKeyId, ShardKey, ShardKeyContext, SystemRandom, WrappedKeys};
use custodia_store::{Batch, DataFolder, EngineKind, Key, StateEngine, StatePartitions, ValueHeader};
use futures::{StreamExt as _, stream};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity as PemIdentity};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus as HealthStatus, health_client::HealthClient,
};

use super::*;
use crate::test_authority::Authority;

const PATIENCE: Duration = Duration::from_secs(30);

struct Sandbox {
    folder: tempfile::TempDir,
    authority: Authority,
}

/// A node that runs until it is told to stop.
struct Running {
    started: Started,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ServerError>>,
}

impl Running {
    async fn stop(self) {
        self.stop.send(()).expect("the node runs");
        timeout(PATIENCE, self.ended).await.expect("ends in time").expect("no panic").expect("ends well");
    }
}

impl Sandbox {
    fn new() -> Self {
        let sandbox = Self { folder: tempfile::tempdir().expect("a folder"), authority: Authority::new() };
        sandbox.write_root_key(&sandbox.path("root.key"));
        sandbox
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_root_key(&self, path: &Path) {
        let text = FileRootKey::generate(&"root-1".parse::<RootKeyId>().expect("an id"), &SystemRandom)
            .expect("a key");
        fs::write(path, text.as_bytes()).expect("written");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("set");
    }

    /// The configuration of a node, with a certificate of its own.
    fn config(&self, node: u32, lines: &str) -> Config {
        let folder = self.path(&format!("node{node}"));
        fs::create_dir_all(&folder).expect("a folder");
        let issued = self.authority.current(&format!("spiffe://custodia/node/{node}"));
        self.authority.files(&folder, &issued);
        let text = format!(
            "node_id = {node}\nlisten = \"127.0.0.1:0\"\ndata_dir = \"data\"\nroot_key_file = \"../root.key\"\n{lines}\n\
             [tls]\nca = \"ca.crt\"\ncertificate = \"node.crt\"\nkey = \"node.key\"\n[timing]\ndrain_ms = 2000\n"
        );
        Config::parse(&text, &folder).expect("valid")
    }

    async fn start(&self, config: Config) -> Running {
        let (stop, stopped) = oneshot::channel::<()>();
        let (started, has_started) = oneshot::channel();
        let shutdown = async {
            let _told: Result<(), oneshot::error::RecvError> = stopped.await;
        };
        let ended = tokio::spawn(run(config, shutdown, Arc::default(), started));
        match timeout(PATIENCE, has_started).await.expect("starts in time") {
            Ok(started) => Running { started, stop, ended },
            Err(_) => panic!("the node does not start: {:?}", ended.await),
        }
    }

    async fn refusal(&self, config: Config) -> ServerError {
        let ran = timeout(PATIENCE, run(config, std::future::pending(), Arc::default(), None)).await;
        ran.expect("ends in time").expect_err("refuses to start")
    }

    async fn channel(&self, node: &Running, uri: &str) -> Channel {
        let issued = self.authority.current(uri);
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.authority.certificate))
            .identity(PemIdentity::from_pem(issued.certificate, issued.key));
        let endpoint = Endpoint::from_shared(format!("https://{}", node.started.address)).expect("a URI");
        endpoint.tls_config(tls).expect("valid").connect().await.expect("connects")
    }

    /// The connections of node `node` to others.
    fn peers(&self, node: u32) -> Peers {
        let config = self.config(node, "");
        let credentials = Credentials::load(&config.tls, None, config.own_name()).expect("valid");
        Peers::new(Arc::new(credentials), metrics::Counter::noop())
    }
}

const MINIMAL: &str = "node_id = 1\nlisten = \"127.0.0.1:0\"\ndata_dir = \"d\"\nroot_key_file = \"r\"\n\
                       [tls]\nca = \"a\"\ncertificate = \"c\"\nkey = \"k\"";

async fn wait_until_serving(channel: &Channel) {
    let mut health = HealthClient::new(channel.clone());
    let serving = timeout(PATIENCE, async {
        while health.check(HealthCheckRequest::default()).await.expect("an answer").into_inner().status()
            != HealthStatus::Serving
        {
            tokio::task::yield_now().await;
        }
    });
    serving.await.expect("serves in time");
}

fn peer(node: u32, running: &Running) -> Peer {
    Peer { node: NodeId::new(node).expect("a node"), address: running.started.address.to_string() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_node_answers_health_and_metrics_and_drains() {
    let sandbox = Sandbox::new();
    let node = sandbox.start(sandbox.config(1, "metrics_listen = \"127.0.0.1:0\"\nreflection = true")).await;
    let channel = sandbox.channel(&node, "spiffe://custodia/operator/admin").await;
    let health =
        HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.expect("an answer");
    assert_eq!(health.into_inner().status(), HealthStatus::NotServing);

    let mut page = TcpStream::connect(node.started.metrics_address.expect("a port")).await.expect("connects");
    page.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    let mut text = String::new();
    page.read_to_string(&mut text).await.expect("read");
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    for metric in ["custodia_connections 1", "custodia_raft_groups 0", "/grpc.health.v1.Health/Check"] {
        assert!(text.contains(metric), "{metric}: {text}");
    }
    let address = node.started.address;
    node.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_comes_back_on_its_own_folder() {
    let sandbox = Sandbox::new();
    for _ in 0..2 {
        sandbox.start(sandbox.config(1, "")).await.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_serves_once_it_is_in_a_cluster_and_again_after_a_restart() {
    let sandbox = Sandbox::new();
    let fast = "\n[timing]\nheartbeat_ms = 40\nelection_min_ms = 150\nelection_max_ms = 300";
    let mut config = sandbox.config(1, "");
    config.timing = Config::parse(&format!("{MINIMAL}{fast}"), Path::new("")).expect("valid").timing;
    let node = sandbox.start(config.clone()).await;
    let channel = sandbox.channel(&node, "spiffe://custodia/operator/admin").await;
    let address = node.started.address;
    let request = InitClusterRequest {
        nodes: vec![NodeEndpoint { node_id: 1, address: address.to_string() }],
        shards: 4,
        replicas: 1,
    };
    let status =
        ClusterServiceClient::new(channel.clone()).init_cluster(request).await.expect("made").into_inner();
    assert!(!status.cluster_id.is_empty());
    wait_until_serving(&channel).await;
    let mut watch =
        HealthClient::new(channel).watch(HealthCheckRequest::default()).await.expect("a stream").into_inner();
    assert_eq!(watch.message().await.expect("an answer").expect("one").status(), HealthStatus::Serving);
    node.stop().await;
    assert_eq!(watch.message().await.expect("an answer").expect("one").status(), HealthStatus::NotServing);

    config.listen = address;
    let node = sandbox.start(config).await;
    wait_until_serving(&sandbox.channel(&node, "spiffe://custodia/agent/desk").await).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_named() {
    let sandbox = Sandbox::new();
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = taken.local_addr().expect("an address");
    let mut config = sandbox.config(1, "");
    config.listen = address;
    let error = sandbox.refusal(config).await;
    assert!(matches!(error, ServerError::AddressInUse { .. }));
    assert!(error.to_string().contains(&address.to_string()) && error.hint().is_some(), "{error}");
    let mut config = sandbox.config(1, "");
    config.metrics_listen = Some(address);
    assert!(matches!(sandbox.refusal(config).await, ServerError::AddressInUse { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_folder_of_another_node_or_engine_or_process_is_refused() {
    let sandbox = Sandbox::new();
    let first = sandbox.start(sandbox.config(1, "")).await;
    let error = sandbox.refusal(sandbox.config(1, "")).await;
    assert!(error.to_string().contains("another process") && error.hint().is_some(), "{error}");
    first.stop().await;
    let mut foreign = sandbox.config(2, "");
    foreign.data_dir = sandbox.path("node1/data");
    let error = sandbox.refusal(foreign).await;
    assert!(error.to_string().contains("node 1") && error.hint().is_some(), "{error}");
    let error = sandbox.refusal(sandbox.config(1, "state_engine = \"sled\"")).await;
    assert!(error.to_string().contains("fjall") && error.to_string().contains("sled"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn root_keys_that_are_open_missing_or_wrong_are_refused() {
    let sandbox = Sandbox::new();
    let config = sandbox.config(1, "");
    // as after a run in a cluster: the folder knows it, the state holds a shard key
    let cluster = uuid::Uuid::from_u128(7);
    {
        let folder = DataFolder::open(&config.data_dir, config.node_id, EngineKind::Fjall).expect("opens");
        drop(folder.open_log().expect("opens"));
        folder.join_cluster(cluster).expect("joins");
        let opened = StatePartitions::open(&folder.state_path(), EngineKind::Fjall, 8 << 20);
        let engine = opened.expect("opens").partitions;
        let place =
            ShardKeyContext { cluster: ClusterId::new(cluster), shard: ShardId::new(3).expect("a shard") };
        let root = FileRootKey::open(&config.root_key_file).expect("opens");
        let key = ShardKey::generate(KeyEpoch::FIRST, &SystemRandom).expect("a key");
        let wrapped = key.wrap(&root, &place, &SystemRandom).expect("wraps");
        let keys = WrappedKeys::new(vec![wrapped]).expect("a set").to_bytes().expect("bytes");
        let header = ValueHeader { revision: 1, guard: 1, bucket: 0 };
        let mut batch = Batch::new();
        batch.put(
            Key::shard_key(GroupId::Shard(place.shard), KeyEpoch::FIRST).into_bytes(),
            header.encode(&keys),
        );
        engine.write(batch).expect("written");
        engine.flush().expect("flushed");
    }
    let right = fs::read(&config.root_key_file).expect("read");
    sandbox.write_root_key(&config.root_key_file);
    let error = sandbox.refusal(config.clone()).await;
    assert!(error.to_string().contains("wrong root key") && error.hint().is_some(), "{error}");

    fs::write(&config.root_key_file, &right).expect("written");
    fs::set_permissions(&config.root_key_file, fs::Permissions::from_mode(0o644)).expect("set");
    let error = sandbox.refusal(config.clone()).await;
    assert!(error.to_string().contains("0644") && error.hint().is_some(), "{error}");

    fs::remove_file(&config.root_key_file).expect("removed");
    let error = sandbox.refusal(config).await;
    assert!(error.to_string().contains("root.key"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_talk_only_to_the_node_that_they_mean() {
    let sandbox = Sandbox::new();
    let node = sandbox.start(sandbox.config(1, "")).await;
    let peers = sandbox.peers(2);
    let body = Bytes::from_static(b"no message of consensus");
    peers.call(&peer(1, &node), body.clone(), PATIENCE).await.expect("an answer, be it a refusal");
    let answers = peers.exchange(&peer(1, &node), stream::iter([body.clone()]).boxed(), PATIENCE).await;
    drop(answers.expect("opens"));
    // the address is right, the node is another
    let error = peers.call(&peer(3, &node), body.clone(), PATIENCE).await.expect_err("refused");
    assert!(matches!(error, TransportError::Unreachable { .. }), "{error}");
    // a client is no node
    let channel = sandbox.channel(&node, "spiffe://custodia/operator/admin").await;
    let mut client = custodia_proto::internal::v1::peer_service_client::PeerServiceClient::new(channel);
    let status = client.call(custodia_proto::internal::v1::PeerFrame { body }).await.expect_err("refused");
    assert_eq!(status.code(), tonic::Code::PermissionDenied);
    drop((peers, client));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_peer_costs_its_callers_no_time_and_is_found_again() {
    let sandbox = Sandbox::new();
    let node = sandbox.start(sandbox.config(1, "")).await;
    let (to, peers) = (peer(1, &node), sandbox.peers(2));
    let body = Bytes::from_static(b"x");
    peers.call(&to, body.clone(), PATIENCE).await.expect("an answer");
    let address = node.started.address;
    node.stop().await;
    // a call that finds the broken connection, or none, ends at once
    let begun = Instant::now();
    for _ in 0..20 {
        peers.call(&to, body.clone(), PATIENCE).await.expect_err("nobody there");
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let mut config = sandbox.config(1, "");
    config.listen = address;
    let node = sandbox.start(config).await;
    let again = timeout(PATIENCE, async {
        while peers.call(&to, body.clone(), PATIENCE).await.is_err() {
            tokio::task::yield_now().await;
        }
    });
    again.await.expect("found again");
    drop(peers);
    node.stop().await;
}
