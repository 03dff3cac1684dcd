//! A batch: one request with the rows that it accounts for, the refused parts of them, and the position at which a later
//! run resumes. The same for every kind of import.

use tokio::sync::OwnedSemaphorePermit;

use crate::import::reader::Position;
use crate::import::row::{Cells, Row};
use crate::text::encoding;

/// Reasons for refusals before sending.
pub(crate) const UNREADABLE_ROW: &str = "unreadable-row";
pub(crate) const NO_KEY: &str = "no-key";
pub(crate) const NOT_PARSED: &str = "not-parsed";
pub(crate) const AMBIGUOUS: &str = "ambiguous";

/// Turns rows into requests. Invariant: a request depends on the rows and the mapping only, so that a repeated import
/// sends the same requests.
pub(crate) trait Batcher {
    type Request;

    /// Adds a row; returns the batches that it completes.
    fn push(&mut self, row: Row) -> Vec<Batch<Self::Request>>;

    /// The last batch, after the last row.
    fn finish(&mut self) -> Option<Batch<Self::Request>>;
}

/// A part of a row that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) row: u64,
    /// The attribute, the event's name, the decision's field, or `row`.
    pub(crate) item: String,
    pub(crate) reason: String,
    pub(crate) explanation: String,
}

impl Refusal {
    pub(crate) fn new(row: u64, item: &str, reason: &str, explanation: &str) -> Self {
        let (item, reason, explanation) = (item.to_owned(), reason.to_owned(), explanation.to_owned());
        Self { row, item, reason, explanation }
    }
}

/// One request, and what is needed to account for its answer.
#[derive(Debug)]
pub(crate) struct Batch<Request> {
    /// `None` if nothing of the rows can be sent.
    pub(crate) request: Option<Request>,
    /// Of rows that are sent together: their customer key in the source.
    pub(crate) key: String,
    pub(crate) rows: Vec<Row>,
    /// About how many bytes its rows take in memory.
    pub(crate) bytes: usize,
    pub(crate) refused: Vec<Refusal>,
    /// Where a later run resumes once this batch and all before it are done.
    pub(crate) position: Option<Position>,
    /// Its share of the memory that all prepared rows may take; given back when it is done.
    pub(crate) memory: Option<OwnedSemaphorePermit>,
}

impl<Request> Default for Batch<Request> {
    fn default() -> Self {
        Self {
            request: None,
            key: String::new(),
            rows: Vec::new(),
            bytes: 0,
            refused: Vec::new(),
            position: None,
            memory: None,
        }
    }
}

impl<Request> Batch<Request> {
    /// Adds a row that it accounts for.
    pub(crate) fn add(&mut self, row: Row) {
        self.bytes += row.bytes();
        self.rows.push(row);
    }

    /// A row by itself.
    pub(crate) fn of(row: Row) -> Self {
        let mut batch = Self { position: Some(position_after(&row)), ..Self::default() };
        batch.add(row);
        batch
    }
}

/// The row's customer key in the source.
pub(crate) fn key_of(columns: &[String], row: &Row) -> Result<String, Refusal> {
    if let Cells::Unreadable(explanation, _) = &row.cells {
        return Err(Refusal::new(row.number, "row", UNREADABLE_ROW, explanation));
    }
    let parts: Option<Vec<_>> = columns.iter().map(|column| row.cell(column)).collect();
    let parts = parts
        .ok_or_else(|| Refusal::new(row.number, "row", NO_KEY, "a column of the customer key is empty"))?;
    if parts.iter().any(|part| part.starts_with(encoding::MARK)) {
        return Err(Refusal::new(
            row.number,
            "row",
            UNREADABLE_ROW,
            "the customer key begins with a byte-order mark",
        ));
    }
    match parts.as_slice() {
        [one] => Ok(one.clone()),
        // The parts `a/b` and `c` are another customer than `a` and `b/c`.
        many => {
            let escaped = many.iter().map(|part| part.replace('\\', r"\\").replace('/', r"\/"));
            Ok(escaped.collect::<Vec<_>>().join("/"))
        }
    }
}

/// A row that cannot be sent at all.
pub(crate) fn unsendable<Request>(row: Row, refusal: Refusal) -> Batch<Request> {
    Batch { refused: vec![refusal], ..Batch::of(row) }
}

/// Where a run resumes after this row.
pub(crate) fn position_after(row: &Row) -> Position {
    Position { bytes: row.end, rows: row.number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_several_columns_are_equal_only_if_all_columns_are() {
        let columns = ["a".to_owned(), "b".to_owned()];
        let key = |a: &str, b: &str| key_of(&columns, &Row::of_pairs(1, &[("a", a), ("b", b)])).unwrap();
        assert_eq!(key("shop", "7"), "shop/7");
        assert_ne!(key("a/b", "c"), key("a", "b/c"));
        assert_ne!(key(r"a\", "/c"), key(r"a", r"\/c"));
        assert_eq!(key_of(&columns[..1], &Row::of_pairs(1, &[("a", r"a/\b")])).unwrap(), r"a/\b");
    }
}
