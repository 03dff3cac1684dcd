//! BatchLookupProfiles: LookupProfile for many identifiers.

use custodia_proto::v1::{self, batch_lookup::Result as Wire};
use futures::{StreamExt as _, stream};

use crate::{
    api::{
        handler::{Answered, ShardLeadersCall, holder_read},
        profile::ReadRequest,
    },
    catalogue::{CatalogueNeed, CatalogueView},
    routing::Call,
    shard::{ShardContext, reader_for},
    wire::{
        ServiceError,
        parse::{self, within_limit},
        row_error,
    },
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
        // What all share is refused once.
        let stated = parse::purpose(&self.purpose, "purpose")?;
        let shared = |view: &CatalogueView| {
            reader_for(&call.caller, view, view.purpose(&stated, "purpose")?)?;
            ReadRequest::parse(self.read_mask.as_ref(), self.verdicts, view)
        };
        context.catalogue().parse_on(CatalogueNeed::Names, call.deadline, shared, |_, _| true).await?;
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
        let mut found = stream::iter(lookups).buffered(AT_ONCE).enumerate();
        let mut bytes_left = context.limits().response_bytes_max / 8 * 7;
        let mut lookups = Vec::with_capacity(self.identifiers.len());
        while let Some((at, found)) = found.next().await {
            let found = found.map(Answered::into_answer).and_then(|found| {
                let too_large = ServiceError::ResponseTooLarge { limit: "response_bytes_max" };
                bytes_left = bytes_left.checked_sub(prost::Message::encoded_len(&found)).ok_or(too_large)?;
                Ok(found)
            });
            let of_row =
                |field: &str| Some(format!("identifiers[{at}]{}", field.strip_prefix("identifier")?));
            let error = |error: ServiceError| Wire::Error(row_error(error.renamed(of_row)));
            lookups.push(v1::BatchLookup { result: Some(found.map_or_else(error, Wire::Found)) });
        }
        Ok(v1::BatchLookupProfilesResponse { lookups })
    }
}
