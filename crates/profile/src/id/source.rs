//! Owns the name of a source system.

use super::slug::slug;

slug!(
    /// A source system's name: 1 to 64 of `[a-z0-9._-]`, starts with a letter or digit.
    SourceId,
    "source",
    b"._-",
    |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit(),
    "1 to 64 of [a-z0-9._-], starting with a letter or digit"
);
