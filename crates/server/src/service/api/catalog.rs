//! The catalogue service: definitions are written on the directory's leader and read on every node.

use custodia_profile::{AttributeDefinition, Jurisdiction, Purpose, Recipient};
use custodia_proto::v1::{self, catalog_service_server::CatalogService};
use tonic::{Request, Response, Status};

use super::{Api, circumstances};
use crate::service::{changes, definitions, usage};

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
        let name = request.into_inner().id;
        Ok(Response::new(definitions::get::<Purpose>(&self.room, &name, deadline).await?))
    }

    async fn list_purposes(
        &self,
        request: Request<v1::ListPurposesRequest>,
    ) -> Result<Response<v1::ListPurposesResponse>, Status> {
        let request = request.into_inner();
        let (purposes, next_page_token) =
            definitions::list::<Purpose>(&self.room, request.page_size, &request.page_token)?;
        Ok(Response::new(v1::ListPurposesResponse { purposes, next_page_token }))
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
        let name = request.into_inner().name;
        Ok(Response::new(definitions::get::<AttributeDefinition>(&self.room, &name, deadline).await?))
    }

    async fn list_attributes(
        &self,
        request: Request<v1::ListAttributesRequest>,
    ) -> Result<Response<v1::ListAttributesResponse>, Status> {
        let request = request.into_inner();
        let (attributes, next_page_token) =
            definitions::list::<AttributeDefinition>(&self.room, request.page_size, &request.page_token)?;
        Ok(Response::new(v1::ListAttributesResponse { attributes, next_page_token }))
    }

    async fn create_jurisdiction(
        &self,
        request: Request<v1::CreateJurisdictionRequest>,
    ) -> Result<Response<v1::Jurisdiction>, Status> {
        self.define(request).await
    }

    async fn update_jurisdiction(
        &self,
        request: Request<v1::UpdateJurisdictionRequest>,
    ) -> Result<Response<v1::Jurisdiction>, Status> {
        self.define(request).await
    }

    async fn get_jurisdiction(
        &self,
        request: Request<v1::GetJurisdictionRequest>,
    ) -> Result<Response<v1::Jurisdiction>, Status> {
        let (_, deadline) = circumstances(&request)?;
        let name = request.into_inner().id;
        Ok(Response::new(definitions::get::<Jurisdiction>(&self.room, &name, deadline).await?))
    }

    async fn list_jurisdictions(
        &self,
        request: Request<v1::ListJurisdictionsRequest>,
    ) -> Result<Response<v1::ListJurisdictionsResponse>, Status> {
        let request = request.into_inner();
        let (jurisdictions, next_page_token) =
            definitions::list::<Jurisdiction>(&self.room, request.page_size, &request.page_token)?;
        Ok(Response::new(v1::ListJurisdictionsResponse { jurisdictions, next_page_token }))
    }

    async fn create_recipient(
        &self,
        request: Request<v1::CreateRecipientRequest>,
    ) -> Result<Response<v1::Recipient>, Status> {
        self.define(request).await
    }

    async fn update_recipient(
        &self,
        request: Request<v1::UpdateRecipientRequest>,
    ) -> Result<Response<v1::Recipient>, Status> {
        self.define(request).await
    }

    async fn get_recipient(
        &self,
        request: Request<v1::GetRecipientRequest>,
    ) -> Result<Response<v1::Recipient>, Status> {
        let (_, deadline) = circumstances(&request)?;
        let name = request.into_inner().id;
        Ok(Response::new(definitions::get::<Recipient>(&self.room, &name, deadline).await?))
    }

    async fn list_recipients(
        &self,
        request: Request<v1::ListRecipientsRequest>,
    ) -> Result<Response<v1::ListRecipientsResponse>, Status> {
        let request = request.into_inner();
        let (recipients, next_page_token) =
            definitions::list::<Recipient>(&self.room, request.page_size, &request.page_token)?;
        Ok(Response::new(v1::ListRecipientsResponse { recipients, next_page_token }))
    }

    async fn list_unused_attributes(
        &self,
        request: Request<v1::ListUnusedAttributesRequest>,
    ) -> Result<Response<v1::ListUnusedAttributesResponse>, Status> {
        Ok(Response::new(usage::list_unused(&self.room, &request.into_inner())?))
    }

    async fn list_catalog_changes(
        &self,
        request: Request<v1::ListCatalogChangesRequest>,
    ) -> Result<Response<v1::ListCatalogChangesResponse>, Status> {
        let (_, deadline) = circumstances(&request)?;
        Ok(Response::new(changes::list_changes(&self.room, &request.into_inner(), deadline).await?))
    }
}
