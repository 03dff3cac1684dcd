//! The preference service: every call is answered by the leader of the customer's shard.

use custodia_proto::v1::{self, preference_service_server::PreferenceService};
use tonic::{Request, Response, Status};

use super::Api;

#[tonic::async_trait]
impl PreferenceService for Api {
    async fn get_preferences(
        &self,
        request: Request<v1::GetPreferencesRequest>,
    ) -> Result<Response<v1::Preferences>, Status> {
        self.call(request).await
    }

    async fn update_preferences(
        &self,
        request: Request<v1::UpdatePreferencesRequest>,
    ) -> Result<Response<v1::Preferences>, Status> {
        self.call(request).await
    }

    async fn check_contact(
        &self,
        request: Request<v1::CheckContactRequest>,
    ) -> Result<Response<v1::CheckContactResponse>, Status> {
        self.call(request).await
    }

    async fn record_contact(
        &self,
        request: Request<v1::RecordContactRequest>,
    ) -> Result<Response<v1::RecordContactResponse>, Status> {
        self.call(request).await
    }
}
