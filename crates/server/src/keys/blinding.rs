//! The keys that blind identifiers and blocking keys: one entry of the directory, so that every node blinds alike.
//!
//! ```text
//! key of the entry        revision                  guard                        payload
//! Meta ‖ blinding_keys    grows with every change   epoch of the newest key      WrappedKeys, newest first: one, and
//!                                                                                during a rotation the one before
//! ```
//!
//! Must always hold: the entry is there before the first namespace, and before the first attribute by which duplicates are
//! sought; a node that knows one of them has it. A key leaves the entry only after no shard has anything under it: how a
//! rotation comes to that is said in `shard/rotation`.

use std::{
    fmt,
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use custodia_consensus::{Command, Consensus, ConsensusError};
use custodia_profile::{GroupId, KeyEpoch};
use custodia_seal::{BlindingKey, ClusterId, Parent, RandomSource, RootKey, WrappedKey, WrappedKeys};
use custodia_store::Key;
use tokio::time::timeout_at;

use super::{
    KeysError,
    entry::{self, KeyEntry, with_reload},
};
use crate::propose::{Attempt, propose_until_applied};

const BLINDING_META: &str = "blinding_keys";

/// The blinding keys of the cluster.
pub(crate) struct BlindingKeys {
    consensus: Arc<Consensus>,
    root: Arc<dyn RootKey>,
    random: Arc<dyn RandomSource>,
    opened: ArcSwapOption<Opened>,
    /// The newest epoch by which a shard has refused to look identifiers up; 0: none has.
    retired: AtomicU32,
}

/// The keys, and the entry that they were opened from.
struct Opened {
    stored: Bytes,
    /// Oldest first.
    keys: Vec<BlindingKey>,
}

/// The keys that this node's copy of the directory has at one moment.
pub(crate) struct KnownBlindingKeys {
    opened: Arc<Opened>,
    retired: u32,
}

impl KnownBlindingKeys {
    /// All of them, oldest first.
    pub(crate) fn all(&self) -> &[BlindingKey] {
        &self.opened.keys
    }

    /// Those by which identifiers may be looked up, in the order in which they are tried.
    pub(crate) fn for_lookups(&self) -> impl Iterator<Item = &BlindingKey> {
        self.all().iter().filter(|key| key.epoch().as_u32() > self.retired)
    }

    /// The key of an epoch.
    ///
    /// # Errors
    /// [`KeysError::BlindingKeyMissing`] if it was destroyed, or is not known here yet.
    pub(crate) fn of_epoch(&self, epoch: KeyEpoch) -> Result<&BlindingKey, KeysError> {
        self.all().iter().find(|key| key.epoch() == epoch).ok_or(KeysError::BlindingKeyMissing)
    }
}

impl fmt::Debug for BlindingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlindingKeys").finish_non_exhaustive()
    }
}

/// Reading them.
impl BlindingKeys {
    pub(super) fn new(
        consensus: Arc<Consensus>,
        root: Arc<dyn RootKey>,
        random: Arc<dyn RandomSource>,
    ) -> Self {
        let (opened, retired) = (ArcSwapOption::empty(), AtomicU32::new(0));
        Self { consensus, root, random, opened, retired }
    }

    /// The keys of this node's copy of the directory.
    ///
    /// # Errors
    /// [`KeysError::BlindingKeyMissing`] on a node without the directory's entry; why a key cannot be opened.
    pub(crate) fn known(&self) -> Result<KnownBlindingKeys, KeysError> {
        Ok(KnownBlindingKeys { opened: self.opened()?, retired: self.retired.load(Ordering::Relaxed) })
    }

    /// The same, once the copy has the key of this epoch, or a newer one.
    ///
    /// # Errors
    /// As [`Self::known`]; [`KeysError::BlindingKeyMissing`] at the deadline.
    pub(crate) async fn known_from(
        &self,
        epoch: KeyEpoch,
        deadline: tokio::time::Instant,
    ) -> Result<KnownBlindingKeys, KeysError> {
        let mut changed = self.consensus.directory_changed();
        loop {
            changed.mark_unchanged();
            match self.known() {
                Ok(keys) if keys.all().last().is_some_and(|newest| newest.epoch() >= epoch) => {
                    return Ok(keys);
                }
                Ok(_) | Err(KeysError::BlindingKeyMissing) => {}
                Err(error) => return Err(error),
            }
            match timeout_at(deadline, changed.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_closed)) => return Err(KeysError::Consensus(ConsensusError::Stopped)),
                Err(_elapsed) => return Err(KeysError::BlindingKeyMissing),
            }
        }
    }

    /// A shard looks identifiers up by a newer key than this: then every shard is filled under that one.
    pub(crate) fn retire(&self, epoch: KeyEpoch) {
        self.retired.fetch_max(epoch.as_u32(), Ordering::Relaxed);
    }

    fn opened(&self) -> Result<Arc<Opened>, KeysError> {
        let (directory, place) = (self.consensus.directory(), Key::meta(BLINDING_META));
        let stored = directory.entry(&place).ok_or(KeysError::BlindingKeyMissing)?;
        if let Some(opened) = self.opened.load_full()
            && opened.stored == *stored
        {
            return Ok(opened);
        }
        let entry = KeyEntry::decode(place, stored)?;
        let oldest_first = entry.keys().keys().iter().rev();
        let keys = oldest_first.map(|wrapped| self.unwrapped(wrapped)).collect::<Result<Vec<_>, _>>()?;
        let opened = Arc::new(Opened { stored: stored.clone(), keys });
        self.opened.store(Some(Arc::clone(&opened)));
        Ok(opened)
    }

    fn unwrapped(&self, wrapped: &WrappedKey) -> Result<BlindingKey, KeysError> {
        let (root, cluster) = (&*self.root, self.cluster()?);
        Ok(with_reload(root, || BlindingKey::unwrap(wrapped, root, cluster))?)
    }

    fn cluster(&self) -> Result<ClusterId, KeysError> {
        self.consensus.cluster().ok_or(KeysError::Consensus(ConsensusError::NotInitialised))
    }
}

/// Changing them, on the leader of the directory.
impl BlindingKeys {
    /// Creates the first key, unless there is one.
    ///
    /// # Errors
    /// When it cannot be proposed.
    pub(crate) async fn ensure(&self, deadline: Instant) -> Result<(), KeysError> {
        self.change(deadline, || self.first_key()).await
    }

    /// Wraps every key with the current root key, after reading the root key file again; how many keys were wrapped.
    ///
    /// # Errors
    /// When the file is not usable, or nothing could be proposed.
    pub(crate) async fn rewrap(&self, deadline: Instant) -> Result<u64, KeysError> {
        self.root.reload()?;
        self.change(deadline, || self.rewrapped()).await
    }

    /// Puts a new key beside the current one, unless there are two; the epoch of the newer. None: there is no key yet.
    ///
    /// # Errors
    /// When it cannot be proposed.
    pub(crate) async fn begin_rotation(&self, deadline: Instant) -> Result<Option<KeyEpoch>, KeysError> {
        self.change(deadline, || self.with_another()).await
    }

    /// Destroys the keys before this one, which must be the newest.
    ///
    /// # Errors
    /// When it cannot be proposed.
    pub(crate) async fn finish_rotation(&self, epoch: KeyEpoch, deadline: Instant) -> Result<(), KeysError> {
        self.change(deadline, || self.without_those_before(epoch)).await
    }

    async fn change<T: Send>(
        &self,
        deadline: Instant,
        attempt: impl Fn() -> Result<Attempt<T>, KeysError> + Send + Sync,
    ) -> Result<T, KeysError> {
        let attempt = || ready(attempt());
        Ok(propose_until_applied(&*self.consensus, GroupId::Directory, deadline, attempt).await?)
    }

    fn stored(&self) -> Result<Option<KeyEntry>, KeysError> {
        KeyEntry::read(&**self.consensus.engine(), Key::meta(BLINDING_META))
    }

    fn first_key(&self) -> Result<Attempt<()>, KeysError> {
        if self.stored()?.is_some() {
            return Ok(Attempt::Done(()));
        }
        let place = Key::meta(BLINDING_META);
        let write = entry::create(&place, 0, &WrappedKeys::new(vec![self.fresh(KeyEpoch::FIRST)?])?)?;
        let command = Command { conditions: vec![entry::absent(&place)], writes: vec![write] };
        Ok(Attempt::Propose { command, answer: () })
    }

    fn with_another(&self) -> Result<Attempt<Option<KeyEpoch>>, KeysError> {
        let Some(entry) = self.stored()? else { return Ok(Attempt::Done(None)) };
        let newest = entry.epoch()?;
        if entry.is_rotating() {
            return Ok(Attempt::Done(Some(newest)));
        }
        let next = newest.next().ok_or(KeysError::Exhausted { what: "epochs" })?;
        let keys = entry.keys().with_newer(self.fresh(next)?)?;
        Ok(Attempt::Propose { command: replaced(&entry, &keys)?, answer: Some(next) })
    }

    fn without_those_before(&self, epoch: KeyEpoch) -> Result<Attempt<()>, KeysError> {
        let Some(entry) = self.stored()? else { return Ok(Attempt::Done(())) };
        if entry.epoch()? != epoch || !entry.is_rotating() {
            return Ok(Attempt::Done(()));
        }
        Ok(Attempt::Propose { command: replaced(&entry, &entry.keys().current_only())?, answer: () })
    }

    fn rewrapped(&self) -> Result<Attempt<u64>, KeysError> {
        let Some(entry) = self.stored()? else { return Ok(Attempt::Done(0)) };
        let current = Parent::Root(self.root.current());
        let (mut keys, mut count) = (Vec::new(), 0);
        for wrapped in entry.keys().keys() {
            if *wrapped.parent() == current {
                keys.push(wrapped.clone());
            } else {
                let key = self.unwrapped(wrapped)?;
                keys.push(key.wrap(&*self.root, self.cluster()?, &*self.random)?);
                count += 1;
            }
        }
        if count == 0 {
            return Ok(Attempt::Done(0));
        }
        Ok(Attempt::Propose { command: replaced(&entry, &WrappedKeys::new(keys)?)?, answer: count })
    }

    fn fresh(&self, epoch: KeyEpoch) -> Result<WrappedKey, KeysError> {
        let key = BlindingKey::generate(epoch, &*self.random)?;
        Ok(key.wrap(&*self.root, self.cluster()?, &*self.random)?)
    }
}

/// The entry with other keys, if nothing about it has changed.
fn replaced(entry: &KeyEntry, keys: &WrappedKeys) -> Result<Command, KeysError> {
    Ok(Command { conditions: vec![entry.unchanged()], writes: vec![entry.replace(keys)?] })
}
