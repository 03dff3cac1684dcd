//! Counts of what happened to the data, by reason. Nothing is dropped silently: everything is either accepted or refused.

use std::collections::{BTreeMap, BTreeSet};

use custodia_client::Answered;
use custodia_proto::v1;
use serde::{Deserialize, Serialize};

use crate::import::batch::{Batch, Refusal};
use crate::import::request::Ingest;
use crate::import::row::Row;
use crate::text::enum_text::enum_text;

/// The counts of an import, over all its runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tally {
    pub(crate) rows: u64,
    pub(crate) requests: u64,
    pub(crate) customers_created: u64,
    pub(crate) values_merged: u64,
    pub(crate) events_appended: u64,
    /// Decisions, and grounds that came with data, that became the state.
    pub(crate) decisions_recorded: u64,
    /// In the ledger, and not the state, because a newer decision or a no stands.
    pub(crate) decisions_superseded: u64,
    /// The state said the same before.
    pub(crate) decisions_known: u64,
    /// Rows of which anything was refused.
    pub(crate) rows_refused: u64,
    /// By reason.
    pub(crate) refused: BTreeMap<String, u64>,
}

impl Tally {
    /// Adds the counts of another part of the import.
    pub(crate) fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.requests += other.requests;
        self.customers_created += other.customers_created;
        self.values_merged += other.values_merged;
        self.events_appended += other.events_appended;
        self.decisions_recorded += other.decisions_recorded;
        self.decisions_superseded += other.decisions_superseded;
        self.decisions_known += other.decisions_known;
        self.rows_refused += other.rows_refused;
        for (reason, count) in &other.refused {
            *self.refused.entry(reason.clone()).or_default() += count;
        }
    }

    /// Counts a decision that is in the ledger.
    fn count_decision(&mut self, effect: v1::DecisionEffect) {
        match effect {
            v1::DecisionEffect::Unchanged => self.decisions_known += 1,
            v1::DecisionEffect::Applied | v1::DecisionEffect::Unspecified => self.decisions_recorded += 1,
            v1::DecisionEffect::Superseded => self.decisions_superseded += 1,
        }
    }

    /// How many decisions are in the ledger.
    pub(crate) fn decisions(&self) -> u64 {
        self.decisions_recorded + self.decisions_superseded + self.decisions_known
    }

    /// How many parts of rows were refused.
    pub(crate) fn refused_total(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Counts a completed request and collects its refusals.
    pub(crate) fn of<Answer: Counted>(
        batch: &mut Batch<Answer::Request>,
        answer: Option<&Result<Answer, Answered>>,
    ) -> (Self, Vec<Refusal>) {
        let mut tally = Self { rows: batch.rows.len() as u64, ..Self::default() };
        let mut refused = std::mem::take(&mut batch.refused);
        match answer {
            None => {}
            Some(Ok(answer)) => {
                tally.requests = 1;
                answer.count(batch, &mut tally, &mut refused);
            }
            Some(Err(error)) => {
                tally.requests = 1;
                let reason = error.reason.to_ascii_lowercase().replace('_', "-");
                let reason = if reason.is_empty() { "failed" } else { &reason };
                let refusal = |row: &Row| Refusal::new(row.number, "row", reason, &error.message);
                refused.extend(batch.rows.iter().map(refusal));
            }
        }
        tally.rows_refused = refused.iter().map(|refusal| refusal.row).collect::<BTreeSet<_>>().len() as u64;
        for refusal in &refused {
            *tally.refused.entry(refusal.reason.clone()).or_default() += 1;
        }
        (tally, refused)
    }
}

/// An answer whose parts are counted.
pub(crate) trait Counted {
    type Request;

    /// The customer of the rows.
    fn customer_id(&self) -> &str;

    /// Counts what was accepted and collects what was refused.
    fn count(&self, batch: &Batch<Self::Request>, tally: &mut Tally, refused: &mut Vec<Refusal>);
}

impl Counted for v1::IngestProfileResponse {
    type Request = Ingest;

    fn customer_id(&self) -> &str {
        &self.customer_id
    }

    fn count(&self, batch: &Batch<Ingest>, tally: &mut Tally, refused: &mut Vec<Refusal>) {
        let Some(ingest) = &batch.request else { return };
        tally.customers_created = u64::from(self.created);
        // Equal consents of several rows are sent once, so a refused one is told with the first row.
        let first = batch.rows.first().map_or(0, |row| row.number);
        for outcome in &self.consents {
            if outcome.recorded {
                tally.count_decision(outcome.effect());
            } else {
                refused.push(refusal_of(first, &outcome.purpose, outcome.refusal, &outcome.explanation));
            }
        }
        for (outcome, row) in self.attributes.iter().zip(&ingest.observation_rows) {
            if outcome.merged {
                tally.values_merged += 1;
            } else {
                refused.push(refusal_of(*row, &outcome.attribute, outcome.refusal, &outcome.explanation));
            }
        }
        for (outcome, row) in self.events.iter().zip(&ingest.event_rows) {
            if outcome.appended {
                tally.events_appended += 1;
            } else {
                refused.push(refusal_of(*row, &outcome.event_id, outcome.refusal, &outcome.explanation));
            }
        }
    }
}

fn refusal_of(row: u64, item: &str, reason: i32, explanation: &str) -> Refusal {
    Refusal::new(row, item, &enum_text::<v1::RefusalReason>(reason), explanation)
}

impl Counted for v1::ConsentState {
    type Request = v1::RecordConsentRequest;

    fn customer_id(&self) -> &str {
        &self.customer_id
    }

    fn count(&self, _batch: &Batch<Self::Request>, tally: &mut Tally, _refused: &mut Vec<Refusal>) {
        tally.count_decision(self.effect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Batch<Ingest> {
        let request = Ingest { observation_rows: vec![4, 5], event_rows: vec![5], ..Ingest::default() };
        let rows = vec![Row::of_pairs(4, &[]), Row::of_pairs(5, &[])];
        Batch { request: Some(request), rows, ..Batch::default() }
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
        let withdrawn = v1::ConsentOutcome {
            purpose: "offers".into(),
            refusal: v1::RefusalReason::ConsentWithdrawn.into(),
            ..Default::default()
        };
        let response = v1::IngestProfileResponse {
            created: true,
            attributes: vec![merged, refused],
            events: vec![appended],
            consents: vec![withdrawn],
            ..Default::default()
        };
        let (tally, refused) = Tally::of(&mut batch(), Some(&Ok(response)));
        assert_eq!(
            (tally.rows, tally.values_merged, tally.events_appended, tally.customers_created),
            (2, 1, 1, 1)
        );
        let reasons = [("no-ground".to_owned(), 1), ("consent-withdrawn".to_owned(), 1)];
        assert_eq!((tally.refused, tally.rows_refused), (BTreeMap::from(reasons), 2));
        let items: Vec<_> = refused.iter().map(|one| (one.row, one.item.as_str())).collect();
        assert_eq!(items, [(4, "offers"), (5, "age")]);
    }

    #[test]
    fn a_decision_that_was_known_is_not_counted_as_recorded() {
        let counts = |effect: v1::DecisionEffect| {
            let state = v1::ConsentState { effect: effect.into(), ..Default::default() };
            let answer: Result<_, Answered> = Ok(state);
            let (tally, _) = Tally::of(&mut Batch::default(), Some(&answer));
            (tally.decisions_recorded, tally.decisions_superseded, tally.decisions_known)
        };
        assert_eq!(counts(v1::DecisionEffect::Applied), (1, 0, 0));
        assert_eq!(counts(v1::DecisionEffect::Superseded), (0, 1, 0));
        assert_eq!(counts(v1::DecisionEffect::Unchanged), (0, 0, 1));
    }

    #[test]
    fn a_failed_request_refuses_each_of_its_rows() {
        let error = v1::RowError { reason: "LIMIT_EXCEEDED".into(), ..Default::default() };
        let answer: Result<v1::IngestProfileResponse, _> = Err(error.into());
        let (tally, refused) = Tally::of(&mut batch(), Some(&answer));
        assert_eq!(tally.refused, BTreeMap::from([("limit-exceeded".to_owned(), 2)]));
        assert_eq!(refused.iter().map(|one| one.row).collect::<Vec<_>>(), [4, 5]);
    }
}
