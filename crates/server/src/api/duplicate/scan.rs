//! ScanDuplicates: one step of a scan of all customers.

use custodia_proto::v1;

use super::{check_purpose, convert};
use crate::{
    api::handler::ShardLeadersCall,
    routing::Call,
    shard::{ScanPosition, ScanStep, ShardContext},
    wire::{Listing, ServiceError, page_start, page_token},
};

impl ShardLeadersCall for v1::ScanDuplicatesRequest {
    async fn answer(self, context: &ShardContext, call: &Call) -> Result<Self::Answer, ServiceError> {
        check_purpose(context, call, &self.purpose).await?;
        let at = page_start(Listing::DuplicateScan, &self.page_token, ScanPosition::from_bytes)?;
        let phase = match at {
            None | Some(ScanPosition::Index(..)) => v1::ScanPhase::Index,
            Some(ScanPosition::Compare { .. }) => v1::ScanPhase::Compare,
            Some(ScanPosition::Recheck(..)) => v1::ScanPhase::Recheck,
        };
        let step = Box::pin(context.scan_step(at, call.deadline)).await?;
        let ScanStep {
            done, records_read, records_indexed, pairs_compared, pairs_found, pairs_removed, ..
        } = step;
        let next = step.next.map(|next| page_token(Listing::DuplicateScan, &next.to_bytes()));
        Ok(v1::ScanDuplicatesResponse {
            phase: phase.into(),
            done,
            records_read,
            records_indexed,
            pairs_compared,
            pairs_found,
            pairs_removed,
            next_page_token: next.unwrap_or_default(),
            model: step.model.as_deref().map(convert::model),
        })
    }
}
