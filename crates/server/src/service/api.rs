//! The generated service traits: who calls and until when comes from the request's extensions, where admission put
//! it; everything else happens in the functions called here.

use std::sync::Arc;

use custodia_proto::v1::{
    self,
    catalog_service_server::{CatalogService, CatalogServiceServer},
    cluster_service_server::{ClusterService, ClusterServiceServer},
    consent_service_server::{ConsentService, ConsentServiceServer},
    profile_service_server::{ProfileService, ProfileServiceServer},
};
use futures::stream::BoxStream;
use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming};

use super::{
    batch, cluster, definitions,
    error::ServiceError,
    forward::{Call, answer},
    room::Room,
    stream, turning,
};
use crate::{Deadline, authorisation::ServiceId, identity::Caller, router::Router};

/// The public API of a node.
#[derive(Debug, Clone)]
struct Api {
    room: Arc<Room>,
}

/// The router with the services of the public API.
pub(crate) fn routes(router: Router, room: &Arc<Room>) -> Router {
    let api = Api { room: Arc::clone(room) };
    let (request, response) = (room.limits().message_bytes_max, room.limits().response_bytes_max);
    macro_rules! sized {
        ($server:ident) => {
            $server::new(api.clone()).max_decoding_message_size(request).max_encoding_message_size(response)
        };
    }
    router
        .with(ServiceId::Profile, sized!(ProfileServiceServer))
        .with(ServiceId::Consent, sized!(ConsentServiceServer))
        .with(ServiceId::Catalog, sized!(CatalogServiceServer))
        .with(ServiceId::Cluster, sized!(ClusterServiceServer))
}

/// Who calls, and until when.
fn circumstances<T>(request: &Request<T>) -> Result<(Caller, Instant), ServiceError> {
    let extensions = request.extensions();
    let (caller, deadline) = (extensions.get::<Caller>(), extensions.get::<Deadline>());
    let missing = ServiceError::Internal { context: "a call that admission did not see" };
    let (caller, Deadline(deadline)) = caller.zip(deadline).ok_or(missing)?;
    Ok((caller.clone(), *deadline))
}

impl Api {
    async fn call<C: Call>(&self, request: Request<C>) -> Result<Response<C::Answer>, Status> {
        let (caller, deadline) = circumstances(&request)?;
        Ok(answer(&self.room, &caller, request.into_inner(), deadline).await?)
    }

    async fn define<C: Call>(&self, request: Request<C>) -> Result<Response<C::Answer>, Status> {
        let (caller, deadline) = circumstances(&request)?;
        Ok(definitions::define(&self.room, &caller, request.into_inner(), deadline).await?)
    }
}

#[tonic::async_trait]
impl ProfileService for Api {
    async fn ingest_profile(
        &self,
        request: Request<v1::IngestProfileRequest>,
    ) -> Result<Response<v1::IngestProfileResponse>, Status> {
        self.call(request).await
    }

    type IngestProfilesStream = BoxStream<'static, Result<v1::IngestProfilesResponse, Status>>;

    async fn ingest_profiles(
        &self,
        request: Request<Streaming<v1::IngestProfileRequest>>,
    ) -> Result<Response<Self::IngestProfilesStream>, Status> {
        let (caller, deadline) = circumstances(&request)?;
        Ok(Response::new(stream::ingest_profiles(
            Arc::clone(&self.room),
            caller,
            request.into_inner(),
            deadline,
        )))
    }

    async fn get_profile(
        &self,
        request: Request<v1::GetProfileRequest>,
    ) -> Result<Response<v1::Profile>, Status> {
        self.call(request).await
    }

    async fn batch_get_profiles(
        &self,
        request: Request<v1::BatchGetProfilesRequest>,
    ) -> Result<Response<v1::BatchGetProfilesResponse>, Status> {
        let (caller, deadline) = circumstances(&request)?;
        Ok(Response::new(batch::batch_get(&self.room, &caller, request.into_inner(), deadline).await?))
    }

    async fn append_events(
        &self,
        request: Request<v1::AppendEventsRequest>,
    ) -> Result<Response<v1::AppendEventsResponse>, Status> {
        self.call(request).await
    }

    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        self.call(request).await
    }
}

#[tonic::async_trait]
impl ConsentService for Api {
    async fn record_consent(
        &self,
        request: Request<v1::RecordConsentRequest>,
    ) -> Result<Response<v1::ConsentState>, Status> {
        self.call(request).await
    }

    async fn withdraw_consent(
        &self,
        request: Request<v1::WithdrawConsentRequest>,
    ) -> Result<Response<v1::ConsentState>, Status> {
        self.call(request).await
    }

    async fn get_consents(
        &self,
        request: Request<v1::GetConsentsRequest>,
    ) -> Result<Response<v1::GetConsentsResponse>, Status> {
        self.call(request).await
    }
}

#[tonic::async_trait]
impl CatalogService for Api {
    async fn create_purpose(
        &self,
        request: Request<v1::CreatePurposeRequest>,
    ) -> Result<Response<v1::Purpose>, Status> {
        self.define(request).await
    }

    async fn update_purpose(
        &self,
        request: Request<v1::UpdatePurposeRequest>,
    ) -> Result<Response<v1::Purpose>, Status> {
        self.define(request).await
    }

    async fn get_purpose(
        &self,
        request: Request<v1::GetPurposeRequest>,
    ) -> Result<Response<v1::Purpose>, Status> {
        let (_, deadline) = circumstances(&request)?;
        Ok(Response::new(definitions::get_purpose(&self.room, &request.into_inner(), deadline).await?))
    }

    async fn list_purposes(
        &self,
        request: Request<v1::ListPurposesRequest>,
    ) -> Result<Response<v1::ListPurposesResponse>, Status> {
        Ok(Response::new(definitions::list_purposes(&self.room, &request.into_inner())?))
    }

    async fn create_attribute(
        &self,
        request: Request<v1::CreateAttributeRequest>,
    ) -> Result<Response<v1::AttributeDefinition>, Status> {
        self.define(request).await
    }

    async fn update_attribute(
        &self,
        request: Request<v1::UpdateAttributeRequest>,
    ) -> Result<Response<v1::AttributeDefinition>, Status> {
        self.define(request).await
    }

    async fn get_attribute(
        &self,
        request: Request<v1::GetAttributeRequest>,
    ) -> Result<Response<v1::AttributeDefinition>, Status> {
        let (_, deadline) = circumstances(&request)?;
        Ok(Response::new(definitions::get_attribute(&self.room, &request.into_inner(), deadline).await?))
    }

    async fn list_attributes(
        &self,
        request: Request<v1::ListAttributesRequest>,
    ) -> Result<Response<v1::ListAttributesResponse>, Status> {
        Ok(Response::new(definitions::list_attributes(&self.room, &request.into_inner())?))
    }
}

#[tonic::async_trait]
impl ClusterService for Api {
    async fn init_cluster(
        &self,
        request: Request<v1::InitClusterRequest>,
    ) -> Result<Response<v1::ClusterStatus>, Status> {
        let (_, deadline) = circumstances(&request)?;
        Ok(Response::new(cluster::init_cluster(&self.room, request.into_inner(), deadline).await?))
    }

    async fn get_cluster_status(
        &self,
        request: Request<v1::GetClusterStatusRequest>,
    ) -> Result<Response<v1::ClusterStatus>, Status> {
        let (_, deadline) = circumstances(&request)?;
        Ok(Response::new(cluster::cluster_status(&self.room, deadline).await))
    }

    async fn list_shards(
        &self,
        request: Request<v1::ListShardsRequest>,
    ) -> Result<Response<v1::ListShardsResponse>, Status> {
        Ok(Response::new(cluster::list_shards(&self.room, &request.into_inner())?))
    }

    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        let (_, deadline) = circumstances(&request)?;
        Ok(Response::new(v1::ListNodesResponse { nodes: cluster::nodes(&self.room, deadline).await }))
    }

    async fn turn_keys(
        &self,
        request: Request<v1::TurnKeysRequest>,
    ) -> Result<Response<v1::TurnKeysResponse>, Status> {
        let (caller, deadline) = circumstances(&request)?;
        Ok(Response::new(turning::turn_keys(&self.room, &caller, request.into_inner(), deadline).await?))
    }
}
