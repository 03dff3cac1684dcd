//! BatchLookupProfiles: LookupProfile for many identifiers.

use custodia_proto::v1::{self, batch_lookup::Result as Wire};
use futures::{StreamExt as _, stream};

use crate::{
    api::handler::{ShardLeadersCall, holder_read},
    routing::Call,
    shard::ShardContext,
    wire::{ServiceError, parse::within_limit, row_error},
};

/// The maximum number of identifiers that one call looks up at the same time.
const AT_ONCE: usize = 32;

impl ShardLeadersCall for v1::BatchLookupProfilesRequest {
    async fn answer(
        self,
        context: &ShardContext,
        call: &Call,
    ) -> Result<v1::BatchLookupProfilesResponse, ServiceError> {
        within_limit("identifiers", self.identifiers.len(), context.limits().batch_ids_max)?;
        let mut bytes_left = context.limits().response_bytes_max / 8 * 7;
        let lookups = self.identifiers.iter().map(|identifier| {
            let request = v1::LookupProfileRequest {
                identifier: Some(identifier.clone()),
                purpose: self.purpose.clone(),
                read_mask: self.read_mask.clone(),
                verdicts: self.verdicts,
                customer_id: String::new(),
            };
            holder_read(context, call, request)
        });
        let lookups: Vec<_> = lookups.collect();
        let found: Vec<_> = stream::iter(lookups).buffered(AT_ONCE).collect().await;
        let mut result = |found: Result<v1::LookupProfileResponse, ServiceError>| {
            let found = found.and_then(|found| {
                let too_large = ServiceError::ResponseTooLarge { limit: "response_bytes_max" };
                bytes_left = bytes_left.checked_sub(prost::Message::encoded_len(&found)).ok_or(too_large)?;
                Ok(found)
            });
            let result = found.map_or_else(|error| Wire::Error(row_error(error)), Wire::Found);
            v1::BatchLookup { result: Some(result) }
        };
        let lookups =
            found.into_iter().map(|found| result(found.map(crate::api::handler::Answered::into_answer)));
        Ok(v1::BatchLookupProfilesResponse { lookups: lookups.collect() })
    }
}
