//! Owns the names of what a customer's events add up to, as the catalogue has them.

use super::slug::slug;

slug!(
    /// The name of a type of matters: 1 to 64 of `[a-z0-9-]`, starts with a letter.
    MatterTypeId,
    "matter type",
    b"-",
    u8::is_ascii_lowercase,
    "1 to 64 of [a-z0-9-], starting with a letter"
);

slug!(
    /// A trait's name: 1 to 64 of `[a-z0-9-]`, starts with a letter.
    TraitId,
    "trait",
    b"-",
    u8::is_ascii_lowercase,
    "1 to 64 of [a-z0-9-], starting with a letter"
);
