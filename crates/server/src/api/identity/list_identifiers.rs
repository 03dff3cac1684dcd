//! ListIdentifiers: by what a customer is known.

use std::sync::Arc;

use custodia_profile::{CustomerRecord, Identifier, Namespace, StoredIdentifier, Verdict};
use custodia_proto::v1;

use super::convert::{self, Shown};
use crate::{
    catalogue::CatalogueView,
    shard::{CustomerRead, ProfileView, ReadAccess},
    wire::ServiceError,
};

impl CustomerRead for v1::ListIdentifiersRequest {
    type Query = ();
    const ACCESS: ReadAccess = ReadAccess::Admitted;

    fn parse(&self, _view: &CatalogueView) -> Result<(), ServiceError> {
        Ok(())
    }

    fn knows((): &(), record: &CustomerRecord, view: &CatalogueView) -> bool {
        knows_namespaces(record, view)
    }

    async fn answer((): (), profile: ProfileView<'_>) -> Result<v1::ListIdentifiersResponse, ServiceError> {
        let (identifiers, withheld) = given(&profile, Shown::Whole);
        Ok(v1::ListIdentifiersResponse { identifiers, withheld })
    }
}

/// Whether the catalogue has the namespaces of a record's identifiers.
pub(super) fn knows_namespaces(record: &CustomerRecord, view: &CatalogueView) -> bool {
    record.identifiers.keys().all(|of| view.catalogue.namespace(of.namespace.as_str()).is_some())
}

/// The identifiers that may be used for the purpose, and how many more there are.
pub(super) fn given(profile: &ProfileView<'_>, shown: Shown) -> (Vec<v1::HeldIdentifier>, i32) {
    let catalogue = &profile.view.catalogue;
    let (mut identifiers, mut withheld) = (Vec::new(), 0);
    for (identifier, stored) in &profile.record().identifiers {
        if may_be_given(profile, identifier, stored) {
            identifiers.push(convert::held(identifier, stored, shown, catalogue, profile.now));
        } else {
            withheld += 1;
        }
    }
    (identifiers, withheld)
}

fn may_be_given(profile: &ProfileView<'_>, identifier: &Identifier, stored: &StoredIdentifier) -> bool {
    let namespace = profile.view.catalogue.namespace(identifier.namespace.as_str());
    let verdict =
        |namespace: &Arc<Namespace>| profile.permission.for_stored_identifier(namespace, &stored.provenance);
    namespace.is_some_and(|namespace| matches!(verdict(namespace), Verdict::Permit { .. }))
}
