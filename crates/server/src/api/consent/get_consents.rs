//! GetConsents: the state of every recorded ground.
//!
//! Where the law refuses the purpose for which a registered caller asks, it gets the consent revision and the law's reason, and
//! no state. It needs the revision to record the customer's answer to a no, and with the reason it has seen the no that the
//! consent then answers. The revision counts ledger entries and tells nothing of what they say.

use custodia_profile::{CustomerRecord, Reader, Verdict};
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
    const ACCESS: ReadAccess = ReadAccess::Admitted;

    fn parse(&self, _view: &CatalogueView) -> Result<(), ServiceError> {
        Ok(())
    }

    fn knows((): &(), record: &CustomerRecord, view: &CatalogueView) -> bool {
        knows(record, view)
    }

    async fn answer((): (), profile: ProfileView<'_>) -> Result<v1::GetConsentsResponse, ServiceError> {
        let at = profile.version();
        let consent_revision = profile.stored.header.guard;
        if let Verdict::Refuse(reason) = profile.permission.verdict()
            && profile.reader != Reader::Controller
        {
            return Ok(v1::GetConsentsResponse {
                customer_id: at.customer.to_string(),
                consent_revision,
                refused: reason.number().into(),
                ..v1::GetConsentsResponse::default()
            });
        }
        let of = ConsentAsOf { at, consent_revision, now: profile.now };
        Ok(v1::GetConsentsResponse {
            customer_id: at.customer.to_string(),
            etag: etag(at.revision),
            consents: consent_states(of, &profile.record().grounds, &profile.view.catalogue),
            consent_revision,
            refused: v1::RefusalReason::Unspecified.into(),
        })
    }
}
