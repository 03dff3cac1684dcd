//! Owns who records a change of what the law rests on (GDPR Art. 5(2)). Always: every ledger entry names one; role
//! numbers are those on disk and are never reused.

use std::{fmt, str::FromStr};

use crate::{error::ProfileError, id::CallerName, numbered::numbered};

numbered! {
    /// The role under which a call was allowed. Names are as certificates, token files and the API write them.
    #[derive(PartialOrd, Ord)]
    pub enum CallerRole ("role", expected "node, agent, ingest, privacy or operator") {
        /// The system itself: a node of the cluster.
        Node = 1 => "node",
        /// An agent's desktop or an engagement application.
        Agent = 2 => "agent",
        /// A source system.
        Ingest = 3 => "ingest",
        /// The privacy office.
        Privacy = 4 => "privacy",
        /// Whoever runs the cluster.
        Operator = 5 => "operator",
    }
}

impl fmt::Display for CallerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CallerRole {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or(Self::UNKNOWN)
    }
}

/// Who recorded a change. Prints as `privacy dpo`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Recorder {
    /// The caller's name, from its certificate or token; of the system itself, the node's.
    pub name: CallerName,
    /// The role under which the call was allowed.
    pub role: CallerRole,
}

impl fmt::Display for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role, self.name)
    }
}
