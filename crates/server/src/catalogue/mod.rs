//! The catalogue on this node: the parsed cache and the lease on it, the change log, and when its attributes were last used.

mod cache;
mod change_log;
mod lease;
#[cfg(test)]
pub(crate) mod test_entries;
mod usage;

pub(crate) use cache::{CATALOGUE_META, CatalogueCache, CatalogueNeed, CatalogueView};
pub(crate) use change_log::{ChangeLog, as_of, logged_change};
pub(crate) use usage::{Day, Days, Usage, record_usage, usage_of};
