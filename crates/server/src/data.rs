//! What a node has on disk: the data folder, locked; the state; the shared log. Opening it checks that the
//! configured root key is the one that the state was sealed under.
//!
//! Must always hold: nothing is served before that check. With a wrong root key every read would fail as if the data were
//! damaged, and the node would create keys that the other nodes cannot unwrap.

use std::{fmt, sync::Arc};

use custodia_profile::{GroupId, ShardId, limits::SHARDS_MAX};
use custodia_seal::{ClusterId, FileRootKey, RootKey, ShardKey, ShardKeyContext, WrappedKeys};
use custodia_store::{
    DataFolder, EngineKind, KeyKind, KeyPrefix, SharedLog, StateEngine, StatePartitions, StoreError,
    ValueHeader,
};

use crate::{
    NodeId,
    config::{Config, StateEngineName},
    error::ServerError,
};

/// Most epochs of a shard's key that are checked.
const EPOCHS_MAX: usize = 64;

impl From<StateEngineName> for EngineKind {
    fn from(name: StateEngineName) -> Self {
        match name {
            StateEngineName::Fjall => Self::Fjall,
            StateEngineName::Sled => Self::Sled,
        }
    }
}

/// Everything on disk, open.
pub(crate) struct Data {
    pub(crate) folder: Arc<DataFolder>,
    pub(crate) engine: Arc<StatePartitions>,
    pub(crate) log: SharedLog,
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({})", self.folder.path().display())
    }
}

impl Data {
    /// Opens everything. Blocks: there may be a log to replay.
    pub(crate) fn open(config: &Config, node: NodeId, root: &FileRootKey) -> Result<Self, ServerError> {
        let kind = EngineKind::from(config.state_engine);
        let folder = DataFolder::open(&config.data_dir, node, kind)?;
        // First, so that a node which lost its log leaves the engine as it is.
        let log = folder.open_log()?;
        let opened = StatePartitions::open(&folder.state_path(), kind, config.cache_bytes)?;
        for aside in opened.set_aside {
            tracing::error!(aside = %aside.display(), "cannot open a partition of the state: its folder was renamed, and its replicas are rebuilt from the other nodes");
        }
        let engine = opened.partitions;
        if let Some(cluster) = folder.cluster() {
            check_root_key(&engine, ClusterId::new(cluster), root)?;
        }
        Ok(Self { folder: Arc::new(folder), engine: Arc::new(engine), log })
    }
}

/// Unwraps every shard key on this node: at most one small scan per possible shard.
fn check_root_key(
    engine: &dyn StateEngine,
    cluster: ClusterId,
    root: &dyn RootKey,
) -> Result<(), ServerError> {
    for number in 0..SHARDS_MAX {
        let Ok(shard) = ShardId::new(number) else { continue };
        let prefix = KeyPrefix::kind(GroupId::Shard(shard), KeyKind::ShardKey);
        let stored = match engine.scan(prefix.as_bytes(), None, EPOCHS_MAX) {
            // Its replicas are rebuilt; the keys in the other partitions are under the same root key.
            Err(StoreError::PartitionLost { .. }) => continue,
            stored => stored?,
        };
        for (_key, value) in stored {
            let (_header, payload) = ValueHeader::decode(&value)?;
            for wrapped in WrappedKeys::parse(&payload)?.keys() {
                ShardKey::unwrap(wrapped, root, &ShardKeyContext { cluster, shard })?;
            }
        }
    }
    Ok(())
}
