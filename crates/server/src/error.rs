//! What can keep a node from starting or make it stop. Each condition has its own variant, its own sentence and a
//! hint at what to do; no text holds personal data or key bytes.

use std::{io, net::SocketAddr, path::PathBuf};

use custodia_consensus::ConsensusError;
use custodia_seal::SealError;
use custodia_store::StoreError;

use crate::NodeId;

/// A configuration that is refused before anything is opened or bound.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No TOML, an unknown key, a missing key, or a value of the wrong type; the text shows line and key.
    #[error("the configuration is not valid: {0}")]
    Syntax(String),
    /// A key whose value cannot be.
    #[error("configuration key `{key}`: {reason}")]
    Invalid {
        /// The key, with its section.
        key: &'static str,
        /// What is wrong with the value.
        reason: String,
    },
}

/// Own certificates and keys that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read.
    #[error("`{key}`: the file {} cannot be read", path.display())]
    Unreadable {
        /// The configuration key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file without what it should hold.
    #[error("`{key}`: the file {} holds no usable PEM {expected}", path.display())]
    NoPem {
        /// The configuration key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// The key is not the certificate's.
    #[error("the private key in `tls.key` does not belong to the certificate in `tls.certificate`")]
    KeyMismatch,
    /// The node's own certificate is over.
    #[error("the certificate in `tls.certificate` has expired: it was valid until {until}")]
    Expired {
        /// The end of its validity.
        until: String,
    },
    /// The node's own certificate has not begun.
    #[error("the certificate in `tls.certificate` is not valid before {from}")]
    NotYetValid {
        /// The start of its validity.
        from: String,
    },
    /// The node's own certificate does not name it.
    #[error("the certificate in `tls.certificate` does not carry the URI spiffe://custodia/node/{node}")]
    NotThisNode {
        /// The node that the configuration names.
        node: NodeId,
    },
    /// The TLS library refuses.
    #[error("the TLS configuration is refused")]
    Refused(#[source] rustls::Error),
    /// The certificates of `tls.ca` cannot be used to verify others.
    #[error("`tls.ca` cannot be used to verify certificates")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
}

/// Why a node did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// See [`ConfigError`].
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// See [`TlsError`].
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The port is taken.
    #[error("{address} is in use by another process")]
    AddressInUse {
        /// Where the node wanted to listen.
        address: SocketAddr,
    },
    /// Any other failure to listen.
    #[error("cannot listen on {address}")]
    Bind {
        /// Where the node wanted to listen.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The token file.
    #[error("`tokens.file`: {} {reason}", path.display())]
    Tokens {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Metrics cannot be collected.
    #[error("metrics cannot be set up")]
    Metrics(#[source] metrics_exporter_prometheus::BuildError),
    /// The data folder, the state engine or the log cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The root keys cannot be used, or they are not those that the data was sealed under.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The Raft groups cannot be started.
    #[error("consensus cannot start")]
    Consensus(#[from] ConsensusError),
    /// The node ran, and cannot go on.
    #[error("the node has failed and ends")]
    Failed(#[source] ConsensusError),
    /// A task of the node broke off.
    #[error("the node's {task} broke off")]
    BrokenOff {
        /// Which part of the node.
        task: &'static str,
        /// How.
        #[source]
        source: tokio::task::JoinError,
    },
}

impl ServerError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Config(_) => {
                Some("every key and its default stand in the documentation of the configuration")
            }
            Self::Tls(error) => error.hint(),
            Self::AddressInUse { .. } => {
                Some("stop the other process, or change `listen` or `metrics_listen`")
            }
            Self::Bind { .. } => Some("`listen` must be an address of this machine"),
            Self::Tokens { .. } => {
                Some("each [[token]] has `name`, `roles` and `sha256` (hex, of the token)")
            }
            Self::Store(error) => store_hint(error),
            Self::Seal(error) => seal_hint(error),
            Self::Consensus(ConsensusError::Store(error)) | Self::Failed(ConsensusError::Store(error)) => {
                store_hint(error)
            }
            Self::Failed(_) => {
                Some("start the node again; if it ends again, its log says where it broke off")
            }
            Self::Metrics(_) | Self::Consensus(_) | Self::BrokenOff { .. } => None,
        }
    }
}

impl TlsError {
    const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable { .. } | Self::NoPem { .. } => {
                Some("the files under [tls] are PEM, readable by the node")
            }
            Self::KeyMismatch => Some("the certificate and the key must have been made together"),
            Self::Expired { .. } | Self::NotYetValid { .. } => {
                Some("have a new certificate issued, and look at the machine's clock")
            }
            Self::NotThisNode { .. } => Some("every node has a certificate of its own, see `node_id`"),
            Self::Refused(_) | Self::Verifier(_) => None,
        }
    }
}

fn store_hint(error: &StoreError) -> Option<&'static str> {
    // the enum is open, so that a new way to fail needs no change here
    if matches!(error, StoreError::Locked { .. }) {
        Some("another node runs on this data folder")
    } else if matches!(error, StoreError::OtherNode { .. } | StoreError::OtherCluster { .. }) {
        Some("`node_id` and `data_dir` must belong together; a data folder is never given to another node")
    } else if matches!(error, StoreError::OtherEngine { .. }) {
        Some(
            "a data folder stays with its `state_engine`; a node with an empty folder gets its data from the others",
        )
    } else if matches!(error, StoreError::DiskFull) {
        Some("make room on the disk of `data_dir`, then start the node again")
    } else {
        None
    }
}

fn seal_hint(error: &SealError) -> Option<&'static str> {
    if matches!(error, SealError::WrongRootKey { .. } | SealError::UnknownRootKey { .. }) {
        Some("`root_key_file` must hold the root keys of this cluster, the same on every node")
    } else if matches!(error, SealError::RootKeyFileMode { .. }) {
        Some("chmod 600 the root key file")
    } else {
        None
    }
}
