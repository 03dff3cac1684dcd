//! Whole nodes in this process, for the tests of the services.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use custodia_proto::v1::{
    self, catalog_service_client::CatalogServiceClient, cluster_service_client::ClusterServiceClient,
    consent_service_client::ConsentServiceClient, preference_service_client::PreferenceServiceClient,
    profile_service_client::ProfileServiceClient,
};
use custodia_seal::{FileRootKey, RootKeyId, SystemRandom};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use uuid::Uuid;

use crate::{Config, ServerError, run, test_authority::Authority};

const PATIENCE: Duration = Duration::from_secs(30);
const SHARDS: u32 = 4;
/// Of the caller of every channel that a cluster holds.
const ROLES: [&str; 4] = ["agent", "ingest", "privacy", "operator"];

/// How a node is stopped, and how it ended.
type Running = (oneshot::Sender<()>, JoinHandle<Result<(), ServerError>>);

/// A cluster, and a channel to each node for a caller with every role but `node`.
pub(crate) struct Cluster {
    channels: Vec<Channel>,
    nodes: Vec<Running>,
    pub(crate) configs: Vec<Config>,
    authority: Authority,
    _folder: tempfile::TempDir,
}

impl Cluster {
    pub(crate) async fn start(nodes: u32) -> Self {
        let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new());
        let root = folder.path().join("root.key");
        let text = FileRootKey::generate(&"root-1".parse::<RootKeyId>().expect("an id"), &SystemRandom);
        fs::write(&root, text.expect("a key").as_bytes()).expect("written");
        fs::set_permissions(&root, fs::Permissions::from_mode(0o600)).expect("set");
        let configs = (1..=nodes).map(|node| config(folder.path(), &authority, node)).collect();
        let mut cluster =
            Self { channels: Vec::new(), nodes: Vec::new(), configs, authority, _folder: folder };
        cluster.run().await;
        let endpoint = |config: &Config| v1::NodeEndpoint {
            node_id: config.node_id.as_u32(),
            address: config.listen.to_string(),
        };
        let nodes = cluster.configs.iter().map(endpoint).collect();
        let request = v1::InitClusterRequest { nodes, shards: SHARDS, replicas: 0 };
        cluster.cluster(0).init_cluster(request).await.expect("the cluster is made");
        cluster.wait_until_whole().await;
        cluster
    }

    /// Starts the nodes, where they were before.
    pub(crate) async fn run(&mut self) {
        self.channels.clear();
        for config in &mut self.configs {
            let (stop, stopped) = oneshot::channel::<()>();
            let (started, has_started) = oneshot::channel();
            let shutdown = async {
                let _told: Result<(), oneshot::error::RecvError> = stopped.await;
            };
            self.nodes.push((stop, tokio::spawn(run(config.clone(), shutdown, started))));
            let started = timeout(PATIENCE, has_started).await.expect("in time").expect("starts");
            config.listen = started.address;
            self.channels.push(channel(&self.authority, &started.address.to_string(), &ROLES, "desk").await);
        }
    }

    /// Waits until every node sees a leader and all replicas of every shard.
    pub(crate) async fn wait_until_whole(&self) {
        for node in 0..self.channels.len() {
            self.wait_for_leaders(node).await;
        }
    }

    async fn wait_for_leaders(&self, node: usize) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let request = v1::GetClusterStatusRequest {};
            let status =
                self.cluster(node).get_cluster_status(request).await.expect("an answer").into_inner();
            if status.shards == SHARDS
                && status.shards_with_leader == SHARDS
                && status.shards_with_full_replicas == SHARDS
            {
                return;
            }
            assert!(Instant::now() < deadline, "no leaders: {status:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Stops the nodes; their folders stay.
    pub(crate) async fn halt(&mut self) {
        self.halt_from(0).await;
    }

    /// Stops the nodes from the one at `first` on.
    pub(crate) async fn halt_from(&mut self, first: usize) {
        let stopped = self.nodes.drain(first..).map(|(stop, ended)| {
            stop.send(()).expect("the node runs");
            ended
        });
        for ended in stopped.collect::<Vec<_>>() {
            timeout(PATIENCE, ended).await.expect("in time").expect("no panic").expect("ends well");
        }
    }

    /// A channel to a node for another caller than the one of `channels`.
    pub(crate) async fn channel_as(&self, node: usize, role: &str, name: &str) -> Channel {
        channel(&self.authority, &self.configs[node].listen.to_string(), &[role], name).await
    }

    pub(crate) fn profiles(&self, node: usize) -> ProfileServiceClient<Channel> {
        ProfileServiceClient::new(self.channels[node].clone())
    }

    pub(crate) fn consents(&self, node: usize) -> ConsentServiceClient<Channel> {
        ConsentServiceClient::new(self.channels[node].clone())
    }

    pub(crate) fn preferences(&self, node: usize) -> PreferenceServiceClient<Channel> {
        PreferenceServiceClient::new(self.channels[node].clone())
    }

    pub(crate) fn catalog(&self, node: usize) -> CatalogServiceClient<Channel> {
        CatalogServiceClient::new(self.channels[node].clone())
    }

    pub(crate) fn cluster(&self, node: usize) -> ClusterServiceClient<Channel> {
        ClusterServiceClient::new(self.channels[node].clone())
    }

    pub(crate) async fn define(&self) {
        for (id, basis) in [("service", v1::LawfulBasis::Consent), ("marketing", v1::LawfulBasis::Consent)] {
            let notice = v1::NoticeVersion {
                version: "1".to_owned(),
                language: "en".to_owned(),
                ..Default::default()
            };
            let purpose = v1::Purpose {
                id: id.to_owned(),
                display_name: id.to_owned(),
                lawful_bases: vec![basis.into()],
                notices: vec![notice],
                ..Default::default()
            };
            let request = v1::CreatePurposeRequest { purpose: Some(purpose), validate_only: false };
            self.catalog(0).create_purpose(request).await.expect("defined");
        }
        for (node, name) in [(0, "email"), (1, "given_name"), (2, "city")]
            .map(|(node, name)| (node % self.channels.len(), name))
        {
            self.define_attribute(node, name).await.expect("defined");
        }
    }

    pub(crate) async fn define_attribute(
        &self,
        node: usize,
        name: &str,
    ) -> Result<v1::AttributeDefinition, tonic::Status> {
        let attribute = v1::AttributeDefinition {
            name: name.to_owned(),
            r#type: v1::ValueType::Text.into(),
            classification: v1::Classification::Personal.into(),
            purposes: vec!["service".to_owned()],
            ..Default::default()
        };
        let request = v1::CreateAttributeRequest { attribute: Some(attribute), validate_only: false };
        self.catalog(node).create_attribute(request).await.map(tonic::Response::into_inner)
    }
}

fn config(folder: &std::path::Path, authority: &Authority, node: u32) -> Config {
    let folder = folder.join(format!("node{node}"));
    fs::create_dir_all(&folder).expect("a folder");
    authority.files(&folder, &authority.current(&format!("spiffe://custodia/node/{node}")));
    let text = format!(
        "node_id = {node}\nlisten = \"127.0.0.1:{}\"\ndata_dir = \"data\"\nroot_key_file = \"../root.key\"\n\
         [tls]\nca = \"ca.crt\"\ncertificate = \"node.crt\"\nkey = \"node.key\"\n\
         [timing]\nheartbeat_ms = 100\nelection_min_ms = 750\nelection_max_ms = 1500\ndrain_ms = 2000\n",
        free_port()
    );
    Config::parse(&text, &folder).expect("valid")
}

/// A free port that stays free while its node is down: below those that outgoing connections take.
fn free_port() -> u16 {
    const FIRST: u16 = 4_000;
    const LAST: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let spread = u16::try_from(u64::from(std::process::id()) * 97 % u64::from(LAST - FIRST)).expect("below");
    loop {
        let port = FIRST + (spread + NEXT.fetch_add(1, Ordering::Relaxed)) % (LAST - FIRST);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

async fn channel(authority: &Authority, address: &str, roles: &[&str], name: &str) -> Channel {
    let identities: Vec<_> = roles.iter().map(|role| format!("spiffe://custodia/{role}/{name}")).collect();
    let identities: Vec<_> = identities.iter().map(String::as_str).collect();
    let issued = authority.issue(&identities, (2020, 2060));
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&authority.certificate))
        .identity(Identity::from_pem(issued.certificate, issued.key));
    let endpoint = Endpoint::from_shared(format!("https://{address}")).expect("a URI");
    endpoint.tls_config(tls).expect("valid").connect().await.expect("connects")
}

pub(crate) fn text(text: &str) -> Option<v1::Value> {
    Some(v1::Value { kind: Some(v1::value::Kind::Text(text.to_owned())) })
}

pub(crate) fn observation(attribute: &str, value: &str) -> v1::Observation {
    v1::Observation { attribute: attribute.to_owned(), value: text(value), observed_at: None }
}

pub(crate) fn ingest(observations: &[(&str, &str)]) -> v1::IngestProfileRequest {
    v1::IngestProfileRequest {
        purpose: "service".to_owned(),
        source: "crm".to_owned(),
        observations: observations.iter().map(|(name, value)| observation(name, value)).collect(),
        consents: vec![v1::ConsentGrant {
            purpose: "service".to_owned(),
            notice_version: "1".to_owned(),
            method: v1::ConsentMethod::Explicit.into(),
            evidence: evidence(),
            ..Default::default()
        }],
        request_id: Uuid::now_v7().to_string(),
        ..Default::default()
    }
}

/// What a customer does who consents.
pub(crate) fn evidence() -> Option<v1::ConsentEvidence> {
    Some(v1::ConsentEvidence { act: v1::AffirmativeAct::TickedBox.into(), ..Default::default() })
}

pub(crate) fn get(customer_id: &str, purpose: &str) -> v1::GetProfileRequest {
    v1::GetProfileRequest {
        customer_id: customer_id.to_owned(),
        purpose: purpose.to_owned(),
        ..Default::default()
    }
}
