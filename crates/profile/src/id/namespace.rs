//! Owns the name of an identifier namespace in the catalogue.

use super::slug::slug;

slug!(
    /// A namespace's name: 1 to 64 of `[a-z0-9-]`, starts with a letter; one in the catalogue has at most 32.
    NamespaceId,
    "namespace",
    b"-",
    u8::is_ascii_lowercase,
    "1 to 64 of [a-z0-9-], starting with a letter"
);
