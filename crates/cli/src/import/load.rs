//! The main loop of an import: sends requests, takes answers and advances the state until the end of the file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use custodia_client::{Answered, ClientError};
use tokio::sync::{Semaphore, mpsc};

use crate::error::CliError;
use crate::import::batch::{Batch, Batcher};
use crate::import::call_stream::CallStream;
use crate::import::mapping::Input;
use crate::import::progress::Progress;
use crate::import::reader::Reader;
use crate::import::state::{Done, ImportState, Ordered};
use crate::import::tally::{Counted, Tally};

/// How often the state is saved. After a crash, what was done since is sent again.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// How long to wait after Ctrl-C for the answers in flight.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// How many requests are prepared in advance.
const PREPARED_MAX: usize = 64;

/// Bytes of the rows that are prepared or in flight, about: a file of large rows must not fill the memory.
const MEMORY_MAX: usize = 64 * 1024 * 1024;

pub(crate) type RequestOf<Stream> = <<Stream as CallStream>::Answer as Counted>::Request;

/// Loads the rest of the file with at most `window` requests in flight. The state advances even if loading fails.
pub(crate) async fn run<Stream: CallStream>(
    stream: Stream,
    batcher: impl Batcher<Request = RequestOf<Stream>>,
    file: &Path,
    input: &Input,
    window: usize,
    state: &mut ImportState,
) -> Result<(), CliError> {
    let reader = Reader::open(file, input, state.done())?;
    let length = std::fs::metadata(file).map_err(CliError::file(file))?.len();
    let (prepared_sender, prepared) = mpsc::channel(PREPARED_MAX);
    let read = read(reader, batcher, prepared_sender);
    let progress = Progress::new(length, state.done().bytes, state.tally().rows);
    let load = Load::new(stream, window, state, progress).run(prepared);
    let (read, loaded) = tokio::join!(read, load);
    loaded?;
    read.map_err(CliError::file(file))
}

/// Reads and maps rows; waits if the cluster is slower than the disk. Ends early if the receiver is gone.
async fn read<Request>(
    mut reader: Reader,
    mut batcher: impl Batcher<Request = Request>,
    prepared: mpsc::Sender<Batch<Request>>,
) -> std::io::Result<()> {
    let memory = Arc::new(Semaphore::new(MEMORY_MAX));
    let send = async |mut batch: Batch<Request>| {
        let bytes = u32::try_from(batch.bytes.min(MEMORY_MAX)).unwrap_or(u32::MAX);
        batch.memory = Arc::clone(&memory).acquire_many_owned(bytes).await.ok();
        prepared.send(batch).await.is_ok()
    };
    while let Some(row) = reader.next()? {
        for batch in batcher.push(row) {
            if !send(batch).await {
                return Ok(());
            }
        }
    }
    if let Some(batch) = batcher.finish() {
        // If the receiver is gone, the loop has failed and reports why.
        send(batch).await;
    }
    Ok(())
}

struct Load<'l, Stream: CallStream> {
    stream: Stream,
    /// Whether the stream accepts requests.
    is_open: bool,
    window: usize,
    state: &'l mut ImportState,
    progress: Progress,
    ordered: Ordered,
    /// By the stream's number: the position in the order of the file, and the batch.
    in_flight: BTreeMap<u64, (u64, Batch<RequestOf<Stream>>)>,
    next: u64,
}

impl<'l, Stream: CallStream> Load<'l, Stream> {
    fn new(stream: Stream, window: usize, state: &'l mut ImportState, progress: Progress) -> Self {
        let (ordered, in_flight) = (Ordered::default(), BTreeMap::new());
        Self { stream, is_open: true, window, state, progress, ordered, in_flight, next: 0 }
    }

    async fn run(mut self, mut prepared: mpsc::Receiver<Batch<RequestOf<Stream>>>) -> Result<(), CliError> {
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        let mut save = tokio::time::interval(SAVE_INTERVAL);
        save.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let may_send = self.in_flight.len() < self.window && self.is_open;
            tokio::select! {
                batch = prepared.recv(), if may_send => match batch {
                    Some(batch) => self.send(batch).await?,
                    None => self.close(),
                },
                answer = self.stream.next() => match answer {
                    Some((number, answer)) => self.handle_answer(number, answer)?,
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

    async fn send(&mut self, mut batch: Batch<RequestOf<Stream>>) -> Result<(), CliError> {
        let order = self.next;
        self.next += 1;
        if let Some(request) = &batch.request {
            let number = self.stream.send(request).await?;
            self.in_flight.insert(number, (order, batch));
        } else {
            let (tally, refused) = Tally::of::<Stream::Answer>(&mut batch, None);
            self.advance(order, Done::new(&batch, tally, refused));
        }
        Ok(())
    }

    fn close(&mut self) {
        self.is_open = false;
        self.stream.close();
    }

    fn handle_answer(
        &mut self,
        number: u64,
        answer: Result<Stream::Answer, ClientError>,
    ) -> Result<(), CliError> {
        let Some((order, mut batch)) = self.in_flight.remove(&number) else { return Ok(()) };
        let answer = match answer {
            Ok(answer) => Ok(answer),
            Err(error) => Err(row_error::<Stream>(error)?),
        };
        let (tally, refused) = Tally::of(&mut batch, Some(&answer));
        self.advance(order, Done::new(&batch, tally, refused));
        Ok(())
    }

    fn advance(&mut self, order: u64, done: Done) {
        self.ordered.put(order, done);
        while let Some(done) = self.ordered.take() {
            self.state.advance(done);
        }
        self.progress.show(self.state.done(), self.state.tally());
    }

    /// Takes the answers in flight, so that their requests need not be sent again.
    async fn drain(&mut self) -> Result<(), CliError> {
        self.close();
        let until = tokio::time::Instant::now() + DRAIN_MAX;
        while !self.in_flight.is_empty() {
            match tokio::time::timeout_at(until, self.stream.next()).await {
                Ok(Some((number, answer))) => self.handle_answer(number, answer)?,
                Ok(None) | Err(_) => break,
            }
        }
        Ok(())
    }
}

/// An error that concerns one row only, as `Ok`; any other error ends the import.
fn row_error<Stream: CallStream>(error: ClientError) -> Result<Answered, CliError> {
    let is_row_error = |answered: &Answered| Stream::is_row_error(answered) && answered.reason != "DISK_FULL";
    match error.answered() {
        Some(answered) if is_row_error(answered) => Ok(answered.clone()),
        Some(_) | None => Err(error.into()),
    }
}
