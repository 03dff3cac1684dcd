//! One HTTP/2 connection with batched I/O: reads all input that has arrived, runs the calls that need not wait, and sends
//! all answers with one write.
//!
//! ```text
//! socket ─► hyper reads every frame that is there ─► each new call starts inline ─► hyper encodes the answers ─┐
//!    ▲                                                └─ it waits, or the budget is spent: a task of its own   │
//!    └──────────────── one write of everything in the buffer (TLS records of 16 KiB) ◄─────────────────────────┘
//! ```
//!
//! Why: a lookup waits for nothing (a passed barrier, a record in memory), so a task of its own costs more than its
//! work; the method table says which calls are like that. And HTTP/2 flushes after every data frame that it does not
//! copy, which costs one TLS record, one system call and one wake-up at the other end for each answer. Here a batch of
//! calls shares these costs.
//!
//! Must always hold: when a batch ends, the last one too, no call waits to start, and what was written has been sent or
//! the task wakes when the socket takes more. At most [`BUFFER_BYTES_MAX`] are held back. A call that panics ends alone,
//! not its connection. A connection whose other end takes nothing of what is to be sent to it ends.

use std::{
    future::poll_fn,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker, ready},
    time::{Duration, Instant},
};

use futures::task::AtomicWaker;
use hyper_util::server::graceful::GracefulConnection;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::{BoxError, due::until_due};

/// How long a batch runs calls inline. The calls beyond it are spread over the node's threads, so that a busy connection
/// is not bound to one of them.
const INLINE_BUDGET: Duration = Duration::from_micros(200);
/// Rounds of one batch at most: then its answers are sent, and the node's other tasks come first.
const ROUNDS_MAX: u32 = 8;
/// So much is read in one round, more or less: what has come is judged before more of it is decoded. Compressed headers may be
/// a hundred times as large as what was read ("HPACK bomb", RFC 7541, section 7.3).
const ROUND_BYTES_MAX: usize = 256 << 10;
/// A buffer that is larger is sent in the middle of a batch.
const BUFFER_BYTES_MAX: usize = 64 << 10;
/// The capacity that a connection's buffer keeps between batches.
const BUFFER_BYTES_KEPT: usize = 16 << 10;

type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Calls that have arrived and not started. They are hyper's executor.
#[derive(Clone, Default)]
pub(crate) struct PendingCalls(Arc<Mutex<Vec<Call>>>);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for PendingCalls {
    fn execute(&self, call: F) {
        self.0.lock().push(Box::pin(until_due(call)));
    }
}

impl PendingCalls {
    /// Starts all of them. Tells whether there were any.
    fn start(&self, cx: &mut Context<'_>) -> bool {
        let calls = std::mem::take(&mut *self.0.lock());
        if calls.is_empty() {
            return false;
        }
        let started = Instant::now();
        let mut calls = calls.into_iter();
        for mut call in calls.by_ref() {
            // as in a task that panics, what the call holds is dropped with it
            match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))) {
                Ok(Poll::Ready(())) | Err(_) => {}
                Ok(Poll::Pending) => drop(tokio::spawn(call)),
            }
            if started.elapsed() > INLINE_BUDGET {
                break;
            }
        }
        for call in calls {
            drop(tokio::spawn(call));
        }
        true
    }
}

/// A stream that sends at the end of a batch, not at every flush. Its clones share one stream.
pub(crate) struct BatchedWriter<S>(Arc<Mutex<Buffered<S>>>);

struct Buffered<S> {
    stream: S,
    /// How many bytes may still be read in this round.
    readable: usize,
    buffer: Vec<u8>,
    /// How many bytes of the buffer the stream has taken.
    sent: usize,
    /// How many bytes the stream has taken at all.
    sent_ever: u64,
}

impl<S> Clone for BatchedWriter<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> BatchedWriter<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self(Arc::new(Mutex::new(Buffered {
            stream,
            readable: ROUND_BYTES_MAX,
            buffer: Vec::new(),
            sent: 0,
            sent_ever: 0,
        })))
    }

    /// Sends the buffer.
    fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().poll_send(cx)
    }

    /// A round begins.
    fn begin_round(&self) {
        self.0.lock().readable = ROUND_BYTES_MAX;
    }

    fn sent_ever(&self) -> u64 {
        self.0.lock().sent_ever
    }
}

impl<S: AsyncWrite + Unpin> Buffered<S> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(left @ [_, ..]) = self.buffer.get(self.sent..) {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, left))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                taken => {
                    self.sent += taken;
                    self.sent_ever = self.sent_ever.saturating_add(u64::try_from(taken).unwrap_or(u64::MAX));
                }
            }
        }
        self.sent = 0;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES_KEPT);
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_buffer(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.buffer.len() >= BUFFER_BYTES_MAX {
            ready!(self.poll_send(cx))?;
        }
        let free = BUFFER_BYTES_MAX.saturating_sub(self.buffer.len());
        let taken = bytes.get(..free).unwrap_or(bytes);
        self.buffer.extend_from_slice(taken);
        Poll::Ready(Ok(taken.len()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for BatchedWriter<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut buffered = self.0.lock();
        if buffered.readable == 0 {
            // in the next round
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut buffered.stream).poll_read(cx, buf))?;
        buffered.readable = buffered.readable.saturating_sub(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for BatchedWriter<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().poll_buffer(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut buffered = self.0.lock();
        let mut taken = 0;
        for bytes in slices.iter().filter(|bytes| !bytes.is_empty()) {
            match buffered.poll_buffer(cx, bytes) {
                Poll::Ready(Ok(some)) if some == bytes.len() => taken += some,
                Poll::Ready(Ok(some)) => return Poll::Ready(Ok(taken + some)),
                Poll::Pending | Poll::Ready(Err(_)) if taken > 0 => return Poll::Ready(Ok(taken)),
                not_taken @ (Poll::Pending | Poll::Ready(Err(_))) => return not_taken,
            }
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Sends nothing: the end of the batch does.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut buffered = self.0.lock();
        ready!(buffered.poll_send(cx))?;
        Pin::new(&mut buffered.stream).poll_shutdown(cx)
    }
}

/// The waker that a connection's calls see: a wake-up during a batch is handled in that batch, and does not schedule the
/// task once more for nothing.
///
/// ```text
/// idle ── batch begins ──▶ running ── woken ──▶ woken
///   ▲ └─ woken: wakes the task    │                │
///   └─── batch ends ──────────────┘                └─ running, one more round
/// ```
#[derive(Default)]
struct BatchWaker {
    state: AtomicU8,
    task: AtomicWaker,
}

const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const WOKEN: u8 = 2;

impl BatchWaker {
    fn begin(&self, cx: &Context<'_>) {
        self.task.register(cx.waker());
        self.state.store(RUNNING, Ordering::SeqCst);
    }

    fn end(&self) {
        self.state.store(IDLE, Ordering::SeqCst);
    }

    /// Whether the batch is over: nobody has woken it since it began or was last asked.
    fn is_over(&self) -> bool {
        let over = self.state.compare_exchange(RUNNING, IDLE, Ordering::SeqCst, Ordering::SeqCst);
        if over.is_err() {
            self.state.store(RUNNING, Ordering::SeqCst);
        }
        over.is_ok()
    }
}

impl Wake for BatchWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let woken = self.state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |state| match state {
            IDLE => None,
            _ => Some(WOKEN),
        });
        if woken.is_err() {
            self.task.wake();
        }
    }
}

/// How long a stream has taken nothing.
struct Stall {
    patience: Duration,
    since: Option<(u64, Pin<Box<Sleep>>)>,
}

impl Stall {
    /// Sends what is buffered.
    ///
    /// # Errors
    /// Of the stream; [`io::ErrorKind::TimedOut`] when it has taken nothing for too long.
    fn send<S>(&mut self, stream: &BatchedWriter<S>, cx: &mut Context<'_>) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if let Poll::Ready(sent) = stream.poll_send(cx) {
            self.since = None;
            return sent;
        }
        let now = stream.sent_ever();
        if self.since.as_ref().is_none_or(|(before, _)| *before != now) {
            self.since = Some((now, Box::pin(sleep(self.patience))));
        }
        let is_over = self.since.as_mut().is_some_and(|(_, timer)| timer.as_mut().poll(cx).is_ready());
        if is_over { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

/// Serves a connection until it ends: `connection` starts its calls through `calls` and writes to `stream`. Once `finish`
/// is ready, the connection takes no new call and ends after those in flight.
///
/// # Errors
/// Why the connection or its stream failed; also when the stream has taken nothing of what is to be sent for `patience`.
pub(crate) async fn serve_batched<C, S>(
    connection: C,
    stream: &BatchedWriter<S>,
    calls: &PendingCalls,
    finish: impl Future<Output = ()>,
    patience: Duration,
) -> Result<(), BoxError>
where
    C: GracefulConnection<Error = hyper::Error>,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut connection = pin!(connection);
    let mut finish = pin!(finish);
    let mut finishing = false;
    let mut stall = Stall { patience, since: None };
    let batch = Arc::new(BatchWaker::default());
    let waker = Waker::from(Arc::clone(&batch));
    poll_fn(|task| {
        batch.begin(task);
        let cx = &mut Context::from_waker(&waker);
        let mut rounds = 0..ROUNDS_MAX;
        loop {
            stream.begin_round();
            if !finishing && finish.as_mut().poll(cx).is_ready() {
                finishing = true;
                connection.as_mut().graceful_shutdown();
            }
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                // calls that came with the end: each holds the list that it waits in, so one left there would never be freed
                calls.start(cx);
                return Poll::Ready(ended.map_err(Into::into));
            }
            let any_started = calls.start(cx);
            let is_last = rounds.next().is_none();
            if any_started && !is_last {
                continue;
            }
            if let Err(error) = stall.send(stream, cx) {
                return Poll::Ready(Err(error.into()));
            }
            if is_last {
                batch.end();
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
            if batch.is_over() {
                return Poll::Pending;
            }
        }
    })
    .await
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
