//! Calls over a real HTTP/2 connection in memory, and the batched writer, byte for byte.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicBool, AtomicUsize},
};

use http::{Request, Response, StatusCode};
use hyper::{
    body::Incoming,
    client::conn::http2::{self as client, SendRequest},
    rt::Executor as _,
    server::conn::http2 as server,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    sync::{Notify, Semaphore},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::*;

/// Longer than any of these tests, but for one.
const PATIENCE: Duration = Duration::from_secs(60);

/// More than the buffer holds, and than the windows of a connection.
const LARGE: usize = 1 << 20;

/// A server that answers by path.
#[derive(Clone, Default)]
struct Paths {
    /// Lets `/later` go on.
    later: Arc<Notify>,
    /// Calls of `/together` that have begun; each ends when all of three have.
    together: Arc<AtomicUsize>,
    all_together: Arc<CancellationToken>,
}

impl Paths {
    async fn answer(self, request: Request<Incoming>) -> Result<Response<String>, Infallible> {
        let text = match request.uri().path() {
            "/now" => "now".to_owned(),
            "/later" => {
                self.later.notified().await;
                "later".to_owned()
            }
            "/together" => {
                if self.together.fetch_add(1, Ordering::SeqCst) == 2 {
                    self.all_together.cancel();
                }
                self.all_together.cancelled().await;
                "together".to_owned()
            }
            "/large" => "x".repeat(LARGE),
            "/panics" => panic!("a handler that panics"),
            other => unreachable!("{other}"),
        };
        Ok(Response::new(text))
    }
}

/// Serves `paths` on one end of a connection that holds so many bytes at a time.
fn serve(
    paths: &Paths,
    finish: &CancellationToken,
    bytes: usize,
) -> (DuplexStream, JoinHandle<Result<(), BoxError>>) {
    let (near, far) = duplex(bytes);
    let (paths, finish) = (paths.clone(), finish.clone());
    let serving = tokio::spawn(async move {
        let (stream, calls) = (BatchedWriter::new(far), PendingCalls::default());
        let connection = server::Builder::new(calls.clone()).serve_connection(
            TokioIo::new(stream.clone()),
            service_fn(move |request| paths.clone().answer(request)),
        );
        serve_batched(connection, &stream, &calls, finish.cancelled(), PATIENCE).await
    });
    (near, serving)
}

async fn connect(near: DuplexStream) -> SendRequest<String> {
    let (sender, connection) =
        client::handshake(TokioExecutor::new(), TokioIo::new(near)).await.expect("a connection");
    TokioExecutor::new().execute(async {
        // a test that ends its client ends this with it
        drop(connection.await);
    });
    sender
}

/// The answer's length, or nothing where the call was broken off.
async fn call(sender: &SendRequest<String>, path: &str) -> Option<usize> {
    let mut sender = sender.clone();
    let request = Request::post(format!("http://node{path}")).body(String::new()).expect("a request");
    let response = sender.send_request(request).await.ok()?;
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    let mut length = 0;
    while let Some(frame) =
        poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut body), cx)).await.transpose().ok()?
    {
        length += frame.data_ref().map_or(0, bytes::Bytes::len);
    }
    Some(length)
}

#[tokio::test]
async fn calls_that_wait_and_calls_that_do_not_are_answered_on_one_connection() {
    let (paths, finish) = (Paths::default(), CancellationToken::new());
    let (near, serving) = serve(&paths, &finish, 4_096);
    let sender = connect(near).await;
    let later = tokio::spawn({
        let sender = sender.clone();
        async move { call(&sender, "/later").await }
    });
    let together = futures::future::join_all((0..3).map(|_| call(&sender, "/together"))).await;
    assert_eq!(together, [Some(8); 3], "they run side by side");
    let many = futures::future::join_all((0..200).map(|_| call(&sender, "/now"))).await;
    assert!(many.iter().all(|answer| *answer == Some(3)));
    assert!(!later.is_finished());
    paths.later.notify_one();
    assert_eq!(later.await.expect("ends"), Some(5));
    drop(sender);
    serving.await.expect("ends").expect("ends well");
}

#[tokio::test]
async fn an_answer_larger_than_the_buffer_arrives_whole() {
    let (paths, finish) = (Paths::default(), CancellationToken::new());
    let (near, serving) = serve(&paths, &finish, 1_000);
    let sender = connect(near).await;
    let answers = futures::future::join_all((0..4).map(|_| call(&sender, "/large"))).await;
    assert_eq!(answers, [Some(LARGE); 4]);
    drop(sender);
    serving.await.expect("ends").expect("ends well");
}

/// The other end reads nothing, so that the socket takes nothing more.
#[tokio::test(start_paused = true)]
async fn a_connection_whose_other_end_takes_nothing_ends() {
    let (paths, finish) = (Paths::default(), CancellationToken::new());
    let (mut near, serving) = serve(&paths, &finish, 64);
    // an empty SETTINGS frame makes the server acknowledge; pings make it answer more than the 64 bytes that fit
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for _ in 0..8 {
        bytes.extend(b"\0\0\x08\x06\0\0\0\0\0pingping");
    }
    near.write_all(&bytes).await.expect("sent");
    let ended = serving.await.expect("ends").expect_err("it is closed");
    let kind = ended.downcast_ref::<io::Error>().expect("an error of the stream").kind();
    assert_eq!(kind, io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_call_that_panics_ends_alone() {
    let (paths, finish) = (Paths::default(), CancellationToken::new());
    let (near, _serving) = serve(&paths, &finish, 4_096);
    let sender = connect(near).await;
    let (broken, well) = tokio::join!(call(&sender, "/panics"), call(&sender, "/now"));
    assert_eq!((broken, well), (None, Some(3)));
    assert_eq!(call(&sender, "/now").await, Some(3));
}

#[tokio::test]
async fn a_connection_that_is_to_finish_answers_what_it_has() {
    let (paths, finish) = (Paths::default(), CancellationToken::new());
    let (near, serving) = serve(&paths, &finish, 4_096);
    let sender = connect(near).await;
    assert_eq!(call(&sender, "/now").await, Some(3));
    let later = tokio::spawn({
        let sender = sender.clone();
        async move { call(&sender, "/later").await }
    });
    // the call has begun: one that comes after it was answered
    assert_eq!(call(&sender, "/now").await, Some(3));
    finish.cancel();
    while call(&sender, "/now").await.is_some() {
        tokio::task::yield_now().await;
    }
    assert!(!serving.is_finished());
    paths.later.notify_one();
    assert_eq!(later.await.expect("ends"), Some(5));
    serving.await.expect("ends").expect("ends well");
}

#[tokio::test]
async fn a_connection_whose_other_end_is_gone_ends() {
    let (paths, finish) = (Paths::default(), CancellationToken::new());
    let (near, serving) = serve(&paths, &finish, 4_096);
    let sender = connect(near).await;
    assert_eq!(call(&sender, "/now").await, Some(3));
    drop(sender);
    serving.await.expect("ends").expect("ends well");
    let (near, serving) = serve(&paths, &finish, 4_096);
    drop(near);
    drop(serving.await.expect("ends"));
}

/// The other end sends some bytes, and is gone when it is asked a second time for more.
struct Ending {
    bytes: io::Cursor<Vec<u8>>,
    waited: bool,
}

impl AsyncRead for Ending {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.bytes).poll_read(cx, buf))?;
        if buf.filled().len() == before && !self.waited {
            self.waited = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Ending {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Regression: such a call was never started, and kept itself in memory.
#[tokio::test]
async fn a_call_that_comes_with_the_end_of_its_connection_is_started_and_not_left_in_memory() {
    let (near, mut client_sends) = duplex(1 << 16);
    let mut sender = connect(near).await;
    let request = Request::post("http://node/together").body(String::new()).expect("a request");
    let _answer = tokio::spawn(sender.send_request(request));
    // on this runtime's only thread: the request is written when the others have nothing more to do
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let mut sent = vec![0; 4_096];
    let length = client_sends.read(&mut sent).await.expect("read");
    sent.truncate(length);

    let paths = Paths::default();
    let ending = Ending { bytes: io::Cursor::new(sent), waited: false };
    let (stream, calls) = (BatchedWriter::new(ending), PendingCalls::default());
    let waiting = Arc::downgrade(&calls.0);
    let service = service_fn({
        let paths = paths.clone();
        move |request| paths.clone().answer(request)
    });
    let connection =
        server::Builder::new(calls.clone()).serve_connection(TokioIo::new(stream.clone()), service);
    drop(serve_batched(connection, &stream, &calls, std::future::pending(), PATIENCE).await);
    drop((stream, calls));
    paths.all_together.cancel();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(paths.together.load(Ordering::SeqCst), 1, "it has begun");
    assert_eq!(waiting.strong_count(), 0, "nothing holds the list of pending calls");
}

#[tokio::test]
async fn a_batch_beyond_its_budget_leaves_calls_to_other_tasks() {
    let calls = PendingCalls::default();
    let (ran, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    for _ in 0..3 {
        let (ran, done) = (Arc::clone(&ran), Arc::clone(&done));
        calls.execute(async move {
            let began = Instant::now();
            while began.elapsed() <= INLINE_BUDGET {
                std::hint::spin_loop();
            }
            ran.fetch_add(1, Ordering::SeqCst);
            done.add_permits(1);
        });
    }
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(calls.start(cx));
    assert_eq!(ran.load(Ordering::SeqCst), 1, "the others are tasks of their own, which have not begun");
    drop(done.acquire_many(3).await.expect("open"));
    assert!(!calls.start(cx));
}

/// Notes that it was woken.
#[derive(Default)]
struct Alarm(AtomicBool);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_wake_up_during_a_batch_is_handled_in_it_and_a_later_one_wakes_the_task() {
    let alarm = Arc::new(Alarm::default());
    let task = Waker::from(Arc::clone(&alarm));
    let batch = Arc::new(BatchWaker::default());
    let waker = Waker::from(Arc::clone(&batch));
    batch.begin(&Context::from_waker(&task));
    waker.wake_by_ref();
    waker.wake_by_ref();
    assert!(!batch.is_over());
    assert!(batch.is_over());
    assert!(!alarm.0.load(Ordering::SeqCst));
    waker.wake_by_ref();
    assert!(alarm.0.load(Ordering::SeqCst));
}

proptest! {
    /// Whatever is written in whatever pieces comes out whole and in order, and nothing before it is sent but
    /// what is over the limit.
    #[test]
    fn what_is_buffered_is_sent_whole_and_in_order(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40_000), 0..12),
        bytes in 1_usize..100_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let whole = pieces.concat();
        let received = runtime.block_on(async {
            let (mut near, far) = duplex(bytes);
            let mut stream = BatchedWriter::new(far);
            let reading = tokio::spawn(async move {
                let mut received = Vec::new();
                near.read_to_end(&mut received).await.expect("read");
                received
            });
            for piece in &pieces {
                stream.write_all(piece).await.expect("taken");
                stream.flush().await.expect("flushed");
                let held = stream.0.lock().buffer.len();
                assert!(held <= BUFFER_BYTES_MAX);
            }
            poll_fn(|cx| stream.poll_send(cx)).await.expect("sent");
            assert_eq!(stream.0.lock().buffer.len(), 0);
            stream.shutdown().await.expect("closed");
            drop(stream);
            reading.await.expect("ends")
        });
        prop_assert_eq!(received, whole);
    }
}

#[tokio::test]
async fn a_flush_sends_nothing_and_the_end_of_the_batch_sends_all() {
    let (mut near, far) = duplex(1_000);
    let mut stream = BatchedWriter::new(far);
    stream.write_all(b"one").await.expect("taken");
    stream.flush().await.expect("flushed");
    let slices = [io::IoSlice::new(b" two"), io::IoSlice::new(b""), io::IoSlice::new(b" three")];
    assert_eq!(stream.write_vectored(&slices).await.expect("taken"), 10);
    let mut received = [0; 32];
    let nothing = futures::poll!(std::pin::pin!(near.read(&mut received)));
    assert!(nothing.is_pending());
    poll_fn(|cx| stream.poll_send(cx)).await.expect("sent");
    let length = near.read(&mut received).await.expect("read");
    assert_eq!(received.get(..length), Some(&b"one two three"[..]));
    drop(near);
    stream.write_all(b"four").await.expect("taken");
    poll_fn(|cx| stream.poll_send(cx)).await.expect_err("nobody is there");
}
