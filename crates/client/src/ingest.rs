//! Streaming ingest: one stream to each node, every row to the leader of its customer's shard.
//!
//! ```text
//!  send ──▶ dispatcher ──▶ lane of node 1 ══ IngestProfiles ══▶ node 1
//!              ▲  │   └──▶ lane of node 2 ══ IngestProfiles ══▶ node 2
//!              │  ▼                 │
//!  next ◀── outcomes    settled ◀───┘   (a row that may be sent again goes back to the dispatcher)
//! ```
//!
//! Always: a row that was taken has exactly one outcome; at most `window` rows are between `send` and `next`;
//! a row sent again carries the same `request_id`, so the repetition changes nothing.
#![expect(
    clippy::disallowed_methods,
    reason = "at most `window` rows are in all queues together: each holds a permit, so a queue needs no limit of its own"
)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use custodia_proto::v1::{self, ingest_profiles_response::Result as RowResult};
use futures::stream::FuturesUnordered;
use futures::{StreamExt as _, TryFutureExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::client::{Client, Shared};
use crate::error::ClientError;
use crate::plan::{Plan, Planned as _};
use crate::services::profiles_of;
use crate::timing::{MAP_FETCH_MAX, STREAM_ROW_DEADLINE, STREAM_STALL_MAX, backoff, jitter};

/// What became of one row.
#[derive(Debug)]
pub struct IngestOutcome {
    /// The number that [`IngestSender::send`] gave the row. Outcomes do not come in the order of the rows.
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

/// The receiving half. Dropping it gives up the rows that have no outcome yet.
#[derive(Debug)]
pub struct IngestReceiver {
    outcomes: mpsc::UnboundedReceiver<Settled>,
    _dispatcher: JoinSet<()>,
}

impl Client {
    /// Opens a streaming ingest with at most `window` rows on their way. Send and receive from two tasks, or
    /// keep fewer than `window` rows unanswered: `send` waits until `next` has made room.
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
    /// Takes one row, as soon as the window has room, and says its number.
    ///
    /// # Errors
    /// When the receiving half is gone.
    pub async fn send(&mut self, mut request: v1::IngestProfileRequest) -> Result<u64, ClientError> {
        let plan = request.plan();
        let Ok(permit) = Arc::clone(&self.window).acquire_owned().await else {
            return Err(ClientError::StreamClosed);
        };
        let sequence = self.next;
        let deadline = Instant::now() + STREAM_ROW_DEADLINE;
        let row = Row { sequence, request, plan, deadline, attempts: 0, avoid: Vec::new(), _permit: permit };
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
        let settled = self.outcomes.recv().await?;
        Some(IngestOutcome { sequence: settled.row.sequence, result: settled.result })
    }
}

/// A row on its way. Its permit returns to the window when its outcome is taken.
#[derive(Debug)]
struct Row {
    sequence: u64,
    request: v1::IngestProfileRequest,
    plan: Plan,
    deadline: Instant,
    attempts: u32,
    avoid: Vec<String>,
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Settled {
    row: Row,
    result: Result<v1::IngestProfileResponse, ClientError>,
}

/// Sends rows to lanes and decides which failed rows are sent again.
struct Dispatcher {
    shared: Arc<Shared>,
    outcomes: mpsc::UnboundedSender<Settled>,
    settled_sender: mpsc::UnboundedSender<Settled>,
    settled: mpsc::UnboundedReceiver<Settled>,
    lanes: BTreeMap<String, mpsc::UnboundedSender<Row>>,
    lane_tasks: JoinSet<()>,
    unsettled: usize,
}

impl Dispatcher {
    fn new(shared: Arc<Shared>, outcomes: mpsc::UnboundedSender<Settled>) -> Self {
        let (settled_sender, settled) = mpsc::unbounded_channel();
        let (lanes, lane_tasks) = (BTreeMap::new(), JoinSet::new());
        Self { shared, outcomes, settled_sender, settled, lanes, lane_tasks, unsettled: 0 }
    }

    async fn run(mut self, mut input: mpsc::UnboundedReceiver<Row>) {
        self.shared.ensure_map(Instant::now() + MAP_FETCH_MAX).await;
        let mut delayed = FuturesUnordered::new();
        let mut input_open = true;
        while input_open || self.unsettled > 0 {
            tokio::select! {
                row = input.recv(), if input_open => match row {
                    Some(row) => {
                        self.unsettled += 1;
                        self.dispatch(row);
                    }
                    None => input_open = false,
                },
                Some(settled) = self.settled.recv() => {
                    if let Some((row, failed)) = self.settle(settled) {
                        delayed.push(wait_for_leader(Arc::clone(&self.shared), row, failed));
                    }
                }
                Some(row) = delayed.next(), if !delayed.is_empty() => self.dispatch(row),
            }
        }
        self.lanes.clear();
        while self.lane_tasks.join_next().await.is_some() {}
    }

    fn dispatch(&mut self, row: Row) {
        let address = self.shared.target(row.plan.customer, &row.avoid);
        let lane = self.lanes.entry(address.clone()).or_insert_with(|| {
            let (sender, rows) = mpsc::unbounded_channel();
            let lane = Lane {
                shared: Arc::clone(&self.shared),
                address,
                settled: self.settled_sender.clone(),
                waiting: VecDeque::new(),
            };
            self.lane_tasks.spawn(lane.run(rows));
            sender
        });
        // A lane ends only after its sender is dropped, which happens when no row is left.
        if lane.send(row).is_err() {
            tracing::error!("an ingest lane ended before its rows");
        }
    }

    /// Gives the row back if it is to be sent again, with the reason.
    fn settle(&mut self, settled: Settled) -> Option<(Row, ClientError)> {
        match settled.result {
            Err(error) if error.is_passing() && Instant::now() < settled.row.deadline => {
                Some((settled.row, error))
            }
            result => {
                self.unsettled -= 1;
                // A receiver that is gone wants no outcomes; its rows are still counted down.
                drop(self.outcomes.send(Settled { row: settled.row, result }));
                None
            }
        }
    }
}

/// Waits a little and asks for a new shard map before the row is sent again.
async fn wait_for_leader(shared: Arc<Shared>, mut row: Row, error: ClientError) -> Row {
    row.attempts += 1;
    let asked = error.answered().and_then(|answered| answered.retry_after).unwrap_or_default();
    tokio::time::sleep(asked.max(backoff(row.attempts, jitter()))).await;
    shared.refresh_map(&row.avoid, row.deadline).await;
    if error.answered().is_some() {
        row.avoid.clear();
    }
    row
}

/// One node's stream. Answers come in the order of the rows, so the oldest waiting row is the one answered.
struct Lane {
    shared: Arc<Shared>,
    address: String,
    settled: mpsc::UnboundedSender<Settled>,
    waiting: VecDeque<Row>,
}

/// Why a stream ended.
enum End {
    /// No more rows will come and all are answered.
    Input,
    Failed(tonic::Status),
    /// The node ended the stream (it drains), or has not answered for too long.
    Lost(&'static str),
}

impl Lane {
    async fn run(mut self, mut rows: mpsc::UnboundedReceiver<Row>) {
        while let Some(first) = rows.recv().await {
            let end = match self.shared.channel(&self.address) {
                Ok(channel) => self.stream(profiles_of(channel), first, &mut rows).await,
                Err(error) => {
                    self.give_back(first, Err(error));
                    continue;
                }
            };
            while let Some(row) = self.waiting.pop_front() {
                let error = match &end {
                    End::Failed(status) => ClientError::from_status(status, &self.address, STREAM_STALL_MAX),
                    End::Lost(cause) => self.lost(cause),
                    End::Input => self.lost("the stream ended early"),
                };
                self.give_back(row, Err(error));
            }
        }
    }

    async fn stream(
        &mut self,
        mut profiles: v1::profile_service_client::ProfileServiceClient<tonic::transport::Channel>,
        first: Row,
        rows: &mut mpsc::UnboundedReceiver<Row>,
    ) -> End {
        let (requests, outbound) = mpsc::unbounded_channel();
        let mut requests = Some(requests);
        self.push(first, requests.as_ref());
        let request = self.shared.dress(UnboundedReceiverStream::new(outbound), None);
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
                    None => return End::Lost("the node ended the stream"),
                },
                () = tokio::time::sleep_until(progress + STREAM_STALL_MAX), if !self.waiting.is_empty() => {
                    return End::Lost("the node has not answered");
                }
            }
        }
    }

    fn push(&mut self, row: Row, requests: Option<&mpsc::UnboundedSender<v1::IngestProfileRequest>>) {
        // A stream that has just ended takes nothing; the row then waits here and is given back with the others.
        if let Some(requests) = requests
            && requests.send(row.request.clone()).is_err()
        {
            tracing::debug!(address = self.address, "the stream ended before a row was sent");
        }
        self.waiting.push_back(row);
    }

    fn answer(&mut self, answer: v1::IngestProfilesResponse) {
        let Some(row) = self.waiting.pop_front() else {
            tracing::warn!(address = self.address, "more answers than rows");
            return;
        };
        let result = match answer.result {
            Some(RowResult::Response(response)) => Ok(response),
            Some(RowResult::Error(error)) => Err(ClientError::Answered(Box::new(error.into()))),
            None => Err(ClientError::EmptyAnswer { address: self.address.clone() }),
        };
        self.give_back(row, result);
    }

    fn give_back(&self, mut row: Row, result: Result<v1::IngestProfileResponse, ClientError>) {
        row.avoid = result.is_err().then(|| self.address.clone()).into_iter().collect();
        // The dispatcher outlives its lanes; were it gone, nobody would be left to tell.
        drop(self.settled.send(Settled { row, result }));
    }

    fn lost(&self, cause: &str) -> ClientError {
        ClientError::ConnectionLost { address: self.address.clone(), cause: cause.to_owned() }
    }
}
