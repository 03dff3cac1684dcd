//! The preferences and contacts of two customers who are one person. Always: what one of the two did not want is not wanted, and
//! every cap and every quiet hour of both counts.

use crate::{
    error::ProfileError,
    preferences::{ChannelPreference, PreferenceFields, Preferences, TopicPreference},
};

/// The preferences of both. Where they differ in what is no limit (language, time zone, address, order), the survivor's count. Quiet
/// hours of both are hours of the one time zone that is kept.
///
/// # Errors
/// `TooMany` if both together exceed a limit.
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
    let mut all = ours.to_vec();
    all.extend(theirs.iter().filter(|one| !ours.contains(one)).cloned());
    all
}

/// What was said since a merge, on the preferences of one of the two. A part that was not changed since is as it was before. `narrow`
/// takes only what is no longer wanted.
pub(super) fn preferences_since(
    before: &Preferences,
    merged: &Preferences,
    current: &Preferences,
    narrow: bool,
) -> Result<Preferences, ProfileError> {
    let mut fields = PreferenceFields::clone(before);
    if current == merged {
        return Ok(before.clone());
    }
    if narrow {
        for now in current.channels.iter().filter(|now| !merged.channels.contains(now)) {
            match fields.channels.iter_mut().find(|of| of.channel == now.channel) {
                Some(of) => *of = narrower(of, now),
                None if !now.wanted || !now.unwanted_purposes.is_empty() => {
                    fields.channels.push(ChannelPreference { address: None, ..now.clone() });
                }
                None => {}
            }
        }
        for now in current.topics.iter().filter(|now| !now.wanted && !merged.topics.contains(now)) {
            match fields.topics.iter_mut().find(|of| of.topic == now.topic) {
                Some(of) => of.wanted = false,
                None => fields.topics.push(now.clone()),
            }
        }
        return Preferences::new(fields);
    }
    let PreferenceFields { language, time_zone, channels, frequency_caps, quiet_hours, topics } = &**current;
    changed(&mut fields.language, &merged.language, language);
    changed(&mut fields.channels, &merged.channels, channels);
    changed(&mut fields.frequency_caps, &merged.frequency_caps, frequency_caps);
    changed(&mut fields.topics, &merged.topics, topics);
    // Quiet hours need their time zone.
    if merged.time_zone != *time_zone || merged.quiet_hours != *quiet_hours {
        fields.time_zone.clone_from(time_zone);
        fields.quiet_hours.clone_from(quiet_hours);
    }
    Preferences::new(fields)
}

/// Takes the current value if it is another than after the merge.
pub(super) fn changed<T: Clone + PartialEq>(before: &mut T, merged: &T, current: &T) {
    if merged != current {
        before.clone_from(current);
    }
}
