//! Owns who records a change of what the law rests on (GDPR Art. 5(2)). Always: every ledger entry names one; role
//! numbers are those on disk and are never reused.

use std::{fmt, str::FromStr};

use crate::{error::ProfileError, id::CallerName};

/// The role under which a call was allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CallerRole {
    /// The system itself: a node of the cluster.
    Node = 1,
    /// An agent's desktop or an engagement application.
    Agent = 2,
    /// A source system.
    Ingest = 3,
    /// The privacy office.
    Privacy = 4,
    /// Whoever runs the cluster.
    Operator = 5,
}

impl CallerRole {
    /// Every role, by number.
    pub const ALL: [Self; 5] = [Self::Node, Self::Agent, Self::Ingest, Self::Privacy, Self::Operator];

    /// The number on disk.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The role as certificates, token files and the API write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Agent => "agent",
            Self::Ingest => "ingest",
            Self::Privacy => "privacy",
            Self::Operator => "operator",
        }
    }

    /// The role with a number.
    ///
    /// # Errors
    /// `Malformed` if no role has it.
    pub fn from_number(number: u8) -> Result<Self, ProfileError> {
        Self::find(|role| role.number() == number)
    }

    fn find(is_it: impl Fn(&Self) -> bool) -> Result<Self, ProfileError> {
        Self::ALL.into_iter().find(is_it).ok_or(ProfileError::Malformed {
            field: "role",
            expected: "node, agent, ingest, privacy or operator",
        })
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
        Self::find(|role| role.name() == text)
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
