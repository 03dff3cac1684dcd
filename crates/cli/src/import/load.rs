//! The loop: requests out, answers in, state forward, until the file is at its end.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use custodia_client::{Client, ClientError, IngestOutcome};
use custodia_proto::v1;
use tokio::sync::mpsc;
use tonic::Code;

use crate::error::CliError;
use crate::import::mapping::Mapping;
use crate::import::progress::Progress;
use crate::import::reader::Reader;
use crate::import::request::{Batch, Batches, Common};
use crate::import::state::{Done, ImportState, Ordered};
use crate::import::tally::Tally;

/// How often the state is put on disk. What was done since is sent again after a crash.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// After Ctrl-C: so long for the answers that are on their way.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Requests that the reader prepares ahead.
const PREPARED_MAX: usize = 64;

/// What is loaded, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan<'p> {
    pub(crate) file: &'p Path,
    pub(crate) mapping: &'p Mapping,
    pub(crate) common: &'p Common,
    pub(crate) window: usize,
}

/// Loads the rest of the file. The state is advanced in any case, also when the loading fails.
///
/// # Errors
/// When the file cannot be read, the cluster refuses all of it or is gone, or the user interrupts.
pub(crate) async fn run(client: &Client, plan: &Plan<'_>, state: &mut ImportState) -> Result<(), CliError> {
    let reader = Reader::open(plan.file, &plan.mapping.input, state.done())?;
    let length = std::fs::metadata(plan.file).map_err(CliError::file(plan.file))?.len();
    let (prepared_sender, prepared) = mpsc::channel(PREPARED_MAX);
    let read = read(reader, plan, prepared_sender);
    let progress = Progress::new(length, state.done().bytes, state.tally().rows);
    let load = Load::new(client, plan.window, state, progress).run(prepared);
    let (read, loaded) = tokio::join!(read, load);
    loaded?;
    read.map_err(CliError::file(plan.file))
}

/// Reads and maps rows; waits where the cluster is slower than the disk. Ends early when nobody wants more.
async fn read(mut reader: Reader, plan: &Plan<'_>, prepared: mpsc::Sender<Batch>) -> std::io::Result<()> {
    let mut batches = Batches::new(plan.mapping, plan.common);
    while let Some(row) = reader.next()? {
        for batch in batches.push(row) {
            if prepared.send(batch).await.is_err() {
                return Ok(());
            }
        }
    }
    if let Some(batch) = batches.finish() {
        // Nobody wants more: the loop has said why.
        drop(prepared.send(batch).await);
    }
    Ok(())
}

struct Load<'l> {
    sender: Option<custodia_client::IngestSender>,
    receiver: custodia_client::IngestReceiver,
    window: usize,
    state: &'l mut ImportState,
    progress: Progress,
    ordered: Ordered,
    /// By the stream's sequence: the place in the order of the file, and what was sent.
    in_flight: BTreeMap<u64, (u64, Batch)>,
    next: u64,
}

impl<'l> Load<'l> {
    fn new(client: &Client, window: usize, state: &'l mut ImportState, progress: Progress) -> Self {
        let (sender, receiver) = client.ingest_profiles(window);
        let (ordered, in_flight) = (Ordered::default(), BTreeMap::new());
        Self { sender: Some(sender), receiver, window, state, progress, ordered, in_flight, next: 0 }
    }

    async fn run(mut self, mut prepared: mpsc::Receiver<Batch>) -> Result<(), CliError> {
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        let mut save = tokio::time::interval(SAVE_INTERVAL);
        save.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let has_room = self.in_flight.len() < self.window;
            tokio::select! {
                batch = prepared.recv(), if has_room && self.sender.is_some() => match batch {
                    Some(batch) => self.send(batch).await?,
                    None => self.sender = None,
                },
                outcome = self.receiver.next() => match outcome {
                    Some(outcome) => self.settle(outcome)?,
                    None => return Ok(()),
                },
                _ = save.tick() => self.state.save()?,
                _ = &mut interrupt => {
                    drop(prepared);
                    self.drain().await?;
                    return Err(CliError::Interrupted);
                }
            }
        }
    }

    async fn send(&mut self, mut batch: Batch) -> Result<(), CliError> {
        let place = self.next;
        self.next += 1;
        match (batch.request.take(), &mut self.sender) {
            (Some(request), Some(sender)) => {
                let sequence = sender.send(request).await?;
                self.in_flight.insert(sequence, (place, batch));
            }
            (Some(_) | None, _) => {
                let (tally, refused) = Tally::of(&mut batch, None);
                self.advance(place, Done::new(batch, None, tally, refused));
            }
        }
        Ok(())
    }

    fn settle(&mut self, outcome: IngestOutcome) -> Result<(), CliError> {
        let Some((place, mut batch)) = self.in_flight.remove(&outcome.sequence) else { return Ok(()) };
        let (customer, answer) = match outcome.result {
            Ok(response) => (Some(response.customer_id.clone()), Ok(response)),
            Err(error) => (None, Err(row_error(error)?)),
        };
        let (tally, refused) = Tally::of(&mut batch, Some(&answer));
        self.advance(place, Done::new(batch, customer, tally, refused));
        Ok(())
    }

    fn advance(&mut self, place: u64, done: Done) {
        self.ordered.put(place, done);
        while let Some(done) = self.ordered.take() {
            self.state.advance(done);
        }
        self.progress.show(self.state.done(), self.state.tally());
    }

    /// Takes the answers that are on their way, so that they need not be sent again.
    async fn drain(&mut self) -> Result<(), CliError> {
        self.sender = None;
        let until = tokio::time::Instant::now() + DRAIN_MAX;
        while !self.in_flight.is_empty() {
            match tokio::time::timeout_at(until, self.receiver.next()).await {
                Ok(Some(outcome)) => self.settle(outcome)?,
                Ok(None) | Err(_) => break,
            }
        }
        Ok(())
    }
}

/// An error that is one row's own; the others end the import, because they would meet every row.
fn row_error(error: ClientError) -> Result<v1::RowError, CliError> {
    let ClientError::Answered(answered) = &error else { return Err(error.into()) };
    let meets_every_row = answered.field == "purpose" || answered.field == "source";
    let is_the_rows_own = match answered.code {
        Code::InvalidArgument | Code::OutOfRange | Code::ResourceExhausted => !meets_every_row,
        Code::DataLoss | Code::Aborted => true,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::Unauthenticated => false,
    };
    if !is_the_rows_own || answered.reason == "DISK_FULL" {
        return Err(error.into());
    }
    Ok(v1::RowError {
        code: answered.code.into(),
        reason: answered.reason.clone(),
        message: answered.message.clone(),
        field: answered.field.clone(),
    })
}
