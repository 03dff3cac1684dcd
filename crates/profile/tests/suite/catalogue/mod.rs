//! The catalogue: its entries, its history and its jurisdictions.

mod dpv;
mod entries;
mod history;
mod jurisdictions;
