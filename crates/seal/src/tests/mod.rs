//! Tests of sealing through its public types.

mod blinding;
mod formats;
mod key_tree;
mod laws;
mod root_key_file;
mod support;
