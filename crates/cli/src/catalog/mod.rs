//! `custodia purpose`, `attribute`, `jurisdiction` and `recipient`: the catalogue.

mod attribute;
mod definition;
mod history;
mod jurisdiction;
mod parts;
mod purpose;
mod recipient;

use custodia_client::Client;
use custodia_proto::v1;
use serde::Deserialize;

use crate::error::CliError;

pub(crate) use attribute::{AttributeCommand, AttributeFields};
pub(crate) use definition::DefinitionCommand;
pub(crate) use jurisdiction::JurisdictionFields;
pub(crate) use parts::parts;
pub(crate) use purpose::PurposeFields;
pub(crate) use recipient::RecipientFields;

use definition::{all, define_missing, entries};

/// Entries in a file, e.g. under `[catalogue]` of a mapping. Each list has the fields of the command's options.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CatalogueFile {
    jurisdictions: Vec<JurisdictionFields>,
    purposes: Vec<PurposeFields>,
    attributes: Vec<AttributeFields>,
    recipients: Vec<RecipientFields>,
}

/// Entries to define together.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(crate) jurisdictions: Vec<v1::Jurisdiction>,
    pub(crate) purposes: Vec<v1::Purpose>,
    pub(crate) attributes: Vec<v1::AttributeDefinition>,
    pub(crate) recipients: Vec<v1::Recipient>,
}

impl CatalogueFile {
    /// The entries as the interface has them.
    ///
    /// # Errors
    /// Names the list, the place and the key that is missing.
    pub(crate) fn entries(&self) -> Result<Entries, String> {
        Ok(Entries {
            jurisdictions: entries("catalogue.jurisdictions", &self.jurisdictions)?,
            purposes: entries("catalogue.purposes", &self.purposes)?,
            attributes: entries("catalogue.attributes", &self.attributes)?,
            recipients: entries("catalogue.recipients", &self.recipients)?,
        })
    }
}

/// Defines what is not defined yet and leaves the rest as it is; says how many entries are new. Purposes come before
/// what names them.
///
/// # Errors
/// When the catalogue cannot be read or an entry is refused.
pub(crate) async fn define(client: &Client, entries: &Entries) -> Result<usize, CliError> {
    Ok(define_missing::<JurisdictionFields>(client, &entries.jurisdictions).await?
        + define_missing::<PurposeFields>(client, &entries.purposes).await?
        + define_missing::<AttributeFields>(client, &entries.attributes).await?
        + define_missing::<RecipientFields>(client, &entries.recipients).await?)
}

/// All attributes of the catalogue.
///
/// # Errors
/// When a page cannot be fetched.
pub(crate) async fn all_attributes(client: &Client) -> Result<Vec<v1::AttributeDefinition>, CliError> {
    all::<AttributeFields>(client).await
}
