//! ListCatalogChanges: every change of the catalogue in order, read from this node's engine once the node has caught up with
//! everything acknowledged before the call.

use custodia_proto::v1;
use prost::Message as _;
use tokio::time::Instant;

use super::{convert, entries::PAGE};
use crate::{
    api::handler::AnyNodeCall,
    catalogue::ChangeLog,
    shard::ShardContext,
    wire::{Listing, Pager, ServiceError, page_start},
};

impl AnyNodeCall for v1::ListCatalogChangesRequest {
    async fn answer(
        self,
        context: &ShardContext,
        deadline: Instant,
    ) -> Result<v1::ListCatalogChangesResponse, ServiceError> {
        let version = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes);
        let after = page_start(Listing::Changes, &self.page_token, version)?;
        let pager = Pager::new(Listing::Changes, self.page_size, PAGE)?;
        let view = context.catalogue().current_view(deadline).await?;
        let mut pager = pager.within_bytes(context.limits().response_bytes_max / 2);
        let mut log = ChangeLog::after(context.engine(), after);
        let mut changes = Vec::new();
        while let Some(change) = log.next_change()? {
            let wire = convert::change(&change, &view.catalogue);
            if !pager.admits(&change.version().to_be_bytes(), wire.encoded_len()) {
                break;
            }
            changes.push(wire);
        }
        Ok(v1::ListCatalogChangesResponse { changes, next_page_token: pager.next_page_token() })
    }
}
