//! The claims of a customer's identifiers: asked of the leaders of the identifiers' shards, and settled by the leaders of the
//! customers' shards. `index.rs` says what must hold.
//!
//! Identifiers are claimed one after another, in the order of their blinded values, so two writes that want the same ones do not
//! wait for each other. Old claims, of what a record has lost or never gained, break that order. So a wait for another write is
//! short, and shorter towards the customer with the smaller id: of those who wait in a circle one gives up first.

use std::collections::{BTreeMap, BTreeSet};

use custodia_consensus::ReadMode;
use custodia_profile::{CustomerId, CustomerRecord, GroupId, Identifier, KeyEpoch, MergeId, RefusalReason};
use custodia_proto::internal::v1::{IndexAction, IndexOutcome, IndexRequest};
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::{
    ShardContext,
    index::{Claim, Claimed},
    index_call::{customer_in, request},
    merge::REDIRECTS_MAX,
    other::check_merges,
    rotation::Blinded,
    write::{Commit, CustomerState},
};
use crate::{
    catalogue::CatalogueView,
    keys::{KeysError, KnownBlindingKeys},
    propose::TRIES_MAX,
    routing::{CustomerLocation, Hop, Redirect, Route},
    wire::{LeaderHint, ServiceError},
};

/// Whether a customer who claimed an identifier holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The record of this customer has the identifier: of the one who claimed it, or of the one into whom that one was merged.
    Held(CustomerId),
    /// Its record has it not, and will not have it by any write that has loaded the record before.
    Free,
    /// A write of this customer is in progress.
    Busy,
    /// It names the one who wants to know as its survivor, and does not hold the identifier itself. It is kept in the entry, since its merge
    /// may be undone.
    Own,
}

/// Why a customer cannot have an identifier, and who has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) reason: RefusalReason,
    pub(crate) holder: CustomerId,
}

/// The identifiers that a write cannot have.
pub(crate) type TakenIdentifiers = BTreeMap<Identifier, Taken>;

impl ShardContext {
    /// The blinding keys, once this node has the one of this epoch.
    pub(super) async fn blinding_keys(
        &self,
        epoch: KeyEpoch,
        deadline: Instant,
    ) -> Result<KnownBlindingKeys, ServiceError> {
        let known = self.keys().blinding().known_from(epoch, deadline).await;
        known.map_err(|error| self.blinding_failure(error))
    }

    pub(super) fn blinding_failure(&self, error: KeysError) -> ServiceError {
        self.key_failure(GroupId::Directory, error)
    }

    /// Whether the record has the identifier.
    pub(crate) fn holds(&self, record: &CustomerRecord, identifier: &Blinded) -> Result<bool, ServiceError> {
        let keys = self.keys().blinding().known().map_err(|error| self.blinding_failure(error))?;
        let key = keys.of_epoch(identifier.epoch).map_err(|error| self.blinding_failure(error))?;
        Ok(record.identifiers.keys().any(|held| Blinded::by(key, held) == *identifier))
    }

    /// Claims what a record gains; what it cannot have is returned. During a rotation of the blinding key an identifier is claimed
    /// under each key that the customer's shard says, and the shard's stage is a condition of the record.
    pub(super) async fn claim_gained(
        &self,
        state: &CustomerState<'_>,
        after: &CustomerRecord,
        commit: Commit,
        deadline: Instant,
    ) -> Result<TakenIdentifiers, ServiceError> {
        let mut taken = TakenIdentifiers::new();
        let gained: Vec<_> = difference(after, state.record()).collect();
        if commit == Commit::ValidateOnly {
            for identifier in gained {
                let (holders_max, reason) = holders_max(identifier, state.view)?;
                if let Some(holder) =
                    self.would_be_held(state.location.customer, identifier, holders_max, deadline).await?
                {
                    taken.insert(identifier.clone(), Taken { reason, holder });
                }
            }
            return Ok(taken);
        }
        let mut claimed = Vec::new();
        if !gained.is_empty() {
            let stage = state.blinding.stage;
            let keys = self.blinding_keys(stage.epoch, deadline).await?;
            for epoch in stage.claimed_under() {
                let key = keys.of_epoch(epoch).map_err(|error| self.blinding_failure(error))?;
                claimed.extend(gained.iter().map(|one| (Blinded::by(key, one), *one)));
            }
        }
        claimed.sort_unstable();
        for (blinded, identifier) in claimed {
            if taken.contains_key(identifier) {
                continue;
            }
            let (holders_max, reason) = holders_max(identifier, state.view)?;
            let claim = &Claim { identifier: blinded, customer: state.location.customer, holders_max };
            match self.claim_patiently(claim, deadline).await? {
                Claimed::Granted => {}
                Claimed::Held(holder) => {
                    taken.insert(identifier.clone(), Taken { reason, holder });
                }
                Claimed::Busy => return Err(ServiceError::Contended { tries: TRIES_MAX }),
            }
        }
        Ok(taken)
    }

    /// Claims again while others change the same entry, or a write of a holder is in progress.
    async fn claim_patiently(&self, claim: &Claim, deadline: Instant) -> Result<Claimed, ServiceError> {
        for _ in 1..TRIES_MAX {
            match self.claim(claim, deadline).await? {
                Claimed::Busy => {}
                claimed @ (Claimed::Granted | Claimed::Held(_)) => return Ok(claimed),
            }
        }
        self.claim(claim, deadline).await
    }

    async fn claim(&self, claim: &Claim, deadline: Instant) -> Result<Claimed, ServiceError> {
        let Some(leader) = self.leader_of(&claim.identifier)? else {
            return Box::pin(self.claim_here(claim, deadline)).await.map_err(of_index);
        };
        let holders_max = u32::try_from(claim.holders_max).unwrap_or(u32::MAX);
        let of_customer = request(IndexAction::Claim, &claim.identifier, Some(claim.customer));
        let request = IndexRequest { holders_max, ..of_customer };
        let answer = self.call_index(&leader, request, deadline).await?;
        match answer.outcome() {
            IndexOutcome::Done => Ok(Claimed::Granted),
            IndexOutcome::Held => {
                let holder = answer.holders.first().map(|bytes| customer_in(bytes)).transpose()?;
                Ok(holder.map_or(Claimed::Busy, Claimed::Held))
            }
            IndexOutcome::Unspecified
            | IndexOutcome::Free
            | IndexOutcome::Busy
            | IndexOutcome::Merged
            | IndexOutcome::NotInForce
            | IndexOutcome::Retired => Ok(Claimed::Busy),
        }
    }

    /// Who would keep a customer from claiming an identifier, as far as it can be told without claiming.
    pub(super) async fn would_be_held(
        &self,
        customer: CustomerId,
        identifier: &Identifier,
        holders_max: usize,
        deadline: Instant,
    ) -> Result<Option<CustomerId>, ServiceError> {
        let (blinded, mut others) = self.holders(identifier, ReadMode::Lease, deadline).await?;
        others.retain(|holder| *holder != customer);
        let mut held = BTreeSet::new();
        for holder in others {
            if let Settled::Held(holder) =
                self.settle(holder, &blinded, Fence::No(customer), deadline).await?
            {
                held.insert(holder);
            }
        }
        let full = held.len() >= holders_max;
        Ok(held.pop_first().filter(|_| full))
    }

    /// The customers who claimed an identifier, from whichever node leads its shard, and by which key it was found.
    ///
    /// The oldest key comes first. If its shard refuses, every customer is in the index under the next.
    pub(crate) async fn holders(
        &self,
        identifier: &Identifier,
        mode: ReadMode,
        deadline: Instant,
    ) -> Result<(Blinded, Vec<CustomerId>), ServiceError> {
        let blinding = self.keys().blinding();
        let mut from = KeyEpoch::FIRST;
        loop {
            let keys = self.blinding_keys(from, deadline).await?;
            for key in keys.for_lookups() {
                let blinded = Blinded::by(key, identifier);
                if let Some(holders) = self.holders_by(&blinded, mode, deadline).await? {
                    return Ok((blinded, holders));
                }
                blinding.retire(key.epoch());
            }
            // This node's copy of the directory is behind: its newest key is out of use.
            let newest = keys.all().last().and_then(|newest| newest.epoch().next());
            from = newest.ok_or(ServiceError::IndexUnavailable)?;
        }
    }

    /// The customers in the entry under a key. None: identifiers are looked up by a newer one.
    async fn holders_by(
        &self,
        identifier: &Blinded,
        mode: ReadMode,
        deadline: Instant,
    ) -> Result<Option<Vec<CustomerId>>, ServiceError> {
        let Some(leader) = self.leader_of(identifier)? else {
            return self.holders_here(identifier, mode, deadline).await.map_err(of_index);
        };
        let quorum_read = mode == ReadMode::Quorum;
        let request = IndexRequest { quorum_read, ..request(IndexAction::Holders, identifier, None) };
        let answer = self.call_index(&leader, request, deadline).await?;
        if answer.outcome() == IndexOutcome::Retired {
            return Ok(None);
        }
        answer.holders.iter().map(|bytes| customer_in(bytes)).collect::<Result<_, _>>().map(Some)
    }

    /// Where a lookup of an identifier goes. A node that it was forwarded to goes on itself: it may know of another key.
    pub(crate) fn lookup_route(&self, identifier: &Identifier, hop: Hop) -> Result<Route, ServiceError> {
        if hop == Hop::Forwarded {
            return Ok(Route::Here);
        }
        let keys = self.keys().blinding().known().map_err(|error| self.blinding_failure(error))?;
        match keys.for_lookups().next() {
            Some(key) => self.routing().route(self.index_group(&Blinded::by(key, identifier))?, hop),
            None => Ok(Route::Here),
        }
    }

    /// Adds a customer to those who are asked for an identifier.
    pub(super) async fn point(
        &self,
        identifier: &Blinded,
        customer: CustomerId,
        deadline: Instant,
    ) -> Result<(), ServiceError> {
        let Some(leader) = self.leader_of(identifier)? else {
            return self.point_here(identifier, customer, deadline).await.map_err(of_index);
        };
        let request = request(IndexAction::Point, identifier, Some(customer));
        self.call_index(&leader, request, deadline).await.map(|_done| ())
    }

    /// Whether a customer who claimed an identifier holds it, or the one into whom that customer was merged; if not, and with a fence,
    /// their writes in progress will not give them the identifier.
    ///
    /// Of a named type, because to settle is a write, a write claims, and a claim settles.
    pub(super) fn settle<'a>(
        &'a self,
        customer: CustomerId,
        identifier: &'a Blinded,
        fence: Fence,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Settled, ServiceError>> {
        Box::pin(async move {
            match self.settled(customer, identifier, fence, deadline).await {
                Err(ServiceError::DeadlinePassed | ServiceError::Contended { .. }) => Ok(Settled::Busy),
                settled => settled.map_err(of_index),
            }
        })
    }

    async fn settled(
        &self,
        customer: CustomerId,
        identifier: &Blinded,
        fence: Fence,
        deadline: Instant,
    ) -> Result<Settled, ServiceError> {
        let (claimant, raise) = match fence {
            Fence::Of(claimant) => (claimant, Raise::Yes),
            Fence::No(claimant) => (claimant, Raise::No),
        };
        let (mut at, mut led_by) = (customer, None);
        let mut followed = Vec::new();
        for _ in 0..REDIRECTS_MAX {
            match self.settled_at(at, led_by, identifier, raise, deadline).await {
                Err(ServiceError::CustomerMerged { survivor, merge }) if survivor == claimant => {
                    // Its write is the one that claims, so it is not waited for.
                    let named = (survivor, merge);
                    let settled = self.settled_with_claimant(at, named, identifier, deadline).await?;
                    if let Some(settled) = settled {
                        return Ok(settled);
                    }
                }
                Err(ServiceError::CustomerMerged { survivor, merge }) => {
                    followed.push((at, led_by));
                    (at, led_by) = (survivor, Some(merge));
                }
                Err(ServiceError::MergeNotInForce) => {
                    (at, led_by) = followed.pop().unwrap_or((customer, None));
                    self.settle_merge(at, deadline).await?;
                }
                settled => return settled,
            }
        }
        Ok(Settled::Busy)
    }

    /// A customer who claimed an identifier names the one who claims it now as the survivor of a merge. If that is not in force, the customer
    /// holds what its record says without it. None: it names nobody any more, and must be asked again.
    async fn settled_with_claimant(
        &self,
        customer: CustomerId,
        (claimant, merge): (CustomerId, MergeId),
        identifier: &Blinded,
        deadline: Instant,
    ) -> Result<Option<Settled>, ServiceError> {
        if self.record_of(claimant, deadline).await?.is_some_and(|record| record.has_merge(merge)) {
            return Ok(Some(Settled::Own));
        }
        let record = self.record_of(customer, deadline).await?;
        let Some(record) = record.filter(|record| record.merged_into.is_some()) else { return Ok(None) };
        let (record, _) = record.unmerged();
        self.blinding_keys(identifier.epoch, deadline).await?;
        Ok(Some(if self.holds(&record, identifier)? { Settled::Held(customer) } else { Settled::Own }))
    }

    async fn settled_at(
        &self,
        customer: CustomerId,
        merge: Option<MergeId>,
        identifier: &Blinded,
        raise: Raise,
        deadline: Instant,
    ) -> Result<Settled, ServiceError> {
        let location = self.routing().locate(customer)?;
        let leader = match self.routing().route(location.group(), Hop::First)? {
            Route::Here => {
                return Box::pin(self.settled_here(location, merge, identifier, raise, deadline)).await;
            }
            Route::Forward(leader) => leader,
        };
        let action = match raise {
            Raise::Yes => IndexAction::Settle,
            Raise::No => IndexAction::Check,
        };
        let merge = merge.map(|merge| merge.as_bytes().to_vec()).unwrap_or_default().into();
        let request = IndexRequest { merge, ..request(action, identifier, Some(customer)) };
        let answer = self.call_index(&leader, request, deadline).await?;
        Ok(match answer.outcome() {
            IndexOutcome::Held => Settled::Held(customer),
            IndexOutcome::Free => Settled::Free,
            IndexOutcome::Unspecified | IndexOutcome::Done | IndexOutcome::Busy | IndexOutcome::Retired => {
                Settled::Busy
            }
            IndexOutcome::NotInForce => return Err(ServiceError::MergeNotInForce),
            IndexOutcome::Merged => {
                let survivor = answer.holders.first().map(|bytes| customer_in(bytes)).transpose()?;
                let survivor = survivor.ok_or(ServiceError::IndexUnavailable)?;
                let merge = MergeId::from_bytes(&answer.merge)?;
                return Err(ServiceError::CustomerMerged { survivor, merge });
            }
        })
    }

    /// The same, executed on the leader of the customer's shard. `merge` is the merge that led to the customer.
    ///
    /// # Errors
    /// [`ServiceError::CustomerMerged`]: another customer must be asked; [`ServiceError::MergeNotInForce`].
    pub(crate) async fn settled_here(
        &self,
        location: CustomerLocation,
        merge: Option<MergeId>,
        identifier: &Blinded,
        raise: Raise,
        deadline: Instant,
    ) -> Result<Settled, ServiceError> {
        self.blinding_keys(identifier.epoch, deadline).await?;
        let stored = self.led_core(location, deadline).await?;
        let record = stored.as_ref().map(|stored| &stored.value);
        let led_by = |merge| Redirect { named: location.customer, survivor: location.customer, merge };
        let redirects: Vec<_> = merge.map(led_by).into_iter().collect();
        check_merges(&redirects, location, record)?;
        let held = record.map_or(Ok(false), |record| self.holds(record, identifier))?;
        match (held, raise) {
            (true, _) => Ok(Settled::Held(location.customer)),
            (false, Raise::No) => Ok(Settled::Free),
            (false, Raise::Yes) => {
                let unless = |record: &CustomerRecord| {
                    check_merges(&redirects, location, Some(record))?;
                    self.holds(record, identifier)
                };
                self.fence(location, &unless, stored.is_some(), deadline).await
            }
        }
    }

    /// The other node that leads an identifier's shard; none if this node does.
    fn leader_of(&self, identifier: &Blinded) -> Result<Option<LeaderHint>, ServiceError> {
        let route = self.routing().route(self.index_group(identifier)?, Hop::First);
        match route.map_err(of_index)? {
            Route::Here => Ok(None),
            Route::Forward(leader) => Ok(Some(leader)),
        }
    }
}

/// Whether a customer without the identifier must not get it by a write in progress, and who wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fence {
    Of(CustomerId),
    No(CustomerId),
}

/// Whether the revision of a record without the identifier is raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Raise {
    Yes,
    No,
}

/// The identifiers that one record has and another has not.
fn difference<'a>(
    record: &'a CustomerRecord,
    other: Option<&'a CustomerRecord>,
) -> impl Iterator<Item = &'a Identifier> {
    record
        .identifiers
        .keys()
        .filter(move |identifier| other.is_none_or(|other| !other.identifiers.contains_key(*identifier)))
}

/// How many customers may hold an identifier, and why no more.
fn holders_max(
    identifier: &Identifier,
    view: &CatalogueView,
) -> Result<(usize, RefusalReason), ServiceError> {
    let namespace = view.catalogue.namespace(identifier.namespace.as_str());
    let missing =
        ServiceError::Internal { context: "an identifier of a namespace that is not in the catalogue" };
    let namespace = namespace.ok_or(missing)?;
    Ok(if namespace.unique {
        (1, RefusalReason::IdentifierTaken)
    } else {
        (custodia_profile::limits::IDENTIFIER_HOLDERS_MAX, RefusalReason::IdentifierSharedLimit)
    })
}

/// A failure of another shard than the customer's, as the customer's leader reports it.
pub(super) fn of_index(error: ServiceError) -> ServiceError {
    if error.is_of_shard() { ServiceError::IndexUnavailable } else { error }
}
