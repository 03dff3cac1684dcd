//! Owns the ids: one newtype per file, with a private field, parsed where input arrives. Always: a value of such a type
//! is valid.

mod attribute;
mod caller;
mod category;
mod cluster;
mod customer;
mod jurisdiction;
mod key_epoch;
mod purpose;
mod recipient;
mod region;
mod request;
mod revision;
mod slug;
mod source;
mod timestamp;
mod topic;

pub use attribute::{AttributeName, AttributeNumber};
pub use caller::CallerName;
pub use category::CategoryId;
pub use cluster::{GroupId, NodeId, PoolId, ReplicaId, ShardId, SlotId};
pub use customer::CustomerId;
pub use jurisdiction::JurisdictionId;
pub use key_epoch::KeyEpoch;
pub use purpose::{PurposeId, PurposeNumber};
pub use recipient::RecipientId;
pub use region::Region;
pub use request::RequestId;
pub use revision::Revision;
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
            type Err = crate::error::ProfileError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text.parse::<$number>() {
                    Ok(number) => Self::new(number),
                    Err(_) => Err(crate::error::ProfileError::Malformed {
                        field: $field,
                        expected: "a decimal number",
                    }),
                }
            }
        }
    };
}
pub(crate) use number_text;
