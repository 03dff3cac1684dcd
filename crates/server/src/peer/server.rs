//! From other nodes: the server side of `custodia.internal.v1.PeerService`. Admission lets only connections through whose
//! certificate names a node, so a call in a node's name comes from that node.

use std::sync::Arc;

use custodia_consensus::{Consensus, TransportError};
use custodia_proto::internal::v1::{
    ForwardRequest, ForwardResponse, GetNodeFactsRequest, NodeFacts, PeerFrame, RecordUsageRequest,
    RecordUsageResponse, RenewCatalogueLeaseRequest, RenewCatalogueLeaseResponse,
    peer_service_server::{PeerService, PeerServiceServer},
};
use futures::{StreamExt as _, stream::BoxStream};
use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    Deadline, NodeId,
    api::{answer_forwarded, own_facts},
    catalogue::record_usage,
    identity::{PeerNode, RoleSet},
    limits::PEER_MESSAGE_BYTES_MAX,
    method,
    refusal::Refusal,
    shard::ShardContext,
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
    request.extensions().get::<PeerNode>().copied().ok_or_else(|| Refusal::Unauthenticated.into())
}

/// When the other node stops waiting.
fn deadline<T>(request: &Request<T>) -> Instant {
    request.extensions().get().map_or_else(Instant::now, |Deadline(deadline)| *deadline)
}

impl PeerEndpoint {
    /// The sender, where it is a node of this cluster: a certificate of the same authority alone does not make it one.
    fn member<T>(&self, request: &Request<T>) -> Result<NodeId, Status> {
        let PeerNode(from) = sender(request)?;
        if self.consensus.directory().node(from).is_none() {
            tracing::warn!(%from, "call of a node refused: it is not in this cluster");
            return Err(Refusal::NotAllowed { allowed: RoleSet::NONE }.into());
        }
        Ok(from)
    }
}

#[tonic::async_trait]
impl PeerService for PeerEndpoint {
    async fn call(&self, request: Request<PeerFrame>) -> Result<Response<PeerFrame>, Status> {
        let PeerNode(from) = sender(&request)?;
        let body = self.consensus.handle_call(from, request.into_inner().body).await;
        Ok(Response::new(PeerFrame { body }))
    }

    type ExchangeStream = BoxStream<'static, Result<PeerFrame, Status>>;

    async fn exchange(
        &self,
        request: Request<Streaming<PeerFrame>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let PeerNode(from) = sender(&request)?;
        let input = request.into_inner().map(|frame| match frame {
            Ok(frame) => Ok(frame.body),
            Err(status) => Err(TransportError::Unreachable { reason: status.message().to_owned() }),
        });
        let answers = self.consensus.handle_exchange(from, input.boxed()).await;
        Ok(Response::new(answers.map(|body| Ok(PeerFrame { body })).boxed()))
    }

    async fn forward(&self, request: Request<ForwardRequest>) -> Result<Response<ForwardResponse>, Status> {
        let from = self.member(&request)?;
        let request = request.into_inner();
        // The forwarding node has checked the same; a node that does not is not let through.
        let roles: RoleSet = request.roles.iter().filter_map(|role| role.parse().ok()).collect();
        if !method::may_forward(&request.method, roles) {
            tracing::warn!(%from, "forwarded call refused: its caller lacks the role");
            return Err(Refusal::NotAllowed { allowed: RoleSet::NONE }.into());
        }
        Ok(Response::new(answer_forwarded(&self.context, roles, request).await))
    }

    async fn renew_catalogue_lease(
        &self,
        request: Request<RenewCatalogueLeaseRequest>,
    ) -> Result<Response<RenewCatalogueLeaseResponse>, Status> {
        let from = self.member(&request)?;
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
        self.member(&request)?;
        record_usage(self.context.routing(), request.get_ref(), deadline(&request)).await?;
        Ok(Response::new(RecordUsageResponse {}))
    }

    async fn get_node_facts(
        &self,
        request: Request<GetNodeFactsRequest>,
    ) -> Result<Response<NodeFacts>, Status> {
        self.member(&request)?;
        Ok(Response::new(own_facts(&self.context)))
    }
}
