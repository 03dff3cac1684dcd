//! One call: attempts, each to the best known node, until an answer, a final error, the deadline, or nodes that are all
//! unavailable for too long.

use std::future::Future;
use std::time::Duration;

use custodia_profile::CustomerId;
use tokio::time::Instant;
use tonic::transport::Channel;

use crate::client::Client;
use crate::error::{ClientError, LEADER_KEY};
use crate::outage::Outage;
use crate::plan::{Planned, Repetition};
use crate::timing::{ATTEMPT_MIN, backoff, jitter};

impl Client {
    /// Sends a call as its plan says, until it is answered or its deadline has come.
    pub(crate) async fn call<Message, Answer, Attempt, Pending>(
        &self,
        mut message: Message,
        attempt: Attempt,
    ) -> Result<Answer, ClientError>
    where
        Message: Planned,
        Attempt: Fn(Channel, tonic::Request<Message>) -> Pending,
        Pending: Future<Output = Result<tonic::Response<Answer>, tonic::Status>>,
    {
        let plan = message.plan();
        let deadline = Instant::now() + self.deadline;
        if plan.customer.is_some() {
            self.shared.ensure_map(deadline).await;
        }
        let mut address = self.first_address(plan.customer);
        let mut attempts = 0_u32;
        let mut outage = Outage::new(self.shared.unavailable_rounds_max);
        let mut last = None;
        loop {
            attempts += 1;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.out_of_time(attempts - 1, last));
            }
            let limit = attempt_limit(plan.repetition, left, self.deadline);
            let channel = self.shared.channel(&address)?;
            let request = self.shared.dress(message.clone(), Some(limit));
            let error = match tokio::time::timeout(limit, attempt(channel, request)).await {
                Ok(Ok(answer)) => {
                    self.learn(plan.customer, answer.metadata());
                    return Ok(answer.into_inner());
                }
                Ok(Err(status)) => ClientError::from_status(&status, &address, limit),
                Err(_elapsed) => ClientError::DeadlineExceeded { deadline: limit, attempts: 1, last: None },
            };
            let again = match plan.repetition {
                Repetition::Safe => error.is_passing(),
                Repetition::Unsafe => error.had_no_effect(),
            };
            let nodes = if self.stays_at(plan.customer).is_some() { 1 } else { self.shared.nodes_known() };
            let is_final = outage.note(&address, &error, nodes, Instant::now());
            if is_final || !again {
                return Err(if error.code() == tonic::Code::DeadlineExceeded {
                    self.out_of_time(attempts, last)
                } else {
                    error
                });
            }
            tracing::debug!(%error, address, attempts, "the call is sent again");
            match self.next_address(plan.customer, &address, &outage, &error, attempts, deadline).await {
                Some(next) => address = next,
                None => return Err(self.final_error(attempts, error)),
            }
            last = Some(Box::new(error));
        }
    }

    fn first_address(&self, customer: Option<CustomerId>) -> String {
        self.stays_at(customer).unwrap_or_else(|| self.shared.target(customer, &[]))
    }

    /// The one node that may be asked, where the call is not about a customer and the client has been told so.
    fn stays_at(&self, customer: Option<CustomerId>) -> Option<String> {
        self.only_at.as_deref().filter(|_| customer.is_none()).map(str::to_owned)
    }

    /// A node that forwarded the call names the leader in its answer: the next call goes straight there.
    fn learn(&self, customer: Option<CustomerId>, metadata: &tonic::metadata::MetadataMap) {
        if let Some(hint) = metadata.get(LEADER_KEY).and_then(|hint| hint.to_str().ok()) {
            self.shared.follow(customer, hint);
        }
    }

    /// Waits as long as the failure asks for and says where to go next; `None` where the deadline comes first.
    async fn next_address(
        &self,
        customer: Option<CustomerId>,
        failed: &str,
        outage: &Outage,
        error: &ClientError,
        attempts: u32,
        deadline: Instant,
    ) -> Option<String> {
        let answered = error.answered();
        if let Some(hint) = answered.and_then(|answered| answered.leader.as_deref())
            && let Some(leader) = self.shared.follow(customer, hint)
            && leader != failed
            && attempts < HINTS_WITHOUT_WAIT
        {
            return Some(leader);
        }
        let asked = answered.and_then(|answered| answered.retry_after).unwrap_or_default();
        let wait = asked.max(backoff(attempts, jitter()));
        if Instant::now() + wait >= deadline {
            return None;
        }
        tokio::time::sleep(wait).await;
        if let Some(only) = self.stays_at(customer) {
            return Some(only);
        }
        // A node that answered is alive and may lead now; one that did not is avoided.
        let silent = answered.is_none().then(|| failed.to_owned());
        let mut avoid: Vec<_> = outage.refused().iter().cloned().chain(silent).collect();
        if customer.is_some() {
            self.shared.refresh_map(&avoid, deadline).await;
        }
        avoid.extend(outage.asked(Instant::now()).cloned());
        Some(self.shared.target(customer, &avoid))
    }

    /// The deadline leaves no room for another attempt: the last failure says more than the deadline does.
    fn final_error(&self, attempts: u32, error: ClientError) -> ClientError {
        if error.code() == tonic::Code::DeadlineExceeded { self.out_of_time(attempts, None) } else { error }
    }

    fn out_of_time(&self, attempts: u32, last: Option<Box<ClientError>>) -> ClientError {
        ClientError::DeadlineExceeded { deadline: self.deadline, attempts, last }
    }
}

/// Two nodes that each name the other as leader must not become a hot loop.
const HINTS_WITHOUT_WAIT: u32 = 3;

/// A repeatable call gives each attempt a part of its time; another call has one attempt and all the time.
fn attempt_limit(repetition: Repetition, left: Duration, whole: Duration) -> Duration {
    match repetition {
        Repetition::Safe => left.min(ATTEMPT_MIN.max(whole / 3)),
        Repetition::Unsafe => left,
    }
}
