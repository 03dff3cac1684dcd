//! Owns the contacts made with a customer, which frequency caps count. Always: the newest 32 for each channel and
//! purpose, as many as a cap can allow, so that every cap is counted exactly; none older than the longest window; and
//! at most 64 pairs of channel and purpose.
//!
//! A 65th pair evicts the pair whose last contact is the oldest, and `forgotten_until` keeps that moment: while a cap's
//! window reaches back to it, the cap cannot be counted and so counts as reached.

use std::collections::BTreeMap;

use crate::{
    error::ProfileError,
    id::{HOUR_MS, PurposeNumber, TimestampMs},
    limits::{CAP_CONTACTS_MAX, CAP_WINDOW_HOURS_MAX, CONTACT_PAIRS_MAX, FUTURE_MAX_MS},
    preferences::ContactChannel,
};

/// The contacts made with a customer. Empty by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContactLog {
    /// The moments, newest first; never an empty list.
    contacts: BTreeMap<(ContactChannel, PurposeNumber), Vec<TimestampMs>>,
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
    pub fn contacts(&self) -> impl Iterator<Item = (&ContactChannel, PurposeNumber, &[TimestampMs])> {
        self.contacts.iter().map(|((channel, purpose), moments)| (channel, *purpose, moments.as_slice()))
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
        contacts: BTreeMap<(ContactChannel, PurposeNumber), Vec<TimestampMs>>,
        forgotten_until: Option<TimestampMs>,
    ) -> Result<Self, ProfileError> {
        let newest_first = |moments: &Vec<TimestampMs>| moments.is_sorted_by(|one, next| one >= next);
        let in_number = |moments: &Vec<TimestampMs>| (1..=CAP_CONTACTS_MAX.into()).contains(&moments.len());
        let fits = contacts.values().all(|moments| newest_first(moments) && in_number(moments));
        if fits && contacts.len() <= CONTACT_PAIRS_MAX {
            Ok(Self { contacts, forgotten_until })
        } else {
            Err(ProfileError::Malformed { field: "contacts", expected: "the newest contacts, newest first" })
        }
    }

    /// Records a contact that was made.
    ///
    /// # Errors
    /// `InFuture` if `contacted_at` is more than five minutes ahead of `now`.
    pub fn record(
        &mut self,
        channel: &ContactChannel,
        purpose: PurposeNumber,
        contacted_at: TimestampMs,
        now: TimestampMs,
    ) -> Result<(), ProfileError> {
        if contacted_at > now.plus_ms(FUTURE_MAX_MS) {
            return Err(ProfileError::InFuture { field: "contacted_at", ahead_max_ms: FUTURE_MAX_MS });
        }
        let moments = self.contacts.entry((channel.clone(), purpose)).or_default();
        let position = moments.partition_point(|moment| *moment >= contacted_at);
        moments.insert(position, contacted_at);
        moments.truncate(CAP_CONTACTS_MAX.into());
        self.forget(now.plus_ms(-i64::from(CAP_WINDOW_HOURS_MAX) * HOUR_MS));
        Ok(())
    }

    /// Drops what no cap can count any more, up to and including `outdated`, and surplus pairs.
    fn forget(&mut self, outdated: TimestampMs) {
        self.contacts.retain(|_, moments| {
            moments.truncate(moments.partition_point(|moment| *moment > outdated));
            !moments.is_empty()
        });
        self.forgotten_until = self.forgotten_until.filter(|moment| *moment > outdated);
        while self.contacts.len() > CONTACT_PAIRS_MAX {
            let last = |moments: &[TimestampMs]| moments.first().copied();
            let oldest = self.contacts.iter().map(|(key, moments)| (last(moments), key)).min();
            let Some((moment, key)) = oldest.map(|(moment, key)| (moment, key.clone())) else { return };
            self.contacts.remove(&key);
            self.forgotten_until = self.forgotten_until.max(moment);
        }
    }
}
