//! Snapshots: views of the engine that are sent in pieces, and files in the spool that are installed.
//!
//! ```text
//! sender:    view of the engine ─► chunks of about 1 MiB, without what the replica knows about itself ─► exchange
//! receiver:  exchange ─► spool file, whole or not at all ─► install (crash-safe, in the store) ─► spool removed
//! ```
//! A snapshot is never whole in memory: one chunk is under way on each side, and the exchange's own window.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use custodia_profile::GroupId;
use custodia_store::{
    DataFolder, EngineSnapshot, KeyKind, KeyParts, Pair, ReplicaEntry, SnapshotFileWriter, StoreError,
    install_snapshot_file, list_snapshot_files, remove_snapshot_file, resume_install, write_snapshot_file,
};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use prost::Message;
use tokio::sync::mpsc;

use crate::error::ConsensusError;
use crate::machine::MachineContext;
use crate::message::{Chunk, PairRecord};
use crate::record::Applied;
use crate::transport::TransportError;
use crate::types::SnapshotMeta;

const CHUNK_BYTES: usize = 1024 * 1024;
/// A receiver that needs longer for installing than one silence for so many pieces is taken for dead.
const PIECES_INSTALLED_PER_SILENCE: u64 = 4;
const WHAT: &str = "a snapshot";

/// What a snapshot is made of.
pub(crate) enum SnapshotData {
    /// Nothing to read: it only says that the state is durable as far as its meta data says.
    Durable,
    /// A view of the engine.
    View(Box<dyn EngineSnapshot>),
    /// A received file in the spool.
    Spooled(String),
}

impl std::fmt::Debug for SnapshotData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Durable => "Durable",
            Self::View(_) => "View",
            Self::Spooled(_) => "Spooled",
        })
    }
}

/// The messages of a snapshot. A view that cannot be read on ends the stream without its last chunk, which the receiver
/// takes as cut.
pub(crate) fn chunks(data: SnapshotData) -> BoxStream<'static, Bytes> {
    let SnapshotData::View(view) = data else { return stream::empty().boxed() };
    stream::unfold(Some(view), |view| async move {
        let mut view = view?;
        let read = tokio::task::spawn_blocking(move || {
            let pairs = next_shipped(view.as_mut());
            (view, pairs)
        });
        let (view, pairs) = read.await.ok()?;
        let pairs = match pairs {
            Ok(pairs) => pairs,
            Err(error) => {
                tracing::error!(%error, "a snapshot cannot be read");
                return None;
            }
        };
        let last = pairs.is_none();
        let pairs = pairs.unwrap_or_default().into_iter().map(|(key, value)| PairRecord { key, value });
        let chunk = Chunk { pairs: pairs.collect(), last };
        Some((chunk.encode_to_vec().into(), (!last).then_some(view)))
    })
    .boxed()
}

/// The next pairs that leave the node; nothing at the end.
fn next_shipped(view: &mut dyn EngineSnapshot) -> Result<Option<Vec<Pair>>, StoreError> {
    loop {
        let mut pairs = view.next_chunk(CHUNK_BYTES)?;
        if pairs.is_empty() {
            return Ok(None);
        }
        let shipped = |key: &Bytes| KeyParts::parse(key).is_ok_and(|parts| parts.kind != KeyKind::Replica);
        pairs.retain(|(key, _)| shipped(key));
        if !pairs.is_empty() {
            return Ok(Some(pairs));
        }
    }
}

/// The messages of one end, until it is silent for too long.
pub(crate) fn until_silent(
    input: BoxStream<'static, Result<Bytes, TransportError>>,
    silence: Duration,
) -> BoxStream<'static, Result<Bytes, TransportError>> {
    stream::unfold(Some(input), move |input| async move {
        let mut input = input?;
        match tokio::time::timeout(silence, input.next()).await {
            Ok(message) => Some((message?, Some(input))),
            Err(_elapsed) => Some((Err(TransportError::Timeout), None)),
        }
    })
    .boxed()
}

/// How far a snapshot that is being sent has come.
#[derive(Debug, Default)]
pub(crate) struct Sending {
    pulled: AtomicU64,
    ended: AtomicBool,
}

impl Sending {
    /// The messages, counted as they are pulled.
    pub(crate) fn follow(self: &Arc<Self>, messages: BoxStream<'static, Bytes>) -> BoxStream<'static, Bytes> {
        let (pulled, ended) = (Arc::clone(self), Arc::clone(self));
        let messages = messages.inspect(move |_| {
            pulled.pulled.fetch_add(1, Ordering::Relaxed);
        });
        let end = stream::poll_fn(move |_| {
            ended.ended.store(true, Ordering::Relaxed);
            Poll::Ready(None)
        });
        messages.chain(end).boxed()
    }

    /// Waits for the receiver's answer for as long as it takes pieces. When it has the last one it must write down all of
    /// them before it can answer, so it then gets time for each. Nothing where it is silent for longer.
    pub(crate) async fn answer<T>(
        &self,
        mut answers: impl Stream<Item = T> + Unpin,
        silence: Duration,
    ) -> Option<Option<T>> {
        let (mut seen, mut silences) = (0, 0);
        loop {
            if let Ok(answer) = tokio::time::timeout(silence, answers.next()).await {
                return Some(answer);
            }
            let pulled = self.pulled.load(Ordering::Relaxed);
            silences = if pulled > seen { 0 } else { silences + 1 };
            seen = pulled;
            let patience = if self.ended.load(Ordering::Relaxed) {
                1 + pulled / PIECES_INSTALLED_PER_SILENCE
            } else {
                1
            };
            if silences >= patience {
                return None;
            }
        }
    }
}

/// The folder of received snapshots.
#[derive(Debug, Clone)]
pub(crate) struct Spool {
    folder: Arc<DataFolder>,
}

static SPOOLED: AtomicU64 = AtomicU64::new(0);

impl Spool {
    pub(crate) fn new(folder: Arc<DataFolder>) -> Self {
        Self { folder }
    }

    /// Receives a snapshot into a file.
    pub(crate) async fn receive(
        &self,
        group: GroupId,
        meta: &SnapshotMeta,
        mut input: impl Stream<Item = Result<Bytes, TransportError>> + Unpin,
    ) -> Result<SnapshotData, ConsensusError> {
        let (sender, receiver) = mpsc::channel(1);
        let writing = self.write(group, meta, Incoming { chunks: receiver });
        let receiving = async move {
            while let Some(Ok(message)) = input.next().await {
                let malformed = |_error| ConsensusError::Malformed { what: WHAT };
                let chunk = Chunk::decode(message).map_err(malformed)?;
                let pairs: Vec<Pair> = chunk.pairs.into_iter().map(|pair| (pair.key, pair.value)).collect();
                let piece = if chunk.last { Piece::End } else { Piece::Pairs(pairs) };
                if sender.send(piece).await.is_err() || chunk.last {
                    break;
                }
            }
            // Without its last chunk the snapshot was cut, and the writer learns it by the channel's end.
            Ok::<(), ConsensusError>(())
        };
        let (received, written) = tokio::join!(receiving, writing);
        received?;
        Ok(SnapshotData::Spooled(written?))
    }

    async fn write(
        &self,
        group: GroupId,
        meta: &SnapshotMeta,
        mut source: impl EngineSnapshot + 'static,
    ) -> Result<String, ConsensusError> {
        let name = format!("{}-{}", prefix(group), SPOOLED.fetch_add(1, Ordering::Relaxed));
        let meta = Applied::from(meta).encode();
        let path = self.folder.snapshots_path();
        let writing = tokio::task::spawn_blocking(move || {
            let mut spool = SnapshotFileWriter::create(&path, &name, &meta)?;
            write_snapshot_file(&mut source, &mut spool)?;
            spool.finish()?;
            Ok::<_, StoreError>(name)
        });
        Ok(writing.await.map_err(|_gone| ConsensusError::Stopped)??)
    }

    /// Replaces a group's state by a snapshot. Durable when it returns.
    pub(crate) async fn install(
        &self,
        context: &MachineContext,
        group: GroupId,
        meta: &SnapshotMeta,
        data: SnapshotData,
    ) -> Result<(), ConsensusError> {
        let name = match data {
            SnapshotData::Spooled(name) => name,
            SnapshotData::View(view) => self.write(group, meta, OwnedView(view)).await?,
            SnapshotData::Durable => return Err(ConsensusError::Malformed { what: WHAT }),
        };
        let applied = Applied::from(meta).encode();
        let (engine, path) = (Arc::clone(&context.engine), self.folder.snapshots_path());
        let installing = tokio::task::spawn_blocking(move || {
            install_snapshot_file(engine.as_ref(), &path, &name, group, &[(ReplicaEntry::Applied, applied)])?;
            remove_snapshot_file(&path, &name)
        });
        Ok(installing.await.map_err(|_gone| ConsensusError::Stopped)??)
    }

    /// Removes a received snapshot that nobody needs after all.
    pub(crate) async fn discard(&self, data: SnapshotData) -> Result<(), ConsensusError> {
        let SnapshotData::Spooled(name) = data else { return Ok(()) };
        let path = self.folder.snapshots_path();
        let removing = tokio::task::spawn_blocking(move || remove_snapshot_file(&path, &name));
        Ok(removing.await.map_err(|_gone| ConsensusError::Stopped)??)
    }

    /// Finishes what a crash has interrupted, and removes what nobody needs. Before a group's state is read.
    pub(crate) fn resume(&self, context: &MachineContext, group: GroupId) -> Result<(), ConsensusError> {
        let path: PathBuf = self.folder.snapshots_path();
        let resumed = resume_install(context.engine.as_ref(), &path, group)?;
        tracing::debug!(%group, ?resumed, "looked for an unfinished install");
        let own = format!("{}-", prefix(group));
        for name in list_snapshot_files(&path)? {
            if name.starts_with(&own) {
                remove_snapshot_file(&path, &name)?;
            }
        }
        Ok(())
    }
}

fn prefix(group: GroupId) -> String {
    format!("snapshot-{:05}", group.as_u16())
}

enum Piece {
    Pairs(Vec<Pair>),
    End,
}

/// A snapshot as it comes in. Read on a thread that may wait.
#[derive(Debug)]
struct Incoming {
    chunks: mpsc::Receiver<Piece>,
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Piece")
    }
}

impl EngineSnapshot for Incoming {
    fn next_chunk(&mut self, _bytes_max: usize) -> Result<Vec<Pair>, StoreError> {
        loop {
            match self.chunks.blocking_recv() {
                Some(Piece::Pairs(pairs)) if pairs.is_empty() => {}
                Some(Piece::Pairs(pairs)) => return Ok(pairs),
                Some(Piece::End) => return Ok(Vec::new()),
                None => return Err(StoreError::Corrupt { what: "a snapshot that was cut off" }),
            }
        }
    }
}

#[derive(Debug)]
struct OwnedView(Box<dyn EngineSnapshot>);

impl EngineSnapshot for OwnedView {
    fn next_chunk(&mut self, bytes_max: usize) -> Result<Vec<Pair>, StoreError> {
        self.0.next_chunk(bytes_max)
    }
}
