//! Reads of one or many profiles on the leader.
//!
//! ```text
//! read barrier ─▶ one engine get ─▶ key from the cache ─▶ open ─▶ decode ─▶ permission once ─▶ attributes
//! ```
//!
//! Must always hold: what is given was allowed by the record that the read barrier makes current, so that after an
//! acknowledged withdrawal nothing is given that it forbids.

use std::sync::Arc;

use custodia_profile::{
    AttributeDefinition, AttributeName, AttributeValue, CustomerId, CustomerRecord, Permission, PurposeId,
    ShardId,
};
use custodia_proto::v1;
use tokio::time::Instant;

use super::{
    catalogue_view::CatalogueView,
    convert::{self, At, Detail},
    error::{FieldFault, ServiceError},
    parse,
    record::{Home, Loaded},
    room::Room,
    time::now,
};

/// What a read asks for, but for the customer.
#[derive(Debug)]
pub(super) struct Question {
    purpose: PurposeId,
    mask: Option<Vec<AttributeName>>,
    detail: Detail,
}

impl Question {
    /// Parses what GetProfile and BatchGetProfiles have in common.
    pub(super) fn parse(
        purpose: &str,
        mask: Option<&prost_types::FieldMask>,
        verdicts: i32,
    ) -> Result<Self, ServiceError> {
        let detail = match v1::VerdictDetail::try_from(verdicts) {
            Ok(v1::VerdictDetail::Unspecified | v1::VerdictDetail::Full) => Detail::Full,
            Ok(v1::VerdictDetail::None) => Detail::None,
            Err(_unknown) => return Err(ServiceError::invalid("verdicts", "expected FULL or NONE")),
        };
        let mut mask = parse::read_mask(mask)?;
        if let Some(names) = &mut mask {
            names.sort_unstable();
            names.dedup();
        }
        Ok(Self { purpose: parse::purpose(purpose, "purpose")?, mask, detail })
    }
}

impl Room {
    /// The catalogue, once it has these names; where it does not know one, as it is after catching up.
    pub(super) async fn view_with(
        &self,
        deadline: Instant,
        knows: impl Fn(&CatalogueView) -> bool + Send,
    ) -> Result<Arc<CatalogueView>, ServiceError> {
        let view = self.view()?;
        if knows(&view) {
            return Ok(view);
        }
        // Boxed, here and wherever the cold way begins: the hot one is to have a small future.
        Box::pin(self.catalogue_cache().catch_up(self, deadline)).await?;
        self.view()
    }

    /// The catalogue for a question, whose names it has.
    pub(super) async fn view_for(
        &self,
        question: &Question,
        deadline: Instant,
    ) -> Result<Arc<CatalogueView>, ServiceError> {
        let knows = |view: &CatalogueView| {
            let mut names = question.mask.iter().flatten();
            view.catalogue.purpose_by_id(question.purpose.as_str()).is_some()
                && names.all(|name| view.catalogue.attribute_by_name(name.as_str()).is_some())
        };
        let view = self.view_with(deadline, knows).await?;
        view.purpose(&question.purpose, "purpose")?;
        if !knows(&view) {
            return Err(ServiceError::field("read_mask", FieldFault::AttributeUnknown));
        }
        Ok(view)
    }

    /// One profile, from the engine as it is now; the caller has passed the read barrier of the shard.
    pub(super) async fn profile(
        &self,
        shard: ShardId,
        customer: CustomerId,
        question: &Question,
        view: &CatalogueView,
        deadline: Instant,
    ) -> Result<v1::Profile, ServiceError> {
        let core = self.core(Home { shard, customer })?.ok_or(ServiceError::CustomerNotFound)?;
        if let Some(profile) = seen(customer, &core, question, view)? {
            return Ok(profile);
        }
        // The record holds an attribute that was defined moments ago on another node.
        Box::pin(self.catalogue_cache().catch_up(self, deadline)).await?;
        let profile = seen(customer, &core, question, &*self.view()?)?;
        profile.ok_or(ServiceError::Internal { context: "a stored attribute that no catalogue defines" })
    }
}

/// The profile as it may be seen; nothing where the record holds an attribute that this catalogue does not define.
fn seen(
    customer: CustomerId,
    core: &Loaded<CustomerRecord>,
    question: &Question,
    view: &CatalogueView,
) -> Result<Option<v1::Profile>, ServiceError> {
    let record = &core.value;
    let purpose = view.purpose(&question.purpose, "purpose")?;
    let permission = Permission::for_purpose(purpose, record, now());
    let at = At { customer, revision: core.revision() };
    let asked = match &question.mask {
        Some(names) => masked(record, names, view),
        None => match whole(record, view) {
            Some(asked) => asked,
            None => return Ok(None),
        },
    };
    Ok(Some(convert::profile(at, record, asked.into_iter(), &permission, question.detail, &view.catalogue)))
}

type Asked<'a> = Vec<(&'a AttributeDefinition, &'a AttributeValue)>;

fn masked<'a>(record: &'a CustomerRecord, names: &[AttributeName], view: &'a CatalogueView) -> Asked<'a> {
    let stored = |name: &AttributeName| {
        let definition = view.catalogue.attribute_by_name(name.as_str())?;
        Some((&**definition, record.attributes.get(&definition.number)?))
    };
    names.iter().filter_map(stored).collect()
}

fn whole<'a>(record: &'a CustomerRecord, view: &'a CatalogueView) -> Option<Asked<'a>> {
    let defined = |(number, stored)| Some((&**view.catalogue.attribute(number)?, stored));
    record.attributes.iter().map(|(number, stored)| defined((*number, stored))).collect()
}
