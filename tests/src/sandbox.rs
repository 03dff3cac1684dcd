//! The sandbox: real node processes on loopback with TLS of their own authority, in a folder that goes with them.
//!
//! ```text
//! folder/   ca.crt   root.key (shared by all nodes)   node1/ … nodeN/   node.toml  node.crt  node.key  node.log  data/
//! ```

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use custodia_client::{Client, ClientIdentity, ClientOptions};
use custodia_proto::v1::catalog_service_client::CatalogServiceClient;
use custodia_proto::v1::cluster_service_client::ClusterServiceClient;
use custodia_proto::v1::consent_service_client::ConsentServiceClient;
use custodia_proto::v1::duplicate_service_client::DuplicateServiceClient;
use custodia_proto::v1::identity_service_client::IdentityServiceClient;
use custodia_proto::v1::preference_service_client::PreferenceServiceClient;
use custodia_proto::v1::profile_service_client::ProfileServiceClient;
use custodia_proto::v1::{
    ClusterStatus, GetClusterStatusRequest, InitClusterRequest, ListPurposesRequest, ListShardsRequest,
    NodeEndpoint, Shard,
};
use tonic::Status;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::authority::{Authority, Identity, Validity};
use crate::links::Links;
use crate::node::{Node, PATIENCE, binary, free_port};
use crate::sample;

/// Elections in tenths of a second, so that a failover does not make a test long.
pub const FAST_TIMING: &str = "[timing]\nheartbeat_ms = 100\nelection_min_ms = 400\nelection_max_ms = 800\n";

/// What kind of cluster a test wants.
#[derive(Debug, Clone)]
pub struct Options {
    /// Node processes.
    pub nodes: u32,
    /// Shards of the cluster.
    pub shards: u32,
    /// `fjall` or `sled`.
    pub engine: &'static str,
    /// Further lines of every node's configuration.
    pub config: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { nodes: 3, shards: 4, engine: "fjall", config: FAST_TIMING.to_owned() }
    }
}

/// The state engine of this name, as a command line gives it.
pub fn engine(name: &str) -> Result<&'static str, String> {
    let known = ["fjall", "sled"].into_iter().find(|engine| *engine == name);
    known.ok_or_else(|| format!("no such engine: {name}"))
}

/// A cluster of real processes.
#[derive(Debug)]
pub struct Sandbox {
    /// The nodes; index 0 has id 1.
    pub nodes: Vec<Node>,
    /// Signs every certificate of this cluster.
    pub authority: Authority,
    /// An identity with the roles agent, ingest, privacy and operator.
    pub admin: Identity,
    options: Options,
    /// Written once: tests that share the sandbox read it at the same time.
    client_file: OnceLock<String>,
    // dropped last: the nodes are ended first
    folder: tempfile::TempDir,
}

impl Sandbox {
    /// Three nodes, initialised, with the sample catalogue.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// A running cluster with these options and the sample catalogue.
    pub async fn start_with(options: Options) -> Self {
        let mut sandbox = Self::prepare(options);
        sandbox.spawn_and_init().await;
        sandbox.define_catalogue().await;
        sandbox
    }

    /// Puts links that can be cut between the nodes of a prepared sandbox.
    pub async fn link(&mut self) -> Links {
        let links = Links::install(&self.path(), &mut self.nodes).await;
        for node in &self.nodes {
            self.write_config(node, &self.options.config);
        }
        links
    }

    /// Starts the processes of a prepared sandbox and makes a cluster of them; the catalogue is empty.
    pub async fn spawn_and_init(&mut self) {
        for node in &mut self.nodes {
            node.spawn();
        }
        self.init().await;
        self.wait_until_healthy().await;
    }

    /// Defines the sample catalogue.
    pub async fn define_catalogue(&self) {
        sample::define_catalogue(&mut self.catalog(0).await).await;
    }

    /// Folders, certificates and configurations; no process yet.
    pub fn prepare(options: Options) -> Self {
        let folder = tempfile::Builder::new().prefix("custodia-").tempdir().expect("a temporary folder");
        let authority = Authority::new();
        fs::write(folder.path().join("ca.crt"), authority.certificate())
            .expect("the root certificate is written");
        let root_key = folder.path().join("root.key");
        generate_root_key(&root_key);
        let mut nodes = Vec::new();
        for id in 1..=options.nodes {
            let node_folder = folder.path().join(format!("node{id}"));
            fs::create_dir_all(&node_folder).expect("a node's folder");
            let identity = authority.issue(&id.to_string(), &["node"], Validity::Current);
            identity.write(&node_folder, "node");
            nodes.push(Node::new(id, format!("127.0.0.1:{}", free_port()), node_folder));
        }
        let admin = authority.issue("admin", &["agent", "ingest", "privacy", "operator"], Validity::Current);
        let sandbox = Self { nodes, authority, admin, options, client_file: OnceLock::new(), folder };
        for node in &sandbox.nodes {
            sandbox.write_config(node, &sandbox.options.config);
        }
        sandbox
    }

    /// Writes a node's configuration with these lines added.
    pub fn write_config(&self, node: &Node, lines: &str) {
        let mut text = String::new();
        let (folder, root) = (node.folder.display(), self.folder.path().display());
        writeln!(text, "node_id = {}", node.id).unwrap();
        writeln!(text, "listen = \"{}\"", node.address).unwrap();
        if node.advertised != node.address {
            writeln!(text, "advertise = \"{}\"", node.advertised).unwrap();
        }
        writeln!(text, "data_dir = \"{folder}/data\"").unwrap();
        writeln!(text, "state_engine = \"{}\"", self.options.engine).unwrap();
        writeln!(text, "cache_bytes = {}", 16 << 20).unwrap();
        writeln!(text, "root_key_file = \"{root}/root.key\"").unwrap();
        writeln!(text, "{lines}").unwrap();
        writeln!(text, "[tls]").unwrap();
        writeln!(text, "ca = \"{root}/ca.crt\"").unwrap();
        writeln!(text, "certificate = \"{folder}/node.crt\"").unwrap();
        writeln!(text, "key = \"{folder}/node.key\"").unwrap();
        fs::write(node.config_path(), text).expect("a configuration is written");
    }

    /// The folder that holds everything of this cluster.
    pub fn path(&self) -> PathBuf {
        self.folder.path().to_path_buf()
    }

    /// The root key file that all nodes share.
    pub fn root_key_path(&self) -> PathBuf {
        self.folder.path().join("root.key")
    }

    /// Makes the cluster, once its nodes have come up.
    async fn init(&self) {
        let request = InitClusterRequest {
            nodes: self
                .nodes
                .iter()
                .map(|node| NodeEndpoint { node_id: node.id, address: node.advertised.clone() })
                .collect(),
            shards: self.options.shards,
            replicas: self.options.nodes.min(3),
        };
        for node in 0..self.nodes.len() {
            eventually("every node listens", async || self.channel(node, &self.admin).await.is_ok()).await;
        }
        self.cluster(0).await.init_cluster(request).await.expect("the cluster is made");
    }

    /// Waits until the running nodes see a leader for every shard, and have the catalogue: the directory elects its leader too.
    pub async fn wait_until_healthy(&self) {
        for node in self.running() {
            eventually("every shard has a leader", async || match self.status(node).await {
                Ok(status) => status.shards > 0 && status.shards == status.shards_with_leader,
                Err(_) => false,
            })
            .await;
            eventually("the node has the catalogue", async || {
                let Ok(channel) = self.channel(node, &self.admin).await else { return false };
                CatalogServiceClient::new(channel).list_purposes(ListPurposesRequest::default()).await.is_ok()
            })
            .await;
        }
    }

    /// The cluster as one node sees it.
    pub async fn status(&self, node: usize) -> Result<ClusterStatus, Status> {
        let channel = self.channel(node, &self.admin).await?;
        let mut client = ClusterServiceClient::new(channel);
        let mut request = tonic::Request::new(GetClusterStatusRequest {});
        request.set_timeout(Duration::from_secs(2));
        Ok(client.get_cluster_status(request).await?.into_inner())
    }

    /// Indexes of the nodes that run.
    pub fn running(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|&index| self.nodes[index].is_running()).collect()
    }

    /// Starts a node that must refuse; its exit code is not 0, and its log says each of the words.
    pub fn refuses_to_start(&mut self, node: usize, words: &[&str]) {
        let node = &mut self.nodes[node];
        let from = fs::metadata(node.log_path()).map_or(0, |metadata| metadata.len());
        node.spawn();
        let code = node.wait_for_exit();
        let log = node.log_after(from).join("\n");
        assert!(code.is_some_and(|code| code != 0), "exit code {code:?}: {log}");
        for word in words {
            assert!(log.to_lowercase().contains(&word.to_lowercase()), "`{word}` is not said: {log}");
        }
        assert!(!log.contains("panicked"), "{log}");
    }

    /// A TLS channel to one node.
    pub async fn channel(&self, node: usize, identity: &Identity) -> Result<Channel, Status> {
        connect(&self.nodes[node].address, self.authority.certificate(), Some(identity)).await
    }

    /// A TLS channel to one node for a caller of this name who has this role alone.
    pub async fn channel_as(&self, node: usize, role: &str, name: &str) -> Channel {
        let identity = self.authority.issue(name, &[role], Validity::Current);
        self.channel(node, &identity).await.expect("a channel")
    }

    /// A file for the command's `--client`: the admin's, with all nodes.
    pub fn client_file(&self) -> String {
        self.client_file.get_or_init(|| self.write_client_file()).clone()
    }

    fn write_client_file(&self) -> String {
        self.admin.write(&self.path(), "admin");
        let addresses: Vec<_> = self.nodes.iter().map(|node| &node.address).collect();
        let text = format!(
            "addresses = {addresses:?}\nca = \"ca.crt\"\ncertificate = \"admin.crt\"\nkey = \"admin.key\"\n"
        );
        let file = self.path().join("admin.toml");
        fs::write(&file, text).expect("a client file is written");
        file.display().to_string()
    }

    /// The Rust client, as the admin, knowing all nodes.
    pub fn client(&self) -> Client {
        let addresses = self.nodes.iter().map(|node| node.address.clone()).collect();
        let mut options = ClientOptions::new(addresses, self.authority.certificate().as_bytes().to_vec());
        let identity = &self.admin;
        options.identity = Some(ClientIdentity::from_pem(
            identity.certificate.clone().into_bytes(),
            identity.key.clone().into_bytes(),
        ));
        Client::new(&options).expect("valid options")
    }

    /// The shards as one node sees them.
    pub async fn shards(&self, node: usize) -> Result<Vec<Shard>, Status> {
        let channel = self.channel(node, &self.admin).await?;
        let mut client = ClusterServiceClient::new(channel);
        Ok(client.list_shards(ListShardsRequest::default()).await?.into_inner().shards)
    }

    /// The profile service of one node, as the admin.
    pub async fn profiles(&self, node: usize) -> ProfileServiceClient<Channel> {
        ProfileServiceClient::new(self.channel(node, &self.admin).await.expect("a channel"))
    }

    /// The consent service of one node, as the admin.
    pub async fn consents(&self, node: usize) -> ConsentServiceClient<Channel> {
        ConsentServiceClient::new(self.channel(node, &self.admin).await.expect("a channel"))
    }

    /// The preference service of one node, as the admin.
    pub async fn preferences(&self, node: usize) -> PreferenceServiceClient<Channel> {
        PreferenceServiceClient::new(self.channel(node, &self.admin).await.expect("a channel"))
    }

    /// The identity service of one node, as the admin.
    pub async fn identity(&self, node: usize) -> IdentityServiceClient<Channel> {
        IdentityServiceClient::new(self.channel(node, &self.admin).await.expect("a channel"))
    }

    /// The duplicate service of one node, as the admin.
    pub async fn duplicates(&self, node: usize) -> DuplicateServiceClient<Channel> {
        DuplicateServiceClient::new(self.channel(node, &self.admin).await.expect("a channel"))
    }

    /// The catalogue service of one node, as the admin.
    pub async fn catalog(&self, node: usize) -> CatalogServiceClient<Channel> {
        CatalogServiceClient::new(self.channel(node, &self.admin).await.expect("a channel"))
    }

    /// The cluster service of one node, as the admin.
    pub async fn cluster(&self, node: usize) -> ClusterServiceClient<Channel> {
        ClusterServiceClient::new(self.channel(node, &self.admin).await.expect("a channel"))
    }

    /// Ends the nodes and leaves the folder where it is; its path.
    pub fn keep(mut self) -> PathBuf {
        self.nodes.clear();
        self.folder.disable_cleanup(true);
        self.path()
    }

    /// Prints the last log lines of every node.
    pub(crate) fn print_logs(&self) {
        const LINES: usize = 15;
        for node in &self.nodes {
            let lines = node.log_after(0);
            let tail = lines[lines.len().saturating_sub(LINES)..].join("\n");
            eprintln!("last lines of node {}:\n{tail}", node.id);
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_logs();
        }
        self.nodes.clear();
    }
}

/// A TLS channel that trusts one authority and shows an identity, if any.
pub async fn connect(address: &str, authority: &str, identity: Option<&Identity>) -> Result<Channel, Status> {
    endpoint(address, authority, identity)?
        .timeout(Duration::from_secs(10))
        .connect()
        .await
        .map_err(|error| Status::unavailable(format!("{error:?}")))
}

/// Where such a channel leads, for a test that connects in its own way.
pub fn endpoint(address: &str, authority: &str, identity: Option<&Identity>) -> Result<Endpoint, Status> {
    let mut tls =
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority)).domain_name("localhost");
    if let Some(identity) = identity {
        tls = tls.identity(tonic::transport::Identity::from_pem(&identity.certificate, &identity.key));
    }
    let endpoint = Endpoint::from_shared(format!("https://{address}"))
        .and_then(|endpoint| endpoint.tls_config(tls))
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    Ok(endpoint.connect_timeout(Duration::from_secs(5)))
}

/// Waits for a condition; fails the test when it does not come true within [`PATIENCE`].
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Runs the `custodia` command; its exit code, standard output and standard error.
pub fn custodia(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(binary()).args(arguments).output().expect("the command runs");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

fn generate_root_key(path: &std::path::Path) {
    let (code, _, errors) = custodia(&["keys", "generate", "--file", &path.display().to_string()]);
    assert_eq!(code, Some(0), "{errors}");
}
