//! The command: prepares an import, runs it, and reports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use custodia_client::Client;
use custodia_proto::v1;

use crate::catalog;
use crate::connection::Connection;
use crate::error::CliError;
use crate::import::identity::{self, Identities};
use crate::import::load::{self, Plan};
use crate::import::mapping::Mapping;
use crate::import::progress;
use crate::import::reader::{Position, Reader};
use crate::import::request::Common;
use crate::import::state::{ImportState, Start};
use crate::values;
use crate::words::Word as _;

/// What `import` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
An interrupted import goes on where it stopped when the same command is given again. The folder
FILE.custodia-import (or --state DIR) remembers how far it is, which customer each source key became
(`custodia profile get --import-state DIR --source-key KEY`), and the refused rows with their reasons.")]
pub(crate) struct ImportCommand {
    /// The file to load
    file: PathBuf,
    /// How its rows become customers (see cluster/examples)
    #[arg(long, value_name = "FILE")]
    mapping: PathBuf,
    /// Under which the data was collected
    #[arg(long)]
    purpose: String,
    /// The source system
    #[arg(long)]
    source: String,
    /// Lawful basis of the collection [default: the purpose's first that holds]
    #[arg(long, value_parser = v1::LawfulBasis::parse)]
    basis: Option<v1::LawfulBasis>,
    /// first, second or third party
    #[arg(long, default_value = "first", value_parser = v1::Party::parse)]
    party: v1::Party,
    /// Create the purposes and attributes under `[catalogue]` of the mapping that the cluster has not got
    #[arg(long)]
    define: bool,
    /// Folder for the import's memory [default: FILE.custodia-import]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Begin again, whatever the folder remembers
    #[arg(long)]
    restart: bool,
    /// Requests in flight
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=4096))]
    window: u16,
}

impl ImportCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        let (mapping, mapping_text) = Mapping::load(&self.mapping)?;
        check_columns(&self.file, &self.mapping, &mapping)?;
        let common = self.common(&mapping_text)?;
        let client = connection.client()?;
        let start = if self.restart { Start::Afresh } else { Start::Resume };
        let folder = self.state_folder();
        let mut state = ImportState::open(&folder, &common.identities.run(), start)?;
        if state.is_finished() {
            eprintln!("this import is finished already; --restart begins again");
            return progress::report(connection.output, &folder, &state, None);
        }
        let common = self.with_types(common, &client, &mapping).await?;
        if state.done().rows > 0 {
            eprintln!("going on after row {}", state.done().rows);
        }
        let plan = Plan { file: &self.file, mapping: &mapping, common: &common, window: self.window.into() };
        let began = (std::time::Instant::now(), state.done().rows);
        let loaded = load::run(&client, &plan, &mut state).await;
        state.save()?;
        if let Err(error) = loaded {
            eprintln!(
                "stopped after row {} of {}; the same command goes on there",
                state.done().rows,
                self.file.display()
            );
            return Err(error);
        }
        state.finish()?;
        progress::report(connection.output, &folder, &state, Some(began))
    }

    fn common(&self, mapping_text: &str) -> Result<Common, CliError> {
        let changed = std::fs::metadata(&self.file).and_then(|metadata| metadata.modified());
        let changed = changed.map_err(CliError::file(&self.file))?;
        // A file from the future would have all its values refused.
        let changed = jiff::Timestamp::try_from(changed).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let observed_at = values::time_of(changed.min(jiff::Timestamp::now()));
        let basis = self.basis.unwrap_or(v1::LawfulBasis::Unspecified);
        let file = identity::fingerprint(&self.file)?;
        let content = [
            &file,
            mapping_text,
            &self.purpose,
            basis.as_str_name(),
            self.party.as_str_name(),
            &observed_at.to_string(),
        ];
        Ok(Common {
            identities: Identities::new(&self.source, &content),
            purpose: self.purpose.clone(),
            source: self.source.clone(),
            basis,
            party: self.party,
            observed_at,
            types: BTreeMap::new(),
        })
    }

    /// Defines what is to be defined, makes sure that the purpose exists, and learns the attributes' types.
    async fn with_types(
        &self,
        mut common: Common,
        client: &Client,
        mapping: &Mapping,
    ) -> Result<Common, CliError> {
        if self.define {
            let content = |reason| CliError::Content { path: self.mapping.clone(), reason };
            let purposes = mapping.catalogue.purposes().map_err(content)?;
            let attributes = mapping.catalogue.attributes().map_err(content)?;
            let defined = catalog::define(client, &purposes, &attributes).await?;
            eprintln!("{defined} catalogue entries defined");
        }
        client.get_purpose(v1::GetPurposeRequest { id: self.purpose.clone() }).await?;
        let attributes = catalog::all_attributes(client).await?;
        common.types = attributes.into_iter().map(|one| (one.name.clone(), one.r#type())).collect();
        Ok(common)
    }

    fn state_folder(&self) -> PathBuf {
        self.state.clone().unwrap_or_else(|| {
            let mut name = self.file.as_os_str().to_owned();
            name.push(".custodia-import");
            PathBuf::from(name)
        })
    }
}

/// A column that the file does not have is a mistake in the mapping, found before anything is sent.
fn check_columns(file: &Path, mapping_path: &Path, mapping: &Mapping) -> Result<(), CliError> {
    let reader = Reader::open(file, &mapping.input, Position::default())?;
    let columns = reader.columns();
    if columns.is_empty() {
        return Ok(());
    }
    for (key, column) in mapping.columns() {
        if columns.iter().all(|known| known != column) {
            return Err(CliError::Content {
                path: mapping_path.to_owned(),
                reason: format!("{key}: the input has no column `{column}`; it has {}", columns.join(", ")),
            });
        }
    }
    Ok(())
}
