//! The load generator and the comparisons.
