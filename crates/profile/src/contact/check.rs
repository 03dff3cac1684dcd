//! Owns the verdict on a contact. Always: no contact is allowed at a moment at which the law refuses its purpose.
//!
//! 1. The channel must be one of the catalogue: what the law sees in an unknown one is unknown.
//! 2. The law decides first, at the moment of the contact. A refusal is not a delay: the contact is not allowed, even
//!    if the law would permit it later.
//! 3. **Direct marketing** asks the law of the channel too: see `marketing`.
//! 4. What the customer does not want is not allowed, and nothing else is blocked: an unwanted channel, a channel that
//!    is unwanted for the purpose, an unwanted topic.
//! 5. Frequency caps and quiet hours only delay, unless a cap allows nothing or quiet hours never end. The caps come
//!    first: once free, they stay free, while quiet hours come again. The hours of the law delay as quiet hours do;
//!    where the law has hours for the kind of channel and no time zone is known, the contact is not allowed.
//! 6. At the later moment all of this is judged again, with the ground that holds then, until nothing delays any more: a
//!    ground that ends before it, or a notice that asks again, refuses, and so does a wish that only an earlier ground
//!    passed.
//!
//! **What must be said is said**: a contact whose ground is, in each jurisdiction, a legal obligation (a notice of a
//! breach, GDPR Art. 34) or vital interests (a recall) passes the wishes for channels and topics and the caps (4, 5), and
//! the hours of the law if no time zone is known, since it would otherwise never be said; if it is vital interests in each,
//! all hours too. Direct marketing and sale are never such contacts.
//!
//! The verdict names the first obstacle in this order.

use super::{cap, marketing, quiet};
use crate::{
    catalogue::{Catalogue, ChannelDefinition, Purpose},
    ground::LawfulBasis,
    id::{PurposeNumber, TimestampMs, TopicId},
    permission::{Permission, Reader, Urgency, Verdict},
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

/// How often a delayed contact is judged again. It is delayed again only where another ground holds by then, and a purpose
/// has few.
const JUDGED_MAX: usize = 8;

/// What the law allows at a moment.
struct Lawful {
    ground: LawfulBasis,
    urgency: Urgency,
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
        let (mut moment, mut delaying) = (at, None);
        for _ in 0..JUDGED_MAX {
            let Lawful { ground, urgency } = self.law(moment)?;
            let Some((later, reason)) = self.delay(moment, urgency)? else {
                return Ok(match delaying {
                    None => Contact::Allowed { ground },
                    Some(reason) => Contact::AllowedFrom { at: moment, reason, ground },
                });
            };
            delaying.get_or_insert(reason);
            moment = later;
        }
        Err(delaying.unwrap_or(RefusalReason::QuietHours))
    }

    /// Until when the customer's wishes and the law's hours delay a contact, and what delays it first.
    fn delay(
        &self,
        from: TimestampMs,
        urgency: Urgency,
    ) -> Result<Option<(TimestampMs, RefusalReason)>, RefusalReason> {
        let ContactQuestion { channel, purpose, topic, .. } = *self.question;
        let preferences = &self.record.preferences;
        let after_caps = if urgency == Urgency::Ordinary {
            check_wishes(preferences, channel, purpose.number, topic)?;
            let caps = &preferences.frequency_caps;
            cap::free_from(caps, &self.record.contacts, channel, purpose.number, from)
                .ok_or(RefusalReason::FrequencyCap)?
        } else {
            from
        };
        let (free, hours) =
            if urgency == Urgency::Vital { (after_caps, None) } else { self.hours(after_caps, urgency)? };
        let reason = (after_caps > from).then_some(RefusalReason::FrequencyCap).or(hours);
        Ok(reason.map(|reason| (free, reason)))
    }

    /// The ground that allows the purpose at a moment.
    fn law(&self, moment: TimestampMs) -> Result<Lawful, RefusalReason> {
        let ContactQuestion { purpose, reader, .. } = *self.question;
        let (record, catalogue, kind) = (self.record, self.catalogue, self.definition.kind);
        let permission = Permission::for_purpose(purpose, reader, record, catalogue, moment);
        let ground = match permission.verdict() {
            Verdict::Permit { ground, .. } => ground,
            Verdict::Refuse(reason) => return Err(reason),
        };
        let urgency = permission.urgency();
        match marketing::ground_for(kind, purpose, reader, record, catalogue, moment) {
            Ok(of_channel) => Ok(Lawful { ground: of_channel.unwrap_or(ground), urgency }),
            Err(marketing::NoMarketingGround) => Err(RefusalReason::MarketingConsentNeeded),
        }
    }

    /// The first moment, at or after `from`, at which neither the customer nor the law wants silence, and who delays it.
    fn hours(
        &self,
        from: TimestampMs,
        urgency: Urgency,
    ) -> Result<(TimestampMs, Option<RefusalReason>), RefusalReason> {
        let (preferences, channel) = (&self.record.preferences, self.question.channel);
        let own: Vec<&QuietHours> =
            preferences.quiet_hours.iter().filter(|hours| hours.concerns(channel)).collect();
        let places = self.record.subject.places(self.catalogue);
        let of_law: Vec<&QuietHours> = places
            .flat_map(|(region, jurisdiction)| jurisdiction.no_contact_hours_in(region, self.definition.kind))
            .collect();
        let unknown =
            if of_law.is_empty() { RefusalReason::QuietHours } else { RefusalReason::TimeZoneUnknown };
        let all = [own.as_slice(), of_law.as_slice()].concat();
        if all.is_empty() {
            return Ok((from, None));
        }
        let Some(zone) = preferences.time_zone.as_ref().and_then(|name| name.zone()) else {
            return if urgency == Urgency::Ordinary { Err(unknown) } else { Ok((from, None)) };
        };
        let after_own = quiet::free_from(&own, &zone, from).ok_or(RefusalReason::QuietHours)?;
        let free = quiet::free_from(&all, &zone, from).ok_or(RefusalReason::CallingHours)?;
        let delaying = if after_own > from { RefusalReason::QuietHours } else { RefusalReason::CallingHours };
        Ok((free, (free > from).then_some(delaying)))
    }
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
