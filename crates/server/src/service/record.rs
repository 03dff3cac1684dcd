//! A customer's values between the engine and the profile types.
//!
//! Must always hold: a value that does not authenticate or decode is never served and never replaced: the call ends
//! with DATA_LOSS for that record, counted and logged with shard and revision, and the shard goes on.

use std::sync::Arc;

use bytes::Bytes;
use custodia_profile::{CustomerId, CustomerRecord, GroupId, RequestMemory, Revision, ShardId, Stored};
use custodia_store::{Key, KeyParts, ValueHeader};

use super::{error::ServiceError, meters::count_unreadable, room::Room};
use crate::keys::{KeysError, ShardKeys};

/// Where a customer lives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Home {
    pub(super) shard: ShardId,
    pub(super) customer: CustomerId,
}

impl Home {
    pub(super) const fn group(self) -> GroupId {
        GroupId::Shard(self.shard)
    }
}

/// A value with its header.
#[derive(Debug)]
pub(super) struct Loaded<T> {
    pub(super) header: ValueHeader,
    pub(super) value: T,
}

impl<T> Loaded<T> {
    pub(super) const fn revision(&self) -> Revision {
        Revision::from_u64(self.header.revision)
    }
}

impl Room {
    /// The keys of a shard.
    pub(super) fn keys_of(&self, shard: ShardId) -> Result<&Arc<ShardKeys>, ServiceError> {
        self.keys().of(self.cluster()?, shard)
    }

    /// The customer's core record as the engine has it now; the caller has passed the read barrier.
    pub(super) fn core(&self, home: Home) -> Result<Option<Loaded<CustomerRecord>>, ServiceError> {
        self.load(home, &Key::core(home.group(), &home.customer))
    }

    /// The customer's remembered requests.
    pub(super) fn requests(&self, home: Home) -> Result<Option<Loaded<RequestMemory>>, ServiceError> {
        self.load(home, &Key::requests(home.group(), &home.customer))
    }

    /// What is stored under `key`, one of the customer's.
    pub(super) fn load<T: Stored>(&self, home: Home, key: &Key) -> Result<Option<Loaded<T>>, ServiceError> {
        let opened = self.keys_of(home.shard)?.read(key);
        self.loaded(home, key, opened)
    }

    /// Opens and decodes a value that was read under `key`.
    pub(super) fn open<T: Stored>(
        &self,
        home: Home,
        key: &Key,
        stored: Bytes,
    ) -> Result<Option<Loaded<T>>, ServiceError> {
        let opened = self.keys_of(home.shard)?.open(key, stored);
        self.loaded(home, key, opened)
    }

    fn loaded<T: Stored>(
        &self,
        home: Home,
        key: &Key,
        opened: Result<Option<crate::keys::Opened>, KeysError>,
    ) -> Result<Option<Loaded<T>>, ServiceError> {
        match opened {
            Ok(None) => Ok(None),
            Ok(Some(opened)) => match T::decode(&opened.plaintext) {
                Ok(value) => Ok(Some(Loaded { header: opened.header, value })),
                Err(error) => Err(unreadable(home, key, Some(opened.header.revision), &error)),
            },
            Err(error) if error.is_data_loss() => Err(unreadable(home, key, None, &error)),
            Err(error) => Err(self.key_failure(home.group(), error)),
        }
    }

    /// A failure of the keys, as the caller of the shard sees it.
    pub(super) fn key_failure(&self, group: GroupId, error: KeysError) -> ServiceError {
        match error {
            KeysError::Consensus(error) => self.explained(group, error),
            KeysError::Store(error) => error.into(),
            KeysError::NoCustomer | KeysError::Destroyed => ServiceError::CustomerNotFound,
            KeysError::Contended { tries } => ServiceError::Contended { tries },
            KeysError::Seal(_)
            | KeysError::ShardKeyMissing { .. }
            | KeysError::BucketKeyMissing { .. }
            | KeysError::CustomerKeyMissing { .. }
            | KeysError::EpochGone { .. }
            | KeysError::Malformed { .. }
            | KeysError::Exhausted { .. } => ServiceError::Keys(error),
        }
    }
}

/// Counts and logs a record that cannot be read. The customer is not named: shard and revision find it for a repair.
pub(super) fn unreadable(
    home: Home,
    key: &Key,
    revision: Option<u64>,
    error: &dyn std::error::Error,
) -> ServiceError {
    count_unreadable();
    let kind = KeyParts::parse(key.as_ref()).map(|parts| parts.kind).ok();
    tracing::error!(shard = %home.shard, ?kind, revision, %error, "a stored value does not open or decode");
    ServiceError::Unreadable
}
