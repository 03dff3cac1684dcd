//! A node's data folder: which node it belongs to, and which process uses it.
//!
//! ```text
//! DATA/LOCK       locked while a process uses the folder; always empty
//! DATA/IDENTITY   node, engine, generation of the log, cluster; replaced as a whole and synced
//! DATA/CREATING   stands while this node creates a cluster; always empty
//! DATA/log/       the shared Raft log
//! DATA/state/     the state, in partitions
//! DATA/snapshots/ snapshots received from other nodes, as files
//! ```
//! The identity file is text, so that an operator can read it, and ends with a checksum:
//! ```text
//! custodia data folder, format 3
//! node 2
//! engine fjall
//! log 9f1c0a52-6a0b-4f0e-9c36-0d8f0b8f7a11          (or: log none)
//! cluster 01890a5d-ac96-774b-bcce-b302099a8057      (or: cluster none)
//! crc32c 34d539b7
//! ```
//! Invariant: node, engine and, once known, cluster never change. A node that took over another node's folder would stand by
//! votes that it never cast.
//!
//! **A lost log.** A node whose log was removed has forgotten its votes and what it acknowledged. If it went on with an empty
//! log under the same replica ids, it could help to elect a leader that lacks acknowledged writes. So every log has a
//! generation, a UUID from its creation, and `IDENTITY` names it. Once the folder belongs to a cluster, a log of another
//! generation is refused ([`DataFolder::open_log`]). Only a folder that belongs to no cluster adopts the log it finds: nothing
//! was voted on there. The regression test is `a_node_that_lost_its_log_never_votes_again`.
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
use crate::log::{LogOptions, SharedLog};
use crate::{files, snapshot_file};

const IDENTITY: &str = "IDENTITY";
const LOCK: &str = "LOCK";
const CREATING: &str = "CREATING";
const TITLE: &str = "custodia data folder, format ";
const FORMAT_3: u32 = 3;

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
    log: Option<Uuid>,
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
                let identity = Identity { node, engine, log: None, cluster: None };
                write_identity(path, &identity)?;
                identity
            }
        };
        let folder = Self { path: path.to_path_buf(), identity: Mutex::new(identity), _lock: lock };
        files::create_folder(&folder.snapshots_path())?;
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
            // A log made later could not be told from the one that was used here.
            None if identity.log.is_none() => Err(StoreError::LogClosed),
            None => {
                let joined = Identity { cluster: Some(cluster), ..*identity };
                write_identity(&self.path, &joined)?;
                *identity = joined;
                Ok(())
            }
        }
    }

    /// Marks durably that this node is creating a cluster: after a crash it may go on with it.
    ///
    /// # Errors
    /// I/O errors.
    pub fn begin_creating(&self) -> Result<(), StoreError> {
        files::replace_file(&self.path.join(CREATING), b"")
    }

    /// The cluster is created, or this node never created one.
    ///
    /// # Errors
    /// I/O errors.
    pub fn end_creating(&self) -> Result<(), StoreError> {
        files::remove_file(&self.path.join(CREATING))
    }

    /// Whether this node is creating a cluster.
    #[must_use]
    pub fn is_creating(&self) -> bool {
        self.path.join(CREATING).exists()
    }

    /// Opens the shared log, or creates it in a folder that belongs to no cluster yet.
    ///
    /// # Errors
    /// [`StoreError::LogLost`] when the folder belongs to a cluster and this is not the log that it was used with; otherwise
    /// as [`SharedLog::open`]. A lost log is not created anew, so it can be put back.
    pub fn open_log(&self) -> Result<SharedLog, StoreError> {
        self.open_log_with(LogOptions::default())
    }

    /// [`DataFolder::open_log`] with other file sizes.
    ///
    /// # Errors
    /// As [`DataFolder::open_log`].
    pub fn open_log_with(&self, options: LogOptions) -> Result<SharedLog, StoreError> {
        let path = self.log_path();
        let mut identity = self.identity.lock();
        if let (Some(_), Some(expected)) = (identity.cluster, identity.log) {
            let lost = |found| StoreError::LogLost { path: path.clone(), expected, found };
            if !SharedLog::exists(&path)? {
                return Err(lost(None));
            }
            let log = SharedLog::open_with(&path, options)?;
            return if log.generation() == expected { Ok(log) } else { Err(lost(Some(log.generation()))) };
        }
        let log = SharedLog::open_with(&path, options)?;
        let adopted = Identity { log: Some(log.generation()), ..*identity };
        if *identity != adopted {
            write_identity(&self.path, &adopted)?;
            *identity = adopted;
        }
        Ok(log)
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

    /// Where the partitions of the state live.
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
        let or_none = |id: Option<Uuid>| id.map_or_else(|| "none".to_owned(), |id| id.to_string());
        let mut text = String::new();
        writeln!(text, "{TITLE}{FORMAT_3}\nnode {}\nengine {}", self.node, self.engine)?;
        writeln!(text, "log {}\ncluster {}", or_none(self.log), or_none(self.cluster))?;
        writeln!(formatter, "{text}crc32c {:08x}", crc32c::crc32c(text.as_bytes()))
    }
}

impl FromStr for Identity {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let version = text.lines().next().and_then(|title| title.strip_prefix(TITLE)).ok_or(CORRUPT)?;
        match version.parse() {
            Ok(FORMAT_3) => {}
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
        let id = |name: &str| match field(name)? {
            "none" => Ok(None),
            id => id.parse().map(Some).or(Err(CORRUPT)),
        };
        Ok(Self {
            node: field("node")?.parse().or(Err(CORRUPT))?,
            engine: field("engine")?.parse().or(Err(CORRUPT))?,
            log: id("log")?,
            cluster: id("cluster")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An identity file of format 3.
    const FIXTURE: &str = "custodia data folder, format 3\nnode 2\nengine fjall\n\
        log 9f1c0a52-6a0b-4f0e-9c36-0d8f0b8f7a11\n\
        cluster 01890a5d-ac96-774b-bcce-b302099a8057\ncrc32c 34d539b7\n";

    fn node(number: u32) -> NodeId {
        NodeId::new(number).unwrap()
    }

    fn identity() -> Identity {
        let cluster = Some(Uuid::from_u128(0x01890a5d_ac96_774b_bcce_b302099a8057));
        let log = Some(Uuid::from_u128(0x9f1c0a52_6a0b_4f0e_9c36_0d8f0b8f7a11));
        Identity { node: node(2), engine: EngineKind::Fjall, log, cluster }
    }

    #[test]
    fn format_3_is_pinned() {
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
    fn other_formats_of_the_identity_are_refused() {
        for version in [1, 2, 4] {
            let text = format!("custodia data folder, format {version}\nsomething else\n");
            let parsed = text.parse::<Identity>();
            assert!(
                matches!(parsed, Err(StoreError::UnknownFormat { version: found, .. }) if found == version)
            );
        }
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
        assert!(folder.join_cluster(mine).is_err(), "the log comes first");
        drop(folder.open_log().unwrap());
        folder.join_cluster(mine).unwrap();
        folder.join_cluster(mine).unwrap();
        drop(folder);
        let folder = DataFolder::open(temporary.path(), node(1), EngineKind::Sled).unwrap();
        assert_eq!(folder.cluster(), Some(mine));
        assert!(matches!(folder.join_cluster(other), Err(StoreError::OtherCluster { .. })));
    }

    #[test]
    fn log_of_a_folder_is_replaced_only_before_it_joins_a_cluster() {
        let temporary = tempfile::tempdir().unwrap();
        let open = || DataFolder::open(temporary.path(), node(1), EngineKind::Fjall).unwrap();
        let first = open().open_log().unwrap().generation();
        assert_eq!(open().open_log().unwrap().generation(), first);
        fs::remove_dir_all(open().log_path()).unwrap();
        let second = open().open_log().unwrap().generation();
        assert_ne!(first, second);
        open().join_cluster(Uuid::from_u128(1)).unwrap();
        assert_eq!(open().open_log().unwrap().generation(), second);

        let kept = temporary.path().join("kept");
        fs::rename(open().log_path(), &kept).unwrap();
        let lost = open().open_log().unwrap_err();
        assert!(matches!(lost, StoreError::LogLost { expected, found: None, .. } if expected == second));
        assert!(!open().log_path().exists(), "the way back is free");
        let other = SharedLog::open(&open().log_path()).unwrap().generation();
        let lost = open().open_log().unwrap_err();
        assert!(matches!(lost, StoreError::LogLost { found, .. } if found == Some(other)));
        fs::remove_dir_all(open().log_path()).unwrap();
        fs::rename(&kept, open().log_path()).unwrap();
        assert_eq!(open().open_log().unwrap().generation(), second);
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
