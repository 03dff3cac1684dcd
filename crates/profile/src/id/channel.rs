//! Owns the name of a channel in the catalogue.

use super::slug::slug;

slug!(
    /// A channel's name: 1 to 64 of `[a-z0-9-]`, starts with a letter.
    ChannelId,
    "channel",
    b"-",
    u8::is_ascii_lowercase,
    "1 to 64 of [a-z0-9-], starting with a letter"
);

impl ChannelId {
    /// The name of a built-in channel; a test checks it.
    pub(crate) fn built_in(name: &'static str) -> Self {
        Self(name.into())
    }
}
