//! Owns decimal values. Always: finite, and zero has one sign, so equal numbers are equal bytes.

use std::cmp::Ordering;

use crate::error::ProfileError;

/// A finite number.
#[derive(Clone, Copy)]
pub struct Decimal(f64);

impl Decimal {
    /// Checks a number.
    ///
    /// # Errors
    /// `Malformed` if it is not finite.
    pub fn new(number: f64) -> Result<Self, ProfileError> {
        if number.is_finite() {
            // Adding zero changes -0 into 0 and nothing else.
            Ok(Self(number + 0.0))
        } else {
            Err(ProfileError::Malformed { field: "value", expected: "a finite number" })
        }
    }

    /// The number.
    #[must_use]
    pub const fn as_f64(self) -> f64 {
        self.0
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl std::fmt::Debug for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decimal")
    }
}
