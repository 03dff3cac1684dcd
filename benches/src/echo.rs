//! The bare tonic TLS echo. It shows what the wire alone costs, with the same kind of certificates and transport.

use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;

use custodia_proto::internal::v1::peer_service_client::PeerServiceClient;
use custodia_proto::internal::v1::peer_service_server::{PeerService, PeerServiceServer};
use custodia_proto::internal::v1::{
    DuplicateAnswer, DuplicateRequest, ForwardRequest, ForwardResponse, GetNodeFactsRequest,
    GetStateChecksumsRequest, GetStateChecksumsResponse, IdentifierAnswer, IdentifierRequest, IndexAnswer,
    IndexRequest, MergeAnswer, MergeRequest, NodeFacts, PeerFrame, RecordUsageRequest, RecordUsageResponse,
    RenewCatalogueLeaseRequest, RenewCatalogueLeaseResponse, ReplaceReplicaRequest, ReplaceReplicaResponse,
    RotationAnswer, RotationRequest,
};

use custodia_tests::{Sandbox, Validity, connect, free_port};
use tonic::transport::{Certificate, Channel, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use crate::process::Background;

/// Size of each reply in bytes.
pub(crate) const REPLY_BYTES: usize = 1_024;

#[derive(Debug)]
struct Echo {
    reply: PeerFrame,
}

#[tonic::async_trait]
impl PeerService for Echo {
    async fn call(&self, _: Request<PeerFrame>) -> Result<Response<PeerFrame>, Status> {
        Ok(Response::new(self.reply.clone()))
    }

    type ExchangeStream = Pin<Box<dyn tokio_stream::Stream<Item = Result<PeerFrame, Status>> + Send>>;

    async fn exchange(
        &self,
        _: Request<Streaming<PeerFrame>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        Err(calls_only())
    }

    async fn forward(&self, _: Request<ForwardRequest>) -> Result<Response<ForwardResponse>, Status> {
        Err(calls_only())
    }

    async fn renew_catalogue_lease(
        &self,
        _: Request<RenewCatalogueLeaseRequest>,
    ) -> Result<Response<RenewCatalogueLeaseResponse>, Status> {
        Err(calls_only())
    }

    async fn record_usage(
        &self,
        _: Request<RecordUsageRequest>,
    ) -> Result<Response<RecordUsageResponse>, Status> {
        Err(calls_only())
    }

    async fn get_state_checksums(
        &self,
        _: Request<GetStateChecksumsRequest>,
    ) -> Result<Response<GetStateChecksumsResponse>, Status> {
        Err(calls_only())
    }

    async fn replace_replica(
        &self,
        _: Request<ReplaceReplicaRequest>,
    ) -> Result<Response<ReplaceReplicaResponse>, Status> {
        Err(calls_only())
    }

    async fn call_index(&self, _: Request<IndexRequest>) -> Result<Response<IndexAnswer>, Status> {
        Err(calls_only())
    }

    async fn call_merge(&self, _: Request<MergeRequest>) -> Result<Response<MergeAnswer>, Status> {
        Err(calls_only())
    }

    async fn call_duplicates(
        &self,
        _: Request<DuplicateRequest>,
    ) -> Result<Response<DuplicateAnswer>, Status> {
        Err(calls_only())
    }

    async fn call_identifiers(
        &self,
        _: Request<IdentifierRequest>,
    ) -> Result<Response<IdentifierAnswer>, Status> {
        Err(calls_only())
    }

    async fn call_rotation(&self, _: Request<RotationRequest>) -> Result<Response<RotationAnswer>, Status> {
        Err(calls_only())
    }

    async fn get_node_facts(&self, _: Request<GetNodeFactsRequest>) -> Result<Response<NodeFacts>, Status> {
        Err(calls_only())
    }
}

fn calls_only() -> Status {
    Status::unimplemented("the echo answers Call only")
}

/// Serves until the process is killed.
pub(crate) async fn serve(folder: &Path, address: SocketAddr) {
    let read = |name: &str| std::fs::read(folder.join(name)).expect("a certificate file");
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(read("echo.crt"), read("echo.key")))
        .client_ca_root(Certificate::from_pem(read("ca.crt")));
    let reply = PeerFrame { body: vec![7_u8; REPLY_BYTES].into() };
    Server::builder()
        .tls_config(tls)
        .expect("a TLS configuration")
        .add_service(PeerServiceServer::new(Echo { reply }))
        .serve(address)
        .await
        .expect("the echo can serve");
}

/// Echo processes, and as many connections to them as a client has to the cluster.
#[derive(Debug)]
pub(crate) struct Echoes {
    processes: Vec<Background>,
    channels: Vec<Channel>,
}

impl Echoes {
    /// Starts them with a certificate from the sandbox's authority. The connections are spread over the processes.
    pub(crate) async fn start(sandbox: &Sandbox, processes: usize, connections: usize) -> Self {
        let identity = sandbox.authority.issue("echo", &["agent"], Validity::Current);
        identity.write(&sandbox.path(), "echo");
        let folder = sandbox.path().display().to_string();
        let addresses: Vec<String> = (0..processes).map(|_| format!("127.0.0.1:{}", free_port())).collect();
        let processes = addresses
            .iter()
            .map(|address| Background::start_self(&["echo-server", &folder, address]))
            .collect();
        let mut channels = Vec::new();
        while channels.len() < connections {
            let address = &addresses[channels.len() % addresses.len()];
            match connect(address, sandbox.authority.certificate(), Some(&sandbox.admin)).await {
                Ok(channel) => channels.push(channel),
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            }
        }
        Self { processes, channels }
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(Background::pid).collect()
    }

    /// A client on one of the connections.
    pub(crate) fn client(&self, caller: usize) -> PeerServiceClient<Channel> {
        PeerServiceClient::new(self.channels[caller % self.channels.len()].clone())
    }
}
