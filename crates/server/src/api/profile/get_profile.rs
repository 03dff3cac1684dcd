//! GetProfile: one customer's profile, as the caller may see it for its purpose.

use custodia_profile::{AttributeDefinition, AttributeName, AttributeValue, CustomerRecord};
use custodia_proto::v1;

use super::convert::{self, Asked, Detail};
use crate::{
    catalogue::{CatalogueView, Day},
    shard::{CustomerRead, ProfileView, ReadAccess},
    wire::{FieldFault, ServiceError, parse},
};

/// The options of a profile read, other than customer and purpose.
#[derive(Debug)]
pub(crate) struct ReadRequest {
    mask: Option<Vec<AttributeName>>,
    detail: Detail,
}

impl ReadRequest {
    /// Parses the fields that GetProfile and BatchGetProfiles share.
    pub(in crate::api) fn parse(
        mask: Option<&prost_types::FieldMask>,
        verdicts: i32,
        view: &CatalogueView,
    ) -> Result<Self, ServiceError> {
        let detail = match v1::VerdictDetail::try_from(verdicts) {
            Ok(v1::VerdictDetail::Unspecified | v1::VerdictDetail::Full) => Detail::Full,
            Ok(v1::VerdictDetail::None) => Detail::None,
            Ok(v1::VerdictDetail::Only) => Detail::Only,
            Err(_unknown) => return Err(ServiceError::invalid("verdicts", "expected FULL, NONE or ONLY")),
        };
        let mut mask = parse::read_mask(mask)?;
        if let Some(names) = &mut mask {
            names.sort_unstable();
            names.dedup();
            let unknown = |name: &AttributeName| view.catalogue.attribute_by_name(name.as_str()).is_none();
            if names.iter().any(unknown) {
                return Err(ServiceError::field("read_mask", FieldFault::AttributeUnknown));
            }
        }
        Ok(Self { mask, detail })
    }

    /// Whether the catalogue has the requested attributes of a record. Numbers are given in order and never removed, so a
    /// catalogue that has the last one has them all.
    pub(in crate::api) fn knows(&self, record: &CustomerRecord, view: &CatalogueView) -> bool {
        let last = record.attributes.last_key_value();
        self.mask.is_some() || last.is_none_or(|(number, _)| view.catalogue.attribute(*number).is_some())
    }

    /// The profile as the caller may see it.
    pub(in crate::api) fn answer(&self, profile: &ProfileView<'_>) -> Result<v1::Profile, ServiceError> {
        let (record, view) = (profile.record(), profile.view);
        let (asked, attributes) = match &self.mask {
            Some(names) => (Asked::Named, masked(record, names, view)),
            None => (Asked::All, whole(record, view)?),
        };
        let today = Day::of(profile.now);
        let given = |attribute: &AttributeDefinition| profile.context.usage().read(attribute.number, today);
        Ok(convert::profile(profile, attributes.into_iter(), (asked, self.detail), given))
    }
}

impl CustomerRead for v1::GetProfileRequest {
    type Query = ReadRequest;
    const ACCESS: ReadAccess = ReadAccess::Admitted;

    fn parse(&self, view: &CatalogueView) -> Result<ReadRequest, ServiceError> {
        ReadRequest::parse(self.read_mask.as_ref(), self.verdicts, view)
    }

    fn knows(query: &ReadRequest, record: &CustomerRecord, view: &CatalogueView) -> bool {
        query.knows(record, view)
    }

    async fn answer(query: ReadRequest, profile: ProfileView<'_>) -> Result<v1::Profile, ServiceError> {
        query.answer(&profile)
    }
}

type Stored<'a> = Vec<(&'a AttributeDefinition, &'a AttributeValue)>;

fn masked<'a>(record: &'a CustomerRecord, names: &[AttributeName], view: &'a CatalogueView) -> Stored<'a> {
    let stored = |name: &AttributeName| {
        let definition = view.catalogue.attribute_by_name(name.as_str())?;
        Some((&**definition, record.attributes.get(&definition.number)?))
    };
    names.iter().filter_map(stored).collect()
}

fn whole<'a>(record: &'a CustomerRecord, view: &'a CatalogueView) -> Result<Stored<'a>, ServiceError> {
    let defined = |(number, stored)| Some((&**view.catalogue.attribute(number)?, stored));
    let asked = record.attributes.iter().map(|(number, stored)| defined((*number, stored))).collect();
    let asked: Option<Stored<'a>> = asked;
    asked.ok_or(ServiceError::Internal { context: "a stored attribute is not in the catalogue" })
}
