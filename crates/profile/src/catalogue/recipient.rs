//! Owns a recipient: a registered application that reads or collects data. Always: a suspended one does neither.

use std::ops::Deref;

use super::check_list;
use crate::{
    error::ProfileError,
    id::{PurposeNumber, RecipientId, Revision},
    label::check_text,
    limits::{DESCRIPTION_BYTES_MAX, DISPLAY_NAME_BYTES_MAX, OWNER_BYTES_MAX, RECIPIENT_PURPOSES_MAX},
};

/// A recipient's fields before they are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientFields {
    /// The caller's name.
    pub id: RecipientId,
    /// The name for people.
    pub display_name: String,
    /// What it does.
    pub description: String,
    /// Who is responsible for it; may be empty.
    pub owner: String,
    /// For which purposes it may read.
    pub purposes: Vec<PurposeNumber>,
    /// For which purposes it may collect.
    pub collection_purposes: Vec<PurposeNumber>,
    /// Whether it is a third party (GDPR Art. 4(10)): neither the controller's own nor a processor's.
    pub third_party: bool,
    /// Suspended: it neither reads nor collects.
    pub suspended: bool,
    /// The entry's revision: its etag.
    pub revision: Revision,
}

/// A recipient. Dereferences to its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient(RecipientFields);

impl Recipient {
    /// Checks the fields.
    ///
    /// # Errors
    /// Names the field and the limit.
    pub fn new(fields: RecipientFields) -> Result<Self, ProfileError> {
        check_text("recipient.display_name", &fields.display_name, DISPLAY_NAME_BYTES_MAX)?;
        check_text("recipient.description", &fields.description, DESCRIPTION_BYTES_MAX)?;
        check_text("recipient.owner", &fields.owner, OWNER_BYTES_MAX)?;
        check_list("recipient.purposes", &fields.purposes, RECIPIENT_PURPOSES_MAX)?;
        let collected = &fields.collection_purposes;
        check_list("recipient.collection_purposes", collected, RECIPIENT_PURPOSES_MAX)?;
        Ok(Self(fields))
    }

    /// Whether it may read for the purpose. The purpose's own list of recipients is checked elsewhere.
    #[must_use]
    pub fn allows(&self, purpose: PurposeNumber) -> bool {
        !self.0.suspended && self.0.purposes.contains(&purpose)
    }

    /// Whether it may collect for the purpose.
    #[must_use]
    pub fn collects(&self, purpose: PurposeNumber) -> bool {
        !self.0.suspended && self.0.collection_purposes.contains(&purpose)
    }
}

impl Deref for Recipient {
    type Target = RecipientFields;

    fn deref(&self) -> &RecipientFields {
        &self.0
    }
}
