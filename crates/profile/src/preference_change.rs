//! Owns how a customer's preferences are replaced (PR-6). Always: a wish not to be contacted is lifted only by a request
//! that names the version it read; one that only adds such wishes is taken whatever its date.

use crate::{
    chain::ChangeContext, error::ProfileError, preferences::Preferences, record::CustomerRecord,
    replacement::Precondition,
};

/// Replaces the preferences; none if they are the same already.
///
/// # Errors
/// `LiftsUnseen` if the new ones allow a contact that the stored ones do not, and the request names no version;
/// `RequestSuperseded` if they were replaced after the request was made.
pub fn update_preferences(
    record: &CustomerRecord,
    preferences: &Preferences,
    precondition: Precondition,
    context: ChangeContext<'_>,
) -> Result<Option<CustomerRecord>, ProfileError> {
    let stored = &record.preferences;
    if preferences == stored {
        return Ok(None);
    }
    let lifts = lifts(preferences, stored);
    if lifts {
        precondition.check_lifting("a wish not to be contacted")?;
    }
    if lifts || !only_limits(preferences, stored) {
        precondition.check(record.requested.preferences)?;
    }
    let mut record = record.clone();
    record.preferences = preferences.clone();
    record.requested.preferences = precondition.date_after(record.requested.preferences);
    record.updated_at = record.updated_at.max(context.now);
    Ok(Some(record))
}

/// Whether a contact that the stored preferences forbid may become allowed.
fn lifts(new: &Preferences, stored: &Preferences) -> bool {
    let mut blocked =
        stored.channels.iter().filter(|known| !known.wanted || !known.unwanted_purposes.is_empty());
    let channel = blocked.any(|known| match new.channel(&known.channel) {
        None => true,
        Some(of) if !known.wanted => of.wanted,
        Some(of) => known.unwanted_purposes.iter().any(|purpose| new.allows(&of.channel, *purpose)),
    });
    let mut topics = stored.topics.iter().filter(|known| !known.wanted);
    let topic = topics.any(|known| !new.is_unwanted(&known.topic));
    let cap = stored.frequency_caps.iter().any(|cap| {
        !new.frequency_caps.iter().any(|other| {
            (&other.channel, other.purpose) == (&cap.channel, cap.purpose)
                && other.contacts_max <= cap.contacts_max
                && other.window_hours >= cap.window_hours
        })
    });
    let moved = !stored.quiet_hours.is_empty() && new.time_zone != stored.time_zone;
    channel
        || topic
        || cap
        || moved
        || stored.quiet_hours.iter().any(|hours| !new.quiet_hours.contains(hours))
}

/// Whether new preferences that lift nothing differ in nothing but further limits.
fn only_limits(new: &Preferences, stored: &Preferences) -> bool {
    let same_address = new.channels.iter().all(|of| {
        let known = stored.channel(&of.channel).and_then(|known| known.address.as_ref());
        of.address.as_ref() == known
    });
    let dropped = stored.channels.iter().any(|of| new.channel(&of.channel).is_none());
    let wanted = new.channels.iter().any(|of| of.wanted && stored.channel(&of.channel).is_none());
    let zone_kept = stored.time_zone.is_none() || new.time_zone == stored.time_zone;
    same_address && !dropped && !wanted && zone_kept && new.language == stored.language
}
