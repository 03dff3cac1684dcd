//! Who is let in: certificates, roles, TLS versions (SE-1, SE-2, OP-4).
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on says why and stops"
)]

use std::process::ExitCode;
use std::time::Duration;

use custodia_proto::internal::v1::peer_service_client::PeerServiceClient;
use custodia_proto::internal::v1::{
    ForwardRequest, GetNodeFactsRequest, GetStateChecksumsRequest, PeerFrame, RecordUsageRequest,
    RenewCatalogueLeaseRequest, ReplaceReplicaRequest,
};
use custodia_proto::v1::profile_service_client::ProfileServiceClient;
use custodia_proto::v1::{
    GetClusterStatusRequest, Recipient, cluster_service_client::ClusterServiceClient,
    ingest_profiles_response,
};
use custodia_tests::actions::{create_recipient, stored_customer};
use custodia_tests::sample::{fault, get, ingest, observation};
use custodia_tests::{Authority, Identity, Options, Sandbox, Suite, Validity, connect};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::AsciiMetadataKey;
use tonic::{Code, Request, Status};

fn main() -> ExitCode {
    Suite::sharing(Options { nodes: 1, ..Options::default() })
        .shared(only_a_current_certificate_of_the_own_authority_opens_a_connection)
        .shared(plaintext_and_silent_connections_disturb_nobody)
        .shared(only_nodes_of_this_cluster_are_answered_as_nodes)
        .shared(each_role_may_do_its_own_work_and_no_other)
        .shared(too_much_metadata_ends_its_call_alone)
        .run()
}

/// Tries a call with this identity under this authority; the code of what comes back.
async fn outcome(sandbox: &Sandbox, authority: &str, identity: Option<&Identity>) -> Code {
    let channel = match connect(&sandbox.nodes[0].address, authority, identity).await {
        Ok(channel) => channel,
        Err(status) => return status.code(),
    };
    match ClusterServiceClient::new(channel).get_cluster_status(GetClusterStatusRequest {}).await {
        Ok(_) => Code::Ok,
        Err(status) => status.code(),
    }
}

async fn only_a_current_certificate_of_the_own_authority_opens_a_connection(sandbox: &Sandbox) {
    let own = sandbox.authority.certificate().to_owned();
    let foreign = Authority::new();
    assert_eq!(outcome(sandbox, &own, Some(&sandbox.admin)).await, Code::Ok);
    let no_certificate = outcome(sandbox, &own, None).await;
    let wrong_authority =
        outcome(sandbox, &own, Some(&foreign.issue("eve", &["operator"], Validity::Current))).await;
    let expired =
        outcome(sandbox, &own, Some(&sandbox.authority.issue("old", &["operator"], Validity::Expired))).await;
    let distrustful = outcome(sandbox, foreign.certificate(), Some(&sandbox.admin)).await;
    for (what, code) in [
        ("no certificate", no_certificate),
        ("wrong authority", wrong_authority),
        ("expired", expired),
        ("client trusts another authority", distrustful),
    ] {
        // in TLS 1.3 a client may learn only with its first call that its certificate was refused
        let refused = [Code::Unavailable, Code::Unknown, Code::Unauthenticated, Code::Cancelled];
        assert!(refused.contains(&code), "{what}: {code:?}");
    }
    let no_role =
        outcome(sandbox, &own, Some(&sandbox.authority.issue("nobody", &[], Validity::Current))).await;
    assert!(matches!(no_role, Code::PermissionDenied | Code::Unauthenticated), "{no_role:?}");
    assert_eq!(outcome(sandbox, &own, Some(&sandbox.admin)).await, Code::Ok);
}

async fn plaintext_and_silent_connections_disturb_nobody(sandbox: &Sandbox) {
    let address = sandbox.nodes[0].address.clone();
    // connections that say nothing are held open while others are served
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(tokio::net::TcpStream::connect(&address).await.unwrap());
    }
    let mut plain = tokio::net::TcpStream::connect(&address).await.unwrap();
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), plain.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "a plaintext connection is closed");
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"));
    let authority = sandbox.authority.certificate().to_owned();
    assert_eq!(outcome(sandbox, &authority, Some(&sandbox.admin)).await, Code::Ok);
}

/// A retired node and a node of another cluster may have certificates of the same authority, and this node's number.
async fn only_nodes_of_this_cluster_are_answered_as_nodes(sandbox: &Sandbox) {
    let issue =
        |hosts: &[&str], name: &str| sandbox.authority.issue_for(hosts, name, &["node"], Validity::Current);
    // no such group: with index 0 of a real one, the checksums would be waited for until the deadline
    let group = u32::MAX;
    let calls = async |identity: &Identity| {
        let mut peer = PeerServiceClient::new(sandbox.channel(0, identity).await.unwrap());
        let exchange = peer.exchange(tokio_stream::iter([PeerFrame::default()])).await;
        [
            peer.call(PeerFrame::default()).await.err(),
            exchange.err(),
            peer.forward(ForwardRequest::default()).await.err(),
            peer.renew_catalogue_lease(RenewCatalogueLeaseRequest::default()).await.err(),
            peer.record_usage(RecordUsageRequest::default()).await.err(),
            peer.get_state_checksums(GetStateChecksumsRequest { group, index: 0 }).await.err(),
            peer.replace_replica(ReplaceReplicaRequest { group, index: 0 }).await.err(),
            peer.get_node_facts(GetNodeFactsRequest {}).await.err(),
        ]
    };
    let reason_of = |status: Status| fault(&status).1;
    let loopback = ["localhost", "127.0.0.1"];
    for (what, stranger) in [
        ("not in the directory", issue(&loopback, "9")),
        ("the same number elsewhere", issue(&["node-1.other.example"], "1")),
    ] {
        for (at, refused) in calls(&stranger).await.into_iter().enumerate() {
            let reason = refused.map(reason_of);
            assert_eq!(reason.as_deref(), Some("NODE_NOT_MEMBER"), "{what}, call {at}");
        }
    }
    for (at, refused) in calls(&issue(&loopback, "1")).await.into_iter().enumerate() {
        assert_ne!(refused.map(reason_of).as_deref(), Some("NODE_NOT_MEMBER"), "call {at}");
    }
}

/// HTTP 431 is no answer to a gRPC call, and the end of the connection is one to all its calls.
async fn too_much_metadata_ends_its_call_alone(sandbox: &Sandbox) {
    let channel = sandbox.channel(0, &sandbox.admin).await.unwrap();
    let (rows, received) = tokio::sync::mpsc::channel(4);
    let mut profiles = ProfileServiceClient::new(channel.clone());
    let mut answers = profiles.ingest_profiles(ReceiverStream::new(received)).await.unwrap().into_inner();
    let status = async |metadata: &[(String, usize)]| {
        let mut request = Request::new(GetClusterStatusRequest {});
        for (name, bytes) in metadata {
            let name = AsciiMetadataKey::from_bytes(name.as_bytes()).unwrap();
            request.metadata_mut().insert(name, "x".repeat(*bytes).parse().unwrap());
        }
        ClusterServiceClient::new(channel.clone()).get_cluster_status(request).await
    };
    let one = |bytes: usize| vec![("x-large".to_owned(), bytes)];
    let many = (0..2_000).map(|number| (format!("x-{number}"), 100)).collect();
    for metadata in [one(17 << 10), one(200 << 10), one(900 << 10), many] {
        let refused = status(&metadata).await.unwrap_err();
        assert_eq!(fault(&refused), (Code::ResourceExhausted, "LIMIT_EXCEEDED".to_owned(), String::new()));
        assert!(refused.message().contains("metadata") && refused.message().contains("16384"), "{refused}");
        rows.send(ingest("", vec![observation("given_name", "Ada")])).await.unwrap();
        let answer = answers.message().await.unwrap().unwrap().result.unwrap();
        assert!(matches!(answer, ingest_profiles_response::Result::Response(_)), "the neighbour goes on");
    }
    assert!(status(&one(8 << 10)).await.is_ok());
}

async fn each_role_may_do_its_own_work_and_no_other(sandbox: &Sandbox) {
    let customer = stored_customer(sandbox, &[("given_name", "Ada")]).await;
    // role, may ingest, may read a profile, may see the cluster's status
    let table = [
        ("agent", true, true, false),
        ("ingest", true, true, false),
        ("privacy", false, true, false),
        ("operator", false, false, true),
        ("node", false, false, false),
    ];
    for (role, may_ingest, may_read, may_operate) in table {
        let name = format!("one-{role}");
        let recipient = Recipient {
            id: name.clone(),
            purposes: vec!["service".into()],
            collection_purposes: vec!["service".into()],
            ..Default::default()
        };
        create_recipient(sandbox, 0, recipient).await;
        let identity = sandbox.authority.issue(&name, &[role], Validity::Current);
        let channel = sandbox.channel(0, &identity).await.unwrap();
        let mut profiles = ProfileServiceClient::new(channel.clone());
        let ingested =
            profiles.ingest_profile(ingest(&customer, vec![observation("given_name", "Ada")])).await;
        let read = profiles.get_profile(get(&customer, "service")).await;
        let status = ClusterServiceClient::new(channel).get_cluster_status(GetClusterStatusRequest {}).await;
        for (call, allowed, code) in [
            ("ingest", may_ingest, ingested.err().map(|status| status.code())),
            ("read", may_read, read.err().map(|status| status.code())),
            ("status", may_operate, status.err().map(|status| status.code())),
        ] {
            let expected = if allowed { None } else { Some(Code::PermissionDenied) };
            assert_eq!(code, expected, "{role} {call}");
        }
    }
}
