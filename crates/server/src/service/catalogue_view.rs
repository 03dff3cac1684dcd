//! The catalogue as this node has it: parsed once per change, read by every call without a lock.
//!
//! ```text
//! directory ── purpose P        header{revision} ‖ Purpose v1
//!           ── attribute A      header{revision} ‖ AttributeDefinition v1
//!           ── jurisdiction J   header{revision} ‖ Jurisdiction v1
//!           ── recipient R      header{revision} ‖ Recipient v1
//!           ── meta "catalogue"   header{revision = catalogue version} ‖ numbers given out (8 bytes)
//! ```
//!
//! Every change of the catalogue also raises the revision of the meta entry, in the same command. So that revision is
//! the catalogue's version: a node that has it has everything before it. A node on which a name is unknown asks the
//! directory's leader for the version and waits until it has that ([`CatalogueCache::catch_up`]); so a name that
//! was acknowledged anywhere before a call began is known to that call everywhere.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use bytes::Bytes;
use custodia_consensus::{Consensus, Directory};
use custodia_profile::{
    AttributeDefinition, Catalogue, CatalogueEntry, GroupId, Jurisdiction, Purpose, PurposeId, PurposeNumber,
    Recipient, Stored,
};
use custodia_store::{Key, KeyKind, ValueHeader};
use tokio::{
    sync::Mutex,
    time::{Duration, Instant, timeout_at},
};

use super::{
    error::{FieldFault, ServiceError},
    forward::forward_bytes,
    room::Room,
};
use crate::identity::{Caller, RoleSet};

/// The method between nodes that tells the catalogue's version, as 8 bytes big endian.
pub(super) const VERSION_METHOD: &str = "/custodia.internal.v1/CatalogueVersion";

/// The directory's entry for the version and the numbers.
pub(super) const CATALOGUE_META: &str = "catalogue";

/// How long a call waits for a catalogue that is behind: a node that is well is behind by milliseconds.
const CATCH_UP_WAIT: Duration = Duration::from_secs(2);

/// The catalogue at one version.
#[derive(Debug)]
pub(super) struct CatalogueView {
    pub(super) directory: Arc<Directory>,
    pub(super) catalogue: Arc<Catalogue>,
    /// 0 before the first change.
    pub(super) version: u64,
}

impl CatalogueView {
    /// The purpose that the field `field` names.
    pub(super) fn purpose(&self, id: &PurposeId, field: &str) -> Result<&Arc<Purpose>, ServiceError> {
        let unknown = || ServiceError::field(field, FieldFault::PurposeUnknown);
        self.catalogue.purpose_by_id(id.as_str()).ok_or_else(unknown)
    }

    /// The number of the purpose that the field `field` names.
    pub(super) fn purpose_number(&self, id: &PurposeId, field: &str) -> Result<PurposeNumber, ServiceError> {
        self.purpose(id, field).map(|purpose| purpose.number)
    }
}

/// The parsed catalogue of a node.
pub(super) struct CatalogueCache {
    consensus: Arc<Consensus>,
    view: ArcSwap<CatalogueView>,
    /// Held by the one call that asks for the version; holds when the last question was asked.
    asking: Mutex<Option<Instant>>,
}

impl fmt::Debug for CatalogueCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatalogueCache").finish_non_exhaustive()
    }
}

impl CatalogueCache {
    pub(super) fn new(consensus: Arc<Consensus>) -> Self {
        let empty = CatalogueView { directory: Arc::default(), catalogue: Arc::default(), version: 0 };
        Self { consensus, view: ArcSwap::from_pointee(empty), asking: Mutex::new(None) }
    }

    /// The catalogue as this node has it now. It is parsed again only where it changed.
    pub(super) fn view(&self) -> Result<Arc<CatalogueView>, ServiceError> {
        let directory = self.consensus.directory();
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
        // Two that parse at once may store in either order: the next call sees that the directory differs.
        self.view.store(Arc::clone(&fresh));
        Ok(fresh)
    }

    /// Waits until this node's catalogue has everything that was acknowledged before the call, at most until the
    /// deadline and no longer than [`CATCH_UP_WAIT`]. One question to the leader serves all who began to wait before it was asked.
    pub(super) async fn catch_up(&self, room: &Room, deadline: Instant) -> Result<(), ServiceError> {
        let began = Instant::now();
        let deadline = deadline.min(began + CATCH_UP_WAIT);
        let asking = timeout_at(deadline, self.asking.lock()).await;
        let mut asked = asking.map_err(|_elapsed| ServiceError::CatalogueUnavailable)?;
        if asked.is_some_and(|asked| asked >= began) {
            return Ok(());
        }
        let question = Instant::now();
        let version = ask_version(room, deadline).await?;
        self.wait_for(version, deadline).await?;
        *asked = Some(question);
        Ok(())
    }

    /// Waits until this node has a version of the catalogue.
    pub(super) async fn wait_for(&self, version: u64, deadline: Instant) -> Result<(), ServiceError> {
        let mut changed = self.consensus.directory_changed();
        loop {
            changed.mark_unchanged();
            if self.view()?.version >= version {
                return Ok(());
            }
            match timeout_at(deadline, changed.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_closed)) => {
                    return Err(ServiceError::Consensus(custodia_consensus::ConsensusError::Stopped));
                }
                Err(_elapsed) => return Err(ServiceError::CatalogueUnavailable),
            }
        }
    }
}

async fn ask_version(room: &Room, deadline: Instant) -> Result<u64, ServiceError> {
    let asked = if room.leads(GroupId::Directory) {
        current_version(room, deadline).await
    } else {
        ask_leader(room, deadline).await
    };
    // Whatever it is: an error about the directory's leader must not be taken for one about the customer's.
    asked.map_err(|error| {
        tracing::debug!(%error, "the catalogue's version is not to be had");
        ServiceError::CatalogueUnavailable
    })
}

async fn ask_leader(room: &Room, deadline: Instant) -> Result<u64, ServiceError> {
    let leader = room.leader_hint(GroupId::Directory).ok_or(ServiceError::NotLeader { leader: None })?;
    let nobody = Caller { name: "node".into(), roles: RoleSet::NONE };
    let body = forward_bytes(room, &leader, &nobody, VERSION_METHOD, Bytes::new(), deadline).await?;
    let malformed = |_length| ServiceError::Internal { context: "a catalogue version of another length" };
    body.as_ref().try_into().map(u64::from_be_bytes).map_err(malformed)
}

/// The catalogue's version, on the directory's leader.
pub(super) async fn current_version(room: &Room, deadline: Instant) -> Result<u64, ServiceError> {
    room.read_barrier(GroupId::Directory, deadline).await?;
    Ok(room.view()?.version)
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
