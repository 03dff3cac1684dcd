//! The connections to another node.

use http::{HeaderValue, Response, header::CONTENT_TYPE};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, codegen::Service};

use super::*;
use crate::{
    limits::Limits,
    method::ServiceId,
    metrics::Metrics,
    test_authority::{Authority, own_name},
    transport::{Admission, Port, Router},
};

/// Answers an exchange with what it is sent.
#[derive(Clone)]
struct Echo;

impl Service<http::Request<Body>> for Echo {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut response = Response::new(request.into_body());
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            Ok(response)
        })
    }
}

#[tokio::test]
async fn forwarded_calls_have_a_connection_of_their_own() {
    let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new());
    let files = authority.files(folder.path(), &authority.current("spiffe://custodia/node/1"));
    let other = NodeId::new(2).expect("a node");
    let credentials = Arc::new(Credentials::load(&files, None, own_name(1)).expect("valid"));
    let metrics = Metrics::new().expect("metrics");
    let peers = Peers::new(credentials, metrics.peer_connect_failed.clone());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let patience = Duration::from_secs(30);
    let hint = LeaderHint { node: other, address: address.clone() };
    let forward = peers.forward(&hint, ForwardRequest::default(), Instant::now() + patience);
    let peer = Peer { node: other, address };
    let call = peers.call(&peer, Bytes::new(), patience);
    let mut calls = Box::pin(async { futures::join!(forward, call) });
    let mut connections = Vec::new();
    // nobody speaks TLS here, so the calls fail in the end; by then they have opened all their connections
    while connections.len() < 2 {
        tokio::select! {
            accepted = listener.accept() => connections.push(accepted.expect("a connection")),
            _failed = &mut calls => break,
        }
    }
    assert_eq!(connections.len(), 2);
}

/// A node whose certificate was revoked kept the entries of the log that an open exchange sent it.
#[tokio::test]
async fn an_exchange_ends_when_certificates_change_and_the_next_judges_the_other_node_anew() {
    let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new());
    let (one, two) = (folder.path().join("1"), folder.path().join("2"));
    let files = |folder: &std::path::Path, uri: &str| {
        std::fs::create_dir_all(folder).expect("a folder");
        authority.files(folder, &authority.current(uri))
    };
    let other = NodeId::new(2).expect("a node");
    let metrics = Metrics::new().expect("metrics");
    let of_other =
        Credentials::load(&files(&two, "spiffe://custodia/node/2"), None, own_name(2)).expect("valid");
    let (of_other, limits) = (Arc::new(of_other), Limits::default());
    let router = Router::default().with(ServiceId::Peer, Echo);
    let admission = Admission::new(router, limits.clone(), of_other.tokens(), Arc::clone(&metrics));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let stop = CancellationToken::new();
    let port = Port::new(listener, of_other, Arc::new(admission), Arc::clone(&metrics), &limits, stop);
    let _serving = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(port.serve(Duration::ZERO)));

    let own = files(&one, "spiffe://custodia/node/1");
    let credentials = Arc::new(Credentials::load(&own, None, own_name(1)).expect("valid"));
    let peers = Peers::new(Arc::clone(&credentials), metrics.peer_connect_failed.clone());
    let peer = Peer { node: other, address };
    let exchange = async || {
        let input = stream::iter([Bytes::from_static(b"first")]).chain(stream::pending()).boxed();
        peers.exchange(&peer, input, Duration::from_secs(30)).await
    };
    let mut answers = exchange().await.expect("an exchange");
    assert_eq!(answers.next().await.expect("open").expect("an answer"), "first");
    files(&one, "spiffe://custodia/node/1");
    credentials.reload().expect("valid");
    assert!(answers.next().await.is_none(), "it ends");
    let mut answers = exchange().await.expect("the other node is still trusted");
    assert_eq!(answers.next().await.expect("open").expect("an answer"), "first");
    // of an authority that has not issued the certificate of the other node
    let next = Authority::new();
    next.files(&one, &next.current("spiffe://custodia/node/1"));
    credentials.reload().expect("valid");
    assert!(answers.next().await.is_none(), "it ends");
    assert!(exchange().await.is_err(), "the other node is no longer trusted");
}
