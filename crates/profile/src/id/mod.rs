//! Owns the ids: one newtype per file as a rule, with a private field, parsed where input arrives. Always: a value of such a type
//! is valid.

mod activity;
mod attribute;
mod blinded_identifier;
mod caller;
mod category;
mod channel;
mod cluster;
mod customer;
mod jurisdiction;
mod key_epoch;
mod merge;
mod namespace;
mod purpose;
mod recipient;
mod region;
mod request;
mod revision;
mod slug;
mod source;
mod timestamp;
mod topic;

pub use activity::{MatterTypeId, TraitId};
pub use attribute::{AttributeName, AttributeNumber};
pub use blinded_identifier::BlindedIdentifier;
pub use caller::CallerName;
pub use category::CategoryId;
pub use channel::ChannelId;
pub use cluster::{GroupId, NodeAddress, NodeAddressError, NodeId, PoolId, ReplicaId, ShardId, SlotId};
pub use customer::CustomerId;
pub use jurisdiction::JurisdictionId;
pub use key_epoch::KeyEpoch;
pub use merge::MergeId;
pub use namespace::NamespaceId;
pub use purpose::{PurposeId, PurposeNumber};
pub use recipient::RecipientId;
pub use region::Region;
pub use request::RequestId;
pub use revision::Revision;
pub use source::SourceId;
pub use timestamp::TimestampMs;
pub(crate) use timestamp::{DAY_MS, HOUR_MS};
pub use topic::TopicId;

/// An id that is a number within a range: `new()` refuses other numbers, and `FromStr` other texts, as `Malformed`.
macro_rules! number_id {
    (
        $(#[$meta:meta])*
        pub struct $name:ident($number:ident), $as_number:ident, $range:pat, $field:literal: $expected:literal
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($number);

        impl $name {
            #[doc = concat!("Takes a number: ", $expected, ".")]
            ///
            /// # Errors
            /// `Malformed` for any other.
            pub const fn new(number: $number) -> Result<Self, $crate::error::ProfileError> {
                if matches!(number, $range) { Ok(Self(number)) } else { Err(Self::malformed($expected)) }
            }

            /// The number.
            #[must_use]
            pub const fn $as_number(self) -> $number {
                self.0
            }

            const fn malformed(expected: &'static str) -> $crate::error::ProfileError {
                $crate::error::ProfileError::Malformed { field: $field, expected }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::error::ProfileError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map_or(Err(Self::malformed("a decimal number")), Self::new)
            }
        }
    };
}
pub(crate) use number_id;
