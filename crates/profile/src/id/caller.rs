//! Owns the name of a caller: the one in its certificate or token.

use super::slug::slug;

slug!(
    /// A caller's name: 1 to 64 of `[A-Za-z0-9._-]`.
    CallerName,
    "caller name",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ._-",
    |_| true,
    "1 to 64 of [A-Za-z0-9._-]"
);
