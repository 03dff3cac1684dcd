//! Owns the history of the catalogue: every change in order, and the catalogue as it was (CO-8, GO-3). Always: a
//! replayed catalogue is one that existed.

use std::sync::Arc;

use super::{
    AttributeDefinition, Catalogue, ChannelDefinition, Jurisdiction, MatterType, Namespace, Purpose,
    Recipient, TraitDefinition,
};
use crate::{error::ProfileError, id::TimestampMs, label::check_text, limits::CHANGED_BY_BYTES_MAX};

/// One entry of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatalogueEntry {
    /// A purpose.
    Purpose(Arc<Purpose>),
    /// An attribute.
    Attribute(Arc<AttributeDefinition>),
    /// A jurisdiction.
    Jurisdiction(Arc<Jurisdiction>),
    /// A recipient.
    Recipient(Arc<Recipient>),
    /// A channel.
    Channel(Arc<ChannelDefinition>),
    /// A namespace of identifiers.
    Namespace(Arc<Namespace>),
    /// A type of matters.
    MatterType(Arc<MatterType>),
    /// A trait.
    Trait(Arc<TraitDefinition>),
}

macro_rules! entry_from {
    ($($kind:ident($entry:ty))+) => {$(
        impl From<$entry> for CatalogueEntry {
            fn from(entry: $entry) -> Self {
                Self::$kind(Arc::new(entry))
            }
        }
    )+};
}
entry_from! {
    Purpose(Purpose) Attribute(AttributeDefinition) Jurisdiction(Jurisdiction) Recipient(Recipient)
    Channel(ChannelDefinition) Namespace(Namespace) MatterType(MatterType) Trait(TraitDefinition)
}

/// One change of the catalogue: the entry as it was after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueChange {
    version: u64,
    changed_at: TimestampMs,
    changed_by: String,
    entry: CatalogueEntry,
}

impl CatalogueChange {
    /// A change that made version `version` of the catalogue; `changed_by` has at most 64 bytes.
    ///
    /// # Errors
    /// Names the field and the limit.
    pub fn new(
        version: u64,
        changed_at: TimestampMs,
        changed_by: String,
        entry: CatalogueEntry,
    ) -> Result<Self, ProfileError> {
        check_text("changed_by", &changed_by, CHANGED_BY_BYTES_MAX)?;
        Ok(Self { version, changed_at, changed_by, entry })
    }

    /// The version of the catalogue after this change.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// When it was made.
    #[must_use]
    pub const fn changed_at(&self) -> TimestampMs {
        self.changed_at
    }

    /// The name of the caller who made it.
    #[must_use]
    pub fn changed_by(&self) -> &str {
        &self.changed_by
    }

    /// The entry after it.
    #[must_use]
    pub const fn entry(&self) -> &CatalogueEntry {
        &self.entry
    }
}

impl Catalogue {
    /// The catalogue at a moment, and its version; 0 before the first change. `changes` is the whole history, in the
    /// order of the versions.
    ///
    /// The replay ends at the first change after the moment. So even if a clock went back between two changes, the
    /// result is a catalogue that existed, never one with a later change but without an earlier one.
    ///
    /// # Errors
    /// `Malformed` if the versions do not ascend; else as [`Catalogue::put`].
    pub fn as_of(
        changes: impl IntoIterator<Item = CatalogueChange>,
        moment: TimestampMs,
    ) -> Result<(Self, u64), ProfileError> {
        let mut catalogue = Self::new();
        let mut version = 0;
        for change in changes {
            if change.changed_at > moment {
                break;
            }
            if change.version <= version {
                return Err(ProfileError::Malformed {
                    field: "catalogue changes",
                    expected: "versions that ascend",
                });
            }
            catalogue.put(change.entry)?;
            version = change.version;
        }
        Ok((catalogue, version))
    }
}
