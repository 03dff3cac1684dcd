//! The saved state of an import: an interruption duplicates nothing and loses nothing.
//!
//! ```text
//! FILE.custodia-import/          (or --state DIR)
//!   checkpoint.toml              replaced whole: attempt, position, counts, and the length of the file below
//!   refused.jsonl                appended: the refused rows with their reasons
//!   lock                         locked while an import runs
//! ```
//!
//! Saving appends to the refused rows and syncs them, then replaces the checkpoint. A crash in between leaves a file longer
//! than the checkpoint says; opening truncates it, and the rows after the checkpoint are sent again: the same requests
//! with the same ids, which change nothing. A new start keeps what an earlier run did until it has done something itself.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::CliError;
use crate::files::{self, Readers};
use crate::import::batch::{Batch, Refusal};
use crate::import::reader::Position;
use crate::import::row::Row;
use crate::import::tally::Tally;
use crate::text::printable;

const FORMAT: u32 = 3;

/// The checkpoint file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checkpoint {
    format: u32,
    /// Identifies file, mapping and options: another import must not resume here.
    run: String,
    /// New with each start from the beginning, and part of every request id: the cluster answers a request that it remembers
    /// with the first answer, which tells of the earlier attempt.
    attempt: String,
    finished: bool,
    refused_bytes: u64,
    done: Position,
    tally: Tally,
}

/// The state of one import.
#[derive(Debug)]
pub(crate) struct ImportState {
    folder: PathBuf,
    checkpoint: Checkpoint,
    refused: std::fs::File,
    refused_new: Vec<u8>,
    dirty: bool,
    /// Whether the folder still has the progress of an earlier run, which the first save replaces.
    replaces: bool,
    /// Keeps other imports out of the folder.
    _lock: std::fs::File,
}

/// Whether to use an earlier run's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Resume,
    Restart,
}

impl ImportState {
    /// Opens the folder's state, or creates one. Fails if the folder has the state of another import, or another process has
    /// opened it.
    pub(crate) fn open(folder: &Path, run: &str, start: Start) -> Result<Self, CliError> {
        if folder.exists() && !folder.is_dir() {
            let reason = format!("{} is a file; the state of an import is a folder", folder.display());
            return Err(CliError::argument("--state", reason));
        }
        files::make_folder(folder)?;
        let lock = files::lock(&folder.join(LOCK))?;
        let lock = lock.ok_or_else(|| CliError::ImportRunning { folder: folder.to_owned() })?;
        let path = folder.join(CHECKPOINT);
        let replaces = start == Start::Restart && path.exists();
        let checkpoint = match (start, path.exists()) {
            (Start::Resume, true) => Checkpoint::read(&path, run)?,
            (Start::Resume, false) | (Start::Restart, _) => Checkpoint::new(run),
        };
        let is_new = checkpoint.done.rows == 0 && !checkpoint.finished;
        let path = folder.join(REFUSED);
        let refused = if replaces {
            files::append(&path, Readers::Owner)?
        } else {
            files::append_from(&path, checkpoint.refused_bytes, Readers::Owner)?
        };
        let mut state = Self {
            folder: folder.to_owned(),
            checkpoint,
            refused,
            refused_new: Vec::new(),
            dirty: is_new && !replaces,
            replaces,
            _lock: lock,
        };
        // Before the first request, so that a run that is cut off before its first save is resumed as the same attempt.
        state.save()?;
        Ok(state)
    }

    /// Distinguishes the requests of this attempt from those of an earlier one that began anew.
    pub(crate) fn attempt(&self) -> &str {
        &self.checkpoint.attempt
    }

    /// The position up to which the import is done.
    pub(crate) fn done(&self) -> Position {
        self.checkpoint.done
    }

    /// The counts of all runs so far.
    pub(crate) fn tally(&self) -> &Tally {
        &self.checkpoint.tally
    }

    /// Whether an earlier run finished.
    pub(crate) fn is_finished(&self) -> bool {
        self.checkpoint.finished
    }

    /// The file of refused rows.
    pub(crate) fn refused_path(&self) -> PathBuf {
        self.folder.join(REFUSED)
    }

    /// Adds what was done up to a position: all rows before it are accounted for.
    pub(crate) fn advance(&mut self, done: Done) {
        self.checkpoint.tally.add(&done.tally);
        self.refused_new.extend_from_slice(&done.refused);
        if let Some(position) = done.position {
            self.checkpoint.done = position;
        }
        self.dirty = true;
    }

    /// Writes the state to disk.
    pub(crate) fn save(&mut self) -> Result<(), CliError> {
        if !std::mem::take(&mut self.dirty) {
            return Ok(());
        }
        if std::mem::take(&mut self.replaces) {
            self.replace()?;
        }
        if !self.refused_new.is_empty() {
            let written = self.refused.write_all(&self.refused_new).and_then(|()| self.refused.sync_data());
            written.map_err(CliError::file(self.refused_path()))?;
            self.checkpoint.refused_bytes += self.refused_new.len() as u64;
            self.refused_new.clear();
        }
        self.checkpoint.write(&self.folder.join(CHECKPOINT))
    }

    /// Ends the progress of an earlier run: the checkpoint first, so that the other file is never shorter than it says.
    fn replace(&self) -> Result<(), CliError> {
        let Checkpoint { format, run, attempt, .. } = self.checkpoint.clone();
        let begun = Checkpoint { format, run, attempt, ..Checkpoint::default() };
        begun.write(&self.folder.join(CHECKPOINT))?;
        self.refused.set_len(0).map_err(CliError::file(self.refused_path()))
    }

    /// Saves that the import is finished.
    pub(crate) fn finish(&mut self) -> Result<(), CliError> {
        self.checkpoint.finished = true;
        self.dirty = true;
        self.save()
    }
}

const CHECKPOINT: &str = "checkpoint.toml";
const REFUSED: &str = "refused.jsonl";
const LOCK: &str = "lock";

impl Checkpoint {
    fn new(run: &str) -> Self {
        let attempt = uuid::Uuid::new_v4().to_string();
        Self { format: FORMAT, run: run.to_owned(), attempt, ..Self::default() }
    }

    fn read(path: &Path, run: &str) -> Result<Self, CliError> {
        let checkpoint: Self = toml::from_str(&files::read(path)?).map_err(CliError::content(path))?;
        if checkpoint.format != FORMAT {
            let reason = format!("format {} is not supported; this version uses {FORMAT}", checkpoint.format);
            return Err(CliError::content(path)(reason));
        }
        if checkpoint.run != run && checkpoint.done.rows == 0 && !checkpoint.finished {
            // Nothing is lost, e.g. of a mapping that was mended since.
            return Ok(Self::new(run));
        }
        if checkpoint.run != run {
            let reason = "is the state of an import with another file, mapping, purpose or source: \
                          --restart overwrites it, --state DIR keeps both";
            return Err(CliError::content(path)(reason));
        }
        Ok(checkpoint)
    }

    fn write(&self, path: &Path) -> Result<(), CliError> {
        let text = toml::to_string(self).map_err(CliError::content(path))?;
        files::replace(path, text.as_bytes(), Readers::Owner)
    }
}

/// What one part of the import did.
#[derive(Debug, Default)]
pub(crate) struct Done {
    tally: Tally,
    refused: Vec<u8>,
    position: Option<Position>,
}

impl Done {
    /// Accounts for one request: its counts and its refused rows.
    pub(crate) fn new<Request>(batch: &Batch<Request>, tally: Tally, refused: Vec<Refusal>) -> Self {
        let mut by_row: BTreeMap<u64, Vec<Refusal>> = BTreeMap::new();
        for refusal in refused {
            by_row.entry(refusal.row).or_default().push(refusal);
        }
        let mut lines = Vec::new();
        for (number, refused) in by_row {
            let data = batch.rows.iter().find(|row| row.number == number).map(Row::to_json);
            let (data, refused) = (data.unwrap_or_else(|| "null".into()), refusals_json(&refused));
            let line = format!("{{\"row\":{number},\"refused\":{refused},\"data\":{data}}}\n");
            // It is read on terminals, too.
            lines.extend(printable::in_json(&line).bytes());
        }
        Self { tally, refused: lines, position: batch.position }
    }

    fn join(&mut self, later: Self) {
        self.tally.add(&later.tally);
        self.refused.extend(later.refused);
        self.position = later.position.or(self.position);
    }
}

fn refusals_json(refused: &[Refusal]) -> serde_json::Value {
    let one = |refusal: &Refusal| {
        serde_json::json!({
            "item": refusal.item, "reason": refusal.reason, "explanation": refusal.explanation
        })
    };
    refused.iter().map(one).collect()
}

/// Puts answers back into the order of the rows and returns what is done without a gap.
#[derive(Debug, Default)]
pub(crate) struct Ordered {
    next: u64,
    waiting: BTreeMap<u64, Done>,
    /// Parts of a customer whose last part is not done yet.
    partial: Done,
}

impl Ordered {
    /// Adds what request number `sequence` did.
    pub(crate) fn put(&mut self, sequence: u64, done: Done) {
        self.waiting.insert(sequence, done);
    }

    /// The next part that ends at a position, if everything before it is done.
    pub(crate) fn take(&mut self) -> Option<Done> {
        while let Some(done) = self.waiting.remove(&self.next) {
            self.next += 1;
            self.partial.join(done);
            if self.partial.position.is_some() {
                return Some(std::mem::take(&mut self.partial));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(row: u64, is_last: bool) -> Done {
        let batch = Batch::<()> {
            rows: vec![Row::of_pairs(row, &[("a", "b")])],
            position: is_last.then_some(Position { bytes: row * 10, rows: row }),
            ..Batch::default()
        };
        let tally = Tally { rows: 1, ..Tally::default() };
        let refusal =
            Refusal { row, item: "a".into(), reason: "no-ground".into(), explanation: String::new() };
        Done::new(&batch, tally, vec![refusal])
    }

    #[test]
    fn answers_in_any_order_advance_without_a_gap() {
        let mut ordered = Ordered::default();
        ordered.put(1, done(2, true));
        assert!(ordered.take().is_none(), "row 1 is not done");
        ordered.put(0, done(1, false));
        let stretch = ordered.take().unwrap();
        assert_eq!((stretch.tally.rows, stretch.position), (2, Some(Position { bytes: 20, rows: 2 })));
        ordered.put(2, done(3, false));
        assert!(ordered.take().is_none(), "the customer of row 3 has more parts");
    }

    #[test]
    fn a_resumed_import_continues_at_the_checkpoint_and_truncates_what_follows() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = ImportState::open(folder.path(), "run", Start::Resume).unwrap();
        state.advance(done(1, true));
        state.save().unwrap();
        state.advance(done(2, true));
        // The crash happens after the appends and before the checkpoint.
        state.refused.write_all(&state.refused_new).unwrap();
        drop(state);

        let mut state = ImportState::open(folder.path(), "run", Start::Resume).unwrap();
        assert_eq!(state.done(), Position { bytes: 10, rows: 1 });
        assert_eq!(state.tally().rows, 1);
        state.advance(done(2, true));
        state.finish().unwrap();
        let refused = std::fs::read_to_string(state.refused_path()).unwrap();
        assert_eq!(refused.lines().count(), 2, "{refused}");
        drop(state);
        assert!(ImportState::open(folder.path(), "run", Start::Resume).unwrap().is_finished());
        assert_eq!(
            ImportState::open(folder.path(), "run", Start::Restart).unwrap().done(),
            Position::default()
        );
    }

    #[test]
    fn a_new_start_keeps_the_progress_until_it_has_some_itself() {
        let folder = tempfile::tempdir().unwrap();
        let open = |start| ImportState::open(folder.path(), "run", start).unwrap();
        let mut state = open(Start::Resume);
        state.advance(done(1, true));
        state.save().unwrap();
        drop(state);
        open(Start::Restart).save().unwrap();
        let mut state = open(Start::Resume);
        let refused = std::fs::read_to_string(state.refused_path()).unwrap();
        assert_eq!((state.done().rows, refused.lines().count()), (1, 1));
        state.finish().unwrap();
        drop(state);
        let mut state = open(Start::Restart);
        state.advance(done(2, true));
        state.save().unwrap();
        drop(state);
        let state = open(Start::Resume);
        assert_eq!((state.done().rows, state.is_finished()), (2, false));
        let refused = std::fs::read_to_string(state.refused_path()).unwrap();
        assert_eq!((refused.lines().count(), refused.contains("\"row\":2")), (1, true), "{refused}");
    }

    #[test]
    fn a_state_is_that_of_one_process_and_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = ImportState::open(folder.path(), "run", Start::Resume).unwrap();
        let second = ImportState::open(folder.path(), "run", Start::Restart).unwrap_err();
        assert!(second.to_string().contains("another import of this file is running"), "{second}");
        drop(first);
        assert!(ImportState::open(folder.path(), "run", Start::Resume).is_ok());
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = ImportState::open(&file, "run", Start::Resume).unwrap_err();
        assert!(matches!(error, CliError::Argument { argument: "--state", .. }), "{error}");
    }

    #[test]
    fn an_attempt_lasts_until_the_import_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let attempt = |start| ImportState::open(folder.path(), "run", start).unwrap().attempt().to_owned();
        let first = attempt(Start::Resume);
        assert_eq!(attempt(Start::Resume), first, "even if nothing is done yet");
        assert_ne!(attempt(Start::Restart), first);
    }

    #[test]
    fn the_state_of_another_import_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        drop(ImportState::open(folder.path(), "mended", Start::Resume).unwrap());
        let mut state = ImportState::open(folder.path(), "run", Start::Resume).unwrap();
        state.advance(done(1, true));
        state.save().unwrap();
        drop(state);
        let error = ImportState::open(folder.path(), "other", Start::Resume).unwrap_err().to_string();
        assert!(error.contains("--restart"), "{error}");
    }
}
