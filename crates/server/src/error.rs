//! What can keep a node from starting or make it stop. Each condition has its own variant, its own message and, where
//! there is something to do, a hint; no text holds personal data or key bytes.

use std::{io, net::SocketAddr, path::PathBuf};

use custodia_consensus::ConsensusError;
use custodia_seal::SealError;
use custodia_store::StoreError;

use crate::NodeId;

/// A configuration that is refused before anything is opened or bound.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Not TOML, an unknown key, a missing key, or a value of the wrong type; the text shows line and key.
    #[error("invalid configuration: {0}")]
    Syntax(String),
    /// A key with an invalid value.
    #[error("configuration key `{key}`: {reason}")]
    Invalid {
        /// The key, with its section.
        key: &'static str,
        /// What is wrong with the value.
        reason: String,
    },
}

/// Why the node's own certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read.
    #[error("`{key}`: cannot read the file {}", path.display())]
    Unreadable {
        /// The configuration key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that lacks what it should hold.
    #[error("`{key}`: the file {} holds no valid PEM {expected}", path.display())]
    NoPem {
        /// The configuration key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// Key and certificate do not match.
    #[error("the private key in `tls.key` does not match the certificate in `tls.certificate`")]
    KeyMismatch,
    /// The node's own certificate has expired.
    #[error("the certificate in `tls.certificate` expired at {until}")]
    Expired {
        /// The end of its validity.
        until: String,
    },
    /// The node's own certificate is not valid yet.
    #[error("the certificate in `tls.certificate` is not valid before {from}")]
    NotYetValid {
        /// The start of its validity.
        from: String,
    },
    /// The node's own certificate does not name the node.
    #[error("the certificate in `tls.certificate` lacks the URI spiffe://custodia/node/{node}")]
    NotThisNode {
        /// The node that the configuration names.
        node: NodeId,
    },
    /// The TLS library rejects the configuration.
    #[error("invalid TLS configuration")]
    Refused(#[source] rustls::Error),
    /// An authority without a revocation list, where there are lists: none of its certificates would be accepted.
    #[error(
        "`tls.revocation_list`: the file {} has no list of the authority `{authority}`, so that all of its certificates \
         would be refused",
        path.display()
    )]
    NoRevocationList {
        /// The file.
        path: PathBuf,
        /// The name of the authority.
        authority: String,
    },
    /// Two authorities of one name with revocation lists: a list is found by the name, so one would stand for the other.
    #[error(
        "`tls.ca`: the file {} has two authorities with the name `{authority}` and different keys, and `tls.revocation_list` \
         cannot tell whose list is whose",
        path.display()
    )]
    SameAuthorityName {
        /// The file.
        path: PathBuf,
        /// The name of both.
        authority: String,
    },
    /// `tls.ca` and `tls.revocation_list` cannot be used to verify others.
    #[error("cannot verify certificates with `tls.ca` and `tls.revocation_list`")]
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
    /// The port is in use.
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
    /// Setting up the metrics failed.
    #[error("cannot set up the metrics")]
    Metrics(#[source] metrics_exporter_prometheus::BuildError),
    /// The data folder, the state engine or the log does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The root keys are unusable, or not those that the data was sealed under.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The Raft groups did not start.
    #[error("cannot start consensus")]
    Consensus(#[from] ConsensusError),
    /// The node was running and cannot continue.
    #[error("the node failed and is stopping")]
    Failed(#[source] ConsensusError),
    /// A task of the node panicked or was cancelled.
    #[error("a task of the node failed: {task}")]
    TaskFailed {
        /// Which one.
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
            Self::Config(_) => Some("the documentation of the configuration lists every key and its default"),
            Self::Tls(error) => error.hint(),
            Self::AddressInUse { .. } => {
                Some("stop the other process, or change `listen` or `metrics_listen`")
            }
            Self::Bind { .. } => Some("`listen` must be an address of this machine"),
            Self::Tokens { .. } => {
                Some("each [[token]] needs `name`, `roles` and `sha256` (hex, of the token)")
            }
            Self::Store(error) => store_hint(error),
            Self::Seal(error) => seal_hint(error),
            Self::Consensus(ConsensusError::Store(error)) | Self::Failed(ConsensusError::Store(error)) => {
                store_hint(error)
            }
            Self::Failed(_) => Some("start the node again; if it stops again, its log says where it failed"),
            Self::Metrics(_) | Self::Consensus(_) | Self::TaskFailed { .. } => None,
        }
    }
}

impl TlsError {
    const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable { .. } | Self::NoPem { .. } => {
                Some("the files under [tls] must be PEM and readable by the node")
            }
            Self::KeyMismatch => Some("use the private key that the certificate was issued for"),
            Self::Expired { .. } | Self::NotYetValid { .. } => {
                Some("issue a new certificate, and check the machine's clock")
            }
            Self::NotThisNode { .. } => {
                Some("every node needs its own certificate, which names its `node_id`")
            }
            Self::NoRevocationList { .. } => Some(
                "put the list of every authority in `tls.ca` into the file, and of those that issue node certificates",
            ),
            Self::SameAuthorityName { .. } => Some("give each authority a name of its own"),
            Self::Refused(_) | Self::Verifier(_) => None,
        }
    }
}

fn store_hint(error: &StoreError) -> Option<&'static str> {
    // no exhaustive match: a new variant needs no hint
    if matches!(error, StoreError::Locked { .. }) {
        Some("another node is running on this data folder")
    } else if matches!(error, StoreError::OtherNode { .. } | StoreError::OtherCluster { .. }) {
        Some("`node_id` and `data_dir` belong together; never give a data folder to another node")
    } else if matches!(error, StoreError::OtherEngine { .. }) {
        Some(
            "a data folder keeps its `state_engine`; a node with an empty folder gets its data from the others",
        )
    } else if matches!(error, StoreError::LogLost { .. }) {
        Some(
            "put the log folder back if it was moved, never an older copy of it; if it is lost, so are this node's votes and \
             what it acknowledged, and it may not vote again: leave this node stopped, the others go on without it; \
             deleting more of `data_dir` does not bring it back",
        )
    } else if matches!(error, StoreError::LogCorrupt { .. } | StoreError::LogFileMissing { .. }) {
        Some(
            "votes or acknowledged writes of this node may be lost, so it may not vote again: leave this node stopped, the \
             others go on without it; keep `data_dir` for inspection",
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
