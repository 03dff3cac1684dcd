//! The layout of keys. No other file builds or splits one.
//!
//! ```text
//! group u16 BE │ kind u8 │ rest
//! ─────────────┼─────────┼──────────────────────────────────────────────────────────────────────
//!              │  0      │ entry u8                    replica: 0 applied state, 1 install marker
//!              │  1      │ customer 16                 core record
//!              │  2      │ customer 16                 request memory
//!              │  3      │ customer 16 ‖ sort key 24   event; sort key = !(ms) BE 8 ‖ xxh3-128(event id) BE 16
//!              │  4      │ customer 16 ‖ sequence BE 8 consent ledger entry
//!              │  5      │ customer 16 ‖ xxh3-128 16   event id → sort key of the event
//!              │  6      │ blinded identifier 32       its holders; its first 16 bytes have the form of a customer
//!              │  8      │ blocking key 8 ‖ customer 16  blinded; a customer whom it may match
//!              │  9      │ customer 16                 the blocking keys that the customer is under
//!              │ 10      │ customer 16 ‖ customer 16   suspected duplicates
//!              │ 16      │ epoch BE 4                  wrapped shard key
//!              │ 17      │ bucket BE 4                 wrapped bucket key
//!              │ 18      │ bucket BE 4 ‖ customer 16   wrapped customer key
//!              │ 19      │                             how far the shard is with the blinding keys
//!              │ 32      │ node BE 4                   directory: node
//!              │ 33      │ shard BE 2                  directory: shard
//!              │ 34      │ purpose, UTF-8              directory: purpose
//!              │ 35      │ attribute, UTF-8            directory: attribute
//!              │ 36      │ name, UTF-8                 directory: everything else, by name
//!              │ 37      │ jurisdiction, UTF-8         directory: jurisdiction
//!              │ 38      │ recipient, UTF-8            directory: recipient
//!              │ 39      │ catalogue version BE 8      directory: one change of the catalogue
//!              │ 40      │ attribute number BE 4       directory: when an attribute was last read and collected
//!              │ 41, 42  │ its id, UTF-8               directory: channel, namespace of identifiers
//!              │ 43, 44  │ its id, UTF-8               directory: type of matters, trait
//! ```
//!
//! Invariants: the group comes first, so a group is one range. Kind 0 comes first in its group and never leaves the node.
//! An event's time is inverted, so a scan returns the newest event first. The numbers are on disk: they are never reused.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use custodia_profile::{
    AttributeName, AttributeNumber, BlindedIdentifier, ChannelId, CustomerId, GroupId, JurisdictionId,
    KeyEpoch, MatterTypeId, NamespaceId, NodeId, PurposeId, RecipientId, ShardId, TimestampMs, TraitId,
    numbered,
};
use xxhash_rust::xxh3::xxh3_128;

use crate::error::StoreError;

numbered! {
    /// What is stored under a key.
    #[derive(PartialOrd, Ord)]
    pub enum KeyKind {
        /// A replica's own state; local, never sent to another node.
        Replica = 0,
        /// A customer's core record.
        Core = 1,
        /// A customer's request memory.
        Requests = 2,
        /// One event.
        Event = 3,
        /// One entry of the consent ledger.
        Ledger = 4,
        /// The sort key of the event with an id.
        EventId = 5,
        /// The holders of an identifier.
        Identifier = 6,
        /// A customer under a blinded blocking key.
        BlockingKey = 8,
        /// The blinded blocking keys of a customer.
        BlockingSet = 9,
        /// A customer, and another who may be the same person.
        Duplicate = 10,
        /// A wrapped shard key.
        ShardKey = 16,
        /// A wrapped bucket key.
        BucketKey = 17,
        /// A wrapped customer key.
        CustomerKey = 18,
        /// How far a shard is with the blinding keys.
        BlindingStage = 19,
        /// Directory: a node.
        Node = 32,
        /// Directory: a shard.
        Shard = 33,
        /// Directory: a purpose.
        Purpose = 34,
        /// Directory: an attribute.
        Attribute = 35,
        /// Directory: an entry known by name.
        Meta = 36,
        /// Directory: a jurisdiction.
        Jurisdiction = 37,
        /// Directory: a recipient.
        Recipient = 38,
        /// Directory: one change of the catalogue.
        CatalogueChange = 39,
        /// Directory: when an attribute was last read and collected.
        AttributeUsage = 40,
        /// Directory: a channel.
        Channel = 41,
        /// Directory: a namespace of identifiers.
        Namespace = 42,
        /// Directory: a type of matters.
        MatterType = 43,
        /// Directory: a trait.
        Trait = 44,
    }
}

impl KeyKind {
    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Replica => "replica",
            Self::Core => "core",
            Self::Requests => "requests",
            Self::Event => "event",
            Self::Ledger => "ledger",
            Self::EventId => "event-id",
            Self::Identifier => "identifier",
            Self::BlockingKey => "blocking-key",
            Self::BlockingSet => "blocking-set",
            Self::Duplicate => "duplicate",
            Self::ShardKey => "shard-key",
            Self::BucketKey => "bucket-key",
            Self::CustomerKey => "customer-key",
            Self::BlindingStage => "blinding-stage",
            Self::Node => "node",
            Self::Shard => "shard",
            Self::Purpose => "purpose",
            Self::Attribute => "attribute",
            Self::Meta => "meta",
            Self::Jurisdiction => "jurisdiction",
            Self::Recipient => "recipient",
            Self::CatalogueChange => "catalogue-change",
            Self::AttributeUsage => "attribute-usage",
            Self::Channel => "channel",
            Self::Namespace => "namespace",
            Self::MatterType => "matter-type",
            Self::Trait => "trait",
        }
    }
}

/// A replica's own entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ReplicaEntry {
    /// The last applied log id, and the membership as of then.
    Applied = 0,
    /// The install in progress; see `install.rs`.
    Install = 1,
}

const GROUP_BYTES: usize = 2;
const KIND_BYTES: usize = 1;
const CUSTOMER_BYTES: usize = 16;
const BLOCKING_KEY_BYTES: usize = 8;

/// Orders a customer's events: newest first, then by hash of the event id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventSortKey([u8; Self::BYTES]);

impl EventSortKey {
    /// Its length.
    pub const BYTES: usize = 24;

    /// The sort key of an event.
    #[must_use]
    pub fn new(occurred_at: TimestampMs, event_id: &str) -> Self {
        let mut sort_key = [0; Self::BYTES];
        let mut fields = &mut sort_key[..];
        fields.put_u64(newest_first(occurred_at));
        fields.put_u128(xxh3_128(event_id.as_bytes()));
        Self(sort_key)
    }

    /// From the bytes of an event id entry, or from the end of an event's key.
    ///
    /// # Errors
    /// When the length is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        bytes.try_into().map(Self).or(Err(StoreError::Corrupt { what: "event sort key" }))
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Debug for EventSortKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EventSortKey(…)")
    }
}

/// Inverted, and in order for negative times too.
fn newest_first(at: TimestampMs) -> u64 {
    !(at.as_ms().cast_unsigned() ^ (1 << 63))
}

/// A whole key. Its `Debug` shows only the group and the kind.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Bytes);

/// A constructor for each row: its group, its kind and the parts of the rest.
macro_rules! keys {
    ($(
        $(#[$doc:meta])*
        $name:ident($($part:ident: $type:ty),+) = $group:expr, $kind:ident, [$($bytes:expr),+];
    )+) => {
        impl Key {$(
            $(#[$doc])*
            #[must_use]
            pub fn $name($($part: $type),+) -> Self {
                build($group, KeyKind::$kind, &[$($bytes),+])
            }
        )+}
    };
}

keys! {
    /// One of a replica's own entries.
    replica(group: GroupId, entry: ReplicaEntry) = group, Replica, [&[entry as u8]];
    /// A customer's core record.
    core(group: GroupId, customer: &CustomerId) = group, Core, [customer.as_bytes()];
    /// A customer's request memory.
    requests(group: GroupId, customer: &CustomerId) = group, Requests, [customer.as_bytes()];
    /// One event of a customer.
    event(group: GroupId, customer: &CustomerId, sort_key: &EventSortKey) =
        group, Event, [customer.as_bytes(), sort_key.as_bytes()];
    /// One entry of a customer's consent ledger.
    ledger(group: GroupId, customer: &CustomerId, sequence: u64) =
        group, Ledger, [customer.as_bytes(), &sequence.to_be_bytes()];
    /// The sort key of the event with an id.
    event_id(group: GroupId, customer: &CustomerId, event_id: &str) =
        group, EventId, [customer.as_bytes(), &xxh3_128(event_id.as_bytes()).to_be_bytes()];
    /// The holders of an identifier.
    identifier(group: GroupId, identifier: &BlindedIdentifier) =
        group, Identifier, [identifier.place().as_bytes(), identifier.rest()];
    /// A customer under a blinded blocking key.
    blocking_key(group: GroupId, blocking_key: u64, customer: &CustomerId) =
        group, BlockingKey, [&blocking_key.to_be_bytes(), customer.as_bytes()];
    /// The blinded blocking keys of a customer.
    blocking_set(group: GroupId, customer: &CustomerId) = group, BlockingSet, [customer.as_bytes()];
    /// A customer, and another who may be the same person.
    duplicate(group: GroupId, customer: &CustomerId, other: &CustomerId) =
        group, Duplicate, [customer.as_bytes(), other.as_bytes()];
    /// The wrapped shard key of an epoch.
    shard_key(group: GroupId, epoch: KeyEpoch) = group, ShardKey, [&epoch.as_u32().to_be_bytes()];
    /// The wrapped key of a bucket.
    bucket_key(group: GroupId, bucket: u32) = group, BucketKey, [&bucket.to_be_bytes()];
    /// The wrapped key of a customer, next to the others of its bucket.
    customer_key(group: GroupId, bucket: u32, customer: &CustomerId) =
        group, CustomerKey, [&bucket.to_be_bytes(), customer.as_bytes()];
    /// How far a shard is with the blinding keys.
    blinding_stage(group: GroupId) = group, BlindingStage, [&[]];
    /// The directory's entry of a node.
    node(node: NodeId) = GroupId::Directory, Node, [&node.as_u32().to_be_bytes()];
    /// The directory's entry of a shard.
    shard(shard: ShardId) = GroupId::Directory, Shard, [&shard.as_u16().to_be_bytes()];
    /// The directory's entry of a purpose.
    purpose(purpose: &PurposeId) = GroupId::Directory, Purpose, [purpose.as_str().as_bytes()];
    /// The directory's entry of an attribute.
    attribute(attribute: &AttributeName) = GroupId::Directory, Attribute, [attribute.as_str().as_bytes()];
    /// Any other entry of the directory, under a name fixed in the code.
    meta(name: &'static str) = GroupId::Directory, Meta, [name.as_bytes()];
    /// The directory's entry of a jurisdiction.
    jurisdiction(jurisdiction: &JurisdictionId) =
        GroupId::Directory, Jurisdiction, [jurisdiction.as_str().as_bytes()];
    /// The directory's entry of a recipient.
    recipient(recipient: &RecipientId) = GroupId::Directory, Recipient, [recipient.as_str().as_bytes()];
    /// The change that led to a version of the catalogue.
    catalogue_change(version: u64) = GroupId::Directory, CatalogueChange, [&version.to_be_bytes()];
    /// When an attribute was last read and collected.
    attribute_usage(attribute: AttributeNumber) =
        GroupId::Directory, AttributeUsage, [&attribute.as_u32().to_be_bytes()];
    /// The directory's entry of a channel.
    channel(channel: &ChannelId) = GroupId::Directory, Channel, [channel.as_str().as_bytes()];
    /// The directory's entry of a namespace.
    namespace(namespace: &NamespaceId) = GroupId::Directory, Namespace, [namespace.as_str().as_bytes()];
    /// The directory's entry of a type of matters.
    matter_type(matter_type: &MatterTypeId) =
        GroupId::Directory, MatterType, [matter_type.as_str().as_bytes()];
    /// The directory's entry of a trait.
    trait_definition(id: &TraitId) = GroupId::Directory, Trait, [id.as_str().as_bytes()];
}

impl Key {
    /// A key that came from an engine, a log or another node.
    ///
    /// # Errors
    /// When it does not begin with a group and a known kind.
    pub fn parse(bytes: Bytes) -> Result<Self, StoreError> {
        split(&bytes)?;
        Ok(Self(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Its bytes, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl From<Key> for Bytes {
    fn from(key: Key) -> Self {
        key.0
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match split(&self.0) {
            Ok(parts) => write!(formatter, "Key({}/{:?}/…)", parts.group, parts.kind),
            Err(_) => formatter.write_str("Key(…)"),
        }
    }
}

/// A prefix that many keys share.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPrefix(Bytes);

impl KeyPrefix {
    /// Everything of a group.
    #[must_use]
    pub fn group(group: GroupId) -> Self {
        Self(Bytes::copy_from_slice(&group.as_u16().to_be_bytes()))
    }

    /// Everything of one kind in a group.
    #[must_use]
    pub fn kind(group: GroupId, kind: KeyKind) -> Self {
        Self(build(group, kind, &[]).0)
    }

    /// Everything of one kind that belongs to a customer: core, requests, events, ledger, event ids.
    #[must_use]
    pub fn customer(group: GroupId, kind: KeyKind, customer: &CustomerId) -> Self {
        Self(build(group, kind, &[customer.as_bytes()]).0)
    }

    /// The customers under a blinded blocking key.
    #[must_use]
    pub fn block(group: GroupId, blocking_key: u64) -> Self {
        Self(build(group, KeyKind::BlockingKey, &[&blocking_key.to_be_bytes()]).0)
    }

    /// The wrapped keys of a bucket's customers.
    #[must_use]
    pub fn bucket_customers(group: GroupId, bucket: u32) -> Self {
        Self(build(group, KeyKind::CustomerKey, &[&bucket.to_be_bytes()]).0)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for KeyPrefix {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for KeyPrefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyPrefix(…)")
    }
}

/// The parts of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyParts<'a> {
    /// The group that it belongs to.
    pub group: GroupId,
    /// What is stored under it.
    pub kind: KeyKind,
    /// The customer, for the kinds that have one.
    pub customer: Option<CustomerId>,
    /// The rest: the event's sort key, the sequence, the epoch …
    pub suffix: &'a [u8],
}

impl fmt::Debug for KeyParts<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyParts({}/{:?}/…)", self.group, self.kind)
    }
}

impl<'a> KeyParts<'a> {
    /// Splits a key.
    ///
    /// # Errors
    /// When the group, the kind or the customer is not one that this program writes.
    pub fn parse(key: &'a [u8]) -> Result<Self, StoreError> {
        let Split { group, kind, rest } = split(key)?;
        let parts = |customer, suffix| Self { group, kind, customer, suffix };
        match kind {
            KeyKind::Core
            | KeyKind::Requests
            | KeyKind::Event
            | KeyKind::Ledger
            | KeyKind::EventId
            | KeyKind::Identifier
            | KeyKind::BlockingSet
            | KeyKind::Duplicate => {
                let (customer, suffix) = split_customer(rest)?;
                Ok(parts(Some(customer), suffix))
            }
            KeyKind::BlockingKey => {
                let (blocking_key, rest) = rest.split_at_checked(BLOCKING_KEY_BYTES).ok_or(MALFORMED)?;
                let (customer, end) = split_customer(rest)?;
                if end.is_empty() { Ok(parts(Some(customer), blocking_key)) } else { Err(MALFORMED) }
            }
            KeyKind::CustomerKey => {
                let (bucket, rest) = rest.split_at_checked(4).ok_or(MALFORMED)?;
                let (customer, end) = split_customer(rest)?;
                if end.is_empty() { Ok(parts(Some(customer), bucket)) } else { Err(MALFORMED) }
            }
            KeyKind::Replica
            | KeyKind::ShardKey
            | KeyKind::BucketKey
            | KeyKind::BlindingStage
            | KeyKind::Node
            | KeyKind::Shard
            | KeyKind::Purpose
            | KeyKind::Attribute
            | KeyKind::Meta
            | KeyKind::Jurisdiction
            | KeyKind::Recipient
            | KeyKind::CatalogueChange
            | KeyKind::AttributeUsage
            | KeyKind::Channel
            | KeyKind::Namespace
            | KeyKind::MatterType
            | KeyKind::Trait => Ok(parts(None, rest)),
        }
    }
}

const MALFORMED: StoreError = StoreError::Corrupt { what: "key" };

struct Split<'a> {
    group: GroupId,
    kind: KeyKind,
    rest: &'a [u8],
}

/// The group that a key, or a prefix of keys, begins with.
///
/// # Errors
/// [`StoreError::NotOneGroup`] if it begins with none.
pub fn group_of(key: &[u8]) -> Result<GroupId, StoreError> {
    let (group, _) = key.split_first_chunk::<GROUP_BYTES>().ok_or(StoreError::NotOneGroup)?;
    GroupId::from_u16(u16::from_be_bytes(*group)).or(Err(StoreError::NotOneGroup))
}

fn split(key: &[u8]) -> Result<Split<'_>, StoreError> {
    let group = group_of(key).or(Err(MALFORMED))?;
    let (&kind, rest) = key.get(GROUP_BYTES..).and_then(<[u8]>::split_first).ok_or(MALFORMED)?;
    let kind = KeyKind::with_number(kind).ok_or(MALFORMED)?;
    Ok(Split { group, kind, rest })
}

fn split_customer(rest: &[u8]) -> Result<(CustomerId, &[u8]), StoreError> {
    let (customer, suffix) = rest.split_first_chunk::<CUSTOMER_BYTES>().ok_or(MALFORMED)?;
    Ok((CustomerId::from_bytes(*customer).or(Err(MALFORMED))?, suffix))
}

fn build(group: GroupId, kind: KeyKind, rest: &[&[u8]]) -> Key {
    let length = GROUP_BYTES + KIND_BYTES + rest.iter().map(|part| part.len()).sum::<usize>();
    let mut key = BytesMut::with_capacity(length);
    key.put_u16(group.as_u16());
    key.put_u8(kind.number());
    for part in rest {
        key.put_slice(part);
    }
    Key(key.freeze())
}

#[cfg(test)]
mod tests;
