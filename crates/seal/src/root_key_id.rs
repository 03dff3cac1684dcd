//! Owns the name of a root key. Always: 1 to 64 characters out of `a-z`, `0-9`, `.`, `_`, `-`.

use std::fmt;

/// The longest root key id.
pub const ROOT_KEY_ID_BYTES_MAX: usize = 64;

/// The name of a root key. Every wrapped shard key holds it in the clear, so that a node can say which root key it lacks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootKeyId(String);

impl RootKeyId {
    /// The id, if `text` is one. Parsing with an error is `FromStr`, in `root.rs`.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        let valid = (1..=ROOT_KEY_ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed);
        valid.then(|| Self(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RootKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
