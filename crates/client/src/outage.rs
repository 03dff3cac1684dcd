//! When a call is given up although its deadline leaves time: every known node says nothing but UNAVAILABLE, round
//! after round, for longer than a failover takes. More patience would only hide from a person at a desk what the
//! nodes have said.
//!
//! Always: any other answer begins the count anew; before [`FAILOVER_MAX`] only refused certificates end the call.

use std::collections::BTreeSet;

use tokio::time::Instant;
use tonic::Code;

use crate::error::ClientError;
use crate::timing::FAILOVER_MAX;

/// What the nodes have said to one call.
#[derive(Debug)]
pub(crate) struct Outage {
    rounds_max: u32,
    since: Option<Instant>,
    rounds: u32,
    /// Who has said UNAVAILABLE, or could not be reached, in this round.
    heard: BTreeSet<String>,
    /// Who does not accept our certificate, or shows one that is not accepted here.
    refused: Vec<String>,
}

impl Outage {
    /// Of a call that is given up after so many rounds, at least one.
    pub(crate) fn new(rounds_max: u32) -> Self {
        let (heard, refused) = (BTreeSet::new(), Vec::new());
        Self { rounds_max: rounds_max.max(1), since: None, rounds: 0, heard, refused }
    }

    /// Takes note of how an attempt failed, and says whether to give up; `nodes` is how many are known.
    pub(crate) fn note(&mut self, address: &str, error: &ClientError, nodes: usize, now: Instant) -> bool {
        // One node may have a bad certificate; if all are refused, the fault is on this side and stays.
        if matches!(error, ClientError::TlsRefused { .. }) {
            self.refused.push(address.to_owned());
        }
        if error.code() == Code::Unavailable {
            self.since.get_or_insert(now);
            self.heard.insert(address.to_owned());
            if self.heard.len() >= nodes {
                self.heard.clear();
                self.rounds = self.rounds.saturating_add(1);
            }
            let is_outage = self.outlasts_a_failover(now) && self.rounds >= self.rounds_max;
            return is_outage || self.refused.len() >= nodes;
        }
        // a silent node has said nothing
        if !matches!(error, ClientError::DeadlineExceeded { .. }) {
            *self = Self { refused: std::mem::take(&mut self.refused), ..Self::new(self.rounds_max) };
        }
        false
    }

    /// The nodes with which there can be no connection.
    pub(crate) fn refused(&self) -> &[String] {
        &self.refused
    }

    /// The nodes that need not be asked again in this round. A new leader may come at any moment, so everybody may be
    /// asked until a failover would be over.
    pub(crate) fn asked(&self, now: Instant) -> impl Iterator<Item = &String> {
        self.heard.iter().filter(move |_| self.outlasts_a_failover(now))
    }

    fn outlasts_a_failover(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now.saturating_duration_since(since) >= FAILOVER_MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::error::Answered;

    fn answered(code: Code) -> ClientError {
        let answered = Answered {
            code,
            reason: String::new(),
            field: String::new(),
            message: String::new(),
            leader: None,
            retry_after: None,
        };
        ClientError::Answered(Box::new(answered))
    }

    fn silent() -> ClientError {
        ClientError::DeadlineExceeded { deadline: FAILOVER_MAX, attempts: 1, last: None }
    }

    /// Every node says UNAVAILABLE once. Is that the end?
    fn round(outage: &mut Outage, now: Instant) -> bool {
        ["a", "b", "c"].map(|node| outage.note(node, &answered(Code::Unavailable), 3, now)).contains(&true)
    }

    #[test]
    fn a_call_is_given_up_after_its_rounds_but_not_before_a_failover_would_be_over() {
        let (start, mut outage) = (Instant::now(), Outage::new(3));
        assert!(!round(&mut outage, start));
        assert!(!round(&mut outage, start + FAILOVER_MAX), "a round is missing");
        assert!(round(&mut outage, start + FAILOVER_MAX));

        let (early, mut outage) = (start + FAILOVER_MAX - Duration::from_millis(1), Outage::new(3));
        for _ in 0..9 {
            assert!(!round(&mut outage, start) && !round(&mut outage, early));
        }
        assert!(outage.note("a", &answered(Code::Unavailable), 3, start + FAILOVER_MAX));
    }

    #[test]
    fn a_node_that_was_not_heard_keeps_the_round_open_and_is_asked_next() {
        let (start, mut outage) = (Instant::now(), Outage::new(1));
        let late = start + FAILOVER_MAX;
        for now in [start, late] {
            assert!(!outage.note("a", &answered(Code::Unavailable), 3, now));
            assert!(!outage.note("b", &answered(Code::Unavailable), 3, now));
            assert!(!outage.note("c", &silent(), 3, now));
        }
        assert_eq!(outage.asked(start).count(), 0);
        assert_eq!(outage.asked(late).collect::<Vec<_>>(), ["a", "b"]);
        assert!(outage.note("c", &answered(Code::Unavailable), 3, late));
    }

    #[test]
    fn a_node_that_works_on_calls_begins_the_count_anew() {
        let (start, mut outage) = (Instant::now(), Outage::new(1));
        round(&mut outage, start);
        assert!(!outage.note("a", &answered(Code::ResourceExhausted), 3, start));
        assert!(!round(&mut outage, start + FAILOVER_MAX));
        assert!(round(&mut outage, start + 2 * FAILOVER_MAX));
    }

    #[test]
    fn a_certificate_that_every_node_refuses_is_final_at_once() {
        let (now, mut outage) = (Instant::now(), Outage::new(3));
        let refused = ClientError::TlsRefused { address: "a".into(), cause: String::new() };
        assert!(!outage.note("a", &refused, 2, now));
        assert_eq!(outage.refused(), ["a"]);
        assert!(outage.note("b", &refused, 2, now));
    }
}
