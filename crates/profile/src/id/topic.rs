//! Owns the name of a topic that a customer may want to be contacted about.

use super::slug::slug;

slug!(
    /// A topic's name: 1 to 64 of `[a-z0-9-]`, starts with a letter or a digit.
    TopicId,
    "topic",
    b"-",
    u8::is_ascii_alphanumeric,
    "1 to 64 of [a-z0-9-], starting with a letter or digit"
);
