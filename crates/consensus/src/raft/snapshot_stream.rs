//! Snapshots on the wire: a view of the engine, sent in chunks of about 1 MiB.
//!
//! ```text
//! sender:    view of the engine ─► chunks, without what the replica keeps for itself ─► exchange
//! receiver:  exchange ─► snapshot file (snapshot_files.rs)
//! ```
//! A snapshot is never whole in memory: each side holds one chunk, beside what the exchange itself buffers. Either side
//! abandons a transfer that makes no progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use custodia_store::{EngineSnapshot, KeyKind, KeyParts, Pair, StoreError};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use prost::Message;

use crate::transport::TransportError;

const CHUNK_BYTES: usize = 1024 * 1024;
/// While it installs a snapshot, a receiver may be silent for one `silence` per so many chunks.
const CHUNKS_INSTALLED_PER_SILENCE: u64 = 4;

/// A piece of a snapshot.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Chunk {
    #[prost(message, repeated, tag = "1")]
    pub(crate) pairs: Vec<PairRecord>,
    /// Ends the snapshot; this chunk has no pairs. A stream that ends without it was cut off.
    #[prost(bool, tag = "2")]
    pub(crate) last: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PairRecord {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) value: Bytes,
}

/// The messages of a snapshot; none if there is no view of it. If the view cannot be read to its end, the stream ends without its last chunk, which tells
/// the receiver that it was cut off.
pub(crate) fn chunks(view: Option<Box<dyn EngineSnapshot>>) -> BoxStream<'static, Bytes> {
    stream::unfold(view, |view| async move {
        let mut view = view?;
        let read = tokio::task::spawn_blocking(move || {
            let pairs = next_sent(view.as_mut());
            (view, pairs)
        });
        let (view, pairs) = read.await.ok()?;
        let pairs = match pairs {
            Ok(pairs) => pairs,
            Err(error) => {
                tracing::error!(%error, "cannot read the snapshot to send");
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

/// The next pairs to send; `None` at the end.
fn next_sent(view: &mut dyn EngineSnapshot) -> Result<Option<Vec<Pair>>, StoreError> {
    loop {
        let mut pairs = view.next_chunk(CHUNK_BYTES)?;
        if pairs.is_empty() {
            return Ok(None);
        }
        let is_sent = |key: &Bytes| KeyParts::parse(key).is_ok_and(|parts| parts.kind != KeyKind::Replica);
        pairs.retain(|(key, _)| is_sent(key));
        if !pairs.is_empty() {
            return Ok(Some(pairs));
        }
    }
}

/// The messages of the other side, and a timeout error once it is silent for too long.
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

/// The progress of a snapshot that is being sent.
#[derive(Debug, Default)]
pub(crate) struct SendProgress {
    pulled: AtomicU64,
    ended: AtomicBool,
}

impl SendProgress {
    /// Passes the messages through and counts them.
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

    /// Waits for the receiver's answer while it takes chunks. After the last one it must write all of them before it can
    /// answer, so it then gets time for each. `None` if it makes no progress for longer.
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
                1 + pulled / CHUNKS_INSTALLED_PER_SILENCE
            } else {
                1
            };
            if silences >= patience {
                return None;
            }
        }
    }
}
