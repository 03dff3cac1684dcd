//! The index of identifiers, as the leader of an identifier's shard keeps it: the customers who claimed it.
//!
//! ```text
//! customer's leader          identifier's leader              leader of another holder
//!   claim ──────────────────▶ nobody, or this customer? ── yes ──▶ put, acknowledge
//!                             another holder ── settle ───────────▶ its record has it? ── yes: taken
//!                                                                   no: its revision is raised (fence)
//!                             put in its place, if the entry is still as it was read
//!   propose the record ◀───── acknowledged
//! ```
//!
//! Invariant: an entry is only a pointer. A customer holds an identifier if and only if its record says so, and the record's
//! Raft entry is the commit point. A record gains an identifier only after the claim was acknowledged, under the revision
//! that it had before the claim; and a claim is replaced only after its holder was settled, so that a record which was
//! about to gain the identifier then fails its condition. Hence an identifier of one person is in at most one record,
//! whatever dies in between, and each record's identifiers are found by the index. docs/identity.md has the proof.
//!
//! During a rotation of the blinding key an identifier has two entries, one under each key. The shard's stage says which are kept and
//! which answer lookups, and is a condition of each change.

use std::{collections::BTreeSet, time::Duration};

use custodia_consensus::{Command, Condition, Expected, ReadMode, Write};
use custodia_profile::{CustomerId, GroupId, Holders, Stored as _};
use custodia_store::{Key, ValueHeader};
use tokio::time::Instant;

use super::{
    ShardContext,
    claims::{Fence, Settled},
    failpoint::failpoint,
    rotation::{Blinded, StoredStage},
};
use crate::{propose::Attempt, wire::ServiceError};

/// An identifier that a customer is about to gain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    pub(crate) identifier: Blinded,
    pub(crate) customer: CustomerId,
    /// How many customers may hold it.
    pub(crate) holders_max: usize,
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// The customer is among the holders.
    Granted,
    /// As many others hold it as may; this is one of them.
    Held(CustomerId),
    /// A write of another holder is in progress, and has not ended in time.
    Busy,
}

/// How long a write of another customer is waited for at most.
const PATIENCE: Duration = Duration::from_millis(500);

/// An entry as it was read.
struct Entry {
    revision: u64,
    holders: Option<Holders>,
}

impl ShardContext {
    /// The group whose leader keeps the entry of an identifier.
    pub(super) fn index_group(&self, identifier: &Blinded) -> Result<GroupId, ServiceError> {
        Ok(self.routing().locate(*identifier.identifier.place())?.group())
    }

    /// The customers who claimed an identifier, behind a read barrier. Executed on the leader of its shard. None: identifiers are looked
    /// up by a newer key.
    pub(super) async fn holders_here(
        &self,
        identifier: &Blinded,
        mode: ReadMode,
        deadline: Instant,
    ) -> Result<Option<Vec<CustomerId>>, ServiceError> {
        let group = self.index_group(identifier)?;
        let read = async || {
            let entry = self.entry(&Key::identifier(group, &identifier.identifier))?;
            // Read after the entry: stages only grow, so the entry was complete when it was read.
            Ok((entry, self.stage(group)?.stage))
        };
        let (entry, stage) = self.read_led(group, mode, deadline, read).await?;
        let holders = entry.holders.map(|holders| holders.customers().to_vec()).unwrap_or_default();
        Ok(stage.answers(identifier.epoch).then_some(holders))
    }

    /// Executes a claim on the leader of the identifier's shard.
    pub(crate) async fn claim_here(&self, claim: &Claim, deadline: Instant) -> Result<Claimed, ServiceError> {
        let Claim { identifier, customer, holders_max } = claim;
        let (customer, holders_max) = (*customer, *holders_max);
        let group = self.index_group(identifier)?;
        let key = &Key::identifier(group, &identifier.identifier);
        let attempt = || async move {
            let stage = self.stage(group)?;
            if !stage.stage.keeps(identifier.epoch) {
                return Ok(Attempt::Done(Claimed::Granted));
            }
            let entry = self.entry(key)?;
            let at = Place { key, identifier, stage: &stage };
            let Some(holders) = &entry.holders else {
                return Ok(entry.replaced(at, &Holders::of(customer)));
            };
            let mut others = holders.customers().to_vec();
            others.retain(|holder| *holder != customer);
            let mut held = BTreeSet::new();
            let mut unsettled = others.clone().into_iter();
            // Several may lead to one holder, where customers were merged. Who leads to this customer stays: its merge may be undone.
            while held.len() + unsettled.len() >= holders_max {
                let Some(pointer) = unsettled.next() else {
                    return Ok(Attempt::Done(held.pop_first().map_or(Claimed::Busy, Claimed::Held)));
                };
                let deadline = deadline.min(Instant::now() + patience(customer, pointer));
                match self.settle(pointer, identifier, Fence::Of(customer), deadline).await? {
                    Settled::Free => {
                        failpoint("claim-settled");
                        others.retain(|holder| *holder != pointer);
                    }
                    Settled::Held(holder) => {
                        held.insert(holder);
                    }
                    Settled::Own => {}
                    Settled::Busy => return Ok(Attempt::Done(Claimed::Busy)),
                }
            }
            // Written again even if it is there: so a replacement that was about to happen fails.
            let others = Holders::from_customers(others);
            let holders = others.map_or_else(|| Holders::of(customer), |of| of.with(customer));
            Ok(entry.replaced(at, &holders))
        };
        let claimed = match self.routing().propose_until_applied(group, deadline, attempt).await {
            Err(ServiceError::Contended { .. }) => Claimed::Busy,
            claimed => claimed?,
        };
        if claimed == Claimed::Granted {
            failpoint("claim-put");
        }
        Ok(claimed)
    }

    /// Adds a customer to those who are asked for an identifier. Executed on the leader of its shard.
    pub(crate) async fn point_here(
        &self,
        identifier: &Blinded,
        customer: CustomerId,
        deadline: Instant,
    ) -> Result<(), ServiceError> {
        let group = self.index_group(identifier)?;
        let key = &Key::identifier(group, &identifier.identifier);
        let attempt = || async move {
            let stage = self.stage(group)?;
            if !stage.stage.keeps(identifier.epoch) {
                return Ok(Attempt::Done(Claimed::Granted));
            }
            let entry = self.entry(key)?;
            let at = Place { key, identifier, stage: &stage };
            let holders = entry.holders.as_ref();
            Ok(match holders {
                Some(holders) if holders.contains(&customer) => Attempt::Done(Claimed::Granted),
                Some(holders) => entry.replaced(at, &holders.with(customer)),
                None => entry.replaced(at, &Holders::of(customer)),
            })
        };
        self.routing().propose_until_applied(group, deadline, attempt).await.map(|_granted| ())
    }

    fn entry(&self, key: &Key) -> Result<Entry, ServiceError> {
        let Some(value) = self.engine().get(key.as_ref())? else {
            return Ok(Entry { revision: 0, holders: None });
        };
        let (header, payload) = ValueHeader::decode(&value)?;
        Ok(Entry { revision: header.revision, holders: Some(Holders::decode(&payload)?) })
    }
}

/// How long a customer's claim waits for a write of a holder: so that of two who wait for each other one gives up first.
pub(super) fn patience(customer: CustomerId, holder: CustomerId) -> Duration {
    if customer < holder { PATIENCE } else { PATIENCE / 2 }
}

/// Where an entry is put.
#[derive(Clone, Copy)]
struct Place<'a> {
    key: &'a Key,
    identifier: &'a Blinded,
    stage: &'a StoredStage,
}

impl Entry {
    /// The command that puts other holders, if the entry is still as it was read, and the shard in the same stage. An entry is removed only
    /// in a stage in which none under its key is put: where it was made again, a revision would come twice.
    fn replaced(&self, Place { key, identifier, stage }: Place<'_>, holders: &Holders) -> Attempt<Claimed> {
        let key = key.as_bytes();
        let header = ValueHeader {
            revision: self.revision.saturating_add(1),
            guard: identifier.epoch.as_u32().into(),
            ..ValueHeader::default()
        };
        let expected = Expected::as_read(self.revision);
        let command = Command {
            conditions: vec![Condition { key: key.clone(), expected }, stage.condition()],
            writes: vec![Write { key: key.clone(), value: Some(header.encode(&holders.encode())) }],
        };
        Attempt::Propose { command, answer: Claimed::Granted }
    }
}
