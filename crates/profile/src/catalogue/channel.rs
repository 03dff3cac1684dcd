//! Owns a channel on which customers are contacted: its name, and what the law sees in it. Always: a contact is checked,
//! recorded and wished on a channel of the catalogue alone, so that no misspelt wish is without effect.

use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{Arc, LazyLock},
};

use crate::{
    error::ProfileError,
    id::{ChannelId, Revision},
    label::check_text,
    limits::{CHANNEL_BYTES_MAX, DISPLAY_NAME_BYTES_MAX},
    numbered::numbered,
};

numbered! {
    /// What the law sees in a channel. Numbers are those of the API.
    #[derive(PartialOrd, Ord)]
    pub enum ChannelKind ("kind", expected "a kind of channel") {
        /// A message that waits until it is read, Directive 2002/58/EC Art. 2(h): e-mail, push.
        ElectronicMail = 1,
        /// The same on a telephone, 47 CFR 64.1200(a)(1), (m): SMS, messengers.
        TextMessage = 2,
        /// A calling machine without human intervention, Directive 2002/58/EC Art. 13(1); fax.
        AutomatedCall = 3,
        /// A person calls.
        Call = 4,
        /// Paper.
        Post = 5,
        /// Face to face, or on the customer's own visit to a shop, a site or an app.
        Visit = 6,
    }
}

/// A channel's fields before they are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelFields {
    /// The name that callers and wishes use; at most 32 bytes.
    pub id: ChannelId,
    /// The name for people.
    pub display_name: String,
    /// What the law sees in it.
    pub kind: ChannelKind,
    /// The entry's revision: its etag; [`Revision::NONE`] for a built-in one that was never changed.
    pub revision: Revision,
    /// Whether a built-in channel has this name. The constructor sets it.
    pub built_in: bool,
}

/// A channel. Dereferences to its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelDefinition(ChannelFields);

/// The channels that every catalogue has from the start.
const BUILT_IN: [(&str, &str, ChannelKind); 11] = [
    ("automated-call", "Calling machine", ChannelKind::AutomatedCall),
    ("email", "E-mail", ChannelKind::ElectronicMail),
    ("fax", "Fax", ChannelKind::AutomatedCall),
    ("in-app", "In the app", ChannelKind::Visit),
    ("in-person", "Face to face", ChannelKind::Visit),
    ("messenger", "Messenger", ChannelKind::TextMessage),
    ("phone", "Telephone", ChannelKind::Call),
    ("post", "Post", ChannelKind::Post),
    ("push", "Push message", ChannelKind::ElectronicMail),
    ("sms", "SMS", ChannelKind::TextMessage),
    ("web", "Web site", ChannelKind::Visit),
];

impl ChannelDefinition {
    /// Checks the fields.
    ///
    /// # Errors
    /// Names the field and the limit.
    pub fn new(mut fields: ChannelFields) -> Result<Self, ProfileError> {
        check_text("channel.display_name", &fields.display_name, DISPLAY_NAME_BYTES_MAX)?;
        if fields.id.as_str().len() > CHANNEL_BYTES_MAX {
            return Err(ProfileError::TooLong { field: "channel.id", bytes_max: CHANNEL_BYTES_MAX });
        }
        fields.built_in = BUILT_IN.iter().any(|(id, ..)| *id == fields.id.as_str());
        Ok(Self(fields))
    }
}

/// Those of this release.
pub(super) fn built_in() -> BTreeMap<ChannelId, Arc<ChannelDefinition>> {
    static ALL: LazyLock<BTreeMap<ChannelId, Arc<ChannelDefinition>>> = LazyLock::new(|| {
        let channel = |(id, display_name, kind): (&'static str, &str, ChannelKind)| {
            let id = ChannelId::built_in(id);
            let fields = ChannelFields {
                id: id.clone(),
                display_name: display_name.to_owned(),
                kind,
                revision: Revision::NONE,
                built_in: true,
            };
            (id, Arc::new(ChannelDefinition(fields)))
        };
        BUILT_IN.into_iter().map(channel).collect()
    });
    ALL.clone()
}

impl Deref for ChannelDefinition {
    type Target = ChannelFields;

    fn deref(&self) -> &ChannelFields {
        &self.0
    }
}
