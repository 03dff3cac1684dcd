//! Owns the balancing test of legitimate interests (CO-7). Always: within a purpose, every question is answered.

use crate::{
    error::ProfileError,
    label::check_text,
    limits::{BALANCING_TEXT_BYTES_MAX, OBJECTION_ROUTE_BYTES_MAX, REVIEWER_BYTES_MAX},
    value::Date,
};

/// A legitimate interests assessment, GDPR Art. 6(1)(f): the three tests of CJEU C-13/16 (Rīgas satiksme), para. 28.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalancingTest {
    /// Which interest is pursued; at most 1,024 bytes.
    pub interest: String,
    /// Why the processing is necessary for it; at most 1,024 bytes.
    pub necessity: String,
    /// Why the data subject's interests do not override it; at most 1,024 bytes.
    pub balance: String,
    /// Who made the assessment; at most 128 bytes.
    pub reviewer: String,
    /// When.
    pub reviewed_on: Date,
    /// How the data subject objects, GDPR Art. 21; at most 256 bytes.
    pub objection_route: String,
}

impl BalancingTest {
    /// Whether every question is answered within its limit.
    pub(super) fn check(&self) -> Result<(), ProfileError> {
        let answers = [
            ("purpose.balancing_test.interest", &self.interest, BALANCING_TEXT_BYTES_MAX),
            ("purpose.balancing_test.necessity", &self.necessity, BALANCING_TEXT_BYTES_MAX),
            ("purpose.balancing_test.balance", &self.balance, BALANCING_TEXT_BYTES_MAX),
            ("purpose.balancing_test.reviewer", &self.reviewer, REVIEWER_BYTES_MAX),
            ("purpose.balancing_test.objection_route", &self.objection_route, OBJECTION_ROUTE_BYTES_MAX),
        ];
        for (field, text, bytes_max) in answers {
            check_text(field, text, bytes_max)?;
            if text.trim().is_empty() {
                return Err(ProfileError::Empty { field });
            }
        }
        Ok(())
    }
}
