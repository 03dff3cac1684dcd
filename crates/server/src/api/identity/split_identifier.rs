//! SplitIdentifier: an identifier that a customer was given by mistake goes to the customer whose it is.
//!
//! Invariant: R(from) loses it first, in a write of its own that is remembered with all that is known about it. A repetition gets that
//! answer again and goes on with the second write, `shard/write/give.rs`, which is remembered too.

use custodia_profile::{
    CustomerId, CustomerRecord, Identifier, PoolId, PurposeId, PurposeNumber, Related, give_identifier,
    related_data, release_identifier,
};
use custodia_proto::{internal::v1::GiveIdentifier, v1};

use super::convert::{self, Shown};
use crate::{
    catalogue::CatalogueView,
    routing::{Call, CustomerLocation, Hop},
    shard::{
        CustomerState, CustomerWrite, Given, Mutation, Need, Origin, OtherCustomer, Remembered, ShardContext,
        WriteAccess, fingerprint, with_content, written_identifier,
    },
    wire::{ServiceError, parse},
};

const TO_CUSTOMER_ID: &str = "to_customer_id";

/// The parsed request.
#[derive(Debug)]
pub(crate) struct Split {
    purpose: PurposeNumber,
    stated: PurposeId,
    identifier: Identifier,
    /// None: a new customer.
    to: Option<CustomerId>,
}

/// The customer whom the request names; none: a new one.
fn named(request: &v1::SplitIdentifierRequest) -> Result<Option<CustomerId>, ServiceError> {
    let text = Some(&request.to_customer_id).filter(|text| !text.is_empty());
    text.map(|text| parse::customer_id(text).map_err(|error| error.named(TO_CUSTOMER_ID))).transpose()
}

/// Under what the second write is remembered, whoever has the identifier by mistake by then: that one may have been merged.
fn remembered(request: &v1::SplitIdentifierRequest) -> Result<Remembered, ServiceError> {
    let id = parse::request_id(&request.request_id)?.ok_or_else(|| ServiceError::missing("request_id"))?;
    let content = v1::SplitIdentifierRequest { customer_id: String::new(), ..request.clone() };
    let fingerprint = fingerprint(&content);
    Ok(Remembered { id: with_content(id, fingerprint)?, fingerprint })
}

impl CustomerWrite for v1::SplitIdentifierRequest {
    type Input = Split;

    fn is_complete(&self, hop: Hop) -> bool {
        hop == Hop::Forwarded
    }

    /// A request without an id could not be completed by the same one. What is left of a merge of the other customer is ended before the
    /// first one is locked.
    async fn complete(
        &mut self,
        context: &ShardContext,
        call: &Call,
        _moved: &[CustomerId],
    ) -> Result<(), ServiceError> {
        if self.request_id.is_empty() && !self.validate_only {
            return Err(ServiceError::missing("request_id"));
        }
        let Some(to) = named(self)? else { return Ok(()) };
        if self.to_customer_id == self.customer_id {
            return Err(ServiceError::invalid(TO_CUSTOMER_ID, "is the customer itself"));
        }
        context.settle_merge(to, call.deadline).await
    }

    fn parse(&self, origin: Origin<'_>, view: &CatalogueView) -> Result<Split, ServiceError> {
        let stated = parse::purpose(&self.purpose, "purpose")?;
        let purpose = view.purpose(&stated, "purpose")?;
        Ok(Split {
            purpose: purpose.number,
            identifier: written_identifier(origin.caller, self.identifier.as_ref(), purpose, view)?,
            to: named(self)?,
            stated,
        })
    }

    fn access(split: &Split) -> WriteAccess {
        WriteAccess::Collect(vec![split.purpose])
    }

    fn echo(&self, location: CustomerLocation, _answer: Self::Answer) -> Self::Answer {
        v1::SplitIdentifierResponse { customer_id: location.customer.to_string(), ..Default::default() }
    }

    fn other(split: &Split) -> Option<OtherCustomer> {
        split.to.map(|customer| OtherCustomer { customer, need: Need::Record })
    }

    fn evaluate(split: &Split, state: &CustomerState<'_>) -> Result<Mutation<Self::Answer>, ServiceError> {
        let (before, catalogue) = (state.existing()?, &state.view.catalogue);
        let to = match &state.other {
            Some(other) if other.customer == state.location.customer => {
                return Err(ServiceError::SameCustomer);
            }
            Some(other) if other.record.merged_into.is_some() => return Err(ServiceError::MergedElsewhere),
            Some(other) => &other.record,
            None => &CustomerRecord::new(state.now),
        };
        let after = release_identifier(before, &split.identifier, state.now)?;
        let stored = before.identifiers.get(&split.identifier).ok_or(ServiceError::IdentifierNotFound)?;
        let missing = ServiceError::CatalogueUnavailable;
        let (Some(purpose), Some(namespace)) =
            (catalogue.purpose(split.purpose), catalogue.namespace(split.identifier.namespace.as_str()))
        else {
            return Err(missing);
        };
        // Before anything is taken away: whether the other may have it.
        give_identifier(to, &split.identifier, stored, purpose, catalogue, state.now)
            .map_err(|reason| ServiceError::SplitRefused { reason })?;
        let related = related_data(before, &split.identifier, namespace);
        let answer = v1::SplitIdentifierResponse {
            customer_id: state.location.customer.to_string(),
            to_customer_id: split.to.map(|to| to.to_string()).unwrap_or_default(),
            created: split.to.is_none(),
            identifier: Some(convert::held(&split.identifier, stored, Shown::Whole, catalogue, state.now)),
            related: related.iter().map(|one| related_message(one, state.view)).collect(),
            ..Default::default()
        };
        Ok(Mutation::new(Some(after), Vec::new(), answer))
    }

    /// The second write.
    async fn follow(
        &self,
        split: &Split,
        answer: &mut Self::Answer,
        context: &ShardContext,
        call: &Call,
    ) -> Result<(), ServiceError> {
        let remembered = remembered(self)?;
        let derived = || CustomerId::derive(&call.caller.name, remembered.id, PoolId::default());
        let give = GiveIdentifier {
            creates: split.to.is_none(),
            purpose: split.stated.as_str().to_owned(),
            identifier: answer.identifier.clone(),
            request_id: remembered.id.as_bytes().to_vec().into(),
            fingerprint: remembered.fingerprint.to_vec().into(),
            ..GiveIdentifier::default()
        };
        let given = Box::pin(context.give(split.to.unwrap_or_else(derived), &give, call.deadline)).await;
        match given {
            Ok(Given::Yes { customer, etag, created }) => {
                answer.to_customer_id = customer.to_string();
                answer.to_etag = etag;
                answer.created = created;
                Ok(())
            }
            Ok(Given::Refused(reason)) => Err(ServiceError::SplitIncomplete { reason }),
            // The first write is done.
            Err(ServiceError::DeadlinePassed) => Err(ServiceError::OutcomeUnknown),
            Err(error) => Err(error),
        }
    }
}

fn related_message(related: &Related, view: &CatalogueView) -> v1::RelatedData {
    let name = |number| {
        let definition = view.catalogue.attribute(number);
        definition.map(|of| of.name.as_str().to_owned()).unwrap_or_default()
    };
    match related {
        Related::SameValue(number) => {
            v1::RelatedData { attribute: name(*number), same_value: true, ..Default::default() }
        }
        Related::AttributeOfSource(number) => {
            v1::RelatedData { attribute: name(*number), ..Default::default() }
        }
        Related::IdentifierOfSource(identifier) => {
            v1::RelatedData { namespace: identifier.namespace.as_str().to_owned(), ..Default::default() }
        }
    }
}
