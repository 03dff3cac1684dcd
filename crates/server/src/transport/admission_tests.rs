//! Admission without TLS or network.

use std::convert::Infallible;

use std::task::{Context, Poll};

use http_body::Frame;
use tonic::codegen::Service;
use tonic_types::StatusExt as _;

use super::super::router::Answer;
use super::*;
use crate::{
    NodeId,
    identity::{Role, RoleSet},
};

const GET: &str = "/custodia.v1.ProfileService/GetProfile";
const INGEST: &str = "/custodia.v1.ProfileService/IngestProfile";
const FORWARD: &str = "/custodia.internal.v1.PeerService/Forward";
const CALL: &str = "/custodia.internal.v1.PeerService/Call";
const STREAM: &str = "/custodia.v1.ProfileService/IngestProfiles";

const BATCH: &str = "/custodia.v1.ProfileService/BatchGetProfiles";

/// Answers at once, with what admission has put into the request; or never, where the path is INGEST or FORWARD.
#[derive(Clone)]
struct Probe;

impl Service<Request<Body>> for Probe {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        Box::pin(async move {
            if matches!(request.uri().path(), INGEST | FORWARD) {
                std::future::pending::<()>().await;
            }
            let caller = request.extensions().get::<Caller>().cloned();
            let deadline = request.extensions().get::<Deadline>().copied();
            let hop = request.extensions().get::<Hop>().copied();
            let mut response = Response::new(if request.uri().path() == STREAM {
                // echoes what it is sent
                request.into_body()
            } else {
                Body::empty()
            });
            response.extensions_mut().insert((caller, deadline));
            if let Some(hop) = hop {
                response.extensions_mut().insert(hop);
            }
            Ok(response)
        })
    }
}

struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Pending
    }
}

impl Admission {
    fn connection_of(&self, identity: Identity) -> Connection {
        self.connection(identity, None)
    }
}

fn admission(limits: Limits) -> Admission {
    let metrics = Metrics::new().expect("metrics");
    Admission::new(
        Router::default().with(ServiceId::Profile, Probe),
        limits,
        CurrentTokens::default(),
        metrics,
    )
}

fn caller(role: Role) -> Identity {
    Identity { caller: Some(Caller { name: "probe".into(), roles: RoleSet::of(&[role]) }), node: None }
}

fn request(path: &str) -> Request<Body> {
    Request::builder().uri(path).body(Body::new(Endless)).expect("a request")
}

fn request_within(path: &str, timeout: &str) -> Request<Body> {
    Request::builder().uri(path).header("grpc-timeout", timeout).body(Body::new(Endless)).expect("a request")
}

async fn next(body: &mut Body) -> Option<Result<Frame<Bytes>, Status>> {
    poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
}

fn refused(response: &Response<Body>) -> (Code, String) {
    let status = Status::from_header_map(response.headers()).expect("a status");
    (status.code(), status.get_error_details().error_info().expect("an ErrorInfo").reason.clone())
}

/// A batch of a thousand profiles must not hold up the lookups of its connection.
#[tokio::test]
async fn only_brief_work_is_done_before_a_call_has_a_task_of_its_own() {
    let admission = admission(Limits::default());
    let connection = admission.connection_of(caller(Role::Agent));
    assert!(futures::poll!(std::pin::pin!(admission.serve(&connection, request(GET)))).is_ready());
    let mut batch = std::pin::pin!(admission.serve(&connection, request(BATCH)));
    assert!(futures::poll!(batch.as_mut()).is_pending());
    assert_eq!(code_of(&batch.await), Code::Ok);
}

#[tokio::test]
async fn an_allowed_call_reaches_its_handler_with_caller_and_deadline() {
    let admission = admission(Limits::default());
    let connection = admission.connection_of(caller(Role::Agent));
    let before = Instant::now();
    let response = admission.serve(&connection, request_within(GET, "5S")).await;
    let (caller, deadline) = response
        .extensions()
        .get::<(Option<Caller>, Option<Deadline>)>()
        .expect("the probe's answer")
        .clone();
    assert_eq!(&*caller.expect("a caller").name, "probe");
    let left = deadline.expect("a deadline").0 - before;
    assert!(left >= Duration::from_secs(5) && left < Duration::from_secs(6), "{left:?}");
}

#[tokio::test]
async fn a_deadline_over_the_limit_is_cut_to_it() {
    let admission = admission(Limits { deadline_max_ms: 20_000, ..Limits::default() });
    let connection = admission.connection_of(caller(Role::Agent));
    let before = Instant::now();
    let response = admission.serve(&connection, request_within(GET, "9H")).await;
    let (_, deadline) = response
        .extensions()
        .get::<(Option<Caller>, Option<Deadline>)>()
        .expect("the probe's answer")
        .clone();
    assert!(deadline.expect("a deadline").0 - before < Duration::from_secs(21));
}

#[tokio::test]
async fn callers_without_the_role_are_turned_away() {
    let admission = admission(Limits::default());
    let nobody = admission.connection_of(Identity::default());
    assert_eq!(
        refused(&admission.serve(&nobody, request(GET)).await),
        (Code::Unauthenticated, "UNAUTHENTICATED".into())
    );
    let operator = admission.connection_of(caller(Role::Operator));
    assert_eq!(
        refused(&admission.serve(&operator, request(GET)).await),
        (Code::PermissionDenied, "ROLE_NOT_ALLOWED".into())
    );
    // a node whose certificate carries no number
    let nameless = admission.connection_of(caller(Role::Node));
    assert_eq!(
        refused(&admission.serve(&nameless, request(CALL)).await),
        (Code::PermissionDenied, "NODE_UNNAMED".into())
    );
    assert_eq!(refused(&admission.serve(&operator, request("/x/y")).await).0, Code::Unimplemented);
}

#[tokio::test]
async fn expired_and_malformed_timeouts_are_refused_before_any_work() {
    let admission = admission(Limits::default());
    let connection = admission.connection_of(caller(Role::Agent));
    assert_eq!(
        refused(&admission.serve(&connection, request_within(GET, "0n")).await),
        (Code::DeadlineExceeded, "DEADLINE_PASSED".into())
    );
    for malformed in ["", "S", "5", "5s", "123456789S", "-1S", "1.5S"] {
        assert_eq!(
            refused(&admission.serve(&connection, request_within(GET, malformed)).await),
            (Code::InvalidArgument, "TIMEOUT_MALFORMED".into()),
            "{malformed}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_outlives_its_deadline_is_ended() {
    let admission = admission(Limits::default());
    let connection = admission.connection_of(caller(Role::Ingest));
    let response = admission.serve(&connection, request_within(INGEST, "100m")).await;
    assert_eq!(refused(&response), (Code::DeadlineExceeded, "OUTCOME_UNKNOWN".into()));
    assert_eq!(admission.in_flight(), (0, 0), "its permits are given back");
}

#[tokio::test]
async fn a_call_over_the_limit_in_flight_is_told_which() {
    let admission = admission(Limits { node_calls_max: 2, connection_calls_max: 1, ..Limits::default() });
    let first = admission.connection_of(caller(Role::Ingest));
    let stream = admission.serve(&first, request(STREAM)).await;
    assert_eq!(admission.in_flight(), (1, 0), "a stream holds its permits while it lasts");
    let over =
        Status::from_header_map(admission.serve(&first, request(GET)).await.headers()).expect("a status");
    assert_eq!(over.code(), Code::ResourceExhausted);
    assert!(over.message().contains("connection_calls_max"), "{}", over.message());
    let second = admission.connection_of(caller(Role::Ingest));
    let other = admission.serve(&second, request(STREAM)).await;
    let third = admission.connection_of(caller(Role::Ingest));
    let over =
        Status::from_header_map(admission.serve(&third, request(GET)).await.headers()).expect("a status");
    assert!(over.message().contains("node_calls_max"), "{}", over.message());
    drop((stream, other));
    assert_eq!(admission.in_flight(), (0, 0));
    assert_eq!(admission.serve(&first, request(GET)).await.headers().get("grpc-status"), None);
}

#[tokio::test]
async fn forwarded_calls_take_no_permit_of_consensus_messages() {
    let limits = Limits { forwarded_calls_max: 1, peer_calls_max: 1, ..Limits::default() };
    let metrics = Metrics::new().expect("metrics");
    let admission = Admission::new(
        Router::default().with(ServiceId::Peer, Probe),
        limits,
        CurrentTokens::default(),
        metrics,
    );
    let node = Identity { node: NodeId::new(2).ok(), ..caller(Role::Node) };
    let connection = admission.connection(node, Some(CertificateDer::from(vec![])));
    let mut forwarded = Box::pin(admission.serve(&connection, request(FORWARD)));
    assert!(poll_fn(|cx| Poll::Ready(forwarded.as_mut().poll(cx).is_pending())).await);
    assert_eq!(admission.in_flight(), (0, 1));
    let over = admission.serve(&connection, request(FORWARD)).await;
    let over = Status::from_header_map(over.headers()).expect("a status");
    assert!(over.message().contains("forwarded_calls_max"), "{}", over.message());
    let heartbeat = admission.serve(&connection, request(CALL)).await;
    assert_eq!(heartbeat.headers().get("grpc-status"), None, "a heartbeat is let in beside it");
    drop(forwarded);
    assert_eq!(admission.in_flight(), (0, 0));
}

#[tokio::test]
async fn a_draining_node_takes_no_new_call_and_waits_for_those_in_flight() {
    let admission = admission(Limits::default());
    let connection = admission.connection_of(caller(Role::Ingest));
    let stream = admission.serve(&connection, request(STREAM)).await;
    admission.drain();
    let draining = (Code::Unavailable, "DRAINING".to_owned());
    assert!(!admission.idle(Duration::from_millis(1)).await);
    // the drain waits for the permits, and so holds all that are free
    let mut idle = Box::pin(admission.idle(Duration::from_secs(60)));
    assert!(futures::poll!(idle.as_mut()).is_pending());
    for path in [STREAM, BATCH] {
        assert_eq!(refused(&admission.serve(&connection, request(path)).await), draining, "{path}");
    }
    // the handler refuses these, as it can name another node; a bounded number of them
    let read = admission.serve(&connection, request(GET)).await;
    assert_eq!(read.extensions().get::<Hop>(), Some(&Hop::Draining));
    let mut held = Vec::new();
    for _ in 0..DRAINING_CALLS_MAX {
        let mut call = Box::pin(admission.serve(&connection, request(INGEST)));
        assert!(futures::poll!(call.as_mut()).is_pending());
        held.push(call);
    }
    assert_eq!(refused(&admission.serve(&connection, request(GET)).await), draining);
    drop(stream);
    assert!(idle.await, "calls that are refused hold up no drain");
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_its_deadline() {
    let admission = admission(Limits::default());
    let connection = admission.connection_of(caller(Role::Ingest));
    let mut body = admission.serve(&connection, request_within(STREAM, "1S")).await.into_body();
    let trailers =
        next(&mut body).await.expect("a frame").expect("no error").into_trailers().expect("trailers");
    assert_eq!(Status::from_header_map(&trailers).expect("a status").code(), Code::DeadlineExceeded);
    assert!(next(&mut body).await.is_none());
}

#[tokio::test]
async fn a_drain_ends_what_a_client_sends_and_the_finish_ends_the_stream() {
    let admission = admission(Limits::default());
    let connection = admission.connection_of(caller(Role::Ingest));
    let mut echo = admission.serve(&connection, request(STREAM)).await.into_body();
    admission.drain();
    let error = next(&mut echo).await.expect("a frame").expect_err("what the client sends has ended");
    assert_eq!(error.code(), Code::Unavailable);
}

/// Nothing is left of the bytes of the connection and of the node.
fn fill(admission: &Admission, connection: &Connection) -> impl Drop + use<> {
    struct Filled(Vec<OwnedSemaphorePermit>);
    impl Drop for Filled {
        fn drop(&mut self) {
            self.0.clear();
        }
    }
    let all = |budget: &Budget, most: usize| budget.take(most).expect("all of it");
    let limits = &admission.limits;
    Filled(vec![
        all(&connection.bytes, limits.connection_bytes_max),
        all(&admission.client_bytes, limits.node_bytes_max),
        all(&admission.forwarded_bytes, limits.forwarded_bytes_max),
    ])
}

/// CO-3: who takes no answers cannot keep a customer's "no" out.
#[tokio::test]
async fn full_bytes_refuse_reads_and_no_write() {
    const WITHDRAW: &str = "/custodia.v1.ConsentService/WithdrawConsent";
    let metrics = Metrics::new().expect("metrics");
    let router = Router::default().with(ServiceId::Profile, Probe).with(ServiceId::Consent, Probe);
    let admission = Admission::new(router, Limits::default(), CurrentTokens::default(), metrics);
    let connection = admission.connection_of(Identity {
        caller: Some(Caller { name: "probe".into(), roles: Role::ALL.into_iter().collect() }),
        node: None,
    });
    let _filled = fill(&admission, &connection);
    assert_eq!(refused(&admission.serve(&connection, request(GET)).await).0, Code::ResourceExhausted);
    for write in [WITHDRAW, STREAM] {
        let response = admission.serve(&connection, request(write)).await;
        assert_eq!(response.headers().get("grpc-status"), None, "{write}");
    }
}

/// Whether a forwarded call reads stands in its message: its handler refuses it then.
#[tokio::test]
async fn full_bytes_refuse_no_forwarded_call_before_it_is_read() {
    let metrics = Metrics::new().expect("metrics");
    let router = Router::default().with(ServiceId::Peer, Probe);
    let admission = Admission::new(router, Limits::default(), CurrentTokens::default(), metrics);
    let node = Identity { node: NodeId::new(2).ok(), ..caller(Role::Node) };
    let connection = admission.connection(node, Some(CertificateDer::from(vec![])));
    let _filled = fill(&admission, &connection);
    let mut forwarded = Box::pin(admission.serve(&connection, request(FORWARD)));
    assert!(futures::poll!(forwarded.as_mut()).is_pending(), "it has reached its handler");
}

#[tokio::test]
async fn a_draining_node_with_full_bytes_says_that_it_drains() {
    let admission = admission(Limits::default());
    let connection = admission.connection_of(caller(Role::Agent));
    let _filled = fill(&admission, &connection);
    admission.drain();
    assert_eq!(refused(&admission.serve(&connection, request(BATCH)).await).0, Code::Unavailable);
    // the handler refuses it, as it can name another node
    let read = admission.serve(&connection, request(GET)).await;
    assert_eq!(read.extensions().get::<Hop>(), Some(&Hop::Draining));
}

#[tokio::test]
async fn the_end_of_a_connection_ends_what_its_client_sends_and_no_other() {
    let admission = admission(Limits::default());
    let (old, young) =
        (admission.connection_of(caller(Role::Ingest)), admission.connection_of(caller(Role::Ingest)));
    let mut ending = admission.serve(&old, request(STREAM)).await.into_body();
    let mut other = admission.serve(&young, request(STREAM)).await.into_body();
    old.interrupt();
    let error = next(&mut ending).await.expect("a frame").expect_err("what the client sends has ended");
    assert_eq!(error.code(), Code::Unavailable);
    assert!(futures::poll!(std::pin::pin!(next(&mut other))).is_pending());
}
