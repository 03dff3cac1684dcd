//! An identifier that was taken from one customer is given to another, on the leader of that one's shard (ID-4).
//!
//! ```text
//! leader of the customer who has it by mistake        leader of the one whose it is
//!   propose R(from) without it, remembered
//!     give ─────────────────────────────────────────▶ claim it, propose R(to) with it, remembered
//! ```
//! Must always hold: it is claimed like any other identifier, so two customers never have it. Both writes are remembered under the
//! request, so a repetition does each once, and what the first took is in its remembered answer until the second has it.

use custodia_profile::{
    CallerName, CallerRole, CustomerId, Identifier, LawfulBasis, MergeId, OriginalText, Party, Provenance,
    PurposeNumber, Recorder, RefusalReason, RequestId, SourceId, StoredIdentifier, Verification,
    VerificationMethod, give_identifier,
};
use custodia_proto::internal::v1::{
    GiveIdentifier, GivenIdentifier, identifier_answer::Result as Wire, identifier_request::Action,
};
use prost::Message as _;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Commit, CustomerState, Masked, Mutation, Needs, Remembered, ShardContext, WriteOptions, own::PROGRAM,
};
use crate::{
    catalogue::{CatalogueNeed, CatalogueView},
    propose::TRIES_MAX,
    routing::Redirect,
    shard::{identifiers::malformed, index_call::customer_in, other::check_merges, writer::Sight},
    wire::{
        FieldFault, ServiceError, etag,
        parse::{self, named},
        parse_optional,
    },
};

/// Whether the customer has the identifier now.
#[derive(Debug)]
pub(crate) enum Given {
    Yes { customer: CustomerId, etag: String, created: bool },
    Refused(RefusalReason),
}

impl ShardContext {
    /// Gives an identifier to a customer, or to the one into whom that one was merged.
    ///
    /// # Errors
    /// [`ServiceError::OtherCustomerNotFound`]; the shard cannot be reached, or the customer is busy: to be repeated.
    pub(crate) async fn give(
        &self,
        to: CustomerId,
        give: &GiveIdentifier,
        deadline: Instant,
    ) -> Result<Given, ServiceError> {
        for _ in 0..TRIES_MAX {
            let redirect = Box::pin(self.merged_into(to, deadline)).await?;
            let customer = redirect.map_or(to, |redirect| redirect.survivor);
            let merge = redirect.map(|redirect| redirect.merge.as_bytes().to_vec());
            let give = GiveIdentifier {
                customer: customer.as_bytes().to_vec().into(),
                merge: merge.unwrap_or_default().into(),
                ..give.clone()
            };
            let group = self.routing().locate(customer)?.group();
            let answer = self.call_identifiers(group, Action::Give(give), deadline).await?;
            let Wire::Given(given) = answer else { return Err(malformed()) };
            if given.missing {
                return Err(ServiceError::OtherCustomerNotFound);
            }
            if given.refusal != 0 {
                let reason = u8::try_from(given.refusal).ok().and_then(RefusalReason::with_number);
                return Ok(Given::Refused(reason.ok_or_else(malformed)?));
            }
            if !given.moved {
                return Ok(Given::Yes { customer, etag: given.etag, created: given.created });
            }
        }
        Err(ServiceError::Contended { tries: TRIES_MAX })
    }

    /// The same on the leader of the customer's shard.
    pub(in crate::shard) async fn give_here(
        &self,
        give: &GiveIdentifier,
        deadline: Instant,
    ) -> Result<GivenIdentifier, ServiceError> {
        let given = self.given_here(give, deadline).await;
        match given {
            Err(ServiceError::OtherCustomerNotFound) => {
                Ok(GivenIdentifier { missing: true, ..GivenIdentifier::default() })
            }
            Err(ServiceError::SplitRefused { reason }) => {
                Ok(GivenIdentifier { refusal: reason.number().into(), ..GivenIdentifier::default() })
            }
            Err(error) if error.redirection().is_some() => {
                Ok(GivenIdentifier { moved: true, ..GivenIdentifier::default() })
            }
            given => given,
        }
    }

    async fn given_here(
        &self,
        give: &GiveIdentifier,
        deadline: Instant,
    ) -> Result<GivenIdentifier, ServiceError> {
        let location = self.routing().locate(customer_in(&give.customer)?)?;
        let merge = if give.merge.is_empty() { None } else { Some(MergeId::from_bytes(&give.merge)?) };
        let led_by = |merge| Redirect { named: location.customer, survivor: location.customer, merge };
        let redirects: Vec<_> = merge.map(led_by).into_iter().collect();
        let remembered = Some(Remembered {
            id: RequestId::new(Uuid::from_slice(&give.request_id).map_err(|_length| malformed())?)?,
            fingerprint: give.fingerprint[..].try_into().map_err(|_length| malformed())?,
        });
        let recorded_by = &Recorder { name: CallerName::new(PROGRAM)?, role: CallerRole::Privacy };
        for _ in 0..TRIES_MAX {
            let parsed = |view: &CatalogueView| parsed(give, view);
            let parsed = self.catalogue().parse_on(CatalogueNeed::Names, deadline, parsed, |_, _| true);
            let (view, Parsed { purpose, identifier, stored }) = parsed.await?;
            let redirects = redirects.clone();
            let creates = give.creates;
            let evaluate = move |state: &CustomerState<'_>| {
                check_merges(&redirects, location, state.record())?;
                let before = state.record();
                if before.is_none() && !creates {
                    return Err(ServiceError::OtherCustomerNotFound);
                }
                if let Some(taken) = state.taken.get(&identifier) {
                    return Err(ServiceError::SplitRefused { reason: taken.reason });
                }
                let catalogue = &state.view.catalogue;
                let purpose = catalogue.purpose(purpose).ok_or(ServiceError::CatalogueUnavailable)?;
                let record = state.record_or_new();
                let after = give_identifier(&record, &identifier, &stored, purpose, catalogue, state.now)
                    .map_err(|reason| ServiceError::SplitRefused { reason })?;
                let changes = after != *record;
                let answer = GivenIdentifier {
                    etag: etag(state.revision_after(changes)),
                    created: before.is_none(),
                    ..GivenIdentifier::default()
                };
                let record = changes.then_some(after);
                Ok((Mutation::new(record, Vec::new(), answer.encode_to_vec()), Masked::No))
            };
            let options = WriteOptions {
                recorded_by,
                sight: Sight::Full,
                remembered,
                etag: None,
                made_at: None,
                commit: Commit::Yes,
            };
            let needs = Needs { events: &[], ledger: &|_record| false, other: None, claims: true };
            let written = Box::pin(self.mutate(location, options, &view, needs, deadline, &evaluate)).await?;
            if let Some(written) = written {
                let given = GivenIdentifier::decode(&*written.answer);
                return given.map_err(|_error| ServiceError::Unreadable);
            }
        }
        Err(ServiceError::CatalogueUnavailable)
    }
}

struct Parsed {
    purpose: PurposeNumber,
    identifier: Identifier,
    stored: StoredIdentifier,
}

fn parsed(give: &GiveIdentifier, view: &CatalogueView) -> Result<Parsed, ServiceError> {
    let purpose = view.purpose_number(&parse::purpose(&give.purpose, "purpose")?, "purpose")?;
    let held = give.identifier.as_ref().ok_or_else(malformed)?;
    let namespace = view.catalogue.namespace(&held.namespace);
    let unknown = || ServiceError::field("identifier.namespace", FieldFault::NamespaceUnknown);
    let namespace = namespace.ok_or_else(unknown)?;
    let value = namespace.normalise(&held.value).map_err(|reason| ServiceError::SplitRefused { reason })?;
    let identifier = Identifier { namespace: namespace.id.clone(), value };
    let provenance = held.provenance.as_ref().ok_or_else(malformed)?;
    let moment = |wire| parse_optional(wire, "identifier")?.ok_or_else(malformed);
    let number = |number: i32| u8::try_from(number).map_err(|_range| malformed());
    let verified = held.verification.as_ref().map(|of| {
        Ok::<_, ServiceError>(Verification {
            at: moment(of.verified_at.as_ref())?,
            method: VerificationMethod::from_number(number(of.method)?)?,
            reference: custodia_profile::Reference::new("reference", &of.reference)?,
        })
    });
    let stored = StoredIdentifier {
        original: OriginalText::new("identifier", &held.original).map_err(named("identifier"))?,
        provenance: Provenance {
            source: SourceId::new(&provenance.source)?,
            observed_at: moment(provenance.observed_at.as_ref())?,
            recorded_at: moment(provenance.recorded_at.as_ref())?,
            purpose,
            basis: LawfulBasis::from_number(number(provenance.lawful_basis)?)?,
            party: Party::from_number(number(provenance.party)?)?,
        },
        verified: verified.transpose()?,
        bounced_at: parse_optional(held.bounced_at.as_ref(), "identifier")?,
    };
    Ok(Parsed { purpose, identifier, stored })
}
