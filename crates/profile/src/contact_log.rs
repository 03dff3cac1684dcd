//! Owns the contacts made with a customer, which frequency caps count. Always: the newest 32 for each channel and
//! purpose, as many as a cap can allow, so that every cap is counted exactly; none older than the longest window; and
//! at most 64 pairs of channel and purpose.
//!
//! A 65th pair evicts the pair whose last contact is the oldest, and `forgotten_until` keeps that moment: while a cap's
//! window reaches back to it, the cap cannot be counted and so counts as reached.
//!
//! A contact counts once, however late its request is repeated: as long as it is in the log, the request that recorded it is
//! known; and once newer ones have pushed it out, its date, which a repetition does not change, comes after theirs.

use std::collections::BTreeMap;

use crate::{
    error::ProfileError,
    id::{HOUR_MS, PurposeNumber, RequestId, TimestampMs},
    limits::{CAP_CONTACTS_MAX, CAP_WINDOW_HOURS_MAX, CONTACT_PAIRS_MAX, FUTURE_MAX_MS},
    preferences::ContactChannel,
};

/// A contact that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MadeContact {
    /// When the customer was contacted.
    pub at: TimestampMs,
    /// The request that recorded it, if that has an id.
    pub request: Option<RequestId>,
}

/// The contacts made with a customer. Empty by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContactLog {
    /// Newest first; never an empty list.
    contacts: BTreeMap<(ContactChannel, PurposeNumber), Vec<MadeContact>>,
    /// The newest contact of an evicted pair.
    forgotten_until: Option<TimestampMs>,
}

impl ContactLog {
    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.contacts.is_empty() && self.forgotten_until.is_none()
    }

    /// The contacts on a channel for a purpose, newest first.
    pub fn contacts(&self) -> impl Iterator<Item = (&ContactChannel, PurposeNumber, &[MadeContact])> {
        self.contacts.iter().map(|((channel, purpose), made)| (channel, *purpose, made.as_slice()))
    }

    /// Whether this request has recorded a contact on this channel for this purpose.
    #[must_use]
    pub fn knows(&self, channel: &ContactChannel, purpose: PurposeNumber, request: RequestId) -> bool {
        let made = self.contacts.get(&(channel.clone(), purpose));
        made.is_some_and(|made| made.iter().any(|contact| contact.request == Some(request)))
    }

    /// The newest contact of an evicted pair.
    #[must_use]
    pub const fn forgotten_until(&self) -> Option<TimestampMs> {
        self.forgotten_until
    }

    /// Takes a stored log.
    ///
    /// # Errors
    /// `Malformed` if this crate could not have written it.
    pub(crate) fn stored(
        contacts: BTreeMap<(ContactChannel, PurposeNumber), Vec<MadeContact>>,
        forgotten_until: Option<TimestampMs>,
    ) -> Result<Self, ProfileError> {
        let newest_first = |made: &Vec<MadeContact>| made.is_sorted_by(|one, next| one.at >= next.at);
        let in_number = |made: &Vec<MadeContact>| (1..=CAP_CONTACTS_MAX.into()).contains(&made.len());
        let fits = contacts.values().all(|made| newest_first(made) && in_number(made));
        if fits && contacts.len() <= CONTACT_PAIRS_MAX {
            Ok(Self { contacts, forgotten_until })
        } else {
            Err(ProfileError::Malformed { field: "contacts", expected: "the newest contacts, newest first" })
        }
    }

    /// Records a contact that was made. One that the same request has recorded before changes nothing.
    ///
    /// # Errors
    /// `InFuture` if it was made more than five minutes ahead of `now`.
    pub fn record(
        &mut self,
        channel: &ContactChannel,
        purpose: PurposeNumber,
        contact: MadeContact,
        now: TimestampMs,
    ) -> Result<(), ProfileError> {
        if contact.at > now.plus_ms(FUTURE_MAX_MS) {
            return Err(ProfileError::InFuture { field: "contacted_at", ahead_max_ms: FUTURE_MAX_MS });
        }
        if contact.request.is_some_and(|request| self.knows(channel, purpose, request)) {
            return Ok(());
        }
        let made = self.contacts.entry((channel.clone(), purpose)).or_default();
        let position = made.partition_point(|other| other.at >= contact.at);
        made.insert(position, contact);
        made.truncate(CAP_CONTACTS_MAX.into());
        self.forget(now.plus_ms(-i64::from(CAP_WINDOW_HOURS_MAX) * HOUR_MS));
        Ok(())
    }

    /// The contacts of both, for one person.
    #[must_use]
    pub(crate) fn joined(&self, other: &Self, now: TimestampMs) -> Self {
        let mut joined = self.clone();
        for (key, theirs) in &other.contacts {
            let made = joined.contacts.entry(key.clone()).or_default();
            let new: Vec<_> = theirs.iter().filter(|contact| !made.contains(contact)).copied().collect();
            made.extend(new);
            made.sort_by_key(|contact| std::cmp::Reverse(contact.at));
            made.truncate(CAP_CONTACTS_MAX.into());
        }
        joined.forgotten_until = joined.forgotten_until.max(other.forgotten_until);
        joined.forget(now.plus_ms(-i64::from(CAP_WINDOW_HOURS_MAX) * HOUR_MS));
        joined
    }

    /// The contacts that the other log has not.
    #[must_use]
    pub(crate) fn without(&self, other: &Self) -> Self {
        let mut rest = self.clone();
        rest.contacts.retain(|key, made| {
            let theirs = other.contacts.get(key).map(Vec::as_slice).unwrap_or_default();
            made.retain(|contact| !theirs.contains(contact));
            !made.is_empty()
        });
        rest.forgotten_until = rest.forgotten_until.filter(|until| Some(*until) > other.forgotten_until);
        rest
    }

    /// Drops what no cap can count any more, up to and including `outdated`, and surplus pairs.
    fn forget(&mut self, outdated: TimestampMs) {
        self.contacts.retain(|_, made| {
            made.truncate(made.partition_point(|contact| contact.at > outdated));
            !made.is_empty()
        });
        self.forgotten_until = self.forgotten_until.filter(|moment| *moment > outdated);
        while self.contacts.len() > CONTACT_PAIRS_MAX {
            let last = |made: &[MadeContact]| made.first().map(|contact| contact.at);
            let oldest = self.contacts.iter().map(|(key, made)| (last(made), key)).min();
            let Some((moment, key)) = oldest.map(|(moment, key)| (moment, key.clone())) else { return };
            self.contacts.remove(&key);
            self.forgotten_until = self.forgotten_until.max(moment);
        }
    }
}
