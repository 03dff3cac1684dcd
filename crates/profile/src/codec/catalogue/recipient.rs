//! Owns the bytes of a recipient.

use prost::Message;

use super::{super::Intact, read_purposes, write_purposes};
use crate::{
    catalogue::{Recipient, RecipientFields},
    error::ProfileError,
    id::{RecipientId, Revision},
};

const KIND: &str = "recipient";

#[derive(Clone, PartialEq, Message)]
pub(super) struct WireRecipient {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    display_name: String,
    #[prost(string, tag = "3")]
    description: String,
    #[prost(string, tag = "4")]
    owner: String,
    #[prost(uint32, repeated, tag = "5")]
    purposes: Vec<u32>,
    #[prost(bool, tag = "6")]
    suspended: bool,
    #[prost(uint64, tag = "7")]
    revision: u64,
}

impl WireRecipient {
    pub(super) fn from_recipient(recipient: &Recipient) -> Self {
        Self {
            id: recipient.id.as_str().to_owned(),
            display_name: recipient.display_name.clone(),
            description: recipient.description.clone(),
            owner: recipient.owner.clone(),
            purposes: write_purposes(&recipient.purposes),
            suspended: recipient.suspended,
            revision: recipient.revision.as_u64(),
        }
    }

    pub(super) fn into_recipient(self) -> Result<Recipient, ProfileError> {
        let fields = RecipientFields {
            id: RecipientId::new(&self.id).intact(KIND, "id")?,
            display_name: self.display_name,
            description: self.description,
            owner: self.owner,
            purposes: read_purposes(&self.purposes, KIND)?,
            suspended: self.suspended,
            revision: Revision::from_u64(self.revision),
        };
        Recipient::new(fields).intact(KIND, "combination of fields")
    }
}

stored!(Recipient as WireRecipient: from_recipient, into_recipient);
