//! A record as the model sees it: an opaque id and the normalised values of its fields, in one compact block.

use rphonetic::{DoubleMetaphone, Encoder as _};
use xxhash_rust::xxh3::xxh3_64;

use crate::field::{FIELDS, Field, FieldKind};
use crate::{nickname, normalise};

/// Values that a record may have; further ones are ignored.
pub const VALUES_MAX: usize = 48;

/// Letters of a phonetic code.
const PHONETIC_LETTERS: usize = 6;

/// Names a record for the caller; the model only hands it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId([u8; 16]);

impl RecordId {
    /// An id of the caller's.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The caller's bytes.
    #[must_use]
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }
}

/// A normalised record. It holds personal data, so `Debug` shows only the id.
#[derive(Clone, PartialEq, Eq)]
pub struct Features {
    id: RecordId,
    text: Box<str>,
    spans: Box<[Span]>,
    /// Where the first value of each field stands among the spans; `NONE` if there is none.
    firsts: [u8; FIELDS],
}

const NONE: u8 = u8::MAX;

impl std::fmt::Debug for Features {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Features").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Where a value lies in the text, sorted by field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    field: Field,
    start: u16,
    bytes: u16,
    hash: u32,
    sound: u32,
    short_forms: [u8; 3],
}

/// A value of a field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'a> {
    pub(crate) text: &'a str,
    /// Hash of the text.
    pub(crate) hash: u32,
    /// Hash of the phonetic code of the whole name; 0 for fields that are no names, and for names without a sound.
    pub(crate) sound: u32,
    /// The groups of short forms that a given name belongs to.
    pub(crate) short_forms: [u8; 3],
}

impl Features {
    /// Normalises the values of a record. A value that says nothing (empty, no date, no number) is left out.
    pub fn new<'a>(id: RecordId, values: impl IntoIterator<Item = (FieldKind, &'a str)>) -> Self {
        let mut parts: Vec<(Field, String)> = Vec::new();
        for (kind, value) in values.into_iter().take(VALUES_MAX) {
            normalised(kind, value, &mut parts);
        }
        part_initials(&mut parts);
        parts.retain(|(_, text)| !text.is_empty());
        parts.sort();
        parts.dedup();
        let mut text = String::new();
        let mut spans = Vec::with_capacity(parts.len());
        for (field, part) in &parts {
            let (Ok(start), Ok(bytes)) = (u16::try_from(text.len()), u16::try_from(part.len())) else {
                continue;
            };
            text.push_str(part);
            spans.push(Span {
                field: *field,
                start,
                bytes,
                hash: hash(part),
                sound: sound(*field, part),
                short_forms: short_forms(*field, part),
            });
        }
        let mut firsts = [NONE; FIELDS];
        for (position, span) in (0..NONE).zip(&spans) {
            if let Some(first @ &mut NONE) = firsts.get_mut(span.field as usize) {
                *first = position;
            }
        }
        Self { id, text: text.into_boxed_str(), spans: spans.into_boxed_slice(), firsts }
    }

    /// The caller's id.
    #[must_use]
    pub fn id(&self) -> RecordId {
        self.id
    }

    /// The values of a field, sorted.
    pub(crate) fn values(&self, field: Field) -> impl Iterator<Item = Value<'_>> {
        let start = self.firsts.get(field as usize).map_or(usize::MAX, |first| usize::from(*first));
        let spans = self.spans.get(start..).unwrap_or_default();
        spans.iter().take_while(move |span| span.field == field).map(|span| self.value(*span))
    }

    /// The first value of a field.
    pub(crate) fn first(&self, field: Field) -> Option<Value<'_>> {
        let first = self.firsts.get(field as usize)?;
        self.spans.get(usize::from(*first)).map(|span| self.value(*span))
    }

    fn value(&self, span: Span) -> Value<'_> {
        let start = usize::from(span.start);
        let text = self.text.get(start..start + usize::from(span.bytes)).unwrap_or_default();
        Value { text, hash: span.hash, sound: span.sound, short_forms: span.short_forms }
    }
}

/// The year of birth, if the record has one.
pub(crate) fn birth_year(features: &Features) -> Option<u32> {
    features.first(Field::BirthDate)?.text.get(..4)?.parse().ok()
}

/// A given name with its surname, by hash. The order does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NameKey(pub(crate) u32);

impl NameKey {
    pub(crate) fn of(features: &Features) -> Option<Self> {
        let (given, surname) = (features.first(Field::GivenName)?, features.first(Field::Surname)?);
        Some(Self(given.hash.wrapping_mul(0x9e37_79b1) ^ surname.hash.wrapping_mul(0x9e37_79b1)))
    }
}

/// A street with its house number, by hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddressKey(pub(crate) u32);

impl AddressKey {
    pub(crate) fn of(features: &Features) -> Option<Self> {
        let (street, number) = (features.first(Field::Street)?, features.first(Field::HouseNumber)?);
        Some(Self::from_parts(street, number))
    }

    fn from_parts(street: Value<'_>, number: Value<'_>) -> Self {
        Self(street.hash.rotate_left(7).wrapping_mul(0x9e37_79b1) ^ number.hash)
    }
}

fn normalised(kind: FieldKind, value: &str, parts: &mut Vec<(Field, String)>) {
    match kind {
        FieldKind::GivenName => parts.push((Field::GivenName, normalise::given_name(value))),
        FieldKind::MiddleName => parts.push((Field::MiddleName, normalise::given_name(value))),
        FieldKind::Surname => parts.push((Field::Surname, normalise::name(value))),
        FieldKind::FullName => {
            let (given, surname) = normalise::full_name(value);
            parts.extend([(Field::GivenName, normalise::given_name(&given)), (Field::Surname, surname)]);
        }
        FieldKind::BirthDate => parts.push((Field::BirthDate, normalise::birth_date(value))),
        FieldKind::Gender => parts.push((Field::Gender, normalise::gender(value))),
        FieldKind::Email => parts.push((Field::Email, normalise::email(value))),
        FieldKind::Phone => parts.push((Field::Phone, normalise::phone(value))),
        FieldKind::Identifier => parts.push((Field::Identifier, normalise::code(value))),
        FieldKind::Street => {
            let (street, number) = normalise::street(value);
            parts.extend([(Field::Street, street), (Field::HouseNumber, number)]);
        }
        FieldKind::HouseNumber => parts.push((Field::HouseNumber, normalise::text(value))),
        FieldKind::AddressLine => parts.push((Field::AddressLine, normalise::text(value))),
        FieldKind::PostalCode => parts.push((Field::PostalCode, normalise::code(value))),
        FieldKind::City => parts.push((Field::City, normalise::text(value))),
        FieldKind::Region => parts.push((Field::Region, normalise::text(value))),
        FieldKind::Category(category) => parts.push((category.into(), normalise::text(value))),
        FieldKind::FreeText => parts.push((Field::FreeText, normalise::text(value))),
    }
}

/// Initials beside a given name are of further given names: `Ada K` is `Ada` with the middle name `K`.
fn part_initials(parts: &mut Vec<(Field, String)>) {
    let is_initial = |word: &&str| word.len() == 1;
    let is_name = |(field, text): &(Field, String)| {
        *field == Field::GivenName && text.split(' ').any(|word| word.len() > 1)
    };
    if !parts.iter().any(is_name) {
        return;
    }
    let mut initials = Vec::new();
    for (_, text) in parts.iter_mut().filter(|(field, _)| *field == Field::GivenName) {
        let (letters, words): (Vec<&str>, Vec<&str>) = text.split(' ').partition(is_initial);
        if !letters.is_empty() {
            initials.push((Field::MiddleName, letters.join(" ")));
            *text = words.join(" ");
        }
    }
    parts.append(&mut initials);
}

/// A 32-bit hash of a normalised text.
#[expect(clippy::cast_possible_truncation, reason = "the low half of the hash is wanted")]
pub(crate) fn hash(text: &str) -> u32 {
    xxh3_64(text.as_bytes()) as u32
}

fn sound(field: Field, text: &str) -> u32 {
    if !matches!(field, Field::GivenName | Field::Surname) {
        return 0;
    }
    let code = phonetic(text);
    if code.is_empty() { 0 } else { hash(&code).max(1) }
}

fn short_forms(field: Field, text: &str) -> [u8; 3] {
    if matches!(field, Field::GivenName | Field::Surname) {
        nickname::groups(text.split(' ').next().unwrap_or_default())
    } else {
        [0; 3]
    }
}

/// The Double Metaphone code of a name, spaces left out.
pub(crate) fn phonetic(text: &str) -> String {
    let letters: String = text.chars().filter(char::is_ascii_alphabetic).collect();
    if letters.is_empty() {
        String::new()
    } else {
        DoubleMetaphone::new(Some(PHONETIC_LETTERS)).encode(&letters)
    }
}
