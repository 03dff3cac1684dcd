//! The steps that every read about one customer has in common.
//!
//! ```text
//! parse on the catalogue ─▶ caller admitted? ─▶ read barrier ─▶ one engine get, open, decode ─▶ permission ─▶ handler
//!    ▲                            ─▶ is the state still the one that the barrier was passed for?
//!    └── no ──────────────────────── is the catalogue still in force?
//! ```
//!
//! Invariant: everything given is permitted by the record that the read barrier made current, and by the catalogue that is in
//! force when it is given. So after a withdrawal, or a change of the catalogue, is acknowledged, no read gives what it forbids,
//! however long it has waited.

use std::future::Future;

use custodia_consensus::ReadMode;
use custodia_profile::{CustomerRecord, Permission, Purpose, PurposeId, Reader, TimestampMs, Verdict};
use custodia_proto::rpc::AboutCustomer;
use tokio::time::Instant;

use super::{Loaded, ShardContext, other::check_merges, reader::reader_for};
use crate::{
    catalogue::{CatalogueNeed, CatalogueView},
    propose::TRIES_MAX,
    routing::{Call, CustomerLocation, Redirect},
    wire::{ServiceError, convert::RecordVersion, now, parse},
};

/// What the law must say about the stated purpose before a read is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadAccess {
    /// The purpose is permitted for this customer, or the caller is the controller: the privacy office may also read
    /// restricted data.
    Permitted,
    /// The caller may ask; the handler gives only what the law permits.
    Admitted,
}

/// A read about one customer, answered by the leader of the customer's shard.
pub(crate) trait CustomerRead: AboutCustomer + Send + Sync {
    /// The parsed request.
    type Query: Send + Sync;
    const ACCESS: ReadAccess;
    const CATALOGUE: CatalogueNeed = CatalogueNeed::Names;

    /// Parses the fields other than customer and purpose.
    fn parse(&self, view: &CatalogueView) -> Result<Self::Query, ServiceError>;

    /// Whether the catalogue has every entry that the answer will name. If not, this node catches up: another node may have
    /// defined them moments ago.
    fn knows(_query: &Self::Query, _record: &CustomerRecord, _view: &CatalogueView) -> bool {
        true
    }

    /// Whether the query is about a customer who was merged into another at some moment, rather than about the survivor: what was
    /// before belongs to it alone.
    fn is_of_merged(_query: &Self::Query, _merged_at: TimestampMs) -> bool {
        false
    }

    /// The answer: nothing beyond what the permission allows.
    fn answer(
        query: Self::Query,
        profile: ProfileView<'_>,
    ) -> impl Future<Output = Result<Self::Answer, ServiceError>> + Send;
}

/// One customer's record, with what a caller may see of it for its purpose.
pub(crate) struct ProfileView<'a> {
    pub(crate) context: &'a ShardContext,
    pub(crate) location: CustomerLocation,
    pub(crate) stored: &'a Loaded<CustomerRecord>,
    pub(crate) view: &'a CatalogueView,
    pub(crate) purpose: &'a Purpose,
    pub(crate) reader: Reader<'a>,
    pub(crate) permission: Permission<'a>,
    pub(crate) now: TimestampMs,
    /// The merges that led to the customer.
    pub(crate) redirects: &'a [Redirect],
    /// What further reads for the answer may rely on, and until when they must be done.
    pub(crate) reading: (ReadMode, Instant),
}

impl<'a> ProfileView<'a> {
    /// Asks the law for the permission.
    ///
    /// # Errors
    /// The caller is not registered for the purpose.
    pub(crate) fn new(
        context: &'a ShardContext,
        call: &'a Call,
        location: CustomerLocation,
        stored: &'a Loaded<CustomerRecord>,
        view: &'a CatalogueView,
        purpose: &'a Purpose,
    ) -> Result<Self, ServiceError> {
        let now = now();
        let reader = reader_for(&call.caller, view, purpose)?;
        let permission = Permission::for_purpose(purpose, reader, &stored.value, &view.catalogue, now);
        let (redirects, reading) = (call.redirects.as_slice(), (call.read_mode, call.deadline));
        Ok(Self { context, location, stored, view, purpose, reader, permission, now, redirects, reading })
    }

    pub(crate) const fn record(&self) -> &'a CustomerRecord {
        &self.stored.value
    }

    pub(crate) const fn version(&self) -> RecordVersion {
        RecordVersion { customer: self.location.customer, revision: self.stored.revision() }
    }

    fn check(&self, access: ReadAccess) -> Result<(), ServiceError> {
        match self.permission.verdict() {
            Verdict::Refuse(reason)
                if access == ReadAccess::Permitted && self.reader != Reader::Controller =>
            {
                Err(ServiceError::PurposeRefused { reason, purpose: self.purpose.id.clone() })
            }
            Verdict::Refuse(_) | Verdict::Permit { .. } => Ok(()),
        }
    }
}

/// A parsed read.
struct Read<'a, Query> {
    call: &'a Call,
    location: CustomerLocation,
    view: &'a CatalogueView,
    need: CatalogueNeed,
    query: Query,
    stated: &'a PurposeId,
}

impl ShardContext {
    /// Answers a read on the leader of the customer's shard.
    pub(crate) async fn read<R: CustomerRead>(
        &self,
        call: &Call,
        location: CustomerLocation,
        request: &R,
    ) -> Result<R::Answer, ServiceError> {
        let Call { caller, read_mode, deadline, .. } = call;
        let (mode, deadline) = (*read_mode, *deadline);
        let stated = &parse::purpose(request.purpose(), "purpose")?;
        let admitted = |view: &CatalogueView| {
            reader_for(caller, view, view.purpose(stated, "purpose")?)?;
            request.parse(view)
        };
        let mut need = R::CATALOGUE;
        for _ in 0..TRIES_MAX {
            let (view, query) = self.catalogue().parse_on(need, deadline, admitted, |_, _| true).await?;
            let barrier = self.routing().read_barrier(location.group(), mode, deadline).await?;
            let read = Read { call, location, view: &view, need, query, stated };
            let answer = self.read_behind_barrier::<R>(read).await;
            self.routing().still_valid(location.group(), &barrier)?;
            if let Ok(None) = answer {
                need = CatalogueNeed::Current;
            } else if self.catalogue().is_in_force(&view) {
                return answer.and_then(|answer| answer.ok_or(ServiceError::CatalogueUnavailable));
            }
        }
        Err(ServiceError::CatalogueUnavailable)
    }

    /// The answer; none if it would name something that this catalogue lacks and a newer one may have.
    async fn read_behind_barrier<R: CustomerRead>(
        &self,
        read: Read<'_, R::Query>,
    ) -> Result<Option<R::Answer>, ServiceError> {
        let Read { call, location, view, need, query, stated } = read;
        let stored = self.core(location)?.ok_or(ServiceError::CustomerNotFound)?;
        let is_of_merged =
            stored.value.merged_into.as_ref().is_some_and(|into| R::is_of_merged(&query, into.merged_at));
        if !is_of_merged {
            check_merges(&call.redirects, location, Some(&stored.value))?;
        }
        let purpose = view.purpose(stated, "purpose")?;
        let profile = ProfileView::new(self, call, location, &stored, view, purpose)?;
        profile.check(R::ACCESS)?;
        if need == CatalogueNeed::Names && !R::knows(&query, &stored.value, view) {
            return Ok(None);
        }
        R::answer(query, profile).await.map(Some)
    }
}
