//! What bodies hold, and when they let go of it.

use std::{collections::VecDeque, convert::Infallible, future::poll_fn};

use http_body::Body as _;
use proptest::prelude::*;
use tonic::Code;

use super::{
    super::{budget::Budget, tokens::Tokens},
    *,
};
use crate::identity::{Role, RoleSet};

/// Sends its frames one after the other.
struct Frames(VecDeque<Bytes>);

impl Frames {
    fn of(lengths: impl IntoIterator<Item = usize>) -> Self {
        Self(lengths.into_iter().map(|length| Bytes::from(vec![0; length])).collect())
    }
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|bytes| Ok(Frame::data(bytes))))
    }
}

fn budgets(connection: usize, node: usize) -> BytesBudgets {
    BytesBudgets {
        connection: Some(Budget::new("connection_bytes_max", connection)),
        node: Budget::new("node_bytes_max", node),
    }
}

fn in_use(budgets: &BytesBudgets) -> (usize, usize) {
    (budgets.connection.as_ref().map_or(0, Budget::in_use), budgets.node.in_use())
}

async fn read(
    body: &mut (impl http_body::Body<Data = Bytes, Error = Status> + Unpin),
) -> Result<usize, Status> {
    let mut length = 0;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
        length += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(length)
}

#[tokio::test]
async fn a_request_beyond_the_budget_is_refused_while_it_comes() {
    for (connection, node, limit) in
        [(1 << 16, 1 << 20, "connection_bytes_max"), (1 << 20, 1 << 16, "node_bytes_max")]
    {
        let budgets = budgets(connection, node);
        let held = RequestBytes::of_call(budgets.clone());
        let mut body = SentBody::new(Frames::of(vec![UNCOUNTED_BYTES; 9]), Some(held.clone()), None);
        let refused = read(&mut body).await.expect_err("refused");
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert!(refused.message().contains(limit), "{}", refused.message());
        drop(body);
        assert!(in_use(&budgets).0 > 0, "the call holds them until its answer is ready");
        drop(held);
        assert_eq!(in_use(&budgets), (0, 0));
    }
}

#[tokio::test]
async fn a_stream_holds_no_more_than_its_part_however_long_it_is() {
    let budgets = budgets(1 << 20, 1 << 20);
    let counted = RequestBytes::of_stream(budgets.clone(), 1 << 17);
    let mut body = SentBody::new(Frames::of(vec![1 << 16; 100]), Some(counted), None);
    assert_eq!(read(&mut body).await.expect("all of it"), 100 << 16);
    assert_eq!(in_use(&budgets), (1 << 17, 1 << 17));
    drop(body);
    assert_eq!(in_use(&budgets), (0, 0));
}

/// Sends its frames one after the other, and then nothing.
struct Unfinished(Frames);

impl http_body::Body for Unfinished {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match Pin::new(&mut self.0).poll_frame(cx) {
            Poll::Ready(None) => Poll::Pending,
            frame @ (Poll::Ready(Some(_)) | Poll::Pending) => frame,
        }
    }
}

fn end(token: Option<ShownToken>) -> Option<StreamEnd> {
    Some(StreamEnd::new(CancellationToken::new(), Duration::from_secs(60), token))
}

/// It holds a permit of its connection and one of the node, which others need.
#[tokio::test(start_paused = true)]
async fn a_stream_on_which_nothing_comes_ends() {
    let mut body = SentBody::new(Unfinished(Frames::of([7, 8])), None, end(None));
    let mut next =
        async || poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.expect("a frame or an error");
    for _ in 0..2 {
        assert!(next().await.is_ok());
    }
    let began = Instant::now();
    let ended = next().await.expect_err("nothing more comes");
    assert_eq!(ended.code(), Code::Unavailable);
    assert!(ended.message().contains("stream_idle_ms"), "{}", ended.message());
    assert!(began.elapsed() >= Duration::from_secs(60));
}

#[tokio::test]
async fn a_stream_ends_at_the_first_message_after_its_token_was_removed() {
    let caller = |name: &str| Caller { name: name.into(), roles: RoleSet::of(&[Role::Ingest]) };
    let shown = TokenHash::of(b"Bearer test").expect("a token");
    // the SHA-256 of `test`
    let test = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let file =
        |name: &str| format!("[[token]]\nname = \"{name}\"\nroles = [\"ingest\"]\nsha256 = \"{test}\"\n");
    for now in [String::new(), file("other")] {
        let parsed = |text: &str| Some(Arc::new(Tokens::parse(text).expect("a valid file")));
        let in_force = CurrentTokens::default();
        in_force.store(parsed(&file("desk")));
        let token = ShownToken { in_force: Arc::clone(&in_force), hash: shown, caller: caller("desk") };
        let mut body = SentBody::new(Unfinished(Frames::of([7, 8])), None, end(Some(token)));
        let mut next = async || poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.expect("a frame");
        assert!(next().await.is_ok());
        in_force.store(parsed(&now));
        assert_eq!(next().await.expect_err("refused").code(), Code::Unauthenticated);
    }
}

/// A message of a stream with its head.
fn message(length: usize) -> Vec<u8> {
    let mut message = vec![0];
    message.extend(u32::try_from(length).expect("short").to_be_bytes());
    message.resize(HEAD_BYTES + length, 7);
    message
}

#[tokio::test]
async fn a_stream_gives_back_the_bytes_of_each_row_that_is_done() {
    let budgets = budgets(1 << 17, 1 << 17);
    let counted = RequestBytes::of_stream(budgets.clone(), usize::MAX);
    let rows = Frames((0..1_000).map(|_| message(1 << 16).into()).collect());
    let mut body = SentBody::new(rows, Some(counted.clone()), None);
    let mut read = 0;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        frame.expect("a stream that gives its bytes back is refused nothing");
        let in_flight = HEAD_BYTES + (1 << 16) - UNCOUNTED_BYTES;
        assert_eq!(in_use(&budgets), (in_flight, in_flight), "row {read}");
        drop(counted.of_next_message());
        assert_eq!(in_use(&budgets), (0, 0));
        read += 1;
    }
    assert_eq!(read, 1_000);
}

#[tokio::test]
async fn an_answer_is_handed_over_in_parts_and_holds_what_it_has_until_the_end() {
    let budgets = budgets(1 << 20, 1 << 20);
    let message = Bytes::from(vec![7; 3 * PART_BYTES_MAX + 1]);
    let (last, patience) = (Instant::now() + Duration::from_secs(9), Duration::from_secs(9));
    let held = budgets.take(message.len()).expect("room");
    let mut answer = AnswerBody::new(message, Body::empty(), last, patience, held);
    for length in [PART_BYTES_MAX, PART_BYTES_MAX, PART_BYTES_MAX, 1] {
        assert!(!answer.is_end_stream());
        let frame =
            poll_fn(|cx| Pin::new(&mut answer).poll_frame(cx)).await.expect("a frame").expect("no error");
        assert_eq!(frame.data_ref().map(Bytes::len), Some(length));
        assert_eq!(in_use(&budgets).0, 3 * PART_BYTES_MAX + 1);
    }
    assert!(answer.is_end_stream());
    drop(answer);
    assert_eq!(in_use(&budgets), (0, 0));
}

#[test]
fn what_must_be_sent_is_sent_beyond_the_budget_and_nothing_is_counted_twice() {
    let budgets = budgets(10, 100);
    let held = budgets.take_at_most(50);
    assert_eq!(in_use(&budgets), (10, 50));
    assert_eq!(budgets.check_left(), Err(Refusal::Full { limit: "connection_bytes_max", most: 10 }));
    assert!(budgets.take(1).is_err());
    drop(held);
    assert_eq!(in_use(&budgets), (0, 0));
    assert_eq!(budgets.check_left(), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// SE-2: whatever requests come in whatever frames, no budget is exceeded, and all of it comes back.
    #[test]
    fn no_frames_exceed_a_budget(
        connection in 1_usize..1 << 18,
        node in 1_usize..1 << 18,
        requests in prop::collection::vec(prop::collection::vec(0_usize..1 << 16, 0..6), 0..6),
    ) {
        let budgets = budgets(connection, node);
        let mut calls = Vec::new();
        for frames in requests {
            let counted = RequestBytes::of_call(budgets.clone());
            let accepted = frames.iter().all(|length| counted.count(&vec![0; *length]).is_ok());
            let total: usize = frames.iter().sum();
            let (of_connection, of_node) = in_use(&budgets);
            prop_assert!(of_connection <= connection && of_node <= node);
            prop_assert!(accepted || total > UNCOUNTED_BYTES, "what is not counted is never refused");
            calls.push(counted);
        }
        drop(calls);
        prop_assert_eq!(in_use(&budgets), (0, 0));
    }

    /// SE-2: whatever rows come in whatever frames, and however late each is done: a stream holds what was received of rows
    /// that are not done, but for its first bytes, and nothing when all are.
    #[test]
    fn a_stream_holds_the_rows_that_are_not_done(
        rows in prop::collection::vec(0_usize..1 << 14, 0..12),
        part in 1_usize..1 << 14,
        window in 1_usize..6,
    ) {
        let budgets = budgets(1 << 20, 1 << 20);
        let counted = RequestBytes::of_stream(budgets.clone(), usize::MAX);
        let mut taken = VecDeque::new();
        let (mut received, mut done, mut next) = (0, 0, 0);
        let sent: Vec<u8> = rows.iter().flat_map(|length| message(*length)).collect();
        for data in sent.chunks(part) {
            counted.count(data).expect("room");
            received += data.len();
            loop {
                let row = counted.of_next_message();
                if row.bytes == 0 {
                    break;
                }
                prop_assert_eq!(row.bytes, rows[next] + HEAD_BYTES);
                next += 1;
                taken.push_back(row);
            }
            while taken.len() > window {
                done += taken.pop_front().map_or(0, |row| row.bytes);
            }
            let held = (received - done).saturating_sub(UNCOUNTED_BYTES);
            prop_assert_eq!(in_use(&budgets), (held, held));
        }
        prop_assert_eq!(next, rows.len());
        taken.clear();
        prop_assert_eq!(in_use(&budgets), (0, 0));
    }
}
