//! From other nodes: the server side of `custodia.internal.v1.PeerService`. Admission lets only connections through whose
//! certificate names a node, so a call in a node's name comes from that node.

use std::sync::Arc;

use custodia_consensus::{Consensus, TransportError};
use custodia_proto::internal::v1::{
    ForwardRequest, ForwardResponse, PeerFrame,
    peer_service_server::{PeerService, PeerServiceServer},
};
use futures::{StreamExt as _, stream::BoxStream};
use tonic::{Request, Response, Status, Streaming};

use crate::{
    authorisation,
    identity::{PeerNode, RoleSet},
    limits::PEER_MESSAGE_BYTES_MAX,
    refusal::Refusal,
    service::{Room, is_internal},
};

/// Serves other nodes.
#[derive(Debug, Clone)]
pub(crate) struct PeerEndpoint {
    consensus: Arc<Consensus>,
    context: Arc<Room>,
}

impl PeerEndpoint {
    pub(crate) fn server(consensus: Arc<Consensus>, context: Arc<Room>) -> PeerServiceServer<Self> {
        PeerServiceServer::new(Self { consensus, context })
            .max_decoding_message_size(PEER_MESSAGE_BYTES_MAX)
            .max_encoding_message_size(PEER_MESSAGE_BYTES_MAX)
    }
}

/// The node that the connection's certificate names.
fn sender<T>(request: &Request<T>) -> Result<PeerNode, Status> {
    request.extensions().get::<PeerNode>().copied().ok_or_else(|| Refusal::Unauthenticated.status())
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
        let PeerNode(from) = sender(&request)?;
        let request = request.into_inner();
        // a certificate of the same authority does not by itself make a node of this cluster
        if self.consensus.directory().node(from).is_none() {
            tracing::warn!(%from, "forwarded call refused: the node is not in this cluster");
            return Err(Refusal::NotAllowed { allowed: RoleSet::NONE }.status());
        }
        // the forwarding node has checked this too, but is not trusted to
        let roles: RoleSet = request.roles.iter().filter_map(|role| role.parse().ok()).collect();
        if !(is_internal(&request.method) || authorisation::may_forward(&request.method, roles)) {
            tracing::warn!(%from, "forwarded call refused: the caller's roles do not allow it");
            return Err(Refusal::NotAllowed { allowed: RoleSet::NONE }.status());
        }
        Ok(Response::new(self.context.forwarded(request).await))
    }
}
