//! What a handler of a write supplies; the path of a write is the same for all.

use std::{collections::BTreeSet, future::Future};

use custodia_profile::{CustomerId, CustomerRecord, Event, NamespaceId, RequestId, Revision, TimestampMs};
use custodia_proto::{rpc::AboutCustomer, v1};

use super::{Answered, CustomerState, Mutation, Remembered};
use crate::{
    catalogue::{CatalogueNeed, CatalogueView},
    identity::Caller,
    routing::{Call, CustomerLocation, Hop},
    shard::{ShardContext, fingerprint::fingerprint, other::OtherCustomer, writer::WriteAccess},
    wire::{ServiceError, parse},
};

const MERGED_CUSTOMER_ID: &str = "merged_customer_id";

/// The other customer of a merge.
///
/// # Errors
/// Names the field.
pub(crate) fn merged_customer(text: &str) -> Result<CustomerId, ServiceError> {
    parse::customer_id(text).map_err(|error| error.named(MERGED_CUSTOMER_ID))
}

/// Who sent a write, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) caller: &'a Caller,
    /// The time in the request id, if it is a UUIDv7, but no later than its arrival.
    pub(crate) made_at: Option<TimestampMs>,
}

/// A write about one customer, executed by the leader of the customer's shard.
pub(crate) trait CustomerWrite: AboutCustomer + Send + Sync {
    /// The parsed request, with the catalogue's numbers.
    type Input: Send + Sync;
    const CATALOGUE: CatalogueNeed = CatalogueNeed::Names;
    /// The field of [`CustomerWrite::etag`].
    const ETAG_FIELD: &'static str = "etag";

    /// The other customer of a merge, as the request names it.
    fn merged_customer_id(&self) -> Option<&str> {
        None
    }

    /// Whether the request has what must be the same on every node, and nothing is to be done before it.
    fn is_complete(&self, hop: Hop) -> bool {
        hop == Hop::Forwarded || self.merged_customer_id().is_none()
    }

    /// Fills in what must be the same on every node, before routing. `moved` are customers who were found by an identifier before and
    /// turned out not to hold it. What is left of an earlier merge of the other customer is ended before the survivor is locked.
    fn complete(
        &mut self,
        context: &ShardContext,
        call: &Call,
        _moved: &[CustomerId],
    ) -> impl Future<Output = Result<(), ServiceError>> + Send {
        async move {
            let Some(other) = self.merged_customer_id() else { return Ok(()) };
            if !other.is_empty() && self.customer_id().is_ok_and(|customer| customer == other) {
                return Err(ServiceError::invalid(MERGED_CUSTOMER_ID, "is the survivor itself"));
            }
            context.settle_merge(merged_customer(other)?, call.deadline).await
        }
    }

    /// What is left to do after the call, however it ended; on the node that took it. A merge that failed half-way, or that was undone, is
    /// settled, so that the other customer need not wait for the next call about it.
    fn finish(&self, context: &ShardContext, call: &Call) -> impl Future<Output = ()> + Send {
        async move {
            let Some(other) = self.merged_customer_id().filter(|_| !self.validate_only()) else { return };
            let Ok(other) = merged_customer(other) else { return };
            if let Err(error) = context.settle_merge(other, call.deadline).await {
                tracing::debug!(%error, "a merge is not settled yet");
            }
            let Ok(Ok(survivor)) = self.customer_id().map(parse::customer_id) else { return };
            if let Err(error) = context.forget_merged_pair(survivor, other, call.deadline).await {
                tracing::debug!(%error, "a pair of merged customers stays in the queue until the next scan");
            }
        }
    }

    /// Under what a request with this id is remembered.
    fn remembered_as(&self, id: RequestId) -> Result<Remembered, ServiceError> {
        Ok(Remembered { id, fingerprint: fingerprint(self) })
    }

    /// Parses the fields other than customer and request id.
    fn parse(&self, origin: Origin<'_>, view: &CatalogueView) -> Result<Self::Input, ServiceError>;

    /// Whether the catalogue has every name in the input. Only for calls in which an unknown name is a refusal, not an
    /// error.
    fn knows(_input: &Self::Input, _view: &CatalogueView) -> bool {
        true
    }

    /// What decides who may make this write.
    fn access(input: &Self::Input) -> WriteAccess;

    /// The field in which the request names a version of what is stored, if it does.
    fn version_field(input: &Self::Input) -> Option<&'static str> {
        Self::etag(input).map(|_| Self::ETAG_FIELD)
    }

    /// What a caller who may not read is answered: the request again, and of the answer no more than the law's verdict
    /// on the purpose of the collection.
    fn echo(&self, location: CustomerLocation, answer: Self::Answer) -> Self::Answer;

    /// Whether the answer tells that what is stored prevailed over something in the request.
    fn has_no_effect(_answer: &Self::Answer) -> bool {
        false
    }

    /// The revision that the record must have.
    fn etag(_input: &Self::Input) -> Option<Revision> {
        None
    }

    /// The events in the request. The stored events with the same ids are loaded before the evaluation.
    fn events(_input: &Self::Input) -> &[Event] {
        &[]
    }

    /// Another customer whom the write reads and changes too.
    fn other(_input: &Self::Input) -> Option<OtherCustomer> {
        None
    }

    /// Whether the input has a decision that is sorted into the ledger, which is then loaded before the evaluation.
    fn comes_late(_input: &Self::Input, _record: &CustomerRecord) -> bool {
        false
    }

    /// Evaluates the input on the state. Pure; called again on a new state after a conflict.
    fn evaluate(
        input: &Self::Input,
        state: &CustomerState<'_>,
    ) -> Result<Mutation<Self::Answer>, ServiceError>;

    /// Counts an answer. Called once for each call, however many conflicts there were.
    fn note(_answered: Answered, _answer: &Self::Answer, _context: &ShardContext, _view: &CatalogueView) {}

    /// What follows at another customer once the write is committed. A repeated request does it again, so it must be remembered there.
    fn follow(
        &self,
        _input: &Self::Input,
        _answer: &mut Self::Answer,
        _context: &ShardContext,
        _call: &Call,
    ) -> impl Future<Output = Result<(), ServiceError>> + Send {
        async { Ok(()) }
    }

    /// The merges that follow from the answer by the policies of the catalogue, each with the namespaces that want it.
    fn merges(
        &self,
        _answer: &Self::Answer,
        _view: &CatalogueView,
    ) -> Vec<(v1::MergeProfilesRequest, BTreeSet<NamespaceId>)> {
        Vec::new()
    }

    /// Notes in the answer that a customer was merged, and the etag of the profile after that.
    fn note_merged(_answer: &mut Self::Answer, _merged: &str, _etag: String) {}

    /// Completes the remembered answer for the caller.
    fn present(_location: CustomerLocation, answer: Self::Answer) -> Result<Self::Answer, ServiceError> {
        Ok(answer)
    }
}
