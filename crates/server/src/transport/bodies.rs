//! The bodies of calls: what a caller sends, and the answers that it takes.
//!
//! Must always hold: the bytes of a request, or of each message of a stream, count as in flight until its answer is ready,
//! those of an answer until the caller has taken them. Beyond its budgets a call is refused; it does not wait. An answer that
//! its caller does not take is given up, and with it everything that the call holds. A stream is read only as long as its caller
//! may call, and ends when nothing comes.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Status, body::Body};

use super::{
    BoxError,
    budget::{BytesBudgets, HeldBytes},
    credentials::CurrentTokens,
    due::give_up_at,
    tokens::TokenHash,
};
use crate::{identity::Caller, refusal::Refusal};

/// The first bytes of a request count to no budget: most requests have no more, and the limits of calls bound them.
const UNCOUNTED_BYTES: usize = 16 << 10;
/// The part of an answer that HTTP/2 gets at a time: one frame. All of it at once would be held where nothing frees it.
const PART_BYTES_MAX: usize = 16 << 10;

type Cancelled = Pin<Box<WaitForCancellationFutureOwned>>;

fn wait_for(token: CancellationToken) -> Cancelled {
    Box::pin(token.cancelled_owned())
}

/// The bytes that a request holds, as its call, its body and the handler of a stream share them. They are free when the last
/// of these lets go, and those of one message of a stream when its [`MessageBytes`] are dropped.
#[derive(Debug, Clone)]
pub(crate) struct RequestBytes(Arc<Mutex<Held>>);

#[derive(Debug)]
struct Held {
    budgets: BytesBudgets,
    /// What the request holds at most.
    counted_max: usize,
    /// Received, and not given back.
    bytes: usize,
    permits: HeldBytes,
    messages: Option<Messages>,
}

impl RequestBytes {
    /// Of a request that is answered as a whole.
    pub(super) fn of_call(budgets: BytesBudgets) -> Self {
        Self::new(budgets, usize::MAX, None)
    }

    /// Of a stream, which holds the messages that are being received and those that its handler has not given back.
    pub(super) fn of_stream(budgets: BytesBudgets, counted_max: usize) -> Self {
        Self::new(budgets, counted_max, Some(Messages::default()))
    }

    fn new(budgets: BytesBudgets, counted_max: usize, messages: Option<Messages>) -> Self {
        let permits = HeldBytes::default();
        Self(Arc::new(Mutex::new(Held { budgets, counted_max, bytes: 0, permits, messages })))
    }

    fn count(&self, data: &[u8]) -> Result<(), Refusal> {
        let mut held = self.0.lock();
        held.receive(data.len())?;
        if let Some(messages) = &mut held.messages {
            messages.receive(data);
        }
        Ok(())
    }

    /// Those of the message that the handler has just taken from its stream.
    pub(crate) fn of_next_message(&self) -> MessageBytes {
        let bytes = self.0.lock().messages.as_mut().and_then(|messages| messages.whole.pop_front());
        MessageBytes { request: self.clone(), bytes: bytes.unwrap_or_default() }
    }
}

impl Held {
    /// How many of so many bytes count.
    fn counted(&self, bytes: usize) -> usize {
        bytes.saturating_sub(UNCOUNTED_BYTES).min(self.counted_max)
    }

    fn receive(&mut self, bytes: usize) -> Result<(), Refusal> {
        let all = self.bytes.saturating_add(bytes);
        let more = self.counted(all).saturating_sub(self.counted(self.bytes));
        if more > 0 {
            let more = self.budgets.take(more)?;
            self.permits.add(more);
        }
        self.bytes = all;
        Ok(())
    }

    fn give_back(&mut self, bytes: usize) {
        let left = self.bytes.saturating_sub(bytes);
        let fewer = self.counted(self.bytes).saturating_sub(self.counted(left));
        self.permits.give_back(fewer);
        self.bytes = left;
    }
}

/// The bytes of one message of a stream, until it is dropped.
#[derive(Debug)]
pub(crate) struct MessageBytes {
    request: RequestBytes,
    bytes: usize,
}

impl Drop for MessageBytes {
    fn drop(&mut self) {
        self.request.0.lock().give_back(self.bytes);
    }
}

/// Finds where the messages of a stream end: before each comes a head, a flag and the length in four bytes (gRPC over HTTP/2,
/// "Length-Prefixed-Message").
#[derive(Debug)]
struct Messages {
    /// What is to come of the head.
    head_left: usize,
    /// As far as it has come.
    length: u32,
    /// What is to come of the message after its head.
    left: usize,
    /// The bytes of each message, head included, that was received as a whole and not taken by the handler.
    whole: VecDeque<usize>,
}

const HEAD_BYTES: usize = 5;

impl Default for Messages {
    fn default() -> Self {
        Self { head_left: HEAD_BYTES, length: 0, left: 0, whole: VecDeque::new() }
    }
}

impl Messages {
    fn receive(&mut self, mut data: &[u8]) {
        while let [first, others @ ..] = data {
            if self.head_left > 0 {
                // the flag is shifted out
                self.length = self.length << 8 | u32::from(*first);
                self.left = usize::try_from(self.length).unwrap_or(usize::MAX);
                self.head_left -= 1;
                data = others;
            } else {
                let (part, rest) = data.split_at(self.left.min(data.len()));
                self.left -= part.len();
                data = rest;
            }
            if self.head_left == 0 && self.left == 0 {
                let length = usize::try_from(self.length).unwrap_or(usize::MAX);
                self.whole.push_back(length.saturating_add(HEAD_BYTES));
                (self.head_left, self.length) = (HEAD_BYTES, 0);
            }
        }
    }
}

/// When a stream of a client is read no further.
pub(super) struct StreamEnd {
    /// The node drains, or the connection ends.
    interrupt: Cancelled,
    /// Nothing has come for `idle_max`.
    idle_max: Duration,
    idle: Option<Pin<Box<Sleep>>>,
    /// The token by which its caller was let in no longer identifies the same caller.
    token: Option<ShownToken>,
}

/// The token that a caller has shown for a call.
pub(super) struct ShownToken {
    pub(super) in_force: CurrentTokens,
    pub(super) hash: TokenHash,
    pub(super) caller: Caller,
}

impl StreamEnd {
    pub(super) fn new(interrupt: CancellationToken, idle_max: Duration, token: Option<ShownToken>) -> Self {
        Self { interrupt: wait_for(interrupt), idle_max, idle: None, token }
    }

    /// Whether the node reads on; asked before each part.
    fn poll_interrupted(&mut self, cx: &mut Context<'_>) -> Option<Refusal> {
        self.interrupt.as_mut().poll(cx).is_ready().then_some(Refusal::Draining)
    }

    /// Whether a part that has come is still taken.
    fn on_part(&mut self) -> Option<Refusal> {
        self.idle = None;
        let refused = |shown: &ShownToken| {
            let caller = shown.in_force.load().as_ref().and_then(|tokens| tokens.caller(&shown.hash));
            caller.as_ref() != Some(&shown.caller)
        };
        self.token.as_ref().is_some_and(refused).then_some(Refusal::Unauthenticated)
    }

    /// Whether nothing has come for too long.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Option<Refusal> {
        let idle = self.idle.get_or_insert_with(|| Box::pin(sleep(self.idle_max)));
        let after_ms = u64::try_from(self.idle_max.as_millis()).unwrap_or(u64::MAX);
        idle.as_mut().poll(cx).is_ready().then_some(Refusal::StreamIdle { after_ms })
    }
}

/// What a caller sends.
pub(super) struct SentBody<B> {
    body: B,
    counted: Option<RequestBytes>,
    /// Of a stream.
    end: Option<StreamEnd>,
}

impl<B> SentBody<B> {
    pub(super) const fn new(body: B, counted: Option<RequestBytes>, end: Option<StreamEnd>) -> Self {
        Self { body, counted, end }
    }
}

impl<B> http_body::Body for SentBody<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Self { body, counted, end } = &mut *self;
        let refused = |refusal: Refusal| Poll::Ready(Some(Err(refusal.into())));
        if let Some(refusal) = end.as_mut().and_then(|end| end.poll_interrupted(cx)) {
            return refused(refusal);
        }
        let frame = match Pin::new(body).poll_frame(cx) {
            Poll::Pending => {
                return end.as_mut().and_then(|end| end.poll_idle(cx)).map_or(Poll::Pending, refused);
            }
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(Status::from_error(error.into())))),
            Poll::Ready(Some(Ok(frame))) => frame,
        };
        if let Some(refusal) = end.as_mut().and_then(StreamEnd::on_part) {
            return refused(refusal);
        }
        let data = frame.data_ref().map_or(&[][..], |data| data);
        match counted.as_ref().map_or(Ok(()), |counted| counted.count(data)) {
            Ok(()) => Poll::Ready(Some(Ok(frame))),
            Err(refusal) => refused(refusal),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// The answer of a unary call. It holds what the call holds, until the caller has taken it or it is given up.
pub(super) struct AnswerBody<Held> {
    /// What is left of the message.
    message: Bytes,
    /// What follows it.
    body: Body,
    last: Instant,
    patience: Duration,
    _held: Held,
}

impl<Held> AnswerBody<Held> {
    /// Of a message and what follows it; given up at `last`, or when the caller takes nothing for `patience`.
    pub(super) fn new(message: Bytes, body: Body, last: Instant, patience: Duration, held: Held) -> Self {
        let answer = Self { message, body, last, patience, _held: held };
        answer.expect_progress();
        answer
    }

    fn expect_progress(&self) {
        give_up_at(Some(self.last.min(Instant::now() + self.patience)));
    }
}

impl<Held: Unpin> http_body::Body for AnswerBody<Held> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.message.is_empty() {
            return Pin::new(&mut self.body).poll_frame(cx);
        }
        self.expect_progress();
        let length = self.message.len().min(PART_BYTES_MAX);
        Poll::Ready(Some(Ok(Frame::data(self.message.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.message.is_empty() && self.body.is_end_stream()
    }
}

/// The answers of a stream. They hold what the call holds, and end at its deadline, with its connection, or when the caller
/// takes none for `patience`, if that is given.
pub(super) struct StreamBody<Held> {
    body: Body,
    deadline: Pin<Box<Sleep>>,
    finish: Cancelled,
    patience: Option<Duration>,
    ended: bool,
    _held: Held,
}

impl<Held> StreamBody<Held> {
    pub(super) fn new(
        body: Body,
        deadline: Instant,
        finish: CancellationToken,
        patience: Option<Duration>,
        held: Held,
    ) -> Self {
        let (deadline, finish) = (Box::pin(sleep_until(deadline)), wait_for(finish));
        Self { body, deadline, finish, patience, ended: false, _held: held }
    }
}

impl<Held: Unpin> http_body::Body for StreamBody<Held> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let ready @ Poll::Ready(_) = Pin::new(&mut self.body).poll_frame(cx) {
            give_up_at(self.patience.map(|patience| Instant::now() + patience));
            return ready;
        }
        // there is nothing that the caller could take
        give_up_at(None);
        let refusal = if self.finish.as_mut().poll(cx).is_ready() {
            Refusal::Draining
        } else if self.deadline.as_mut().poll(cx).is_ready() {
            Refusal::OutcomeUnknown
        } else {
            return Poll::Pending;
        };
        self.ended = true;
        let mut trailers = HeaderMap::new();
        Status::from(refusal).add_header(&mut trailers)?;
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }
}

#[cfg(test)]
#[path = "bodies_tests.rs"]
mod tests;
