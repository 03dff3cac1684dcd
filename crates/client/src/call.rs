//! One call: attempts, each at the best known node, until one is answered, an error is final, the deadline passes, or all
//! nodes have been unavailable for too long.

use std::time::Duration;

use bytes::Bytes;
use custodia_profile::CustomerId;
use custodia_proto::rpc::Unary;
use tokio::time::Instant;

use crate::client::Client;
use crate::error::{ClientError, leader};
use crate::route_policy::{RetrySafety, RoutePolicy};
use crate::timing::{ATTEMPT_MIN, backoff, jitter};
use crate::unary::{decoded, send};
use crate::unavailable::UnavailableTracker;

impl Client {
    /// Makes any unary call: sends it, and sends it again where that is safe, until it is answered or its deadline passes.
    /// The methods that are named after the calls do the same, but [`Client::batch_get_profiles`], which asks each leader
    /// for its own part of the batch.
    ///
    /// # Errors
    /// What the cluster answered, or why no answer came within the deadline.
    pub async fn call<R: Unary>(&self, mut request: R) -> Result<R::Answer, ClientError> {
        let policy = RoutePolicy::of(&mut request);
        self.call_by(policy, &request).await
    }

    /// The same, with a route policy of its own.
    pub(crate) async fn call_by<R: Unary>(
        &self,
        policy: RoutePolicy,
        request: &R,
    ) -> Result<R::Answer, ClientError> {
        let (answer, address) =
            self.attempt_until_answered(R::METHOD.path, policy, request.encode_to_vec().into()).await?;
        decoded::<R>(answer).map_err(|status| ClientError::from_status(&status, &address, self.deadline))
    }

    async fn attempt_until_answered(
        &self,
        path: &'static str,
        policy: RoutePolicy,
        request: Bytes,
    ) -> Result<(Bytes, String), ClientError> {
        let deadline = Instant::now() + self.deadline;
        if policy.customer.is_some() {
            self.shared.ensure_map(deadline).await;
        }
        let first = || self.shared.target(policy.customer, &[]);
        let mut address = self.only_node(policy.customer).unwrap_or_else(first);
        let mut attempts = 0_u32;
        let mut tracker = UnavailableTracker::new(self.shared.unavailable_rounds_max);
        let mut last = None;
        loop {
            attempts += 1;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.deadline_exceeded(attempts - 1, last));
            }
            let limit = attempt_limit(policy.retry, left, self.deadline);
            let channel = self.shared.channels.get(&address)?;
            let attempt = send(channel, path, self.shared.tonic_request(request.clone(), Some(limit)));
            let error = match tokio::time::timeout(limit, attempt).await {
                Ok(Ok(answer)) => {
                    // A node that forwarded the call names the leader, so that the next call goes straight there.
                    if let Some(hint) = leader(answer.metadata()) {
                        self.shared.follow(policy.customer, hint);
                    }
                    return Ok((answer.into_inner(), address));
                }
                Ok(Err(status)) => ClientError::from_status(&status, &address, limit),
                Err(_elapsed) => ClientError::DeadlineExceeded { deadline: limit, attempts: 1, last: None },
            };
            let may_retry = match policy.retry {
                RetrySafety::Safe | RetrySafety::ByRequestId => error.is_transient(),
                RetrySafety::Unsafe => error.had_no_effect(),
            };
            let nodes = if self.only_node(policy.customer).is_some() { 1 } else { self.shared.nodes_known() };
            let is_final = tracker.record(&address, &error, nodes, Instant::now());
            if is_final || !may_retry {
                return Err(self.final_error(attempts, error, last));
            }
            tracing::debug!(%error, address, attempts, "retrying call");
            match self.next_address(policy.customer, &address, &tracker, &error, attempts, deadline).await {
                Some(next) => address = next,
                None => return Err(self.final_error(attempts, error, last)),
            }
            last = Some(Box::new(error));
        }
    }

    /// The one node that may answer: set by [`Client::only_at`] for calls that are not about a customer.
    fn only_node(&self, customer: Option<CustomerId>) -> Option<String> {
        self.only_at.as_deref().filter(|_| customer.is_none()).map(str::to_owned)
    }

    /// Waits as long as the failure asks for and returns the next node to try; `None` if the deadline comes first.
    async fn next_address(
        &self,
        customer: Option<CustomerId>,
        failed: &str,
        tracker: &UnavailableTracker,
        error: &ClientError,
        attempts: u32,
        deadline: Instant,
    ) -> Option<String> {
        let answered = error.answered();
        if let Some(hint) = answered.and_then(|answered| answered.leader.as_deref())
            && let Some(leader) = self.shared.follow(customer, hint)
            && leader != failed
            && attempts < IMMEDIATE_REDIRECTS_MAX
        {
            return Some(leader);
        }
        let retry_after = answered.and_then(|answered| answered.retry_after).unwrap_or_default();
        let wait = retry_after.max(backoff(attempts, jitter()));
        if Instant::now() + wait >= deadline {
            return None;
        }
        tokio::time::sleep(wait).await;
        if let Some(only) = self.only_node(customer) {
            return Some(only);
        }
        // A node that answered is alive and may lead by now; avoid one that did not.
        let silent = answered.is_none().then(|| failed.to_owned());
        let mut avoid: Vec<_> = tracker.refused().iter().cloned().chain(silent).collect();
        if customer.is_some() {
            self.shared.refresh_map(&avoid, deadline).await;
        }
        avoid.extend(tracker.tried(Instant::now()).cloned());
        Some(self.shared.target(customer, &avoid))
    }

    /// The error of the last attempt, which says more than the call's deadline does, unless it is itself a deadline.
    fn final_error(&self, attempts: u32, error: ClientError, last: Option<Box<ClientError>>) -> ClientError {
        let is_deadline = error.code() == tonic::Code::DeadlineExceeded;
        if is_deadline { self.deadline_exceeded(attempts, last) } else { error }
    }

    fn deadline_exceeded(&self, attempts: u32, last: Option<Box<ClientError>>) -> ClientError {
        ClientError::DeadlineExceeded { deadline: self.deadline, attempts, last }
    }
}

/// Two nodes that each name the other as leader must not cause a hot loop.
const IMMEDIATE_REDIRECTS_MAX: u32 = 3;

/// An attempt of a retryable call gets a part of the call's time; any other call has one attempt and all the time.
fn attempt_limit(retry: RetrySafety, left: Duration, whole: Duration) -> Duration {
    match retry {
        RetrySafety::Safe | RetrySafety::ByRequestId => left.min(ATTEMPT_MIN.max(whole / 3)),
        RetrySafety::Unsafe => left,
    }
}
