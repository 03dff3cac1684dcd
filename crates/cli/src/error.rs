//! Why a command failed, what to do about it, and the exit code for programs.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | refused by the cluster, or failed |
//! | 2 | the command line, a configuration, a mapping or a request file is wrong, or a file that it names is not there |
//! | 3 | no node answered, or no majority: try again |
//! | 4 | not allowed: certificate, token or role |
//! | 5 | not found |
//! | 6 | done, but some of the data was refused (ingest, import) |
//! | 130 | interrupted |

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;

use custodia_client::ClientError;
use tonic::Code;

/// The errors of a path that is wrong on the command line.
const NOT_AS_NAMED: [ErrorKind; 3] = [ErrorKind::NotFound, ErrorKind::NotADirectory, ErrorKind::IsADirectory];

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// A call failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// An option or argument is invalid.
    #[error("{argument} {reason}")]
    Argument { argument: &'static str, reason: String },
    /// A signal handler cannot be installed.
    #[error("cannot handle signals: {0}")]
    Signals(#[source] std::io::Error),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    /// The content of a file is invalid.
    #[error("{}: {reason}", path.display())]
    Content { path: PathBuf, reason: String },
    /// A certificate or key exists already.
    #[error("{} exists already", path.display())]
    WouldReplace { path: PathBuf },
    /// A file of certificates or keys cannot be used.
    #[error(transparent)]
    Tls(#[from] custodia_server::TlsError),
    /// The node's configuration is invalid.
    #[error(transparent)]
    Config(#[from] custodia_server::ConfigError),
    /// The node stopped with an error.
    #[error(transparent)]
    Server(#[from] custodia_server::ServerError),
    /// A certificate cannot be created.
    #[error("cannot create the certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A node process of `dev` exited by itself. `error` is its last error after a colon, or empty.
    #[error("node {node} exited ({status}){error}; its log is {}", log.display())]
    NodeExited { node: u32, status: String, error: String, log: PathBuf },
    /// Another process uses a port. `node`: the node that listened there before.
    #[error("{}port {} is in use by another process", .node.map(|node| format!("node {node}: ")).unwrap_or_default(), address.port())]
    PortInUse { address: std::net::SocketAddr, node: Option<u32> },
    /// Another import uses the state folder.
    #[error("another import of this file is running; its state is in {}", folder.display())]
    ImportRunning { folder: PathBuf },
    /// Another `dev` runs in the folder.
    #[error("another `custodia dev` is running in {}", folder.display())]
    FolderInUse { folder: PathBuf },
    /// A new cluster was not ready in time.
    #[error("cluster not ready after {seconds} s: {last}")]
    NotReady { seconds: u64, last: String },
    /// A consent history file is not intact. `line` is the first bad line, from 1.
    #[error("{}: line {line}: {reason}", path.display())]
    Unproven { path: PathBuf, line: u64, reason: String },
    /// Standard output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[source] std::io::Error),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// Replicas were compared, and some have not stored what the others have. They are printed already.
    #[error("the stored state of {replicas} replicas differs from that of the others")]
    ReplicasDiffer { replicas: usize },
    /// Some replicas could not be compared. They are printed already.
    #[error("{replicas} replicas could not be compared")]
    NotCompared { replicas: usize },
    /// Some of the data was refused; the reasons are printed already.
    #[error("some of the data was refused")]
    PartlyRefused,
}

impl CliError {
    /// An option or argument is invalid for this reason.
    pub(crate) fn argument(argument: &'static str, reason: impl Into<String>) -> Self {
        Self::Argument { argument, reason: reason.into() }
    }

    /// For `map_err` on file operations.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    /// For `map_err` where the content of a file is parsed or serialised.
    pub(crate) fn content<Reason: ToString>(path: impl Into<PathBuf>) -> impl FnOnce(Reason) -> Self {
        let path = path.into();
        move |reason| Self::Content { path, reason: reason.to_string().trim_end().to_owned() }
    }

    /// The field of the API that the cluster refused.
    pub(crate) fn field(&self) -> Option<&str> {
        if let Self::Client(error) = self { error.field() } else { None }
    }

    /// The exit code of the table above.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.consequences().0)
    }

    /// What the user can do about it, if known.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        self.consequences().1
    }

    /// The exit code and the hint.
    fn consequences(&self) -> (u8, Option<&'static str>) {
        match self {
            Self::Client(error) => (client_exit_code(error), client_hint(error)),
            Self::Argument { .. } | Self::Content { .. } | Self::Config(_) => (2, None),
            Self::Tls(error) => (2, error.hint()),
            Self::WouldReplace { .. } => {
                (1, Some("give --replace to issue it anew; whoever uses the old key needs the new one then"))
            }
            // What was named is not there, or is a folder in place of a file.
            Self::File { source, .. } if NOT_AS_NAMED.contains(&source.kind()) => (2, None),
            Self::Signals(_) | Self::File { .. } | Self::Certificate(_) => (1, None),
            Self::ImportRunning { .. } => (1, Some("wait for it, or give another --state DIR")),
            Self::Unproven { .. } | Self::Output(_) => (1, None),
            Self::Server(error) => (1, error.hint()),
            Self::NodeExited { .. } => (1, Some("see the last lines of the log")),
            Self::PortInUse { .. } => (1, Some("stop that process, or give another --port and a new --dir")),
            Self::FolderInUse { .. } => (1, Some("use that cluster, or give another --dir")),
            Self::NotReady { .. } | Self::NotCompared { .. } => (3, Some("see the logs of the nodes")),
            Self::ReplicasDiffer { .. } => {
                (1, Some("a replica that is replaced is rebuilt now: verify again"))
            }
            Self::PartlyRefused => (6, Some("see the reasons above")),
            Self::Interrupted => (130, None),
        }
    }

    /// The error for programs, on standard error.
    pub(crate) fn to_json(&self, message: &str, option: Option<&str>) -> serde_json::Value {
        let client = if let Self::Client(error) = self { Some(error) } else { None };
        serde_json::json!({ "error": {
            "message": message,
            "code": client.map(|error| format!("{:?}", error.code())),
            "reason": client.and_then(ClientError::reason),
            "field": self.field(),
            "option": option,
            "hint": self.hint(),
        }})
    }
}

fn client_exit_code(error: &ClientError) -> u8 {
    const EXIT_CODES: [(Code, u8); 6] = [
        (Code::Unavailable, 3),
        (Code::DeadlineExceeded, 3),
        (Code::Unauthenticated, 4),
        (Code::PermissionDenied, 4),
        (Code::NotFound, 5),
        (Code::InvalidArgument, 2),
    ];
    if matches!(error, ClientError::TlsRefused { .. }) {
        return 4;
    }
    EXIT_CODES.iter().find(|(known, _)| *known == error.code()).map_or(1, |(_, exit_code)| *exit_code)
}

fn client_hint(error: &ClientError) -> Option<&'static str> {
    match error {
        ClientError::Unreachable { .. } => Some("is the node running, and is --address correct?"),
        ClientError::TlsRefused { cause, .. } => Some(tls_hint(cause)),
        ClientError::ConnectionLost { .. } => {
            Some("is the node running? If so, it may have refused the client certificate: see its log")
        }
        ClientError::DeadlineExceeded { .. } => Some(
            "raise --timeout; if that does not help, a majority of the nodes may be down: see `custodia cluster status`",
        ),
        ClientError::NoAddress => Some("give --address HOST:PORT, or --client FILE (CUSTODIA_CLIENT)"),
        ClientError::BadTls { .. } => Some("check --ca, --certificate and --key"),
        ClientError::Answered(answered) => answer_hint(answered.code, &answered.reason),
        ClientError::BadAddress { .. }
        | ClientError::BadToken
        | ClientError::EmptyAnswer { .. }
        | ClientError::StreamClosed => None,
    }
}

fn answer_hint(code: Code, reason: &str) -> Option<&'static str> {
    const HINTS: [(Code, &str); 4] = [
        (Code::Unauthenticated, "give a client certificate (--certificate and --key) or a --token"),
        (Code::PermissionDenied, "the roles of the certificate or token do not allow this call"),
        (Code::Unavailable, "the shard may be electing a leader: try again"),
        (Code::Aborted, "it was changed in the meantime: read it again, then repeat the command"),
    ];
    if code == Code::PermissionDenied && reason.starts_with("RECIPIENT_") {
        return Some(
            "register the application for its purposes with `custodia recipient create` or `update`",
        );
    }
    HINTS.iter().find(|(known, _)| *known == code).map(|(_, hint)| *hint)
}

/// Explains the TLS library's error texts in terms of the options.
fn tls_hint(cause: &str) -> &'static str {
    const HINTS: [(&str, &str); 10] = [
        ("UnknownIssuer", "the node's certificate is not signed by the authority in --ca"),
        ("BadSignature", "the node's certificate is not signed by the authority in --ca"),
        ("UnknownCA", "the node does not trust the authority that signed --certificate"),
        ("CertificateRequired", "the node requires a client certificate: give --certificate and --key"),
        ("CertificateExpired", "the certificate in --certificate has expired"),
        ("CertificateRevoked", "the certificate in --certificate is revoked"),
        ("CertificateUnknown", "the node refused the certificate in --certificate: see its log"),
        ("Expired", "the node's certificate has expired"),
        ("NotValidForName", "the node's certificate is not valid for the host in --address"),
        ("DecryptError", "the node refused the certificate in --certificate"),
    ];
    let found = HINTS.iter().find(|(text, _)| cause.contains(text));
    found.map_or("check --ca, --certificate and --key", |(_, hint)| hint)
}
