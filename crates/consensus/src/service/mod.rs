//! What other nodes ask of this one.

pub(crate) mod call;
pub(crate) mod exchange;
