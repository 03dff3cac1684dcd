//! The catalogue: its entries, its history and its jurisdictions.

mod entries;
mod history;
mod jurisdictions;
