//! What became of the data, counted by reason. Nothing is dropped in silence: merged plus refused is all.

use std::collections::BTreeMap;

use custodia_proto::v1;
use serde::{Deserialize, Serialize};

use crate::import::request::{Batch, Refusal};
use crate::words::word_of;

/// The counts of an import, over all its runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tally {
    pub(crate) rows: u64,
    pub(crate) requests: u64,
    pub(crate) customers_created: u64,
    pub(crate) values_merged: u64,
    pub(crate) events_appended: u64,
    /// By reason.
    pub(crate) refused: BTreeMap<String, u64>,
}

impl Tally {
    /// Adds what another part of the import counted.
    pub(crate) fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.requests += other.requests;
        self.customers_created += other.customers_created;
        self.values_merged += other.values_merged;
        self.events_appended += other.events_appended;
        for (reason, count) in &other.refused {
            *self.refused.entry(reason.clone()).or_default() += count;
        }
    }

    /// How many parts of rows were refused.
    pub(crate) fn refused_total(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Counts a request that is done, and collects what of it was refused.
    pub(crate) fn of(
        batch: &mut Batch,
        answer: Option<&Result<v1::IngestProfileResponse, v1::RowError>>,
    ) -> (Self, Vec<Refusal>) {
        let mut tally = Self { rows: batch.rows.len() as u64, ..Self::default() };
        let mut refused = std::mem::take(&mut batch.refused);
        match answer {
            None => {}
            Some(Ok(response)) => {
                tally.requests = 1;
                tally.customers_created = u64::from(response.created);
                tally.take_response(response, batch, &mut refused);
            }
            Some(Err(error)) => {
                tally.requests = 1;
                let reason = error.reason.to_ascii_lowercase().replace('_', "-");
                refused.extend(batch.rows.iter().map(|row| Refusal {
                    row: row.number,
                    item: "row".into(),
                    reason: if reason.is_empty() { "failed".into() } else { reason.clone() },
                    explanation: error.message.clone(),
                }));
            }
        }
        for refusal in &refused {
            *tally.refused.entry(refusal.reason.clone()).or_default() += 1;
        }
        (tally, refused)
    }

    fn take_response(
        &mut self,
        response: &v1::IngestProfileResponse,
        batch: &Batch,
        refused: &mut Vec<Refusal>,
    ) {
        for (outcome, row) in response.attributes.iter().zip(&batch.observation_rows) {
            if outcome.merged {
                self.values_merged += 1;
            } else {
                refused.push(Refusal {
                    row: *row,
                    item: outcome.attribute.clone(),
                    reason: word_of::<v1::RefusalReason>(outcome.refusal),
                    explanation: outcome.explanation.clone(),
                });
            }
        }
        for (outcome, row) in response.events.iter().zip(&batch.event_rows) {
            if outcome.appended {
                self.events_appended += 1;
            } else {
                refused.push(Refusal {
                    row: *row,
                    item: outcome.event_id.clone(),
                    reason: word_of::<v1::RefusalReason>(outcome.refusal),
                    explanation: outcome.explanation.clone(),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::row::Row;

    fn batch() -> Batch {
        Batch {
            rows: vec![Row::of_pairs(4, &[]), Row::of_pairs(5, &[])],
            observation_rows: vec![4, 5],
            event_rows: vec![5],
            ..Batch::default()
        }
    }

    #[test]
    fn every_outcome_is_counted_once() {
        let refused = v1::AttributeOutcome {
            attribute: "age".into(),
            refusal: v1::RefusalReason::NoGround.into(),
            ..Default::default()
        };
        let merged = v1::AttributeOutcome { attribute: "city".into(), merged: true, ..Default::default() };
        let appended = v1::EventOutcome { appended: true, ..Default::default() };
        let response = v1::IngestProfileResponse {
            created: true,
            attributes: vec![merged, refused],
            events: vec![appended],
            ..Default::default()
        };
        let (tally, refused) = Tally::of(&mut batch(), Some(&Ok(response)));
        assert_eq!(
            (tally.rows, tally.values_merged, tally.events_appended, tally.customers_created),
            (2, 1, 1, 1)
        );
        assert_eq!(tally.refused, BTreeMap::from([("no-ground".to_owned(), 1)]));
        assert_eq!((refused[0].row, refused[0].item.as_str()), (5, "age"));
    }

    #[test]
    fn a_failed_request_refuses_each_of_its_rows() {
        let error = v1::RowError { reason: "LIMIT_EXCEEDED".into(), ..Default::default() };
        let (tally, refused) = Tally::of(&mut batch(), Some(&Err(error)));
        assert_eq!(tally.refused, BTreeMap::from([("limit-exceeded".to_owned(), 2)]));
        assert_eq!(refused.iter().map(|one| one.row).collect::<Vec<_>>(), [4, 5]);
    }
}
