//! Owns the contacts that were made with a customer: what frequency caps count. Always: of each channel and purpose the
//! newest 32, which is as many as a cap can allow, so that a cap of any channel and purpose is counted exactly; none
//! that is older than the longest window; and at most 64 pairs of channel and purpose.
//!
//! Where a 65th pair comes, the pair whose last contact is the oldest goes, and `forgotten_until` remembers that
//! moment: while a cap's window reaches back to it the cap cannot be counted, so it is taken as reached.

use std::collections::BTreeMap;

use crate::{
    ContactChannel, ProfileError, PurposeNumber, TimestampMs,
    id::HOUR_MS,
    limits::{CAP_CONTACTS_MAX, CAP_WINDOW_HOURS_MAX, CONTACT_PAIRS_MAX, FUTURE_MAX_MS},
};

/// The contacts that were made with a customer. Empty by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContactLog {
    /// The moments, newest first; never an empty list.
    contacts: BTreeMap<(ContactChannel, PurposeNumber), Vec<TimestampMs>>,
    /// The newest contact of a pair that had to go.
    forgotten_until: Option<TimestampMs>,
}

impl ContactLog {
    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.contacts.is_empty() && self.forgotten_until.is_none()
    }

    /// The contacts on a channel for a purpose, newest first.
    pub fn contacts(&self) -> impl Iterator<Item = (&ContactChannel, PurposeNumber, &[TimestampMs])> {
        self.contacts.iter().map(|((channel, purpose), moments)| (channel, *purpose, moments.as_slice()))
    }

    /// The newest contact of a pair that had to go.
    #[must_use]
    pub const fn forgotten_until(&self) -> Option<TimestampMs> {
        self.forgotten_until
    }

    /// Takes a stored log.
    ///
    /// # Errors
    /// `Malformed` where it could not have been written.
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
    /// `InFuture` where `contacted_at` lies more than five minutes ahead of `now`.
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
        let place = moments.partition_point(|moment| *moment >= contacted_at);
        moments.insert(place, contacted_at);
        moments.truncate(CAP_CONTACTS_MAX.into());
        self.forget(now.plus_ms(-i64::from(CAP_WINDOW_HOURS_MAX) * HOUR_MS));
        Ok(())
    }

    /// Drops what no cap can count any more, up to and with `outdated`, and the pairs that are too many.
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
