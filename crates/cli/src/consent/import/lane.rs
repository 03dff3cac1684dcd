//! Decisions on their way: many customers at a time, one decision of each.

use std::collections::{BTreeMap, VecDeque};

use custodia_client::{Answered, Client, ClientError};
use custodia_proto::v1;
use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use tonic::Code;

use crate::import::Lane;

/// A decision that has been answered.
struct Answer {
    number: u64,
    customer_id: String,
    result: Result<v1::ConsentState, ClientError>,
}

/// Always: a customer is in `waiting` as long as one of its decisions is on its way, with those that come after it.
pub(crate) struct DecisionLane {
    client: Client,
    calls: FuturesUnordered<LocalBoxFuture<'static, Answer>>,
    waiting: BTreeMap<String, VecDeque<(u64, v1::RecordConsentRequest)>>,
    next: u64,
    is_open: bool,
}

impl DecisionLane {
    pub(crate) fn new(client: &Client) -> Self {
        let (calls, waiting) = (FuturesUnordered::new(), BTreeMap::new());
        Self { client: client.clone(), calls, waiting, next: 0, is_open: true }
    }

    fn call(&self, number: u64, request: v1::RecordConsentRequest) {
        let client = self.client.clone();
        let call = async move {
            let customer_id = request.customer_id.clone();
            Answer { number, customer_id, result: client.record_consent(request).await }
        };
        self.calls.push(call.boxed_local());
    }

    /// Sends the customer's next decision, if one is waiting.
    fn go_on(&mut self, customer_id: &str) {
        match self.waiting.get_mut(customer_id).and_then(VecDeque::pop_front) {
            Some((number, request)) => self.call(number, request),
            None => drop(self.waiting.remove(customer_id)),
        }
    }
}

impl Lane for DecisionLane {
    type Answer = v1::ConsentState;

    async fn send(&mut self, request: &v1::RecordConsentRequest) -> Result<u64, ClientError> {
        let number = self.next;
        self.next += 1;
        if let Some(waiting) = self.waiting.get_mut(&request.customer_id) {
            waiting.push_back((number, request.clone()));
        } else {
            self.waiting.insert(request.customer_id.clone(), VecDeque::new());
            self.call(number, request.clone());
        }
        Ok(number)
    }

    async fn next(&mut self) -> Option<(u64, Result<v1::ConsentState, ClientError>)> {
        if let Some(Answer { number, customer_id, result }) = self.calls.next().await {
            self.go_on(&customer_id);
            return Some((number, result));
        }
        // Nothing is on its way. A caller that gives up waiting can send more.
        if self.is_open { std::future::pending().await } else { None }
    }

    fn close(&mut self) {
        self.is_open = false;
    }

    /// What is wrong with one decision or one customer: a field, the law, a damaged record.
    fn is_the_rows_own(answered: &Answered) -> bool {
        match answered.code {
            Code::InvalidArgument
            | Code::OutOfRange
            | Code::ResourceExhausted
            | Code::DataLoss
            | Code::Aborted => true,
            Code::FailedPrecondition => is_of_the_law(&answered.reason),
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::Unauthenticated => false,
        }
    }
}

fn is_of_the_law(reason: &str) -> bool {
    reason == "OBJECTION_STANDS"
        || v1::RefusalReason::from_str_name(&format!("REFUSAL_REASON_{reason}")).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: Code, reason: &str) -> Answered {
        let (field, message) = (String::new(), String::new());
        Answered { code, reason: reason.into(), field, message, leader: None, retry_after: None }
    }

    #[test]
    fn what_the_law_refuses_is_the_row_s_own_and_an_outage_is_not() {
        for (code, reason, own) in [
            (Code::FailedPrecondition, "ILLEGAL_TRANSITION", true),
            (Code::FailedPrecondition, "OBJECTION_STANDS", true),
            (Code::FailedPrecondition, "NOT_INITIALISED", false),
            (Code::InvalidArgument, "PRE_TICKED", true),
            (Code::PermissionDenied, "ROLE_NOT_ALLOWED", false),
            (Code::Unavailable, "NO_QUORUM", false),
        ] {
            assert_eq!(DecisionLane::is_the_rows_own(&answered(code, reason)), own, "{reason}");
        }
    }

    #[tokio::test]
    async fn decisions_of_one_customer_go_one_after_the_other_in_their_order() {
        // Nobody listens there: each call fails by itself, which is all that this test needs of it.
        let options = custodia_client::ClientOptions::new(vec!["127.0.0.1:1".into()], Vec::new());
        let Ok(client) = Client::new(&options) else { panic!("a client is made without a connection") };
        let mut lane = DecisionLane::new(&client.with_deadline(std::time::Duration::from_millis(1)));
        let request =
            |customer: &str| v1::RecordConsentRequest { customer_id: customer.into(), ..Default::default() };
        for customer in ["a", "a", "b", "a"] {
            lane.send(&request(customer)).await.unwrap();
        }
        assert_eq!(lane.calls.len(), 2, "one of each customer is on its way");
        lane.close();
        let mut answered = Vec::new();
        while let Some((number, _)) = lane.next().await {
            assert!(lane.calls.len() <= 2);
            answered.push(number);
        }
        let of_a: Vec<_> = answered.iter().filter(|number| **number != 2).collect();
        assert_eq!((of_a, answered.len()), (vec![&0, &1, &3], 4));
        assert!(lane.waiting.is_empty());
    }
}
