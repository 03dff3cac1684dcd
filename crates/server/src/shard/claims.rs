//! The claims of a customer's identifiers: asked of the leaders of the identifiers' shards, and settled by the leaders of the
//! customers' shards. `index.rs` says what must hold.
//!
//! Identifiers are claimed one after another, in the order of their blinded values, so two writes that want the same ones do not
//! wait for each other. Old claims, of what a record has lost or never gained, break that order. So a wait for another write is
//! short, and shorter towards the customer with the smaller id: of those who wait in a circle one gives up first.

use std::collections::BTreeMap;

use custodia_consensus::ReadMode;
use custodia_profile::{BlindedIdentifier, CustomerId, CustomerRecord, Identifier, RefusalReason};
use custodia_proto::internal::v1::{IndexAction, IndexOutcome, IndexRequest};
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::{
    ShardContext,
    index::{Claim, Claimed},
    index_call::{customer_in, request},
    write::{Commit, CustomerState},
};
use crate::{
    catalogue::CatalogueView,
    propose::TRIES_MAX,
    routing::{CustomerLocation, Hop, Route},
    wire::{LeaderHint, ServiceError},
};

/// Whether a customer who claimed an identifier holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Its record has the identifier.
    Held,
    /// Its record has it not, and will not have it by any write that has loaded the record before.
    Free,
    /// A write of this customer is in progress.
    Busy,
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
    /// The identifier as the index knows it.
    pub(crate) fn blind(&self, identifier: &Identifier) -> Result<BlindedIdentifier, ServiceError> {
        let group = custodia_profile::GroupId::Directory;
        self.keys().blinding().blind(identifier).map_err(|error| self.key_failure(group, error))
    }

    /// Whether the record has the identifier.
    pub(crate) fn holds(
        &self,
        record: &CustomerRecord,
        identifier: &BlindedIdentifier,
    ) -> Result<bool, ServiceError> {
        for held in record.identifiers.keys() {
            if self.blind(held)? == *identifier {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Claims what a record gains; what it cannot have is returned.
    pub(super) async fn claim_gained(
        &self,
        state: &CustomerState<'_>,
        after: &CustomerRecord,
        commit: Commit,
        deadline: Instant,
    ) -> Result<TakenIdentifiers, ServiceError> {
        let gained = difference(after, state.record());
        let mut gained =
            gained.map(|one| Ok((self.blind(one)?, one))).collect::<Result<Vec<_>, ServiceError>>()?;
        gained.sort_unstable();
        let mut taken = TakenIdentifiers::new();
        for (blinded, identifier) in gained {
            let (holders_max, reason) = holders_max(identifier, state.view)?;
            let claim = &Claim { identifier: blinded, customer: state.location.customer, holders_max };
            let claimed = match commit {
                Commit::Yes => self.claim_patiently(claim, deadline).await?,
                Commit::ValidateOnly => self.would_claim(claim, deadline).await?,
            };
            match claimed {
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
            IndexOutcome::Unspecified | IndexOutcome::Free | IndexOutcome::Busy => Ok(Claimed::Busy),
        }
    }

    /// What [`Self::claim`] would answer, as far as it can be told without claiming.
    async fn would_claim(&self, claim: &Claim, deadline: Instant) -> Result<Claimed, ServiceError> {
        let Claim { identifier, customer, holders_max } = claim;
        let mut others = self.holders(identifier, ReadMode::Lease, deadline).await?;
        others.retain(|holder| holder != customer);
        let mut held = Vec::new();
        for holder in others {
            if self.settle(holder, identifier, Fence::No, deadline).await? == Settled::Held {
                held.push(holder);
            }
        }
        let full = held.len() >= *holders_max;
        Ok(held.first().filter(|_| full).map_or(Claimed::Granted, |holder| Claimed::Held(*holder)))
    }

    /// The customers who claimed an identifier, from whichever node leads its shard.
    pub(crate) async fn holders(
        &self,
        identifier: &BlindedIdentifier,
        mode: ReadMode,
        deadline: Instant,
    ) -> Result<Vec<CustomerId>, ServiceError> {
        let Some(leader) = self.leader_of(identifier)? else {
            return self.holders_here(identifier, mode, deadline).await.map_err(of_index);
        };
        let quorum_read = mode == ReadMode::Quorum;
        let request = IndexRequest { quorum_read, ..request(IndexAction::Holders, identifier, None) };
        let answer = self.call_index(&leader, request, deadline).await?;
        answer.holders.iter().map(|bytes| customer_in(bytes)).collect()
    }

    /// Whether a customer who claimed an identifier holds it; if not, and with a fence, its writes in progress will not give it the
    /// identifier.
    ///
    /// Of a named type, because to settle is a write, a write claims, and a claim settles.
    pub(super) fn settle<'a>(
        &'a self,
        customer: CustomerId,
        identifier: &'a BlindedIdentifier,
        fence: Fence,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Settled, ServiceError>> {
        Box::pin(self.settled(customer, identifier, fence, deadline))
    }

    async fn settled(
        &self,
        customer: CustomerId,
        identifier: &BlindedIdentifier,
        fence: Fence,
        deadline: Instant,
    ) -> Result<Settled, ServiceError> {
        let location = self.routing().locate(customer)?;
        let settled = match self.routing().route(location.group(), Hop::First) {
            Ok(Route::Here) => Box::pin(self.settled_here(location, identifier, fence, deadline)).await,
            Ok(Route::Forward(leader)) => {
                self.settled_at(&leader, customer, identifier, fence, deadline).await
            }
            Err(error) => Err(error),
        };
        match settled {
            Err(ServiceError::DeadlinePassed) => Ok(Settled::Busy),
            settled => settled.map_err(of_index),
        }
    }

    async fn settled_at(
        &self,
        leader: &LeaderHint,
        customer: CustomerId,
        identifier: &BlindedIdentifier,
        fence: Fence,
        deadline: Instant,
    ) -> Result<Settled, ServiceError> {
        let action = match fence {
            Fence::Yes => IndexAction::Settle,
            Fence::No => IndexAction::Check,
        };
        let request = request(action, identifier, Some(customer));
        Ok(match self.call_index(leader, request, deadline).await?.outcome() {
            IndexOutcome::Held => Settled::Held,
            IndexOutcome::Free => Settled::Free,
            IndexOutcome::Unspecified | IndexOutcome::Done | IndexOutcome::Busy => Settled::Busy,
        })
    }

    /// The same, executed on the leader of the customer's shard.
    pub(crate) async fn settled_here(
        &self,
        location: CustomerLocation,
        identifier: &BlindedIdentifier,
        fence: Fence,
        deadline: Instant,
    ) -> Result<Settled, ServiceError> {
        let barrier = self.routing().read_barrier(location.group(), ReadMode::Lease, deadline).await?;
        let stored = self.core(location)?;
        let held = stored.as_ref().map_or(Ok(false), |stored| self.holds(&stored.value, identifier))?;
        self.routing().still_valid(location.group(), &barrier)?;
        match (held, fence) {
            (true, _) => Ok(Settled::Held),
            (false, Fence::No) => Ok(Settled::Free),
            (false, Fence::Yes) => self.fence(location, identifier, stored.is_some(), deadline).await,
        }
    }

    /// The other node that leads an identifier's shard; none if this node does.
    fn leader_of(&self, identifier: &BlindedIdentifier) -> Result<Option<LeaderHint>, ServiceError> {
        let route = self.routing().route(self.index_group(identifier)?, Hop::First);
        match route.map_err(of_index)? {
            Route::Here => Ok(None),
            Route::Forward(leader) => Ok(Some(leader)),
        }
    }
}

/// Whether a customer without the identifier must not get it by a write in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fence {
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

/// A failure of another shard than the customer's, as the customer's leader reports it: the leader that it may name is not the
/// customer's.
pub(super) fn of_index(error: ServiceError) -> ServiceError {
    let is_of_shard = matches!(
        error,
        ServiceError::NotLeader { .. }
            | ServiceError::LeaderUnreachable { .. }
            | ServiceError::LeadershipLost
            | ServiceError::OutcomeUnknown
            | ServiceError::Consensus(_)
    );
    if is_of_shard { ServiceError::IndexUnavailable } else { error }
}
