//! The keys that blind identifiers and blocking keys: one entry of the directory, so that every node blinds alike.
//!
//! ```text
//! key of the entry        revision                  guard                        payload
//! Meta ‖ blinding_keys    grows with every change   epoch of the current key     WrappedKeys, newest first
//! ```
//!
//! Must always hold: the entry is there before the first namespace, and before the first attribute by which duplicates are
//! sought; a node that knows one of them has it.

use std::{fmt, future::ready, sync::Arc, time::Instant};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use custodia_consensus::{Command, Consensus, ConsensusError};
use custodia_profile::{BlindedIdentifier, GroupId, Identifier, KeyEpoch};
use custodia_seal::{BlindingKey, ClusterId, Parent, RandomSource, RootKey, WrappedKey, WrappedKeys};
use custodia_store::Key;

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
}

/// The current key, and the entry that it was opened from.
struct Opened {
    stored: Bytes,
    key: BlindingKey,
}

/// The key that is current at one moment.
pub(crate) struct CurrentBlindingKey(Arc<Opened>);

impl std::ops::Deref for CurrentBlindingKey {
    type Target = BlindingKey;

    fn deref(&self) -> &BlindingKey {
        &self.0.key
    }
}

impl fmt::Debug for BlindingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlindingKeys").finish_non_exhaustive()
    }
}

impl BlindingKeys {
    pub(super) fn new(
        consensus: Arc<Consensus>,
        root: Arc<dyn RootKey>,
        random: Arc<dyn RandomSource>,
    ) -> Self {
        Self { consensus, root, random, opened: ArcSwapOption::empty() }
    }

    /// The identifier as the index knows it.
    ///
    /// # Errors
    /// [`KeysError::BlindingKeyMissing`] on a node without the directory's entry; why the key cannot be opened.
    pub(crate) fn blind(&self, identifier: &Identifier) -> Result<BlindedIdentifier, KeysError> {
        let key = &self.opened()?.key;
        Ok(key.blind(identifier.namespace.as_str(), identifier.value.as_str()))
    }

    /// The current key, to blind many values with.
    ///
    /// # Errors
    /// As [`Self::blind`].
    pub(crate) fn current(&self) -> Result<CurrentBlindingKey, KeysError> {
        Ok(CurrentBlindingKey(self.opened()?))
    }

    /// Creates the first key, unless there is one. Called on the leader of the directory.
    ///
    /// # Errors
    /// When it cannot be proposed.
    pub(crate) async fn ensure(&self, deadline: Instant) -> Result<(), KeysError> {
        let attempt = || ready(self.first_key());
        Ok(propose_until_applied(&*self.consensus, GroupId::Directory, deadline, attempt).await?)
    }

    fn first_key(&self) -> Result<Attempt<()>, KeysError> {
        let place = Key::meta(BLINDING_META);
        if KeyEntry::read(&**self.consensus.engine(), place.clone())?.is_some() {
            return Ok(Attempt::Done(()));
        }
        let key = BlindingKey::generate(KeyEpoch::FIRST, &*self.random)?;
        let wrapped = key.wrap(&*self.root, self.cluster()?, &*self.random)?;
        let write = entry::create(&place, 0, &WrappedKeys::new(vec![wrapped])?)?;
        let command = Command { conditions: vec![entry::absent(&place)], writes: vec![write] };
        Ok(Attempt::Propose { command, answer: () })
    }

    /// Wraps the key with the current root key, after reading the root key file again; how many keys were wrapped. Called on the
    /// leader of the directory.
    ///
    /// # Errors
    /// When the file is not usable, or nothing could be proposed.
    pub(crate) async fn rewrap(&self, deadline: Instant) -> Result<u64, KeysError> {
        self.root.reload()?;
        let attempt = || ready(self.rewrapped());
        Ok(propose_until_applied(&*self.consensus, GroupId::Directory, deadline, attempt).await?)
    }

    fn rewrapped(&self) -> Result<Attempt<u64>, KeysError> {
        let stored = KeyEntry::read(&**self.consensus.engine(), Key::meta(BLINDING_META))?;
        let Some(entry) = stored else { return Ok(Attempt::Done(0)) };
        let current = entry.keys().current().ok_or(KeysError::Destroyed)?;
        if *current.parent() == Parent::Root(self.root.current()) {
            return Ok(Attempt::Done(0));
        }
        let key = self.unwrapped(current)?;
        let wrapped = key.wrap(&*self.root, self.cluster()?, &*self.random)?;
        let write = entry.replace(&WrappedKeys::new(vec![wrapped])?)?;
        let command = Command { conditions: vec![entry.unchanged()], writes: vec![write] };
        Ok(Attempt::Propose { command, answer: 1 })
    }

    fn unwrapped(&self, wrapped: &WrappedKey) -> Result<BlindingKey, KeysError> {
        let (root, cluster) = (&*self.root, self.cluster()?);
        Ok(with_reload(root, || BlindingKey::unwrap(wrapped, root, cluster))?)
    }

    fn cluster(&self) -> Result<ClusterId, KeysError> {
        self.consensus.cluster().ok_or(KeysError::Consensus(ConsensusError::NotInitialised))
    }

    /// The current key of this node's copy of the directory.
    fn opened(&self) -> Result<Arc<Opened>, KeysError> {
        let (directory, place) = (self.consensus.directory(), Key::meta(BLINDING_META));
        let stored = directory.entry(&place).ok_or(KeysError::BlindingKeyMissing)?;
        if let Some(opened) = self.opened.load_full()
            && opened.stored == *stored
        {
            return Ok(opened);
        }
        let entry = KeyEntry::decode(place, stored)?;
        let current = entry.keys().current().ok_or(KeysError::Destroyed)?;
        let key = self.unwrapped(current)?;
        let opened = Arc::new(Opened { stored: stored.clone(), key });
        self.opened.store(Some(Arc::clone(&opened)));
        Ok(opened)
    }
}
