//! Owns the two names of a purpose: the slug for people, and the number on disk.

use super::{number_id, slug::slug};

slug!(
    /// A purpose's name: 1 to 64 of `[a-z0-9-]`, starts with a letter.
    PurposeId,
    "purpose",
    b"-",
    u8::is_ascii_lowercase,
    "1 to 64 of [a-z0-9-], starting with a letter"
);

number_id! {
    /// A purpose's number on disk: assigned by the catalogue, never reused, at least 1.
    pub struct PurposeNumber(u32), as_u32, 1.., "purpose number": "at least 1"
}
