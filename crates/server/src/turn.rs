//! One HTTP/2 connection, worked on in turns: read all that has come, answer what can be answered at once, send all
//! answers with one write.
//!
//! ```text
//! socket ─► hyper reads every frame that is there ─► each new call begins, here ─► hyper encodes the answers ─┐
//!    ▲                                                └─ it waits, or the turn is long: a task of its own       │
//!    └──────────────────── one write of all that was gathered (TLS records of 16 KiB) ◄────────────────────────┘
//! ```
//!
//! Why: a lookup waits for nothing (a passed barrier, a record in memory), so a task of its own costs more than its
//! work; which calls are like that stands in `authorisation.rs`. And HTTP/2 flushes after every frame of data that it does
//! not copy, which is one TLS record, one system call and one wake-up at the other end for each answer. What a call costs
//! besides its own work is paid once a turn.
//!
//! Must always hold: when a turn ends, its last one too, no call waits to begin, and what was written is on its way or
//! the task wakes when the socket takes more. No more than [`GATHERED_BYTES_MAX`] is ever held back. A call that panics
//! ends alone, not its connection.

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
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How long a turn begins calls itself. What is over it is spread over the node's threads, so that one connection with
/// many calls is not bound to one of them.
const TURN: Duration = Duration::from_micros(200);
/// Rounds of one turn at most: then its answers are sent, and the node's other tasks come first.
const ROUNDS_MAX: u32 = 8;
/// What is gathered at most before it is sent in the middle of a turn.
const GATHERED_BYTES_MAX: usize = 64 << 10;
/// The room that a connection keeps between turns.
const GATHERED_BYTES_KEPT: usize = 16 << 10;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Calls that have come in this turn; hyper's executor.
#[derive(Clone, Default)]
pub(crate) struct NewCalls(Arc<Mutex<Vec<Call>>>);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for NewCalls {
    fn execute(&self, call: F) {
        self.0.lock().push(Box::pin(call));
    }
}

impl NewCalls {
    /// Begins all of them. Tells whether there were any.
    fn begin(&self, cx: &mut Context<'_>) -> bool {
        let calls = std::mem::take(&mut *self.0.lock());
        if calls.is_empty() {
            return false;
        }
        let began = Instant::now();
        let mut calls = calls.into_iter();
        for mut call in calls.by_ref() {
            // what the call leaves behind it is dropped with it, as a task that panics would
            match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx))) {
                Ok(Poll::Ready(())) | Err(_) => {}
                Ok(Poll::Pending) => drop(tokio::spawn(call)),
            }
            if began.elapsed() > TURN {
                break;
            }
        }
        for call in calls {
            drop(tokio::spawn(call));
        }
        true
    }
}

/// A stream that sends when it is told to, not when it is flushed. Its clones are one stream.
pub(crate) struct Gathering<S>(Arc<Mutex<Gathered<S>>>);

struct Gathered<S> {
    stream: S,
    bytes: Vec<u8>,
    /// How many of them the stream has taken.
    sent: usize,
}

impl<S> Clone for Gathering<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Gathering<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self(Arc::new(Mutex::new(Gathered { stream, bytes: Vec::new(), sent: 0 })))
    }

    /// Sends what was gathered.
    fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().poll_send(cx)
    }
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(left @ [_, ..]) = self.bytes.get(self.sent..) {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, left))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                taken => self.sent += taken,
            }
        }
        self.sent = 0;
        self.bytes.clear();
        self.bytes.shrink_to(GATHERED_BYTES_KEPT);
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_gather(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.bytes.len() >= GATHERED_BYTES_MAX {
            ready!(self.poll_send(cx))?;
        }
        let room = GATHERED_BYTES_MAX.saturating_sub(self.bytes.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.bytes.extend_from_slice(taken);
        Poll::Ready(Ok(taken.len()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathering<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.lock().stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gathering<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().poll_gather(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut gathered = self.0.lock();
        let mut taken = 0;
        for bytes in slices.iter().filter(|bytes| !bytes.is_empty()) {
            match gathered.poll_gather(cx, bytes) {
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

    /// Nothing yet: the end of the turn sends.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut gathered = self.0.lock();
        ready!(gathered.poll_send(cx))?;
        Pin::new(&mut gathered.stream).poll_shutdown(cx)
    }
}

/// The connection's task as its own calls see it: what they wake while a turn goes on is looked at in that turn, and does
/// not bring the task back once more for nothing.
///
/// ```text
/// asleep ── turn begins ──▶ turning ── woken ──▶ woken
///   ▲  └─ woken: wakes the task      │              │
///   └──── turn ends ─────────────────┘              └─ turning, once more round
/// ```
#[derive(Default)]
struct Turning {
    state: AtomicU8,
    task: AtomicWaker,
}

const ASLEEP: u8 = 0;
const TURNING: u8 = 1;
const WOKEN: u8 = 2;

impl Turning {
    fn begin(&self, cx: &Context<'_>) {
        self.task.register(cx.waker());
        self.state.store(TURNING, Ordering::SeqCst);
    }

    fn end(&self) {
        self.state.store(ASLEEP, Ordering::SeqCst);
    }

    /// Whether the turn is over: nobody has woken it since it began or was last asked.
    fn is_over(&self) -> bool {
        let over = self.state.compare_exchange(TURNING, ASLEEP, Ordering::SeqCst, Ordering::SeqCst);
        if over.is_err() {
            self.state.store(TURNING, Ordering::SeqCst);
        }
        over.is_ok()
    }
}

impl Wake for Turning {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let woken = self.state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |state| match state {
            ASLEEP => None,
            _ => Some(WOKEN),
        });
        if woken.is_err() {
            self.task.wake();
        }
    }
}

/// Works on a connection until it ends: `connection` begins its calls through `calls` and writes to `stream`. Once `finish`
/// is done, the connection takes no new call and ends with those that it has.
///
/// # Errors
/// What the connection or its stream ended with.
pub(crate) async fn serve_in_turns<C, S>(
    connection: C,
    stream: &Gathering<S>,
    calls: &NewCalls,
    finish: impl Future<Output = ()>,
) -> Result<(), BoxError>
where
    C: GracefulConnection<Error = hyper::Error>,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut connection = pin!(connection);
    let mut finish = pin!(finish);
    let mut finishing = false;
    let turning = Arc::new(Turning::default());
    let waker = Waker::from(Arc::clone(&turning));
    poll_fn(|task| {
        turning.begin(task);
        let cx = &mut Context::from_waker(&waker);
        let mut rounds = 0..ROUNDS_MAX;
        loop {
            if !finishing && finish.as_mut().poll(cx).is_ready() {
                finishing = true;
                connection.as_mut().graceful_shutdown();
            }
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                // calls that came with the end: each holds the list that it waits in, so left there it would stay for ever
                calls.begin(cx);
                return Poll::Ready(ended.map_err(Into::into));
            }
            let began = calls.begin(cx);
            let is_last = rounds.next().is_none();
            if began && !is_last {
                continue;
            }
            if let Poll::Ready(Err(error)) = stream.poll_send(cx) {
                return Poll::Ready(Err(error.into()));
            }
            if is_last {
                turning.end();
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
            if turning.is_over() {
                return Poll::Pending;
            }
        }
    })
    .await
}

#[cfg(test)]
#[path = "turn_tests.rs"]
mod tests;
