//! `custodia import`: prepares and runs an import of profiles.

use std::collections::BTreeMap;

use custodia_client::Client;
use custodia_proto::v1;

use crate::catalog;
use crate::connection::Connection;
use crate::error::CliError;
use crate::import::call_stream::{IngestStream, is_input_error, is_legal_refusal};
use crate::import::grant;
use crate::import::identifier;
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
Each row reaches the customer who is known by its key, or by another of its identifiers; if nobody is, a new one. See the
customer with `custodia profile find NAMESPACE=KEY`.

To resume an interrupted import, run the same command again. The folder FILE.custodia-import (or --state DIR)
has the progress, and the refused rows with their reasons.")]
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
        let mut common = self.common(&mapping, &mapping_text)?;
        let client = connection.client()?;
        let job = Job::open(&self.load, connection.output, Kind::Profiles, &common.identities.run())?;
        if job.is_finished() {
            return job.report(None);
        }
        common.identities = common.identities.of_attempt(job.attempt());
        self.load.define(&client, &mapping).await?;
        common.types = self.types(&client).await?;
        mapping.check_formats(&common.types).map_err(CliError::content(&self.load.mapping))?;
        self.check_namespaces(&client, &mapping).await?;
        self.check_consents(&client, &mapping, &common).await?;
        let stream = IngestStream::new(&client, self.load.window.into());
        job.run(stream, ProfileBatcher::new(&mapping, &common), &mapping.input).await
    }

    #[expect(clippy::disallowed_methods, reason = "the clock of the caller, read in one place")]
    fn common(&self, mapping: &Mapping, mapping_text: &str) -> Result<Common, CliError> {
        let file = &self.load.file;
        let changed = std::fs::metadata(file).and_then(|metadata| metadata.modified());
        let changed = changed.map_err(CliError::file(file))?;
        // Values observed in the future would all be refused.
        let changed = jiff::Timestamp::try_from(changed).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let began_at = jiff::Timestamp::now();
        let observed_at = values::time_of(changed.min(began_at));
        // Where the mapping declares the time, the file's own is in no request.
        let own_time = if mapping.observed_at.is_none() { observed_at.to_string() } else { String::new() };
        let basis = self.basis.unwrap_or(v1::LawfulBasis::Unspecified);
        let fingerprint = self.load.fingerprint()?;
        let content = [
            &fingerprint,
            mapping_text,
            &self.purpose,
            basis.as_str_name(),
            self.party.as_str_name(),
            &own_time,
        ];
        Ok(Common {
            identities: Identities::new(&self.load.source, &content),
            purpose: self.purpose.clone(),
            source: self.load.source.clone(),
            basis,
            party: self.party,
            observed_at,
            began_at: values::time_of(began_at),
            types: BTreeMap::new(),
        })
    }

    /// Whether the catalogue takes the identifiers of the mapping: if not, each row would be refused.
    async fn check_namespaces(&self, client: &Client, mapping: &Mapping) -> Result<(), CliError> {
        let of_mapping = self.load.of_mapping();
        let key = identifier::check_key_namespace(client, &mapping.customer.namespace).await?;
        let key = key.and_then(|key| identifier::check_use("customer.namespace", &key, &self.purpose));
        key.map_err(&of_mapping)?;
        for name in mapping.identifiers.keys() {
            let key = format!("identifiers.{name}");
            let known = identifier::namespace_of(client, &key, name).await?;
            let known = known.and_then(|known| identifier::check_use(&key, &known, &self.purpose));
            known.map_err(&of_mapping)?;
        }
        Ok(())
    }

    /// Whether the cluster takes what the mapping says of the grounds, whatever the rows say: it decides on a sample of each.
    async fn check_consents(
        &self,
        client: &Client,
        mapping: &Mapping,
        common: &Common,
    ) -> Result<(), CliError> {
        let samples = mapping.consents.iter().map(|consent| grant::sample(consent, common.began_at));
        let request = v1::IngestProfileRequest {
            consents: samples.collect(),
            validate_only: true,
            ..common.unidentified()
        };
        if request.consents.is_empty() {
            return Ok(());
        }
        let Err(error) = client.ingest_profile(request).await else { return Ok(()) };
        match error.answered() {
            Some(answered) if is_input_error(answered.code) || is_legal_refusal(answered) => {
                Err(CliError::content(&self.load.mapping)(&answered.message))
            }
            Some(_) | None => Err(error.into()),
        }
    }

    /// The types of the catalogue's attributes. Fails early if the purpose does not exist.
    async fn types(&self, client: &Client) -> Result<BTreeMap<String, v1::ValueType>, CliError> {
        client.get_purpose(v1::GetPurposeRequest { id: self.purpose.clone() }).await?;
        let attributes = catalog::all_attributes(client).await?;
        Ok(attributes.into_iter().map(|one| (one.name.clone(), one.r#type())).collect())
    }
}
