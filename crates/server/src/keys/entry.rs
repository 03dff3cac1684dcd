//! One entry of the state that holds wrapped keys (layout in mod.rs).
//!
//! Must always hold: the header's guard is the epoch of the first key of the set.

use bytes::Bytes;
use custodia_consensus::{Condition, Expected, Write};
use custodia_profile::KeyEpoch;
use custodia_seal::{RootKey, SealError, WrappedKeys};
use custodia_store::{Key, StateEngine, ValueHeader};

use super::KeysError;

/// Wrapped keys as the state has them.
#[derive(Debug, Clone)]
pub(super) struct KeyEntry {
    key: Key,
    header: ValueHeader,
    keys: WrappedKeys,
}

impl KeyEntry {
    pub(super) fn read(engine: &dyn StateEngine, key: Key) -> Result<Option<Self>, KeysError> {
        match engine.get(key.as_ref())? {
            Some(value) => Self::decode(key, &value).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn decode(key: Key, value: &Bytes) -> Result<Self, KeysError> {
        let (header, payload) = ValueHeader::decode(value)?;
        let keys = WrappedKeys::parse(&payload)?;
        let consistent =
            keys.current().is_none_or(|current| u64::from(current.epoch().as_u32()) == header.guard);
        if consistent {
            Ok(Self { key, header, keys })
        } else {
            Err(KeysError::Malformed { what: "an entry of keys" })
        }
    }

    pub(super) const fn keys(&self) -> &WrappedKeys {
        &self.keys
    }

    pub(super) const fn key(&self) -> &Key {
        &self.key
    }

    /// The epoch for new things.
    pub(super) fn epoch(&self) -> Result<KeyEpoch, KeysError> {
        self.keys.current().map(custodia_seal::WrappedKey::epoch).ok_or(KeysError::Destroyed)
    }

    /// Whether a rotation of this key has begun and not ended.
    pub(super) fn is_rotating(&self) -> bool {
        self.keys.keys().len() > 1
    }

    /// Holds as long as nothing about the entry changes.
    pub(super) fn unchanged(&self) -> Condition {
        Condition { key: self.key.clone().into_bytes(), expected: Expected::Revision(self.header.revision) }
    }

    /// Holds as long as the current key is this one.
    pub(super) fn still_current(&self) -> Condition {
        Condition { key: self.key.clone().into_bytes(), expected: Expected::Guard(self.header.guard) }
    }

    /// The entry with other keys.
    pub(super) fn replace(&self, keys: &WrappedKeys) -> Result<Write, KeysError> {
        let revision =
            self.header.revision.checked_add(1).ok_or(KeysError::Exhausted { what: "revisions" })?;
        write(&self.key, ValueHeader { revision, ..self.header }, keys)
    }

    /// The entry removed.
    pub(super) fn remove(&self) -> Write {
        Write { key: self.key.clone().into_bytes(), value: None }
    }
}

/// Unwraps a key that a root key wrapped. If there is no such root key, the operator may have added it to the file since that was
/// read: then it is read again.
pub(super) fn with_reload<T>(
    root: &dyn RootKey,
    unwrap: impl Fn() -> Result<T, SealError>,
) -> Result<T, SealError> {
    match unwrap() {
        Err(SealError::UnknownRootKey { .. }) => {
            root.reload()?;
            unwrap()
        }
        unwrapped => unwrapped,
    }
}

/// Holds as long as there is nothing.
pub(super) fn absent(key: &Key) -> Condition {
    Condition { key: key.as_bytes().clone(), expected: Expected::Absent }
}

/// A new entry.
pub(super) fn create(key: &Key, bucket: u32, keys: &WrappedKeys) -> Result<Write, KeysError> {
    write(key, ValueHeader { revision: 1, guard: 0, bucket }, keys)
}

fn write(key: &Key, header: ValueHeader, keys: &WrappedKeys) -> Result<Write, KeysError> {
    let current = keys.current().ok_or(KeysError::Destroyed)?;
    let header = ValueHeader { guard: u64::from(current.epoch().as_u32()), ..header };
    Ok(Write { key: key.as_bytes().clone(), value: Some(header.encode(&keys.to_bytes()?)) })
}
