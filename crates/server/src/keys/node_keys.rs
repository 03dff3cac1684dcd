//! The keys of every shard on this node: created when a shard is first used, prepared when this node begins to lead it,
//! forgotten when it no longer does.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, OnceLock},
};

use custodia_consensus::Consensus;
use custodia_profile::{GroupId, ShardId, limits::SHARDS_MAX};
use custodia_seal::{ClusterId, RandomSource, RootKey, ShardKeyContext, SystemRandom};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{BlindingKeys, CustomerKeyCache, ShardKeys, ShardKeysParts};

/// Shards whose interrupted rotations are resumed at the same time.
const RESUMED_AT_ONCE: usize = 2;

/// The keys of the shards of a node.
pub(crate) struct NodeKeys {
    consensus: Arc<Consensus>,
    root: Arc<dyn RootKey>,
    cache: Arc<CustomerKeyCache>,
    random: Arc<dyn RandomSource>,
    blinding: BlindingKeys,
    resuming: Arc<Semaphore>,
    /// By shard number. A node stays in one cluster, so an entry never becomes wrong.
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
        let random: Arc<dyn RandomSource> = Arc::new(SystemRandom);
        let blinding = BlindingKeys::new(Arc::clone(&consensus), Arc::clone(&root), Arc::clone(&random));
        Self {
            consensus,
            root,
            cache: Arc::new(CustomerKeyCache::new(cached_customers)),
            random,
            blinding,
            resuming: Arc::new(Semaphore::new(RESUMED_AT_ONCE)),
            shards: (0..SHARDS_MAX).map(|_| OnceLock::new()).collect(),
        }
    }

    /// The keys that blind identifiers.
    pub(crate) const fn blinding(&self) -> &BlindingKeys {
        &self.blinding
    }

    /// The keys of one shard; none for a number that no shard can have.
    pub(crate) fn of(&self, cluster: ClusterId, shard: ShardId) -> Option<&Arc<ShardKeys>> {
        let slot = self.shards.get(usize::from(shard.as_u16()))?;
        Some(slot.get_or_init(|| {
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
        let Some(keys) = self.of(cluster, shard) else { return };
        if let Err(error) = keys.prepare().await {
            tracing::warn!(%shard, %error, "cannot prepare the keys of a shard; trying again when they are used");
        }
        let (keys, permits) = (Arc::clone(keys), Arc::clone(&self.resuming));
        resumed.spawn(async move {
            let Ok(_permit) = permits.acquire().await else { return };
            if let Err(error) = keys.resume_rotations().await {
                tracing::warn!(%shard, %error, "cannot resume a key rotation; the next rotation finishes it");
            }
        });
    }

    async fn end(&self, shard: ShardId) {
        if let Some(keys) = self.shards.get(usize::from(shard.as_u16())).and_then(OnceLock::get) {
            keys.forget().await;
        }
    }
}
