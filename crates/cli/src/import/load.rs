//! The loop: requests out, answers in, state forward, until the file is at its end.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use custodia_client::ClientError;
use custodia_proto::v1;
use tokio::sync::mpsc;

use crate::error::CliError;
use crate::import::batch::{Batch, Rows};
use crate::import::lane::Lane;
use crate::import::mapping::Input;
use crate::import::progress::Progress;
use crate::import::reader::Reader;
use crate::import::state::{Done, ImportState, Ordered};
use crate::import::tally::{Counted, Tally};

/// How often the state is put on disk. What was done since is sent again after a crash.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// After Ctrl-C: so long for the answers that are on their way.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Requests that the reader prepares ahead.
const PREPARED_MAX: usize = 64;

/// What is read, and how many requests may be on their way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan<'p> {
    pub(crate) file: &'p Path,
    pub(crate) input: &'p Input,
    pub(crate) window: usize,
}

/// What goes through a lane.
pub(crate) type RequestOf<Way> = <<Way as Lane>::Answer as Counted>::Request;

/// Loads the rest of the file. The state is advanced in any case, also when the loading fails.
///
/// # Errors
/// When the file cannot be read, the cluster refuses all of it or is gone, or the user interrupts.
pub(crate) async fn run<Way: Lane>(
    lane: Way,
    rows: impl Rows<Request = RequestOf<Way>>,
    plan: Plan<'_>,
    state: &mut ImportState,
) -> Result<(), CliError> {
    let reader = Reader::open(plan.file, plan.input, state.done())?;
    let length = std::fs::metadata(plan.file).map_err(CliError::file(plan.file))?.len();
    let (prepared_sender, prepared) = mpsc::channel(PREPARED_MAX);
    let read = read(reader, rows, prepared_sender);
    let progress = Progress::new(length, state.done().bytes, state.tally().rows);
    let load = Load::new(lane, plan.window, state, progress).run(prepared);
    let (read, loaded) = tokio::join!(read, load);
    loaded?;
    read.map_err(CliError::file(plan.file))
}

/// Reads and maps rows; waits where the cluster is slower than the disk. Ends early when nobody wants more.
async fn read<Request>(
    mut reader: Reader,
    mut rows: impl Rows<Request = Request>,
    prepared: mpsc::Sender<Batch<Request>>,
) -> std::io::Result<()> {
    while let Some(row) = reader.next()? {
        for batch in rows.push(row) {
            if prepared.send(batch).await.is_err() {
                return Ok(());
            }
        }
    }
    if let Some(batch) = rows.finish() {
        // Nobody wants more: the loop has said why.
        drop(prepared.send(batch).await);
    }
    Ok(())
}

struct Load<'l, Way: Lane> {
    lane: Way,
    /// Whether the lane takes more.
    is_open: bool,
    window: usize,
    state: &'l mut ImportState,
    progress: Progress,
    ordered: Ordered,
    /// By the lane's number: the place in the order of the file, and what was sent.
    in_flight: BTreeMap<u64, (u64, Batch<RequestOf<Way>>)>,
    next: u64,
}

impl<'l, Way: Lane> Load<'l, Way> {
    fn new(lane: Way, window: usize, state: &'l mut ImportState, progress: Progress) -> Self {
        let (ordered, in_flight) = (Ordered::default(), BTreeMap::new());
        Self { lane, is_open: true, window, state, progress, ordered, in_flight, next: 0 }
    }

    async fn run(mut self, mut prepared: mpsc::Receiver<Batch<RequestOf<Way>>>) -> Result<(), CliError> {
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        let mut save = tokio::time::interval(SAVE_INTERVAL);
        save.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let has_room = self.in_flight.len() < self.window;
            tokio::select! {
                batch = prepared.recv(), if has_room && self.is_open => match batch {
                    Some(batch) => self.send(batch).await?,
                    None => self.close(),
                },
                answer = self.lane.next() => match answer {
                    Some((number, answer)) => self.settle(number, answer)?,
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

    async fn send(&mut self, mut batch: Batch<RequestOf<Way>>) -> Result<(), CliError> {
        let place = self.next;
        self.next += 1;
        if let Some(request) = &batch.request {
            let number = self.lane.send(request).await?;
            self.in_flight.insert(number, (place, batch));
        } else {
            let (tally, refused) = Tally::of::<Way::Answer>(&mut batch, None);
            self.advance(place, Done::new(batch, None, tally, refused));
        }
        Ok(())
    }

    fn close(&mut self) {
        self.is_open = false;
        self.lane.close();
    }

    fn settle(&mut self, number: u64, answer: Result<Way::Answer, ClientError>) -> Result<(), CliError> {
        let Some((place, mut batch)) = self.in_flight.remove(&number) else { return Ok(()) };
        let (customer, answer) = match answer {
            Ok(answer) => (Some(answer.customer_id().to_owned()), Ok(answer)),
            Err(error) => (None, Err(row_error::<Way>(error)?)),
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
        self.close();
        let until = tokio::time::Instant::now() + DRAIN_MAX;
        while !self.in_flight.is_empty() {
            match tokio::time::timeout_at(until, self.lane.next()).await {
                Ok(Some((number, answer))) => self.settle(number, answer)?,
                Ok(None) | Err(_) => break,
            }
        }
        Ok(())
    }
}

/// An error that is one row's own, or the one that ends the import.
fn row_error<Way: Lane>(error: ClientError) -> Result<v1::RowError, CliError> {
    let ClientError::Answered(answered) = &error else { return Err(error.into()) };
    if !Way::is_the_rows_own(answered) || answered.reason == "DISK_FULL" {
        return Err(error.into());
    }
    Ok(v1::RowError {
        code: answered.code.into(),
        reason: answered.reason.clone(),
        message: answered.message.clone(),
        field: answered.field.clone(),
    })
}
