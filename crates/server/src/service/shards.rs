//! The keys of every shard on this node: made when a shard is first used, prepared when this node begins to lead it,
//! forgotten when it leads no longer.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, OnceLock},
};

use custodia_consensus::Consensus;
use custodia_profile::{GroupId, ShardId, limits::SHARDS_MAX};
use custodia_seal::{ClusterId, RandomSource, RootKey, ShardKeyContext, SystemRandom};
use tokio::{sync::Semaphore, task::JoinSet};

use super::error::ServiceError;
use crate::keys::{CustomerKeyCache, ShardKeys, ShardKeysParts};

/// Shards whose interrupted turns go on at the same time.
const RESUMED_AT_ONCE: usize = 2;

/// The keys of the shards of a node.
pub(crate) struct NodeKeys {
    consensus: Arc<Consensus>,
    root: Arc<dyn RootKey>,
    cache: Arc<CustomerKeyCache>,
    random: Arc<dyn RandomSource>,
    resuming: Arc<Semaphore>,
    /// By shard number; a node is in one cluster for ever, so what is made once stays right.
    shards: Box<[OnceLock<Arc<ShardKeys>>]>,
}

impl fmt::Debug for NodeKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeKeys").finish_non_exhaustive()
    }
}

impl NodeKeys {
    /// The keys under `root`, with memory for the keys of `cached_customers`.
    pub(crate) fn new(consensus: Arc<Consensus>, root: Arc<dyn RootKey>, cached_customers: usize) -> Self {
        Self {
            consensus,
            root,
            cache: Arc::new(CustomerKeyCache::new(cached_customers)),
            random: Arc::new(SystemRandom),
            resuming: Arc::new(Semaphore::new(RESUMED_AT_ONCE)),
            shards: (0..SHARDS_MAX).map(|_| OnceLock::new()).collect(),
        }
    }

    /// The keys of one shard.
    pub(super) fn of(&self, cluster: ClusterId, shard: ShardId) -> Result<&Arc<ShardKeys>, ServiceError> {
        let slot = self.shards.get(usize::from(shard.as_u16()));
        let slot = slot.ok_or(ServiceError::Internal { context: "a shard number out of range" })?;
        Ok(slot.get_or_init(|| {
            let consensus: Arc<Consensus> = Arc::clone(&self.consensus);
            Arc::new(ShardKeys::new(ShardKeysParts {
                place: ShardKeyContext { cluster, shard },
                engine: Arc::clone(self.consensus.engine()),
                proposer: consensus,
                root: Arc::clone(&self.root),
                cache: Arc::clone(&self.cache),
                random: Arc::clone(&self.random),
            }))
        }))
    }

    /// Follows the leadership of the shards until consensus stops. The owner of the task aborts it at shutdown.
    pub(crate) async fn follow_leadership(self: Arc<Self>) {
        let mut changed = self.consensus.leadership_changed();
        let mut led = BTreeSet::new();
        let mut resumed = JoinSet::new();
        loop {
            changed.mark_unchanged();
            let leads = self.led();
            for shard in leads.difference(&led) {
                self.begin(*shard, &mut resumed).await;
            }
            for shard in led.difference(&leads) {
                self.end(*shard).await;
            }
            led = leads;
            while resumed.try_join_next().is_some() {}
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    fn led(&self) -> BTreeSet<ShardId> {
        let directory = self.consensus.directory();
        let shards = directory.shards().map(|placement| placement.shard);
        shards.filter(|shard| self.consensus.is_leader(GroupId::Shard(*shard))).collect()
    }

    async fn begin(&self, shard: ShardId, resumed: &mut JoinSet<()>) {
        let Some(cluster) = self.consensus.cluster() else { return };
        let Ok(keys) = self.of(cluster, shard) else { return };
        if let Err(error) = keys.prepare().await {
            tracing::warn!(%shard, %error, "the keys of a shard could not be prepared; they are tried again when used");
        }
        let (keys, room) = (Arc::clone(keys), Arc::clone(&self.resuming));
        resumed.spawn(async move {
            let Ok(_room) = room.acquire().await else { return };
            if let Err(error) = keys.resume_turns().await {
                tracing::warn!(%shard, %error, "a turn of keys could not go on; it does when keys are turned again");
            }
        });
    }

    async fn end(&self, shard: ShardId) {
        if let Some(keys) = self.shards.get(usize::from(shard.as_u16())).and_then(OnceLock::get) {
            keys.forget().await;
        }
    }
}
