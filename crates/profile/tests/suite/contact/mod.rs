//! When a customer may be contacted.

pub(crate) mod check;
mod law_hours;
mod preference_change;
pub(crate) mod preferences;
pub(crate) mod quiet_hours;
