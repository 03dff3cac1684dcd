//! One hop to the leader: any node takes any call, and passes on what another node leads.
//!
//! ```text
//! caller ── call ──▶ node A ── is A the leader? ── yes ──▶ execute
//!                              └─ no ── PeerService.Forward ──▶ node B ── is B the leader? ── yes ──▶ execute
//!                                                                        └─ no ──▶ UNAVAILABLE + custodia-leader
//! ```
//!
//! Must always hold: a forwarded call is never forwarded again, and nothing here tries twice. So a call costs at
//! most one hop, and two nodes that each take the other for the leader cannot play ping-pong.

use std::{fmt, future::Future};

use async_trait::async_trait;
use bytes::Bytes;
use custodia_profile::{CustomerId, GroupId, ShardId};
use custodia_proto::internal::v1::{ForwardRequest, ForwardResponse};
use prost::Message;
use tokio::time::Instant;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

use super::{
    error::{LeaderHint, ServiceError},
    meters::count_forwarded,
    room::Room,
    status::{LEADER_DETAIL, name_leader, parse_leader},
};
use crate::identity::Caller;

/// The client's side of `PeerService.Forward`.
#[async_trait]
pub(crate) trait Forwarder: fmt::Debug + Send + Sync + 'static {
    /// Asks a node and waits for its answer, at most until the deadline.
    async fn forward(
        &self,
        to: &LeaderHint,
        request: ForwardRequest,
        deadline: Instant,
    ) -> Result<ForwardResponse, Status>;
}

/// What a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    /// The group whose leader answers it.
    pub(super) group: GroupId,
    /// The customer, where it is about one.
    pub(super) customer: Option<CustomerId>,
}

impl Target {
    /// The shard and the customer of a call that is about one.
    pub(super) fn place(self) -> Result<(ShardId, CustomerId), ServiceError> {
        match (self.group, self.customer) {
            (GroupId::Shard(shard), Some(customer)) => Ok((shard, customer)),
            (GroupId::Shard(_) | GroupId::Directory, _) => {
                Err(ServiceError::Internal { context: "a call without its customer" })
            }
        }
    }
}

/// A unary call that the leader of one group answers.
pub(super) trait Call: Message + Default + Sized + 'static {
    /// What it is answered with.
    type Answer: Message + Default + 'static;
    /// Its path in gRPC.
    const METHOD: &'static str;

    /// Finds out where the call goes, and fills in what must be the same on every node (request id, new customer).
    fn prepare(&mut self, room: &Room, caller: &Caller) -> Result<Target, ServiceError>;

    /// Answers the call on the leader.
    fn execute(
        self,
        room: &Room,
        caller: &Caller,
        target: Target,
        deadline: Instant,
    ) -> impl Future<Output = Result<Self::Answer, ServiceError>> + Send;
}

/// Answers a caller's call here or through the leader.
pub(super) async fn answer<C: Call>(
    room: &Room,
    caller: &Caller,
    mut call: C,
    deadline: Instant,
) -> Result<Response<C::Answer>, ServiceError> {
    let target = call.prepare(room, caller)?;
    if room.leads(target.group) {
        return call.execute(room, caller, target, deadline).await.map(Response::new);
    }
    let leader = room.leader_hint(target.group).ok_or(ServiceError::NotLeader { leader: None })?;
    let answer = Box::pin(forward_message(room, &leader, caller, C::METHOD, &call, deadline)).await?;
    let mut response = Response::new(answer);
    name_leader(response.metadata_mut(), &leader);
    Ok(response)
}

/// Passes the message of a method on to `leader`.
pub(super) async fn forward_message<A: Message + Default>(
    room: &Room,
    leader: &LeaderHint,
    caller: &Caller,
    method: &'static str,
    message: &impl Message,
    deadline: Instant,
) -> Result<A, ServiceError> {
    let body = forward_bytes(room, leader, caller, method, message.encode_to_vec().into(), deadline).await?;
    A::decode(body).map_err(|_error| ServiceError::Internal { context: "a forwarded answer does not decode" })
}

/// Passes the encoded call of a method on to `leader`.
pub(super) async fn forward_bytes(
    room: &Room,
    leader: &LeaderHint,
    caller: &Caller,
    method: &'static str,
    body: Bytes,
    deadline: Instant,
) -> Result<Bytes, ServiceError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(ServiceError::DeadlinePassed);
    }
    let request = ForwardRequest {
        method: method.to_owned(),
        body,
        caller: caller.name.to_string(),
        roles: caller.roles.iter().map(|role| role.name().to_owned()).collect(),
        timeout_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1),
    };
    count_forwarded(method);
    match tokio::time::timeout_at(deadline, room.forwarder().forward(leader, request, deadline)).await {
        Err(_elapsed) => Err(ServiceError::OutcomeUnknown),
        Ok(Err(status)) if status.code() == Code::DeadlineExceeded => Err(ServiceError::OutcomeUnknown),
        Ok(Err(_status)) => Err(ServiceError::LeaderUnreachable { leader: leader.clone() }),
        Ok(Ok(response)) => opened(response),
    }
}

fn opened(response: ForwardResponse) -> Result<Bytes, ServiceError> {
    if response.code == i32::from(Code::Ok) {
        return Ok(response.body);
    }
    let mut status = Status::with_details(Code::from_i32(response.code), response.message, response.details);
    let leader =
        status.get_details_error_info().and_then(|info| parse_leader(info.metadata.get(LEADER_DETAIL)?));
    if let Some(leader) = leader {
        name_leader(status.metadata_mut(), &leader);
    }
    Err(ServiceError::Forwarded(Box::new(status)))
}

/// Answers a forwarded call; only here, never through another node.
pub(super) async fn serve<C: Call>(
    room: &Room,
    caller: &Caller,
    body: Bytes,
    deadline: Instant,
) -> Result<Bytes, ServiceError> {
    let mut call = C::decode(body)
        .map_err(|_error| ServiceError::Internal { context: "a forwarded call does not decode" })?;
    let target = call.prepare(room, caller)?;
    if !room.leads(target.group) {
        return Err(ServiceError::NotLeader { leader: room.leader_hint(target.group) });
    }
    let answer = call.execute(room, caller, target, deadline).await?;
    Ok(answer.encode_to_vec().into())
}
