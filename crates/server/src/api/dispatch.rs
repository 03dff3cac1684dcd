//! Finds the handler of a unary call by its path, for a caller's own call and for one that another node forwards. A forwarded call
//! brings the caller that the forwarding node vouches for and the remaining time.
//!
//! Invariant: the caller's roles were checked against the method table before, for a forwarded call on both nodes.

use std::time::Duration;

use bytes::Bytes;
use custodia_consensus::ReadMode;
use custodia_profile::{CustomerId, MergeId};
use custodia_proto::{
    internal::v1::{self as wire, ForwardRequest, ForwardResponse},
    rpc::Unary,
    v1,
};
use prost::Message;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status};

use super::handler::{
    Answered, any_node, customer_read, customer_write, directory_write, holder_read, shard_leaders,
};
use crate::{
    identity::{Caller, RoleSet},
    routing::{Call, Hop, Redirect},
    shard::ShardContext,
    wire::ServiceError,
};

/// Executes a call that another node forwards for a caller with these roles.
pub(crate) async fn answer_forwarded(
    context: &ShardContext,
    roles: RoleSet,
    request: ForwardRequest,
) -> ForwardResponse {
    let deadline = Instant::now() + Duration::from_millis(request.timeout_ms.into());
    let caller = Caller { name: request.caller.as_str().into(), roles };
    let read_mode = if request.quorum_read { ReadMode::Quorum } else { ReadMode::Lease };
    let redirects = request.redirects.iter().map(redirect).collect::<Option<Vec<_>>>();
    let judged = async {
        let malformed = ServiceError::Internal { context: "a malformed redirect between nodes" };
        let redirects = redirects.ok_or(malformed)?;
        let call = Call { caller, hop: Hop::Forwarded, read_mode, deadline, redirects };
        context.catalogue().at_least(request.catalogue_version, deadline).await?;
        dispatch(context, &request.method, &call, request.body).await
    };
    let answered = timeout_at(deadline, judged).await;
    response(answered.unwrap_or(Err(ServiceError::OutcomeUnknown)).map(|answered| answered.answer))
}

fn redirect(wire: &wire::Redirect) -> Option<Redirect> {
    let customer = |bytes: &[u8]| CustomerId::from_bytes(<[u8; 16]>::try_from(bytes).ok()?).ok();
    Some(Redirect {
        named: customer(&wire.named)?,
        survivor: customer(&wire.survivor)?,
        merge: MergeId::from_bytes(&wire.merge).ok()?,
    })
}

/// One arm for each unary method of the public API.
macro_rules! dispatch {
    ($($(#[$doc:meta])* $path:literal $name:ident($request:ident) -> $answer:ident as $handler:ident;)*) => {
        /// Answers a unary call.
        pub(super) async fn dispatch(
            context: &ShardContext,
            method: &str,
            call: &Call,
            body: Bytes,
        ) -> Result<Answered<Bytes>, ServiceError> {
            match method {
                $($path => {
                    let answered = $handler(context, call, decoded::<v1::$request>(body)?).await?;
                    Ok(answered.map(|answer| answer.encode_to_vec().into()))
                })*
                _ => Err(ServiceError::MethodUnknown),
            }
        }
    };
}

custodia_proto::unary_methods!(dispatch);

fn decoded<R: Unary>(body: Bytes) -> Result<R, ServiceError> {
    R::decode(body).map_err(|_error| ServiceError::RequestMalformed)
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
