//! The implementations of the public API.
