//! CatalogService: entries are written on the directory's leader and read on every node.

mod activity;
mod convert;
mod entries;
mod entry;
mod list_changes;
mod list_unused;
mod parse;
