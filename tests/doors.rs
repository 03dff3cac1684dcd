//! What hostile and careless clients cannot take from others, and certificates and tokens that change while the node runs
//! (SE-1, SE-2, OP-2, OP-4).
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on says why and stops"
)]

use std::fs;
use std::io::Write as _;
use std::process::{Command, ExitCode};
use std::time::Duration;

use custodia_proto::internal::v1::{GetNodeFactsRequest, peer_service_client::PeerServiceClient};
use custodia_proto::v1::{
    BatchGetProfilesRequest, BatchGetProfilesResponse, GetClusterStatusRequest, IngestProfileRequest,
    cluster_service_client::ClusterServiceClient, ingest_profiles_response,
    profile_service_client::ProfileServiceClient,
};
use custodia_tests::actions::stored_customer;
use custodia_tests::sample::{fault, ingest, observation};
use custodia_tests::{
    Authority, FAST_TIMING, Identity, Options, Sandbox, Suite, Validity, connect, endpoint, eventually,
};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

fn main() -> ExitCode {
    Suite::default()
        .alone(a_caller_that_takes_no_answers_has_no_more_calls_than_its_limit)
        .alone(a_caller_that_takes_no_answers_holds_no_more_bytes_than_its_limit)
        .alone(silent_connections_keep_nobody_out)
        .alone(clients_cannot_take_the_slots_of_nodes)
        .alone(exhausted_file_descriptors_are_said_once)
        .alone(a_revoked_certificate_ends_its_connections_and_no_other_call)
        .alone(a_new_authority_and_certificate_take_effect_without_a_restart)
        .alone(a_changed_token_takes_effect_without_a_signal)
        .alone(answers_that_nobody_takes_fill_no_memory)
        .run()
}

/// One node with these limits.
async fn one_node(limits: &str) -> Sandbox {
    let config = format!("{FAST_TIMING}\n[limits]\n{limits}\n");
    Sandbox::start_with(Options { nodes: 1, config, ..Options::default() }).await
}

/// A channel on which the node may send little before its answers are taken.
async fn narrow_channel(sandbox: &Sandbox) -> Channel {
    let address = &sandbox.nodes[0].address;
    let endpoint = endpoint(address, sandbox.authority.certificate(), Some(&sandbox.admin)).unwrap();
    endpoint.initial_stream_window_size(16 << 10).connect().await.unwrap()
}

fn batch(customer: &str) -> BatchGetProfilesRequest {
    let customer_ids = vec![customer.to_owned(); PROFILES];
    BatchGetProfilesRequest { customer_ids, purpose: "service".into(), ..Default::default() }
}

/// Asks for a batch and takes only the head of the answer.
async fn untaken(
    channel: &Channel,
    customer: &str,
    timeout: Duration,
) -> Result<Streaming<BatchGetProfilesResponse>, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let mut request = Request::new(batch(customer));
    request.set_timeout(timeout);
    let path = PathAndQuery::from_static("/custodia.v1.ProfileService/BatchGetProfiles");
    let codec = ProstCodec::<BatchGetProfilesRequest, BatchGetProfilesResponse>::default();
    Ok(client.server_streaming(request, path, codec).await?.into_inner())
}

fn is_over(outcome: &Result<Streaming<BatchGetProfilesResponse>, Status>, limit: &str) -> bool {
    outcome
        .as_ref()
        .is_err_and(|status| status.code() == Code::ResourceExhausted && status.message().contains(limit))
}

/// In one answer. Together they are larger than what the node may send before it is taken.
const PROFILES: usize = 100;

const LONG: Duration = Duration::from_secs(50);

async fn a_caller_that_takes_no_answers_has_no_more_calls_than_its_limit() {
    const CALLS: usize = 4;
    let sandbox = one_node(&format!("connection_calls_max = {CALLS}")).await;
    let customer = stored_customer(&sandbox, &[("given_name", "Ada")]).await;
    let channel = narrow_channel(&sandbox).await;
    let mut held = Vec::new();
    for _ in 0..CALLS {
        held.push(untaken(&channel, &customer, LONG).await.unwrap());
    }
    let over = untaken(&channel, &customer, LONG).await;
    assert!(is_over(&over, "connection_calls_max"), "{over:?}");
    let taken = held.pop().unwrap().message().await.unwrap().unwrap();
    assert_eq!(taken.profiles.len(), PROFILES);
    // the node gives up an answer that nobody has taken by its deadline
    let mut late = None;
    eventually("the call whose answer was taken has made room", async || {
        late = untaken(&channel, &customer, Duration::from_millis(500)).await.ok();
        late.is_some()
    })
    .await;
    eventually("the call whose deadline is over has made room", async || {
        untaken(&channel, &customer, LONG).await.is_ok()
    })
    .await;
    assert!(late.unwrap().message().await.is_err(), "what is left of its answer is gone");
}

async fn a_caller_that_takes_no_answers_holds_no_more_bytes_than_its_limit() {
    let sandbox = one_node(
        "message_bytes_max = 65_536\nresponse_bytes_max = 65_536\nconnection_bytes_max = 131_072\n\
         node_bytes_max = 262_144",
    )
    .await;
    let customer = stored_customer(&sandbox, &[("given_name", "Ada")]).await;
    let channel = narrow_channel(&sandbox).await;
    let whole = BatchGetProfilesRequest { customer_ids: vec![customer.clone(); 500], ..batch(&customer) };
    let too_large = sandbox.profiles(0).await.batch_get_profiles(whole).await.unwrap_err();
    assert!(too_large.message().contains("response_bytes_max"), "{too_large:?}");
    let mut held = Vec::new();
    let over = loop {
        match untaken(&channel, &customer, LONG).await {
            Ok(answer) => held.push(answer),
            over @ Err(_) => break over,
        }
        assert!(held.len() < 20, "the bytes are bounded");
    };
    assert!(is_over(&over, "connection_bytes_max") && !held.is_empty(), "{over:?}");
    let other = narrow_channel(&sandbox).await;
    held.push(untaken(&other, &customer, LONG).await.unwrap());
    drop(held);
    eventually("the bytes are free again", async || untaken(&channel, &customer, LONG).await.is_ok()).await;
}

/// Bytes that the node's process has in memory (proc(5), `VmRSS`).
fn resident_bytes(sandbox: &Sandbox) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", sandbox.nodes[0].pid().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Of the many answers to a caller who takes none, the node holds what its limit allows.
async fn answers_that_nobody_takes_fill_no_memory() {
    const LIMIT: u64 = 32 << 20;
    const CALLS: u64 = 300;
    const TEXT_BYTES: usize = 4_000;
    let sandbox = one_node(&format!("connection_bytes_max = {LIMIT}")).await;
    let long = "x".repeat(TEXT_BYTES);
    let customer = stored_customer(&sandbox, &[("given_name", &long), ("surname", &long)]).await;
    let answer_bytes = u64::try_from(PROFILES * 2 * TEXT_BYTES).unwrap();
    assert!(answer_bytes * CALLS > 6 * LIMIT, "together they are far beyond the limit");
    let before = resident_bytes(&sandbox);
    let channel = narrow_channel(&sandbox).await;
    let mut held = Vec::new();
    for _ in 0..CALLS {
        held.push(untaken(&channel, &customer, LONG).await);
    }
    assert!(held.iter().any(|outcome| is_over(outcome, "connection_bytes_max")));
    let more = resident_bytes(&sandbox).saturating_sub(before);
    assert!(more < 3 * LIMIT, "{more} bytes for answers of which {LIMIT} may be in flight");
}

/// They come from one address, as the good client here does; none of them ends by itself in the time of this test.
async fn silent_connections_keep_nobody_out() {
    let sandbox = one_node("handshake_timeout_ms = 60_000").await;
    let mut silent = Vec::new();
    for _ in 0..600 {
        silent.push(TcpStream::connect(&sandbox.nodes[0].address).await.unwrap());
    }
    let status = sandbox.status(0).await;
    assert!(status.is_ok(), "{status:?}");
    let closed = tokio::time::timeout(LONG, silent[0].read(&mut [0; 1])).await;
    assert!(matches!(closed, Ok(Ok(0) | Err(_))), "the oldest made room");
}

async fn clients_cannot_take_the_slots_of_nodes() {
    let sandbox = one_node("connections_max = 8").await;
    let mut held = Vec::new();
    eventually("clients take all slots", async || {
        match sandbox.channel(0, &sandbox.admin).await {
            Ok(channel) if may_ask(&channel).await => held.push(channel),
            Ok(_) | Err(_) => return true,
        }
        false
    })
    .await;
    assert!(held.len() <= 8, "{}", held.len());
    let node = sandbox.authority.issue("1", &["node"], Validity::Current);
    let mut peer = PeerServiceClient::new(sandbox.channel(0, &node).await.unwrap());
    assert!(peer.get_node_facts(GetNodeFactsRequest {}).await.is_ok());
}

/// Each attempt to accept fails, twenty times a second, until a connection ends.
async fn exhausted_file_descriptors_are_said_once() {
    let sandbox = one_node("").await;
    let node = &sandbox.nodes[0];
    let open = fs::read_dir(format!("/proc/{}/fd", node.pid().unwrap())).unwrap().count();
    let (pid, limit) = (node.pid().unwrap().to_string(), format!("--nofile={}", open + 30));
    assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap().success());
    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(TcpStream::connect(&node.address).await.unwrap());
    }
    let said = || node.log_after(0).iter().filter(|line| line.contains("cannot accept connections")).count();
    eventually("the log says so", async || said() > 0).await;
    // the handshakes of these time out and others fail in their place, again and again
    eventually("the oldest connection has ended", async || {
        matches!(held[0].try_read(&mut [0; 1]), Ok(0))
            || held[0]
                .try_read(&mut [0; 1])
                .is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock)
    })
    .await;
    drop(held);
    eventually("the node serves again", async || sandbox.status(0).await.is_ok()).await;
    let lines = node.log_after(0);
    let line = lines.iter().find(|line| line.contains("cannot accept connections")).unwrap();
    assert!(line.contains("ulimit -n"), "{line}");
    assert_eq!(said(), 1, "{}", lines.join("\n"));
}

/// A prepared node, to whose section `[tls]` a line may be added before it starts.
fn prepared(lines: &str, tls: &str) -> Sandbox {
    let config = format!("{FAST_TIMING}\n{lines}\n");
    let sandbox = Sandbox::prepare(Options { nodes: 1, config, ..Options::default() });
    let mut file = fs::OpenOptions::new().append(true).open(sandbox.nodes[0].config_path()).unwrap();
    writeln!(file, "{tls}").unwrap();
    sandbox
}

async fn may_ask(channel: &Channel) -> bool {
    ClusterServiceClient::new(channel.clone()).get_cluster_status(GetClusterStatusRequest {}).await.is_ok()
}

async fn a_revoked_certificate_ends_its_connections_and_no_other_call() {
    let mut sandbox = prepared("", "revocation_list = \"revoked.pem\"");
    let list = sandbox.nodes[0].folder.join("revoked.pem");
    fs::write(&list, sandbox.authority.revocation_list(&[])).unwrap();
    sandbox.spawn_and_init().await;
    sandbox.define_catalogue().await;
    let eve = sandbox.authority.issue("eve", &["operator"], Validity::Current);
    let of_eve = sandbox.channel(0, &eve).await.unwrap();
    assert!(may_ask(&of_eve).await);
    let (rows, received) = mpsc::channel(4);
    let mut answers =
        sandbox.profiles(0).await.ingest_profiles(ReceiverStream::new(received)).await.unwrap().into_inner();
    let mut one_row = async || {
        rows.send(ingest("", vec![observation("given_name", "Ada")])).await.unwrap();
        answers.message().await.unwrap().unwrap().result.unwrap()
    };
    assert!(matches!(one_row().await, ingest_profiles_response::Result::Response(_)));
    fs::write(&list, sandbox.authority.revocation_list(&[&eve])).unwrap();
    sandbox.nodes[0].reload();
    eventually("the connection of the revoked certificate has ended", async || !may_ask(&of_eve).await).await;
    assert!(!may_ask(&of_eve).await, "and there is no other");
    assert!(matches!(one_row().await, ingest_profiles_response::Result::Response(_)), "the stream went on");
}

async fn a_new_authority_and_certificate_take_effect_without_a_restart() {
    let mut sandbox = prepared("[limits]\nstream_idle_ms = 1_000", "");
    sandbox.spawn_and_init().await;
    a_stream_on_which_nothing_comes_ends(&sandbox).await;
    let next = Authority::new();
    let node = &sandbox.nodes[0];
    let asks = async |authority: &Authority, identity: &Identity| match connect(
        &node.address,
        authority.certificate(),
        Some(identity),
    )
    .await
    {
        Ok(channel) => may_ask(&channel).await,
        Err(_) => false,
    };
    let ada = next.issue("ada", &["operator"], Validity::Current);
    assert!(!asks(&next, &ada).await);
    let both = format!("{}{}", sandbox.authority.certificate(), next.certificate());
    fs::write(sandbox.path().join("ca.crt"), both).unwrap();
    next.issue("1", &["node"], Validity::Current).write(&node.folder, "node");
    node.reload();
    eventually("the new authority is trusted, and shown", async || asks(&next, &ada).await).await;
    // an unusable file changes nothing, and the node goes on
    fs::write(sandbox.path().join("ca.crt"), "nothing").unwrap();
    node.reload();
    eventually("the log says so", async || {
        node.log_after(0).iter().any(|line| line.contains("stays in force") && line.contains("tls.ca"))
    })
    .await;
    assert!(asks(&next, &ada).await);
}

async fn a_stream_on_which_nothing_comes_ends(sandbox: &Sandbox) {
    let nothing = tokio_stream::pending::<IngestProfileRequest>();
    let mut answers = sandbox.profiles(0).await.ingest_profiles(nothing).await.unwrap().into_inner();
    let status = answers.message().await.unwrap_err();
    assert_eq!((status.code(), fault(&status).1.as_str()), (Code::Unavailable, "STREAM_IDLE"));
}

async fn a_changed_token_takes_effect_without_a_signal() {
    let mut sandbox = prepared("[tokens]\nfile = \"tokens.toml\"", "");
    let file = sandbox.nodes[0].folder.join("tokens.toml");
    // the SHA-256 of `test` and of `other`
    let (test, other) = (
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa",
    );
    let write = |hash: &str| {
        fs::write(
            &file,
            format!("[[token]]\nname = \"desk\"\nroles = [\"operator\", \"ingest\"]\nsha256 = \"{hash}\"\n"),
        )
        .unwrap();
    };
    write(test);
    sandbox.spawn_and_init().await;
    let channel = connect(&sandbox.nodes[0].address, sandbox.authority.certificate(), None).await.unwrap();
    let outcome = async |token: &str| {
        let mut request = Request::new(GetClusterStatusRequest {});
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        ClusterServiceClient::new(channel.clone())
            .get_cluster_status(request)
            .await
            .map_err(|status| status.code())
    };
    assert!(outcome("test").await.is_ok());
    let (rows, received) = mpsc::channel(4);
    let mut stream = Request::new(ReceiverStream::new(received));
    stream.metadata_mut().insert("authorization", "Bearer test".parse().unwrap());
    let mut answers =
        ProfileServiceClient::new(channel.clone()).ingest_profiles(stream).await.unwrap().into_inner();
    let mut one_row = async || {
        rows.send(ingest("", vec![observation("given_name", "Ada")])).await.unwrap();
        answers.message().await.map(drop)
    };
    assert!(one_row().await.is_ok(), "a row that is refused does not end the stream");
    write(other);
    eventually("the new token is known", async || outcome("other").await.is_ok()).await;
    assert_eq!(outcome("test").await.err(), Some(Code::Unauthenticated));
    let ended = one_row().await.unwrap_err();
    assert_eq!(ended.code(), Code::Unauthenticated);
}
