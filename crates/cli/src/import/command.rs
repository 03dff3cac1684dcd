//! `custodia import`: prepares and runs an import of profiles.

use std::collections::BTreeMap;

use custodia_client::Client;
use custodia_proto::v1;

use crate::catalog;
use crate::connection::Connection;
use crate::error::CliError;
use crate::import::call_stream::IngestStream;
use crate::import::identity::Identities;
use crate::import::job::{Job, LoadOptions};
use crate::import::mapping::Mapping;
use crate::import::progress::Kind;
use crate::import::request::{Common, ProfileBatcher};
use crate::text::enum_text::EnumText as _;
use crate::text::values;

/// What `import` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
To resume an interrupted import, run the same command again. The folder FILE.custodia-import (or --state DIR)
has the progress, the customer of each source key (see `custodia profile get --source-key`), and the refused
rows with their reasons.")]
pub(crate) struct ImportCommand {
    #[command(flatten)]
    load: LoadOptions,
    /// Purpose for which the data was collected
    #[arg(long)]
    purpose: String,
    /// Lawful basis of the collection [default: the purpose's first basis that applies]
    #[arg(long, value_parser = v1::LawfulBasis::parser())]
    basis: Option<v1::LawfulBasis>,
    /// Who collected the data: first, second or third party
    #[arg(long, default_value = "first", value_parser = v1::Party::parser())]
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
        common.identities = common.identities.of_attempt(job.attempt());
        self.load.define(&client, &mapping).await?;
        common.types = self.types(&client).await?;
        let stream = IngestStream::new(&client, self.load.window.into());
        job.run(stream, ProfileBatcher::new(&mapping, &common), &mapping.input).await
    }

    #[expect(clippy::disallowed_methods, reason = "the clock of the caller, read in one place")]
    fn common(&self, mapping_text: &str) -> Result<Common, CliError> {
        let file = &self.load.file;
        let changed = std::fs::metadata(file).and_then(|metadata| metadata.modified());
        let changed = changed.map_err(CliError::file(file))?;
        // Values observed in the future would all be refused.
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

    /// The types of the catalogue's attributes. Fails early if the purpose does not exist.
    async fn types(&self, client: &Client) -> Result<BTreeMap<String, v1::ValueType>, CliError> {
        client.get_purpose(v1::GetPurposeRequest { id: self.purpose.clone() }).await?;
        let attributes = catalog::all_attributes(client).await?;
        Ok(attributes.into_iter().map(|one| (one.name.clone(), one.r#type())).collect())
    }
}
