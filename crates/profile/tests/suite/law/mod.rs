//! The law: its decision table, and the laws that no record may break.

pub(crate) mod decision_table;
mod laws;
mod no;
mod question;
mod replacement;
