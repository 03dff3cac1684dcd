//! Owns the frequency caps: from when on another contact stays within all of them. Always: a cap that refuses at one
//! moment refuses at every earlier one, so that the latest moment of all caps satisfies each.

use crate::{
    contact_log::ContactLog,
    id::{HOUR_MS, PurposeNumber, TimestampMs},
    preferences::{ContactChannel, FrequencyCap},
};

/// The first moment, at or after `from`, at which no cap is reached. None if a cap allows no contact at all.
pub(super) fn free_from(
    caps: &[FrequencyCap],
    log: &ContactLog,
    channel: &ContactChannel,
    purpose: PurposeNumber,
    from: TimestampMs,
) -> Option<TimestampMs> {
    let meant = caps.iter().filter(|cap| {
        cap.channel.as_ref().is_none_or(|of| of == channel) && cap.purpose.is_none_or(|of| of == purpose)
    });
    let mut free = from;
    for cap in meant {
        free = free.max(cap_free_from(cap, log, from)?);
    }
    Some(free)
}

/// The window of a contact covers the `window_hours` before it, and any later contacts. So another contact fits as
/// soon as the `contacts_max`-newest has left the window.
fn cap_free_from(cap: &FrequencyCap, log: &ContactLog, from: TimestampMs) -> Option<TimestampMs> {
    let window_ms = i64::from(cap.window_hours) * HOUR_MS;
    let last_counted = usize::from(cap.contacts_max).checked_sub(1)?;
    let counted = log.contacts().filter(|(channel, purpose, _)| {
        cap.channel.as_ref().is_none_or(|of| of == *channel) && cap.purpose.is_none_or(|of| of == *purpose)
    });
    let mut moments: Vec<TimestampMs> =
        counted.flat_map(|(.., made)| made.iter().map(|contact| contact.at)).collect();
    moments.sort_unstable_by_key(|moment| std::cmp::Reverse(*moment));
    let leaving = moments.get(last_counted).copied().max(log.forgotten_until());
    Some(leaving.map_or(from, |moment| moment.plus_ms(window_ms)))
}
