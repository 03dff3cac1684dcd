//! `custodia consent export`: a consent record for other systems, or a receipt for the customer.

use std::path::PathBuf;

use custodia_proto::v1;

use crate::connection::Connection;
use crate::error::CliError;
use crate::files::{self, Readers};
use crate::output::{self, Format, print};
use crate::words::Word as _;

/// What `consent export` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportConsent {
    /// The customer (cust_…)
    id: String,
    /// dpv-27560: a record after ISO/IEC TS 27560 in W3C DPV terms (JSON-LD); receipt: a Kantara consent receipt
    #[arg(long, value_parser = v1::ConsentExportFormat::parse)]
    format: v1::ConsentExportFormat,
    /// Only this purpose; repeat it, or separate several by commas [default: all on which something is recorded]
    #[arg(long = "only", value_name = "PURPOSE", value_delimiter = ',')]
    purposes: Vec<String>,
    /// Into this file, for the owner's eyes alone [default: standard output]
    #[arg(long)]
    file: Option<PathBuf>,
    /// Why you ask
    #[arg(long)]
    purpose: String,
}

impl ExportConsent {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        let request = v1::ExportConsentRequest {
            customer_id: self.id,
            purpose: self.purpose,
            format: self.format.into(),
            purposes: self.purposes,
        };
        let export = connection.client()?.export_consent(request).await?;
        if let Some(path) = self.file {
            files::replace(&path, export.document.as_bytes(), Readers::Owner)?;
            if connection.output == Format::Table {
                return output::line(&format!("{} written to {}", export.media_type, path.display()));
            }
        }
        print(connection.output, "ExportConsentResponse", &export, || export.document.clone())
    }
}
