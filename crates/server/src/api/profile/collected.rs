//! What IngestProfile and AppendEvents have in common after parsing.

use custodia_profile::{Decision, GroundStatus, LawfulBasis, Observations, PurposeNumber};

use super::parse::{Collected, Grant};
use crate::{catalogue::CatalogueView, wire::ServiceError};

/// The parsed data, with the catalogue's numbers.
#[derive(Debug)]
pub(crate) struct Input {
    pub(super) observations: Observations,
    pub(super) names: Names,
    has_all_names: bool,
}

impl Input {
    pub(super) fn new(collected: Collected, view: &CatalogueView) -> Result<Self, ServiceError> {
        let (names, has_all_names) = (names_of(&collected), knows(view, &collected));
        Ok(Self { observations: observations(collected, view)?, names, has_all_names })
    }

    /// Whether the catalogue had every attribute. An unknown attribute is refused, but is not an error of the call.
    pub(super) const fn has_all_names(&self) -> bool {
        self.has_all_names
    }
}

/// The names that the answer repeats.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) attributes: Vec<String>,
    pub(super) events: Vec<String>,
}

fn names_of(collected: &Collected) -> Names {
    Names {
        attributes: collected.observations.iter().map(|one| one.attribute.as_str().to_owned()).collect(),
        events: collected.events.iter().map(|event| event.id.as_str().to_owned()).collect(),
    }
}

/// Whether the catalogue has every observed attribute.
fn knows(view: &CatalogueView, collected: &Collected) -> bool {
    let mut attributes = collected.observations.iter().map(|observation| &observation.attribute);
    attributes.all(|attribute| view.catalogue.attribute_by_name(attribute.as_str()).is_some())
}

/// Replaces purpose names by the catalogue's numbers.
fn observations(collected: Collected, view: &CatalogueView) -> Result<Observations, ServiceError> {
    let grants = collected.grants.into_iter().enumerate().map(|(at, grant)| {
        let number = view.purpose_number(&grant.purpose, &format!("consents[{at}].purpose"))?;
        Ok(given(grant, number))
    });
    Ok(Observations {
        purpose: view.purpose_number(&collected.purpose, "purpose")?,
        source: collected.source,
        party: collected.party,
        basis: collected.basis,
        grants: grants.collect::<Result<_, ServiceError>>()?,
        observations: collected.observations,
        events: collected.events,
    })
}

fn given(grant: Grant, purpose: PurposeNumber) -> Decision {
    Decision {
        purpose,
        basis: LawfulBasis::Consent,
        status: GroundStatus::Given,
        notice: Some(grant.notice),
        method: Some(grant.method),
        collector: grant.collector,
        reference: None,
        channel: grant.channel,
        evidence: grant.proof.evidence,
        bundled: grant.proof.bundled,
        decided_at: grant.given_at,
        valid_from: None,
        expires_at: grant.expires_at,
    }
}
