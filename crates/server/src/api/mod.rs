//! The public API: a folder for each service; in it a file for each RPC or small family, with its parsing and conversion.
//!
//! ```text
//! generated service traits ─▶ handler.rs: the caller, the node ─▶ shard::read / shard::write ─▶ the handler
//! PeerService.Forward      ─▶ dispatch.rs ─▶ the same
//! ```
//!
//! **Architecture Invariant:** nothing here knows Raft, encryption or files. Nothing here decides what is permitted:
//! `custodia-profile` does. No call is forwarded twice, and nothing here retries over the network.

mod catalog;
mod cluster;
mod consent;
mod dispatch;
mod handler;
mod preference;
mod profile;

use std::sync::Arc;

use custodia_proto::v1;
use futures::stream::BoxStream;
use tonic::{Request, Response, Status, Streaming};

pub(crate) use cluster::own_facts;
pub(crate) use dispatch::answer_forwarded;

use crate::{method::ServiceId, shard::ShardContext, transport::Router};

/// The public API of a node.
#[derive(Debug, Clone)]
struct Api {
    context: Arc<ShardContext>,
}

/// Adds the services of the public API to a router.
pub(crate) fn routes(router: Router, context: &Arc<ShardContext>) -> Router {
    let api = Api { context: Arc::clone(context) };
    let (request, response) = (context.limits().message_bytes_max, context.limits().response_bytes_max);
    macro_rules! sized {
        ($module:ident::$server:ident) => {
            v1::$module::$server::new(api.clone())
                .max_decoding_message_size(request)
                .max_encoding_message_size(response)
        };
    }
    router
        .with(ServiceId::Profile, sized!(profile_service_server::ProfileServiceServer))
        .with(ServiceId::Consent, sized!(consent_service_server::ConsentServiceServer))
        .with(ServiceId::Preference, sized!(preference_service_server::PreferenceServiceServer))
        .with(ServiceId::Catalog, sized!(catalog_service_server::CatalogServiceServer))
        .with(ServiceId::Cluster, sized!(cluster_service_server::ClusterServiceServer))
}

/// Implements the generated service traits. A unary method is answered through the trait of `handler.rs` that its options
/// select, a stream by the function with its name.
macro_rules! serve {
    ($service:ident $module:ident {
        $(unary $method:ident($request:ident) -> $answer:ident as $handler:ident;
        $(stream $stream:ident($item:ident) -> $row:ident as $answers:ident;)?)*
    }) => {
        #[tonic::async_trait]
        impl v1::$module::$service for Api {
            $(
                async fn $method(
                    &self,
                    request: Request<v1::$request>,
                ) -> Result<Response<v1::$answer>, Status> {
                    handler::$handler(&self.context, request).await
                }

                $(
                    type $answers = BoxStream<'static, Result<v1::$row, Status>>;

                    async fn $stream(
                        &self,
                        request: Request<Streaming<v1::$item>>,
                    ) -> Result<Response<Self::$answers>, Status> {
                        handler::$stream(&self.context, request)
                    }
                )?
            )*
        }
    };
}

custodia_proto::services!(serve);
