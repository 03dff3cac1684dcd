//! What every import does, whatever it imports: takes the options, opens its memory, loads, reports.

use std::path::{Path, PathBuf};
use std::time::Instant;

use custodia_client::Client;

use crate::catalog;
use crate::error::CliError;
use crate::import::batch::Rows;
use crate::import::identity;
use crate::import::lane::Lane;
use crate::import::load::{self, Plan, RequestOf};
use crate::import::mapping::{Input, MappingFile};
use crate::import::progress::{self, Kind};
use crate::import::reader::{Position, Reader};
use crate::import::state::{ImportState, Start};
use crate::output::Format;

/// The options of every import.
#[derive(Debug, clap::Args)]
pub(crate) struct LoadOptions {
    /// The file to load
    pub(crate) file: PathBuf,
    /// What its rows mean (see cluster/README.md and cluster/examples)
    #[arg(long, value_name = "FILE")]
    pub(crate) mapping: PathBuf,
    /// The source system
    #[arg(long)]
    pub(crate) source: String,
    /// Create the entries under `[catalogue]` of the mapping that the cluster has not got
    #[arg(long)]
    define: bool,
    /// Folder for the import's memory [default: beside the file]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Begin again, whatever the folder remembers
    #[arg(long)]
    restart: bool,
    /// Requests in flight
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) window: u16,
}

/// One import: its options and its memory.
#[derive(Debug)]
pub(crate) struct Job<'o> {
    options: &'o LoadOptions,
    format: Format,
    kind: Kind,
    folder: PathBuf,
    state: ImportState,
}

impl LoadOptions {
    /// The mapping and its text. A column that the file does not have is a mistake in the mapping, found before
    /// anything is sent.
    ///
    /// # Errors
    /// Names the file and the key.
    pub(crate) fn read_mapping<File: MappingFile>(&self) -> Result<(File, String), CliError> {
        let (mapping, text) = File::load(&self.mapping)?;
        let reader = Reader::open(&self.file, mapping.input(), Position::default())?;
        let columns = reader.columns();
        // The rows of jsonl name their own.
        for (key, column) in mapping.columns() {
            if !columns.is_empty() && columns.iter().all(|known| known != column) {
                return Err(CliError::Content {
                    path: self.mapping.clone(),
                    reason: format!(
                        "{key}: the input has no column `{column}`; it has {}",
                        columns.join(", ")
                    ),
                });
            }
        }
        Ok((mapping, text))
    }

    /// What the file is known by.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn fingerprint(&self) -> Result<String, CliError> {
        identity::fingerprint(&self.file)
    }

    /// Defines what is to be defined.
    ///
    /// # Errors
    /// When an entry is refused.
    pub(crate) async fn define(&self, client: &Client, mapping: &impl MappingFile) -> Result<(), CliError> {
        if self.define {
            let content = |reason| CliError::Content { path: self.mapping.clone(), reason };
            let defined = catalog::define(client, &mapping.catalogue().entries().map_err(content)?).await?;
            eprintln!("{defined} catalogue entries defined");
        }
        Ok(())
    }

    fn folder(&self, kind: Kind) -> PathBuf {
        self.state.clone().unwrap_or_else(|| {
            let mut name = self.file.as_os_str().to_owned();
            name.push(kind.suffix());
            PathBuf::from(name)
        })
    }
}

impl<'o> Job<'o> {
    /// Opens the memory of the import, or begins one. `run` tells it from another import of the same file.
    ///
    /// # Errors
    /// When the folder cannot be used, or holds the memory of another import.
    pub(crate) fn open(
        options: &'o LoadOptions,
        format: Format,
        kind: Kind,
        run: &str,
    ) -> Result<Self, CliError> {
        let start = if options.restart { Start::Afresh } else { Start::Resume };
        let folder = options.folder(kind);
        let state = ImportState::open(&folder, run, start)?;
        Ok(Self { options, format, kind, folder, state })
    }

    /// Whether an earlier run came to the end; says so.
    pub(crate) fn is_finished(&self) -> bool {
        if self.state.is_finished() {
            eprintln!("this import is finished already; --restart begins again");
        }
        self.state.is_finished()
    }

    /// Prints the counts of all runs.
    ///
    /// # Errors
    /// When the output cannot be written; [`CliError::PartlyRefused`] where something was refused.
    pub(crate) fn report(&self, began: Option<(Instant, u64)>) -> Result<(), CliError> {
        progress::report(self.format, self.kind, &self.folder, &self.state, began)
    }

    /// Loads the rest of the file, and reports.
    ///
    /// # Errors
    /// As [`load::run`] and [`Job::report`].
    pub(crate) async fn run<Way: Lane>(
        mut self,
        lane: Way,
        rows: impl Rows<Request = RequestOf<Way>>,
        input: &Input,
    ) -> Result<(), CliError> {
        let rows_before = self.state.done().rows;
        if rows_before > 0 {
            eprintln!("going on after row {rows_before}");
        }
        let file: &Path = &self.options.file;
        let plan = Plan { file, input, window: self.options.window.into() };
        let began = (Instant::now(), rows_before);
        let loaded = load::run(lane, rows, plan, &mut self.state).await;
        self.state.save()?;
        if let Err(error) = loaded {
            let done = self.state.done().rows;
            eprintln!("stopped after row {done} of {}; the same command goes on there", file.display());
            return Err(error);
        }
        self.state.finish()?;
        self.report(Some(began))
    }
}
