//! Owns what can be wrong with the characters of a consent string.

/// Why a text is not base64url (RFC 4648 §5) without padding, as the IAB's specifications require.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodingFault {
    /// A segment without a character.
    #[error("has an empty segment")]
    Empty,
    /// `=` at an end.
    #[error("has padding: remove each \"=\"")]
    Padding,
    /// A space, tab or line break.
    #[error("has a space, tab or line break")]
    Whitespace,
    /// Taken from a URL, e.g. `%2E` for a dot.
    #[error("is percent-encoded: \"%2E\" stands for a dot, \"%7E\" for a tilde; decode it first")]
    Percent,
    /// `+` or `/`.
    #[error("has \"+\" or \"/\", which are base64; base64url has \"-\" and \"_\" in their place")]
    Standard,
    /// Another character.
    #[error("is not base64url: it has a character outside A-Z, a-z, 0-9, \"-\" and \"_\"")]
    Character,
}

impl EncodingFault {
    /// Its name, for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "EMPTY_SEGMENT",
            Self::Padding => "PADDING",
            Self::Whitespace => "WHITESPACE",
            Self::Percent => "PERCENT_ENCODED",
            Self::Standard => "STANDARD_BASE64",
            Self::Character => "ENCODING",
        }
    }
}
