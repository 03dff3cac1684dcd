//! ListDuplicates: the queue of pairs, shard by shard.

use custodia_profile::{CustomerId, ShardId};
use custodia_proto::v1;

use super::{check_purpose, convert};
use crate::{
    api::handler::ShardLeadersCall,
    routing::Call,
    shard::{PairPage, ShardContext, pair_bytes, pair_in_bytes},
    wire::{FieldFault, Listing, ServiceError, page_start, page_token},
};

/// Pairs on a page: if the caller does not say, and at most.
const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1_000;
/// Pairs that are looked at for a page.
const LOOKED_AT_MAX: usize = 2_000;

/// The list goes on after a pair of a shard.
#[derive(Debug, Clone, Copy)]
struct Position {
    shard: ShardId,
    after: Option<[CustomerId; 2]>,
}

impl Position {
    fn to_bytes(self) -> Vec<u8> {
        let after = self.after.map(pair_bytes).unwrap_or_default();
        [&self.shard.as_u16().to_be_bytes()[..], &after].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (shard, after) = bytes.split_first_chunk::<2>()?;
        let shard = ShardId::new(u16::from_be_bytes(*shard)).ok()?;
        let after = if after.is_empty() { None } else { Some(pair_in_bytes(after)?) };
        Some(Self { shard, after })
    }
}

impl ShardLeadersCall for v1::ListDuplicatesRequest {
    async fn answer(self, context: &ShardContext, call: &Call) -> Result<Self::Answer, ServiceError> {
        check_purpose(context, call, &self.purpose).await?;
        let size = match usize::try_from(self.page_size) {
            Ok(0) => PAGE_DEFAULT,
            Ok(size) if size <= PAGE_MAX => size,
            Ok(_) => return Err(ServiceError::field("page_size", FieldFault::TooMany(PAGE_MAX))),
            Err(_negative) => return Err(ServiceError::invalid("page_size", "must not be negative")),
        };
        let start = page_start(Listing::Duplicates, &self.page_token, Position::from_bytes)?;
        let first = context.shard_after(None)?.map(|shard| Position { shard, after: None });
        let mut at = start.or(first);
        let (mut pairs, mut looked_at) = (Vec::new(), 0);
        while let Some(Position { shard, after }) =
            at.filter(|_| pairs.len() < size && looked_at < LOOKED_AT_MAX)
        {
            let wanted = size - pairs.len();
            let page = context.pairs_after(shard, after, wanted, call.deadline).await?;
            let PairPage { pairs: found, last } = page;
            looked_at += wanted;
            let found = found.iter().filter(|(_, pair, _)| pair.is_open() != self.decided);
            pairs.extend(found.map(|(of, pair, revision)| convert::pair(*of, pair, *revision)));
            at = match last {
                Some(_) => Some(Position { shard, after: last }),
                None => context.shard_after(Some(shard))?.map(|shard| Position { shard, after: None }),
            };
        }
        let next = at.map(|at| page_token(Listing::Duplicates, &at.to_bytes()));
        Ok(v1::ListDuplicatesResponse { pairs, next_page_token: next.unwrap_or_default() })
    }
}
