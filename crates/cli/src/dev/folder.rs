//! The folder of a development cluster.
//!
//! ```text
//! DIR/dev.toml              the nodes' ports, how many customers are wanted and loaded, and when their data begins
//!     dev.lock              locked while the cluster runs
//!     root-keys.toml        the root key (owner-only)
//!     certificates/         ca.pem, ca-key.pem, node1.pem, node1-key.pem, …, admin.pem, agent.pem, …
//!     admin.toml, …         client files: `custodia --client DIR/admin.toml …`
//!     node1/node.toml       the node's configuration
//!     node1/node.log        the node's log
//!     node1/data/           the node's data
//! ```
//!
//! Invariant: `dev.toml` is written last, so a folder that has it is complete. One process at a time uses a folder.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use custodia_server::{Config, Role};
use serde::{Deserialize, Serialize};

use crate::certificates::{Authority, Existing, Subject};
use crate::error::CliError;
use crate::files::{self, Readers};

/// The first node's port; the others follow.
const PORT_FIRST: u16 = 7443;

/// From a node's port to its port for metrics.
const METRICS_PORT_AFTER: u16 = 100;

const NODES_DEFAULT: u32 = 3;
const CUSTOMERS_DEFAULT: u32 = 1_000;

/// Each node's cache; small, because the nodes share one machine.
const CACHE_BYTES: u64 = 64 << 20;

const DEV_FILE: &str = "dev.toml";

/// The clients and their roles.
const CLIENTS: [(&str, &[Role]); 5] = [
    ("admin", &[Role::Agent, Role::Ingest, Role::Privacy, Role::Operator]),
    ("agent", &[Role::Agent]),
    ("ingest", &[Role::Ingest]),
    ("privacy", &[Role::Privacy]),
    ("operator", &[Role::Operator]),
];

/// `dev.toml`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DevFile {
    /// Ports of the nodes, in the order of their numbers.
    ports: Vec<u16>,
    /// Number of sample customers that are loaded.
    customers: u32,
    /// Number of sample customers that were asked for.
    #[serde(default)]
    customers_wanted: u32,
    /// The first day of the sample customers' data, so that the same data is loaded after an interruption.
    #[serde(default = "first_day_before_it_was_kept")]
    first_day: String,
}

fn first_day_before_it_was_kept() -> String {
    "2025-06-02".into()
}

/// What a cluster is asked to be. What is not asked for is as it was, or the default.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted {
    pub(crate) nodes: Option<u32>,
    /// Of the first node; the others follow.
    pub(crate) port: Option<u16>,
    pub(crate) customers: Option<u32>,
}

/// An open folder.
#[derive(Debug)]
pub(crate) struct DevFolder {
    root: PathBuf,
    file: DevFile,
    /// Keeps other processes out.
    _lock: File,
}

impl DevFolder {
    /// Opens the folder, or creates it with a cluster.
    pub(crate) fn open_or_create(root: &Path, wanted: Wanted) -> Result<Self, CliError> {
        files::make_folder(root)?;
        let lock = lock(root)?;
        let path = root.join(DEV_FILE);
        if path.exists() {
            let mut file: DevFile = toml::from_str(&files::read(&path)?).map_err(CliError::content(path))?;
            check_same(root, &file, wanted)?;
            file.customers_wanted = wanted.customers.unwrap_or(file.customers_wanted).max(file.customers);
            let folder = Self { root: root.to_owned(), file, _lock: lock };
            folder.write_file()?;
            folder.check_ports()?;
            return Ok(folder);
        }
        let nodes = wanted.nodes.unwrap_or(NODES_DEFAULT);
        let (ports, metrics_ports) = match wanted.port {
            Some(first) => (exact_ports(first, nodes)?, exact_ports(metrics_port(first), nodes)?),
            None => (free_ports(PORT_FIRST, nodes)?, free_ports(metrics_port(PORT_FIRST), nodes)?),
        };
        let customers_wanted = wanted.customers.unwrap_or(CUSTOMERS_DEFAULT);
        let file = DevFile { ports, customers: 0, customers_wanted, first_day: a_year_ago() };
        let folder = Self { root: root.to_owned(), file, _lock: lock };
        let key_path = folder.root.join("root-keys.toml");
        if !key_path.exists() {
            let text = custodia_server::generate_root_key_file()?;
            files::replace(&key_path, text.as_bytes(), Readers::Owner)?;
        }
        let authority = Authority::open_or_create(&folder.certificates())?;
        for ((node, port), metrics_port) in folder.nodes().zip(&folder.file.ports).zip(metrics_ports) {
            folder.create_node(&authority, node, *port, metrics_port)?;
        }
        for (name, roles) in CLIENTS {
            authority.issue(&Subject { name, roles, hosts: &[] }, name, Existing::Replace)?;
            let text = folder.client_text(name);
            files::replace(&folder.client_file(name), text.as_bytes(), Readers::Everyone)?;
        }
        folder.write_file()?;
        Ok(folder)
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// `host:port` of each node, in the order of their numbers.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.file.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect()
    }

    /// The numbers of the nodes.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = u32> {
        (1..).zip(&self.file.ports).map(|(node, _)| node)
    }

    /// A node's configuration.
    pub(crate) fn config_file(&self, node: u32) -> PathBuf {
        self.node_folder(node).join("node.toml")
    }

    /// A node's log.
    pub(crate) fn log_file(&self, node: u32) -> PathBuf {
        self.node_folder(node).join("node.log")
    }

    /// The client file of one of [`CLIENTS`].
    pub(crate) fn client_file(&self, client: &str) -> PathBuf {
        self.root.join(format!("{client}.toml"))
    }

    /// The certificates of the nodes and clients.
    pub(crate) fn certificates(&self) -> PathBuf {
        self.root.join("certificates")
    }

    /// How many sample customers are loaded.
    pub(crate) fn customers_loaded(&self) -> u32 {
        self.file.customers
    }

    /// How many sample customers there are to be.
    pub(crate) fn customers_wanted(&self) -> u32 {
        self.file.customers_wanted
    }

    /// The first day of the sample customers' data.
    pub(crate) fn first_day(&self) -> &str {
        &self.file.first_day
    }

    /// Saves how many sample customers are loaded.
    pub(crate) fn set_customers_loaded(&self, customers: u32) -> Result<(), CliError> {
        self.write(&DevFile { customers, ..self.file.clone() })
    }

    /// Checks that the nodes can listen where their configurations say.
    fn check_ports(&self) -> Result<(), CliError> {
        for node in self.nodes() {
            let path = self.config_file(node);
            let config = Config::load(&path)?;
            for address in [Some(config.listen), config.metrics_listen].into_iter().flatten() {
                bind(address, Some(node))?;
            }
        }
        Ok(())
    }

    fn node_folder(&self, node: u32) -> PathBuf {
        self.root.join(format!("node{node}"))
    }

    fn create_node(
        &self,
        authority: &Authority,
        node: u32,
        port: u16,
        metrics_port: u16,
    ) -> Result<(), CliError> {
        let hosts = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let subject = Subject { name: &node.to_string(), roles: &[Role::Node], hosts: &hosts };
        authority.issue(&subject, &format!("node{node}"), Existing::Replace)?;
        files::make_folder(&self.node_folder(node))?;
        let text = format!(
            "# Created by `custodia dev`. All keys are described in cluster/node1.toml.
node_id = {node}
listen = \"127.0.0.1:{port}\"
metrics_listen = \"127.0.0.1:{metrics_port}\"
data_dir = \"data\"
cache_bytes = {CACHE_BYTES}
root_key_file = \"../root-keys.toml\"
reflection = true

[tls]
ca = \"../certificates/ca.pem\"
certificate = \"../certificates/node{node}.pem\"
key = \"../certificates/node{node}-key.pem\"

[controller]
name = \"Example Shop\"
contact = \"Data protection officer\"
street = \"1 Market Street\"
postal_code = \"1000\"
locality = \"Lisbon\"
country = \"PT\"
email = \"privacy@example.com\"
phone = \"tel:+447700900999\"
policy_url = \"https://example.com/privacy\"
rights_url = \"https://example.com/rights\"
"
        );
        files::replace(&self.config_file(node), text.as_bytes(), Readers::Everyone)
    }

    fn client_text(&self, name: &str) -> String {
        let addresses: Vec<_> = self.addresses().iter().map(|address| format!("\"{address}\"")).collect();
        format!(
            "# Created by `custodia dev`.
addresses = [{}]
ca = \"certificates/ca.pem\"
certificate = \"certificates/{name}.pem\"
key = \"certificates/{name}-key.pem\"
",
            addresses.join(", ")
        )
    }

    fn write_file(&self) -> Result<(), CliError> {
        self.write(&self.file)
    }

    fn write(&self, file: &DevFile) -> Result<(), CliError> {
        let path = self.root.join(DEV_FILE);
        let text = toml::to_string(file).map_err(CliError::content(&path))?;
        files::replace(&path, text.as_bytes(), Readers::Everyone)
    }
}

/// Where the data of the sample customers, which is of 360 days, ends yesterday.
#[expect(clippy::disallowed_methods, reason = "the one clock of the command line")]
fn a_year_ago() -> String {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    today.saturating_sub(jiff::Span::new().days(361)).to_string()
}

/// Keeps other processes out of the folder as long as the file is open.
fn lock(root: &Path) -> Result<File, CliError> {
    let locked = files::lock(&root.join("dev.lock"))?;
    locked.ok_or_else(|| CliError::FolderInUse { folder: root.to_owned() })
}

/// A cluster keeps its nodes and ports.
fn check_same(root: &Path, file: &DevFile, wanted: Wanted) -> Result<(), CliError> {
    let (nodes, port) = (file.ports.len(), file.ports.first());
    let is_other = |what: &str| {
        format!("differs from the cluster in {}, which has {what}; give another --dir", root.display())
    };
    if wanted.nodes.is_some_and(|wanted| usize::try_from(wanted) != Ok(nodes)) {
        return Err(CliError::argument("--nodes", is_other(&format!("{nodes} nodes"))));
    }
    match (wanted.port, port) {
        (Some(wanted), Some(port)) if wanted != *port => {
            Err(CliError::argument("--port", is_other(&format!("port {port}"))))
        }
        (Some(_) | None, _) => Ok(()),
    }
}

const fn metrics_port(port: u16) -> u16 {
    port.saturating_add(METRICS_PORT_AFTER)
}

fn bind(address: SocketAddr, node: Option<u32>) -> Result<TcpListener, CliError> {
    TcpListener::bind(address).map_err(|source| {
        if source.kind() == std::io::ErrorKind::AddrInUse {
            CliError::PortInUse { address, node }
        } else {
            CliError::File { path: address.to_string().into(), source }
        }
    })
}

/// The ports from `first` on, all of which must be free.
fn exact_ports(first: u16, count: u32) -> Result<Vec<u16>, CliError> {
    let ports: Vec<u16> = (first..=u16::MAX).take(usize::try_from(count).unwrap_or_default()).collect();
    if u32::try_from(ports.len()) != Ok(count) {
        return Err(CliError::argument("--port", "leaves too few ports for all nodes"));
    }
    let held: Vec<_> = ports.iter().map(|port| bind(([127, 0, 0, 1], *port).into(), None)).collect();
    held.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(ports)
}

/// The ports from `first` on; a port that is in use is replaced by another free one.
fn free_ports(first: u16, count: u32) -> Result<Vec<u16>, CliError> {
    let failed = |source| CliError::File { path: "127.0.0.1".into(), source };
    // All ports stay bound until all are chosen, so that none is chosen twice.
    let mut held = Vec::new();
    for wanted in (first..).take(usize::try_from(count).unwrap_or_default()) {
        let listener =
            TcpListener::bind(("127.0.0.1", wanted)).or_else(|_taken| TcpListener::bind("127.0.0.1:0"));
        held.push(listener.map_err(failed)?);
    }
    held.iter().map(|listener| Ok(listener.local_addr().map_err(failed)?.port())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_created_once_and_its_configurations_are_valid() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("cluster");
        let folder = DevFolder::open_or_create(&root, Wanted::default()).unwrap();
        for node in folder.nodes() {
            Config::load(&folder.config_file(node)).unwrap();
        }
        folder.set_customers_loaded(7).unwrap();
        let second = DevFolder::open_or_create(&root, Wanted::default());
        assert!(matches!(second, Err(CliError::FolderInUse { .. })));
        let addresses = folder.addresses();
        drop(folder);
        let again =
            DevFolder::open_or_create(&root, Wanted { customers: Some(9), ..Wanted::default() }).unwrap();
        assert_eq!(again.addresses(), addresses);
        assert_eq!((again.customers_loaded(), again.customers_wanted()), (7, 9));
        drop(again);
        let again = DevFolder::open_or_create(&root, Wanted::default()).unwrap();
        assert_eq!(again.customers_wanted(), 9, "as it was asked for");
        drop(again);
        for other in
            [Wanted { nodes: Some(5), ..Wanted::default() }, Wanted { port: Some(1), ..Wanted::default() }]
        {
            assert!(matches!(DevFolder::open_or_create(&root, other), Err(CliError::Argument { .. })));
        }
    }

    #[test]
    fn a_port_that_was_asked_for_is_not_replaced() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        assert!(matches!(exact_ports(address.port(), 1), Err(CliError::PortInUse { .. })));
        assert!(matches!(exact_ports(u16::MAX, 2), Err(CliError::Argument { .. })));
    }

    #[test]
    fn a_taken_port_is_replaced_by_a_free_one() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let first = taken.local_addr().unwrap().port();
        let ports = free_ports(first, 1).unwrap();
        assert_ne!(ports, [first]);
    }
}
