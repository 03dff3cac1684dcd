//! Decides when a call fails before its deadline: every known node has answered only UNAVAILABLE, round after round, for
//! longer than a failover takes. Waiting longer would only hide the nodes' errors from the person who waits.
//!
//! Invariant: any other answer restarts the count; before [`FAILOVER_MAX`] only refused certificates end the call.

use std::collections::BTreeSet;

use tokio::time::Instant;
use tonic::Code;

use crate::error::ClientError;
use crate::timing::FAILOVER_MAX;

/// The nodes that were unavailable to one call.
#[derive(Debug)]
pub(crate) struct UnavailableTracker {
    rounds_max: u32,
    since: Option<Instant>,
    rounds: u32,
    /// Nodes that answered UNAVAILABLE or were unreachable in this round.
    tried: BTreeSet<String>,
    /// Nodes with which the TLS handshake failed on a certificate.
    refused: Vec<String>,
}

impl UnavailableTracker {
    /// For a call that fails after `rounds_max` rounds (at least one).
    pub(crate) fn new(rounds_max: u32) -> Self {
        let (tried, refused) = (BTreeSet::new(), Vec::new());
        Self { rounds_max: rounds_max.max(1), since: None, rounds: 0, tried, refused }
    }

    /// Records a failed attempt; returns whether the call fails now. `nodes` is the number of known nodes.
    pub(crate) fn record(&mut self, address: &str, error: &ClientError, nodes: usize, now: Instant) -> bool {
        // One node may have a bad certificate; if all handshakes fail, the fault is on this side and permanent.
        if matches!(error, ClientError::TlsRefused { .. }) {
            self.refused.push(address.to_owned());
        }
        if error.code() == Code::Unavailable {
            self.since.get_or_insert(now);
            self.tried.insert(address.to_owned());
            if self.tried.len() >= nodes {
                self.tried.clear();
                self.rounds = self.rounds.saturating_add(1);
            }
            let is_unavailable = self.outlasts_a_failover(now) && self.rounds >= self.rounds_max;
            return is_unavailable || self.refused.len() >= nodes;
        }
        // A node that did not answer in time may be available or not.
        if !matches!(error, ClientError::DeadlineExceeded { .. }) {
            *self = Self { refused: std::mem::take(&mut self.refused), ..Self::new(self.rounds_max) };
        }
        false
    }

    /// The nodes whose TLS handshake fails.
    pub(crate) fn refused(&self) -> &[String] {
        &self.refused
    }

    /// The nodes that need not be tried again in this round. Empty until a failover would be over: until then any of them
    /// may become the leader at any moment.
    pub(crate) fn tried(&self, now: Instant) -> impl Iterator<Item = &String> {
        self.tried.iter().filter(move |_| self.outlasts_a_failover(now))
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

    /// Every node answers UNAVAILABLE once; whether the call fails.
    fn round(tracker: &mut UnavailableTracker, now: Instant) -> bool {
        ["a", "b", "c"].map(|node| tracker.record(node, &answered(Code::Unavailable), 3, now)).contains(&true)
    }

    #[test]
    fn a_call_fails_after_its_rounds_but_not_before_a_failover_would_be_over() {
        let (start, mut tracker) = (Instant::now(), UnavailableTracker::new(3));
        assert!(!round(&mut tracker, start));
        assert!(!round(&mut tracker, start + FAILOVER_MAX), "a round is missing");
        assert!(round(&mut tracker, start + FAILOVER_MAX));

        let (early, mut tracker) =
            (start + FAILOVER_MAX - Duration::from_millis(1), UnavailableTracker::new(3));
        for _ in 0..9 {
            assert!(!round(&mut tracker, start) && !round(&mut tracker, early));
        }
        assert!(tracker.record("a", &answered(Code::Unavailable), 3, start + FAILOVER_MAX));
    }

    #[test]
    fn a_silent_node_keeps_the_round_open_and_is_tried_next() {
        let (start, mut tracker) = (Instant::now(), UnavailableTracker::new(1));
        let late = start + FAILOVER_MAX;
        for now in [start, late] {
            assert!(!tracker.record("a", &answered(Code::Unavailable), 3, now));
            assert!(!tracker.record("b", &answered(Code::Unavailable), 3, now));
            assert!(!tracker.record("c", &silent(), 3, now));
        }
        assert_eq!(tracker.tried(start).count(), 0);
        assert_eq!(tracker.tried(late).collect::<Vec<_>>(), ["a", "b"]);
        assert!(tracker.record("c", &answered(Code::Unavailable), 3, late));
    }

    #[test]
    fn a_node_that_works_on_calls_restarts_the_count() {
        let (start, mut tracker) = (Instant::now(), UnavailableTracker::new(1));
        round(&mut tracker, start);
        assert!(!tracker.record("a", &answered(Code::ResourceExhausted), 3, start));
        assert!(!round(&mut tracker, start + FAILOVER_MAX));
        assert!(round(&mut tracker, start + 2 * FAILOVER_MAX));
    }

    #[test]
    fn a_certificate_that_every_node_refuses_is_final_at_once() {
        let (now, mut tracker) = (Instant::now(), UnavailableTracker::new(3));
        let refused = ClientError::TlsRefused { address: "a".into(), cause: String::new() };
        assert!(!tracker.record("a", &refused, 2, now));
        assert_eq!(tracker.refused(), ["a"]);
        assert!(tracker.record("b", &refused, 2, now));
    }
}
