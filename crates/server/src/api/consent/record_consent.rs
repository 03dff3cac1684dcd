//! RecordConsent: records a consent, a refusal or another ground for one purpose.

use custodia_profile::{
    Catalogue, CustomerRecord, Decision, GroundState, GroundStatus, LawfulBasis, Permission, PurposeId,
    PurposeNumber, Reader, Recorded, Recording, Revision, TimestampMs, check_decision, record_decision,
};
use custodia_proto::v1;

use super::{
    convert::{ConsentAsOf, consent_state},
    parse,
};
use crate::{
    catalogue::CatalogueView,
    routing::CustomerLocation,
    shard::{CustomerState, CustomerWrite, Mutation, Origin, WriteAccess},
    wire::{
        ServiceError,
        convert::{effect_number, purpose_name},
        now, parse_etag,
    },
};

/// A parsed request.
#[derive(Debug)]
pub(crate) struct Input {
    decision: Decision,
    etag: Option<Revision>,
    /// Whether the customer must exist.
    existing_customer: bool,
}

impl CustomerWrite for v1::RecordConsentRequest {
    type Input = Input;

    fn parse(&self, origin: Origin<'_>, view: &CatalogueView) -> Result<Self::Input, ServiceError> {
        let number = |purpose: &PurposeId| view.purpose_number(purpose, "purpose");
        let mut decision = parse::record_consent(self, origin.caller.roles, number)?;
        if decision.recording != Recording::Imported {
            decision.decided_at = decision.decided_at.or(origin.made_at);
        }
        check_decision(&decision, &view.catalogue, now())?;
        // A no counts whatever was read before.
        let is_no = decision.is_live_no();
        let etag = if is_no { None } else { parse_etag(&self.etag)? };
        Ok(Input { decision, etag, existing_customer: self.existing_customer && !is_no })
    }

    /// A refusal is a no, whoever passes it on, and so is a revocation: that is how a guardian says no.
    fn access(Input { decision, .. }: &Input) -> WriteAccess {
        if decision.is_live_no() {
            WriteAccess::No(vec![decision.purpose])
        } else {
            WriteAccess::Collect(vec![decision.purpose])
        }
    }

    /// A no may name anything, as it counts whatever was read before.
    fn version_field(Input { decision, etag, existing_customer }: &Input) -> Option<&'static str> {
        match decision.recording {
            // That it exists is told to none who may not read.
            _ if *existing_customer => Some("existing_customer"),
            Recording::Live { answers: Some(_) } if !decision.is_live_no() => Some("consent_revision"),
            Recording::Live { .. } | Recording::Imported => etag.map(|_| Self::ETAG_FIELD),
        }
    }

    fn echo(&self, location: CustomerLocation, _answer: v1::ConsentState) -> v1::ConsentState {
        let request = self.clone();
        v1::ConsentState {
            customer_id: location.customer.to_string(),
            purpose: request.purpose,
            lawful_basis: stated_basis(request.lawful_basis),
            status: request.status,
            notice_version: request.notice_version,
            method: request.method,
            collector: request.collector,
            reference: request.reference,
            decided_at: request.decided_at,
            expires_at: request.expires_at,
            evidence: request.evidence,
            channel: request.channel,
            valid_from: request.valid_from,
            ..v1::ConsentState::default()
        }
    }

    fn etag(input: &Input) -> Option<Revision> {
        input.etag
    }

    fn comes_late(Input { decision, .. }: &Input, record: &CustomerRecord) -> bool {
        decision.comes_late(record)
    }

    fn evaluate(
        Input { decision, existing_customer, .. }: &Input,
        state: &CustomerState<'_>,
    ) -> Result<Mutation<Self::Answer>, ServiceError> {
        if *existing_customer {
            state.existing()?;
        }
        let record = state.record_or_new();
        let recorded = record_decision(&record, decision, &state.view.catalogue, state.change())?;
        Ok(decided(state, (decision.purpose, decision.basis), recorded))
    }
}

/// The basis that a request means, as its echo calls it.
pub(super) fn stated_basis(number: i32) -> i32 {
    if number == 0 { v1::LawfulBasis::Consent.into() } else { number }
}

/// The basis by which the controller may use the purpose after a no, so that whoever passes on the no can say so; 0: none,
/// or no no.
pub(super) fn still_permitted_by(
    record: &CustomerRecord,
    purpose: PurposeNumber,
    state: &GroundState,
    (catalogue, now): (&Catalogue, TimestampMs),
) -> i32 {
    let Some(purpose) = catalogue.purpose(purpose).filter(|_| state.status != GroundStatus::Given) else {
        return 0;
    };
    let permission = Permission::for_purpose(purpose, Reader::Controller, record, catalogue, now);
    permission.verdict().ground().map_or(0, |ground| ground.number().into())
}

/// The mutation of a decision about one ground.
pub(super) fn decided(
    state: &CustomerState<'_>,
    (purpose, basis): (PurposeNumber, LawfulBasis),
    recorded: Recorded,
) -> Mutation<v1::ConsentState> {
    let Recorded { record, effect, ledger, state: decided } = recorded;
    let changes = !ledger.is_empty();
    let of = ConsentAsOf::after(state, changes, &ledger);
    let catalogue = &state.view.catalogue;
    let answer = v1::ConsentState {
        still_permitted_by: still_permitted_by(&record, purpose, &decided, (catalogue, of.now)),
        effect: effect_number(effect),
        ..consent_state(of, (&purpose_name(purpose, catalogue), basis), &decided)
    };
    Mutation::new(changes.then_some(record), ledger, answer)
}
