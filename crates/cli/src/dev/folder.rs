//! The folder of a development cluster.
//!
//! ```text
//! DIR/dev.toml              the nodes' ports, and how many customers are loaded
//!     root-keys.toml        the root key (owner-only)
//!     certificates/         ca.pem, ca-key.pem, node1.pem, node1-key.pem, …, admin.pem, agent.pem, …
//!     admin.toml, …         client files: `custodia --client DIR/admin.toml …`
//!     node1/node.toml       the node's configuration
//!     node1/node.log        the node's log
//!     node1/data/           the node's data
//! ```
//!
//! Invariant: `dev.toml` is written last, so a folder that has it is complete.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use custodia_server::Role;
use serde::{Deserialize, Serialize};

use crate::certificates::{Authority, Subject};
use crate::error::CliError;
use crate::files::{self, Readers};

/// The first node's port; the others follow.
const PORT_FIRST: u16 = 7443;

/// The first node's port for metrics.
const METRICS_PORT_FIRST: u16 = 7543;

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
}

/// An open folder.
#[derive(Debug)]
pub(crate) struct DevFolder {
    root: PathBuf,
    file: DevFile,
}

impl DevFolder {
    /// Opens the folder, or creates it for a cluster of `nodes` nodes.
    pub(crate) fn open_or_create(root: &Path, nodes: u32) -> Result<Self, CliError> {
        let path = root.join(DEV_FILE);
        if path.exists() {
            let file = toml::from_str(&files::read(&path)?).map_err(CliError::content(path))?;
            return Ok(Self { root: root.to_owned(), file });
        }
        files::make_folder(root)?;
        let ports = free_ports(PORT_FIRST, nodes)?;
        let metrics_ports = free_ports(METRICS_PORT_FIRST, nodes)?;
        let folder = Self { root: root.to_owned(), file: DevFile { ports, customers: 0 } };
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
            authority.issue(&Subject { name, roles, hosts: &[] }, name)?;
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

    /// Saves how many sample customers are loaded.
    pub(crate) fn set_customers_loaded(&self, customers: u32) -> Result<(), CliError> {
        Self { root: self.root.clone(), file: DevFile { customers, ..self.file.clone() } }.write_file()
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
        authority.issue(&subject, &format!("node{node}"))?;
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
        let path = self.root.join(DEV_FILE);
        let text = toml::to_string(&self.file).map_err(CliError::content(&path))?;
        files::replace(&path, text.as_bytes(), Readers::Everyone)
    }
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
        let folder = DevFolder::open_or_create(&root, 3).unwrap();
        for node in folder.nodes() {
            custodia_server::Config::load(&folder.config_file(node)).unwrap();
        }
        folder.set_customers_loaded(7).unwrap();
        let again = DevFolder::open_or_create(&root, 5).unwrap();
        assert_eq!(again.addresses(), folder.addresses());
        assert_eq!(again.customers_loaded(), 7);
    }

    #[test]
    fn a_taken_port_is_replaced_by_a_free_one() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let first = taken.local_addr().unwrap().port();
        let ports = free_ports(first, 1).unwrap();
        assert_ne!(ports, [first]);
    }
}
