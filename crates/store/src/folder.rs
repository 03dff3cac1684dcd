//! A node's data folder: which node it belongs to, and which process uses it.
//!
//! ```text
//! DATA/LOCK       locked while a process uses the folder; always empty
//! DATA/IDENTITY   node, engine, cluster; replaced as a whole and synced
//! DATA/log/       the shared Raft log
//! DATA/state/     the state engine
//! DATA/snapshots/ snapshots received from other nodes, as files
//! ```
//! The identity file is text, so that an operator can read it, and ends with a checksum:
//! ```text
//! custodia data folder, format 1
//! node 2
//! engine fjall
//! cluster 01890a5d-ac96-774b-bcce-b302099a8057      (or: cluster none)
//! crc32c 6d5f3c1a
//! ```
//! Invariant: node, engine and, once known, cluster never change. A node that took over another node's folder would stand by
//! votes that it never cast.
//!
//! The lock is an advisory lock on the open file (`flock`). The kernel drops it when the last descriptor of that open file is
//! closed, so also when the process ends in any way, `kill -9` and a crash of the machine included: a LOCK file that is left
//! behind means nothing, and no one has to remove it. Two processes never hold it at the same time. A process that is just
//! being forked holds a copy of the descriptor until it executes its own program (all our files are close-on-exec).

use std::fmt::Write as _;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use custodia_profile::NodeId;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::engine_kind::EngineKind;
use crate::error::StoreError;
use crate::{files, snapshot_file};

const IDENTITY: &str = "IDENTITY";
const LOCK: &str = "LOCK";
const TITLE: &str = "custodia data folder, format ";
const FORMAT_1: u32 = 1;

/// An open data folder, locked until this is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    identity: Mutex<Identity>,
    _lock: File,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    node: NodeId,
    engine: EngineKind,
    cluster: Option<Uuid>,
}

impl DataFolder {
    /// Opens the folder of a node, creating it if it does not exist.
    ///
    /// # Errors
    /// When another process uses it, when it belongs to another node or engine, or when its identity is damaged.
    pub fn open(path: &Path, node: NodeId, engine: EngineKind) -> Result<Self, StoreError> {
        files::create_folder(path)?;
        let lock = lock(path)?;
        let identity = match read_identity(path)? {
            Some(found) => check(path, found, node, engine)?,
            None => {
                let identity = Identity { node, engine, cluster: None };
                write_identity(path, &identity)?;
                identity
            }
        };
        let folder = Self { path: path.to_path_buf(), identity: Mutex::new(identity), _lock: lock };
        for part in [folder.log_path(), folder.snapshots_path()] {
            files::create_folder(&part)?;
        }
        snapshot_file::remove_unfinished(&folder.snapshots_path())?;
        files::sync_folder(path)?;
        Ok(folder)
    }

    /// The cluster that the folder belongs to, once it does.
    #[must_use]
    pub fn cluster(&self) -> Option<Uuid> {
        self.identity.lock().cluster
    }

    /// Ties the folder to a cluster, durably. Repeating it with the same cluster changes nothing.
    ///
    /// # Errors
    /// [`StoreError::OtherCluster`] when it belongs to another cluster; I/O errors.
    pub fn join_cluster(&self, cluster: Uuid) -> Result<(), StoreError> {
        let mut identity = self.identity.lock();
        match identity.cluster {
            Some(found) if found == cluster => Ok(()),
            Some(found) => {
                Err(StoreError::OtherCluster { path: self.path.clone(), expected: cluster, found })
            }
            None => {
                let joined = Identity { cluster: Some(cluster), ..*identity };
                write_identity(&self.path, &joined)?;
                *identity = joined;
                Ok(())
            }
        }
    }

    /// The node that it belongs to.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.identity.lock().node
    }

    /// The engine that keeps its state.
    #[must_use]
    pub fn engine(&self) -> EngineKind {
        self.identity.lock().engine
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the shared log lives.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Where the state engine lives.
    #[must_use]
    pub fn state_path(&self) -> PathBuf {
        self.path.join("state")
    }

    /// Where received snapshots are kept as files.
    #[must_use]
    pub fn snapshots_path(&self) -> PathBuf {
        self.path.join("snapshots")
    }
}

fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| StoreError::io("open", &path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: folder.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(StoreError::io("lock", &path, error)),
    }
}

fn check(path: &Path, found: Identity, node: NodeId, engine: EngineKind) -> Result<Identity, StoreError> {
    let path = || path.to_path_buf();
    if found.node != node {
        return Err(StoreError::OtherNode { path: path(), expected: node, found: found.node });
    }
    if found.engine != engine {
        return Err(StoreError::OtherEngine { path: path(), expected: engine, found: found.engine });
    }
    Ok(found)
}

fn write_identity(folder: &Path, identity: &Identity) -> Result<(), StoreError> {
    files::replace_file(&folder.join(IDENTITY), identity.to_string().as_bytes())
}

fn read_identity(folder: &Path) -> Result<Option<Identity>, StoreError> {
    let path = folder.join(IDENTITY);
    match fs::read_to_string(&path) {
        Ok(text) => text.parse().map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ErrorKind::InvalidData => Err(CORRUPT),
        Err(error) => Err(StoreError::io("read", &path, error)),
    }
}

const CORRUPT: StoreError = StoreError::Corrupt { what: "identity file" };

impl std::fmt::Display for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cluster = self.cluster.map_or_else(|| "none".to_owned(), |cluster| cluster.to_string());
        let mut text = String::new();
        writeln!(text, "{TITLE}{FORMAT_1}\nnode {}\nengine {}\ncluster {cluster}", self.node, self.engine)?;
        writeln!(formatter, "{text}crc32c {:08x}", crc32c::crc32c(text.as_bytes()))
    }
}

impl FromStr for Identity {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let version = text.lines().next().and_then(|title| title.strip_prefix(TITLE)).ok_or(CORRUPT)?;
        match version.parse() {
            Ok(FORMAT_1) => {}
            Ok(version) => return Err(StoreError::UnknownFormat { what: "identity file", version }),
            Err(_) => return Err(CORRUPT),
        }
        let (checked, sum) = text.split_at_checked(text.rfind("crc32c ").ok_or(CORRUPT)?).ok_or(CORRUPT)?;
        if sum != format!("crc32c {:08x}\n", crc32c::crc32c(checked.as_bytes())) {
            return Err(CORRUPT);
        }
        let field = |name: &str| {
            checked.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).ok_or(CORRUPT)
        };
        let cluster = match field("cluster")? {
            "none" => None,
            cluster => Some(cluster.parse().or(Err(CORRUPT))?),
        };
        Ok(Self {
            node: field("node")?.parse().or(Err(CORRUPT))?,
            engine: field("engine")?.parse().or(Err(CORRUPT))?,
            cluster,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An identity file of format 1.
    const FIXTURE: &str = "custodia data folder, format 1\nnode 2\nengine fjall\n\
        cluster 01890a5d-ac96-774b-bcce-b302099a8057\ncrc32c 582eed8e\n";

    fn node(number: u32) -> NodeId {
        NodeId::new(number).unwrap()
    }

    fn identity() -> Identity {
        let cluster = Some(Uuid::from_u128(0x01890a5d_ac96_774b_bcce_b302099a8057));
        Identity { node: node(2), engine: EngineKind::Fjall, cluster }
    }

    #[test]
    fn format_1_is_pinned() {
        assert_eq!(identity().to_string(), FIXTURE);
        assert_eq!(FIXTURE.parse::<Identity>().unwrap(), identity());
    }

    #[test]
    fn any_altered_byte_of_the_identity_is_noticed() {
        let text = identity().to_string().into_bytes();
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut altered = text.clone();
                altered[at] ^= 1 << bit;
                let parsed = String::from_utf8(altered).ok().and_then(|text| text.parse::<Identity>().ok());
                assert_eq!(parsed, None, "byte {at} bit {bit}");
            }
            let cut = String::from_utf8(text[..at].to_vec()).unwrap();
            assert!(cut.parse::<Identity>().is_err(), "cut at {at}");
        }
    }

    #[test]
    fn later_format_of_the_identity_is_refused() {
        let text = "custodia data folder, format 2\nsomething new\n";
        assert!(matches!(text.parse::<Identity>(), Err(StoreError::UnknownFormat { version: 2, .. })));
    }

    #[test]
    fn folder_of_another_node_or_engine_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        drop(DataFolder::open(temporary.path(), node(1), EngineKind::Fjall).unwrap());
        let other = DataFolder::open(temporary.path(), node(2), EngineKind::Fjall).unwrap_err();
        assert!(
            matches!(other, StoreError::OtherNode { expected, found, .. } if (expected, found) == (node(2), node(1)))
        );
        let other = DataFolder::open(temporary.path(), node(1), EngineKind::Sled).unwrap_err();
        assert!(matches!(other, StoreError::OtherEngine { .. }));
    }

    #[test]
    fn folder_remembers_its_cluster_and_refuses_another() {
        let temporary = tempfile::tempdir().unwrap();
        let (mine, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let folder = DataFolder::open(temporary.path(), node(1), EngineKind::Sled).unwrap();
        assert_eq!(folder.cluster(), None);
        folder.join_cluster(mine).unwrap();
        folder.join_cluster(mine).unwrap();
        drop(folder);
        let folder = DataFolder::open(temporary.path(), node(1), EngineKind::Sled).unwrap();
        assert_eq!(folder.cluster(), Some(mine));
        assert!(matches!(folder.join_cluster(other), Err(StoreError::OtherCluster { .. })));
    }

    #[test]
    fn folder_in_use_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let _first = DataFolder::open(temporary.path(), node(1), EngineKind::Fjall).unwrap();
        let second = DataFolder::open(temporary.path(), node(1), EngineKind::Fjall);
        assert!(matches!(second, Err(StoreError::Locked { .. })));
    }

    #[test]
    fn damaged_identity_is_an_error_not_a_new_folder() {
        let temporary = tempfile::tempdir().unwrap();
        drop(DataFolder::open(temporary.path(), node(1), EngineKind::Fjall).unwrap());
        fs::write(temporary.path().join(IDENTITY), "").unwrap();
        let opened = DataFolder::open(temporary.path(), node(1), EngineKind::Fjall);
        assert!(matches!(opened, Err(StoreError::Corrupt { .. })));
    }
}
