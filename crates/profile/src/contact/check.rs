//! Owns the verdict on a contact. Always: no contact is allowed at a moment at which the law refuses its purpose.
//!
//! 1. The channel must be one of the catalogue: what the law sees in an unknown one is unknown.
//! 2. The law decides first, at the moment of the contact. A refusal is not a delay: the contact is not allowed, even
//!    if the law would permit it later.
//! 3. **Direct marketing** asks the law of the channel too: see `marketing`.
//! 4. What the customer does not want is not allowed, and nothing else is blocked: an unwanted channel, a channel that
//!    is unwanted for the purpose, an unwanted topic.
//! 5. Frequency caps and quiet hours only delay, unless a cap allows nothing or quiet hours never end. The caps come
//!    first: once free, they stay free, while quiet hours come again. The calling hours of the law delay a call as
//!    quiet hours do; without a known time zone nobody is called.
//! 6. The law decides again at the later moment: a ground that ends before it, or a notice that asks again, refuses.
//!
//! **What must be said is said**: a contact on the ground of a legal obligation (a notice of a breach, GDPR Art. 34) or
//! of vital interests (a recall) passes the wishes for channels and topics and the caps (4, 5); one on the ground of
//! vital interests passes the hours too.
//!
//! The verdict names the first obstacle in this order.

use super::{cap, marketing, quiet};
use crate::{
    catalogue::{Catalogue, ChannelDefinition, ChannelKind, Purpose},
    ground::LawfulBasis,
    id::{PurposeNumber, TimestampMs, TopicId},
    permission::{Jurisdictions, Permission, Reader, Verdict},
    preferences::{ContactChannel, Preferences, QuietHours},
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
    let judged = match catalogue.channel(question.channel.as_str()) {
        Some(definition) => Case { record, question, catalogue, definition }.judge(at),
        None => Err(RefusalReason::UnknownChannel),
    };
    judged.unwrap_or_else(Contact::NotAllowed)
}

/// A planned contact with one customer.
struct Case<'a> {
    record: &'a CustomerRecord,
    question: &'a ContactQuestion<'a>,
    catalogue: &'a Catalogue,
    definition: &'a ChannelDefinition,
}

impl Case<'_> {
    fn judge(&self, at: TimestampMs) -> Result<Contact, RefusalReason> {
        let ContactQuestion { channel, purpose, topic, .. } = *self.question;
        let ground = self.law(at)?;
        let preferences = &self.record.preferences;
        let after_caps = if is_obligatory(ground) {
            at
        } else {
            check_wishes(preferences, channel, purpose.number, topic)?;
            let caps = &preferences.frequency_caps;
            cap::free_from(caps, &self.record.contacts, channel, purpose.number, at)
                .ok_or(RefusalReason::FrequencyCap)?
        };
        let (free, hours) =
            if ground == LawfulBasis::VitalInterests { (after_caps, None) } else { self.hours(after_caps)? };
        let Some(reason) = (after_caps > at).then_some(RefusalReason::FrequencyCap).or(hours) else {
            return Ok(Contact::Allowed { ground });
        };
        Ok(Contact::AllowedFrom { at: free, reason, ground: self.law(free)? })
    }

    /// The ground that allows the purpose at a moment.
    fn law(&self, moment: TimestampMs) -> Result<LawfulBasis, RefusalReason> {
        let ContactQuestion { purpose, reader, .. } = *self.question;
        let (record, catalogue, kind) = (self.record, self.catalogue, self.definition.kind);
        let ground = match Permission::for_purpose(purpose, reader, record, catalogue, moment).verdict() {
            Verdict::Permit { ground, .. } => ground,
            Verdict::Refuse(reason) => return Err(reason),
        };
        match marketing::ground_for(kind, purpose, reader, record, catalogue, moment) {
            Ok(of_channel) => Ok(of_channel.unwrap_or(ground)),
            Err(marketing::NoMarketingGround) => Err(RefusalReason::MarketingConsentNeeded),
        }
    }

    /// The first moment, at or after `from`, at which neither the customer nor the law wants silence, and who delays it.
    fn hours(&self, from: TimestampMs) -> Result<(TimestampMs, Option<RefusalReason>), RefusalReason> {
        let (preferences, channel) = (&self.record.preferences, self.question.channel);
        let own: Vec<&QuietHours> =
            preferences.quiet_hours.iter().filter(|hours| hours.concerns(channel)).collect();
        let jurisdictions = Jurisdictions::of(&self.record.subject, self.catalogue);
        let is_call = matches!(self.definition.kind, ChannelKind::Call | ChannelKind::AutomatedCall);
        let of_law = jurisdictions.iter().flat_map(|applied| &applied.jurisdiction.no_call_hours);
        let mut all = own.clone();
        all.extend(of_law.filter(|_| is_call));
        if all.is_empty() {
            return Ok((from, None));
        }
        let unknown = if is_call { RefusalReason::TimeZoneUnknown } else { RefusalReason::QuietHours };
        let zone = preferences.time_zone.as_ref().and_then(|name| name.zone()).ok_or(unknown)?;
        let after_own = quiet::free_from(&own, &zone, from).ok_or(RefusalReason::QuietHours)?;
        let free = quiet::free_from(&all, &zone, from).ok_or(RefusalReason::CallingHours)?;
        let delaying = if after_own > from { RefusalReason::QuietHours } else { RefusalReason::CallingHours };
        Ok((free, (free > from).then_some(delaying)))
    }
}

/// Whether the customer must be told, whatever the customer wishes.
const fn is_obligatory(ground: LawfulBasis) -> bool {
    matches!(ground, LawfulBasis::LegalObligation | LawfulBasis::VitalInterests)
}

/// Whether the customer wants the channel and the topic.
fn check_wishes(
    preferences: &Preferences,
    channel: &ContactChannel,
    purpose: PurposeNumber,
    topic: Option<&TopicId>,
) -> Result<(), RefusalReason> {
    if !preferences.allows(channel, purpose) {
        return Err(RefusalReason::ChannelNotAllowed);
    }
    if topic.is_some_and(|topic| preferences.is_unwanted(topic)) {
        return Err(RefusalReason::TopicNotWanted);
    }
    Ok(())
}
