//! What `custodia purpose`, `attribute`, `namespace` … have in common: every kind of
//! catalogue entry is created, updated, shown and listed in the same way, and has a history.
//!
//! Invariant: an update starts from the current entry and sends its etag, so that fields that are not given keep their
//! values and a concurrent change is not lost.

use std::path::PathBuf;

use custodia_client::Client;
use custodia_proto::{rpc::Unary, v1};
use serde::de::DeserializeOwned;

use crate::catalog::history;
use crate::connection::Connection;
use crate::connection::pages::{self, Listing};
use crate::error::CliError;
use crate::files;
use crate::text::output::{Column, table};

/// The key of a required field, and whether an entry has it.
pub(crate) type Required<Entry> = (&'static str, fn(&Entry) -> bool);

/// The fields of one kind of entry, as given by options and files. Each may be absent.
pub(crate) trait Definition: clap::Args + DeserializeOwned + Default {
    /// The API message of an entry.
    type Entry: prost::Name + Default + Clone + 'static;
    /// The request that lists the entries.
    type List: Listing<Item = Self::Entry>;

    /// The required fields.
    const REQUIRED: &'static [Required<Self::Entry>];
    /// The columns of the list of entries.
    const COLUMNS: &'static [Column<Self::Entry>];

    /// The entry's name, if given.
    fn name(&self) -> Option<&str>;
    /// Sets the given fields.
    fn apply(self, entry: &mut Self::Entry);

    fn create(entry: Self::Entry, validate_only: bool) -> impl Unary<Answer = Self::Entry>;
    fn update(entry: Self::Entry) -> impl Unary<Answer = Self::Entry>;
    fn get(name: String) -> impl Unary<Answer = Self::Entry>;

    fn name_of(entry: &Self::Entry) -> &str;
    fn etag_of(entry: &Self::Entry) -> &str;
    /// The entry after a change, if the change is to an entry of this kind.
    fn changed(change: &v1::CatalogChange) -> Option<&Self::Entry>;

    /// The fields of an entry that are no columns.
    fn facts(entry: &Self::Entry) -> String;

    /// The key of a required field that the entry lacks.
    fn missing(entry: &Self::Entry) -> Option<&'static str> {
        Self::REQUIRED.iter().find(|(_, has)| !has(entry)).map(|(key, _)| *key)
    }
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
                let mut page = pages::all(&client, Fields::List::default()).await?;
                let text = table(Fields::COLUMNS, Fields::List::parts(&mut page).0);
                return connection.print(&page, |_| text);
            }
            Self::History { name } => return history::run::<Fields>(connection, &client, name).await,
            Self::Get { name } => client.call(Fields::get(name)).await?,
            Self::Create { given, validate_only } => {
                let entry = new_entry(given.read()?).map_err(is_required)?;
                client.call(Fields::create(entry, validate_only)).await?
            }
            Self::Update { given } => {
                let [file, fields] = given.read()?;
                let name = fields.name().or(file.name()).ok_or_else(|| is_required("name"))?.to_owned();
                let mut entry = client.call(Fields::get(name)).await?;
                file.apply(&mut entry);
                fields.apply(&mut entry);
                client.call(Fields::update(entry)).await?
            }
        };
        let text = |entry: &Fields::Entry| {
            format!("{}\n\n{}", table(Fields::COLUMNS, std::slice::from_ref(entry)), Fields::facts(entry))
        };
        connection.print(&entry, text)
    }
}

impl<Fields: Definition> Given<Fields> {
    /// The fields of the file and those of the options.
    fn read(self) -> Result<[Fields; 2], CliError> {
        let file = self.file.as_deref().map(files::read_document).transpose()?.unwrap_or_default();
        Ok([file, self.fields])
    }
}

/// An entry with these fields, later ones over earlier ones, or the key of a required field that none of them has.
fn new_entry<Fields: Definition>(
    given: impl IntoIterator<Item = Fields>,
) -> Result<Fields::Entry, &'static str> {
    let mut entry = Fields::Entry::default();
    for fields in given {
        fields.apply(&mut entry);
    }
    Fields::missing(&entry).map_or(Ok(entry), Err)
}

fn is_required(key: &'static str) -> CliError {
    CliError::argument(key, "is required, as an option or in the file")
}

/// All entries of a kind.
pub(crate) async fn all<Fields: Definition>(client: &Client) -> Result<Vec<Fields::Entry>, CliError> {
    let mut page = pages::all(client, Fields::List::default()).await?;
    Ok(std::mem::take(Fields::List::parts(&mut page).0))
}

/// The entries of a list in a file as API messages. An error names the list, the index and the missing key.
pub(crate) fn entries<Fields: Definition + Clone>(
    list: &str,
    given: &[Fields],
) -> Result<Vec<Fields::Entry>, String> {
    let entry = |(index, fields): (usize, &Fields)| {
        new_entry([fields.clone()]).map_err(|key| format!("{list}[{index}].{key} is required"))
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
        client.call(Fields::create(entry.clone(), false)).await?;
        created += 1;
    }
    Ok(created)
}

/// A retention for people; nothing if it is unlimited.
pub(crate) fn days_text(days: u32) -> String {
    if days == 0 { String::new() } else { format!("{days} days") }
}

/// The numbers of enum values, if given.
pub(crate) fn numbers<Value: Into<i32>>(given: Option<Vec<Value>>) -> Option<Vec<i32>> {
    given.map(|values| values.into_iter().map(Into::into).collect())
}

/// Sets those of the fields that were given; each has the name of its option.
macro_rules! set_fields {
    ($entry:ident, $given:expr, $($field:ident),*) => {
        $( crate::text::set(&mut $entry.$field, $given.$field); )*
    };
}
pub(crate) use set_fields;

/// Implements the parts of [`Definition`] that differ only in the names of messages and fields.
macro_rules! requests {
    (
        $Entry:ident as $entry:ident, named by $name:ident, changed as $Changed:ident;
        $Create:ident, $Update:ident, $Get:ident, $List:ident
    ) => {
        type Entry = v1::$Entry;
        type List = v1::$List;

        fn create(entry: v1::$Entry, validate_only: bool) -> impl Unary<Answer = v1::$Entry> {
            v1::$Create { $entry: Some(entry), validate_only }
        }

        fn update(entry: v1::$Entry) -> impl Unary<Answer = v1::$Entry> {
            v1::$Update { $entry: Some(entry) }
        }

        fn get($name: String) -> impl Unary<Answer = v1::$Entry> {
            v1::$Get { $name }
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
pub(crate) use requests;
