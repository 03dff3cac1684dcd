//! Owns the names of the state engines: in the configuration, in the identity file and in errors.

use std::fmt;
use std::str::FromStr;

/// Which engine keeps the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EngineKind {
    /// The log-structured merge tree, the default.
    #[default]
    Fjall,
    /// The B-tree, selected by `state_engine = "sled"`.
    Sled,
    /// Memory only; for simulation and unit tests.
    Memory,
}

impl EngineKind {
    /// Its name in the configuration and in the identity file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fjall => "fjall",
            Self::Sled => "sled",
            Self::Memory => "memory",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The configuration names an engine that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown state engine: expected fjall, sled or memory")]
pub struct UnknownEngine;

impl FromStr for EngineKind {
    type Err = UnknownEngine;

    fn from_str(name: &str) -> Result<Self, UnknownEngine> {
        [Self::Fjall, Self::Sled, Self::Memory]
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or(UnknownEngine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_names_parse_back() {
        for kind in [EngineKind::Fjall, EngineKind::Sled, EngineKind::Memory] {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert_eq!("rocksdb".parse::<EngineKind>(), Err(UnknownEngine));
    }
}
