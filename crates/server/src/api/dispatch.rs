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
    context::ShardContext,
    usage::{self, USAGE_METHOD},
};
use crate::identity::{Caller, RoleSet};

/// Whether a method is one that nodes alone use: it holds nothing of a customer, and no caller stands behind it.
pub(crate) fn is_internal(method: &str) -> bool {
    [VERSION_METHOD, FACTS_METHOD, USAGE_METHOD].contains(&method)
}

impl ShardContext {
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
        macro_rules! calls {
            ($($call:ident,)*) => {
                match method {
                    $(v1::$call::METHOD => return serve::<v1::$call>(self, caller, body, deadline).await,)*
                    _ => {}
                }
            };
        }
        calls! {
            GetProfileRequest,
            IngestProfileRequest,
            AppendEventsRequest,
            ListEventsRequest,
            RecordConsentRequest,
            WithdrawConsentRequest,
            GetConsentsRequest,
            ListConsentHistoryRequest,
            GetConsentsAsOfRequest,
            ExplainDecisionRequest,
            GetDataSubjectRequest,
            UpdateDataSubjectRequest,
            RecordPrivacySignalRequest,
            RecordTcStringRequest,
            GetTcStringRequest,
            GetConsentModeRequest,
            ExportConsentRequest,
            GetPreferencesRequest,
            UpdatePreferencesRequest,
            CheckContactRequest,
            RecordContactRequest,
            CreatePurposeRequest,
            UpdatePurposeRequest,
            CreateAttributeRequest,
            UpdateAttributeRequest,
            CreateJurisdictionRequest,
            UpdateJurisdictionRequest,
            CreateRecipientRequest,
            UpdateRecipientRequest,
            RotateKeysRequest,
        }
        match method {
            batch::METHOD => {
                let malformed =
                    |_error| ServiceError::Internal { context: "a forwarded call does not decode" };
                let request = v1::BatchGetProfilesRequest::decode(body).map_err(malformed)?;
                Ok(batch::batch_get_here(self, caller, request, deadline).await?.encode_to_vec().into())
            }
            VERSION_METHOD => {
                Ok(Bytes::copy_from_slice(&current_version(self, deadline).await?.to_be_bytes()))
            }
            USAGE_METHOD => usage::record(self, &body, deadline).await.map(|()| Bytes::new()),
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
