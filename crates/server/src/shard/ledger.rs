//! Reads a customer's ledger from the engine, in the order of its entries.

use custodia_profile::{LedgerEntry, Stored};
use custodia_store::{Key, KeyKind, KeyPrefix};

use super::{ShardContext, record::Loaded};
use crate::{routing::CustomerLocation, scan::Scan, wire::ServiceError};

/// Entries read from the engine at a time.
const CHUNK: usize = 64;

impl ShardContext {
    /// The whole ledger. The caller must have passed the read barrier.
    pub(super) fn ledger(&self, location: CustomerLocation) -> Result<Vec<LedgerEntry>, ServiceError> {
        let mut entries = Vec::new();
        let mut ledger = Ledger::after(self, location, None);
        while let Some(entry) = ledger.next_entry()? {
            entries.push(entry.value);
        }
        Ok(entries)
    }
}

/// Iterator over a customer's ledger entries, in sequence.
pub(crate) struct Ledger<'a> {
    context: &'a ShardContext,
    location: CustomerLocation,
    stored: Scan<'a>,
}

impl<'a> Ledger<'a> {
    /// All entries, or those after `sequence`.
    pub(crate) fn after(
        context: &'a ShardContext,
        location: CustomerLocation,
        sequence: Option<u64>,
    ) -> Self {
        let (group, customer) = (location.group(), &location.customer);
        let last = sequence.map(|sequence| Key::ledger(group, customer, sequence).into_bytes());
        let prefix = KeyPrefix::customer(group, KeyKind::Ledger, customer);
        Self { context, location, stored: Scan::new(context.engine(), prefix, last, CHUNK) }
    }

    /// The next entry; `None` after the last one.
    pub(crate) fn next_entry<T: Stored>(&mut self) -> Result<Option<Loaded<T>>, ServiceError> {
        loop {
            let Some((key, stored)) = self.stored.next_stored()? else { return Ok(None) };
            if let Some(entry) = self.context.open(self.location, &Key::parse(key)?, stored)? {
                return Ok(Some(entry));
            }
        }
    }
}
