//! `history`: every version of a catalogue entry, with the fields that each change changed.

use custodia_client::Client;
use custodia_proto::v1;
use serde_json::Value;

use crate::catalog::definition::Definition;
use crate::connection::{Connection, pages};
use crate::error::CliError;
use crate::text::output::{json_of, table_of};
use crate::text::values::time_text;

/// Prints the changes of one entry.
pub(crate) async fn run<Fields: Definition>(
    connection: &Connection,
    client: &Client,
    name: String,
) -> Result<(), CliError> {
    let mut answer = pages::all(client, v1::ListCatalogChangesRequest::default()).await?;
    let is_of_entry = |entry: &Fields::Entry| Fields::name_of(entry) == name;
    answer.changes.retain(|change| Fields::changed(change).is_some_and(is_of_entry));
    if answer.changes.is_empty() {
        // Either unknown, which is an error here, or older than the recorded changes.
        client.call(Fields::get(name)).await?;
    }
    connection.print(&answer, |answer| text::<Fields>(&answer.changes))
}

fn text<Fields: Definition>(changes: &[v1::CatalogChange]) -> String {
    let mut before = None;
    let line = |change: &v1::CatalogChange| {
        let entry = Fields::changed(change)?;
        let after = json_of(entry);
        let what = before.as_ref().map_or_else(|| "created".to_owned(), |before| difference(before, &after));
        before = Some(after);
        Some([
            change.version.to_string(),
            time_text(change.changed_at.as_ref()),
            change.changed_by.clone(),
            Fields::etag_of(entry).to_owned(),
            what,
        ])
    };
    table_of(["VERSION", "CHANGED", "BY", "ETAG", "CHANGES"], changes.iter().filter_map(line))
}

/// The names of the fields that differ.
fn difference(before: &Value, after: &Value) -> String {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else { return String::new() };
    let differs = |name: &&String| *name != "etag" && before.get(*name) != after.get(*name);
    let names: Vec<_> = after.keys().filter(differs).map(|name| name.replace('_', " ")).collect();
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::PurposeFields;

    #[test]
    fn each_version_says_what_it_changed() {
        let change = |version, law: &str, retention_days| v1::CatalogChange {
            version,
            changed_by: "ada".into(),
            entry: Some(v1::catalog_change::Entry::Purpose(v1::Purpose {
                id: "offers".into(),
                law: law.into(),
                retention_days,
                etag: version.to_string(),
                ..Default::default()
            })),
            ..Default::default()
        };
        let text = text::<PurposeFields>(&[change(3, "", 0), change(7, "GDPR", 30), change(9, "GDPR", 30)]);
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        assert!(lines[1].starts_with("3") && lines[1].ends_with("created"), "{text}");
        assert!(lines[2].contains("ada") && lines[2].contains("law") && lines[2].contains("retention days"));
        assert!(lines[3].ends_with("nothing"), "{text}");
    }
}
