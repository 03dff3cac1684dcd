//! Reads of one or many profiles on the leader.
//!
//! ```text
//! reader ─▶ read barrier ─▶ one engine get ─▶ key from the cache ─▶ open ─▶ decode ─▶ permission once ─▶ attributes
//! ```
//!
//! Must always hold: what is given was allowed by the record that the read barrier makes current, so that after an
//! acknowledged withdrawal nothing is given that it forbids.

use std::sync::Arc;

use custodia_profile::{
    AttributeDefinition, AttributeName, AttributeValue, CustomerId, CustomerRecord, Permission, PurposeId,
    ShardId, TimestampMs,
};
use custodia_proto::v1;
use tokio::time::Instant;

use super::{
    catalogue_view::CatalogueView,
    convert::{self, RecordVersion, Detail},
    error::{FieldFault, ServiceError},
    parse,
    record::{CustomerLocation, Loaded},
    context::ShardContext,
    time::now,
    usage::Day,
};
use crate::identity::Caller;

/// What a read asks for, but for the customer.
#[derive(Debug)]
pub(crate) struct ReadRequest {
    purpose: PurposeId,
    mask: Option<Vec<AttributeName>>,
    detail: Detail,
}

impl ReadRequest {
    /// Parses what GetProfile and BatchGetProfiles have in common.
    pub(crate) fn parse(
        purpose: &str,
        mask: Option<&prost_types::FieldMask>,
        verdicts: i32,
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
        }
        Ok(Self { purpose: parse::purpose(purpose, "purpose")?, mask, detail })
    }
}

impl ShardContext {
    /// The catalogue, once it has these names; where it does not know one, as it is after catching up.
    pub(crate) async fn view_with(
        &self,
        deadline: Instant,
        knows: impl Fn(&CatalogueView) -> bool + Send,
    ) -> Result<Arc<CatalogueView>, ServiceError> {
        let view = self.view()?;
        if knows(&view) { Ok(view) } else { self.view_caught_up(deadline).await }
    }

    /// The catalogue, once it passes the check; where it does not, it is caught up and must pass then.
    pub(crate) async fn view_passing(
        &self,
        deadline: Instant,
        check: impl Fn(&CatalogueView) -> Result<(), ServiceError> + Send,
    ) -> Result<Arc<CatalogueView>, ServiceError> {
        let view = self.view()?;
        if check(&view).is_ok() {
            return Ok(view);
        }
        let view = self.view_caught_up(deadline).await?;
        check(&view)?;
        Ok(view)
    }

    async fn view_caught_up(&self, deadline: Instant) -> Result<Arc<CatalogueView>, ServiceError> {
        // Boxed, here and wherever the cold way begins: the hot one is to have a small future.
        Box::pin(self.catalogue_cache().catch_up(self, deadline)).await?;
        self.view()
    }

    /// The catalogue for a question: it admits the caller and has every name.
    pub(crate) async fn view_for(
        &self,
        question: &ReadRequest,
        caller: &Caller,
        deadline: Instant,
    ) -> Result<Arc<CatalogueView>, ServiceError> {
        let check = |view: &CatalogueView| {
            self.admit(caller, view, &question.purpose)?;
            let mut names = question.mask.iter().flatten();
            let all_known = names.all(|name| view.catalogue.attribute_by_name(name.as_str()).is_some());
            let unknown = || ServiceError::field("read_mask", FieldFault::AttributeUnknown);
            all_known.then_some(()).ok_or_else(unknown)
        };
        self.view_passing(deadline, check).await
    }

    /// One profile, from the engine as it is now; the caller has passed the read barrier of the shard, and `view` admits
    /// it.
    pub(crate) async fn profile(
        &self,
        (shard, customer): (ShardId, CustomerId),
        question: &ReadRequest,
        caller: &Caller,
        view: &CatalogueView,
        deadline: Instant,
    ) -> Result<v1::Profile, ServiceError> {
        let core = self.core(CustomerLocation { shard, customer })?.ok_or(ServiceError::CustomerNotFound)?;
        let seen = Seen { context: self, customer, core: &core, question, caller, now: now() };
        if let Some(profile) = seen.with(view)? {
            return Ok(profile);
        }
        // The record holds an attribute that was defined moments ago on another node.
        Box::pin(self.catalogue_cache().catch_up(self, deadline)).await?;
        let profile = seen.with(&*self.view()?)?;
        profile.ok_or(ServiceError::Internal { context: "a stored attribute that no catalogue defines" })
    }
}

/// A record that is looked at.
struct Seen<'a> {
    context: &'a ShardContext,
    customer: CustomerId,
    core: &'a Loaded<CustomerRecord>,
    question: &'a ReadRequest,
    caller: &'a Caller,
    now: TimestampMs,
}

impl Seen<'_> {
    /// The profile as it may be seen; nothing where the record holds an attribute that this catalogue does not define.
    fn with(&self, view: &CatalogueView) -> Result<Option<v1::Profile>, ServiceError> {
        let Self { context, core, question, .. } = self;
        let record = &core.value;
        let purpose = view.purpose(&question.purpose, "purpose")?;
        let reader = context.reader_for(self.caller, view, purpose)?;
        let permission = Permission::for_purpose(purpose, reader, record, &view.catalogue, self.now);
        let asked = match &question.mask {
            Some(names) => masked(record, names, view),
            None => match whole(record, view) {
                Some(asked) => asked,
                None => return Ok(None),
            },
        };
        let at = RecordVersion { customer: self.customer, revision: core.revision() };
        let today = Day::of(self.now);
        let given = |attribute: &AttributeDefinition| context.usage().read(attribute.number, today);
        let asked = asked.into_iter();
        Ok(Some(convert::profile(at, record, asked, &permission, question.detail, &view.catalogue, given)))
    }
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
