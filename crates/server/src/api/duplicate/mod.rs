//! DuplicateService: customers who may be one person.

mod convert;
mod find;
mod list;
mod review;
mod scan;

use custodia_profile::{Purpose, PurposeId};

use crate::{
    catalogue::{CatalogueNeed, CatalogueView},
    routing::Call,
    shard::{ShardContext, reader_for},
    wire::{ServiceError, parse},
};

/// Refuses a caller that may not ask for the purpose, before anything is looked at.
pub(in crate::api) async fn check_purpose(
    context: &ShardContext,
    call: &Call,
    purpose: &str,
) -> Result<(), ServiceError> {
    let stated: PurposeId = parse::purpose(purpose, "purpose")?;
    let admitted = |view: &CatalogueView| {
        let purpose: &Purpose = view.purpose(&stated, "purpose")?;
        reader_for(&call.caller, view, purpose).map(drop)
    };
    context.catalogue().parse_on(CatalogueNeed::Names, call.deadline, admitted, |(), _| true).await.map(drop)
}
