//! Iterates over the entries of a key prefix in chunks, so a long list is never in memory as a whole.

use bytes::Bytes;
use custodia_store::{KeyPrefix, StateEngine, StoreError};

/// Iterator over the entries of a key prefix, in key order.
pub(crate) struct Scan<'a> {
    engine: &'a dyn StateEngine,
    prefix: KeyPrefix,
    last: Option<Bytes>,
    chunk_max: usize,
    chunk: std::vec::IntoIter<(Bytes, Bytes)>,
    is_last_chunk: bool,
}

impl<'a> Scan<'a> {
    /// Scans `prefix` from its start, or after the key `last`, reading `chunk_max` entries at a time.
    pub(crate) fn new(
        engine: &'a dyn StateEngine,
        prefix: KeyPrefix,
        last: Option<Bytes>,
        chunk_max: usize,
    ) -> Self {
        Self { engine, prefix, last, chunk_max, chunk: Vec::new().into_iter(), is_last_chunk: false }
    }

    /// The next key and its value; `None` at the end.
    ///
    /// # Errors
    /// The engine cannot be read.
    pub(crate) fn next_stored(&mut self) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        if self.chunk.as_slice().is_empty() && !self.is_last_chunk {
            let chunk = self.engine.scan(self.prefix.as_bytes(), self.last.as_deref(), self.chunk_max)?;
            self.is_last_chunk = chunk.len() < self.chunk_max;
            self.last = chunk.last().map(|(key, _)| key.clone()).or_else(|| self.last.take());
            self.chunk = chunk.into_iter();
        }
        Ok(self.chunk.next())
    }
}
