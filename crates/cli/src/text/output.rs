//! What commands print: tables for people, JSON for programs.
//!
//! JSON is the protobuf mapping of the API's messages, with the field names of the `.proto` files and with default values
//! included, so that a program can rely on every name.

use std::io::Write as _;
use std::sync::LazyLock;

use comfy_table::{Table, presets};
use prost::Name;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};

use crate::error::CliError;
use crate::text::printable;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    // Without doc comments: one for each value would spread every help over several pages.
    #[default]
    Table,
    Json,
}

static DESCRIPTORS: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(custodia_proto::FILE_DESCRIPTOR_SET).ok());

/// The descriptor of a message of the API.
pub(crate) fn descriptor<Message: Name>() -> Option<MessageDescriptor> {
    DESCRIPTORS.as_ref()?.get_message_by_name(&Message::full_name())
}

/// A message of the API as JSON.
pub(crate) fn json_of<Message: Name>(message: &Message) -> serde_json::Value {
    let options = SerializeOptions::new().use_proto_field_name(true).skip_default_fields(false);
    let json = (|| {
        let mut dynamic = DynamicMessage::new(descriptor::<Message>()?);
        dynamic.transcode_from(message).ok()?;
        dynamic.serialize_with_options(serde_json::value::Serializer, &options).ok()
    })();
    json.unwrap_or_default()
}

/// A column of a table: its header, and its text for one item.
pub(crate) type Column<Item> = (&'static str, fn(&Item) -> String);

/// A table with one line for each item.
pub(crate) fn table<Item>(columns: &[Column<Item>], items: &[Item]) -> String {
    let lines = items.iter().map(|item| columns.iter().map(move |(_, text)| text(item)));
    lines_text(Some(columns.iter().map(|(header, _)| *header).collect()), lines)
}

/// A table of lines that are not made from one item each.
pub(crate) fn table_of<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    lines: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    lines_text(Some(header.into()), lines)
}

/// Names and texts, one pair per line. Empty texts are left out.
pub(crate) fn facts<const LINES: usize>(lines: [(&str, String); LINES]) -> String {
    let lines = lines.into_iter().filter(|(_, text)| !text.is_empty());
    lines_text(None, lines.map(|(name, text)| [name.to_owned(), text]))
}

/// Columns without borders: easy to read and to cut.
fn lines_text<Line: IntoIterator<Item = String>>(
    header: Option<Vec<&str>>,
    lines: impl IntoIterator<Item = Line>,
) -> String {
    let mut table = Table::new();
    let cells = |line: Line| line.into_iter().map(|cell| printable::in_lines(&cell).into_owned());
    table
        .load_preset(presets::NOTHING)
        .add_rows(lines.into_iter().map(|line| cells(line).collect::<Vec<_>>()));
    if let Some(header) = header {
        table.set_header(header);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.to_string()
}

/// The text, or `-` if it is empty.
pub(crate) fn or_dash(text: &str) -> String {
    or(text, "-")
}

/// The text, or another one if it is empty.
pub(crate) fn or(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise } else { text }.to_owned()
}

/// The number, or `-` for none.
pub(crate) fn number_or_dash(number: u32) -> String {
    if number == 0 { "-".into() } else { number.to_string() }
}

/// Prints what a command has done, in the chosen format.
pub(crate) fn report(format: Format, text: &str, json: &serde_json::Value) -> Result<(), CliError> {
    match format {
        Format::Table => line(text),
        Format::Json => print_json(json),
    }
}

/// Prints one JSON document.
pub(crate) fn print_json(value: &serde_json::Value) -> Result<(), CliError> {
    line(&printable::in_json(&format!("{value:#}")))
}

/// Prints lines to standard output. A closed pipe (`| head`) is not an error.
pub(crate) fn line(text: &str) -> Result<(), CliError> {
    let mut output = std::io::stdout().lock();
    let text = printable::in_lines(text);
    let mut trimmed: String = text.lines().flat_map(|one| [one.trim_end(), "\n"]).collect();
    if trimmed.is_empty() {
        trimmed.push('\n');
    }
    match output.write_all(trimmed.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(CliError::Output),
    }
}

#[cfg(test)]
mod tests {
    use custodia_proto::v1;

    use super::*;

    #[test]
    fn json_has_the_field_names_of_the_api_and_leaves_nothing_out() {
        let outcome = v1::AttributeOutcome {
            attribute: "email".into(),
            merged: false,
            refusal: v1::RefusalReason::NoGround.into(),
            explanation: String::new(),
        };
        let json = json_of(&outcome);
        assert_eq!(
            json,
            serde_json::json!({
                "attribute": "email", "merged": false, "refusal": "REFUSAL_REASON_NO_GROUND", "explanation": ""
            })
        );
    }
}
