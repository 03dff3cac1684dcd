//! What a handler of a write supplies; the path of a write is the same for all.

use std::future::{Future, ready};

use custodia_profile::{CustomerId, CustomerRecord, Event, RequestId, Revision, TimestampMs};
use custodia_proto::{rpc::AboutCustomer, v1};

use super::{Answered, CustomerState, Mutation, Remembered};
use crate::{
    catalogue::{CatalogueNeed, CatalogueView},
    identity::Caller,
    routing::{Call, CustomerLocation, Hop},
    shard::{
        ShardContext,
        fingerprint::fingerprint,
        other::{OtherChange, OtherCustomer},
        writer::WriteAccess,
    },
    wire::ServiceError,
};

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

    /// Whether the request has what must be the same on every node.
    fn is_complete(&self, _hop: Hop) -> bool {
        true
    }

    /// Fills in what must be the same on every node, before routing. `moved` are customers who were found by an identifier before and
    /// turned out not to hold it.
    fn complete(
        &mut self,
        _context: &ShardContext,
        _call: &Call,
        _moved: &[CustomerId],
    ) -> impl Future<Output = Result<(), ServiceError>> + Send {
        ready(Ok(()))
    }

    /// What is left to do after the call, however it ended; on the node that took it.
    fn finish(&self, _context: &ShardContext, _call: &Call) -> impl Future<Output = ()> + Send {
        ready(())
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

    /// The same, with what becomes of the other customer.
    fn evaluate_both(
        input: &Self::Input,
        state: &CustomerState<'_>,
    ) -> Result<(Mutation<Self::Answer>, Option<OtherChange>), ServiceError> {
        Ok((Self::evaluate(input, state)?, None))
    }

    /// Counts an answer. Called once for each call, however many conflicts there were.
    fn note(_answered: Answered, _answer: &Self::Answer, _context: &ShardContext, _view: &CatalogueView) {}

    /// The merges that follow from the answer by the policies of the catalogue.
    fn merges(&self, _answer: &Self::Answer, _view: &CatalogueView) -> Vec<v1::MergeProfilesRequest> {
        Vec::new()
    }

    /// Notes in the answer that a customer was merged, and the etag of the profile after that.
    fn note_merged(_answer: &mut Self::Answer, _merged: &str, _etag: String) {}

    /// Completes the remembered answer for the caller.
    fn present(_location: CustomerLocation, answer: Self::Answer) -> Result<Self::Answer, ServiceError> {
        Ok(answer)
    }
}
