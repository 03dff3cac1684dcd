//! `custodia import`: prepares the loading of profiles, and runs it.

use std::collections::BTreeMap;

use custodia_client::Client;
use custodia_proto::v1;

use crate::catalog;
use crate::connection::Connection;
use crate::error::CliError;
use crate::import::identity::Identities;
use crate::import::job::{Job, LoadOptions};
use crate::import::lane::IngestLane;
use crate::import::mapping::Mapping;
use crate::import::progress::Kind;
use crate::import::request::{Batches, Common};
use crate::values;
use crate::words::Word as _;

/// What `import` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
An interrupted import goes on where it stopped when the same command is given again. The folder
FILE.custodia-import (or --state DIR) remembers how far it is, which customer each source key became
(`custodia profile get --import-state DIR --source-key KEY`), and the refused rows with their reasons.")]
pub(crate) struct ImportCommand {
    #[command(flatten)]
    load: LoadOptions,
    /// Under which the data was collected
    #[arg(long)]
    purpose: String,
    /// Lawful basis of the collection [default: the purpose's first that holds]
    #[arg(long, value_parser = v1::LawfulBasis::parse)]
    basis: Option<v1::LawfulBasis>,
    /// first, second or third party
    #[arg(long, default_value = "first", value_parser = v1::Party::parse)]
    party: v1::Party,
}

impl ImportCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        let (mapping, mapping_text) = self.load.read_mapping::<Mapping>()?;
        let mut common = self.common(&mapping_text)?;
        let client = connection.client()?;
        let job = Job::open(&self.load, connection.output, Kind::Profiles, &common.identities.run())?;
        if job.is_finished() {
            return job.report(None);
        }
        self.load.define(&client, &mapping).await?;
        common.types = self.types(&client).await?;
        let lane = IngestLane::new(&client, self.load.window.into());
        job.run(lane, Batches::new(&mapping, &common), &mapping.input).await
    }

    #[expect(clippy::disallowed_methods, reason = "the clock of the caller, read in one place")]
    fn common(&self, mapping_text: &str) -> Result<Common, CliError> {
        let file = &self.load.file;
        let changed = std::fs::metadata(file).and_then(|metadata| metadata.modified());
        let changed = changed.map_err(CliError::file(file))?;
        // A file from the future would have all its values refused.
        let changed = jiff::Timestamp::try_from(changed).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let observed_at = values::time_of(changed.min(jiff::Timestamp::now()));
        let basis = self.basis.unwrap_or(v1::LawfulBasis::Unspecified);
        let fingerprint = self.load.fingerprint()?;
        let content = [
            &fingerprint,
            mapping_text,
            &self.purpose,
            basis.as_str_name(),
            self.party.as_str_name(),
            &observed_at.to_string(),
        ];
        Ok(Common {
            identities: Identities::new(&self.load.source, &content),
            purpose: self.purpose.clone(),
            source: self.load.source.clone(),
            basis,
            party: self.party,
            observed_at,
            types: BTreeMap::new(),
        })
    }

    /// Makes sure that the purpose exists, and learns the attributes' types.
    async fn types(&self, client: &Client) -> Result<BTreeMap<String, v1::ValueType>, CliError> {
        client.get_purpose(v1::GetPurposeRequest { id: self.purpose.clone() }).await?;
        let attributes = catalog::all_attributes(client).await?;
        Ok(attributes.into_iter().map(|one| (one.name.clone(), one.r#type())).collect())
    }
}
