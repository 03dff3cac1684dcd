//! Forwards a call to the leader, with the caller's identity and the time left until the deadline.
//!
//! Invariant: a timeout after the request was sent ends as [`ServiceError::OutcomeUnknown`], since the leader may
//! have executed the call.

use std::fmt;

use async_trait::async_trait;
use custodia_consensus::ReadMode;
use custodia_proto::{
    internal::v1::{
        self as wire, DuplicateAnswer, DuplicateRequest, ForwardRequest, ForwardResponse,
        GetStateChecksumsRequest, GetStateChecksumsResponse, IdentifierAnswer, IdentifierRequest,
        IndexAnswer, IndexRequest, MergeAnswer, MergeRequest, NodeFacts, RecordUsageRequest,
        RenewCatalogueLeaseRequest, RenewCatalogueLeaseResponse, ReplaceReplicaRequest, RotationAnswer,
        RotationRequest,
    },
    rpc::Unary,
};
use prost::Message;
use tokio::time::Instant;
use tonic::{Code, Status};

use super::{Call, Redirect, Routing};
use crate::{
    counters::count_forwarded,
    wire::{LeaderHint, ServiceError, leader_in, name_leader},
};

/// The client side of `PeerService`: the calls between nodes other than those of consensus. Each waits for the node's answer
/// at most until the deadline, and then fails with `DEADLINE_EXCEEDED`.
#[async_trait]
pub(crate) trait PeerCalls: fmt::Debug + Send + Sync + 'static {
    /// `PeerService.Forward`.
    async fn forward(
        &self,
        to: &LeaderHint,
        request: ForwardRequest,
        deadline: Instant,
    ) -> Result<ForwardResponse, Status>;

    /// `PeerService.RenewCatalogueLease`.
    async fn renew_catalogue_lease(
        &self,
        to: &LeaderHint,
        request: RenewCatalogueLeaseRequest,
        deadline: Instant,
    ) -> Result<RenewCatalogueLeaseResponse, Status>;

    /// `PeerService.RecordUsage`.
    async fn record_usage(
        &self,
        to: &LeaderHint,
        request: RecordUsageRequest,
        deadline: Instant,
    ) -> Result<(), Status>;

    /// `PeerService.GetStateChecksums`.
    async fn state_checksums(
        &self,
        to: &LeaderHint,
        request: GetStateChecksumsRequest,
        deadline: Instant,
    ) -> Result<GetStateChecksumsResponse, Status>;

    /// `PeerService.ReplaceReplica`.
    async fn replace_replica(
        &self,
        to: &LeaderHint,
        request: ReplaceReplicaRequest,
        deadline: Instant,
    ) -> Result<(), Status>;

    /// `PeerService.CallIndex`.
    async fn call_index(
        &self,
        to: &LeaderHint,
        request: IndexRequest,
        deadline: Instant,
    ) -> Result<IndexAnswer, Status>;

    /// `PeerService.CallMerge`.
    async fn call_merge(
        &self,
        to: &LeaderHint,
        request: MergeRequest,
        deadline: Instant,
    ) -> Result<MergeAnswer, Status>;

    /// `PeerService.CallDuplicates`.
    async fn call_duplicates(
        &self,
        to: &LeaderHint,
        request: DuplicateRequest,
        deadline: Instant,
    ) -> Result<DuplicateAnswer, Status>;

    /// `PeerService.CallIdentifiers`.
    async fn call_identifiers(
        &self,
        to: &LeaderHint,
        request: IdentifierRequest,
        deadline: Instant,
    ) -> Result<IdentifierAnswer, Status>;

    /// `PeerService.CallRotation`.
    async fn call_rotation(
        &self,
        to: &LeaderHint,
        request: RotationRequest,
        deadline: Instant,
    ) -> Result<RotationAnswer, Status>;

    /// `PeerService.GetNodeFacts`.
    async fn node_facts(&self, to: &LeaderHint, deadline: Instant) -> Result<NodeFacts, Status>;
}

impl Routing {
    /// Forwards a call to `leader`, which judges it by the catalogue of this version or a newer one.
    ///
    /// # Errors
    /// The leader's own error; [`ServiceError::DeadlinePassed`], [`ServiceError::OutcomeUnknown`] or
    /// [`ServiceError::LeaderUnreachable`].
    pub(crate) async fn forward<R: Unary>(
        &self,
        leader: &LeaderHint,
        call: &Call,
        request: &R,
        catalogue_version: u64,
    ) -> Result<R::Answer, ServiceError> {
        let Call { caller, read_mode, deadline, redirects, .. } = call;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ServiceError::DeadlinePassed);
        }
        let method = R::METHOD.path;
        let request = ForwardRequest {
            method: method.to_owned(),
            body: request.encode_to_vec().into(),
            caller: caller.name.to_string(),
            roles: caller.roles.iter().map(|role| role.name().to_owned()).collect(),
            quorum_read: *read_mode == ReadMode::Quorum,
            catalogue_version,
            redirects: redirects.iter().map(redirect).collect(),
            timeout_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1),
        };
        count_forwarded(method);
        match self.peers().forward(leader, request, *deadline).await {
            Err(status) if status.code() == Code::DeadlineExceeded => Err(ServiceError::OutcomeUnknown),
            Err(_status) => Err(ServiceError::LeaderUnreachable { leader: leader.clone() }),
            Ok(response) => decoded(response),
        }
    }
}

fn redirect(of: &Redirect) -> wire::Redirect {
    wire::Redirect {
        named: of.named.as_bytes().to_vec().into(),
        survivor: of.survivor.as_bytes().to_vec().into(),
        merge: of.merge.as_bytes().to_vec().into(),
    }
}

fn decoded<A: Message + Default>(response: ForwardResponse) -> Result<A, ServiceError> {
    if response.code == i32::from(Code::Ok) {
        let malformed = |_error| ServiceError::Internal { context: "a forwarded answer does not decode" };
        return A::decode(response.body).map_err(malformed);
    }
    let mut status = Status::with_details(Code::from_i32(response.code), response.message, response.details);
    if let Some(leader) = leader_in(&status) {
        name_leader(status.metadata_mut(), &leader);
    }
    Err(ServiceError::Forwarded(Box::new(status)))
}
