//! Any table with a header line: which column is which field is stated on the command line.
//!
//! ```text
//! custodia-bench duplicates csv --file people.csv --field first_name=given-name --field dob=birth-date --truth person \
//!     --clusters clusters.csv
//! ```
//! Without `--truth` nothing is counted; the clusters are written all the same.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use custodia_linkage::{Category, Features, FieldKind, RecordId};

use super::evaluation::Labelled;

#[derive(Debug, Args)]
pub(crate) struct Table {
    /// The table. Values may be quoted; a quote inside is doubled.
    #[arg(long)]
    file: PathBuf,
    /// `COLUMN=KIND`, once for each column that is compared. Kinds: given-name, middle-name, surname, full-name, birth-date,
    /// gender, email, phone, identifier, street, house-number, address-line, postal-code, city, region, category-1 to
    /// category-4, free-text. Where only an age is known, the year of birth is a birth-date.
    #[arg(long = "field", required = true, value_parser = field)]
    fields: Vec<(String, FieldKind)>,
    /// The column that is equal for records of one person.
    #[arg(long)]
    truth: Option<String>,
    /// Where to write the cluster of each record, one number a line, in the order of the table.
    #[arg(long)]
    pub(super) clusters: Option<PathBuf>,
}

fn field(text: &str) -> Result<(String, FieldKind), String> {
    let (column, kind) = text.split_once('=').ok_or("expected COLUMN=KIND")?;
    let kind = match kind {
        "given-name" => FieldKind::GivenName,
        "middle-name" => FieldKind::MiddleName,
        "surname" => FieldKind::Surname,
        "full-name" => FieldKind::FullName,
        "birth-date" => FieldKind::BirthDate,
        "gender" => FieldKind::Gender,
        "email" => FieldKind::Email,
        "phone" => FieldKind::Phone,
        "identifier" => FieldKind::Identifier,
        "street" => FieldKind::Street,
        "house-number" => FieldKind::HouseNumber,
        "address-line" => FieldKind::AddressLine,
        "postal-code" => FieldKind::PostalCode,
        "city" => FieldKind::City,
        "region" => FieldKind::Region,
        "category-1" => FieldKind::Category(Category::First),
        "category-2" => FieldKind::Category(Category::Second),
        "category-3" => FieldKind::Category(Category::Third),
        "category-4" => FieldKind::Category(Category::Fourth),
        "free-text" => FieldKind::FreeText,
        other => return Err(format!("no kind has the name {other}")),
    };
    Ok((column.to_owned(), kind))
}

impl Table {
    /// Reads the table. Without a column of truth, every record is a person of its own.
    pub(super) fn read(&self) -> Labelled {
        let text = std::fs::read_to_string(&self.file).expect("the table can be read");
        let mut lines = rows(&text).into_iter();
        let header = lines.next().expect("the table has a header");
        let position = |name: &str| {
            let column = header.iter().position(|column| column.trim() == name);
            column.expect("every column that is named stands in the header")
        };
        let columns: Vec<(usize, FieldKind)> =
            self.fields.iter().map(|(name, kind)| (position(name), *kind)).collect();
        let truth = self.truth.as_deref().map(position);
        let mut persons: BTreeMap<String, u32> = BTreeMap::new();
        let mut records = Labelled::default();
        for (number, row) in (0_u32..).zip(lines) {
            let values =
                columns.iter().filter_map(|(column, kind)| Some((*kind, row.get(*column)?.as_str())));
            let features = Features::new(RecordId::new(u128::from(number).to_be_bytes()), values);
            let count = persons.len() as u32;
            let person = truth
                .and_then(|column| row.get(column))
                .map_or(number, |name| *persons.entry(name.clone()).or_insert(count));
            records.add(features, person, person);
        }
        records
    }
}

/// The rows of a comma-separated table (RFC 4180). Empty lines are left out.
fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut value, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                value.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut value)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut value));
                rows.push(std::mem::take(&mut row));
            }
            '\r' if !quoted => {}
            other => value.push(other),
        }
    }
    row.push(value);
    rows.push(row);
    rows.retain(|row| row.iter().any(|value| !value.trim().is_empty()));
    rows
}
