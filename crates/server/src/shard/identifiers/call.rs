//! The calls between nodes about identifiers, and what a node answers.

use custodia_profile::GroupId;
use custodia_proto::internal::v1::{
    IdentifierAnswer, IdentifierRequest, identifier_answer::Result as Wire, identifier_request::Action,
};
use tokio::time::Instant;
use tonic::Code;

use crate::{
    routing::{Hop, Route},
    shard::{ShardContext, other::of_other_shard},
    wire::ServiceError,
};

/// A message that no node of this version sends.
pub(in crate::shard) const fn malformed() -> ServiceError {
    ServiceError::Internal { context: "a malformed message about identifiers" }
}

/// Answers another node, or this one.
///
/// # Errors
/// This node does not lead the shard; why the state cannot be read or changed.
pub(crate) async fn answer_identifier_call(
    context: &ShardContext,
    request: &IdentifierRequest,
    deadline: Instant,
) -> Result<IdentifierAnswer, ServiceError> {
    let result = match request.action.as_ref().ok_or(ServiceError::RequestMalformed)? {
        Action::Give(give) => Wire::Given(Box::pin(context.give_here(give, deadline)).await?),
        Action::Report(step) => Wire::Reported(Box::pin(context.report_here(step, deadline)).await?),
    };
    Ok(IdentifierAnswer { result: Some(result) })
}

impl ShardContext {
    /// Calls the leader of a group, which may be this node.
    pub(in crate::shard) async fn call_identifiers(
        &self,
        group: GroupId,
        action: Action,
        deadline: Instant,
    ) -> Result<Wire, ServiceError> {
        let request = IdentifierRequest { action: Some(action) };
        let answer = match self.routing().route(group, Hop::First).map_err(of_other_shard)? {
            Route::Here => answer_identifier_call(self, &request, deadline).await.map_err(of_other_shard)?,
            Route::Forward(leader) => {
                let answer = self.routing().peers().call_identifiers(&leader, request, deadline).await;
                answer.map_err(|status| {
                    tracing::debug!(node = %leader.node, code = ?status.code(), "no answer about identifiers");
                    if status.code() == Code::DeadlineExceeded {
                        ServiceError::DeadlinePassed
                    } else if status.code() == Code::Aborted {
                        ServiceError::Contended { tries: 1 }
                    } else if status.code() == Code::DataLoss {
                        ServiceError::Unreadable
                    } else {
                        ServiceError::OtherShardUnavailable
                    }
                })?
            }
        };
        answer.result.ok_or_else(malformed)
    }
}
