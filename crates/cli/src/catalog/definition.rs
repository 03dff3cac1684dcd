//! What `custodia purpose`, `attribute`, `jurisdiction` and `recipient` have in common: every kind of catalogue entry is
//! created, updated, shown and listed in the same way, and has a history.
//!
//! Invariant: an update starts from the current entry and sends its etag, so that fields that are not given keep their
//! values and a concurrent change is not lost.

use std::path::PathBuf;

use custodia_client::{Client, ClientError};
use custodia_proto::v1;
use serde::de::DeserializeOwned;

use crate::catalog::history;
use crate::connection::{Connection, pages};
use crate::error::CliError;
use crate::files;

/// The fields of one kind of entry, as given by options and files. Each may be absent.
pub(crate) trait Definition: clap::Args + DeserializeOwned + Default {
    /// The API message of an entry.
    type Entry: prost::Message + Default + Clone + PartialEq;
    /// The API message of a list of entries.
    type Page: prost::Message;
    /// The names of the two messages.
    const ENTRY: &'static str;
    const PAGE: &'static str;

    /// The entry's name, if given.
    fn name(&self) -> Option<&str>;
    /// The key of a required field that the entry lacks.
    fn missing(entry: &Self::Entry) -> Option<&'static str>;
    /// Sets the given fields.
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

    fn name_of(entry: &Self::Entry) -> &str;
    fn etag_of(entry: &Self::Entry) -> &str;
    /// The entry after a change, if the change is to an entry of this kind.
    fn changed(change: &v1::CatalogChange) -> Option<&Self::Entry>;

    /// A table with one line per entry.
    fn rows(entries: &[Self::Entry]) -> String;
    /// One entry with all its fields.
    fn text(entry: &Self::Entry) -> String;
}

/// `create`, `update`, `get`, `list`, `history`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum DefinitionCommand<Fields: Definition> {
    /// Create an entry
    Create {
        #[command(flatten)]
        given: Box<Given<Fields>>,
        /// Check only, change nothing
        #[arg(long)]
        validate_only: bool,
    },
    /// Change an entry; fields that are not given keep their values
    Update {
        #[command(flatten)]
        given: Box<Given<Fields>>,
    },
    /// List all entries
    List,
    /// Show an entry
    #[command(visible_alias = "show")]
    Get {
        /// Name of the entry
        name: String,
    },
    /// Show the history of an entry: when, by whom and how it was changed
    History {
        /// Name of the entry
        name: String,
    },
}

/// Fields from options and from a file; options override the file.
#[derive(Debug, clap::Args)]
pub(crate) struct Given<Fields: Definition> {
    #[command(flatten)]
    fields: Fields,
    /// TOML or JSON file with the same fields (see cluster/README.md); options override it; - is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl<Fields: Definition> DefinitionCommand<Fields> {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        let client = connection.client()?;
        let entry = match self {
            Self::List => {
                let entries = all::<Fields>(&client).await?;
                let text = Fields::rows(&entries);
                return connection.print(Fields::PAGE, &Fields::page_of(entries), |_| text);
            }
            Self::History { name } => return history::run::<Fields>(connection, &client, &name).await,
            Self::Get { name } => Fields::get(&client, name).await?,
            Self::Create { given, validate_only } => {
                let entry = given.new_entry()?;
                Fields::create(&client, entry, validate_only).await?
            }
            Self::Update { given } => {
                let (file, fields) = given.read()?;
                let name = fields.name().or(file.name()).ok_or_else(|| is_required("name"))?.to_owned();
                let mut entry = Fields::get(&client, name).await?;
                file.apply(&mut entry);
                fields.apply(&mut entry);
                Fields::update(&client, entry).await?
            }
        };
        connection.print(Fields::ENTRY, &entry, Fields::text)
    }
}

impl<Fields: Definition> Given<Fields> {
    /// The fields of the file and those of the options.
    fn read(self) -> Result<(Fields, Fields), CliError> {
        let file = self.file.as_deref().map(files::read_document).transpose()?.unwrap_or_default();
        Ok((file, self.fields))
    }

    fn new_entry(self) -> Result<Fields::Entry, CliError> {
        let (file, fields) = self.read()?;
        let mut entry = Fields::Entry::default();
        file.apply(&mut entry);
        fields.apply(&mut entry);
        Fields::missing(&entry).map_or(Ok(entry), |key| Err(is_required(key)))
    }
}

fn is_required(key: &'static str) -> CliError {
    CliError::Argument { argument: key, reason: "is required, as an option or in the file".into() }
}

/// All entries of a kind.
pub(crate) async fn all<Fields: Definition>(client: &Client) -> Result<Vec<Fields::Entry>, CliError> {
    Ok(pages::all(async |page_token| Fields::page(client, page_token).await).await?)
}

/// The entries of a list in a file as API messages. An error names the list, the index and the missing key.
pub(crate) fn entries<Fields: Definition + Clone>(
    list: &str,
    given: &[Fields],
) -> Result<Vec<Fields::Entry>, String> {
    let entry = |(index, fields): (usize, &Fields)| {
        let mut entry = Fields::Entry::default();
        fields.clone().apply(&mut entry);
        let missing = Fields::missing(&entry).map(|key| format!("{list}[{index}].{key} is required"));
        missing.map_or(Ok(entry), Err)
    };
    given.iter().enumerate().map(entry).collect()
}

/// Creates the entries that do not exist yet and returns how many it created.
pub(crate) async fn create_missing_entries<Fields: Definition>(
    client: &Client,
    entries: &[Fields::Entry],
) -> Result<usize, CliError> {
    if entries.is_empty() {
        return Ok(0);
    }
    let known = all::<Fields>(client).await?;
    let is_known =
        |entry: &Fields::Entry| known.iter().any(|one| Fields::name_of(one) == Fields::name_of(entry));
    let mut created = 0;
    for entry in entries.iter().filter(|entry| !is_known(entry)) {
        Fields::create(client, entry.clone(), false).await?;
        created += 1;
    }
    Ok(created)
}

/// Sets a field, if a value was given.
pub(crate) fn set<Value>(field: &mut Value, given: Option<Value>) {
    if let Some(value) = given {
        *field = value;
    }
}

/// The numbers of enum values, if given.
pub(crate) fn numbers<Value: Into<i32>>(given: Option<Vec<Value>>) -> Option<Vec<i32>> {
    given.map(|values| values.into_iter().map(Into::into).collect())
}

/// Implements the parts of [`Definition`] that differ only in the names of the client's methods and messages.
macro_rules! calls {
    (
        $Entry:ident as $entry:ident, named by $name:ident, in $entries:ident, changed as $Changed:ident;
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

        fn name(&self) -> Option<&str> {
            self.$name.as_deref()
        }

        fn changed(change: &v1::CatalogChange) -> Option<&v1::$Entry> {
            if let Some(v1::catalog_change::Entry::$Changed(entry)) = &change.entry {
                Some(entry)
            } else {
                None
            }
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
