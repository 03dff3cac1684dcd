//! GetConsents: the state of every recorded ground.

use custodia_profile::CustomerRecord;
use custodia_proto::v1;

use super::convert::{ConsentAsOf, consent_states};
use crate::{
    catalogue::CatalogueView,
    shard::{CustomerRead, ProfileView, ReadAccess},
    wire::{ServiceError, etag},
};

/// Whether the catalogue has the purposes of a record's grounds. Grounds are never removed, so these include every purpose in
/// the ledger.
pub(super) fn knows(record: &CustomerRecord, view: &CatalogueView) -> bool {
    record.grounds.keys().all(|(purpose, _)| view.catalogue.purpose(*purpose).is_some())
}

impl CustomerRead for v1::GetConsentsRequest {
    type Query = ();
    const ACCESS: ReadAccess = ReadAccess::Permitted;

    fn parse(&self, _view: &CatalogueView) -> Result<(), ServiceError> {
        Ok(())
    }

    fn knows((): &(), record: &CustomerRecord, view: &CatalogueView) -> bool {
        knows(record, view)
    }

    async fn answer((): (), profile: ProfileView<'_>) -> Result<v1::GetConsentsResponse, ServiceError> {
        let at = profile.version();
        let consent_revision = profile.stored.header.guard;
        let of = ConsentAsOf { at, consent_revision, now: profile.now };
        Ok(v1::GetConsentsResponse {
            customer_id: at.customer.to_string(),
            etag: etag(at.revision),
            consents: consent_states(of, &profile.record().grounds, &profile.view.catalogue),
            consent_revision,
        })
    }
}
