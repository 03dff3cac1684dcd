//! What can keep a node from starting or make it stop. Each condition has its own variant, its own message and, where
//! there is something to do, a hint; no text holds personal data or key bytes.

use std::{fmt, io, net::SocketAddr, path::PathBuf};

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

/// A file of certificates, keys or revocation lists, and the configuration key or the option that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFile {
    /// E.g. `tls.key` or `--key`.
    pub name: &'static str,
    /// Where it is.
    pub path: PathBuf,
}

impl fmt::Display for TlsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: the file {}", self.name, self.path.display())
    }
}

/// Why a certificate, a key or a revocation list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read.
    #[error("{file} cannot be read")]
    Unreadable {
        /// The file.
        file: TlsFile,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that lacks what it should hold.
    #[error("{file} holds no valid PEM {expected}")]
    NoPem {
        /// The file.
        file: TlsFile,
        /// What it should hold.
        expected: &'static str,
    },
    /// A key that only a passphrase opens.
    #[error("{file} holds an encrypted private key, which cannot be used without its passphrase")]
    EncryptedKey {
        /// The file.
        file: TlsFile,
    },
    /// Key and certificate do not match.
    #[error("{file} holds a private key that does not match the certificate in {}", certificate.display())]
    KeyMismatch {
        /// The file of the key.
        file: TlsFile,
        /// The file of the certificate.
        certificate: PathBuf,
    },
    /// A certificate has expired.
    #[error("{file} holds a certificate that expired at {until}")]
    Expired {
        /// The file.
        file: TlsFile,
        /// The end of its validity.
        until: String,
    },
    /// A certificate is not valid yet.
    #[error("{file} holds a certificate that is not valid before {from}")]
    NotYetValid {
        /// The file.
        file: TlsFile,
        /// The start of its validity.
        from: String,
    },
    /// The node's own certificate does not name the node.
    #[error("{file} holds a certificate without the URI spiffe://custodia/node/{node}")]
    NotThisNode {
        /// The file.
        file: TlsFile,
        /// The node that the configuration names.
        node: NodeId,
    },
    /// A certificate that may not be used in one direction of TLS (RFC 5280, section 4.2.1.12).
    #[error("{file} holds a certificate whose extended key usage lacks {usage}")]
    NoUsage {
        /// The file.
        file: TlsFile,
        /// `clientAuth` or `serverAuth`.
        usage: &'static str,
    },
    /// An issuer in the chain of the node's certificate is unknown.
    #[error("{file} leads to the issuer `{issuer}`, which is neither in that file nor in `tls.ca`")]
    UnknownIssuer {
        /// The file.
        file: TlsFile,
        /// The name of the issuer.
        issuer: String,
    },
    /// The issuer of the node's certificate has the name of an authority, and another key.
    #[error(
        "{file} holds a certificate that no authority in `tls.ca` has signed, though one has its issuer's name"
    )]
    OtherAuthority {
        /// The file.
        file: TlsFile,
    },
    /// The node's own certificate is revoked.
    #[error("{file} holds a certificate that is revoked by `tls.revocation_list`")]
    Revoked {
        /// The file.
        file: TlsFile,
    },
    /// The node's own certificate is not valid for the host under which the node is reached.
    #[error(
        "{file} holds a certificate that is not valid for `{host}`, where the node is reached, but for: {hosts}"
    )]
    WrongHost {
        /// The file.
        file: TlsFile,
        /// The host of `advertise` or, without it, of `listen`.
        host: String,
        /// The hosts that the certificate names, separated by commas.
        hosts: String,
    },
    /// The TLS library rejects what a file holds.
    #[error("{file} cannot be used for TLS")]
    Refused {
        /// The file.
        file: TlsFile,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// An authority without a revocation list, where there are lists: none of its certificates would be accepted.
    #[error(
        "{file} has no list of the authority `{authority}`, so that all of its certificates would be refused"
    )]
    NoRevocationList {
        /// The file.
        file: TlsFile,
        /// The name of the authority.
        authority: String,
    },
    /// Two authorities of one name with revocation lists: a list is found by the name, so one would stand for the other.
    #[error(
        "{file} has two authorities with the name `{authority}` and different keys, and `tls.revocation_list` \
         cannot tell whose list is whose"
    )]
    SameAuthorityName {
        /// The file.
        file: TlsFile,
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
    /// `ulimit -f`.
    #[error("files may have at most {bytes} bytes here (`ulimit -f`), and a node needs at least {least}")]
    FileSizeLimit {
        /// The limit.
        bytes: u64,
        /// The least that is accepted.
        least: u64,
    },
    /// `ulimit -n`.
    #[error(
        "at most {files} files may be open at a time here (`ulimit -n`), and a node needs at least {least}"
    )]
    OpenFilesLimit {
        /// The limit.
        files: u64,
        /// The least that is accepted.
        least: u64,
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
            Self::FileSizeLimit { .. } => {
                Some("start the node with `ulimit -f unlimited` (systemd: LimitFSIZE=infinity)")
            }
            Self::OpenFilesLimit { .. } => {
                Some("start the node with `ulimit -n 65536` (systemd: LimitNOFILE=65536)")
            }
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
    /// What to do about it.
    pub const fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Unreadable { .. } | Self::NoPem { .. } => {
                "certificates and keys must be PEM files that you may read"
            }
            Self::EncryptedKey { .. } => {
                "nobody is there to type a passphrase: decrypt it with `openssl pkey -in FILE -out NEW`, and let only its \
                 owner read the new file"
            }
            Self::KeyMismatch { .. } => "use the private key that the certificate was issued for",
            Self::Expired { .. } | Self::NotYetValid { .. } => {
                "issue a new certificate, and check the machine's clock"
            }
            Self::NotThisNode { .. } => "every node needs its own certificate, which names its `node_id`",
            Self::NoUsage { .. } => {
                "a node connects to other nodes with the certificate that it serves with, so it needs serverAuth and \
                 clientAuth, and a client needs clientAuth. Public authorities no longer issue clientAuth: use an authority \
                 of your own, e.g. `custodia certificates create`"
            }
            Self::UnknownIssuer { .. } => {
                "if the issuer is an intermediate, append its certificate to the file, after the node's; if it is an \
                 authority of yours, add it to `tls.ca` on every node"
            }
            Self::OtherAuthority { .. } => {
                "issue the certificate with the authority that is in `tls.ca` on every node"
            }
            Self::Revoked { .. } => "issue a new certificate",
            Self::WrongHost { .. } => {
                "issue a certificate for this host, or set `advertise` to a host that it names"
            }
            Self::NoRevocationList { .. } => {
                "put the list of every authority in `tls.ca` into the file, and of those that issue node certificates"
            }
            Self::SameAuthorityName { .. } => "give each authority a name of its own",
            Self::Refused { .. } | Self::Verifier(_) => return None,
        })
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
