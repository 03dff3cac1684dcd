//! Owns the name of a recipient: the name in the certificate of a registered application.

use super::slug::slug;

slug!(
    /// A recipient's name: 1 to 64 of `[A-Za-z0-9._-]`.
    RecipientId,
    "recipient",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ._-",
    |_| true,
    "1 to 64 of [A-Za-z0-9._-]"
);
