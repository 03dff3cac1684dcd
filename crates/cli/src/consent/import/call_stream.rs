//! The call stream of decisions: many customers at a time, one decision of each in flight.

use std::collections::{BTreeMap, VecDeque};

use custodia_client::{Answered, Client, ClientError};
use custodia_proto::v1;
use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use tonic::Code;

use super::decision::{DatedDecision, Named};
use crate::import::{CallStream, is_input_error, is_legal_refusal, is_record_error};

/// The answer to a decision.
struct Answer {
    number: u64,
    customer: Named,
    result: Result<v1::ConsentState, ClientError>,
}

/// Invariant: a customer is in `waiting`, with its later decisions, as long as one of its decisions is in flight.
pub(crate) struct DecisionStream {
    client: Client,
    calls: FuturesUnordered<LocalBoxFuture<'static, Answer>>,
    waiting: BTreeMap<Named, VecDeque<(u64, DatedDecision)>>,
    next: u64,
    is_open: bool,
}

impl DecisionStream {
    pub(crate) fn new(client: &Client) -> Self {
        let (calls, waiting) = (FuturesUnordered::new(), BTreeMap::new());
        Self { client: client.clone(), calls, waiting, next: 0, is_open: true }
    }

    fn call(&self, number: u64, decision: DatedDecision) {
        let client = self.client.clone();
        let call = async move {
            let customer = decision.customer.clone();
            Answer { number, customer, result: decision.record(&client).await }
        };
        self.calls.push(call.boxed_local());
    }

    /// Sends the customer's next decision, if one is waiting.
    fn send_next(&mut self, customer: &Named) {
        match self.waiting.get_mut(customer).and_then(VecDeque::pop_front) {
            Some((number, decision)) => self.call(number, decision),
            None => drop(self.waiting.remove(customer)),
        }
    }
}

impl CallStream for DecisionStream {
    type Answer = v1::ConsentState;

    async fn send(&mut self, decision: &DatedDecision) -> Result<u64, ClientError> {
        let number = self.next;
        self.next += 1;
        if let Some(waiting) = self.waiting.get_mut(&decision.customer) {
            waiting.push_back((number, decision.clone()));
        } else {
            self.waiting.insert(decision.customer.clone(), VecDeque::new());
            self.call(number, decision.clone());
        }
        Ok(number)
    }

    async fn next(&mut self) -> Option<(u64, Result<v1::ConsentState, ClientError>)> {
        if let Some(Answer { number, customer, result }) = self.calls.next().await {
            self.send_next(&customer);
            return Some((number, result));
        }
        // Nothing is in flight; the caller may cancel the wait and send more.
        if self.is_open { std::future::pending().await } else { None }
    }

    fn close(&mut self) {
        self.is_open = false;
    }

    /// Errors of one decision or one customer: an invalid field, a refusal by law, no customer, a damaged record.
    fn is_row_error(answered: &Answered) -> bool {
        is_record_error(answered.code)
            || is_input_error(answered.code)
            || is_legal_refusal(answered)
            || answered.code == Code::NotFound && answered.reason == "CUSTOMER_NOT_FOUND"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: Code, reason: &str) -> Answered {
        let (field, message) = (String::new(), String::new());
        Answered { code, reason: reason.into(), field, message, leader: None, retry_after: None }
    }

    #[test]
    fn a_legal_refusal_is_a_row_error_and_unavailability_is_not() {
        for (code, reason, own) in [
            (Code::FailedPrecondition, "ILLEGAL_TRANSITION", true),
            (Code::FailedPrecondition, "OBJECTION_STANDS", true),
            (Code::FailedPrecondition, "NOT_INITIALISED", false),
            (Code::NotFound, "CUSTOMER_NOT_FOUND", true),
            (Code::NotFound, "ENTRY_NOT_FOUND", false),
            (Code::InvalidArgument, "PRE_TICKED", true),
            (Code::PermissionDenied, "ROLE_NOT_ALLOWED", false),
            (Code::Unavailable, "NO_QUORUM", false),
        ] {
            assert_eq!(DecisionStream::is_row_error(&answered(code, reason)), own, "{reason}");
        }
    }

    #[tokio::test]
    async fn decisions_of_one_customer_are_sent_one_by_one_in_order() {
        // Nobody listens there: every call fails by itself, which suffices for this test.
        let options = custodia_client::ClientOptions::new(vec!["127.0.0.1:1".into()], Vec::new());
        let Ok(client) = Client::new(&options) else { panic!("a client needs no connection") };
        let mut stream = DecisionStream::new(&client.with_deadline(std::time::Duration::from_millis(1)));
        let decision =
            |id: &str| DatedDecision { customer: Named::Id(id.into()), request: Default::default() };
        for customer in ["a", "a", "b", "a"] {
            stream.send(&decision(customer)).await.unwrap();
        }
        assert_eq!(stream.calls.len(), 2, "one of each customer is in flight");
        stream.close();
        let mut answered = Vec::new();
        while let Some((number, _)) = stream.next().await {
            assert!(stream.calls.len() <= 2);
            answered.push(number);
        }
        let of_a: Vec<_> = answered.iter().filter(|number| **number != 2).collect();
        assert_eq!((of_a, answered.len()), (vec![&0, &1, &3], 4));
        assert!(stream.waiting.is_empty());
    }
}
