//! Streaming ingest: one stream per node; every row goes to the leader of its customer's shard.
//!
//! ```text
//!  send ──▶ dispatcher ──▶ stream to node 1 ══ IngestProfiles ══▶ node 1
//!              ▲  │   └──▶ stream to node 2 ══ IngestProfiles ══▶ node 2
//!              │  ▼                   │
//!  next ◀── outcomes    answered ◀────┘   (a row that may be retried goes back to the dispatcher)
//! ```
//!
//! Invariants: an accepted row has exactly one outcome; at most `window` rows are between `send` and `next`; a retried row
//! keeps its `request_id`, so it is applied once.
#![expect(
    clippy::disallowed_methods,
    reason = "at most `window` rows are in all queues together: each holds a permit, so a queue needs no limit of its own"
)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use custodia_proto::v1::{
    self, ingest_profiles_response::Result as RowResult, profile_service_client::ProfileServiceClient,
};
use futures::stream::FuturesUnordered;
use futures::{StreamExt as _, TryFutureExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::client::{Client, Shared};
use crate::error::ClientError;
use crate::route_policy::RoutePolicy;
use crate::timing::{
    ANSWER_BYTES_MAX, MAP_FETCH_MAX, STREAM_ROW_DEADLINE, STREAM_STALL_MAX, backoff, jitter,
};

/// The result of one row.
#[derive(Debug)]
pub struct IngestOutcome {
    /// The number that [`IngestSender::send`] returned for the row. Outcomes are not in the order of the rows.
    pub sequence: u64,
    /// The cluster's answer.
    pub result: Result<v1::IngestProfileResponse, ClientError>,
}

/// The sending half. Dropping it ends the input.
#[derive(Debug)]
pub struct IngestSender {
    rows: mpsc::UnboundedSender<Row>,
    window: Arc<Semaphore>,
    next: u64,
}

/// The receiving half. Dropping it abandons the rows that have no outcome yet.
#[derive(Debug)]
pub struct IngestReceiver {
    outcomes: mpsc::UnboundedReceiver<AnsweredRow>,
    _dispatcher: JoinSet<()>,
}

impl Client {
    /// Opens a streaming ingest with at most `window` rows in flight. Send and receive from two tasks, or keep fewer than
    /// `window` rows unanswered: with a full window, `send` waits for `next`.
    #[must_use]
    pub fn ingest_profiles(&self, window: usize) -> (IngestSender, IngestReceiver) {
        let (rows, input) = mpsc::unbounded_channel();
        let (outcome_sender, outcomes) = mpsc::unbounded_channel();
        let mut dispatcher = JoinSet::new();
        dispatcher.spawn(Dispatcher::new(Arc::clone(&self.shared), outcome_sender).run(input));
        let window = Arc::new(Semaphore::new(window.max(1)));
        (IngestSender { rows, window, next: 0 }, IngestReceiver { outcomes, _dispatcher: dispatcher })
    }
}

impl IngestSender {
    /// Accepts one row as soon as the window allows, and returns its number.
    ///
    /// # Errors
    /// When the receiving half was dropped.
    pub async fn send(&mut self, mut request: v1::IngestProfileRequest) -> Result<u64, ClientError> {
        let policy = RoutePolicy::of(&mut request);
        let Ok(permit) = Arc::clone(&self.window).acquire_owned().await else {
            return Err(ClientError::StreamClosed);
        };
        let sequence = self.next;
        let deadline = Instant::now() + STREAM_ROW_DEADLINE;
        let row =
            Row { sequence, request, policy, deadline, attempts: 0, avoid: Vec::new(), _permit: permit };
        if self.rows.send(row).is_err() {
            return Err(ClientError::StreamClosed);
        }
        self.next += 1;
        Ok(sequence)
    }
}

impl IngestReceiver {
    /// The next outcome; `None` after the last one.
    pub async fn next(&mut self) -> Option<IngestOutcome> {
        let answered = self.outcomes.recv().await?;
        Some(IngestOutcome { sequence: answered.row.sequence, result: answered.result })
    }
}

/// A row in flight. It holds its permit of the window until its outcome is received.
#[derive(Debug)]
struct Row {
    sequence: u64,
    request: v1::IngestProfileRequest,
    policy: RoutePolicy,
    deadline: Instant,
    attempts: u32,
    avoid: Vec<String>,
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct AnsweredRow {
    row: Row,
    result: Result<v1::IngestProfileResponse, ClientError>,
}

/// Sends rows to the nodes' streams and decides which failed rows are retried.
struct Dispatcher {
    shared: Arc<Shared>,
    outcomes: mpsc::UnboundedSender<AnsweredRow>,
    answered_sender: mpsc::UnboundedSender<AnsweredRow>,
    answered: mpsc::UnboundedReceiver<AnsweredRow>,
    streams: BTreeMap<String, mpsc::UnboundedSender<Row>>,
    stream_tasks: JoinSet<()>,
    rows_open: usize,
}

impl Dispatcher {
    fn new(shared: Arc<Shared>, outcomes: mpsc::UnboundedSender<AnsweredRow>) -> Self {
        let (answered_sender, answered) = mpsc::unbounded_channel();
        let (streams, stream_tasks) = (BTreeMap::new(), JoinSet::new());
        Self { shared, outcomes, answered_sender, answered, streams, stream_tasks, rows_open: 0 }
    }

    async fn run(mut self, mut input: mpsc::UnboundedReceiver<Row>) {
        self.shared.ensure_map(Instant::now() + MAP_FETCH_MAX).await;
        let mut delayed = FuturesUnordered::new();
        let mut input_open = true;
        while input_open || self.rows_open > 0 {
            tokio::select! {
                row = input.recv(), if input_open => match row {
                    Some(row) => {
                        self.rows_open += 1;
                        self.dispatch(row);
                    }
                    None => input_open = false,
                },
                Some(answered) = self.answered.recv() => {
                    if let Some((row, failed)) = self.handle_answer(answered) {
                        delayed.push(wait_for_leader(Arc::clone(&self.shared), row, failed));
                    }
                }
                Some(row) = delayed.next(), if !delayed.is_empty() => self.dispatch(row),
            }
        }
        self.streams.clear();
        while self.stream_tasks.join_next().await.is_some() {}
    }

    fn dispatch(&mut self, row: Row) {
        let address = self.shared.target(row.policy.customer, &row.avoid);
        let stream = self.streams.entry(address.clone()).or_insert_with(|| {
            let (sender, rows) = mpsc::unbounded_channel();
            let stream = NodeStream {
                shared: Arc::clone(&self.shared),
                address,
                answered: self.answered_sender.clone(),
                waiting: VecDeque::new(),
            };
            self.stream_tasks.spawn(stream.run(rows));
            sender
        });
        // A stream's task ends only after its sender is dropped, which happens when no row is left.
        if stream.send(row).is_err() {
            tracing::error!("ingest stream ended before all rows were answered");
        }
    }

    /// Returns the row and its error if it must be retried; otherwise publishes its outcome.
    fn handle_answer(&mut self, answered: AnsweredRow) -> Option<(Row, ClientError)> {
        match answered.result {
            Err(error) if error.is_transient() && Instant::now() < answered.row.deadline => {
                Some((answered.row, error))
            }
            result => {
                self.rows_open -= 1;
                // The receiver may be gone; its rows are still counted down.
                drop(self.outcomes.send(AnsweredRow { row: answered.row, result }));
                None
            }
        }
    }
}

/// Waits and refreshes the shard map before the row is retried.
async fn wait_for_leader(shared: Arc<Shared>, mut row: Row, error: ClientError) -> Row {
    row.attempts += 1;
    let retry_after = error.answered().and_then(|answered| answered.retry_after).unwrap_or_default();
    tokio::time::sleep(retry_after.max(backoff(row.attempts, jitter()))).await;
    shared.refresh_map(&row.avoid, row.deadline).await;
    if error.answered().is_some() {
        row.avoid.clear();
    }
    row
}

/// One node's stream. Answers come in the order of the rows, so each answer is for the oldest waiting row.
struct NodeStream {
    shared: Arc<Shared>,
    address: String,
    answered: mpsc::UnboundedSender<AnsweredRow>,
    waiting: VecDeque<Row>,
}

/// Why a stream ended.
enum End {
    /// The input ended and all rows are answered.
    Input,
    Failed(tonic::Status),
    /// The node ended the stream (it is draining), or has not answered for too long.
    Lost(&'static str),
}

impl NodeStream {
    async fn run(mut self, mut rows: mpsc::UnboundedReceiver<Row>) {
        while let Some(first) = rows.recv().await {
            let end = match self.shared.channels.get(&self.address) {
                Ok(channel) => self.stream(channel, first, &mut rows).await,
                Err(error) => {
                    self.return_row(first, Err(error));
                    continue;
                }
            };
            while let Some(row) = self.waiting.pop_front() {
                let error = match &end {
                    End::Failed(status) => ClientError::from_status(status, &self.address, STREAM_STALL_MAX),
                    End::Lost(cause) => self.lost(cause),
                    End::Input => self.lost("the stream ended early"),
                };
                self.return_row(row, Err(error));
            }
        }
    }

    async fn stream(
        &mut self,
        channel: tonic::transport::Channel,
        first: Row,
        rows: &mut mpsc::UnboundedReceiver<Row>,
    ) -> End {
        let (requests, outbound) = mpsc::unbounded_channel();
        let mut requests = Some(requests);
        self.push(first, requests.as_ref());
        let request = self.shared.tonic_request(UnboundedReceiverStream::new(outbound), None);
        let mut profiles = ProfileServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
        let opened = profiles.ingest_profiles(request).map_ok(tonic::Response::into_inner);
        let mut answers = std::pin::pin!(opened.try_flatten_stream());
        let mut progress = Instant::now();
        loop {
            tokio::select! {
                row = rows.recv(), if requests.is_some() => match row {
                    Some(row) => {
                        if self.waiting.is_empty() {
                            progress = Instant::now();
                        }
                        self.push(row, requests.as_ref());
                    }
                    None => requests = None,
                },
                answer = answers.next() => match answer {
                    Some(Ok(answer)) => {
                        progress = Instant::now();
                        self.answer(answer);
                    }
                    Some(Err(status)) => return End::Failed(status),
                    None if requests.is_none() => return End::Input,
                    None => return End::Lost("the node closed the stream"),
                },
                () = tokio::time::sleep_until(progress + STREAM_STALL_MAX), if !self.waiting.is_empty() => {
                    return End::Lost("the node did not answer in time");
                }
            }
        }
    }

    fn push(&mut self, row: Row, requests: Option<&mpsc::UnboundedSender<v1::IngestProfileRequest>>) {
        // If the stream has just ended, the row waits here and is returned with the others.
        if let Some(requests) = requests
            && requests.send(row.request.clone()).is_err()
        {
            tracing::debug!(address = self.address, "ingest stream ended before a row was sent");
        }
        self.waiting.push_back(row);
    }

    fn answer(&mut self, answer: v1::IngestProfilesResponse) {
        let Some(row) = self.waiting.pop_front() else {
            tracing::warn!(address = self.address, "node sent more answers than rows");
            return;
        };
        let result = match answer.result {
            Some(RowResult::Response(response)) => Ok(response),
            Some(RowResult::Error(error)) => Err(ClientError::Answered(Box::new(error.into()))),
            None => Err(ClientError::EmptyAnswer { address: self.address.clone() }),
        };
        self.return_row(row, result);
    }

    fn return_row(&self, mut row: Row, result: Result<v1::IngestProfileResponse, ClientError>) {
        row.avoid = result.is_err().then(|| self.address.clone()).into_iter().collect();
        // The dispatcher outlives its streams' tasks; if it is gone, nobody waits for the row.
        drop(self.answered.send(AnsweredRow { row, result }));
    }

    fn lost(&self, cause: &str) -> ClientError {
        ClientError::ConnectionLost { address: self.address.clone(), cause: cause.to_owned() }
    }
}
