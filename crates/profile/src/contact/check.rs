//! Owns the verdict on a contact. Always: no contact is allowed at a moment at which the law refuses its purpose.
//!
//! 1. The law decides first, at the moment of the contact. A refusal is not a delay: the contact is not allowed, even
//!    if the law would permit it later.
//! 2. Once the customer has listed any channel, only wanted channels may be used. Before that, any may.
//! 3. An unwanted topic is not allowed. A topic that the customer did not mention is.
//! 4. Frequency caps and quiet hours only delay, unless a cap allows nothing or quiet hours never end. The caps come
//!    first: once free, they stay free, while quiet hours come again.
//! 5. The law decides again at the later moment: a ground that ends before it, or a notice that asks again, refuses.
//!
//! The verdict names the first obstacle in this order.

use super::{cap, quiet};
use crate::{
    catalogue::{Catalogue, Purpose},
    ground::LawfulBasis,
    id::{TimestampMs, TopicId},
    permission::{Permission, Reader, Verdict},
    preferences::{ContactChannel, Preferences},
    reason::RefusalReason,
    record::CustomerRecord,
};

/// A planned contact.
#[derive(Debug, Clone, Copy)]
pub struct ContactQuestion<'a> {
    /// On which channel.
    pub channel: &'a ContactChannel,
    /// For which purpose.
    pub purpose: &'a Purpose,
    /// About which topic, if any.
    pub topic: Option<&'a TopicId>,
    /// Who asks.
    pub reader: Reader<'a>,
}

/// Whether a contact is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contact {
    /// At the moment asked for.
    Allowed {
        /// The ground that allows the purpose then.
        ground: LawfulBasis,
    },
    /// Neither then nor, as things are, later.
    NotAllowed(RefusalReason),
    /// Not at that moment, but later.
    AllowedFrom {
        /// The first moment at which it is.
        at: TimestampMs,
        /// What delays it.
        reason: RefusalReason,
        /// The ground that allows the purpose at the later moment.
        ground: LawfulBasis,
    },
}

/// Whether a contact is allowed at a moment, and if not, from when on.
#[must_use]
pub fn check_contact(
    record: &CustomerRecord,
    question: &ContactQuestion<'_>,
    catalogue: &Catalogue,
    at: TimestampMs,
) -> Contact {
    match judge(record, question, catalogue, at) {
        Ok(contact) => contact,
        Err(reason) => Contact::NotAllowed(reason),
    }
}

fn judge(
    record: &CustomerRecord,
    question: &ContactQuestion<'_>,
    catalogue: &Catalogue,
    at: TimestampMs,
) -> Result<Contact, RefusalReason> {
    let ContactQuestion { channel, purpose, topic, reader } = *question;
    let law_at = |moment| match Permission::for_purpose(purpose, reader, record, catalogue, moment).verdict()
    {
        Verdict::Permit { ground, .. } => Ok(ground),
        Verdict::Refuse(reason) => Err(reason),
    };
    let ground = law_at(at)?;
    let preferences = &record.preferences;
    check_wishes(preferences, channel, topic)?;
    let caps = &preferences.frequency_caps;
    let after_caps = cap::free_from(caps, &record.contacts, channel, purpose.number, at)
        .ok_or(RefusalReason::FrequencyCap)?;
    let free = quiet::free_from(preferences, channel, after_caps).ok_or(RefusalReason::QuietHours)?;
    if free == at {
        return Ok(Contact::Allowed { ground });
    }
    let reason = if after_caps > at { RefusalReason::FrequencyCap } else { RefusalReason::QuietHours };
    Ok(Contact::AllowedFrom { at: free, reason, ground: law_at(free)? })
}

/// Whether the customer wants the channel and the topic.
fn check_wishes(
    preferences: &Preferences,
    channel: &ContactChannel,
    topic: Option<&TopicId>,
) -> Result<(), RefusalReason> {
    if !preferences.allows(channel) {
        return Err(RefusalReason::ChannelNotAllowed);
    }
    if topic.is_some_and(|topic| preferences.is_unwanted(topic)) {
        return Err(RefusalReason::TopicNotWanted);
    }
    Ok(())
}
