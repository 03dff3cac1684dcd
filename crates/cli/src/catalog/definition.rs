//! What `custodia purpose`, `attribute`, `jurisdiction` and `recipient` have in common: each kind of catalogue entry is
//! made, changed, read, listed and followed through time in the same way.
//!
//! Always: an update starts from the entry as it stands and carries its etag, so that what nobody mentioned stays,
//! and a change of somebody else in between is not lost.

use std::path::PathBuf;

use custodia_client::{Client, ClientError};
use custodia_proto::v1;
use serde::de::DeserializeOwned;

use crate::catalog::history;
use crate::connection::Connection;
use crate::error::CliError;
use crate::files;
use crate::output::print;
use crate::pages;

/// The fields of one kind of entry, as options and files give them: each may be absent.
pub(crate) trait Definition: clap::Args + DeserializeOwned + Default {
    /// As the interface has it.
    type Entry: prost::Message + Default + Clone + PartialEq;
    /// A page of them.
    type Page: prost::Message;
    /// The names of the two messages.
    const ENTRY: &'static str;
    const PAGE: &'static str;

    /// The entry's name, where it is given.
    fn name(&self) -> Option<&str>;
    /// What a new entry needs and has not got: the key in a file.
    fn missing(entry: &Self::Entry) -> Option<&'static str>;
    /// Puts what is given in place.
    fn apply(self, entry: &mut Self::Entry);

    async fn create(
        client: &Client,
        entry: Self::Entry,
        validate_only: bool,
    ) -> Result<Self::Entry, ClientError>;
    async fn update(client: &Client, entry: Self::Entry) -> Result<Self::Entry, ClientError>;
    async fn get(client: &Client, name: String) -> Result<Self::Entry, ClientError>;
    /// A page of the entries, and the token of the next.
    async fn page(client: &Client, page_token: String) -> Result<(Vec<Self::Entry>, String), ClientError>;
    fn page_of(entries: Vec<Self::Entry>) -> Self::Page;
    fn entries_of(page: &Self::Page) -> &[Self::Entry];

    fn name_of(entry: &Self::Entry) -> &str;
    fn etag_of(entry: &Self::Entry) -> &str;
    /// The entry of this kind that a change left behind.
    fn changed(change: &v1::CatalogChange) -> Option<&Self::Entry>;

    /// A line each.
    fn rows(entries: &[Self::Entry]) -> String;
    /// One entry with all that there is to say of it.
    fn text(entry: &Self::Entry) -> String;
}

/// `create`, `update`, `get`, `list`, `history`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum DefinitionCommand<Fields: Definition> {
    /// Define one
    Create {
        #[command(flatten)]
        given: Box<Given<Fields>>,
        /// Check only, change nothing
        #[arg(long)]
        validate_only: bool,
    },
    /// Change one; what is not given stays as it is
    Update {
        #[command(flatten)]
        given: Box<Given<Fields>>,
    },
    /// List all
    List,
    /// Show one
    #[command(visible_alias = "show")]
    Get {
        /// Its name
        name: String,
    },
    /// Show every version of one, with when it was changed, by whom and how
    History {
        /// Its name
        name: String,
    },
}

/// Options, and a file below them.
#[derive(Debug, clap::Args)]
pub(crate) struct Given<Fields: Definition> {
    #[command(flatten)]
    fields: Fields,
    /// A TOML or JSON file with the same fields (see cluster/README.md); options win; - is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl<Fields: Definition> DefinitionCommand<Fields> {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        let client = connection.client()?;
        let entry = match self {
            Self::List => {
                let page = Fields::page_of(all::<Fields>(&client).await?);
                return print(connection.output, Fields::PAGE, &page, || {
                    Fields::rows(Fields::entries_of(&page))
                });
            }
            Self::History { name } => return history::run::<Fields>(connection, &client, &name).await,
            Self::Get { name } => Fields::get(&client, name).await?,
            Self::Create { given, validate_only } => {
                let entry = given.new_entry()?;
                Fields::create(&client, entry, validate_only).await?
            }
            Self::Update { given } => {
                let (file, fields) = given.read()?;
                let name = fields.name().or(file.name()).ok_or_else(|| is_missing("the name"))?.to_owned();
                let mut entry = Fields::get(&client, name).await?;
                file.apply(&mut entry);
                fields.apply(&mut entry);
                Fields::update(&client, entry).await?
            }
        };
        print(connection.output, Fields::ENTRY, &entry, || Fields::text(&entry))
    }
}

impl<Fields: Definition> Given<Fields> {
    /// What the file says, and what the options say.
    fn read(self) -> Result<(Fields, Fields), CliError> {
        let file = self.file.as_deref().map(files::read_document).transpose()?.unwrap_or_default();
        Ok((file, self.fields))
    }

    fn new_entry(self) -> Result<Fields::Entry, CliError> {
        let (file, fields) = self.read()?;
        let mut entry = Fields::Entry::default();
        file.apply(&mut entry);
        fields.apply(&mut entry);
        Fields::missing(&entry).map_or(Ok(entry), |key| Err(is_missing(key)))
    }
}

fn is_missing(key: &'static str) -> CliError {
    CliError::Argument { argument: key, reason: "is missing: give it as an option or in the file".into() }
}

/// All entries of a kind.
///
/// # Errors
/// When a page cannot be fetched.
pub(crate) async fn all<Fields: Definition>(client: &Client) -> Result<Vec<Fields::Entry>, CliError> {
    Ok(pages::all(async |page_token| Fields::page(client, page_token).await).await?)
}

/// The entries of a file's list, as the interface has them.
///
/// # Errors
/// Names the list, the place and the key that is missing.
pub(crate) fn entries<Fields: Definition + Clone>(
    list: &str,
    given: &[Fields],
) -> Result<Vec<Fields::Entry>, String> {
    let entry = |(place, fields): (usize, &Fields)| {
        let mut entry = Fields::Entry::default();
        fields.clone().apply(&mut entry);
        let missing = Fields::missing(&entry).map(|key| format!("{list}[{place}].{key}: is missing"));
        missing.map_or(Ok(entry), Err)
    };
    given.iter().enumerate().map(entry).collect()
}

/// Defines those that are not defined yet and leaves the rest as it is; says how many are new.
///
/// # Errors
/// When the catalogue cannot be read or an entry is refused.
pub(crate) async fn define_missing<Fields: Definition>(
    client: &Client,
    entries: &[Fields::Entry],
) -> Result<usize, CliError> {
    if entries.is_empty() {
        return Ok(0);
    }
    let known = all::<Fields>(client).await?;
    let is_known =
        |entry: &Fields::Entry| known.iter().any(|one| Fields::name_of(one) == Fields::name_of(entry));
    let mut defined = 0;
    for entry in entries.iter().filter(|entry| !is_known(entry)) {
        Fields::create(client, entry.clone(), false).await?;
        defined += 1;
    }
    Ok(defined)
}

/// Puts an option's value in place, if it was given.
pub(crate) fn set<Value>(field: &mut Value, given: Option<Value>) {
    if let Some(value) = given {
        *field = value;
    }
}

/// The numbers of an option's words, if it was given.
pub(crate) fn numbers<Value: Into<i32>>(given: Option<Vec<Value>>) -> Option<Vec<i32>> {
    given.map(|values| values.into_iter().map(Into::into).collect())
}

/// Writes the calls of one kind: each is a method of the client and a message of its own.
macro_rules! calls {
    (
        $Entry:ident as $entry:ident, named by $name:ident, in $entries:ident;
        $create:ident($Create:ident), $update:ident($Update:ident), $get:ident($Get:ident),
        $list:ident($List:ident) -> $Page:ident
    ) => {
        type Entry = v1::$Entry;
        type Page = v1::$Page;
        const ENTRY: &'static str = stringify!($Entry);
        const PAGE: &'static str = stringify!($Page);

        async fn create(
            client: &Client,
            entry: v1::$Entry,
            validate_only: bool,
        ) -> Result<v1::$Entry, ClientError> {
            client.$create(v1::$Create { $entry: Some(entry), validate_only }).await
        }

        async fn update(client: &Client, entry: v1::$Entry) -> Result<v1::$Entry, ClientError> {
            client.$update(v1::$Update { $entry: Some(entry) }).await
        }

        async fn get(client: &Client, $name: String) -> Result<v1::$Entry, ClientError> {
            client.$get(v1::$Get { $name }).await
        }

        async fn page(client: &Client, page_token: String) -> Result<(Vec<v1::$Entry>, String), ClientError> {
            let page = client.$list(v1::$List { page_size: 0, page_token }).await?;
            Ok((page.$entries, page.next_page_token))
        }

        fn page_of($entries: Vec<v1::$Entry>) -> v1::$Page {
            v1::$Page { $entries, next_page_token: String::new() }
        }

        fn entries_of(page: &v1::$Page) -> &[v1::$Entry] {
            &page.$entries
        }

        fn name_of(entry: &v1::$Entry) -> &str {
            &entry.$name
        }

        fn etag_of(entry: &v1::$Entry) -> &str {
            &entry.etag
        }
    };
}
pub(crate) use calls;
