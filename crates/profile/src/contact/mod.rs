//! Owns when a customer may be contacted: the law first, then the customer's preferences (PR-6).

mod cap;
mod check;
mod marketing;
mod quiet;

pub use check::{Contact, ContactQuestion, check_contact};
