//! MergeProfiles: two customers who prove to be one person become one.

use std::collections::BTreeSet;

use custodia_profile::{
    AttributeChoice, CustomerId, CustomerRecord, GroundState, LedgerEntry, MergeId, MergedInto,
    MergedProfile, PurposeNumber, Revision, Survivorship, SurvivorshipRules, merge_profiles,
};
use custodia_proto::{rpc::Unary, v1};

use crate::{
    catalogue::CatalogueView,
    routing::CustomerLocation,
    shard::{
        CustomerState, CustomerWrite, Mutation, Need, Origin, OtherChange, OtherCustomer, WriteAccess,
        merged_customer,
    },
    wire::{
        FieldFault, ServiceError,
        convert::{purpose_name, value},
        etag,
        parse::{self, named, within_limit},
        parse_etag,
    },
};

/// Rules for single attributes, and trusted sources.
const RULES_MAX: usize = 64;

/// The parsed request.
#[derive(Debug)]
pub(crate) struct Merge {
    purpose: PurposeNumber,
    other: CustomerId,
    rules: SurvivorshipRules,
    shows_values: bool,
    etag: Option<Revision>,
}

impl CustomerWrite for v1::MergeProfilesRequest {
    type Input = Merge;

    fn merged_customer_id(&self) -> Option<&str> {
        Some(&self.merged_customer_id)
    }

    fn parse(&self, _origin: Origin<'_>, view: &CatalogueView) -> Result<Merge, ServiceError> {
        let other = merged_customer(&self.merged_customer_id)?;
        Ok(Merge {
            purpose: view.purpose(&parse::purpose(&self.purpose, "purpose")?, "purpose")?.number,
            other,
            rules: rules(self, view)?,
            shows_values: self.validate_only(),
            etag: parse_etag(&self.etag)?,
        })
    }

    fn access(merge: &Merge) -> WriteAccess {
        WriteAccess::Collect(vec![merge.purpose])
    }

    fn echo(&self, location: CustomerLocation, _answer: Self::Answer) -> Self::Answer {
        v1::MergeProfilesResponse { customer_id: location.customer.to_string(), ..Default::default() }
    }

    fn etag(merge: &Merge) -> Option<Revision> {
        merge.etag
    }

    fn other(merge: &Merge) -> Option<OtherCustomer> {
        Some(OtherCustomer { customer: merge.other, need: Need::Record })
    }

    fn evaluate(merge: &Merge, state: &CustomerState<'_>) -> Result<Mutation<Self::Answer>, ServiceError> {
        let survivor = state.existing()?;
        let missing = ServiceError::Internal { context: "a merge without the other customer" };
        let other = state.other.as_ref().ok_or(missing)?;
        if other.customer == state.location.customer {
            return Err(ServiceError::SameCustomer);
        }
        if let Some(done) = survivor.merges.iter().find(|of| of.members.contains(&other.customer)) {
            let answer = v1::MergeProfilesResponse {
                customer_id: state.location.customer.to_string(),
                etag: etag(state.revision()),
                merge_id: done.id.to_string(),
                already_merged: true,
                ..Default::default()
            };
            return Ok(Mutation::new(None, Vec::new(), answer));
        }
        let id = other.record.merge_id(&other.customer, &state.location.customer)?;
        let is_begun = |into: &MergedInto| {
            into.survivor == state.location.customer && into.merge == id && into.restored.is_none()
        };
        if !other.record.merged_into.as_deref().is_none_or(is_begun) {
            return Err(ServiceError::MergedElsewhere);
        }
        let theirs = &CustomerRecord { merged_into: None, ..other.record.clone() };
        let of_other = (other.customer, theirs);
        let merged =
            merge_profiles(survivor, of_other, id, &merge.rules, &state.view.catalogue, state.change())?;
        let answer = answer(merge, state, theirs, (id, &merged));
        let merged_into = MergedInto {
            survivor: state.location.customer,
            merge: id,
            merged_at: state.now,
            survivor_revision: state.revision(),
            survivor_before: survivor.clone(),
            merged: merged.record.clone(),
            restored: None,
        };
        let record = CustomerRecord { merged_into: Some(Box::new(merged_into)), ..theirs.clone() };
        let ledger: Vec<LedgerEntry> = merged.ledger;
        let other = Some(OtherChange { record, events: Vec::new() });
        Ok(Mutation { other, ..Mutation::new(Some(merged.record), ledger, answer) })
    }
}

fn rules(
    request: &v1::MergeProfilesRequest,
    view: &CatalogueView,
) -> Result<SurvivorshipRules, ServiceError> {
    within_limit("attributes", request.attributes.len(), RULES_MAX)?;
    within_limit("trusted_sources", request.trusted_sources.len(), RULES_MAX)?;
    let rule = |number: i32, field: &str| match v1::Survivorship::try_from(number) {
        Ok(v1::Survivorship::Unspecified | v1::Survivorship::Newest) => Ok(Survivorship::Newest),
        Ok(v1::Survivorship::TrustedSource) => Ok(Survivorship::TrustedSource),
        Ok(v1::Survivorship::VerifiedFirst) => Ok(Survivorship::VerifiedFirst),
        Ok(v1::Survivorship::Survivor) => Ok(Survivorship::Survivor),
        Ok(v1::Survivorship::Merged) => Ok(Survivorship::Other),
        Err(_) => Err(ServiceError::invalid(field, "expected a rule of survivorship")),
    };
    let mut rules = SurvivorshipRules {
        default: rule(request.survivorship, "survivorship")?,
        attributes: std::collections::BTreeMap::new(),
        trusted_sources: Vec::new(),
    };
    for (of, at) in request.attributes.iter().zip(0..) {
        let unknown =
            || ServiceError::field(&format!("attributes[{at}].attribute"), FieldFault::AttributeUnknown);
        let definition = view.catalogue.attribute_by_name(&of.attribute).ok_or_else(unknown)?;
        let stated = rule(of.survivorship, &format!("attributes[{at}].survivorship"))?;
        if rules.attributes.insert(definition.number, stated).is_some() {
            return Err(ServiceError::invalid(&format!("attributes[{at}].attribute"), "is named twice"));
        }
    }
    for (source, at) in request.trusted_sources.iter().zip(0..) {
        let source = source.parse().map_err(named(&format!("trusted_sources[{at}]")))?;
        rules.trusted_sources.push(source);
    }
    Ok(rules)
}

fn answer(
    merge: &Merge,
    state: &CustomerState<'_>,
    other: &CustomerRecord,
    (id, merged): (MergeId, &MergedProfile),
) -> v1::MergeProfilesResponse {
    let survivor = state.record_or_new();
    let gained = |after: usize, before: usize| i32::try_from(after - before).unwrap_or(i32::MAX);
    let attributes = merged.choices.iter().map(|choice| attribute(merge, state, &survivor, other, choice));
    let keys: BTreeSet<_> = survivor.grounds.keys().chain(other.grounds.keys()).copied().collect();
    let consents = keys.into_iter().map(|key @ (purpose, basis)| v1::MergedConsent {
        purpose: purpose_name(purpose, &state.view.catalogue),
        basis: basis.number().into(),
        survivor: status(survivor.grounds.get(&key)),
        merged: status(other.grounds.get(&key)),
        after: status(merged.record.grounds.get(&key)),
    });
    v1::MergeProfilesResponse {
        customer_id: state.location.customer.to_string(),
        etag: etag(state.revision_after(true)),
        merge_id: id.to_string(),
        already_merged: false,
        attributes: attributes.collect(),
        consents: consents.collect(),
        attributes_gained: gained(merged.record.attributes.len(), survivor.attributes.len()),
        identifiers_gained: gained(merged.record.identifiers.len(), survivor.identifiers.len()),
    }
}

fn attribute(
    merge: &Merge,
    state: &CustomerState<'_>,
    survivor: &CustomerRecord,
    other: &CustomerRecord,
    choice: &AttributeChoice,
) -> v1::MergedAttribute {
    let of = |record: &CustomerRecord| record.attributes.get(&choice.attribute).map(|of| value(&of.value));
    let (ours, theirs) = (of(survivor), of(other));
    let (kept_from, kept, lost) =
        if choice.other_kept { (merge.other, theirs, ours) } else { (state.location.customer, ours, theirs) };
    let definition = state.view.catalogue.attribute(choice.attribute);
    v1::MergedAttribute {
        attribute: definition.map(|of| of.name.as_str().to_owned()).unwrap_or_default(),
        kept_from: kept_from.to_string(),
        survivorship: choice.rule.number().into(),
        kept: kept.filter(|_| merge.shows_values),
        lost: lost.filter(|_| merge.shows_values),
    }
}

fn status(state: Option<&GroundState>) -> i32 {
    state.map_or(0, |state| state.status.number().into())
}
