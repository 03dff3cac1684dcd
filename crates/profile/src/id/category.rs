//! Owns the name of a category of data: what an attribute is about.

use super::slug::slug;

slug!(
    /// A category's name, e.g. `contact` or `health`: 1 to 64 of `[a-z0-9-]`, starts with a letter or digit.
    CategoryId,
    "data_category",
    b"-",
    |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit(),
    "1 to 64 of [a-z0-9-], starting with a letter or digit"
);
