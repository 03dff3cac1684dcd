//! The comparison of two records: a level for each field that both have. What one of them lacks is no evidence.

use crate::features::{AddressKey, Features, NameKey, Value, birth_year};
use crate::field::{FIELDS, Field, PerField};
use crate::frequency::{Frequencies, HOUSEHOLD_MIN};
use crate::similarity::{Likeness, likeness, within_one_edit};
use crate::{nickname, normalise};

/// The level of a field that one of the records lacks.
pub(crate) const MISSING: u8 = u8::MAX;

/// Shorter words of a name (initials, particles) are no evidence that parts agree.
const PART_BYTES_MIN: usize = 3;
/// Digits of a year.
const YEAR_DIGITS: usize = 4;
/// Month and day of a date of which only the year is known.
const FIRST_OF_JANUARY: &str = "0101";
/// The level of e-mail addresses that differ in the provider alone.
const EMAIL_OTHER_PROVIDER: u8 = 2;
/// The last level of given names at which they tell the gender: `paula` is one letter off `paul`.
const GIVEN_NAME_TELLS_GENDER: u8 = 1;
/// Years between births up to which a given name in common may be a matter of fashion.
const FASHION_YEARS: u32 = 5;
/// Bytes of a postal code that name the area.
const AREA_BYTES_MIN: usize = 2;

/// The levels of one pair, and how common the values are on which it agrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) levels: PerField<u8>,
    /// Records that have the value, where both have the same.
    pub(crate) counts: PerField<f32>,
    /// Records that have the same given name and surname, where both agree.
    pub(crate) full_name: f32,
    /// How much more often than usual strangers of this age have the given name on which both agree.
    pub(crate) fashion: f32,
    /// How much more common than usual the area is that both live in.
    pub(crate) area: f32,
    /// How large the household is that both live in, against what is usual.
    pub(crate) household: f32,
}

struct Sides<'a> {
    left: &'a Features,
    right: &'a Features,
    frequencies: &'a Frequencies,
    found: Comparison,
}

/// Compares two records. The result does not depend on their order.
pub(crate) fn compare(left: &Features, right: &Features, frequencies: &Frequencies) -> Comparison {
    compare_places(compare_persons(left, right, frequencies), left, right, frequencies)
}

/// Compares all that does not say where somebody lives.
pub(crate) fn compare_persons(left: &Features, right: &Features, frequencies: &Frequencies) -> Comparison {
    let found = Comparison {
        levels: PerField([MISSING; FIELDS]),
        counts: PerField([0.0; FIELDS]),
        full_name: 0.0,
        fashion: 1.0,
        area: 1.0,
        // what is known without addresses bounds what can follow from them
        household: HOUSEHOLD_MIN,
    };
    let mut sides = Sides { left, right, frequencies, found };
    sides.names();
    sides.birth();
    sides.best_of_all(Field::Email, email_level);
    sides.best_of_all(Field::Phone, digits_level);
    sides.best_of_all(Field::Identifier, digits_level);
    sides.best_of_all(Field::MiddleName, middle_name_level);
    sides.best_of_all(Field::Gender, |left, right| u8::from(left.text != right.text));
    for field in [
        Field::FirstCategory,
        Field::SecondCategory,
        Field::ThirdCategory,
        Field::FourthCategory,
        Field::FreeText,
    ] {
        sides.best_of_all(field, text_level);
    }
    sides.dependent();
    sides.found
}

/// Adds the comparison of the addresses.
pub(crate) fn compare_places(
    found: Comparison,
    left: &Features,
    right: &Features,
    frequencies: &Frequencies,
) -> Comparison {
    let mut sides = Sides { left, right, frequencies, found };
    sides.best_of_all(Field::HouseNumber, house_number_level);
    sides.best_of_all(Field::PostalCode, postal_code_level);
    for field in [Field::Street, Field::AddressLine, Field::City, Field::Region] {
        sides.best_of_all(field, text_level);
    }
    sides.place();
    sides.found
}

impl Sides<'_> {
    /// The best level of all combinations of both sides' values.
    fn best_of_all(&mut self, field: Field, level_of: fn(Value<'_>, Value<'_>) -> u8) {
        let mut best = (MISSING, 0.0);
        for left in self.left.values(field) {
            for right in self.right.values(field) {
                let level = level_of(left, right);
                let count = if level == 0 { self.frequencies.count(field, left.hash) } else { 0.0 };
                // of two agreements the rarer value says more
                if level < best.0 || (level == 0 && count < best.1) {
                    best = (level, count);
                }
            }
        }
        self.set(field, best);
    }

    #[expect(clippy::cast_possible_truncation, reason = "a count needs no more than 24 bits of precision")]
    fn set(&mut self, field: Field, (level, count): (u8, f64)) {
        self.found.levels[field] = level;
        self.found.counts[field] = count as f32;
    }

    /// Given name and surname, each in its place, or both swapped where that agrees and the places do not.
    fn names(&mut self) {
        let straight = self.name_pair(Field::GivenName, Field::Surname);
        let agrees = |(level, _): (u8, f64)| level <= 2;
        if !agrees(straight.0) && !agrees(straight.1) {
            let crossed = self.name_pair(Field::Surname, Field::GivenName);
            // neither side says which of the two is the given name: the better agreement counts as that
            let (given, surname) = if crossed.0 <= crossed.1 { crossed } else { (crossed.1, crossed.0) };
            let both = agrees(given) && agrees(surname);
            let one = (agrees(given) && surname.0 == MISSING) || (agrees(surname) && given.0 == MISSING);
            if both || one {
                self.set(Field::GivenName, given);
                self.set(Field::Surname, surname);
                // a name that stands alone has no order
                if both {
                    self.found.levels[Field::NameOrder] = 1;
                }
                return;
            }
        }
        self.set(Field::GivenName, straight.0);
        self.set(Field::Surname, straight.1);
        if straight.0.0 != MISSING && straight.1.0 != MISSING {
            self.found.levels[Field::NameOrder] = 0;
        }
    }

    /// Compares the left given name and surname with these fields of the right side.
    fn name_pair(&self, given: Field, surname: Field) -> ((u8, f64), (u8, f64)) {
        (self.best_name(Field::GivenName, given), self.best_name(Field::Surname, surname))
    }

    fn best_name(&self, left_field: Field, right_field: Field) -> (u8, f64) {
        let mut best = (MISSING, 0.0);
        for left in self.left.values(left_field) {
            for right in self.right.values(right_field) {
                let rule = if left_field == right_field { left_field } else { Field::GivenName };
                let level = name_level(left, right, rule);
                let count = if level == 0 {
                    let count = |field| self.frequencies.count(field, left.hash);
                    count(left_field).max(count(right_field))
                } else {
                    0.0
                };
                if level < best.0 || (level == 0 && count < best.1) {
                    best = (level, count);
                }
            }
        }
        best
    }

    /// Whole dates where both have them, else years. The first of January stands for a year of which no more is known, unless
    /// both sides have the same.
    fn birth(&mut self) {
        let (Some(left), Some(right)) =
            (self.left.first(Field::BirthDate), self.right.first(Field::BirthDate))
        else {
            return;
        };
        let whole = |date: &str| date.len() == 8 && !date.ends_with(FIRST_OF_JANUARY);
        if (whole(left.text) && whole(right.text)) || (left.text == right.text && left.text.len() == 8) {
            self.best_of_all(Field::BirthDate, date_level);
        } else {
            self.found.levels[Field::BirthYear] = match years_apart(left.text, right.text) {
                0 => 0,
                1 => 1,
                2 | 3 => 2,
                _ => 3,
            };
        }
    }

    /// How common the area and how large the household is.
    #[expect(clippy::cast_possible_truncation, reason = "a ratio needs no more than 24 bits of precision")]
    fn place(&mut self) {
        self.found.household = 1.0;
        let finest = [Field::PostalCode, Field::City, Field::Region]
            .into_iter()
            .find(|field| self.found.levels[*field] == 0);
        if let Some(field) = finest
            && let Some(value) = self.left.first(field)
            && let Some(other) = self.right.first(field)
        {
            let of = |value: Value<'_>| self.frequencies.relative(field, value.hash);
            self.found.area = of(value).max(of(other)) as f32;
        }
        if self.found.levels[Field::Street] == 0
            && self.found.levels[Field::HouseNumber] == 0
            && let (Some(left), Some(right)) = (AddressKey::of(self.left), AddressKey::of(self.right))
        {
            let of = |key| self.frequencies.relative_household(key);
            self.found.household = of(left).max(of(right)) as f32;
        }
    }
}

impl Sides<'_> {
    /// What one field says because another already did: given names tell the gender, and some given names go with some
    /// surnames, because both are of one language.
    #[expect(clippy::cast_possible_truncation, reason = "a count needs no more than 24 bits of precision")]
    fn dependent(&mut self) {
        let levels = &mut self.found.levels;
        if levels[Field::GivenName] <= GIVEN_NAME_TELLS_GENDER {
            levels[Field::Gender] = MISSING;
        }
        if levels[Field::Email] == EMAIL_OTHER_PROVIDER && self.email_is_made_of_name() {
            self.found.levels[Field::Email] = MISSING;
        }
        let levels = &self.found.levels;
        if levels[Field::GivenName] == 0
            && let (Some(left), Some(right)) = (birth_year(self.left), birth_year(self.right))
            && left.abs_diff(right) <= FASHION_YEARS
            && let (Some(one), Some(other)) =
                (self.left.first(Field::GivenName), self.right.first(Field::GivenName))
        {
            let of = |name: Value<'_>| self.frequencies.fashion(name.hash, [left, right]);
            self.found.fashion = of(one).max(of(other)) as f32;
        }
        if levels[Field::GivenName] == 0
            && levels[Field::Surname] == 0
            && let (Some(left), Some(right)) = (NameKey::of(self.left), NameKey::of(self.right))
        {
            let of = |key| self.frequencies.full_name_count(key);
            self.found.full_name = of(left).max(of(right)) as f32;
        }
    }

    /// Whether the address of either side holds that side's surname: then the same local part says no more than the name.
    fn email_is_made_of_name(&self) -> bool {
        let holds = |email: Option<Value<'_>>, surname: Option<Value<'_>>| match (email, surname) {
            (Some(email), Some(surname)) => {
                let local = normalise::text(email.text.rsplit_once('@').map_or("", |(local, _)| local));
                surname.text.split(' ').any(|word| word.len() >= PART_BYTES_MIN && local.contains(word))
            }
            _ => false,
        };
        holds(self.left.first(Field::Email), self.left.first(Field::Surname))
            || holds(self.right.first(Field::Email), self.right.first(Field::Surname))
    }
}

/// Levels of [`Field::GivenName`] and [`Field::Surname`].
fn name_level(left: Value<'_>, right: Value<'_>, field: Field) -> u8 {
    if left.text == right.text {
        return 0;
    }
    if field == Field::GivenName && nickname::related(left.short_forms, right.short_forms) {
        return 1;
    }
    if has_space(left.text) || has_space(right.text) {
        let has_part = |one: &str, other: &str| {
            one.split(' ')
                .any(|word| word.len() >= PART_BYTES_MIN && other.split(' ').any(|part| part == word))
        };
        if has_part(left.text, right.text) {
            return 1;
        }
    }
    let (one, other) = if field == Field::GivenName {
        (first_word(left.text), first_word(right.text))
    } else {
        (left.text, right.text)
    };
    let mut best = likeness(one, other);
    if one.len() < left.text.len() || other.len() < right.text.len() {
        best = best.max(likeness(left.text, right.text));
    }
    match best {
        Likeness::Same | Likeness::Close => 2,
        Likeness::Similar => 3,
        Likeness::Different if left.sound != 0 && left.sound == right.sound => 3,
        Likeness::Different if is_part(one, other) || is_part(other, one) => 3,
        Likeness::Different if is_initial(one, other) || is_initial(other, one) => 4,
        Likeness::Different => 5,
    }
}

fn has_space(text: &str) -> bool {
    text.bytes().any(|byte| byte == b' ')
}

fn first_word(text: &str) -> &str {
    let end = text.bytes().position(|byte| byte == b' ').unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}

/// Whether a name is the beginning or the end of another: `lotte` of `charlotte`.
fn is_part(short: &str, long: &str) -> bool {
    short.len() >= PART_BYTES_MIN
        && (long.starts_with(short) || (short.len() > PART_BYTES_MIN && long.ends_with(short)))
}

fn is_initial(short: &str, long: &str) -> bool {
    short.len() == 1 && long.starts_with(short)
}

/// Levels of [`Field::MiddleName`].
fn middle_name_level(left: Value<'_>, right: Value<'_>) -> u8 {
    if left.text == right.text {
        return 0;
    }
    let (one, other) = (first_word(left.text), first_word(right.text));
    if is_initial(one, other) || is_initial(other, one) {
        return 1;
    }
    match name_level(left, right, Field::GivenName) {
        ..4 => 2,
        _ => 3,
    }
}

/// Levels of [`Field::BirthDate`].
fn date_level(left: Value<'_>, right: Value<'_>) -> u8 {
    if left.text == right.text {
        return 0;
    }
    if within_one_edit(left.text, right.text) {
        return 1;
    }
    let (left_parts, right_parts) = (date_parts(left.text), date_parts(right.text));
    let (Some((year, month, day)), Some((other_year, other_month, other_day))) = (left_parts, right_parts)
    else {
        return 5;
    };
    if year == other_year && month == other_day && day == other_month {
        return 2;
    }
    let equal = u8::from(year == other_year) + u8::from(month == other_month) + u8::from(day == other_day);
    if equal == 2 {
        3
    } else if years_apart(left.text, right.text) <= 1 {
        4
    } else {
        5
    }
}

fn date_parts(text: &str) -> Option<(&str, &str, &str)> {
    Some((text.get(..4)?, text.get(4..6)?, text.get(6..8)?))
}

fn years_apart(left: &str, right: &str) -> u32 {
    let year = |text: &str| text.get(..4).and_then(|year| year.parse::<u32>().ok());
    match (year(left), year(right)) {
        (Some(left), Some(right)) => left.abs_diff(right),
        _ => u32::MAX,
    }
}

/// Levels of [`Field::Email`]. Addresses are made of names and years, so that those of a family differ by an initial or a
/// digit: these are no errors.
fn email_level(left: Value<'_>, right: Value<'_>) -> u8 {
    if left.text == right.text {
        return 0;
    }
    let same_initial = left.text.as_bytes().first() == right.text.as_bytes().first();
    if same_initial && same_digits(left.text, right.text) && within_one_edit(left.text, right.text) {
        return 1;
    }
    let local = |text: &str| text.rsplit_once('@').map(|(local, _)| local.to_owned());
    if local(left.text) == local(right.text) {
        2
    } else if own_number(left.text).is_some_and(|number| own_number(right.text) == Some(number)) {
        3
    } else {
        4
    }
}

/// The digits of an e-mail address's local part that tell it from those of namesakes: four or more, and no year.
fn own_number(email: &str) -> Option<&str> {
    let (local, _) = email.rsplit_once('@')?;
    let mut runs = local.split(|letter: char| !letter.is_ascii_digit());
    runs.find(|run| {
        run.len() > YEAR_DIGITS
            || (run.len() == YEAR_DIGITS && !run.starts_with("19") && !run.starts_with("20"))
    })
}

/// Whether two texts have the same digits in the same order.
fn same_digits(left: &str, right: &str) -> bool {
    left.bytes().filter(u8::is_ascii_digit).eq(right.bytes().filter(u8::is_ascii_digit))
}

/// Levels of [`Field::Phone`] and [`Field::Identifier`].
fn digits_level(left: Value<'_>, right: Value<'_>) -> u8 {
    if left.text == right.text {
        0
    } else if left.text.len() >= 6 && within_one_edit(left.text, right.text) {
        1
    } else {
        2
    }
}

/// Levels of [`Field::HouseNumber`].
fn house_number_level(left: Value<'_>, right: Value<'_>) -> u8 {
    if left.text == right.text {
        return 0;
    }
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (left_digits, right_digits) = (digits(left.text), digits(right.text));
    let same_digits = left_digits > 0 && left.text.get(..left_digits) == right.text.get(..right_digits);
    let long = left.text.len().min(right.text.len()) >= 2;
    if same_digits || (long && within_one_edit(left.text, right.text)) { 1 } else { 2 }
}

/// Levels of [`Field::PostalCode`].
fn postal_code_level(left: Value<'_>, right: Value<'_>) -> u8 {
    if left.text == right.text {
        return 0;
    }
    if within_one_edit(left.text, right.text) {
        return 1;
    }
    let half = (left.text.len().min(right.text.len()) / 2).max(AREA_BYTES_MIN);
    match (left.text.get(..half), right.text.get(..half)) {
        (Some(one), Some(other)) if one == other => 2,
        _ => 3,
    }
}

/// Levels of all fields with free words. Other numbers are another thing: flat 1 is not flat 2.
fn text_level(left: Value<'_>, right: Value<'_>) -> u8 {
    if !same_digits(left.text, right.text) {
        return 3;
    }
    match likeness(left.text, right.text) {
        Likeness::Same => 0,
        Likeness::Close => 1,
        Likeness::Similar => 2,
        Likeness::Different => {
            let spaces = |text: &str| text.bytes().filter(|byte| *byte == b' ').count();
            let words = 1 + spaces(left.text).max(spaces(right.text));
            if words == 1
                || common_words(left.text, right.text).min(common_words(right.text, left.text)) * 2 < words
            {
                3
            } else {
                2
            }
        }
    }
}

fn common_words(of: &str, within: &str) -> usize {
    of.split(' ').filter(|word| word.len() > 1 && within.split(' ').any(|other| other == *word)).count()
}
