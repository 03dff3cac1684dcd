//! The profile service.

use std::sync::Arc;

use custodia_proto::v1::{self, profile_service_server::ProfileService};
use futures::stream::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Api, circumstances};
use crate::service::{batch, stream};

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
