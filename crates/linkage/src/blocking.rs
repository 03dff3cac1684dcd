//! Blocking keys: two records are compared only if they share one. Each is made of normalised values that survive a
//! different kind of error, so that a record with one wrong field is still found by another key.
//!
//! ```text
//! e-mail · phone · identifier                     the value
//! birth date ‖ initial                            of the given name, and of the surname: swapped names, day and month in any order
//! sound of both names                             in any order: wrong date, moved
//! sound of the given name ‖ year and month        marriage
//! sound of the surname ‖ year                     wrong or short given name
//! sound of the surname ‖ day and month            wrong year
//! postal code ‖ sound of a name                   wrong date
//! street and number ‖ initial of the given name   wrong date, wrong postal code
//! street and number ‖ postal code                 wrong or missing names; the number is left out where a record lacks it
//! street ‖ city ‖ initial of a name               wrong or missing house number and date
//! first letters of both names                     a typing error further on; wrong date, moved
//! postal code ‖ birth date                        the same
//! property ‖ sound of a name                      wrong or missing other name, date and address
//! ```
//! The digits of a postal code count in any order. A short form of a given name (`bill`) has the key of its group too. A key is bytes, so that a caller can store
//! and compare keyed hashes of them instead; nothing here needs the values again.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::features::{Features, Value, hash, phonetic};
use crate::field::Field;
use crate::random::mix;

/// Values by which an over-full block is refined.
pub const REFINEMENTS: usize = 5;

/// Letters of each name in a key of prefixes.
const NAME_LETTERS: usize = 3;
/// Letters of a street's or a city's name in a key.
const STREET_LETTERS: usize = 4;
/// Words of a surname that have keys of their own.
const SURNAME_WORDS_MAX: usize = 2;

/// Properties of a person.
const PROPERTIES: [Field; 4] =
    [Field::FirstCategory, Field::SecondCategory, Field::ThirdCategory, Field::FourthCategory];

/// The kind of a blocking key. Keys of different kinds never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum KeyKind {
    /// An e-mail address.
    Email = 1,
    /// A phone number.
    Phone = 2,
    /// An identifier.
    Identifier = 3,
    /// Date of birth and the initial of a name.
    BirthDateInitial = 4,
    /// Sounds of given name and surname in any order.
    Names = 5,
    /// Sound of the given name, and year and month of birth.
    GivenNameMonth = 6,
    /// Sound of the surname and year of birth.
    SurnameYear = 7,
    /// Sound of the surname, and day and month of birth.
    SurnameDay = 8,
    /// Postal code and sound of a name.
    PostalCodeName = 9,
    /// Street, house number and the initial of the given name.
    AddressInitial = 10,
    /// Street, house number and postal code.
    Address = 11,
    /// Date of birth and postal code.
    BirthDatePostalCode = 12,
    /// First letters of given name and surname.
    NamePrefixes = 13,
    /// First letters of street and city, and the initial of a name.
    StreetInitial = 14,
    /// A property of the person and the sound of a name.
    PropertyName = 15,
}

/// A blocking key: a kind and bytes. The bytes are personal data until they are blinded.
#[derive(Clone, PartialEq, Eq)]
pub struct BlockingKey {
    /// The kind.
    pub kind: KeyKind,
    /// What records of one block have in common.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for BlockingKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("BlockingKey").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The keys of a record, in the form in which pairs are made: 64-bit digests, and 32-bit digests of the values that
/// refine an over-full block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockingDigests {
    /// Digests of the keys.
    pub keys: Vec<u64>,
    /// Sound of the given name, sound of the surname, postal code, year, day and month; 0 where the record lacks it.
    pub refinements: [u32; REFINEMENTS],
}

impl BlockingDigests {
    /// The digests of a record that is not blinded.
    #[must_use]
    pub fn of(features: &Features) -> Self {
        let mut keys = Vec::with_capacity(20);
        visit(features, &mut |kind, bytes| keys.push(xxh3_64_with_seed(bytes, mix(kind as u64))));
        keys.sort_unstable();
        keys.dedup();
        Self { keys, refinements: refinements(features) }
    }
}

/// The blocking keys of a record, without repetition.
#[must_use]
pub fn blocking_keys(features: &Features) -> Vec<BlockingKey> {
    let mut keys = Vec::new();
    visit(features, &mut |kind, bytes| {
        let key = BlockingKey { kind, bytes: bytes.to_vec() };
        if !keys.contains(&key) {
            keys.push(key);
        }
    });
    keys
}

/// The values that refine an over-full block, for a caller that blinds them: the same order as in
/// [`BlockingDigests::refinements`].
#[must_use]
pub fn refinements(features: &Features) -> [u32; REFINEMENTS] {
    let sound = |field| features.first(field).map_or(0, first_word_sound);
    let date = features.first(Field::BirthDate).map_or("", |value| value.text);
    let part = |range: std::ops::Range<usize>| date.get(range).map_or(0, |text| hash(text).max(1));
    [
        sound(Field::GivenName),
        sound(Field::Surname),
        features.first(Field::PostalCode).map_or(0, |value| value.hash.max(1)),
        part(0..4),
        part(4..8),
    ]
}

/// Takes a key made of two parts.
type TwoParts<'a> = dyn FnMut(KeyKind, &[u8], &[u8]) + 'a;

fn visit(features: &Features, visitor: &mut dyn FnMut(KeyKind, &[u8])) {
    for (kind, field) in [
        (KeyKind::Email, Field::Email),
        (KeyKind::Phone, Field::Phone),
        (KeyKind::Identifier, Field::Identifier),
    ] {
        for value in features.values(field) {
            visitor(kind, value.text.as_bytes());
        }
    }
    let given: Vec<u32> = features.values(Field::GivenName).flat_map(given_name_codes).collect();
    let surnames: Vec<u32> = features.values(Field::Surname).flat_map(surname_codes).collect();
    let mut two = |kind, one: &[u8], other: &[u8]| visitor(kind, &[one, &[0], other].concat());
    for date in features.values(Field::BirthDate) {
        birth_keys(features, date.text, &given, &surnames, &mut two);
    }
    for one in &given {
        for other in &surnames {
            let (first, second) = if one < other { (one, other) } else { (other, one) };
            two(KeyKind::Names, &first.to_le_bytes(), &second.to_le_bytes());
        }
    }
    for code in features.values(Field::PostalCode) {
        let code = any_order(code.text);
        for name in given.iter().chain(&surnames) {
            two(KeyKind::PostalCodeName, &code, &name.to_le_bytes());
        }
    }
    for one in features.values(Field::GivenName) {
        for other in features.values(Field::Surname) {
            let (one, other) = (prefix(one.text, NAME_LETTERS), prefix(other.text, NAME_LETTERS));
            two(KeyKind::NamePrefixes, one.min(other).as_bytes(), one.max(other).as_bytes());
        }
    }
    for (number, field) in (0_u8..).zip(PROPERTIES) {
        for property in features.values(field) {
            // the same word may be a value of two properties
            let property = [property.text.as_bytes(), &[number]].concat();
            for name in given.iter().chain(&surnames) {
                two(KeyKind::PropertyName, &property, &name.to_le_bytes());
            }
        }
    }
    for street in features.values(Field::Street) {
        address_keys(features, prefix(street.text, STREET_LETTERS), &mut two);
    }
}

fn address_keys(features: &Features, street: &str, two: &mut TwoParts<'_>) {
    let numbers = features.values(Field::HouseNumber).map(|number| number.text);
    // records without a house number meet each other
    let none = features.first(Field::HouseNumber).is_none().then_some("");
    for number in numbers.chain(none) {
        let place = [street, " ", number].concat();
        for code in features.values(Field::PostalCode) {
            two(KeyKind::Address, place.as_bytes(), &any_order(code.text));
        }
        for initial in initials(features, Field::GivenName) {
            two(KeyKind::AddressInitial, place.as_bytes(), &[initial]);
        }
    }
    for city in features.values(Field::City) {
        let place = [street, " ", prefix(city.text, STREET_LETTERS)].concat();
        for initial in initials(features, Field::GivenName).chain(initials(features, Field::Surname)) {
            two(KeyKind::StreetInitial, place.as_bytes(), &[initial]);
        }
    }
}

fn prefix(text: &str, letters: usize) -> &str {
    text.get(..letters).unwrap_or(text)
}

/// The bytes of a code in ascending order: two that are exchanged do not matter.
fn any_order(code: &str) -> Vec<u8> {
    let mut bytes = code.as_bytes().to_vec();
    bytes.sort_unstable();
    bytes
}

fn birth_keys(features: &Features, date: &str, given: &[u32], surnames: &[u32], two: &mut TwoParts<'_>) {
    let Some(year) = date.get(..4) else { return };
    for surname in surnames {
        two(KeyKind::SurnameYear, &surname.to_le_bytes(), year.as_bytes());
    }
    let (Some(month), Some(day)) = (date.get(4..6), date.get(6..8)) else { return };
    let (low, high) = if month < day { (month, day) } else { (day, month) };
    let month_and_day = [low, high].concat();
    for initial in initials(features, Field::GivenName).chain(initials(features, Field::Surname)) {
        two(KeyKind::BirthDateInitial, &[year.as_bytes(), month_and_day.as_bytes()].concat(), &[initial]);
    }
    for code in features.values(Field::PostalCode) {
        two(
            KeyKind::BirthDatePostalCode,
            &any_order(code.text),
            &[year.as_bytes(), month_and_day.as_bytes()].concat(),
        );
    }
    for name in given {
        two(KeyKind::GivenNameMonth, &name.to_le_bytes(), [year, month].concat().as_bytes());
    }
    for surname in surnames {
        two(KeyKind::SurnameDay, &surname.to_le_bytes(), month_and_day.as_bytes());
    }
}

fn initials(features: &Features, field: Field) -> impl Iterator<Item = u8> {
    features.values(field).filter_map(|value| value.text.bytes().next())
}

fn first_word_sound(value: Value<'_>) -> u32 {
    value.text.split(' ').next().map_or(0, |word| word_sound(value, word))
}

/// The sound of one word of a name; a word without one has the hash of its letters.
fn word_sound(value: Value<'_>, word: &str) -> u32 {
    if word.len() == value.text.len() && value.sound != 0 {
        return value.sound;
    }
    let code = phonetic(word);
    hash(if code.is_empty() { word } else { &code }).max(1)
}

/// The sound of the first given name, and the numbers of its groups of short forms.
fn given_name_codes(value: Value<'_>) -> impl Iterator<Item = u32> {
    let groups = value.short_forms.into_iter().filter(|group| *group != 0).map(u32::from);
    std::iter::once(first_word_sound(value)).chain(groups)
}

/// The sounds of the whole surname and of its words.
fn surname_codes(value: Value<'_>) -> impl Iterator<Item = u32> {
    let words = value.text.split(' ').filter(|word| word.len() < value.text.len()).take(SURNAME_WORDS_MAX);
    std::iter::once(word_sound(value, value.text)).chain(words.map(move |word| word_sound(value, word)))
}
