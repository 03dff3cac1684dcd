//! A report on the quality of identifiers, in steps of bounded work (GO-4).
//!
//! ```text
//! any node ──▶ leader of a shard: the next 256 records ──▶ faults by record ──▶ counts, and what is listed
//!                                                  └─ of shared namespaces: index, and the other holders' records
//! ```
//! Must always hold: a step depends on its position alone and changes nothing, so a report survives the death of any node. A customer
//! counts once: one who was merged into another in force is left to the survivor. A customer whose data is restricted is only counted
//! as left out. No answer has a whole value.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use custodia_consensus::ReadMode;
use custodia_profile::{
    CustomerId, CustomerRecord, GroupId, Identifier, IdentifierFault, Namespace, ShardId, StoredIdentifier,
    TimestampMs, identifier_faults,
};
use custodia_proto::{
    internal::v1::{ReportStep, ReportedStep, identifier_answer::Result as Wire, identifier_request::Action},
    v1,
};
use custodia_store::{Key, KeyKind, KeyPrefix};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{task::yield_now, time::Instant};

use super::malformed;
use crate::{
    catalogue::CatalogueView,
    routing::CustomerLocation,
    shard::{
        ShardContext,
        claims::{Fence, Settled},
        duplicate::{core_after, customer_of},
        index_call::customer_in,
    },
    wire::{ServiceError, masked, now, timestamp},
};

/// Records that a step looks at.
const RECORDS_MAX: u32 = 256;
/// Records after which other calls get their turn.
const READS_AT_ONCE: usize = 16;
/// Shared identifiers that are looked up at the same time.
const LOOKUPS_AT_ONCE: usize = 16;

/// What a report is about.
#[derive(Debug, Clone)]
pub(crate) struct ReportQuestion {
    /// Empty: all.
    pub(crate) namespace: String,
    /// None: as each namespace says.
    pub(crate) stale_after_days: Option<u32>,
    pub(crate) list: Option<IdentifierFault>,
    pub(crate) findings_max: usize,
}

/// Where a report goes on: after a customer of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReportPosition {
    shard: ShardId,
    after: Option<CustomerId>,
}

impl ReportPosition {
    /// As it stands in a token.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let after = self.after.map(|customer| customer.as_bytes().to_vec()).unwrap_or_default();
        [&self.shard.as_u16().to_be_bytes()[..], &after].concat()
    }

    /// From a token.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (shard, after) = bytes.split_first_chunk::<2>()?;
        let shard = ShardId::new(u16::from_be_bytes(*shard)).ok()?;
        let after = if after.is_empty() { None } else { Some(customer_in(after).ok()?) };
        Some(Self { shard, after })
    }
}

/// What a step found.
#[derive(Debug)]
pub(crate) struct ReportPage {
    pub(crate) step: ReportedStep,
    /// How much of the report is done, 0 to 1.
    pub(crate) done: f64,
    /// None: the report is complete.
    pub(crate) next: Option<ReportPosition>,
}

impl ShardContext {
    /// Does one step; none: a report begins.
    pub(crate) async fn report_step(
        &self,
        at: Option<ReportPosition>,
        question: &ReportQuestion,
        deadline: Instant,
    ) -> Result<ReportPage, ServiceError> {
        let _scanning = self.scan_turn(deadline).await?;
        let at = match at {
            Some(at) => at,
            None => {
                let first = self.shard_after(None)?.ok_or(ServiceError::IndexUnavailable)?;
                ReportPosition { shard: first, after: None }
            }
        };
        let shard = self.routing().known_shard(at.shard.as_u16().into())?;
        let step = ReportStep {
            shard: shard.as_u16().into(),
            after: at.after.map(|customer| customer.as_bytes().to_vec()).unwrap_or_default().into(),
            records_max: RECORDS_MAX,
            findings_max: u32::try_from(question.findings_max).unwrap_or(u32::MAX),
            namespace: question.namespace.clone(),
            stale_after_days: question.stale_after_days.unwrap_or_default(),
            list: question.list.map_or(0, |fault| fault.number().into()),
        };
        let answer = self.call_identifiers(GroupId::Shard(shard), Action::Report(step), deadline).await?;
        let Wire::Reported(step) = answer else { return Err(malformed()) };
        let next = if step.at_end {
            self.shard_after(Some(shard))?.map(|shard| ReportPosition { shard, after: None })
        } else {
            Some(ReportPosition { shard, after: Some(customer_in(&step.last)?) })
        };
        Ok(ReportPage { step, done: self.share_done(next.map(|next| next.shard)), next })
    }

    /// Looks at the next records of a shard that this node leads.
    pub(super) async fn report_here(
        &self,
        step: &ReportStep,
        deadline: Instant,
    ) -> Result<ReportedStep, ServiceError> {
        let shard = self.routing().known_shard(step.shard)?;
        let view = self.catalogue().leased_view(deadline).await?;
        let list = u8::try_from(step.list).ok().and_then(IdentifierFault::with_number);
        let group = GroupId::Shard(shard);
        let after = core_after(group, &step.after)?;
        let limit = usize::try_from(step.records_max).unwrap_or(usize::MAX).max(1);
        let read = async || {
            let prefix = KeyPrefix::kind(group, KeyKind::Core);
            self.engine()
                .scan(prefix.as_bytes(), after.as_ref().map(AsRef::as_ref), limit)
                .map_err(Into::into)
        };
        // Each record is a customer of its own: the list need not be of one moment, only none of them from before the barrier.
        let stored: Vec<(Bytes, Bytes)> = self.read_led(group, ReadMode::Lease, deadline, read).await?;
        let mut reported = Reported::default();
        let mut last = None;
        let mut looked_at = 0_usize;
        for (key, value) in &stored {
            let findings_max = usize::try_from(step.findings_max).unwrap_or(usize::MAX);
            if reported.findings.len() >= findings_max {
                break;
            }
            let customer = customer_of(key)?;
            let location = CustomerLocation { shard, customer };
            if let Some(record) = self.open(location, &Key::parse(key.clone())?, value.clone())? {
                let of = Asked { view: &view, step, list, now: now(), deadline };
                Box::pin(self.report_on(customer, record.value, &of, &mut reported)).await?;
            }
            last = Some(customer);
            looked_at += 1;
            if looked_at.is_multiple_of(READS_AT_ONCE) {
                yield_now().await;
            }
        }
        Ok(ReportedStep {
            namespaces: reported.counts.into_values().collect(),
            findings: reported.findings,
            last: last.map(|customer| customer.as_bytes().to_vec()).unwrap_or_default().into(),
            at_end: stored.len() < limit && looked_at == stored.len(),
            customers: reported.customers,
            restricted_customers: reported.restricted_customers,
        })
    }

    async fn report_on(
        &self,
        customer: CustomerId,
        record: CustomerRecord,
        asked: &Asked<'_>,
        reported: &mut Reported,
    ) -> Result<(), ServiceError> {
        let Some(record) = self.as_one_of_its_own(record, asked.deadline).await? else { return Ok(()) };
        if record.subject.restriction.is_some() {
            reported.restricted_customers += 1;
            return Ok(());
        }
        reported.customers += 1;
        let mut of_shared = Vec::new();
        let mut found = Vec::new();
        for (identifier, stored) in &record.identifiers {
            let name = identifier.namespace.as_str();
            if !asked.step.namespace.is_empty() && asked.step.namespace != name {
                continue;
            }
            // The record may be newer than this node's catalogue.
            let namespace = asked.view.catalogue.namespace(name).ok_or(ServiceError::CatalogueUnavailable)?;
            if !namespace.unique {
                of_shared.push((found.len(), identifier));
            }
            found.push((identifier, stored, &**namespace, asked.faults(identifier, stored, namespace)));
        }
        let is_shared = of_shared.into_iter().map(|(at, identifier)| async move {
            Ok::<_, ServiceError>((at, self.is_shared(customer, identifier, asked.deadline).await?))
        });
        let is_shared: Vec<_> = is_shared.collect();
        let shared: BTreeMap<usize, bool> =
            stream::iter(is_shared).buffered(LOOKUPS_AT_ONCE).try_collect().await?;
        for (at, (identifier, stored, namespace, mut faults)) in found.into_iter().enumerate() {
            if shared.get(&at) == Some(&true) {
                faults.insert(IdentifierFault::Shared);
            }
            reported.count(namespace, stored, &faults);
            if asked.list.is_some_and(|fault| faults.contains(&fault)) {
                reported.findings.push(finding(customer, identifier, stored, namespace, &faults));
            }
        }
        Ok(())
    }

    /// The record of a customer of its own; none of one who is another by a merge that is in force.
    async fn as_one_of_its_own(
        &self,
        record: CustomerRecord,
        deadline: Instant,
    ) -> Result<Option<CustomerRecord>, ServiceError> {
        let Some(into) = &record.merged_into else { return Ok(Some(record)) };
        let survivor = self.record_of(into.survivor, deadline).await?;
        let is_in_force = survivor.is_some_and(|survivor| survivor.has_merge(into.merge));
        Ok((!is_in_force).then(|| record.unmerged().0))
    }

    /// Whether another customer holds the identifier too.
    async fn is_shared(
        &self,
        customer: CustomerId,
        identifier: &Identifier,
        deadline: Instant,
    ) -> Result<bool, ServiceError> {
        let (blinded, claimed_by) = self.holders(identifier, ReadMode::Lease, deadline).await?;
        for claimed_by in claimed_by {
            if claimed_by == customer {
                continue;
            }
            match self.settle(claimed_by, &blinded, Fence::No(customer), deadline).await? {
                Settled::Held(holder) if holder != customer => return Ok(true),
                Settled::Held(_) | Settled::Free | Settled::Own => {}
                Settled::Busy => return Err(ServiceError::Contended { tries: 1 }),
            }
        }
        Ok(false)
    }
}

/// What a step is asked, and by which catalogue and clock it answers.
struct Asked<'a> {
    view: &'a CatalogueView,
    step: &'a ReportStep,
    list: Option<IdentifierFault>,
    now: TimestampMs,
    deadline: Instant,
}

impl Asked<'_> {
    fn faults(
        &self,
        identifier: &Identifier,
        stored: &StoredIdentifier,
        namespace: &Namespace,
    ) -> BTreeSet<IdentifierFault> {
        let stated = self.step.stale_after_days;
        let days = if stated == 0 { namespace.stale_after_days } else { stated };
        identifier_faults(identifier, stored, namespace, days, self.now)
    }
}

#[derive(Default)]
struct Reported {
    counts: BTreeMap<String, v1::NamespaceReport>,
    findings: Vec<v1::IdentifierFinding>,
    customers: u64,
    restricted_customers: u64,
}

impl Reported {
    fn count(
        &mut self,
        namespace: &Namespace,
        stored: &StoredIdentifier,
        faults: &BTreeSet<IdentifierFault>,
    ) {
        let name = namespace.id.as_str().to_owned();
        let counts = self.counts.entry(name.clone()).or_default();
        counts.namespace = name;
        counts.held += 1;
        counts.verified += u64::from(stored.is_verified());
        for fault in faults {
            let count = match fault {
                IdentifierFault::NeverVerified => &mut counts.never_verified,
                IdentifierFault::VerificationOutdated => &mut counts.verification_outdated,
                IdentifierFault::Stale => &mut counts.stale,
                IdentifierFault::Bounced => &mut counts.bounced,
                IdentifierFault::Invalid => &mut counts.invalid,
                IdentifierFault::Shared => &mut counts.shared,
            };
            *count += 1;
        }
    }
}

fn finding(
    customer: CustomerId,
    identifier: &Identifier,
    stored: &StoredIdentifier,
    namespace: &Namespace,
    faults: &BTreeSet<IdentifierFault>,
) -> v1::IdentifierFinding {
    v1::IdentifierFinding {
        customer_id: customer.to_string(),
        namespace: namespace.id.as_str().to_owned(),
        value: masked(identifier.value.as_str(), Some(namespace.kind)),
        faults: faults.iter().map(|fault| fault.number().into()).collect(),
        observed_at: Some(timestamp(stored.provenance.observed_at)),
        verified_at: stored.verified.as_ref().map(|of| timestamp(of.at)),
        bounced_at: stored.bounced_at.map(timestamp),
    }
}
