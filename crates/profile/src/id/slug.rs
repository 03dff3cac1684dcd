//! Owns the form of names in the catalogue: short ASCII without spaces. Always: 1 to 64 bytes, lower case unless the
//! type says otherwise.

use crate::{error::ProfileError, limits::SLUG_BYTES_MAX};

/// Whether `text` is 1 to 64 bytes, each a lower-case letter, a digit or one of `also`, and the first is allowed by
/// `starts`.
pub(super) fn check(
    field: &'static str,
    text: &str,
    also: &[u8],
    starts: fn(&u8) -> bool,
    expected: &'static str,
) -> Result<(), ProfileError> {
    if text.is_empty() {
        return Err(ProfileError::Empty { field });
    }
    if text.len() > SLUG_BYTES_MAX {
        return Err(ProfileError::TooLong { field, bytes_max: SLUG_BYTES_MAX });
    }
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || also.contains(&byte);
    if !text.bytes().all(fits) || !text.as_bytes().first().is_some_and(starts) {
        return Err(ProfileError::Malformed { field, expected });
    }
    Ok(())
}

/// What every id that wraps a text has: the text, and the traits that show and look it up.
macro_rules! text_id {
    ($name:ident) => {
        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::error::ProfileError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), &self.0)
            }
        }
    };
}
pub(super) use text_id;

/// A slug type: cheap to clone, ordered as its text.
macro_rules! slug {
    ($(#[$doc:meta])* $name:ident, $field:literal, $also:literal, $starts:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Checks the text.
            ///
            /// # Errors
            /// Names the field and the form if the text does not fit.
            pub fn new(text: &str) -> Result<Self, crate::error::ProfileError> {
                super::slug::check($field, text, $also, $starts, $expected)?;
                Ok(Self(text.into()))
            }
        }

        $crate::id::slug::text_id!($name);
    };
}
pub(super) use slug;
