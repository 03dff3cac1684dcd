//! Owns this node's parsed catalogue: parsed once per change, read by every call without a lock.
//!
//! ```text
//! directory ── purpose P        header{revision} ‖ Purpose v1
//!           ── attribute A      header{revision} ‖ AttributeDefinition v1
//!           ── jurisdiction J   header{revision} ‖ Jurisdiction v1
//!           ── recipient R      header{revision} ‖ Recipient v1
//!           ── channel C        header{revision} ‖ ChannelDefinition v1
//!           ── namespace N      header{revision} ‖ Namespace v1
//!           ── matter type M    header{revision} ‖ MatterType v1
//!           ── trait T          header{revision} ‖ Trait v1
//!           ── meta "catalogue"   header{revision = catalogue version}
//! ```
//!
//! Invariant: a name that was acknowledged on any node before a call began is known to that call on every node.
//! Every change of the catalogue also raises the revision of the meta entry, in the same command. So that revision is the
//! catalogue's version, and a node that has a version has every earlier change. A node that does not know a name asks the
//! directory's leader for the version and waits until it has applied it ([`CatalogueCache::catch_up`]).
//!
//! Invariant: no call is judged by a catalogue that lacks a change which was acknowledged before its answer, or before its change
//! was proposed. Each answer of the directory's leader renews the lease of `lease.rs`; without it a call is refused.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use custodia_consensus::{ConsensusError, Directory, ReadMode};
use custodia_profile::{
    AttributeDefinition, Catalogue, CatalogueEntry, ChannelDefinition, ContactChannel, GroupId, Jurisdiction,
    MatterType, Namespace, NodeId, Purpose, PurposeId, PurposeNumber, Recipient, Stored, TraitDefinition,
};
use custodia_proto::internal::v1::RenewCatalogueLeaseRequest;
use custodia_store::{Key, KeyKind, ValueHeader};
use tokio::{
    sync::Mutex,
    time::{Duration, Instant, timeout_at},
};

use super::lease::{Grants, HeldLease, Longest};
use crate::{
    propose::Attempt,
    routing::Routing,
    wire::{FieldFault, ServiceError},
};

/// The directory's entry whose revision is the catalogue's version.
pub(crate) const CATALOGUE_META: &str = "catalogue";

/// How long a call waits for this node to catch up. A healthy node lags by milliseconds.
const CATCH_UP_WAIT: Duration = Duration::from_secs(2);

/// Time between two attempts to renew the lease where the first failed.
const RENEW_RETRY: Duration = Duration::from_millis(100);

/// How current a call needs the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CatalogueNeed {
    /// Current enough to know every name in the call.
    Names,
    /// With every change that was acknowledged before the call.
    Current,
}

/// The catalogue at one version.
#[derive(Debug)]
pub(crate) struct CatalogueView {
    pub(crate) directory: Arc<Directory>,
    pub(crate) catalogue: Arc<Catalogue>,
    /// 0 before the first change.
    pub(crate) version: u64,
}

impl CatalogueView {
    /// The purpose named in the request's field `field`.
    pub(crate) fn purpose(&self, id: &PurposeId, field: &str) -> Result<&Arc<Purpose>, ServiceError> {
        let unknown = || ServiceError::field(field, FieldFault::PurposeUnknown);
        self.catalogue.purpose_by_id(id.as_str()).ok_or_else(unknown)
    }

    /// Checks that the channel named in the request's field `field` is in the catalogue.
    pub(crate) fn check_channel(&self, channel: &ContactChannel, field: &str) -> Result<(), ServiceError> {
        let unknown = || ServiceError::field(field, FieldFault::ChannelUnknown);
        self.catalogue.channel(channel.as_str()).map(drop).ok_or_else(unknown)
    }

    /// The number of the purpose named in the request's field `field`.
    pub(crate) fn purpose_number(&self, id: &PurposeId, field: &str) -> Result<PurposeNumber, ServiceError> {
        self.purpose(id, field).map(|purpose| purpose.number)
    }
}

/// The parsed catalogue of a node.
pub(crate) struct CatalogueCache {
    routing: Arc<Routing>,
    view: ArcSwap<CatalogueView>,
    /// Locked by the one call that asks for the version.
    asking: Mutex<Asked>,
    lease: HeldLease,
    grants: Grants,
}

/// When the directory's leader was last asked for the version, with and without an answer.
#[derive(Debug, Default)]
struct Asked {
    answered: Option<Instant>,
    failed: Option<Instant>,
}

impl fmt::Debug for CatalogueCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatalogueCache").finish_non_exhaustive()
    }
}

impl CatalogueCache {
    /// Grants leases of this length where this node leads the directory.
    pub(crate) fn new(routing: Arc<Routing>, lease: Duration) -> Self {
        let empty = CatalogueView { directory: Arc::default(), catalogue: Arc::default(), version: 0 };
        Self {
            routing,
            view: ArcSwap::from_pointee(empty),
            asking: Mutex::default(),
            lease: HeldLease::default(),
            grants: Grants::new(lease),
        }
    }

    /// The catalogue as applied on this node, however old that is: a node that lost its state has an empty one. Parsed again
    /// only after a change.
    pub(crate) fn view(&self) -> Result<Arc<CatalogueView>, ServiceError> {
        let directory = self.routing.consensus().directory();
        if !directory.is_readable() {
            return Err(ServiceError::CatalogueUnavailable);
        }
        let cached = self.view.load_full();
        if Arc::ptr_eq(&cached.directory, &directory) {
            return Ok(cached);
        }
        let version = version_of(&directory)?;
        let catalogue = if version == cached.version {
            Arc::clone(&cached.catalogue)
        } else {
            Arc::new(parse(&directory)?)
        };
        let fresh = Arc::new(CatalogueView { directory, catalogue, version });
        // Two concurrent parsers may store in either order: the next call compares the directory again.
        self.view.store(Arc::clone(&fresh));
        Ok(fresh)
    }

    /// Waits until this node's catalogue has everything acknowledged before the call, until the deadline and at most
    /// [`CATCH_UP_WAIT`]. One question to the leader serves every call that began to wait before it was asked.
    pub(crate) async fn catch_up(&self, deadline: Instant) -> Result<(), ServiceError> {
        let began = Instant::now();
        let deadline = deadline.min(began + CATCH_UP_WAIT);
        let asking = timeout_at(deadline, self.asking.lock()).await;
        let mut asked = asking.map_err(|_elapsed| ServiceError::CatalogueUnavailable)?;
        if asked.answered.is_some_and(|at| at >= began) {
            return Ok(());
        }
        if asked.failed.is_some_and(|at| at >= began) {
            return Err(ServiceError::CatalogueUnavailable);
        }
        let asked_at = Instant::now();
        let renewed = self.renew_lease(deadline).await;
        *(if renewed.is_ok() { &mut asked.answered } else { &mut asked.failed }) = Some(asked_at);
        renewed
    }

    /// Asks the directory's leader for the version and the lease, and waits until this node has applied the version.
    async fn renew_lease(&self, deadline: Instant) -> Result<(), ServiceError> {
        let asked = Instant::now().into_std();
        let (version, length) = self.ask_leader(self.view()?.version, deadline).await?;
        self.wait_for(version, deadline).await?;
        self.lease.renew(asked, length, version);
        Ok(())
    }

    /// Keeps the lease, and confirms each new version to the directory's leader as soon as this node has it. Runs until
    /// aborted.
    pub(crate) async fn keep_lease(&self) {
        let mut changed = self.routing.consensus().directory_changed();
        let applied = || self.view().ok().map(|view| view.version);
        loop {
            changed.mark_unchanged();
            let (began, confirmed) = (Instant::now(), applied());
            let renewed = self.renew_lease(began + CATCH_UP_WAIT).await;
            if let Err(error) = renewed {
                tracing::debug!(%error, "catalogue lease not renewed");
                tokio::time::sleep(RENEW_RETRY).await;
                continue;
            }
            let next = began + self.grants.length() / 4;
            while applied() == confirmed {
                match timeout_at(next, changed.changed()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_closed)) => return,
                    Err(_elapsed) => break,
                }
            }
        }
    }

    /// Parses a request against the catalogue. The node catches up first if the call needs the current catalogue, if the
    /// request names something that this one does not have, or if the caller would be refused, since another node may have
    /// acknowledged the change before the call. Other errors in a request are found without asking another node.
    ///
    /// # Errors
    /// Those of `parse`; [`ServiceError::CatalogueUnavailable`].
    pub(crate) async fn parse_on<T>(
        &self,
        need: CatalogueNeed,
        deadline: Instant,
        parse: impl Fn(&CatalogueView) -> Result<T, ServiceError> + Send,
        has_all_names: impl Fn(&T, &CatalogueView) -> bool + Send,
    ) -> Result<(Arc<CatalogueView>, T), ServiceError> {
        let view = self.leased_view(deadline).await?;
        match parse(&view) {
            Ok(parsed) if need == CatalogueNeed::Names && has_all_names(&parsed, &view) => {
                return Ok((view, parsed));
            }
            Err(error) if !error.may_depend_on_a_newer_catalogue() => return Err(error),
            Ok(_) | Err(_) => {}
        }
        let view = self.current_view(deadline).await?;
        let parsed = parse(&view)?;
        Ok((view, parsed))
    }

    /// The catalogue that a call may be judged by: with every restriction that was acknowledged before the call.
    pub(crate) async fn leased_view(&self, deadline: Instant) -> Result<Arc<CatalogueView>, ServiceError> {
        if let Some(view) = self.leased() {
            return Ok(view);
        }
        self.current_view(deadline).await
    }

    /// The catalogue, as long as this node holds its lease. A node that has lost its state has an older one for a while, which
    /// it does not hold.
    fn leased(&self) -> Option<Arc<CatalogueView>> {
        let (age, version) = self.lease.held(Instant::now().into_std())?;
        let is_steady = self.routing.consensus().clocks_were_steady_for(age);
        self.view().ok().filter(|view| is_steady && view.version >= version)
    }

    /// Whether a call that was judged by this catalogue may be answered now, or its change proposed: no other change was
    /// acknowledged so far.
    pub(crate) fn is_in_force(&self, judged_by: &CatalogueView) -> bool {
        self.leased().is_some_and(|view| view.version == judged_by.version)
    }

    /// The catalogue with everything that was acknowledged before the call.
    pub(crate) async fn current_view(&self, deadline: Instant) -> Result<Arc<CatalogueView>, ServiceError> {
        // Boxed: this path is rare, and the future of the common path should stay small.
        Box::pin(self.catch_up(deadline)).await?;
        self.view()
    }

    /// Waits until this node has the version that another node had when it forwarded a call, at most [`CATCH_UP_WAIT`].
    pub(crate) async fn at_least(&self, version: u64, deadline: Instant) -> Result<(), ServiceError> {
        if self.view()?.version >= version {
            return Ok(());
        }
        Box::pin(self.wait_for(version, deadline.min(Instant::now() + CATCH_UP_WAIT))).await
    }

    /// Waits until this node has applied a version of the catalogue.
    pub(crate) async fn wait_for(&self, version: u64, deadline: Instant) -> Result<(), ServiceError> {
        let mut changed = self.routing.consensus().directory_changed();
        loop {
            changed.mark_unchanged();
            if self.view()?.version >= version {
                return Ok(());
            }
            match timeout_at(deadline, changed.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_closed)) => {
                    return Err(ServiceError::Consensus(ConsensusError::Stopped));
                }
                Err(_elapsed) => return Err(ServiceError::CatalogueUnavailable),
            }
        }
    }

    /// The version and the length of the lease, from the directory's leader.
    async fn ask_leader(&self, applied: u64, deadline: Instant) -> Result<(u64, Duration), ServiceError> {
        let asked = if self.routing.leads(GroupId::Directory) {
            self.grant_lease(self.routing.node(), applied, deadline).await
        } else {
            self.ask_other(applied, deadline).await
        };
        // Mapped as a whole: callers must not take the directory's leader for the leader of the customer's shard.
        asked.map_err(|error| {
            tracing::debug!(%error, "catalogue version unavailable");
            ServiceError::CatalogueUnavailable
        })
    }

    async fn ask_other(&self, applied: u64, deadline: Instant) -> Result<(u64, Duration), ServiceError> {
        let leader = self.routing.leader_hint(GroupId::Directory);
        let leader = leader.ok_or(ServiceError::NotLeader { leader: None })?;
        let request = RenewCatalogueLeaseRequest { version: applied };
        let granted = self.routing.peers().renew_catalogue_lease(&leader, request, deadline).await;
        let granted = granted.map_err(|_status| ServiceError::LeaderUnreachable { leader })?;
        Ok((granted.version, Duration::from_millis(granted.lease_ms.into())))
    }

    /// Grants a node a lease, on the directory's leader: the catalogue's version and the length of the lease.
    pub(crate) async fn grant_lease(
        &self,
        node: NodeId,
        applied: u64,
        deadline: Instant,
    ) -> Result<(u64, Duration), ServiceError> {
        self.grants.note(self.directory_term(), Instant::now().into_std(), node, applied);
        let barrier = self.routing.read_barrier(GroupId::Directory, ReadMode::Lease, deadline).await?;
        self.agree_on_longest(deadline).await?;
        let version = self.view()?.version;
        self.routing.still_valid(GroupId::Directory, &barrier)?;
        Ok((version, self.grants.length()))
    }

    /// Makes the directory say how long the leases of this leader are, where that is due.
    async fn agree_on_longest(&self, deadline: Instant) -> Result<(), ServiceError> {
        let (routing, length) = (&self.routing, self.grants.length());
        let due = || {
            let longest = Longest::read(&routing.consensus().directory())?;
            let now = Instant::now().into_std();
            let should = self.grants.should_replace(self.directory_term(), now, longest.length);
            Ok::<_, ServiceError>(should.then_some(longest))
        };
        if due()?.is_none() {
            return Ok(());
        }
        let attempt = || async {
            Ok(match due()? {
                Some(longest) => Attempt::Propose { command: longest.replace(length), answer: () },
                None => Attempt::Done(()),
            })
        };
        Box::pin(routing.propose_until_applied(GroupId::Directory, deadline, attempt)).await
    }

    /// Waits, on the directory's leader, until no node can judge a call by a catalogue older than `version`.
    ///
    /// # Errors
    /// [`ServiceError::OutcomeUnknown`] at the deadline: the change is made, but may not be in force everywhere yet.
    pub(crate) async fn in_force_everywhere(
        &self,
        version: u64,
        deadline: Instant,
    ) -> Result<(), ServiceError> {
        let consensus = self.routing.consensus();
        let mut confirmed = self.grants.confirmed();
        // What was granted within the longest lease was noted by the same clock.
        let (mut waited_since, mut forgot) = (Instant::now(), false);
        loop {
            confirmed.mark_unchanged();
            let (now, directory) = (Instant::now(), consensus.directory());
            let longest = Longest::read(&directory)?.length;
            let steady = if forgot { Duration::ZERO } else { longest };
            if !consensus.clocks_were_steady_for(steady.max(now - waited_since)) {
                self.grants.forget(now.into_std());
                (waited_since, forgot) = (now, true);
            }
            let others = directory.nodes().map(|peer| peer.node).filter(|node| *node != self.routing.node());
            let term = self.directory_term();
            let held = self.grants.held_until(term, now.into_std(), others, version, longest);
            let Some(until) = held else { return Ok(()) };
            tokio::select! {
                _changed = confirmed.changed() => {}
                () = tokio::time::sleep_until(until.into()) => {}
                () = tokio::time::sleep_until(deadline) => return Err(ServiceError::OutcomeUnknown),
            }
        }
    }

    fn directory_term(&self) -> u64 {
        let leadership = self.routing.consensus().leadership(GroupId::Directory);
        leadership.map_or(0, |leadership| leadership.borrow().term)
    }
}

fn version_of(directory: &Directory) -> Result<u64, ServiceError> {
    match directory.entry(&Key::meta(CATALOGUE_META)) {
        Some(value) => Ok(ValueHeader::read(value)?.revision),
        None => Ok(0),
    }
}

fn parse(directory: &Directory) -> Result<Catalogue, ServiceError> {
    let mut entries = Vec::new();
    read::<Purpose>(directory, KeyKind::Purpose, &mut entries)?;
    read::<AttributeDefinition>(directory, KeyKind::Attribute, &mut entries)?;
    read::<Jurisdiction>(directory, KeyKind::Jurisdiction, &mut entries)?;
    read::<Recipient>(directory, KeyKind::Recipient, &mut entries)?;
    read::<ChannelDefinition>(directory, KeyKind::Channel, &mut entries)?;
    read::<Namespace>(directory, KeyKind::Namespace, &mut entries)?;
    read::<MatterType>(directory, KeyKind::MatterType, &mut entries)?;
    read::<TraitDefinition>(directory, KeyKind::Trait, &mut entries)?;
    Ok(Catalogue::from_entries(entries)?)
}

fn read<T: Stored + Into<CatalogueEntry>>(
    directory: &Directory,
    kind: KeyKind,
    entries: &mut Vec<CatalogueEntry>,
) -> Result<(), ServiceError> {
    for (_, value) in directory.entries(kind) {
        let (_, payload) = ValueHeader::decode(value)?;
        entries.push(T::decode(&payload)?.into());
    }
    Ok(())
}
