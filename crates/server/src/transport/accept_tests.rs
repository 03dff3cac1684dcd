//! Real connections: who gets through the handshake, and what the others cannot disturb.

use custodia_proto::v1::{ListNodesRequest, cluster_service_client::ClusterServiceClient};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::{
    Code, Request, Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity as PemIdentity},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt as _;

use super::{super::Router, *};
use crate::{
    config::TokenFile,
    method::ServiceId,
    test_authority::{Authority, Issued, own_name},
};

/// A port with a health service and nothing else.
struct Sandbox {
    authority: Authority,
    address: SocketAddr,
    metrics: Arc<Metrics>,
    finish: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Sandbox {
    async fn start(limits: Limits, tokens: Option<TokenFile>) -> Self {
        let authority = Authority::new();
        let folder = tempfile::tempdir().expect("a folder");
        let files = authority.files(folder.path(), &authority.current("spiffe://custodia/node/1"));
        let credentials = Credentials::load(&files, tokens.as_ref(), own_name(1)).expect("valid");
        let credentials = Arc::new(credentials);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let metrics = Metrics::new().expect("metrics");
        let (_reporter, health) = tonic_health::server::health_reporter();
        let router = Router::default().with(ServiceId::Health, health);
        let admission =
            Arc::new(Admission::new(router, limits.clone(), credentials.tokens(), Arc::clone(&metrics)));
        let finish = CancellationToken::new();
        let port = Port::new(listener, credentials, admission, Arc::clone(&metrics), &limits, finish.clone());
        let serving = tokio::spawn(port.serve(Duration::from_millis(200)));
        Self { authority, address, metrics, finish, serving }
    }

    async fn channel(&self, authority: &str, identity: Option<&Issued>) -> Result<Channel, Status> {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority));
        if let Some(identity) = identity {
            tls = tls.identity(PemIdentity::from_pem(&identity.certificate, &identity.key));
        }
        Endpoint::from_shared(format!("https://{}", self.address))
            .expect("a URI")
            .tls_config(tls)
            .expect("a configuration")
            .connect()
            .await
            .map_err(|error| Status::from_error(error.into()))
    }

    /// A connection whose bytes the test writes itself.
    async fn tls(&self, identity: Option<&Issued>) -> tokio_rustls::client::TlsStream<TcpStream> {
        let config = self.authority.client_config(identity);
        let stream = TcpStream::connect(self.address).await.expect("a connection");
        let name = "127.0.0.1".try_into().expect("an address");
        tokio_rustls::TlsConnector::from(config).connect(name, stream).await.expect("a handshake")
    }

    /// Health as a client with this identity sees it.
    async fn health(&self, authority: &str, identity: Option<&Issued>) -> Result<(), Status> {
        let channel = self.channel(authority, identity).await?;
        HealthClient::new(channel).check(HealthCheckRequest::default()).await.map(|_| ())
    }

    async fn is_well(&self) {
        let agent = self.authority.current("spiffe://custodia/agent/desk");
        self.health(&self.authority.certificate, Some(&agent)).await.expect("a good client is served");
    }

    fn refused(&self, reason: &str) -> bool {
        self.counted("custodia_connections_refused_total", reason)
    }

    fn counted(&self, metric: &str, reason: &str) -> bool {
        let line = format!("{metric}{{reason=\"{reason}\"}} ");
        let page = self.metrics.handle().render();
        page.lines().any(|found| found.strip_prefix(&line).is_some_and(|count| count != "0"))
    }
}

/// What the server sends until it closes, at most within ten seconds.
async fn answer(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(bytes).await.expect("sent");
    let mut answer = Vec::new();
    let read =
        timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.expect("closed in time");
    assert!(read.is_ok() || answer.is_empty());
    answer
}

#[tokio::test]
async fn a_certificate_of_the_own_authority_is_let_in() {
    let sandbox = Sandbox::start(Limits::default(), None).await;
    sandbox.is_well().await;
    assert!(!sandbox.refused("tls"));
}

#[tokio::test]
async fn no_foreign_expired_or_missing_certificate_is_let_in() {
    let sandbox = Sandbox::start(Limits::default(), None).await;
    let own = sandbox.authority.certificate.clone();
    let uri = "spiffe://custodia/operator/eve";
    let foreign = Authority::new();
    for identity in [
        Some(foreign.current(uri)),
        Some(sandbox.authority.issue(&[uri], (2020, 2021))),
        Some(sandbox.authority.issue(&[uri], (2058, 2060))),
        None,
    ] {
        let error = sandbox.health(&own, identity.as_ref()).await.expect_err("refused");
        // the client has sent its call already when the alert comes, or not: it says one or the other
        assert!(matches!(error.code(), Code::Unavailable | Code::Unknown | Code::Cancelled), "{error:?}");
    }
    assert!(sandbox.refused("tls"));
    // the client does not let the server in
    let agent = sandbox.authority.current("spiffe://custodia/agent/desk");
    sandbox.health(&foreign.certificate, Some(&agent)).await.expect_err("refused");
    sandbox.is_well().await;
}

#[tokio::test]
async fn a_plaintext_client_is_closed_without_an_answer() {
    let sandbox = Sandbox::start(Limits::default(), None).await;
    for bytes in [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let answer = answer(sandbox.address, bytes).await;
        assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{answer:?}");
    }
    assert!(sandbox.refused("tls"));
    sandbox.is_well().await;
}

#[tokio::test]
async fn a_client_that_speaks_no_tls_1_3_is_told_so_by_an_alert() {
    let sandbox = Sandbox::start(Limits::default(), None).await;
    // a ClientHello of TLS 1.2: no supported_versions; ECDHE suites, P-256, ecdsa_secp256r1_sha256
    let mut hello = vec![0x03, 0x03];
    hello.extend([0x55; 32]);
    hello.extend([0x00, 0x00, 0x04, 0xC0, 0x2B, 0xC0, 0x2F, 0x01, 0x00]);
    let extensions =
        [0x00, 0x0A, 0x00, 0x04, 0x00, 0x02, 0x00, 0x17, 0x00, 0x0D, 0x00, 0x04, 0x00, 0x02, 0x04, 0x03];
    hello.extend([0x00, u8::try_from(extensions.len()).expect("short")]);
    hello.extend(extensions);
    let length = u8::try_from(hello.len()).expect("short");
    let mut record = vec![0x16, 0x03, 0x01, 0x00, length + 4, 0x01, 0x00, 0x00, length];
    record.extend(hello);
    let answer = answer(sandbox.address, &record).await;
    // a fatal alert, protocol_version (70)
    assert_eq!((answer.first(), answer.get(5..7)), (Some(&0x15), Some(&[2, 70][..])), "{answer:?}");
    sandbox.is_well().await;
}

#[tokio::test]
async fn silent_clients_are_given_up_and_hold_up_nobody() {
    let limits = Limits { handshake_timeout_ms: 300, ..Limits::default() };
    let sandbox = Sandbox::start(limits, None).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(sandbox.address).await.expect("a connection"));
    }
    sandbox.is_well().await;
    for mut stream in silent {
        let read = timeout(Duration::from_secs(10), stream.read(&mut [0; 1])).await.expect("closed in time");
        assert!(matches!(read, Ok(0) | Err(_)));
    }
    assert!(sandbox.refused("timeout"));
}

#[tokio::test]
async fn connections_over_the_limit_are_closed() {
    let sandbox = Sandbox::start(Limits { connections_max: 2, ..Limits::default() }, None).await;
    let agent = sandbox.authority.current("spiffe://custodia/agent/desk");
    let own = &sandbox.authority.certificate;
    let mut held = Vec::new();
    for _ in 0..2 {
        let channel = sandbox.channel(own, Some(&agent)).await.expect("a connection");
        HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.expect("served");
        held.push(channel);
    }
    sandbox.health(own, Some(&agent)).await.expect_err("refused");
    assert!(sandbox.refused("full"));
    HealthClient::new(held.remove(0)).check(HealthCheckRequest::default()).await.expect("still served");
}

#[tokio::test]
async fn a_token_stands_in_for_a_certificate_where_tokens_are_configured() {
    let folder = tempfile::tempdir().expect("a folder");
    let sandbox = Sandbox::start(Limits::default(), Some(token_file(&folder))).await;
    let channel = sandbox.channel(&sandbox.authority.certificate, None).await.expect("a connection");
    let mut client = ClusterServiceClient::new(channel);
    // this port has no such service: UNIMPLEMENTED is what an allowed call gets
    for (header, code) in [
        (None, Code::Unauthenticated),
        (Some("Bearer wrong"), Code::Unauthenticated),
        (Some("Bearer test"), Code::Unimplemented),
    ] {
        let mut request = Request::new(ListNodesRequest {});
        if let Some(header) = header {
            request.metadata_mut().insert("authorization", header.parse().expect("ASCII"));
        }
        let status = client.list_nodes(request).await.expect_err("refused");
        assert_eq!(status.code(), code, "{header:?}");
    }
    let mut peer = custodia_proto::internal::v1::peer_service_client::PeerServiceClient::new(
        sandbox.channel(&sandbox.authority.certificate, None).await.expect("a connection"),
    );
    let mut request = Request::new(custodia_proto::internal::v1::PeerFrame::default());
    request.metadata_mut().insert("authorization", "Bearer test".parse().expect("ASCII"));
    assert_eq!(peer.call(request).await.expect_err("refused").code(), Code::PermissionDenied);
}

/// The file of one token, `test`.
fn token_file(folder: &tempfile::TempDir) -> TokenFile {
    let file = folder.path().join("tokens.toml");
    // the SHA-256 of `test`
    let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    std::fs::write(&file, format!("[[token]]\nname = \"desk\"\nroles = [\"agent\"]\nsha256 = \"{hash}\"\n"))
        .expect("written");
    TokenFile { file }
}

async fn closes(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut rest = Vec::new();
    let read = timeout(Duration::from_secs(30), stream.read_to_end(&mut rest)).await;
    drop(read.expect("the node closes it"));
}

/// Whatever is allowed between two calls with a token.
#[tokio::test]
async fn a_connection_on_which_nothing_was_ever_authenticated_is_closed_at_the_limit_of_handshakes() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits =
        Limits { handshake_timeout_ms: 2_000, unauthenticated_idle_ms: 3_600_000, ..Limits::default() };
    let sandbox = Sandbox::start(limits, Some(token_file(&folder))).await;
    closes(&mut sandbox.tls(None).await).await;
    assert!(sandbox.counted("custodia_connections_ended_total", "idle"));
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_authenticated_is_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = Limits { unauthenticated_idle_ms: 100, ..Limits::default() };
    let sandbox = Sandbox::start(limits, Some(token_file(&folder))).await;
    // it says nothing at all after its handshake
    closes(&mut sandbox.tls(None).await).await;
    assert!(sandbox.counted("custodia_connections_ended_total", "idle"));
    // a connection with a certificate may be as silent as it likes
    let agent = sandbox.authority.current("spiffe://custodia/agent/desk");
    let mut silent = sandbox.tls(Some(&agent)).await;
    closes(&mut sandbox.tls(None).await).await;
    let mut one = [0; 1];
    let read = std::pin::pin!(silent.read(&mut one));
    assert!(!matches!(futures::poll!(read), std::task::Poll::Ready(Ok(0) | Err(_))));
}

/// A connection ends after a second.
fn short_lived() -> Limits {
    Limits {
        connection_age_max_ms: 1_000,
        deadline_default_ms: 100,
        deadline_max_ms: 100,
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_connection_ends_at_its_age_or_with_its_certificate() {
    let sandbox = Sandbox::start(short_lived(), None).await;
    let agent = sandbox.authority.current("spiffe://custodia/agent/desk");
    closes(&mut sandbox.tls(Some(&agent)).await).await;
    assert!(sandbox.counted("custodia_connections_ended_total", "age"));
    let sandbox = Sandbox::start(Limits::default(), None).await;
    let brief = sandbox.authority.for_seconds("spiffe://custodia/agent/desk", 2);
    closes(&mut sandbox.tls(Some(&brief)).await).await;
    assert!(sandbox.counted("custodia_connections_ended_total", "certificate"));
}

/// What began before the connection's end is answered, then its streams are told why they end.
#[tokio::test]
async fn a_stream_on_a_connection_at_its_age_ends_with_a_status() {
    let sandbox = Sandbox::start(short_lived(), None).await;
    let agent = sandbox.authority.current("spiffe://custodia/agent/desk");
    let channel = sandbox.channel(&sandbox.authority.certificate, Some(&agent)).await.expect("a connection");
    let watch = HealthClient::new(channel).watch(HealthCheckRequest::default()).await.expect("a stream");
    let mut watch = watch.into_inner();
    watch.message().await.expect("an answer");
    let ended = watch.message().await.expect_err("the stream ends with its connection");
    assert_eq!(ended.code(), Code::Unavailable, "{ended:?}");
    assert!(ended.get_details_error_info().is_some_and(|info| info.reason == "DRAINING"), "{ended:?}");
}

#[tokio::test]
async fn a_drain_leaves_no_connection_behind() {
    let sandbox = Sandbox::start(Limits::default(), None).await;
    let agent = sandbox.authority.current("spiffe://custodia/agent/desk");
    let channel = sandbox.channel(&sandbox.authority.certificate, Some(&agent)).await.expect("a connection");
    // a call that would last for ever
    let mut watch = HealthClient::new(channel.clone())
        .watch(HealthCheckRequest::default())
        .await
        .expect("a stream")
        .into_inner();
    watch.message().await.expect("an answer");
    HealthClient::new(channel).check(HealthCheckRequest::default()).await.expect("open connections go on");
    sandbox.finish.cancel();
    timeout(Duration::from_secs(10), sandbox.serving).await.expect("ends in time").expect("no panic");
    let ended = watch.message().await.expect_err("the stream ends with the node");
    assert_eq!(ended.code(), Code::Unavailable, "{ended:?}");
    assert!(TcpStream::connect(sandbox.address).await.is_err(), "nobody listens any more");
}

/// Frames of HTTP/2 (RFC 9113): a client's preface with its settings, and calls that it gives up at once.
fn calls_reset_at_once(count: u32) -> Vec<u8> {
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    const END_HEADERS: u8 = 4;
    // POST, https and / of HPACK's static table
    const REQUEST: [u8; 3] = [0x83, 0x87, 0x84];
    const CANCEL: [u8; 4] = [0, 0, 0, 8];
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let mut frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        bytes.extend([0, 0, u8::try_from(payload.len()).expect("short"), kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
    };
    frame(SETTINGS, 0, 0, &[]);
    for call in 0..count {
        frame(HEADERS, END_HEADERS, 2 * call + 1, &REQUEST);
        frame(RST_STREAM, 0, 2 * call + 1, &CANCEL);
    }
    bytes
}

/// What the node sends to a client that sends these bytes and then nothing, until it closes; within so much time at most.
async fn answer_over_tls(sandbox: &Sandbox, bytes: &[u8], patience: Duration) -> Vec<u8> {
    let mut stream = sandbox.tls(Some(&sandbox.authority.current("spiffe://custodia/agent/desk"))).await;
    stream.write_all(bytes).await.expect("sent");
    let mut answer = Vec::new();
    let read = timeout(patience, stream.read_to_end(&mut answer)).await;
    tracing::debug!(closed = read.is_ok(), "the answer");
    answer
}

const ENHANCE_YOUR_CALM: [u8; 4] = [0, 0, 0, 11];

/// The error codes of the GOAWAY frames in these bytes.
fn goaways(mut bytes: &[u8]) -> Vec<[u8; 4]> {
    const GOAWAY: u8 = 7;
    let mut codes = Vec::new();
    while let [a, b, c, kind, rest @ ..] = bytes {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let Some((payload, next)) = rest.get(5..).and_then(|rest| rest.split_at_checked(length)) else {
            break;
        };
        if *kind == GOAWAY {
            codes.push(payload[4..8].try_into().expect("four bytes"));
        }
        bytes = next;
    }
    codes
}

#[tokio::test]
async fn a_client_that_gives_up_more_calls_than_it_may_have_is_cut_off() {
    let sandbox = Sandbox::start(Limits { connection_calls_max: 8, ..Limits::default() }, None).await;
    // one TLS record holds so many: the node has all of them before it takes one
    let answer = answer_over_tls(&sandbox, &calls_reset_at_once(500), Duration::from_secs(10)).await;
    assert_eq!(goaways(&answer), [ENHANCE_YOUR_CALM]);
    sandbox.is_well().await;
}

#[tokio::test]
async fn a_client_may_give_up_as_many_calls_at_once_as_it_may_have() {
    let sandbox = Sandbox::start(Limits { connection_calls_max: 400, ..Limits::default() }, None).await;
    let mut stream = sandbox.tls(Some(&sandbox.authority.current("spiffe://custodia/agent/desk"))).await;
    stream.write_all(&calls_reset_at_once(400)).await.expect("sent");
    // answered after the calls were read
    stream.write_all(&[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]).await.expect("a ping");
    let mut received = Vec::new();
    while !received.windows(8).any(|bytes| bytes == [1, 2, 3, 4, 5, 6, 7, 8]) {
        let read = timeout(Duration::from_secs(10), stream.read_buf(&mut received)).await;
        assert_ne!(read.expect("an answer").expect("an open connection"), 0, "closed: {received:?}");
    }
    assert!(goaways(&received).is_empty());
}
