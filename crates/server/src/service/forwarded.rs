//! The other end of a forwarded call: the method's name leads to the same functions as a caller's own call, with the
//! caller that the forwarding node vouches for and what is left of its deadline.
//!
//! Must always hold: nothing here passes a call on. Who may make it was checked by the forwarding node and, by the same
//! table, before it came here.

use std::time::Duration;

use bytes::Bytes;
use custodia_proto::{
    internal::v1::{ForwardRequest, ForwardResponse},
    v1,
};
use prost::Message;
use tokio::time::Instant;
use tonic::{Code, Status};

use super::{
    batch,
    catalogue_view::{VERSION_METHOD, current_version},
    error::ServiceError,
    forward::{Call, serve},
    node_facts::{FACTS_METHOD, own_facts},
    room::Room,
};
use crate::identity::{Caller, RoleSet};

/// Whether a method is one that nodes alone use: its answer holds nothing of a customer, and no caller stands behind
/// it.
pub(crate) fn is_internal(method: &str) -> bool {
    method == VERSION_METHOD || method == FACTS_METHOD
}

impl Room {
    /// Answers a call that another node took.
    pub(crate) async fn forwarded(&self, request: ForwardRequest) -> ForwardResponse {
        let deadline = Instant::now() + Duration::from_millis(request.timeout_ms.into());
        let roles: RoleSet = request.roles.iter().filter_map(|role| role.parse().ok()).collect();
        let caller = Caller { name: request.caller.as_str().into(), roles };
        let answered = tokio::time::timeout_at(
            deadline,
            self.dispatch(&request.method, &caller, request.body, deadline),
        );
        response(answered.await.unwrap_or(Err(ServiceError::OutcomeUnknown)))
    }

    async fn dispatch(
        &self,
        method: &str,
        caller: &Caller,
        body: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, ServiceError> {
        match method {
            v1::GetProfileRequest::METHOD => {
                serve::<v1::GetProfileRequest>(self, caller, body, deadline).await
            }
            v1::IngestProfileRequest::METHOD => {
                serve::<v1::IngestProfileRequest>(self, caller, body, deadline).await
            }
            v1::AppendEventsRequest::METHOD => {
                serve::<v1::AppendEventsRequest>(self, caller, body, deadline).await
            }
            v1::ListEventsRequest::METHOD => {
                serve::<v1::ListEventsRequest>(self, caller, body, deadline).await
            }
            v1::RecordConsentRequest::METHOD => {
                serve::<v1::RecordConsentRequest>(self, caller, body, deadline).await
            }
            v1::WithdrawConsentRequest::METHOD => {
                serve::<v1::WithdrawConsentRequest>(self, caller, body, deadline).await
            }
            v1::GetConsentsRequest::METHOD => {
                serve::<v1::GetConsentsRequest>(self, caller, body, deadline).await
            }
            v1::CreatePurposeRequest::METHOD => {
                serve::<v1::CreatePurposeRequest>(self, caller, body, deadline).await
            }
            v1::UpdatePurposeRequest::METHOD => {
                serve::<v1::UpdatePurposeRequest>(self, caller, body, deadline).await
            }
            v1::CreateAttributeRequest::METHOD => {
                serve::<v1::CreateAttributeRequest>(self, caller, body, deadline).await
            }
            v1::UpdateAttributeRequest::METHOD => {
                serve::<v1::UpdateAttributeRequest>(self, caller, body, deadline).await
            }
            v1::TurnKeysRequest::METHOD => serve::<v1::TurnKeysRequest>(self, caller, body, deadline).await,
            batch::METHOD => {
                let malformed =
                    |_error| ServiceError::Internal { context: "a forwarded call does not decode" };
                let request = v1::BatchGetProfilesRequest::decode(body).map_err(malformed)?;
                Ok(batch::batch_get_here(self, request, deadline).await?.encode_to_vec().into())
            }
            VERSION_METHOD => {
                Ok(Bytes::copy_from_slice(&current_version(self, deadline).await?.to_be_bytes()))
            }
            FACTS_METHOD => Ok(own_facts(self).encode_to_vec().into()),
            _ => Err(ServiceError::MethodUnknown),
        }
    }
}

fn response(result: Result<Bytes, ServiceError>) -> ForwardResponse {
    match result {
        Ok(body) => ForwardResponse { code: Code::Ok.into(), body, ..ForwardResponse::default() },
        Err(error) => {
            let status = Status::from(error);
            ForwardResponse {
                code: status.code().into(),
                message: status.message().to_owned(),
                details: Bytes::copy_from_slice(status.details()),
                body: Bytes::new(),
            }
        }
    }
}
