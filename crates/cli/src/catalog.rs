//! `custodia purpose` and `custodia attribute`: the catalogue.

use custodia_client::Client;
use custodia_proto::v1;

use crate::connection::Connection;
use crate::error::CliError;
use crate::output::{print, table};
use crate::pages;
use crate::words::{Word as _, word_of};

/// `custodia purpose …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum PurposeCommand {
    /// Define a purpose
    Create(CreatePurpose),
    /// List the purposes
    List,
    /// Show one purpose
    Get {
        /// Its name
        id: String,
    },
}

/// What `purpose create` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct CreatePurpose {
    /// Name: 1 to 64 of [a-z0-9-]
    id: String,
    /// Name for people
    #[arg(long, default_value = "")]
    name: String,
    /// What the customer is told
    #[arg(long, default_value = "")]
    description: String,
    /// W3C DPV identifier, e.g. dpv:ServiceProvision
    #[arg(long, default_value = "")]
    dpv: String,
    /// Lawful basis that may carry it, in the order of trial; repeat it, or separate several by commas
    #[arg(long = "basis", required = true, value_delimiter = ',', value_parser = v1::LawfulBasis::parse)]
    bases: Vec<v1::LawfulBasis>,
    /// Basis that holds for every customer without a record, e.g. legal-obligation
    #[arg(long = "standing", value_delimiter = ',', value_parser = v1::LawfulBasis::parse)]
    standing: Vec<v1::LawfulBasis>,
    /// Version of the notice that asks for consent; repeat it, oldest first
    #[arg(long = "notice")]
    notices: Vec<String>,
    /// Check only, change nothing
    #[arg(long)]
    validate_only: bool,
}

/// `custodia attribute …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum AttributeCommand {
    /// Define an attribute
    Create(CreateAttribute),
    /// List the attributes
    List,
    /// Show one attribute
    Get {
        /// Its name
        name: String,
    },
}

/// What `attribute create` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct CreateAttribute {
    /// Name: 1 to 64 of [a-z0-9_]
    name: String,
    /// text, integer, decimal, boolean, date or timestamp
    #[arg(long = "type", value_parser = v1::ValueType::parse)]
    kind: v1::ValueType,
    /// anonymous, pseudonymous, personal or sensitive
    #[arg(long, value_parser = v1::Classification::parse)]
    classification: v1::Classification,
    /// Purpose for which it may be collected and read; repeat it, or separate several by commas
    #[arg(long = "purpose", required = true, value_delimiter = ',')]
    purposes: Vec<String>,
    /// What it means
    #[arg(long, default_value = "")]
    description: String,
    /// Who answers for it
    #[arg(long, default_value = "")]
    owner: String,
    /// Largest text value in bytes [default: 4096]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    bytes_max: u32,
    /// Check only, change nothing
    #[arg(long)]
    validate_only: bool,
}

impl PurposeCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        let client = connection.client()?;
        let purpose = match self {
            Self::List => {
                let purposes = all_purposes(&client).await?;
                let answer = v1::ListPurposesResponse { purposes, ..Default::default() };
                return print(connection.output, "ListPurposesResponse", &answer, || {
                    purposes_text(&answer.purposes)
                });
            }
            Self::Get { id } => client.get_purpose(v1::GetPurposeRequest { id }).await?,
            Self::Create(create) => {
                let validate_only = create.validate_only;
                let purpose = Some(create.into_purpose());
                client.create_purpose(v1::CreatePurposeRequest { purpose, validate_only }).await?
            }
        };
        print(connection.output, "Purpose", &purpose, || purpose_text(&purpose))
    }
}

impl CreatePurpose {
    fn into_purpose(self) -> v1::Purpose {
        let notice = |version| v1::NoticeVersion { version, ..v1::NoticeVersion::default() };
        v1::Purpose {
            id: self.id,
            display_name: self.name,
            description: self.description,
            dpv: self.dpv,
            lawful_bases: self.bases.into_iter().map(i32::from).collect(),
            notices: self.notices.into_iter().map(notice).collect(),
            standing_bases: self.standing.into_iter().map(i32::from).collect(),
            deprecated: false,
            etag: String::new(),
        }
    }
}

impl AttributeCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        let client = connection.client()?;
        let attribute = match self {
            Self::List => {
                let attributes = all_attributes(&client).await?;
                let answer = v1::ListAttributesResponse { attributes, ..Default::default() };
                return print(connection.output, "ListAttributesResponse", &answer, || {
                    attributes_text(&answer.attributes)
                });
            }
            Self::Get { name } => client.get_attribute(v1::GetAttributeRequest { name }).await?,
            Self::Create(create) => {
                let validate_only = create.validate_only;
                let attribute = Some(create.into_attribute());
                client.create_attribute(v1::CreateAttributeRequest { attribute, validate_only }).await?
            }
        };
        print(connection.output, "AttributeDefinition", &attribute, || {
            attributes_text(std::slice::from_ref(&attribute))
        })
    }
}

impl CreateAttribute {
    fn into_attribute(self) -> v1::AttributeDefinition {
        v1::AttributeDefinition {
            name: self.name,
            number: 0,
            description: self.description,
            r#type: self.kind.into(),
            classification: self.classification.into(),
            purposes: self.purposes,
            owner: self.owner,
            bytes_max: self.bytes_max,
            etag: String::new(),
        }
    }
}

/// All purposes of the catalogue.
///
/// # Errors
/// When a page cannot be fetched.
pub(crate) async fn all_purposes(client: &Client) -> Result<Vec<v1::Purpose>, CliError> {
    Ok(pages::all(async |page_token| {
        let page = client.list_purposes(v1::ListPurposesRequest { page_size: 0, page_token }).await?;
        Ok((page.purposes, page.next_page_token))
    })
    .await?)
}

/// All attributes of the catalogue.
///
/// # Errors
/// When a page cannot be fetched.
pub(crate) async fn all_attributes(client: &Client) -> Result<Vec<v1::AttributeDefinition>, CliError> {
    Ok(pages::all(async |page_token| {
        let page = client.list_attributes(v1::ListAttributesRequest { page_size: 0, page_token }).await?;
        Ok((page.attributes, page.next_page_token))
    })
    .await?)
}

/// Defines what is not defined yet and leaves the rest as it is; says how many entries are new.
///
/// # Errors
/// When the catalogue cannot be read or an entry is refused.
pub(crate) async fn define(
    client: &Client,
    purposes: &[v1::Purpose],
    attributes: &[v1::AttributeDefinition],
) -> Result<usize, CliError> {
    let mut defined = 0;
    let known = all_purposes(client).await?;
    for purpose in purposes.iter().filter(|purpose| known.iter().all(|one| one.id != purpose.id)) {
        let request = v1::CreatePurposeRequest { purpose: Some(purpose.clone()), validate_only: false };
        client.create_purpose(request).await?;
        defined += 1;
    }
    let known = all_attributes(client).await?;
    for attribute in attributes.iter().filter(|attribute| known.iter().all(|one| one.name != attribute.name))
    {
        let request = v1::CreateAttributeRequest { attribute: Some(attribute.clone()), validate_only: false };
        client.create_attribute(request).await?;
        defined += 1;
    }
    Ok(defined)
}

fn bases(numbers: &[i32]) -> String {
    numbers.iter().map(|number| word_of::<v1::LawfulBasis>(*number)).collect::<Vec<_>>().join(", ")
}

fn purposes_text(purposes: &[v1::Purpose]) -> String {
    let mut lines = table(["PURPOSE", "NAME", "LAWFUL BASES", "STANDING", "NEWEST NOTICE", "STATE"]);
    for purpose in purposes {
        let notice = purpose.notices.last().map_or("-", |notice| notice.version.as_str());
        let standing = bases(&purpose.standing_bases);
        lines.add_row([
            purpose.id.as_str(),
            &purpose.display_name,
            &bases(&purpose.lawful_bases),
            if standing.is_empty() { "-" } else { &standing },
            notice,
            if purpose.deprecated { "deprecated" } else { "in use" },
        ]);
    }
    lines.to_string()
}

fn purpose_text(purpose: &v1::Purpose) -> String {
    let mut text = purposes_text(std::slice::from_ref(purpose));
    if !purpose.description.is_empty() {
        text.push_str("\n\n");
        text.push_str(&purpose.description);
    }
    text
}

fn attributes_text(attributes: &[v1::AttributeDefinition]) -> String {
    let mut lines = table(["ATTRIBUTE", "TYPE", "CLASSIFICATION", "PURPOSES", "OWNER", "DESCRIPTION"]);
    for attribute in attributes {
        lines.add_row([
            attribute.name.clone(),
            word_of::<v1::ValueType>(attribute.r#type),
            word_of::<v1::Classification>(attribute.classification),
            attribute.purposes.join(", "),
            attribute.owner.clone(),
            attribute.description.clone(),
        ]);
    }
    lines.to_string()
}
