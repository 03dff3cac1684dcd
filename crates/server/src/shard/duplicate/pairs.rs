//! The pairs that were found, and the decisions on them.
//!
//! ```text
//! Duplicate ‖ smaller customer ‖ larger       the pair, sealed with the key of the smaller
//! Duplicate ‖ larger customer ‖ smaller       a copy, sealed with the key of the larger: for questions about that customer
//! ```
//! Must always hold: a decision is replaced only by a person, or forgotten because there is evidence that was not there when it
//! was made. A copy may be behind; the next scan brings it up to date.

use custodia_consensus::{Command, Condition, Expected, ReadMode, Write};
use custodia_profile::{
    CallerName, CustomerId, DuplicatePair, GroupId, PairReview, PairScore, Revision, ShardId, Stored as _,
    TimestampMs,
};
use custodia_proto::internal::v1::{
    self as internal, DuplicateAnswer, PairBatch, PairWalk, StoredPair, duplicate_request::Action,
};
use custodia_store::{Key, KeyKind, KeyParts, KeyPrefix};
use futures::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};
use tokio::{task::yield_now, time::Instant};
use zeroize::Zeroizing;

use super::{
    message::{
        customer_in, customers_in, decision_in, pair_bytes, pair_in, pair_in_bytes, pair_message, score_in,
        score_message,
    },
    proposal::is_removed,
    scan::Judged,
};
use crate::{
    keys::KeysError,
    propose::Attempt,
    routing::CustomerLocation,
    shard::{Loaded, ShardContext},
    wire::{ServiceError, now},
};

/// Pairs that are proposed at the same time.
const AT_ONCE: usize = 16;
/// Pairs that one call stores.
const BATCH_PAIRS_MAX: usize = 256;
/// Pairs of one customer that are looked at.
const PAIRS_OF_ONE_MAX: usize = 16;
/// Reads after which other calls get their turn.
const READS_AT_ONCE: usize = 16;

/// The next pairs of a shard.
#[derive(Debug)]
pub(crate) struct PairPage {
    /// The pairs with their customers and revisions, by the smaller customer.
    pub(crate) pairs: Vec<([CustomerId; 2], DuplicatePair, Revision)>,
    /// The last pair that was looked at; none: there are no more.
    pub(crate) last: Option<[CustomerId; 2]>,
}

/// From whichever node.
impl ShardContext {
    /// Puts what was judged into the queue; how many pairs are new or judged otherwise than before, and how many were removed.
    pub(super) async fn queue(
        &self,
        judged: Vec<Judged>,
        deadline: Instant,
    ) -> Result<(u64, u64), ServiceError> {
        let pair = |([customer, other], score): Judged| StoredPair {
            customer: customer.as_bytes().to_vec().into(),
            other: other.as_bytes().to_vec().into(),
            found_at_ms: score.as_ref().map_or(0, |score| score.found_at.as_ms()),
            score: score.as_ref().map(score_message),
            ..StoredPair::default()
        };
        let changed = self.put(judged.into_iter().map(pair), Action::Store, deadline).await?;
        let removed = changed.iter().filter(|pair| is_removed(pair)).count();
        let found = changed.len() - removed;
        self.copy_pairs(changed, deadline).await?;
        let count = |of: usize| u64::try_from(of).unwrap_or(u64::MAX);
        Ok((count(found), count(removed)))
    }

    /// Brings the copies of these pairs up to date.
    pub(super) async fn copy_pairs(
        &self,
        pairs: impl IntoIterator<Item = StoredPair>,
        deadline: Instant,
    ) -> Result<(), ServiceError> {
        let turned = |pair: StoredPair| {
            let StoredPair { customer, other, .. } = &pair;
            StoredPair { customer: other.clone(), other: customer.clone(), ..pair }
        };
        self.put(pairs.into_iter().map(turned), Action::Copy, deadline).await.map(drop)
    }

    pub(super) async fn put(
        &self,
        pairs: impl IntoIterator<Item = StoredPair>,
        action: fn(PairBatch) -> Action,
        deadline: Instant,
    ) -> Result<Vec<StoredPair>, ServiceError> {
        let located = pairs
            .into_iter()
            .map(|pair| Ok((self.routing().locate(customer_in(&pair.customer)?)?.shard, pair)));
        let parts = self.by_leader(located.collect::<Result<Vec<_>, ServiceError>>()?)?;
        let asked = parts.iter().flat_map(|part| {
            let batches = part.of.chunks(BATCH_PAIRS_MAX);
            batches.map(move |pairs| self.ask(part, action(PairBatch { pairs: pairs.to_vec() }), deadline))
        });
        Ok(try_join_all(asked).await?.into_iter().flat_map(|answer| answer.pairs).collect())
    }

    /// The pairs of a shard after one.
    pub(crate) async fn pairs_after(
        &self,
        shard: ShardId,
        after: Option<[CustomerId; 2]>,
        pairs_max: usize,
        deadline: Instant,
    ) -> Result<PairPage, ServiceError> {
        let after = after.map(pair_bytes).unwrap_or_default().into();
        let walk = PairWalk { after, pairs_max: u32::try_from(pairs_max).unwrap_or(u32::MAX) };
        let answer = self.ask(&self.leader_of_shard(shard)?, Action::Pairs(walk), deadline).await?;
        let pairs = answer
            .pairs
            .iter()
            .map(|pair| Ok((customers_in(pair)?, pair_in(pair)?, Revision::from_u64(pair.revision))));
        let last = if answer.at_end { None } else { pair_in_bytes(&answer.last) };
        Ok(PairPage { pairs: pairs.collect::<Result<_, ServiceError>>()?, last })
    }

    /// Records a decision on a pair, of which the smaller customer comes first.
    pub(crate) async fn review_pair(
        &self,
        [customer, other]: [CustomerId; 2],
        review: &PairReview,
        revision: Option<Revision>,
        deadline: Instant,
    ) -> Result<(DuplicatePair, Revision), ServiceError> {
        let leader = self.leader_of_shard(self.routing().locate(customer)?.shard)?;
        let pair = StoredPair {
            customer: customer.as_bytes().to_vec().into(),
            other: other.as_bytes().to_vec().into(),
            ..StoredPair::default()
        };
        let action = Action::Review(internal::PairReview {
            pair: Some(pair),
            decision: review.decision.number().into(),
            by: review.by.as_str().to_owned(),
            at_ms: review.at.as_ms(),
            note: review.note.clone(),
            revision: revision.map(Revision::as_u64),
        });
        let answer = self.ask(&leader, action, deadline).await?;
        let pair = answer.pairs.into_iter().next();
        let pair =
            pair.ok_or(ServiceError::Internal { context: "a decision was answered without its pair" })?;
        let decided = (pair_in(&pair)?, Revision::from_u64(pair.revision));
        if let Err(error) = self.copy_pairs([pair], deadline).await {
            tracing::debug!(%error, "the copy of a decision waits for the next scan");
        }
        Ok(decided)
    }
}

/// On the leader of the shard of a pair's first customer.
impl ShardContext {
    /// Stores pairs with their first customers: found ones, or copies.
    pub(super) async fn stored_pairs(
        &self,
        batch: &PairBatch,
        deadline: Instant,
    ) -> Result<DuplicateAnswer, ServiceError> {
        let store = |pair: StoredPair| async move {
            let customers = customers_in(&pair)?;
            let found_at = pair.found_at_ms;
            let score = pair.score.as_ref().map(|score| score_in(score, found_at)).transpose()?;
            self.change_pair(customers, deadline, |stored| Ok(found(stored, score.clone()))).await
        };
        self.each_pair(batch, store).await
    }

    /// Stores copies of pairs.
    pub(super) async fn copied_pairs(
        &self,
        batch: &PairBatch,
        deadline: Instant,
    ) -> Result<DuplicateAnswer, ServiceError> {
        let store = |pair: StoredPair| async move {
            let customers = customers_in(&pair)?;
            let copy = (!is_removed(&pair)).then(|| pair_in(&pair)).transpose()?;
            self.change_pair(customers, deadline, |stored| Ok(copied(stored, copy.clone()))).await
        };
        self.each_pair(batch, store).await
    }

    pub(super) async fn each_pair<Storing>(
        &self,
        batch: &PairBatch,
        store: impl Fn(StoredPair) -> Storing,
    ) -> Result<DuplicateAnswer, ServiceError>
    where
        Storing: Future<Output = Result<Option<StoredPair>, ServiceError>>,
    {
        let storing: Vec<_> = batch.pairs.iter().cloned().map(store).collect();
        let changed: Vec<_> = stream::iter(storing).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(DuplicateAnswer { pairs: changed.into_iter().flatten().collect(), ..DuplicateAnswer::default() })
    }

    /// Records a decision.
    pub(super) async fn reviewed_pair(
        &self,
        review: &internal::PairReview,
        deadline: Instant,
    ) -> Result<DuplicateAnswer, ServiceError> {
        let customers = customers_in(review.pair.as_ref().ok_or(ServiceError::RequestMalformed)?)?;
        let decided = &PairReview {
            decision: decision_in(review.decision)?,
            by: CallerName::new(&review.by)?,
            at: TimestampMs::from_ms(review.at_ms),
            note: review.note.clone(),
        };
        let change = |stored: Option<&Loaded<DuplicatePair>>| {
            let stored = stored.ok_or(ServiceError::PairNotFound)?;
            if review.revision.is_some_and(|revision| revision != stored.header.revision) {
                return Err(ServiceError::EtagStale);
            }
            Ok(PairUpdate::Put(DuplicatePair { review: Some(decided.clone()), ..stored.value.clone() }))
        };
        let pair = self.change_pair(customers, deadline, change).await?;
        Ok(DuplicateAnswer { pairs: pair.into_iter().collect(), ..DuplicateAnswer::default() })
    }

    /// Changes the pair that is stored with its first customer; the pair as it is then, if it changed.
    pub(super) async fn change_pair(
        &self,
        [customer, other]: [CustomerId; 2],
        deadline: Instant,
        change: impl Fn(Option<&Loaded<DuplicatePair>>) -> Result<PairUpdate, ServiceError> + Send + Sync,
    ) -> Result<Option<StoredPair>, ServiceError> {
        let location = self.routing().locate(customer)?;
        let (key, change) = (&Key::duplicate(location.group(), &customer, &other), &change);
        let attempt = || async move {
            let stored: Option<Loaded<DuplicatePair>> = self.load(location, key)?;
            let revision = stored.as_ref().map_or(0, |stored| stored.header.revision);
            let condition = Condition { key: key.as_bytes().clone(), expected: Expected::as_read(revision) };
            match change(stored.as_ref())? {
                PairUpdate::None => Ok(Attempt::Done(None)),
                PairUpdate::Remove => {
                    let writes = vec![Write { key: key.as_bytes().clone(), value: None }];
                    let answer = Some(StoredPair {
                        customer: customer.as_bytes().to_vec().into(),
                        other: other.as_bytes().to_vec().into(),
                        ..StoredPair::default()
                    });
                    Ok(Attempt::Propose { command: Command { conditions: vec![condition], writes }, answer })
                }
                PairUpdate::Put(pair) => {
                    let after = revision_after(revision);
                    let mut command = self.sealed_pair(location, key, after, &pair, deadline).await?;
                    command.conditions.push(condition);
                    let answer = Some(pair_message([customer, other], &pair, after));
                    Ok(Attempt::Propose { command, answer })
                }
            }
        };
        self.routing().propose_until_applied(location.group(), deadline, attempt).await
    }

    /// The pair that is stored with its first customer.
    pub(super) fn stored_pair(
        &self,
        [customer, other]: [CustomerId; 2],
    ) -> Result<Option<StoredPair>, ServiceError> {
        let location = self.routing().locate(customer)?;
        let key = Key::duplicate(location.group(), &customer, &other);
        let stored: Option<Loaded<DuplicatePair>> = self.load(location, &key)?;
        Ok(stored.map(|stored| pair_message([customer, other], &stored.value, stored.header.revision)))
    }

    async fn sealed_pair(
        &self,
        location: CustomerLocation,
        key: &Key,
        revision: u64,
        pair: &DuplicatePair,
        deadline: Instant,
    ) -> Result<Command, ServiceError> {
        let failed = |error: KeysError| self.key_failure(location.group(), error);
        let keys = self.keys_of(location.shard)?;
        let bucket = Some(keys.bucket_of(location.customer).map_err(failed)?);
        let writer = keys.writer(location.customer, bucket, deadline.into_std()).await.map_err(failed)?;
        let plaintext = Zeroizing::new(pair.encode());
        let mut command = Command::default();
        command.writes.push(writer.seal(key, revision, 0, &plaintext).map_err(failed)?);
        writer.finish(&mut command);
        Ok(command)
    }

    /// The next pairs of a shard that are stored with the smaller customer.
    pub(super) async fn walked_pairs(
        &self,
        shard: ShardId,
        walk: &PairWalk,
        deadline: Instant,
    ) -> Result<DuplicateAnswer, ServiceError> {
        let group = GroupId::Shard(shard);
        let after = match &walk.after[..] {
            [] => None,
            after => {
                let [customer, other] = pair_in_bytes(after).ok_or(ServiceError::RequestMalformed)?;
                Some(Key::duplicate(group, &customer, &other))
            }
        };
        let limit = usize::try_from(walk.pairs_max).unwrap_or(usize::MAX).max(1);
        let read = async || {
            let prefix = KeyPrefix::kind(group, KeyKind::Duplicate);
            let after = after.as_ref().map(AsRef::as_ref);
            let stored = self.engine().scan(prefix.as_bytes(), after, limit)?;
            let (at_end, mut last, mut pairs) = (stored.len() < limit, Vec::new(), Vec::new());
            for (count, (key, value)) in stored.into_iter().enumerate() {
                let customers = pair_of(&key)?;
                last = pair_bytes(customers);
                let [customer, other] = customers;
                if customer < other {
                    let location = CustomerLocation { shard, customer };
                    let pair: Option<Loaded<DuplicatePair>> =
                        self.open(location, &Key::parse(key)?, value)?;
                    pairs.extend(pair.map(|pair| pair_message(customers, &pair.value, pair.header.revision)));
                }
                if count % READS_AT_ONCE == 0 {
                    yield_now().await;
                }
            }
            Ok(DuplicateAnswer { pairs, at_end, last: last.into(), ..DuplicateAnswer::default() })
        };
        self.read_led(GroupId::Shard(shard), ReadMode::Lease, deadline, read).await
    }
}

impl ShardContext {
    /// The open pairs of a customer, each with the other one: the first few that are stored. The caller must have passed the read
    /// barrier.
    pub(crate) fn open_pairs_of(
        &self,
        location: CustomerLocation,
    ) -> Result<Vec<(CustomerId, DuplicatePair)>, ServiceError> {
        let prefix = KeyPrefix::customer(location.group(), KeyKind::Duplicate, &location.customer);
        let mut open = Vec::new();
        for (key, value) in self.engine().scan(prefix.as_bytes(), None, PAIRS_OF_ONE_MAX)? {
            let [_, other] = pair_of(&key)?;
            let pair: Option<Loaded<DuplicatePair>> = self.open(location, &Key::parse(key)?, value)?;
            open.extend(pair.map(|pair| (other, pair.value)).filter(|(_, pair)| pair.is_open()));
        }
        Ok(open)
    }
}

/// What becomes of a stored pair.
pub(super) enum PairUpdate {
    None,
    Put(DuplicatePair),
    Remove,
}

/// A pair that was found with this score, or no more.
fn found(stored: Option<&Loaded<DuplicatePair>>, score: Option<PairScore>) -> PairUpdate {
    let stored = stored.map(|stored| &stored.value);
    match (stored, score) {
        (None, None) => PairUpdate::None,
        (Some(stored), None) => {
            stored.clone().found_no_more().map_or(PairUpdate::Remove, |after| changed(stored, after))
        }
        (None, Some(score)) => PairUpdate::Put(DuplicatePair::found(score)),
        (Some(stored), Some(score))
            if stored.score.as_ref().is_some_and(|known| known.says_the_same(&score)) =>
        {
            PairUpdate::None
        }
        (Some(stored), Some(score)) => changed(stored, stored.clone().found_again(score)),
    }
}

fn copied(stored: Option<&Loaded<DuplicatePair>>, copy: Option<DuplicatePair>) -> PairUpdate {
    match (stored, copy) {
        (None, None) => PairUpdate::None,
        (Some(_), None) => PairUpdate::Remove,
        (None, Some(copy)) => PairUpdate::Put(copy),
        (Some(stored), Some(copy)) => changed(&stored.value, copy),
    }
}

pub(super) fn changed(stored: &DuplicatePair, after: DuplicatePair) -> PairUpdate {
    if *stored == after { PairUpdate::None } else { PairUpdate::Put(after) }
}

/// The next revision. The first one is the time: a pair may be removed and found again, and no revision may come twice.
fn revision_after(revision: u64) -> u64 {
    let first = || u64::try_from(now().as_ms()).unwrap_or_default().max(1);
    if revision == 0 { first() } else { revision.saturating_add(1) }
}

fn pair_of(key: &[u8]) -> Result<[CustomerId; 2], ServiceError> {
    let KeyParts { customer, suffix, .. } = KeyParts::parse(key)?;
    Ok([customer.ok_or(ServiceError::Unreadable)?, customer_in(suffix)?])
}
