//! Owns the two names of an attribute: the slug for people, and the number on disk.

use super::{number_id, slug::slug};

slug!(
    /// An attribute's name: 1 to 64 of `[a-z0-9_]`, starts with a letter.
    AttributeName,
    "attribute",
    b"_",
    u8::is_ascii_lowercase,
    "1 to 64 of [a-z0-9_], starting with a letter"
);

number_id! {
    /// An attribute's number on disk: assigned by the catalogue, never reused, at least 1.
    pub struct AttributeNumber(u32), as_u32, 1.., "attribute number": "at least 1"
}
