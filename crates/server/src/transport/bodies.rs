//! The bodies of calls: what a caller sends, and the answers that it takes.
//!
//! Must always hold: the bytes of a request count as in flight until its answer is ready, those of an answer until the caller
//! has taken them. Beyond its budgets a call is refused; it does not wait. An answer that its caller does not take is given
//! up, and with it everything that the call holds.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Status, body::Body};

use super::{
    budget::{BytesBudgets, HeldBytes},
    due::give_up_at,
};
use crate::refusal::Refusal;

/// The first bytes of a request count to no budget: most requests have no more, and the limits of calls bound them.
const UNCOUNTED_BYTES: usize = 16 << 10;
/// The part of an answer that HTTP/2 gets at a time: one frame. All of it at once would be held where nothing frees it.
const PART_BYTES_MAX: usize = 16 << 10;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

type Cancelled = Pin<Box<WaitForCancellationFutureOwned>>;

fn wait_for(token: CancellationToken) -> Cancelled {
    Box::pin(token.cancelled_owned())
}

/// The bytes that a request holds, as its call and its body share them.
pub(super) type RequestBytes = Arc<Mutex<HeldBytes>>;

/// The bytes of a request, counted as they come.
pub(super) struct CountedBytes {
    budgets: BytesBudgets,
    received: usize,
    /// What a request holds at most: a stream is processed as it comes.
    counted_max: usize,
    held: RequestBytes,
}

impl CountedBytes {
    pub(super) fn new(budgets: BytesBudgets, counted_max: usize) -> Self {
        Self { budgets, received: 0, counted_max, held: RequestBytes::default() }
    }

    pub(super) fn held(&self) -> RequestBytes {
        Arc::clone(&self.held)
    }

    fn count(&mut self, bytes: usize) -> Result<(), Refusal> {
        let counted = |received: usize| received.saturating_sub(UNCOUNTED_BYTES).min(self.counted_max);
        let before = counted(self.received);
        self.received = self.received.saturating_add(bytes);
        let more = counted(self.received).saturating_sub(before);
        if more > 0 {
            let more = self.budgets.take(more)?;
            self.held.lock().add(more);
        }
        Ok(())
    }
}

/// What a caller sends.
pub(super) struct SentBody<B> {
    body: B,
    counted: Option<CountedBytes>,
    /// Ends the stream when the node drains.
    interrupt: Option<Cancelled>,
}

impl<B> SentBody<B> {
    pub(super) fn new(body: B, counted: Option<CountedBytes>, interrupt: Option<CancellationToken>) -> Self {
        Self { body, counted, interrupt: interrupt.map(wait_for) }
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
        if let Some(interrupt) = &mut self.interrupt
            && interrupt.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Some(Err(Refusal::Draining.into())));
        }
        Pin::new(&mut self.body).poll_frame(cx).map(|frame| {
            let frame = match frame? {
                Ok(frame) => frame,
                Err(error) => return Some(Err(Status::from_error(error.into()))),
            };
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            match self.counted.as_mut().map_or(Ok(()), |counted| counted.count(bytes)) {
                Ok(()) => Some(Ok(frame)),
                Err(refusal) => Some(Err(refusal.into())),
            }
        })
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

/// The answers of a stream. They hold what the call holds, and end at its deadline, when the node stops, or when the caller
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
