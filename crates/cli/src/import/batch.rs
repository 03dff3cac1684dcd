//! What rows become on their way to the cluster, whatever they are rows of: a request with the rows that it accounts for,
//! the refused parts of them, and where a later run goes on.

use crate::import::reader::Position;
use crate::import::row::{Cells, Row};

/// Why something was refused before it was sent.
pub(crate) const UNREADABLE_ROW: &str = "unreadable-row";
pub(crate) const NO_KEY: &str = "no-key";
pub(crate) const NOT_PARSED: &str = "not-parsed";

/// Turns rows into requests. Always: what is in a request depends on the rows and the mapping alone, so a repeated
/// import makes the same requests.
pub(crate) trait Rows {
    /// What is sent.
    type Request;

    /// Takes a row; gives back what it completes.
    fn push(&mut self, row: Row) -> Vec<Batch<Self::Request>>;

    /// What is left after the last row.
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

/// One request on its way, and what is needed to account for its answer.
#[derive(Debug)]
pub(crate) struct Batch<Request> {
    /// `None` where nothing of the rows can be sent.
    pub(crate) request: Option<Request>,
    pub(crate) key: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) refused: Vec<Refusal>,
    /// Where a later run goes on, once this one and all before are done.
    pub(crate) position: Option<Position>,
}

impl<Request> Default for Batch<Request> {
    fn default() -> Self {
        Self { request: None, key: String::new(), rows: Vec::new(), refused: Vec::new(), position: None }
    }
}

/// The source's key of the row's customer.
pub(crate) fn key_of(columns: &[String], row: &Row) -> Result<String, Refusal> {
    if let Cells::Unreadable(explanation, _) = &row.cells {
        return Err(refusal(row, "row", UNREADABLE_ROW, explanation));
    }
    let parts: Option<Vec<_>> = columns.iter().map(|column| row.cell(column)).collect();
    parts
        .map(|parts| parts.join("/"))
        .ok_or_else(|| refusal(row, "row", NO_KEY, "a column of the customer's key is empty"))
}

/// A row of which nothing can be sent.
pub(crate) fn unsendable<Request>(row: Row, refusal: Refusal) -> Batch<Request> {
    let position = Some(position_behind(&row));
    Batch { rows: vec![row], refused: vec![refusal], position, ..Batch::default() }
}

/// Where a run goes on that has done all up to this row.
pub(crate) fn position_behind(row: &Row) -> Position {
    Position { bytes: row.end, rows: row.number }
}

pub(crate) fn refusal(row: &Row, item: &str, reason: &str, explanation: &str) -> Refusal {
    let (item, reason, explanation) = (item.to_owned(), reason.to_owned(), explanation.to_owned());
    Refusal { row: row.number, item, reason, explanation }
}
