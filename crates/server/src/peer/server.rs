//! From other nodes: the server side of `custodia.internal.v1.PeerService`. Admission lets only connections through whose
//! certificate names a node of any cluster.
//!
//! Must always hold: a call is answered only to a node of this cluster. The directory must have the node, so a retired one
//! is refused. And its certificate must be valid for the address that the directory has, as the certificate of a node that
//! this one connects to: the node of the same number in another cluster of the same authority is refused.
//!
//! A node without a directory cannot tell. It belongs to no cluster yet, or it has lost its state: it takes the messages of
//! consensus, which bring it the directory and name its cluster, and no other call.

use std::sync::{Arc, atomic::Ordering};

use custodia_consensus::{Consensus, Directory, TransportError};
use custodia_proto::internal::v1::{
    DuplicateAnswer, DuplicateRequest, ForwardRequest, ForwardResponse, GetNodeFactsRequest,
    GetStateChecksumsRequest, GetStateChecksumsResponse, IdentifierAnswer, IdentifierRequest, IndexAnswer,
    IndexRequest, MergeAnswer, MergeRequest, NodeFacts, PeerFrame, RecordUsageRequest, RecordUsageResponse,
    RenewCatalogueLeaseRequest, RenewCatalogueLeaseResponse, ReplaceReplicaRequest, ReplaceReplicaResponse,
    RotationAnswer, RotationRequest,
    peer_service_server::{PeerService, PeerServiceServer},
};
use futures::{StreamExt as _, future::ready, stream::BoxStream};
use rustls::{client::verify_server_name, server::ParsedCertificate};
use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    Deadline,
    api::{answer_forwarded, own_facts},
    catalogue::record_usage,
    identity::{PeerNode, RoleSet},
    limits::PEER_MESSAGE_BYTES_MAX,
    method,
    peer::connector::host_of,
    refusal::Refusal,
    shard::{
        ShardContext, answer_duplicate_call, answer_identifier_call, answer_index_call, answer_merge_call,
        answer_rotation_call,
    },
    transport::BytesFull,
    verification,
};

/// Serves other nodes.
#[derive(Debug, Clone)]
pub(crate) struct PeerEndpoint {
    consensus: Arc<Consensus>,
    context: Arc<ShardContext>,
}

impl PeerEndpoint {
    pub(crate) fn server(consensus: Arc<Consensus>, context: Arc<ShardContext>) -> PeerServiceServer<Self> {
        PeerServiceServer::new(Self { consensus, context })
            .max_decoding_message_size(PEER_MESSAGE_BYTES_MAX)
            .max_encoding_message_size(PEER_MESSAGE_BYTES_MAX)
    }
}

/// The node that the connection's certificate names.
fn sender<T>(request: &Request<T>) -> Result<PeerNode, Status> {
    request.extensions().get::<PeerNode>().cloned().ok_or_else(|| Refusal::Unauthenticated.into())
}

/// What a node without a directory lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WithoutDirectory {
    Admit,
    Refuse,
}

/// When the other node stops waiting.
fn deadline<T>(request: &Request<T>) -> Instant {
    request.extensions().get().map_or_else(Instant::now, |Deadline(deadline)| *deadline)
}

impl PeerEndpoint {
    /// The sender, where it is a node of this cluster.
    fn member<T>(&self, request: &Request<T>, without: WithoutDirectory) -> Result<PeerNode, Status> {
        let (sender, directory) = (sender(request)?, self.consensus.directory());
        if directory.shape().is_none() && without == WithoutDirectory::Refuse {
            return Err(Refusal::DirectoryMissing.into());
        }
        if !is_admitted(&directory, &sender) {
            tracing::warn!(from = %sender.node, "call of a node refused: it is not in this cluster");
            return Err(Refusal::NotMember.into());
        }
        Ok(sender)
    }
}

/// Whether the sender is a node of this cluster, as far as a node can tell.
fn is_admitted(directory: &Directory, sender: &PeerNode) -> bool {
    directory.shape().is_none() || is_member(directory, sender)
}

/// Whether the directory has the node at an address for which its certificate is valid. Looks again only when the directory's
/// nodes have changed.
fn is_member(directory: &Directory, sender: &PeerNode) -> bool {
    let version = directory.map_version();
    if version != 0 && sender.member_as_of.load(Ordering::Relaxed) == version {
        return true;
    }
    let host = directory.node(sender.node).and_then(|peer| host_of(&peer.address));
    let certificate = ParsedCertificate::try_from(&*sender.certificate);
    let is_member = host
        .zip(certificate.ok())
        .is_some_and(|(host, certificate)| verify_server_name(&certificate, &host).is_ok());
    if is_member {
        sender.member_as_of.store(version, Ordering::Relaxed);
    }
    is_member
}

#[tonic::async_trait]
impl PeerService for PeerEndpoint {
    async fn call(&self, request: Request<PeerFrame>) -> Result<Response<PeerFrame>, Status> {
        let from = self.member(&request, WithoutDirectory::Admit)?.node;
        let body = self.consensus.handle_call(from, request.into_inner().body).await;
        Ok(Response::new(PeerFrame { body }))
    }

    type ExchangeStream = BoxStream<'static, Result<PeerFrame, Status>>;

    async fn exchange(
        &self,
        request: Request<Streaming<PeerFrame>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let sender = self.member(&request, WithoutDirectory::Admit)?;
        let (from, consensus) = (sender.node, Arc::clone(&self.consensus));
        let input = request
            .into_inner()
            .take_while(move |_frame| ready(is_admitted(&consensus.directory(), &sender)));
        let input = input.map(|frame| match frame {
            Ok(frame) => Ok(frame.body),
            Err(status) => Err(TransportError::Unreachable { reason: status.message().to_owned() }),
        });
        let answers = self.consensus.handle_exchange(from, input.boxed()).await;
        Ok(Response::new(answers.map(|body| Ok(PeerFrame { body })).boxed()))
    }

    async fn forward(&self, request: Request<ForwardRequest>) -> Result<Response<ForwardResponse>, Status> {
        let from = self.member(&request, WithoutDirectory::Refuse)?.node;
        let full = request.extensions().get::<BytesFull>().copied();
        let request = request.into_inner();
        // The forwarding node has checked the same; a node that does not is not let through.
        let roles: RoleSet = request.roles.iter().filter_map(|role| role.parse().ok()).collect();
        if !method::may_forward(&request.method, roles) {
            tracing::warn!(%from, "forwarded call refused: its caller lacks the role");
            return Err(Refusal::NotAllowed { allowed: RoleSet::NONE }.into());
        }
        if let Some(BytesFull(full)) = full.filter(|_| method::is_read(&request.method)) {
            return Err(full.into());
        }
        Ok(Response::new(answer_forwarded(&self.context, roles, request).await))
    }

    async fn renew_catalogue_lease(
        &self,
        request: Request<RenewCatalogueLeaseRequest>,
    ) -> Result<Response<RenewCatalogueLeaseResponse>, Status> {
        let from = self.member(&request, WithoutDirectory::Refuse)?.node;
        let applied = request.get_ref().version;
        let granted = self.context.catalogue().grant_lease(from, applied, deadline(&request)).await;
        let (version, length) = granted?;
        let lease_ms = u32::try_from(length.as_millis()).unwrap_or(u32::MAX);
        Ok(Response::new(RenewCatalogueLeaseResponse { version, lease_ms }))
    }

    async fn record_usage(
        &self,
        request: Request<RecordUsageRequest>,
    ) -> Result<Response<RecordUsageResponse>, Status> {
        self.member(&request, WithoutDirectory::Refuse)?;
        record_usage(self.context.routing(), request.get_ref(), deadline(&request)).await?;
        Ok(Response::new(RecordUsageResponse {}))
    }

    async fn get_state_checksums(
        &self,
        request: Request<GetStateChecksumsRequest>,
    ) -> Result<Response<GetStateChecksumsResponse>, Status> {
        self.member(&request, WithoutDirectory::Refuse)?;
        let answer =
            verification::own_checksums(&self.context, request.get_ref(), deadline(&request)).await?;
        Ok(Response::new(answer))
    }

    async fn replace_replica(
        &self,
        request: Request<ReplaceReplicaRequest>,
    ) -> Result<Response<ReplaceReplicaResponse>, Status> {
        let from = self.member(&request, WithoutDirectory::Refuse)?.node;
        verification::replace_own(&self.context, from, request.get_ref())?;
        Ok(Response::new(ReplaceReplicaResponse {}))
    }

    async fn call_index(&self, request: Request<IndexRequest>) -> Result<Response<IndexAnswer>, Status> {
        self.member(&request, WithoutDirectory::Refuse)?;
        let answer = answer_index_call(&self.context, request.get_ref(), deadline(&request)).await?;
        Ok(Response::new(answer))
    }

    async fn call_merge(&self, request: Request<MergeRequest>) -> Result<Response<MergeAnswer>, Status> {
        self.member(&request, WithoutDirectory::Refuse)?;
        let answer = answer_merge_call(&self.context, request.get_ref(), deadline(&request)).await?;
        Ok(Response::new(answer))
    }

    async fn call_duplicates(
        &self,
        request: Request<DuplicateRequest>,
    ) -> Result<Response<DuplicateAnswer>, Status> {
        self.member(&request, WithoutDirectory::Refuse)?;
        let answer = answer_duplicate_call(&self.context, request.get_ref(), deadline(&request)).await?;
        Ok(Response::new(answer))
    }

    async fn call_identifiers(
        &self,
        request: Request<IdentifierRequest>,
    ) -> Result<Response<IdentifierAnswer>, Status> {
        self.member(&request, WithoutDirectory::Refuse)?;
        let answer = answer_identifier_call(&self.context, request.get_ref(), deadline(&request)).await?;
        Ok(Response::new(answer))
    }

    async fn call_rotation(
        &self,
        request: Request<RotationRequest>,
    ) -> Result<Response<RotationAnswer>, Status> {
        self.member(&request, WithoutDirectory::Refuse)?;
        let answer = answer_rotation_call(&self.context, request.get_ref(), deadline(&request)).await?;
        Ok(Response::new(answer))
    }

    async fn get_node_facts(
        &self,
        request: Request<GetNodeFactsRequest>,
    ) -> Result<Response<NodeFacts>, Status> {
        self.member(&request, WithoutDirectory::Refuse)?;
        Ok(Response::new(own_facts(&self.context)))
    }
}
