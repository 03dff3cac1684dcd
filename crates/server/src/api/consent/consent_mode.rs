//! GetConsentMode: the consent signals for Google's consent mode.
//!
//! Invariant: a consent type is granted only if the law permits the controller every purpose mapped to it, and where the
//! law is opt-in by consent, since the signals are those of the customer's consent (Google's EU user consent policy). The
//! node catches up with the catalogue first, so no purpose mapped before the call is missed.

use custodia_profile::{Catalogue, CustomerRecord, GoogleConsentType, Permission, Reader, TimestampMs};
use custodia_proto::v1;

use crate::{
    catalogue::{CatalogueNeed, CatalogueView},
    shard::{CustomerRead, ProfileView, ReadAccess},
    wire::ServiceError,
};

impl CustomerRead for v1::GetConsentModeRequest {
    type Query = ();
    const ACCESS: ReadAccess = ReadAccess::Admitted;
    const CATALOGUE: CatalogueNeed = CatalogueNeed::Current;

    fn parse(&self, _view: &CatalogueView) -> Result<(), ServiceError> {
        Ok(())
    }

    async fn answer((): (), profile: ProfileView<'_>) -> Result<v1::ConsentMode, ServiceError> {
        let signal = |kind| signal(kind, profile.record(), &profile.view.catalogue, profile.now);
        Ok(v1::ConsentMode {
            customer_id: profile.location.customer.to_string(),
            signals: GoogleConsentType::ALL.into_iter().map(signal).collect(),
        })
    }
}

fn signal(
    kind: GoogleConsentType,
    record: &CustomerRecord,
    catalogue: &Catalogue,
    now: TimestampMs,
) -> v1::ConsentModeSignal {
    let mapped = catalogue.purposes().filter(|purpose| purpose.google_consent_types.contains(&kind));
    let verdicts = mapped.map(|purpose| {
        if purpose.google_types_without_consent.contains(&kind) {
            Permission::for_purpose(purpose, Reader::Controller, record, catalogue, now).verdict()
        } else {
            Permission::for_consent_signal(purpose, record, catalogue, now).verdict()
        }
    });
    let mut verdicts = verdicts.peekable();
    let is_mapped = verdicts.peek().is_some();
    let refused = verdicts.find_map(|verdict| verdict.reason());
    v1::ConsentModeSignal {
        r#type: kind.number().into(),
        granted: is_mapped && refused.is_none(),
        name: kind.name().to_owned(),
        reason: refused.map_or(0, |reason| reason.number().into()),
    }
}
