//! Owns this node's parsed catalogue: parsed once per change, read by every call without a lock.
//!
//! ```text
//! directory ── purpose P        header{revision} ‖ Purpose v1
//!           ── attribute A      header{revision} ‖ AttributeDefinition v1
//!           ── jurisdiction J   header{revision} ‖ Jurisdiction v1
//!           ── recipient R      header{revision} ‖ Recipient v1
//!           ── meta "catalogue"   header{revision = catalogue version}
//! ```
//!
//! Invariant: a name that was acknowledged on any node before a call began is known to that call on every node.
//! Every change of the catalogue also raises the revision of the meta entry, in the same command. So that revision is the
//! catalogue's version, and a node that has a version has every earlier change. A node that does not know a name asks the
//! directory's leader for the version and waits until it has applied it ([`CatalogueCache::catch_up`]).

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use custodia_consensus::{ConsensusError, Directory, ReadMode};
use custodia_profile::{
    AttributeDefinition, Catalogue, CatalogueEntry, GroupId, Jurisdiction, Purpose, PurposeId, PurposeNumber,
    Recipient, Stored,
};
use custodia_store::{Key, KeyKind, ValueHeader};
use tokio::{
    sync::Mutex,
    time::{Duration, Instant, timeout_at},
};

use crate::{
    routing::Routing,
    wire::{FieldFault, ServiceError},
};

/// The directory's entry whose revision is the catalogue's version.
pub(crate) const CATALOGUE_META: &str = "catalogue";

/// How long a call waits for this node to catch up. A healthy node lags by milliseconds.
const CATCH_UP_WAIT: Duration = Duration::from_secs(2);

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

    /// The number of the purpose named in the request's field `field`.
    pub(crate) fn purpose_number(&self, id: &PurposeId, field: &str) -> Result<PurposeNumber, ServiceError> {
        self.purpose(id, field).map(|purpose| purpose.number)
    }
}

/// The parsed catalogue of a node.
pub(crate) struct CatalogueCache {
    routing: Arc<Routing>,
    view: ArcSwap<CatalogueView>,
    /// Locked by the one call that asks for the version; holds the time of the last successful question.
    asking: Mutex<Option<Instant>>,
}

impl fmt::Debug for CatalogueCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatalogueCache").finish_non_exhaustive()
    }
}

impl CatalogueCache {
    pub(crate) fn new(routing: Arc<Routing>) -> Self {
        let empty = CatalogueView { directory: Arc::default(), catalogue: Arc::default(), version: 0 };
        Self { routing, view: ArcSwap::from_pointee(empty), asking: Mutex::new(None) }
    }

    /// The catalogue as applied on this node. Parsed again only after a change.
    pub(crate) fn view(&self) -> Result<Arc<CatalogueView>, ServiceError> {
        let directory = self.routing.consensus().directory();
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
        if asked.is_some_and(|asked| asked >= began) {
            return Ok(());
        }
        let asked_at = Instant::now();
        let version = self.ask_version(deadline).await?;
        self.wait_for(version, deadline).await?;
        *asked = Some(asked_at);
        Ok(())
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
        let view = self.view()?;
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

    /// The catalogue with everything that was acknowledged before the call.
    pub(crate) async fn current_view(&self, deadline: Instant) -> Result<Arc<CatalogueView>, ServiceError> {
        // Boxed: this path is rare, and the future of the common path should stay small.
        Box::pin(self.catch_up(deadline)).await?;
        self.view()
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

    async fn ask_version(&self, deadline: Instant) -> Result<u64, ServiceError> {
        let asked = if self.routing.leads(GroupId::Directory) {
            self.led_version(deadline).await
        } else {
            self.ask_leader(deadline).await
        };
        // Mapped as a whole: callers must not take the directory's leader for the leader of the customer's shard.
        asked.map_err(|error| {
            tracing::debug!(%error, "catalogue version unavailable");
            ServiceError::CatalogueUnavailable
        })
    }

    async fn ask_leader(&self, deadline: Instant) -> Result<u64, ServiceError> {
        let leader = self.routing.leader_hint(GroupId::Directory);
        let leader = leader.ok_or(ServiceError::NotLeader { leader: None })?;
        let asked = timeout_at(deadline, self.routing.peers().catalogue_version(&leader, deadline)).await;
        asked
            .map_err(|_elapsed| ServiceError::DeadlinePassed)?
            .map_err(|_status| ServiceError::LeaderUnreachable { leader })
    }

    /// The catalogue's version, read on the directory's leader.
    pub(crate) async fn led_version(&self, deadline: Instant) -> Result<u64, ServiceError> {
        self.routing.read_barrier(GroupId::Directory, ReadMode::Lease, deadline).await?;
        Ok(self.view()?.version)
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
