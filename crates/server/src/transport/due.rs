//! When an answer that its caller does not take is given up.
//!
//! ```text
//! a call begins ──▶ no limit ──▶ its answer is ready, or the caller took a part ──▶ due ──▶ given up: the stream is reset
//!                                          ▲                                         │
//!                                          └───────────── takes a part ──────────────┘
//! ```
//!
//! Why here: HTTP/2 asks for the next part of an answer only when the caller has opened its window. A timer in the answer
//! itself would fire unheard. So the future of the whole call, which holds the answer, is dropped.

use std::{
    cell::Cell,
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};

use tokio::time::{Instant, Sleep, sleep_until};

tokio::task_local! {
    /// Of the call that is being polled.
    static DUE: Cell<Option<Instant>>;
}

/// Sets when the call that is being polled is given up; `None`: never. Does nothing outside of [`until_due`].
pub(super) fn give_up_at(due: Option<Instant>) {
    if DUE.try_with(|current| current.set(due)).is_err() {
        tracing::trace!("nobody waits for this answer");
    }
}

/// Runs a call until it ends or is given up.
pub(super) fn until_due<F>(call: F) -> impl Future<Output = ()> + Send
where
    F: Future<Output = ()> + Send,
{
    let watched = async move {
        let mut call = pin!(call);
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|cx| {
            if call.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let Some(due) = DUE.with(Cell::get) else { return Poll::Pending };
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            timer.as_mut().poll(cx)
        })
        .await;
    };
    DUE.scope(Cell::new(None), watched)
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use super::*;

    const SOON: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_call_is_given_up_when_it_is_due_and_not_before() {
        let began = Instant::now();
        until_due(async {
            give_up_at(Some(Instant::now() + SOON));
            tokio::time::sleep(SOON / 2).await;
            give_up_at(Some(Instant::now() + SOON));
            pending::<()>().await;
        })
        .await;
        let took = began.elapsed();
        assert!(took >= SOON * 3 / 2 && took < SOON * 2, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_a_limit_goes_on() {
        let began = Instant::now();
        until_due(async {
            give_up_at(Some(Instant::now() + SOON));
            give_up_at(None);
            tokio::time::sleep(SOON * 9).await;
        })
        .await;
        assert!(began.elapsed() >= SOON * 9);
    }
}
