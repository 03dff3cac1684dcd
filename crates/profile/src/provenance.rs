//! Owns where a stored value comes from (PR-3). Always: complete, and stored with every value.

use crate::{
    ground::LawfulBasis,
    id::{PurposeNumber, SourceId, TimestampMs},
    numbered::numbered,
};

numbered! {
    /// Who collected a value. Numbers are those of the API.
    #[derive(PartialOrd, Ord, Default)]
    pub enum Party ("party", expected "first, second or third party") {
        /// The controller itself.
        #[default]
        First = 1,
        /// A partner.
        Second = 2,
        /// A data vendor.
        Third = 3,
    }
}

/// Where a stored value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// The source system.
    pub source: SourceId,
    /// When the source observed it.
    pub observed_at: TimestampMs,
    /// When it was stored first.
    pub recorded_at: TimestampMs,
    /// Under which purpose it was collected.
    pub purpose: PurposeNumber,
    /// The basis on which it was collected.
    pub basis: LawfulBasis,
    /// Who collected it.
    pub party: Party,
}
