//! Finds the customer whom an ingest without a customer id is about: by the identifiers in it, and by the attributes that are
//! identifiers (ID-3).
//!
//! Only identifiers of one person count, of namespaces that may be used for the purpose: a shared telephone or kiosk makes nobody the
//! same person.

use std::cmp::Reverse;

use custodia_consensus::ReadMode;
use custodia_profile::{CustomerId, Identifier, Observations, PurposeId, named_identifiers};
use custodia_proto::v1;
use futures::future::try_join_all;

use super::parse;
use crate::{
    catalogue::{CatalogueNeed, CatalogueView},
    routing::Call,
    shard::{ShardContext, check_writer},
    wire::ServiceError,
};

/// Whom a request is about.
#[derive(Debug)]
pub(super) struct Found {
    /// The request has identifiers by which a customer can be found.
    pub(super) by_identifier: bool,
    /// The holder; none: a new customer.
    pub(super) holder: Option<CustomerId>,
}

/// Finds the holder of the identifier with the highest priority; among equals, of the record's key. Those who have turned out not to hold it are left out.
pub(super) async fn find(
    context: &ShardContext,
    call: &Call,
    request: &v1::IngestProfileRequest,
    moved: &[CustomerId],
) -> Result<Found, ServiceError> {
    let nobody = Found { by_identifier: false, holder: None };
    if request.identifiers.is_empty() && request.observations.is_empty() {
        return Ok(nobody);
    }
    // Before the index is asked: a caller who may not write for the purpose learns nothing from the time that it takes.
    let parsed = |view: &CatalogueView| {
        if !may_name_identifiers(request, view) {
            return Ok(None);
        }
        let numbers = |purpose: &PurposeId| view.purpose_number(purpose, "purpose");
        let (observations, _etag) = parse::ingest(request, call.caller.roles, &numbers)?;
        check_writer(&call.caller, view, &parse::access(&observations))?;
        Ok(Some(observations))
    };
    let knows = |observations: &Option<Observations>, view: &CatalogueView| {
        observations.as_ref().is_none_or(|observations| knows(observations, view))
    };
    let parsed = context.catalogue().parse_on(CatalogueNeed::Names, call.deadline, parsed, knows).await?;
    let (view, Some(observations)) = parsed else { return Ok(nobody) };
    let mut identifiers = of_one_person(&observations, &view);
    let key = key_of(request, &observations, &view);
    identifiers.sort_by_key(|(priority, identifier)| (Reverse(*priority), Some(identifier) != key.as_ref()));
    let holders = identifiers.iter().map(|(_, identifier)| async move {
        context.holders(identifier, ReadMode::Lease, call.deadline).await
    });
    let holders = try_join_all(holders).await?;
    let mut holders = holders.into_iter().flat_map(|(_, holders)| holders);
    let holder = holders.find(|holder| !moved.contains(holder));
    Ok(Found { by_identifier: !identifiers.is_empty(), holder })
}

/// The key of a record, in normal form.
fn key_of(
    request: &v1::IngestProfileRequest,
    observations: &Observations,
    view: &CatalogueView,
) -> Option<Identifier> {
    let key = observations.identifiers.first().filter(|_| request.has_key)?;
    let namespace = view.catalogue.namespace(key.namespace.as_str())?;
    let value = namespace.normalise(&key.value).ok()?;
    Some(Identifier { namespace: namespace.id.clone(), value })
}

/// Whether a request may have identifiers. Most have none, and need not be parsed before they reach their leader.
fn may_name_identifiers(request: &v1::IngestProfileRequest, view: &CatalogueView) -> bool {
    let may_be_one = |observation: &v1::Observation| {
        let attribute = view.catalogue.attribute_by_name(&observation.attribute);
        attribute.is_none_or(|attribute| view.catalogue.namespace_of_attribute(attribute.number).is_some())
    };
    !request.identifiers.is_empty() || request.observations.iter().any(may_be_one)
}

/// Whether the catalogue has every attribute and every namespace of a request. An unknown one is refused, but is not an error of the
/// call.
pub(super) fn knows(observations: &Observations, view: &CatalogueView) -> bool {
    let mut attributes = observations.observations.iter().map(|observation| &observation.attribute);
    let mut namespaces = observations.identifiers.iter().map(|identifier| identifier.namespace.as_str());
    attributes.all(|attribute| view.catalogue.attribute_by_name(attribute.as_str()).is_some())
        && namespaces.all(|namespace| view.catalogue.namespace(namespace).is_some())
}

/// The identifiers of one person in a request, with the priorities of their namespaces. What is not valid, or not in use for the
/// purpose, is left out: the ingest says why.
pub(super) fn of_one_person(observations: &Observations, view: &CatalogueView) -> Vec<(u32, Identifier)> {
    let catalogue = &view.catalogue;
    let counts = |identifier: Identifier| {
        let namespace = catalogue.namespace(identifier.namespace.as_str())?;
        let is_meant = namespace.unique && namespace.allows(observations.purpose);
        is_meant.then_some((namespace.priority, identifier))
    };
    named_identifiers(observations, catalogue).into_iter().filter_map(counts).collect()
}
