//! What can keep a node from starting or make it stop. Each condition has its own variant, its own sentence and a
//! hint at what to do; no text holds personal data or key bytes.

use std::{io, net::SocketAddr, path::PathBuf};

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
}
