//! Finds damage in fjall's journals that fjall does not find, and cuts a torn journal back to its last whole batch.
//!
//! ```text
//! N.jnl: batch … │ zeros or the end      the newest is written to; the older ones, sealed, go once their batches are in tables
//! batch: 1 u8 │ items LE 4 │ number LE 8 │ item … │ 3 u8 │ xxh3-64 of the items LE 8 │ "FJL" 3
//! item:  2 u8 │ type u8 │ compression u8 (0) │ keyspace LE 8 │ key length LE 2 │ value length LE 4 │ the same on disk LE 4 │ key │ value
//! ```
//! The checksum covers the items. The tags, the count, the checksum and the trailer must fit them, else the batch is not whole.
//! Nothing covers the number, by which fjall puts batches in order and passes over those that its tables have (numbers up to
//! theirs). And where a batch is not whole, fjall ends that journal without an error and goes on with the next one.
//!
//! The failure: one flipped bit gives a batch another place, or drops batches from the middle, and an older value is back.
//!
//! What holds in sound journals, by how fjall writes them:
//! 1. Numbers rise strictly through all journals: each is from one counter, under the lock of the journal. They rise by more
//!    than 1 where fjall took one for itself, so the exact number cannot be known.
//! 2. Sealed journals are whole (synced before the next one begins), and none is missing between others (the oldest goes first).
//! 3. The batches of the journals are the last ones of all, without a hole: none after them is in a table (a journal is synced
//!    before a table is written). So each key that they set has the value that they set last.
//!
//! [`check`] tests 1 and 2 before fjall opens, [`Replay::check`] what is left of 3 after it. Together they find every flip of a
//! number that matters. By 1 a flip keeps the order, so it can only move a batch across the highest number `t` in the tables.
//! By 3 `t` is the number of a batch in the journals or below them all, so of the batches above `t` only the first of all can
//! come down to it. What that one sets is compared. A batch that moves up across `t` was the last in the tables, and setting the
//! same values again changes nothing. (`tests/store/engine_journal.rs` flips them all.)
//!
//! A torn end: a power cut may keep any of the unsynced pages. fjall recovers from a journal that simply ends, but refuses one
//! with a batch that has its end and lacks its middle. When a whole site loses power this happens to all nodes at once, and
//! if each sets its state aside, no node is left to rebuild from. Cutting is safe: what remains is the whole state after some
//! earlier batch, and its applied index says which. The Raft log still holds what came after (it is purged only through what
//! was flushed); where it does not, the replica is rebuilt.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use fjall::{AbstractTree, Keyspace};
use xxhash_rust::xxh3::Xxh3;

use crate::engine_kind::EngineKind;
use crate::error::StoreError;
use crate::files;

const SUFFIX: &str = ".jnl";
const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const TRAILER: &[u8] = b"FJL\x03";
const NOT_COMPRESSED: u8 = 0;
const VALUE: u8 = 0;
/// fjall's counter panics here.
const NUMBER_END: u64 = 1 << 63;

const DAMAGED: StoreError = StoreError::Corrupt { what: "a journal of the state engine" };

/// What the keyspace must hold once fjall has replayed the journals.
#[derive(Default)]
pub(super) struct Replay {
    /// The number of the last batch.
    last: Option<u64>,
    /// The keys of the first batch, with what the journals set last: `None` for a removed one.
    first: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

/// Reads the journals in a folder, before fjall opens it.
///
/// # Errors
/// [`StoreError::Corrupt`] where they are not as fjall writes them. The newest may end in a torn batch.
pub(super) fn check(folder: &Path) -> Result<Replay, StoreError> {
    let mut replay = Replay::default();
    if !folder.exists() {
        return Ok(replay);
    }
    let mut before: Option<(u64, Journal)> = None;
    for (number, path) in files::numbered(folder, SUFFIX)? {
        if let Some((sealed, journal)) = &mut before
            && (sealed.checked_add(1) != Some(number) || !journal.ends_here()?)
        {
            return Err(DAMAGED);
        }
        let mut journal = Journal::open(path)?;
        while let Some(batch) = journal.next_batch()? {
            replay.add(batch)?;
        }
        before = Some((number, journal));
    }
    Ok(replay)
}

impl Replay {
    fn add(&mut self, batch: Batch) -> Result<(), StoreError> {
        if batch.number >= NUMBER_END || self.last.is_some_and(|last| batch.number <= last) {
            return Err(DAMAGED);
        }
        if self.last.is_none() {
            self.first = batch.operations.into_iter().collect();
        } else {
            for (key, value) in batch.operations {
                self.first.entry(key).and_modify(|newest| *newest = value);
            }
        }
        self.last = Some(batch.number);
        Ok(())
    }

    /// Compares with the keyspace that fjall has just opened. (`tree` is not in fjall's documentation.)
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where it has more than the journals, or not what they set; what reading it gives.
    pub(super) fn check(&self, keyspace: &Keyspace) -> Result<(), StoreError> {
        if self.last.is_some() && keyspace.tree.get_highest_seqno() > self.last {
            return Err(DAMAGED);
        }
        for (key, value) in &self.first {
            let found = keyspace.get(key).map_err(|error| StoreError::engine(EngineKind::Fjall, error))?;
            if found.as_deref() != value.as_deref() {
                return Err(DAMAGED);
            }
        }
        Ok(())
    }
}

/// Cuts the newest journal, which fjall cannot open. Returns whether anything was cut.
pub(super) fn cut_to_whole_batches(folder: &Path) -> Result<bool, StoreError> {
    let Some((_, path)) = files::numbered(folder, SUFFIX)?.pop() else { return Ok(false) };
    let mut journal = Journal::open(path)?;
    while journal.next_batch()?.is_some() {}
    if journal.ends_here()? {
        return Ok(false);
    }
    let Journal { path, end, .. } = journal;
    tracing::warn!(path = %path.display(), offset = end, "state journal torn; cut to its last whole batch");
    files::truncate(&path, end)?;
    Ok(true)
}

/// A whole batch.
struct Batch {
    number: u64,
    /// Keys with their values; `None` removes.
    operations: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    bytes: u64,
}

/// A journal, read from its beginning.
struct Journal {
    path: PathBuf,
    reader: BufReader<File>,
    /// Where the last whole batch ends.
    end: u64,
}

impl Journal {
    fn open(path: PathBuf) -> Result<Self, StoreError> {
        let file = File::open(&path).map_err(|error| StoreError::io("read", &path, error))?;
        Ok(Self { path, reader: BufReader::new(file), end: 0 })
    }

    /// `None` where what follows is not a whole batch.
    fn next_batch(&mut self) -> Result<Option<Batch>, StoreError> {
        match read_batch(&mut self.reader) {
            Ok(batch) => {
                self.end += batch.bytes;
                Ok(Some(batch))
            }
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData) => {
                Ok(None)
            }
            Err(error) => Err(StoreError::io("read", &self.path, error)),
        }
    }

    /// Whether only zeros follow the last whole batch: fjall allocates journals in advance.
    fn ends_here(&mut self) -> Result<bool, StoreError> {
        let Self { reader, end, .. } = self;
        let mut ends = || {
            reader.seek(SeekFrom::Start(*end))?;
            loop {
                let bytes = reader.fill_buf()?;
                let length = bytes.len();
                if length == 0 || bytes.iter().any(|&byte| byte != 0) {
                    return Ok(length == 0);
                }
                reader.consume(length);
            }
        };
        ends().map_err(|error| StoreError::io("read", &self.path, error))
    }
}

/// # Errors
/// `UnexpectedEof` or `InvalidData` where what follows is not a whole batch; errors of reading.
fn read_batch(reader: &mut impl Read) -> io::Result<Batch> {
    let not_whole = || io::Error::from(ErrorKind::InvalidData);
    let [START] = read(reader)? else { return Err(not_whole()) };
    let count = u32::from_le_bytes(read(reader)?);
    let number = u64::from_le_bytes(read(reader)?);
    let (mut operations, mut hasher, mut bytes) = (Vec::new(), Xxh3::new(), 26);
    for _ in 0..count {
        let header: [u8; 21] = read(reader)?;
        let [ITEM, kind, NOT_COMPRESSED, ..] = header else { return Err(not_whole()) };
        let key_length = u16::from_le_bytes([header[11], header[12]]);
        let value_length = u32::from_le_bytes([header[17], header[18], header[19], header[20]]);
        let key = read_bytes(reader, key_length.into())?;
        let value = read_bytes(reader, value_length.into())?;
        for part in [&header[..], &key, &value] {
            hasher.update(part);
        }
        bytes += 21 + u64::from(key_length) + u64::from(value_length);
        operations.push((key, (kind == VALUE).then_some(value)));
    }
    let [END] = read(reader)? else { return Err(not_whole()) };
    let sum = u64::from_le_bytes(read(reader)?);
    if sum != hasher.digest() || read::<4>(reader)? != TRAILER {
        return Err(not_whole());
    }
    Ok(Batch { number, operations, bytes })
}

fn read<const LENGTH: usize>(reader: &mut impl Read) -> io::Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_bytes(reader: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = reader.take(length).read_to_end(&mut bytes)?;
    // A damaged length may be longer than the file.
    if u64::try_from(read).is_ok_and(|read| read == length) {
        Ok(bytes)
    } else {
        Err(ErrorKind::UnexpectedEof.into())
    }
}
