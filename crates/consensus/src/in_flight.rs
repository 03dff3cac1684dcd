//! The append requests of one exchange that wait for their answers, and when each was sent.
//!
//! ```text
//! library ─► Requests ─► wire ─► follower            R1 (entry 10)  sent at 0 s, answered, the answer lies unread
//!    ▲          │ notes what is sent                 … the leader stands still …
//!    └─ Answers ◄─────── wire ◄─────┘                R2 (no entry, prev 10)  sent at 9 s: the others committed 10
//!          only where the credit is true             answer to R1 read: the library would credit 9 s
//! ```
//! **Why.** The library takes an answer for the newest request that ends at the log id acknowledged
//! (`InflightAppendQueue::drain_acked`), and dates the leader's lease by that request. So an old answer, read late, could
//! count as given after a request that nobody has received: a lease out of nothing, and a stale read under it if another
//! leads by then. Answers come one for each request and in order, so here is known which request an answer is for. One that
//! would be credited by more than the slack too late is dropped: the next answer says all of it again. Between an answer
//! that is passed on and the next one asked for, the library is at work on it, and no request is taken from it: else one
//! taken just then would be credited. The regression test is `late_answer_does_not_renew_the_lease`.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use openraft::entry::RaftEntry;
use parking_lot::Mutex;

use crate::types::{AppendRequest, LogId};

#[derive(Debug)]
struct Sent {
    prev: Option<LogId>,
    last: Option<LogId>,
    at: Instant,
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
    /// The library has an answer and has not asked for the next.
    at_work: bool,
    /// A request was asked for meanwhile.
    held: bool,
    ended: bool,
    waker: Option<Waker>,
}

/// What becomes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The library gets it.
    Deliver,
    /// It would be credited too late; the next one says all of it again.
    Drop,
    /// No request waits for it.
    Unasked,
}

/// The answers' side of an exchange. When it is dropped, the requests end.
#[derive(Debug)]
pub(crate) struct Answers {
    state: Arc<Mutex<State>>,
    /// By how much too late an answer may be credited.
    slack: Duration,
}

/// The requests of an exchange, noted as they pass.
#[derive(Debug)]
pub(crate) struct Requests<S> {
    input: Option<S>,
    state: Arc<Mutex<State>>,
}

/// Both sides of an exchange.
pub(crate) fn in_flight<S>(input: S, slack: Duration) -> (Requests<S>, Answers) {
    let state = Arc::<Mutex<State>>::default();
    (Requests { input: Some(input), state: Arc::clone(&state) }, Answers { state, slack })
}

impl Answers {
    /// The library asks for an answer: it is done with the one before.
    pub(crate) fn asked(&self) {
        let waker = {
            let mut state = self.state.lock();
            state.at_work = false;
            let held = std::mem::take(&mut state.held);
            if held || state.ended { state.waker.take() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether a request waits for its answer.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.state.lock().sent.is_empty()
    }

    /// The answer to the oldest request has come, and acknowledges `matched`.
    pub(crate) fn acknowledged(&self, matched: Option<LogId>) -> Verdict {
        let mut state = self.state.lock();
        let Some(answered) = state.sent.pop_front() else { return Verdict::Unasked };
        let credited = state.sent.iter().take_while(|sent| sent.is_credited_by(matched)).last();
        if credited.is_some_and(|credited| credited.at.duration_since(answered.at) > self.slack) {
            return Verdict::Drop;
        }
        state.at_work = true;
        Verdict::Deliver
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.state.lock().ended = true;
        self.asked();
    }
}

impl<S> Stream for Requests<S>
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
        // Under the lock: the library notes the request in here, and no answer may be judged between its note and ours.
        let polled = if state.at_work { Poll::Pending } else { input.poll_next_unpin(cx) };
        match &polled {
            Poll::Ready(Some(request)) => {
                let prev = request.prev_log_id;
                let last = request.entries.last().map(RaftEntry::log_id).or(prev);
                state.sent.push_back(Sent { prev, last, at: Instant::now() });
            }
            Poll::Ready(None) => {}
            Poll::Pending => {
                state.held = state.at_work;
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
    use crate::types::{Entry, Vote};

    const SLACK: Duration = Duration::from_millis(20);

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

    type Wire =
        (mpsc::UnboundedSender<AppendRequest>, Requests<mpsc::UnboundedReceiver<AppendRequest>>, Answers);

    fn wire() -> Wire {
        let (sender, input) = mpsc::unbounded();
        let (requests, answers) = in_flight(input, SLACK);
        (sender, requests, answers)
    }

    fn send((sender, requests, _): &mut Wire, prev: u64, last: u64) {
        sender.unbounded_send(request(prev, last)).unwrap();
        assert!(requests.next().now_or_never().flatten().is_some());
    }

    #[expect(clippy::disallowed_methods, reason = "the test has no runtime")]
    #[test]
    fn an_answer_that_a_much_later_request_would_be_credited_for_is_dropped() {
        let mut wire = wire();
        send(&mut wire, 9, 10);
        std::thread::sleep(SLACK * 2);
        send(&mut wire, 10, 10);
        assert_eq!(wire.2.acknowledged(id(10)), Verdict::Drop);
        assert_eq!(wire.2.acknowledged(id(10)), Verdict::Deliver, "this one is the later request's own");
        assert_eq!(wire.2.acknowledged(id(10)), Verdict::Unasked);
    }

    #[expect(clippy::disallowed_methods, reason = "the test has no runtime")]
    #[test]
    fn an_answer_before_further_entries_is_delivered_however_late() {
        let mut wire = wire();
        send(&mut wire, 9, 10);
        std::thread::sleep(SLACK * 2);
        send(&mut wire, 10, 11);
        assert_eq!(wire.2.acknowledged(id(10)), Verdict::Deliver);
        assert!(wire.2.is_waiting());
    }

    #[test]
    fn no_request_is_taken_while_the_library_is_at_work_on_an_answer() {
        let mut wire = wire();
        send(&mut wire, 9, 10);
        assert_eq!(wire.2.acknowledged(id(10)), Verdict::Deliver);
        wire.0.unbounded_send(request(10, 10)).unwrap();
        assert!(wire.1.next().now_or_never().is_none());
        wire.2.asked();
        assert!(wire.1.next().now_or_never().flatten().is_some());
    }

    #[test]
    fn requests_end_with_their_answers() {
        let (sender, mut requests, answers) = wire();
        drop(answers);
        assert!(matches!(requests.next().now_or_never(), Some(None)));
        assert!(sender.is_closed(), "the input is let go");
    }
}
