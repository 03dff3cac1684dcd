//! Answers what other nodes send to this one.

pub(crate) mod call;
pub(crate) mod exchange;
