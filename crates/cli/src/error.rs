//! Why a command failed, with what to do about it and the exit code that tells programs.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | refused by the cluster, or failed |
//! | 2 | the command line, a configuration, a mapping or a request file is wrong |
//! | 3 | no node answered, or no majority: try again |
//! | 4 | not allowed: certificate, token or role |
//! | 5 | not found |
//! | 6 | done, but part of the data was refused (ingest, import) |
//! | 130 | interrupted |

use std::path::PathBuf;
use std::process::ExitCode;

use custodia_client::ClientError;
use tonic::Code;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// A call failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// An argument is not what it should be.
    #[error("{argument}: {reason}")]
    Argument {
        /// The option or file key.
        argument: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file does not say what it should.
    #[error("{}: {reason}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The node's configuration is refused.
    #[error(transparent)]
    Config(#[from] custodia_server::ConfigError),
    /// The node stopped with an error.
    #[error(transparent)]
    Server(#[from] custodia_server::ServerError),
    /// A certificate cannot be made.
    #[error("cannot make the certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A child process of `dev` ended by itself.
    #[error("node {node} ended ({status}){said}; its log is {}", log.display())]
    NodeEnded {
        /// Which node.
        node: u32,
        /// How it ended.
        status: String,
        /// Its last error, after a colon, where it said one.
        said: String,
        /// Where it says why.
        log: PathBuf,
    },
    /// The cluster of `dev` did not come up.
    #[error("the cluster is not ready after {seconds} s: {last}")]
    NotReady {
        /// How long was waited.
        seconds: u64,
        /// What was missing.
        last: String,
    },
    /// The import's map does not know the key.
    #[error("no imported row has this key, as far as {} remembers", path.display())]
    UnknownSourceKey {
        /// The map.
        path: PathBuf,
    },
    /// A file of a consent history does not hold together.
    #[error("{}: line {line}: {reason}", path.display())]
    Unproven {
        /// Which.
        path: PathBuf,
        /// The first bad line, from 1.
        line: u64,
        /// What is wrong there.
        reason: String,
    },
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[source] std::io::Error),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// Part of the data was refused; what and why is printed already.
    #[error("part of the data was refused")]
    PartlyRefused,
}

impl CliError {
    /// For `map_err` on file operations.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    /// The exit code of the table above.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Client(ClientError::TlsRefused { .. }) => 4,
            Self::Client(error) => client_exit_code(error.code()),
            Self::Argument { .. } | Self::Content { .. } | Self::Config(_) => 2,
            Self::File { .. }
            | Self::Server(_)
            | Self::Certificate(_)
            | Self::NodeEnded { .. }
            | Self::Unproven { .. }
            | Self::Output(_) => 1,
            Self::NotReady { .. } => 3,
            Self::UnknownSourceKey { .. } => 5,
            Self::PartlyRefused => 6,
            Self::Interrupted => 130,
        })
    }

    /// The error as programs read it, on standard error.
    pub(crate) fn to_json(&self, message: &str) -> serde_json::Value {
        let client = if let Self::Client(error) = self { Some(error) } else { None };
        serde_json::json!({ "error": {
            "message": message,
            "code": client.map(|error| format!("{:?}", error.code())),
            "reason": client.and_then(ClientError::reason),
            "field": client.and_then(ClientError::field),
            "hint": self.hint(),
        }})
    }

    /// What the user can do, where that is known.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Client(error) => client_hint(error),
            Self::Server(error) => error.hint().map(str::to_owned),
            Self::NodeEnded { .. } => Some("the last lines of the log say why".into()),
            Self::NotReady { .. } => Some("look into the nodes' logs".into()),
            Self::PartlyRefused => Some("the reasons stand above".into()),
            Self::Argument { .. }
            | Self::File { .. }
            | Self::Content { .. }
            | Self::Config(_)
            | Self::Certificate(_)
            | Self::UnknownSourceKey { .. }
            | Self::Unproven { .. }
            | Self::Output(_)
            | Self::Interrupted => None,
        }
    }
}

fn client_exit_code(code: Code) -> u8 {
    match code {
        Code::Unavailable | Code::DeadlineExceeded => 3,
        Code::Unauthenticated | Code::PermissionDenied => 4,
        Code::NotFound => 5,
        Code::InvalidArgument => 2,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss => 1,
    }
}

fn client_hint(error: &ClientError) -> Option<String> {
    let hint = match error {
        ClientError::Unreachable { .. } => "is the node running, and is --address right?",
        ClientError::TlsRefused { cause, .. } => tls_hint(cause),
        ClientError::ConnectionLost { .. } => {
            "is the node running? If it is, it may have refused the client certificate: see its log"
        }
        ClientError::DeadlineExceeded { .. } => {
            "a majority of the nodes may be down: see `custodia cluster status`; --timeout allows more time"
        }
        ClientError::NoAddress => "give --address host:port, or --client FILE (CUSTODIA_CLIENT)",
        ClientError::BadTls { .. } => "check --ca, --certificate and --key",
        ClientError::Answered(answered) => match answered.code {
            Code::Unauthenticated => "give a client certificate (--certificate, --key) or a --token",
            Code::PermissionDenied if answered.reason.starts_with("RECIPIENT_") => {
                "the application is registered for its purposes by `custodia recipient create` or `update`"
            }
            Code::PermissionDenied => "the certificate's or token's roles do not allow this call",
            Code::Unavailable => "the shard may be electing a leader: try again",
            Code::Aborted => "somebody changed it in between: read it again",
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::InvalidArgument
            | Code::DeadlineExceeded
            | Code::NotFound
            | Code::AlreadyExists
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss => return None,
        },
        ClientError::BadAddress { .. }
        | ClientError::BadToken
        | ClientError::EmptyAnswer { .. }
        | ClientError::StreamClosed => return None,
    };
    Some(hint.to_owned())
}

/// The TLS library's words, in the user's terms.
fn tls_hint(cause: &str) -> &'static str {
    const WORDS: [(&str, &str); 7] = [
        ("UnknownIssuer", "the node's certificate is not signed by the authority in --ca"),
        ("BadSignature", "the node's certificate is not signed by the authority in --ca"),
        ("UnknownCA", "the node does not know the authority that signed --certificate"),
        ("CertificateRequired", "the node wants a client certificate: --certificate and --key"),
        ("Expired", "a certificate has expired"),
        ("NotValidForName", "the node's certificate does not name the host in --address"),
        ("DecryptError", "the node refused the certificate given with --certificate"),
    ];
    let found = WORDS.iter().find(|(word, _)| cause.contains(word));
    found.map_or("check --ca, --certificate and --key", |(_, hint)| hint)
}
