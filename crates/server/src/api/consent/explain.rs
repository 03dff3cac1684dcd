//! ExplainDecision: asks the law again, with the record and the catalogue as they were at a given time.
//!
//! The ledger has no values. So retention, and the consent by which a value was collected, are judged by the stored value
//! if it was stored by then; otherwise retention counts as not passed, and the value as collected by the ground.

use std::sync::Arc;

use custodia_profile::{
    AttributeDefinition, AttributeName, AttributeNumber, Catalogue, CustomerRecord, GroundOrigin, LawAsOf,
    LawfulBasis, Permission, Provenance, Purpose, PurposeNumber, Reader, RecipientId, RefusalReason,
    TimestampMs, Verdict,
};
use custodia_proto::v1;

use super::history::{law_as_of, past_moment};
use crate::{
    catalogue::{CatalogueNeed, CatalogueView, as_of},
    shard::{CustomerRead, ProfileView, ReadAccess, reader_named},
    wire::{
        FieldFault, ServiceError, etag,
        parse::{self, named},
        timestamp,
    },
};

impl CustomerRead for v1::ExplainDecisionRequest {
    type Query = Decision;
    const ACCESS: ReadAccess = ReadAccess::Permitted;
    /// The change log must be complete up to the given time.
    const CATALOGUE: CatalogueNeed = CatalogueNeed::Current;

    fn parse(&self, view: &CatalogueView) -> Result<Decision, ServiceError> {
        Decision::parse(self, view)
    }

    fn is_of_merged(decision: &Decision, merged_at: TimestampMs) -> bool {
        decision.time.is_some_and(|time| time < merged_at)
    }

    async fn answer(
        decision: Decision,
        profile: ProfileView<'_>,
    ) -> Result<v1::DecisionExplanation, ServiceError> {
        let (law, _) = law_as_of(profile.context, profile.location, decision.time).await?;
        let view = profile.view;
        let (catalogue, catalogue_version) = match decision.time {
            Some(time) => {
                let (catalogue, version) = as_of(profile.context.engine(), time)?;
                (Arc::new(catalogue), version)
            }
            None => (Arc::clone(&view.catalogue), view.version),
        };
        let case = Case {
            moment: decision.time.unwrap_or(profile.now),
            recipient: decision.recipient.as_ref(),
            stored: profile.record(),
            law: &law,
            catalogue: &catalogue,
        };
        Ok(v1::DecisionExplanation {
            time: Some(timestamp(case.moment)),
            catalogue_version,
            ..case.explain(decision.purpose, decision.attribute)
        })
    }
}

/// The parsed request. Its purpose and attribute exist now, though perhaps not at that time.
#[derive(Debug)]
pub(crate) struct Decision {
    purpose: PurposeNumber,
    attribute: Option<AttributeNumber>,
    time: Option<TimestampMs>,
    recipient: Option<RecipientId>,
}

impl Decision {
    fn parse(request: &v1::ExplainDecisionRequest, view: &CatalogueView) -> Result<Self, ServiceError> {
        let purpose = parse::purpose(&request.decided_purpose, "decided_purpose")?;
        let attribute = |text: &String| {
            let name = AttributeName::new(text).map_err(named("attribute"))?;
            let found = view.catalogue.attribute_by_name(name.as_str());
            let unknown = || ServiceError::field("attribute", FieldFault::AttributeUnknown);
            found.map(|found| found.number).ok_or_else(unknown)
        };
        let recipient = |text: &String| RecipientId::new(text).map_err(named("recipient"));
        Ok(Self {
            attribute: Some(&request.attribute).filter(|text| !text.is_empty()).map(attribute).transpose()?,
            time: past_moment(request.time.as_ref())?,
            recipient: Some(&request.recipient).filter(|text| !text.is_empty()).map(recipient).transpose()?,
            purpose: view.purpose_number(&purpose, "decided_purpose")?,
        })
    }
}

/// A decision at a given time.
struct Case<'a> {
    moment: TimestampMs,
    recipient: Option<&'a RecipientId>,
    /// The current record.
    stored: &'a CustomerRecord,
    law: &'a LawAsOf,
    catalogue: &'a Catalogue,
}

impl Case<'_> {
    fn explain(&self, purpose: PurposeNumber, attribute: Option<AttributeNumber>) -> v1::DecisionExplanation {
        let Some(purpose) = self.catalogue.purpose(purpose) else {
            return verdict(Verdict::Refuse(RefusalReason::UnknownPurpose));
        };
        let record = CustomerRecord {
            grounds: self.law.grounds.clone(),
            subject: self.law.subject.clone(),
            ..CustomerRecord::new(self.moment)
        };
        let permission =
            Permission::for_purpose(purpose, self.reader(), &record, self.catalogue, self.moment);
        let definition = attribute.map(|number| self.catalogue.attribute(number));
        let decided = match definition {
            None => permission.verdict(),
            Some(None) => Verdict::Refuse(RefusalReason::UnknownAttribute),
            Some(Some(definition)) => match self.provenance(definition) {
                Some(provenance) => permission.for_value(definition, provenance),
                None => permission.for_attribute(definition, None),
            },
        };
        let definition = definition.flatten().map(|definition| &**definition);
        v1::DecisionExplanation {
            jurisdictions: permission.jurisdictions().map(|found| found.id.as_str().to_owned()).collect(),
            purpose_etag: etag(purpose.revision),
            attribute_etag: definition.map(|definition| etag(definition.revision)).unwrap_or_default(),
            ledger_sequences: self.sequences(purpose, &permission, decided, definition),
            ..verdict(decided)
        }
    }

    fn reader(&self) -> Reader<'_> {
        match self.recipient {
            None => Reader::Controller,
            Some(id) => reader_named(self.catalogue, id.as_str()),
        }
    }

    /// Where the stored value comes from, if it was stored by then.
    fn provenance(&self, definition: &AttributeDefinition) -> Option<&Provenance> {
        let stored = self.stored.attributes.get(&definition.number).map(|stored| &stored.provenance);
        stored.filter(|provenance| provenance.recorded_at <= self.moment)
    }

    /// The consent by which the stored value was collected, if the value is withheld because it was taken back.
    fn lost_consent(
        &self,
        permission: &Permission<'_>,
        definition: Option<&AttributeDefinition>,
    ) -> Option<(PurposeNumber, LawfulBasis)> {
        let (definition, provenance) = (definition?, self.provenance(definition?)?);
        let is_given = |verdict: Verdict| verdict.ground().is_some();
        let is_lost = !is_given(permission.for_value(definition, provenance))
            && is_given(permission.for_attribute(definition, Some(provenance.observed_at)));
        is_lost.then_some((provenance.purpose, provenance.basis))
    }

    /// The sequence numbers of the ledger entries on which the decision rests, in order.
    fn sequences(
        &self,
        purpose: &Purpose,
        permission: &Permission<'_>,
        decided: Verdict,
        definition: Option<&AttributeDefinition>,
    ) -> Vec<u64> {
        let by_subject = [
            RefusalReason::ProcessingRestricted,
            RefusalReason::GuardianConsentNeeded,
            RefusalReason::GuardianNotEntitled,
            RefusalReason::SensitiveLimited,
        ];
        // These depend on the catalogue or the value, not on anything recorded about the customer.
        let by_neither = [RefusalReason::RetentionPassed, RefusalReason::UnknownAttribute];
        let says =
            |reasons: &[RefusalReason]| decided.reason().is_some_and(|reason| reasons.contains(&reason));
        let subject = self.law.subject_sequence.filter(|_| says(&by_subject));
        let rests_on = permission.rests_on(definition).map(|basis| (purpose.number, basis));
        let rests_on = self.lost_consent(permission, definition).or(rests_on).filter(|_| !says(&by_neither));
        let ground = rests_on.and_then(|ground| self.law.ground_sequences.get(&ground));
        let mut sequences: Vec<u64> = subject.into_iter().chain(ground.copied()).collect();
        sequences.sort_unstable();
        sequences
    }
}

fn verdict(decided: Verdict) -> v1::DecisionExplanation {
    match decided {
        Verdict::Permit { ground, origin, until } => v1::DecisionExplanation {
            permitted: true,
            ground: ground.number().into(),
            origin: origin.number().into(),
            until: until.map(timestamp),
            explanation: permit_sentence(ground, origin),
            ..Default::default()
        },
        Verdict::Refuse(reason) => v1::DecisionExplanation {
            reason: reason.number().into(),
            explanation: reason.explanation().to_owned(),
            ..Default::default()
        },
    }
}

fn permit_sentence(ground: LawfulBasis, origin: GroundOrigin) -> String {
    let basis = match ground {
        LawfulBasis::Consent => "consent",
        LawfulBasis::Contract => "a contract",
        LawfulBasis::LegalObligation => "a legal obligation",
        LawfulBasis::VitalInterests => "vital interests",
        LawfulBasis::PublicTask => "a public task",
        LawfulBasis::LegitimateInterests => "legitimate interests",
    };
    match origin {
        GroundOrigin::Recorded => format!("Permitted by {basis}, as recorded for this customer."),
        GroundOrigin::Standing => {
            format!("Permitted by {basis}, which applies to every customer for this purpose.")
        }
        GroundOrigin::NotOptedOut => {
            "Permitted because the customer has not opted out and the jurisdiction requires no more."
                .to_owned()
        }
    }
}
