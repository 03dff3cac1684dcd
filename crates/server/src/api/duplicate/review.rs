//! ReviewDuplicate: a person's decision on a pair.

use custodia_profile::{CallerName, PairReview, ReviewDecision};
use custodia_proto::v1;

use super::{check_purpose, convert};
use crate::{
    api::handler::ShardLeadersCall,
    routing::Call,
    shard::ShardContext,
    wire::{FieldFault, ServiceError, now, parse, parse_etag},
};

const NOTE_BYTES_MAX: usize = 1_024;

impl ShardLeadersCall for v1::ReviewDuplicateRequest {
    async fn answer(self, context: &ShardContext, call: &Call) -> Result<Self::Answer, ServiceError> {
        check_purpose(context, call, &self.purpose).await?;
        let one = parse::customer_id(&self.customer_id)?;
        let other =
            parse::customer_id(&self.other_customer_id).map_err(|error| error.named("other_customer_id"))?;
        if one == other {
            return Err(ServiceError::invalid("other_customer_id", "must be another customer"));
        }
        if self.note.len() > NOTE_BYTES_MAX {
            return Err(ServiceError::field("note", FieldFault::TooLong(NOTE_BYTES_MAX)));
        }
        let decision = u8::try_from(self.decision).ok().and_then(ReviewDecision::with_number);
        let decision = decision.ok_or_else(|| ServiceError::missing("decision"))?;
        let revision = parse_etag(&self.etag)?;
        let by = CallerName::new(&call.caller.name)?;
        let review = PairReview { decision, by, at: now(), note: self.note };
        let customers = [one.min(other), one.max(other)];
        let (pair, revision) = context.review_pair(customers, &review, revision, call.deadline).await?;
        let next_step = match decision {
            ReviewDecision::Same => "the two are not merged yet: `custodia profile merge` does that",
            ReviewDecision::Different | ReviewDecision::Later => "",
        };
        Ok(v1::ReviewDuplicateResponse {
            pair: Some(convert::pair(customers, &pair, revision)),
            next_step: next_step.to_owned(),
        })
    }
}
