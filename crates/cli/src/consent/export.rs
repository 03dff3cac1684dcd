//! `custodia consent export`: a consent record for other systems, or a receipt for the customer.

use std::path::PathBuf;

use custodia_proto::v1;

use crate::connection::Connection;
use crate::customer::CustomerQuery;
use crate::error::CliError;
use crate::files::{self, Readers};
use crate::text::enum_text::EnumText as _;
use crate::text::output::{self, Format};

/// What `consent export` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportConsent {
    #[command(flatten)]
    query: CustomerQuery,
    /// dpv-27560: consent record (ISO/IEC TS 27560 in W3C DPV terms, JSON-LD); receipt: Kantara consent receipt
    #[arg(long, value_parser = v1::ConsentExportFormat::parser())]
    format: v1::ConsentExportFormat,
    /// Only this purpose (repeatable, or comma-separated) [default: all with recorded decisions]
    #[arg(long = "only", value_name = "PURPOSE", value_delimiter = ',')]
    purposes: Vec<String>,
    /// Write to this file, readable by its owner only [default: standard output]
    #[arg(long)]
    file: Option<PathBuf>,
}

impl ExportConsent {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        let request = v1::ExportConsentRequest {
            customer_id: self.query.id,
            purpose: self.query.purpose,
            format: self.format.into(),
            purposes: self.purposes,
        };
        let export = connection.client()?.export_consent(request).await?;
        if let Some(path) = self.file {
            files::replace(&path, export.document.as_bytes(), Readers::Owner)?;
            if connection.output == Format::Table {
                return output::line(&format!("wrote {} to {}", export.media_type, path.display()));
            }
        }
        connection.print(&export, |export| export.document.clone())
    }
}
