//! The unanswered append requests of one exchange, and when each was sent.
//!
//! ```text
//! library ─► TrackedRequests ─► wire ─► follower     R1 (entry 10)  sent at 0 s and answered; the answer is not read yet
//!    ▲            │ records what is sent             … the leader is suspended …
//!    └─ Acknowledgements ◄─ wire ◄───────┘           R2 (no entry, prev 10)  sent at 9 s: the others committed 10
//!            only if the credit is true              answer to R1 is read: the library would credit 9 s
//! ```
//! **Why.** The library takes an answer to be for the newest request that ends at the acknowledged log id
//! (`InflightAppendQueue::drain_acked`), and dates the leader's lease by that request. So an old answer that is read late
//! could count as an acknowledgement of a request that nobody has received. The leader would hold a lease that no follower
//! granted and could read stale data under it while another node leads.
//!
//! Answers come in the order of the requests, one for each, so this module knows which request an answer is for. It drops
//! an answer that would be credited to a later request; the next answer acknowledges the same again. While
//! the library processes an answer, that is until it asks for the next one, no request is taken from it, or the answer
//! would be credited to that request. The regression test is `late_answer_does_not_renew_the_lease`.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures::{Stream, StreamExt};
use openraft::entry::RaftEntry;
use parking_lot::Mutex;

use crate::raft::types::{AppendRequest, LogId};

#[derive(Debug)]
struct Sent {
    prev: Option<LogId>,
    last: Option<LogId>,
}

impl Sent {
    /// Whether the library would take an acknowledgement of `matched` for this request too.
    fn is_credited_by(&self, matched: Option<LogId>) -> bool {
        matched >= self.last || matched > self.prev
    }
}

#[derive(Debug, Default)]
struct State {
    sent: VecDeque<Sent>,
    /// The library has an answer and has not asked for the next one.
    processing: bool,
    /// The transport asked for a request meanwhile.
    request_wanted: bool,
    ended: bool,
    waker: Option<Waker>,
}

/// What to do with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Pass it to the library.
    Deliver,
    /// It would be credited to a later request; the next answer acknowledges the same again.
    Drop,
    /// There is no request that it could answer.
    Unexpected,
}

/// The answers of an exchange. When this is dropped, its requests end.
#[derive(Debug)]
pub(crate) struct Acknowledgements {
    state: Arc<Mutex<State>>,
}

/// The requests of an exchange, recorded as they pass.
#[derive(Debug)]
pub(crate) struct TrackedRequests<S> {
    input: Option<S>,
    state: Arc<Mutex<State>>,
}

/// Tracks the requests of one exchange.
pub(crate) fn track<S>(input: S) -> (TrackedRequests<S>, Acknowledgements) {
    let state = Arc::<Mutex<State>>::default();
    (TrackedRequests { input: Some(input), state: Arc::clone(&state) }, Acknowledgements { state })
}

impl Acknowledgements {
    /// The library asks for the next answer: it has processed the previous one.
    pub(crate) fn next_wanted(&self) {
        let waker = {
            let mut state = self.state.lock();
            state.processing = false;
            let wanted = std::mem::take(&mut state.request_wanted);
            if wanted || state.ended { state.waker.take() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether a request waits for its answer.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.state.lock().sent.is_empty()
    }

    /// Judges the answer to the oldest request, which acknowledges `matched`.
    pub(crate) fn judge(&self, matched: Option<LogId>) -> Verdict {
        let mut state = self.state.lock();
        if state.sent.pop_front().is_none() {
            return Verdict::Unexpected;
        }
        if state.sent.front().is_some_and(|next| next.is_credited_by(matched)) {
            return Verdict::Drop;
        }
        state.processing = true;
        Verdict::Deliver
    }
}

impl Drop for Acknowledgements {
    fn drop(&mut self) {
        self.state.lock().ended = true;
        self.next_wanted();
    }
}

impl<S> Stream for TrackedRequests<S>
where
    S: Stream<Item = AppendRequest> + Unpin,
{
    type Item = AppendRequest;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<AppendRequest>> {
        let this = &mut *self;
        let mut state = this.state.lock();
        if state.ended {
            this.input = None;
        }
        let Some(input) = &mut this.input else { return Poll::Ready(None) };
        // Under the lock: the library records the request in this call, and no answer may be judged before we have too.
        let polled = if state.processing { Poll::Pending } else { input.poll_next_unpin(cx) };
        match &polled {
            Poll::Ready(Some(request)) => {
                let prev = request.prev_log_id;
                let last = request.entries.last().map(RaftEntry::log_id).or(prev);
                state.sent.push_back(Sent { prev, last });
            }
            Poll::Ready(None) => {}
            Poll::Pending => {
                state.request_wanted = state.processing;
                state.waker = Some(cx.waker().clone());
            }
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::channel::mpsc;
    use openraft::EntryPayload;

    use super::*;
    use crate::raft::types::{Entry, Vote};

    fn id(index: u64) -> Option<LogId> {
        let leader_id = Vote::new_committed(1, 1).leader_id;
        Some(LogId { leader_id, index })
    }

    /// A request for the entries after `prev` through `last`.
    fn request(prev: u64, last: u64) -> AppendRequest {
        let entry = |index| id(index).map(|log_id| Entry { log_id, payload: EntryPayload::Blank });
        AppendRequest {
            vote: Vote::new_committed(1, 1),
            prev_log_id: id(prev),
            entries: (prev + 1..=last).filter_map(entry).collect(),
            leader_commit: None,
        }
    }

    type Wire = (
        mpsc::UnboundedSender<AppendRequest>,
        TrackedRequests<mpsc::UnboundedReceiver<AppendRequest>>,
        Acknowledgements,
    );

    fn wire() -> Wire {
        let (sender, input) = mpsc::unbounded();
        let (requests, answers) = track(input);
        (sender, requests, answers)
    }

    fn send((sender, requests, _): &mut Wire, prev: u64, last: u64) {
        sender.unbounded_send(request(prev, last)).unwrap();
        assert!(requests.next().now_or_never().flatten().is_some());
    }

    #[test]
    fn an_answer_that_would_be_credited_to_a_later_request_is_dropped() {
        let mut wire = wire();
        send(&mut wire, 9, 10);
        send(&mut wire, 10, 10);
        assert_eq!(wire.2.judge(id(10)), Verdict::Drop);
        assert_eq!(wire.2.judge(id(10)), Verdict::Deliver, "this one is the later request's own");
        assert_eq!(wire.2.judge(id(10)), Verdict::Unexpected);
    }

    #[test]
    fn an_answer_before_further_entries_is_delivered() {
        let mut wire = wire();
        send(&mut wire, 9, 10);
        send(&mut wire, 10, 11);
        assert_eq!(wire.2.judge(id(10)), Verdict::Deliver);
        assert!(wire.2.is_waiting());
    }

    #[test]
    fn no_request_is_taken_while_the_library_processes_an_answer() {
        let mut wire = wire();
        send(&mut wire, 9, 10);
        assert_eq!(wire.2.judge(id(10)), Verdict::Deliver);
        wire.0.unbounded_send(request(10, 10)).unwrap();
        assert!(wire.1.next().now_or_never().is_none());
        wire.2.next_wanted();
        assert!(wire.1.next().now_or_never().flatten().is_some());
    }

    #[test]
    fn requests_end_with_their_answers() {
        let (sender, mut requests, answers) = wire();
        drop(answers);
        assert!(matches!(requests.next().now_or_never(), Some(None)));
        assert!(sender.is_closed(), "the input is dropped");
    }
}
