//! What a value is about: the kinds a caller maps its attributes to, and the comparisons the model makes of them.

use std::ops::{Index, IndexMut};

/// The kinds of values that a record may have. All are optional, and a kind may have several values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FieldKind {
    /// Given names, separated by spaces.
    GivenName,
    /// Further given names, or their initials, where they stand apart from the first.
    MiddleName,
    /// Family name.
    Surname,
    /// Given names and family name in one text: `Ada Lovelace` or `Lovelace, Ada`.
    FullName,
    /// Date of birth: `1815-12-10`, `18151210`, `10.12.1815`, `10/12/1815`, or a year alone.
    BirthDate,
    /// Gender, in words or by a letter.
    Gender,
    /// E-mail address.
    Email,
    /// Phone number, national or international.
    Phone,
    /// An identifier that one person has: national number, account, card. Put its namespace in front: `tax:123`.
    Identifier,
    /// Street, with or without the house number.
    Street,
    /// House number where it stands alone.
    HouseNumber,
    /// A further line of the address: building, flat, district.
    AddressLine,
    /// Postal code.
    PostalCode,
    /// Town or suburb.
    City,
    /// State, county or region.
    Region,
    /// A property of the person with few or many values, such as place of birth or profession.
    Category(Category),
    /// Free text about the person.
    FreeText,
}

/// Tells up to four properties of a person apart, for [`FieldKind::Category`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// The first property.
    First,
    /// The second property.
    Second,
    /// The third property.
    Third,
    /// The fourth property.
    Fourth,
}

/// A comparison that the model makes of two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Field {
    /// Given names.
    GivenName,
    /// Family name.
    Surname,
    /// Whether given name and surname stand in each other's place.
    NameOrder,
    /// Whole dates of birth.
    BirthDate,
    /// Years of birth, where one side has no more.
    BirthYear,
    /// Gender.
    Gender,
    /// E-mail addresses.
    Email,
    /// Phone numbers.
    Phone,
    /// Identifiers.
    Identifier,
    /// Name of the street.
    Street,
    /// House number.
    HouseNumber,
    /// Further line of the address.
    AddressLine,
    /// Postal code.
    PostalCode,
    /// Town or suburb.
    City,
    /// State, county or region.
    Region,
    /// The first property of the caller's.
    FirstCategory,
    /// The second property.
    SecondCategory,
    /// The third property.
    ThirdCategory,
    /// The fourth property.
    FourthCategory,
    /// Free text.
    FreeText,
    /// Further given names.
    MiddleName,
}

/// Number of comparisons.
pub(crate) const FIELDS: usize = 21;

/// Levels that a comparison may have, from full agreement to difference.
pub(crate) const LEVELS_MAX: usize = 6;

const NAME_LEVELS: &[&str] =
    &["same", "short form or part", "one letter off", "similar or sounds alike", "initial", "different"];
const TEXT_LEVELS: &[&str] = &["same", "one letter off", "similar", "different"];

impl Field {
    /// All comparisons, in the order in which a score lists them.
    pub const ALL: [Self; FIELDS] = [
        Self::GivenName,
        Self::Surname,
        Self::NameOrder,
        Self::BirthDate,
        Self::BirthYear,
        Self::Gender,
        Self::Email,
        Self::Phone,
        Self::Identifier,
        Self::Street,
        Self::HouseNumber,
        Self::AddressLine,
        Self::PostalCode,
        Self::City,
        Self::Region,
        Self::FirstCategory,
        Self::SecondCategory,
        Self::ThirdCategory,
        Self::FourthCategory,
        Self::FreeText,
        Self::MiddleName,
    ];

    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GivenName => "given name",
            Self::Surname => "surname",
            Self::NameOrder => "name order",
            Self::BirthDate => "date of birth",
            Self::BirthYear => "year of birth",
            Self::Gender => "gender",
            Self::Email => "e-mail",
            Self::Phone => "phone",
            Self::Identifier => "identifier",
            Self::Street => "street",
            Self::HouseNumber => "house number",
            Self::AddressLine => "address line",
            Self::PostalCode => "postal code",
            Self::City => "city",
            Self::Region => "region",
            Self::FirstCategory => "first property",
            Self::SecondCategory => "second property",
            Self::ThirdCategory => "third property",
            Self::FourthCategory => "fourth property",
            Self::FreeText => "free text",
            Self::MiddleName => "middle name",
        }
    }

    /// The names of the levels, from full agreement to difference.
    #[must_use]
    pub fn levels(self) -> &'static [&'static str] {
        match self {
            Self::GivenName | Self::Surname => NAME_LEVELS,
            Self::NameOrder => &["in order", "swapped"],
            Self::BirthDate => &[
                "same",
                "one digit off",
                "day and month swapped",
                "two parts the same",
                "close years",
                "different",
            ],
            Self::BirthYear => &["same", "one year apart", "up to three years apart", "different"],
            Self::Gender => &["same", "different"],
            Self::MiddleName => &["same", "initial", "similar", "different"],
            Self::Email => {
                &["same", "one letter off", "same name, other provider", "same number", "different"]
            }
            Self::Phone | Self::Identifier => &["same", "one digit off", "different"],
            Self::HouseNumber => &["same", "part or one digit off", "different"],
            Self::PostalCode => &["same", "one digit off", "same area", "different"],
            Self::Street
            | Self::AddressLine
            | Self::City
            | Self::Region
            | Self::FirstCategory
            | Self::SecondCategory
            | Self::ThirdCategory
            | Self::FourthCategory
            | Self::FreeText => TEXT_LEVELS,
        }
    }
}

impl From<Category> for Field {
    fn from(category: Category) -> Self {
        match category {
            Category::First => Self::FirstCategory,
            Category::Second => Self::SecondCategory,
            Category::Third => Self::ThirdCategory,
            Category::Fourth => Self::FourthCategory,
        }
    }
}

/// One value for each comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PerField<T>(pub(crate) [T; FIELDS]);

impl<T: Copy> PerField<T> {
    pub(crate) fn filled(value: T) -> Self {
        Self([value; FIELDS])
    }
}

impl<T> Index<Field> for PerField<T> {
    type Output = T;

    #[expect(clippy::indexing_slicing, reason = "the array has an element for each comparison")]
    fn index(&self, field: Field) -> &T {
        &self.0[field as usize]
    }
}

impl<T> IndexMut<Field> for PerField<T> {
    #[expect(clippy::indexing_slicing, reason = "the array has an element for each comparison")]
    fn index_mut(&mut self, field: Field) -> &mut T {
        &mut self.0[field as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_in_the_order_of_their_numbers() {
        for (number, field) in Field::ALL.into_iter().enumerate() {
            assert_eq!(field as usize, number);
            assert!(field.levels().len() <= LEVELS_MAX);
        }
    }
}
