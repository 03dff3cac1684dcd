//! UpdateIdentifier: what became known about an identifier that a customer has.

use custodia_profile::{
    Identifier, PurposeNumber, Reference, TimestampMs, Verification, VerificationMethod, record_bounce,
    verify_identifier,
};
use custodia_proto::v1;

use crate::{
    catalogue::CatalogueView,
    routing::CustomerLocation,
    shard::{CustomerState, CustomerWrite, Mutation, Origin, WriteAccess, written_identifier},
    wire::{
        ServiceError, etag, now, observed_at,
        parse::{self, chosen, named},
        parse_optional,
    },
};

/// The parsed request.
#[derive(Debug)]
pub(crate) struct Update {
    purpose: PurposeNumber,
    identifier: Identifier,
    verification: Option<Verified>,
    bounced_at: Option<TimestampMs>,
}

/// A verification that may still need its date.
#[derive(Debug)]
struct Verified {
    at: Option<TimestampMs>,
    method: VerificationMethod,
    reference: Reference,
}

impl CustomerWrite for v1::UpdateIdentifierRequest {
    type Input = Update;

    fn parse(&self, origin: Origin<'_>, view: &CatalogueView) -> Result<Update, ServiceError> {
        let purpose = view.purpose(&parse::purpose(&self.purpose, "purpose")?, "purpose")?;
        let made_at = origin.made_at.map(|made_at| observed_at(made_at, now()));
        let verified = |wire| verified(wire, made_at).map_err(|error| error.within("verification"));
        let verification = self.verification.as_ref().map(verified).transpose()?;
        let bounced_at = parse_optional(self.bounced_at.as_ref(), "bounced_at")?;
        if verification.is_none() && bounced_at.is_none() {
            return Err(ServiceError::missing("verification"));
        }
        Ok(Update {
            purpose: purpose.number,
            identifier: written_identifier(origin.caller, self.identifier.as_ref(), purpose, view)?,
            verification,
            bounced_at,
        })
    }

    fn access(update: &Update) -> WriteAccess {
        WriteAccess::Collect(vec![update.purpose])
    }

    fn echo(&self, location: CustomerLocation, _answer: Self::Answer) -> Self::Answer {
        v1::UpdateIdentifierResponse { customer_id: location.customer.to_string(), ..Default::default() }
    }

    fn evaluate(update: &Update, state: &CustomerState<'_>) -> Result<Mutation<Self::Answer>, ServiceError> {
        let before = state.existing()?;
        let (now, identifier) = (state.now, &update.identifier);
        let mut after = before.clone();
        if let Some(Verified { at, method, reference }) = &update.verification {
            let at = at.unwrap_or(now);
            let verification = Verification { at, method: *method, reference: reference.clone() };
            after = verify_identifier(&after, identifier, verification, now)?;
        }
        if let Some(bounced_at) = update.bounced_at {
            after = record_bounce(&after, identifier, bounced_at, now)?;
        }
        let changes = after != *before;
        let answer = v1::UpdateIdentifierResponse {
            customer_id: state.location.customer.to_string(),
            etag: etag(state.revision_after(changes)),
        };
        let record = changes.then_some(after);
        Ok(Mutation::new(record, Vec::new(), answer))
    }
}

fn verified(wire: &v1::Verification, made_at: Option<TimestampMs>) -> Result<Verified, ServiceError> {
    let method = chosen(wire.method, VerificationMethod::from_number).map_err(named("method"))?;
    Ok(Verified {
        at: parse_optional(wire.verified_at.as_ref(), "verified_at")?.or(made_at),
        method: method.ok_or_else(|| ServiceError::missing("method"))?,
        reference: Reference::new("reference", &wire.reference).map_err(named("reference"))?,
    })
}
