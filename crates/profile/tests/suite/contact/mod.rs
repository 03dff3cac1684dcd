//! When a customer may be contacted.

pub(crate) mod check;
pub(crate) mod preferences;
pub(crate) mod quiet_hours;
