//! The FEBRL sets: `rec-N-org` and `rec-N-dup-M` are of one person.

use std::path::Path;

use custodia_linkage::{Features, FieldKind, RecordId};

use super::Fields;
use super::evaluation::Labelled;

/// Reads one set. No value holds a comma.
pub(super) fn read(path: &Path, fields: Fields, with_id: bool) -> Labelled {
    let text = std::fs::read_to_string(path).expect("a FEBRL set can be read");
    let mut records = Labelled::default();
    for (number, line) in (0_u128..).zip(text.lines().skip(1).filter(|line| !line.is_empty())) {
        let columns: Vec<&str> = line.split(',').map(str::trim).collect();
        let [name, given, surname, house, street, line, suburb, code, state, birth, id] = columns[..] else {
            continue;
        };
        let mut values = vec![
            (FieldKind::GivenName, given),
            (FieldKind::Surname, surname),
            (FieldKind::BirthDate, birth),
            (FieldKind::PostalCode, code),
        ];
        if fields == Fields::All {
            values.extend([
                (FieldKind::HouseNumber, house),
                (FieldKind::Street, street),
                (FieldKind::AddressLine, line),
                (FieldKind::City, suburb),
                (FieldKind::Region, state),
            ]);
        }
        if with_id {
            values.push((FieldKind::Identifier, id));
        }
        let person: u32 =
            name.split('-').nth(1).and_then(|part| part.parse().ok()).expect("a person's number");
        let features = Features::new(RecordId::new(number.to_be_bytes()), values);
        records.add(features, person, person);
    }
    records
}
