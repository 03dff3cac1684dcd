//! Owns the ids: one newtype a file, private field, parsed at the door. Always: a value of such a type is valid.

mod attribute;
mod caller;
mod category;
mod customer;
mod group;
mod jurisdiction;
mod key_epoch;
mod node;
mod pool;
mod purpose;
mod recipient;
mod region;
mod replica;
mod request;
mod revision;
mod shard;
mod slot;
mod slug;
mod source;
mod timestamp;
mod topic;

pub use attribute::{AttributeName, AttributeNumber};
pub use caller::CallerName;
pub use category::CategoryId;
pub use customer::CustomerId;
pub use group::GroupId;
pub use jurisdiction::JurisdictionId;
pub use key_epoch::KeyEpoch;
pub use node::NodeId;
pub use pool::PoolId;
pub use purpose::{PurposeId, PurposeNumber};
pub use recipient::RecipientId;
pub use region::Region;
pub use replica::ReplicaId;
pub use request::RequestId;
pub use revision::Revision;
pub use shard::ShardId;
pub use slot::SlotId;
pub use source::SourceId;
pub use timestamp::TimestampMs;
pub(crate) use timestamp::{DAY_MS, HOUR_MS};
pub use topic::TopicId;

/// `FromStr` and `Display` of an id that is a number with a checked `new`.
macro_rules! number_text {
    ($name:ident, $number:ty, $field:literal) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::ProfileError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text.parse::<$number>() {
                    Ok(number) => Self::new(number),
                    Err(_) => {
                        Err(crate::ProfileError::Malformed { field: $field, expected: "a decimal number" })
                    }
                }
            }
        }
    };
}
pub(crate) use number_text;
