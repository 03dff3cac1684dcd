//! ExplainDecision on the leader: the law, asked again with the record and the catalogue as they were.
//!
//! Values are not in the ledger. So the value whose retention is judged is the stored one, if it was stored by then;
//! else no value in particular, and no retention has passed.

use std::sync::Arc;

use custodia_profile::{
    AttributeDefinition, AttributeName, AttributeNumber, Catalogue, CustomerRecord, GroundOrigin, LawAsOf,
    LawfulBasis, Permission, Purpose, PurposeId, PurposeNumber, Reader, RecipientId, RefusalReason,
    TimestampMs, Verdict,
};
use custodia_proto::v1;
use tokio::time::Instant;

use super::{
    catalogue_view::CatalogueView,
    consents::record_for,
    error::{FieldFault, ServiceError},
    forward::{Call, Target},
    history::{law_as_of, past_moment},
    opaque::etag,
    parse::{self, named},
    context::ShardContext,
    time::{now, timestamp},
};
use crate::identity::Caller;

impl Call for v1::ExplainDecisionRequest {
    type Answer = v1::DecisionExplanation;
    const METHOD: &'static str = "/custodia.v1.ConsentService/ExplainDecision";

    fn prepare(&mut self, context: &ShardContext, _caller: &Caller) -> Result<Target, ServiceError> {
        context.target_of(parse::customer_id(&self.customer_id)?)
    }

    async fn execute(
        self,
        context: &ShardContext,
        caller: &Caller,
        target: Target,
        deadline: Instant,
    ) -> Result<Self::Answer, ServiceError> {
        let asked = Asked::parse(&self)?;
        let (location, core) = record_for(context, caller, &self.purpose, target, deadline).await?;
        // The log of the catalogue must be whole up to the moment.
        Box::pin(context.catalogue_cache().catch_up(context, deadline)).await?;
        let view = context.view()?;
        let (purpose, attribute) = asked.numbers(&view)?;
        let (law, _) = law_as_of(context, location, asked.time).await?;
        let (catalogue, catalogue_version) = match asked.time {
            Some(time) => {
                let (catalogue, version) = context.catalogue_as_of(time)?;
                (Arc::new(catalogue), version)
            }
            None => (Arc::clone(&view.catalogue), view.version),
        };
        let case = Case {
            moment: asked.time.unwrap_or_else(now),
            recipient: asked.recipient.as_ref(),
            stored: &core.value,
            law: &law,
            catalogue: &catalogue,
        };
        Ok(v1::DecisionExplanation {
            time: Some(timestamp(case.moment)),
            catalogue_version,
            ..case.explain(purpose, attribute)
        })
    }
}

/// What is to be explained.
#[derive(Debug)]
struct Asked {
    purpose: PurposeId,
    attribute: Option<AttributeName>,
    time: Option<TimestampMs>,
    recipient: Option<RecipientId>,
}

impl Asked {
    fn parse(request: &v1::ExplainDecisionRequest) -> Result<Self, ServiceError> {
        let attribute = |text: &String| AttributeName::new(text).map_err(named("attribute"));
        let recipient = |text: &String| RecipientId::new(text).map_err(named("recipient"));
        Ok(Self {
            purpose: parse::purpose(&request.decided_purpose, "decided_purpose")?,
            attribute: Some(&request.attribute).filter(|text| !text.is_empty()).map(attribute).transpose()?,
            time: past_moment(request.time.as_ref())?,
            recipient: Some(&request.recipient).filter(|text| !text.is_empty()).map(recipient).transpose()?,
        })
    }

    /// The numbers of what is asked about: it exists now, whether or not it did then.
    fn numbers(
        &self,
        view: &CatalogueView,
    ) -> Result<(PurposeNumber, Option<AttributeNumber>), ServiceError> {
        let purpose = view.purpose_number(&self.purpose, "decided_purpose")?;
        let unknown = || ServiceError::field("attribute", FieldFault::AttributeUnknown);
        let number = |name: &AttributeName| {
            view.catalogue.attribute_by_name(name.as_str()).map(|found| found.number).ok_or_else(unknown)
        };
        Ok((purpose, self.attribute.as_ref().map(number).transpose()?))
    }
}

/// A decision of a moment.
struct Case<'a> {
    moment: TimestampMs,
    recipient: Option<&'a RecipientId>,
    /// The record as it is now.
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
            Some(Some(definition)) => permission.for_attribute(definition, self.observed_at(definition)),
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
            Some(id) => self
                .catalogue
                .recipient(id.as_str())
                .map_or(Reader::Unregistered, |recipient| Reader::Registered(recipient)),
        }
    }

    fn observed_at(&self, definition: &AttributeDefinition) -> Option<TimestampMs> {
        let provenance = &self.stored.attributes.get(&definition.number)?.provenance;
        (provenance.recorded_at <= self.moment).then_some(provenance.observed_at)
    }

    /// The entries that carry the decision, in their order.
    fn sequences(
        &self,
        purpose: &Purpose,
        permission: &Permission<'_>,
        decided: Verdict,
        definition: Option<&AttributeDefinition>,
    ) -> Vec<u64> {
        let by_subject = [
            RefusalReason::LegalHold,
            RefusalReason::ProcessingRestricted,
            RefusalReason::GuardianConsentNeeded,
        ];
        // These lie in the catalogue or in the value, whatever is recorded of the customer.
        let by_neither = [RefusalReason::RetentionPassed, RefusalReason::UnknownAttribute];
        let says = |reasons: &[RefusalReason]| decided.reason().is_some_and(|said| reasons.contains(&said));
        let subject = self.law.subject_sequence.filter(|_| says(&by_subject));
        let rests_on = permission.rests_on(definition).filter(|_| !says(&by_neither));
        let ground = rests_on.and_then(|basis| self.law.ground_sequences.get(&(purpose.number, basis)));
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
            format!("Permitted by {basis}, on which this purpose stands for every customer.")
        }
        GroundOrigin::NotOptedOut => {
            "Permitted because the customer has not opted out and the jurisdiction asks for no more."
                .to_owned()
        }
    }
}
