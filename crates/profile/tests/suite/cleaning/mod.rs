//! Cleaning (GO-4, ID-5): formats of attributes, what is wrong with stored identifiers, and an identifier that changes hands.

mod faults;
mod formats;
mod given;
mod ingest;
