//! The preferences and contacts of two customers who are one person. Always: what one of the two did not want is not wanted, and
//! every cap and every quiet hour of both counts.

use super::changed;
use crate::{
    error::ProfileError,
    label::Address,
    preferences::{ChannelPreference, PreferenceFields, Preferences, TopicPreference},
};

/// The preferences of both. Where they differ in what is no limit (language, time zone, address, order), the survivor's count.
///
/// # Errors
/// `TooMany` if both together exceed a limit; `Malformed` if the other has quiet hours in another time zone.
pub(super) fn merge_preferences(
    survivor: &Preferences,
    other: &Preferences,
) -> Result<Preferences, ProfileError> {
    let mut channels = survivor.channels.clone();
    for theirs in &other.channels {
        match channels.iter_mut().find(|ours| ours.channel == theirs.channel) {
            Some(ours) => *ours = narrower(ours, theirs),
            None => channels.push(theirs.clone()),
        }
    }
    let mut topics = survivor.topics.clone();
    for theirs in &other.topics {
        match topics.iter_mut().find(|ours| ours.topic == theirs.topic) {
            Some(ours) => {
                *ours = TopicPreference { topic: ours.topic.clone(), wanted: ours.wanted && theirs.wanted };
            }
            None => topics.push(theirs.clone()),
        }
    }
    let zones = survivor.time_zone.as_ref().zip(other.time_zone.as_ref());
    let differ = zones.is_some_and(|(ours, theirs)| ours != theirs);
    if differ && !other.quiet_hours.is_empty() {
        return Err(ProfileError::Malformed {
            field: "time_zone",
            expected: "one time zone of both customers, since the other one has quiet hours in its own",
        });
    }
    Preferences::new(PreferenceFields {
        language: survivor.language.clone().or_else(|| other.language.clone()),
        time_zone: survivor.time_zone.clone().or_else(|| other.time_zone.clone()),
        channels,
        frequency_caps: both(&survivor.frequency_caps, &other.frequency_caps),
        quiet_hours: both(&survivor.quiet_hours, &other.quiet_hours),
        topics,
    })
}

fn narrower(ours: &ChannelPreference, theirs: &ChannelPreference) -> ChannelPreference {
    let wanted = ours.wanted && theirs.wanted;
    let unwanted = if wanted { both(&ours.unwanted_purposes, &theirs.unwanted_purposes) } else { Vec::new() };
    ChannelPreference {
        channel: ours.channel.clone(),
        wanted,
        unwanted_purposes: unwanted,
        address: ours.address.clone().or_else(|| theirs.address.clone()),
    }
}

/// All entries of both, each once.
fn both<T: Clone + PartialEq>(ours: &[T], theirs: &[T]) -> Vec<T> {
    [ours, &without(theirs, ours)].concat()
}

/// The entries that are not among others.
fn without<T: Clone + PartialEq>(entries: &[T], others: &[T]) -> Vec<T> {
    entries.iter().filter(|one| !others.contains(one)).cloned().collect()
}

/// What was said since a merge, on the preferences of one of the two: each entry that was not changed since is as it was before, so that
/// nothing of the other is left. `narrow` takes only what is no longer wanted.
///
/// # Errors
/// `TooMany` if the result would exceed a limit.
pub(super) fn preferences_since(
    before: &Preferences,
    merged: &Preferences,
    current: &Preferences,
    narrow: bool,
) -> Result<Preferences, ProfileError> {
    if current == merged {
        return Ok(before.clone());
    }
    let mut fields = PreferenceFields::clone(before);
    for now in current.channels.iter().filter(|now| !merged.channels.contains(now)) {
        let said = ChannelPreference { address: address_since(before, merged, now, narrow), ..now.clone() };
        match fields.channels.iter_mut().find(|of| of.channel == now.channel) {
            Some(ours) if narrow => *ours = narrower(ours, &said),
            Some(ours) => *ours = said,
            None if !narrow || !said.wanted || !said.unwanted_purposes.is_empty() => {
                fields.channels.push(said);
            }
            None => {}
        }
    }
    for now in current.topics.iter().filter(|now| !merged.topics.contains(now)) {
        match fields.topics.iter_mut().find(|of| of.topic == now.topic) {
            Some(of) => of.wanted = now.wanted && (of.wanted || !narrow),
            None if !narrow || !now.wanted => fields.topics.push(now.clone()),
            None => {}
        }
    }
    fields.frequency_caps =
        both(&fields.frequency_caps, &without(&current.frequency_caps, &merged.frequency_caps));
    fields.quiet_hours = both(&fields.quiet_hours, &without(&current.quiet_hours, &merged.quiet_hours));
    if !narrow {
        let is_dropped = |of: &ChannelPreference| {
            merged.channel(&of.channel).is_some() && current.channel(&of.channel).is_none()
        };
        fields.channels.retain(|of| !is_dropped(of));
        let has =
            |topics: &[TopicPreference], of: &TopicPreference| topics.iter().any(|one| one.topic == of.topic);
        fields.topics.retain(|of| !has(&merged.topics, of) || has(&current.topics, of));
        drop_gone(&mut fields.frequency_caps, &merged.frequency_caps, &current.frequency_caps);
        drop_gone(&mut fields.quiet_hours, &merged.quiet_hours, &current.quiet_hours);
        changed(&mut fields.language, &merged.language, &current.language);
        changed(&mut fields.time_zone, &merged.time_zone, &current.time_zone);
    }
    if !fields.quiet_hours.is_empty() && fields.time_zone.is_none() {
        fields.time_zone.clone_from(&current.time_zone);
    }
    Preferences::new(fields)
}

/// The address of a channel whose preference was changed since: the one that was there before, unless another was stated since.
fn address_since(
    before: &Preferences,
    merged: &Preferences,
    now: &ChannelPreference,
    narrow: bool,
) -> Option<Address> {
    let was = merged.channel(&now.channel).and_then(|was| was.address.as_ref());
    if !narrow && was != now.address.as_ref() {
        return now.address.clone();
    }
    before.channel(&now.channel).and_then(|ours| ours.address.clone())
}

/// Drops what was taken back since the merge.
fn drop_gone<T: PartialEq>(before: &mut Vec<T>, merged: &[T], current: &[T]) {
    before.retain(|one| !merged.contains(one) || current.contains(one));
}
