//! What the suites of this binary know about their subjects.

use std::path::PathBuf;

use custodia_store::{EngineKind, PartitionId};

use crate::model::{Subject, group};

pub(crate) const KINDS_ON_DISK: [EngineKind; 2] = [EngineKind::Fjall, EngineKind::Sled];

impl Subject {
    pub(crate) fn kind(self) -> EngineKind {
        match self {
            Self::Engine(kind) | Self::Partitions(kind) => kind,
        }
    }

    /// The folder below `path` with the database of the model's group.
    pub(crate) fn database(self) -> PathBuf {
        match self {
            Self::Engine(_) => PathBuf::new(),
            Self::Partitions(_) => PathBuf::from(PartitionId::of(group()).to_string()),
        }
    }
}
