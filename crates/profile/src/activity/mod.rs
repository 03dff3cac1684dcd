//! What the events of a customer add up to: the matters that are open, and traits. Always: the same events in any order give
//! the same; a withheld event is part of nothing.

mod open_matters;
mod traits;

pub use open_matters::{LastEvent, MatterState, OpenMatter, OpenMatters};
pub use traits::{ComputedTrait, Traits};
