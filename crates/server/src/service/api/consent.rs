//! The consent service: every call is answered by the leader of the customer's shard.

use custodia_proto::v1::{self, consent_service_server::ConsentService};
use tonic::{Request, Response, Status};

use super::Api;

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

    async fn list_consent_history(
        &self,
        request: Request<v1::ListConsentHistoryRequest>,
    ) -> Result<Response<v1::ListConsentHistoryResponse>, Status> {
        self.call(request).await
    }

    async fn get_consents_as_of(
        &self,
        request: Request<v1::GetConsentsAsOfRequest>,
    ) -> Result<Response<v1::GetConsentsResponse>, Status> {
        self.call(request).await
    }

    async fn explain_decision(
        &self,
        request: Request<v1::ExplainDecisionRequest>,
    ) -> Result<Response<v1::DecisionExplanation>, Status> {
        self.call(request).await
    }

    async fn get_data_subject(
        &self,
        request: Request<v1::GetDataSubjectRequest>,
    ) -> Result<Response<v1::DataSubject>, Status> {
        self.call(request).await
    }

    async fn update_data_subject(
        &self,
        request: Request<v1::UpdateDataSubjectRequest>,
    ) -> Result<Response<v1::DataSubject>, Status> {
        self.call(request).await
    }

    async fn record_privacy_signal(
        &self,
        request: Request<v1::RecordPrivacySignalRequest>,
    ) -> Result<Response<v1::RecordPrivacySignalResponse>, Status> {
        self.call(request).await
    }

    async fn record_tc_string(
        &self,
        request: Request<v1::RecordTcStringRequest>,
    ) -> Result<Response<v1::TcString>, Status> {
        self.call(request).await
    }

    async fn get_tc_string(
        &self,
        request: Request<v1::GetTcStringRequest>,
    ) -> Result<Response<v1::TcString>, Status> {
        self.call(request).await
    }

    async fn get_consent_mode(
        &self,
        request: Request<v1::GetConsentModeRequest>,
    ) -> Result<Response<v1::ConsentMode>, Status> {
        self.call(request).await
    }

    async fn export_consent(
        &self,
        request: Request<v1::ExportConsentRequest>,
    ) -> Result<Response<v1::ExportConsentResponse>, Status> {
        self.call(request).await
    }
}
