//! Owns what is stored about records that may be of one person: the blocking set of a customer, and a suspected pair. Always: no
//! value of a record, only what follows from comparing two.

mod blocking_set;
mod conflict;
mod pair;

pub use blocking_set::{BLOCK_REFINEMENTS, BlockingSet};
pub use conflict::IdentifierConflict;
pub use pair::{DuplicatePair, FieldEvidence, MatchVerdict, PairReview, PairScore, ReviewDecision};
