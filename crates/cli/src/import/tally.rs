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
    /// Into others, because one row named identifiers of both and their namespace has this policy.
    pub(crate) customers_merged: u64,
    /// Pairs of customers that rows named identifiers of, so that a person decides; each as often as such rows come.
    pub(crate) merges_proposed: u64,
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
        self.customers_merged += other.customers_merged;
        self.merges_proposed += other.merges_proposed;
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
    pub(crate) fn count_decision(&mut self, effect: v1::DecisionEffect) {
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

    /// Counts what was accepted and collects what was refused.
    fn count(&self, batch: &Batch<Self::Request>, tally: &mut Tally, refused: &mut Vec<Refusal>);
}

impl Counted for v1::IngestProfileResponse {
    type Request = Ingest;

    fn count(&self, batch: &Batch<Ingest>, tally: &mut Tally, refused: &mut Vec<Refusal>) {
        let Some(ingest) = &batch.request else { return };
        tally.customers_created = u64::from(self.created);
        tally.customers_merged = self.merged_customer_ids.len() as u64;
        let held = self.identifiers.iter().map(|outcome| outcome.held_by.as_str());
        let others: BTreeSet<_> = held.filter(|other| !other.is_empty()).collect();
        tally.merges_proposed = others.len() as u64;
        // Equal consents of several rows are sent once, so a refused one is told with the first row.
        let first = batch.rows.first().map_or(0, |row| row.number);
        for outcome in &self.consents {
            if outcome.recorded {
                tally.count_decision(outcome.effect());
            } else {
                refused.push(refusal_of(first, &outcome.purpose, outcome.refusal, &outcome.explanation));
            }
        }
        // Those of attributes follow those of the request.
        let rows = ingest.identifier_rows.iter().copied().chain(std::iter::repeat(first));
        for (outcome, row) in self.identifiers.iter().zip(rows).filter(|(outcome, _)| !outcome.merged) {
            refused.push(refusal_of(row, &outcome.namespace, outcome.refusal, &outcome.explanation));
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
    fn two_known_customers_are_counted_as_merged_or_proposed() {
        let outcome = |namespace: &str, held_by: &str| v1::IdentifierOutcome {
            namespace: namespace.into(),
            held_by: held_by.into(),
            merged: held_by.is_empty(),
            refusal: v1::RefusalReason::IdentifierTaken.into(),
            ..Default::default()
        };
        let identifiers =
            vec![outcome("crm", ""), outcome("card", "b"), outcome("email", "b"), outcome("login", "c")];
        let merged_customer_ids = vec!["d".into()];
        let response = v1::IngestProfileResponse { identifiers, merged_customer_ids, ..Default::default() };
        let request = Ingest { identifier_rows: vec![4, 5, 5], ..Ingest::default() };
        let mut batch = Batch { request: Some(request), ..batch() };
        let (tally, refused) = Tally::of(&mut batch, Some(&Ok(response)));
        assert_eq!((tally.customers_merged, tally.merges_proposed), (1, 2));
        let told: Vec<_> = refused.iter().map(|one| (one.row, one.item.as_str())).collect();
        assert_eq!(
            told,
            [(5, "card"), (5, "email"), (4, "login")],
            "what an attribute brought has the first row"
        );
        assert!(refused.iter().all(|one| one.reason == "identifier-taken"));
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
