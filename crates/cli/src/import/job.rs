//! The steps of every import: options, state, loading, report.

use std::path::PathBuf;
use std::time::Instant;

use custodia_client::Client;
use custodia_profile::SourceId;

use crate::catalog;
use crate::error::CliError;
use crate::import::batch::Batcher;
use crate::import::call_stream::CallStream;
use crate::import::identity;
use crate::import::load::{self, RequestOf};
use crate::import::mapping::{Input, MappingFile};
use crate::import::progress::{Kind, rate, text};
use crate::import::reader::{Position, Reader};
use crate::import::state::{ImportState, Start};
use crate::text::output::{self, Format};
use crate::text::printable;

/// The options of every import.
#[derive(Debug, clap::Args)]
pub(crate) struct LoadOptions {
    /// The file to load
    pub(crate) file: PathBuf,
    /// Mapping file: what the columns mean (see cluster/README.md and cluster/examples)
    #[arg(long, value_name = "FILE")]
    pub(crate) mapping: PathBuf,
    /// Name of the source system
    #[arg(long, value_parser = source_name)]
    pub(crate) source: String,
    /// Create the catalogue entries under `[catalogue]` of the mapping that do not exist yet
    #[arg(long)]
    define: bool,
    /// State folder of the import [default: beside the file]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Ignore the saved state and start again
    #[arg(long)]
    restart: bool,
    /// Maximum number of requests in flight
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) window: u16,
}

/// One import: its options and its state.
#[derive(Debug)]
pub(crate) struct Job<'o> {
    options: &'o LoadOptions,
    format: Format,
    kind: Kind,
    folder: PathBuf,
    state: ImportState,
}

impl LoadOptions {
    /// The mapping and its text. A mapped column that the file lacks is an error before anything is sent.
    pub(crate) fn read_mapping<File: MappingFile>(&self) -> Result<(File, String), CliError> {
        if self.file.as_os_str() == "-" {
            let reason = "must be a file, not standard input: a later run reads on where this one stopped";
            return Err(CliError::argument("<FILE>", reason));
        }
        let (mapping, text) = File::load(&self.mapping)?;
        let reader = Reader::open(&self.file, mapping.input(), Position::default())?;
        let columns = reader.columns();
        // In jsonl each row has its own columns.
        for (key, column) in mapping.columns() {
            if !columns.is_empty() && columns.iter().all(|known| known != column) {
                let (known, hint) = (columns.join(", "), delimiter_hint(columns));
                let reason =
                    format!("{key}: the file has no column `{column}`; its columns are {known}{hint}");
                return Err(CliError::content(&self.mapping)(reason));
            }
        }
        Ok((mapping, text))
    }

    /// An error that names the mapping.
    pub(crate) fn of_mapping(&self) -> impl Fn(String) -> CliError {
        |reason| CliError::content(&self.mapping)(reason)
    }

    /// Identifies the file.
    pub(crate) fn fingerprint(&self) -> Result<String, CliError> {
        identity::fingerprint(&self.file)
    }

    /// Creates the mapping's catalogue entries, if --define is given.
    pub(crate) async fn define(&self, client: &Client, mapping: &impl MappingFile) -> Result<(), CliError> {
        if self.define {
            let entries = mapping.catalogue().entries().map_err(CliError::content(&self.mapping))?;
            let created = catalog::create_missing(client, &entries).await?;
            eprintln!("created {created} catalogue entries");
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

/// The source as the cluster takes it: found to be wrong before anything is opened.
fn source_name(text: &str) -> Result<String, String> {
    SourceId::new(text).map(|source| source.as_str().to_owned()).map_err(|error| error.to_string())
}

/// What to say if the header is a single name that looks like several.
fn delimiter_hint(columns: &[String]) -> String {
    const DELIMITERS: [(char, &str); 4] = [(';', ";"), ('\t', "\\t"), ('|', "|"), (',', ",")];
    let [only] = columns else { return String::new() };
    let found = DELIMITERS.iter().find(|(delimiter, _)| only.contains(*delimiter));
    found.map_or_else(String::new, |(_, written)| {
        format!(". They seem to be separated by `{written}`: set `delimiter = \"{written}\"` under [input]")
    })
}

impl<'o> Job<'o> {
    /// Opens or creates the state of the import. `run` distinguishes it from another import of the same file.
    pub(crate) fn open(
        options: &'o LoadOptions,
        format: Format,
        kind: Kind,
        run: &str,
    ) -> Result<Self, CliError> {
        let start = if options.restart { Start::Restart } else { Start::Resume };
        let folder = options.folder(kind);
        let state = ImportState::open(&folder, run, start)?;
        Ok(Self { options, format, kind, folder, state })
    }

    /// Distinguishes its requests from those of an earlier attempt.
    pub(crate) fn attempt(&self) -> &str {
        self.state.attempt()
    }

    /// Whether an earlier run finished; prints it.
    pub(crate) fn is_finished(&self) -> bool {
        if self.state.is_finished() {
            eprintln!("this import has finished already; --restart runs it again");
        }
        self.state.is_finished()
    }

    /// Prints the counts of all runs and the rate of this one. Fails with [`CliError::PartlyRefused`] if anything was
    /// refused.
    pub(crate) fn report(&self, began: Option<(Instant, u64)>) -> Result<(), CliError> {
        let tally = self.state.tally();
        let rate = began.map(|(began, rows_before)| rate(tally.rows.saturating_sub(rows_before), began));
        let seconds = began.map(|(began, _)| began.elapsed().as_secs_f64());
        match self.format {
            Format::Json => {
                let counts = self.kind.counts(tally).into_iter();
                let mut report: serde_json::Map<_, _> =
                    counts.map(|(name, count)| (name.to_owned(), count.into())).collect();
                report.insert("refused".into(), serde_json::json!(tally.refused));
                report.insert("seconds".into(), seconds.into());
                report.insert("rows_per_second".into(), rate.into());
                report.insert("state".into(), self.folder.display().to_string().into());
                report.insert("refused_rows".into(), self.state.refused_path().display().to_string().into());
                output::print_json(&report.into())?;
            }
            Format::Table => output::line(&text(self.kind, tally, &self.folder, seconds, rate))?,
        }
        if tally.refused.is_empty() { Ok(()) } else { Err(CliError::PartlyRefused) }
    }

    /// Loads the rest of the file and reports.
    pub(crate) async fn run<Stream: CallStream>(
        mut self,
        stream: Stream,
        batcher: impl Batcher<Request = RequestOf<Stream>>,
        input: &Input,
    ) -> Result<(), CliError> {
        let rows_before = self.state.done().rows;
        if rows_before > 0 {
            eprintln!("resuming after row {rows_before}");
        }
        let (file, window) = (self.options.file.as_path(), self.options.window.into());
        let began = (Instant::now(), rows_before);
        let loaded = load::run(stream, batcher, file, input, window, &mut self.state).await;
        self.state.save()?;
        if let Err(error) = loaded {
            let done = self.state.done().rows;
            let file = file.display().to_string();
            let file = printable::in_line(&file);
            eprintln!("stopped after row {done} of {file}; run the same command to resume");
            return Err(error);
        }
        self.state.finish()?;
        self.report(Some(began))
    }
}
