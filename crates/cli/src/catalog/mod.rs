//! `custodia purpose`, `attribute`, `jurisdiction`, `recipient`, `channel`, `namespace`, `matter` and `trait`: the catalogue.

mod attribute;
mod channel;
mod definition;
mod history;
mod jurisdiction;
mod matter_type;
mod namespace;
mod purpose;
mod recipient;
mod trait_definition;

use custodia_client::Client;
use custodia_proto::v1;
use serde::Deserialize;

use crate::error::CliError;

pub(crate) use attribute::{AttributeCommand, AttributeFields};
pub(crate) use channel::ChannelFields;
pub(crate) use definition::DefinitionCommand;
pub(crate) use jurisdiction::JurisdictionFields;
pub(crate) use matter_type::MatterTypeFields;
pub(crate) use namespace::NamespaceFields;
pub(crate) use purpose::PurposeFields;
pub(crate) use recipient::RecipientFields;
pub(crate) use trait_definition::TraitFields;

use definition::{all, create_missing_entries, entries};

/// Catalogue entries in a file, e.g. under `[catalogue]` of a mapping, with the same fields as the commands' options.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CatalogueFile {
    jurisdictions: Vec<JurisdictionFields>,
    purposes: Vec<PurposeFields>,
    attributes: Vec<AttributeFields>,
    recipients: Vec<RecipientFields>,
    channels: Vec<ChannelFields>,
    namespaces: Vec<NamespaceFields>,
    matter_types: Vec<MatterTypeFields>,
    traits: Vec<TraitFields>,
}

/// Entries to create together.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(crate) jurisdictions: Vec<v1::Jurisdiction>,
    pub(crate) purposes: Vec<v1::Purpose>,
    pub(crate) attributes: Vec<v1::AttributeDefinition>,
    pub(crate) recipients: Vec<v1::Recipient>,
    pub(crate) channels: Vec<v1::ChannelDefinition>,
    pub(crate) namespaces: Vec<v1::Namespace>,
    pub(crate) matter_types: Vec<v1::MatterType>,
    pub(crate) traits: Vec<v1::TraitDefinition>,
}

impl CatalogueFile {
    /// The entries as API messages. An error names the list, the index and the missing key.
    pub(crate) fn entries(&self) -> Result<Entries, String> {
        Ok(Entries {
            jurisdictions: entries("catalogue.jurisdictions", &self.jurisdictions)?,
            purposes: entries("catalogue.purposes", &self.purposes)?,
            attributes: entries("catalogue.attributes", &self.attributes)?,
            recipients: entries("catalogue.recipients", &self.recipients)?,
            channels: entries("catalogue.channels", &self.channels)?,
            namespaces: entries("catalogue.namespaces", &self.namespaces)?,
            matter_types: entries("catalogue.matter_types", &self.matter_types)?,
            traits: entries("catalogue.traits", &self.traits)?,
        })
    }
}

/// Creates the entries that do not exist yet, leaves the others as they are, and returns how many it created. Purposes
/// and attributes come before the entries that refer to them.
pub(crate) async fn create_missing(client: &Client, entries: &Entries) -> Result<usize, CliError> {
    Ok(create_missing_entries::<JurisdictionFields>(client, &entries.jurisdictions).await?
        + create_missing_entries::<PurposeFields>(client, &entries.purposes).await?
        + create_missing_entries::<AttributeFields>(client, &entries.attributes).await?
        + create_missing_entries::<RecipientFields>(client, &entries.recipients).await?
        + create_missing_entries::<ChannelFields>(client, &entries.channels).await?
        + create_missing_entries::<NamespaceFields>(client, &entries.namespaces).await?
        + create_missing_entries::<MatterTypeFields>(client, &entries.matter_types).await?
        + create_missing_entries::<TraitFields>(client, &entries.traits).await?)
}

/// All attributes of the catalogue.
pub(crate) async fn all_attributes(client: &Client) -> Result<Vec<v1::AttributeDefinition>, CliError> {
    all::<AttributeFields>(client).await
}
