//! What IngestProfile and AppendEvents have in common after parsing.

use custodia_profile::{Decision, GroundStatus, LawfulBasis, Observations, PurposeNumber};

use super::parse::{Collected, Grant};
use crate::{catalogue::CatalogueView, wire::ServiceError};

/// Whether the catalogue has every observed attribute. An unknown attribute is refused, but is not an error of the call.
pub(super) fn knows(view: &CatalogueView, collected: &Observations) -> bool {
    let mut attributes = collected.observations.iter().map(|observation| &observation.attribute);
    attributes.all(|attribute| view.catalogue.attribute_by_name(attribute.as_str()).is_some())
}

/// Replaces purpose names by the catalogue's numbers.
pub(super) fn observations(collected: Collected, view: &CatalogueView) -> Result<Observations, ServiceError> {
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
