//! Owns the name of a jurisdiction.

use super::slug::slug;

slug!(
    /// A jurisdiction's name: 1 to 64 of `[a-z0-9-]`, starts with a letter.
    JurisdictionId,
    "jurisdiction",
    b"-",
    u8::is_ascii_lowercase,
    "1 to 64 of [a-z0-9-], starting with a letter"
);

impl JurisdictionId {
    /// The name of a built-in jurisdiction; a test checks it.
    pub(crate) fn built_in(name: &'static str) -> Self {
        Self(name.into())
    }
}
