//! Executes forwarded calls: finds the handler by the method's path, with the caller that the forwarding node vouches for and
//! the remaining time.
//!
//! Invariant: nothing here forwards a call again. Both the forwarding node and this one have checked the caller's
//! roles against the same table.

use std::time::Duration;

use bytes::Bytes;
use custodia_proto::{
    internal::v1::{ForwardRequest, ForwardResponse},
    rpc::Unary,
    v1,
};
use prost::Message;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status};

use super::handler::{
    Answered, Call, answer_any_node as any_node, answer_directory_write as directory_write,
    answer_read as customer_read, answer_shard_leaders as shard_leaders, answer_write as customer_write,
};
use crate::{
    identity::{Caller, RoleSet},
    routing::Hop,
    shard::ShardContext,
    wire::ServiceError,
};

/// Executes a call forwarded by another node.
pub(crate) async fn answer_forwarded(context: &ShardContext, request: ForwardRequest) -> ForwardResponse {
    let deadline = Instant::now() + Duration::from_millis(request.timeout_ms.into());
    let roles: RoleSet = request.roles.iter().filter_map(|role| role.parse().ok()).collect();
    let caller = Caller { name: request.caller.as_str().into(), roles };
    let call = Call { caller, hop: Hop::Forwarded, deadline };
    let answered = timeout_at(deadline, dispatch(context, &request.method, &call, request.body)).await;
    response(answered.unwrap_or(Err(ServiceError::OutcomeUnknown)))
}

/// One arm for each unary method of the public API.
macro_rules! dispatch {
    ($($(#[$doc:meta])* $path:literal $name:ident($request:ident) -> $answer:ident as $handler:ident;)*) => {
        async fn dispatch(
            context: &ShardContext,
            method: &str,
            call: &Call,
            body: Bytes,
        ) -> Result<Bytes, ServiceError> {
            match method {
                $($path => {
                    encoded::<v1::$request>($handler(context, call, decoded::<v1::$request>(body)?).await?)
                })*
                _ => Err(ServiceError::MethodUnknown),
            }
        }
    };
}

custodia_proto::unary_methods!(dispatch);

fn decoded<R: Unary>(body: Bytes) -> Result<R, ServiceError> {
    R::decode(body)
        .map_err(|_error| ServiceError::Internal { context: "a forwarded request does not decode" })
}

#[expect(clippy::unnecessary_wraps, reason = "every arm of the dispatch ends with it")]
fn encoded<R: Unary>(answered: Answered<R::Answer>) -> Result<Bytes, ServiceError> {
    Ok(answered.answer.encode_to_vec().into())
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
