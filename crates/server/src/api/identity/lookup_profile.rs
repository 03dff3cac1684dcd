//! LookupProfile: the profiles of those who hold an identifier.

use custodia_profile::{CustomerRecord, Identifier};
use custodia_proto::v1;

use crate::{
    api::{handler::HolderRead, profile::ReadRequest},
    catalogue::CatalogueView,
    shard::{CustomerRead, ProfileView, ReadAccess, check_use, identifier},
    wire::ServiceError,
};

/// The parsed request.
#[derive(Debug)]
pub(crate) struct Query {
    identifier: Identifier,
    read: ReadRequest,
}

impl CustomerRead for v1::LookupProfileRequest {
    type Query = Query;
    const ACCESS: ReadAccess = ReadAccess::Admitted;

    fn parse(&self, view: &CatalogueView) -> Result<Query, ServiceError> {
        let wire = self.identifier.as_ref().ok_or_else(|| ServiceError::missing("identifier"))?;
        let read = ReadRequest::parse(self.read_mask.as_ref(), self.verdicts, view)?;
        Ok(Query { identifier: identifier(wire, view)?, read })
    }

    fn knows(query: &Query, record: &CustomerRecord, view: &CatalogueView) -> bool {
        query.read.knows(record, view)
    }

    async fn answer(
        query: Query,
        profile: ProfileView<'_>,
    ) -> Result<v1::LookupProfileResponse, ServiceError> {
        check_holder(&query.identifier, &profile)?;
        Ok(v1::LookupProfileResponse { profiles: vec![query.read.answer(&profile)?] })
    }
}

impl HolderRead for v1::LookupProfileRequest {
    fn identifier(&self) -> Option<&v1::Identifier> {
        self.identifier.as_ref()
    }

    fn holder(answer: &v1::LookupProfileResponse) -> Option<&str> {
        match &answer.profiles[..] {
            [only] => Some(&only.customer_id),
            _ => None,
        }
    }

    fn joined(answers: Vec<v1::LookupProfileResponse>) -> v1::LookupProfileResponse {
        v1::LookupProfileResponse {
            profiles: answers.into_iter().flat_map(|answer| answer.profiles).collect(),
        }
    }
}

/// Refuses a customer who does not hold the identifier that the call names, and a caller whose purpose has no use for it.
pub(super) fn check_holder(identifier: &Identifier, profile: &ProfileView<'_>) -> Result<(), ServiceError> {
    let namespace = profile.view.catalogue.namespace(identifier.namespace.as_str());
    let unknown = ServiceError::Internal { context: "a parsed namespace is not in the catalogue" };
    check_use(namespace.ok_or(unknown)?, profile.purpose, profile.reader)?;
    let held = profile.record().identifiers.contains_key(identifier);
    if held { Ok(()) } else { Err(ServiceError::CustomerNotFound) }
}
