//! Generated people with known truth, for measurements and tests: households, and records of their members with the
//! errors, moves, marriages and spellings of real customer files. Nothing of it is used by the model.
//!
//! ```text
//! seed ──▶ household (address, landline) ──▶ people ──▶ records of each, errors applied ──▶ visitor
//! ```
//! One household is in memory at a time. The same seed gives the same records.

mod errors;
mod names;
mod tables;

use errors::Spelling;
use names::{Name, Place};

use crate::features::{Features, RecordId};
use crate::field::FieldKind;
use crate::random::{Generator, mix};

/// How often things happen, each in 0.0 ..= 1.0. A value of a record that is not the person's first has the error rates
/// as stated; the first record has [`Rates::first_record`] of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// A person has a second record; each further one has half this probability.
    pub duplicate: f64,
    /// A household is a couple.
    pub couple: f64,
    /// A household is a family: one or two parents, and one to three children.
    pub family: f64,
    /// A household is a student home with 5 to 20 people of one age.
    pub student_home: f64,
    /// A partner has the same surname.
    pub shared_surname: f64,
    /// A child has the given name of the parent of its gender.
    pub namesake: f64,
    /// A child is a twin of the one before.
    pub twin: f64,
    /// A household has a landline that its members give as their phone.
    pub landline: f64,
    /// Names are not in Latin script: Cyrillic, Greek or Chinese. Half of a person's records have the Latin form.
    pub other_script: f64,
    /// The person has moved since the first record.
    pub moved: f64,
    /// A woman has another surname since the first record.
    pub married: f64,
    /// The given name is a short form.
    pub nickname: f64,
    /// A text has a typing error: a letter missing, doubled, replaced, or exchanged with its neighbour.
    pub typing: f64,
    /// A text has an error of character recognition, such as `rn` for `m`.
    pub recognition: f64,
    /// A name is written as it sounds, such as `f` for `ph`.
    pub phonetic: f64,
    /// Given name and surname are swapped.
    pub swapped_names: f64,
    /// Day and month are swapped.
    pub swapped_date: f64,
    /// A digit of the date is wrong.
    pub wrong_digit: f64,
    /// The date is the first of January of the year, because no more was known.
    pub default_date: f64,
    /// A value is missing: date, phone, e-mail, street, and half as often the others.
    pub missing: f64,
    /// The person has another e-mail address, or phone, in this record.
    pub other_contact: f64,
    /// The share of the error rates that a first record has.
    pub first_record: f64,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            duplicate: 0.2,
            couple: 0.25,
            family: 0.35,
            student_home: 0.02,
            shared_surname: 0.75,
            namesake: 0.03,
            twin: 0.03,
            landline: 0.35,
            other_script: 0.06,
            moved: 0.12,
            married: 0.06,
            nickname: 0.06,
            typing: 0.05,
            recognition: 0.01,
            phonetic: 0.03,
            swapped_names: 0.01,
            swapped_date: 0.01,
            wrong_digit: 0.02,
            default_date: 0.005,
            missing: 0.12,
            other_contact: 0.25,
            first_record: 0.3,
        }
    }
}

/// A generated record and the truth about it.
#[derive(Debug, Clone)]
pub struct GeneratedRecord {
    /// The record as the model sees it.
    pub features: Features,
    /// The number of the person.
    pub person: u32,
    /// The number of the household in which the person was generated.
    pub household: u32,
    /// The values before they are normalised, to be shown.
    pub values: Vec<(FieldKind, String)>,
}

/// Numbers in e-mail addresses. Two people of one name rarely have the same.
const NUMBERS: usize = 10_000_000;

#[derive(Debug, Clone)]
struct Person {
    given: Name,
    second: Option<Name>,
    surname: Name,
    female: bool,
    year: usize,
    month: usize,
    day: usize,
    /// Tells this person's e-mail addresses from those of all others.
    number: usize,
    email: String,
    mobile: String,
}

/// Generates the records of about `people` persons, whole households only.
pub fn generate(people: u32, seed: u64, rates: &Rates, mut visitor: impl FnMut(GeneratedRecord)) {
    let (mut person, mut household, mut number) = (0_u32, 0_u32, 0_u64);
    while person < people {
        let mut generator = Generator::new(mix(seed ^ mix(u64::from(household))));
        let place = Place::new(&mut generator);
        let landline = generator.chance(rates.landline).then(|| phone(&mut generator));
        for member in members(&mut generator, rates) {
            let mut state = (member, place.clone());
            let mut first = true;
            let mut again = rates.duplicate;
            loop {
                if !first {
                    change(&mut state, rates, &mut generator);
                }
                let values = record(&state, landline.as_deref(), first, rates, &mut generator);
                number += 1;
                let id = RecordId::new(u128::from(mix(seed ^ number)).to_be_bytes());
                let features = Features::new(id, values.iter().map(|(kind, value)| (*kind, value.as_str())));
                visitor(GeneratedRecord { features, person, household, values });
                if !generator.chance(again) {
                    break;
                }
                (first, again) = (false, again / 2.0);
            }
            person += 1;
        }
        household += 1;
    }
}

fn members(generator: &mut Generator, rates: &Rates) -> Vec<Person> {
    let roll = generator.unit();
    let latin = !generator.chance(rates.other_script);
    if roll < rates.student_home {
        let size = 5 + generator.below(16);
        let students = (0..size).map(|_| {
            let surname = names::surname(generator, true);
            let year = 1998 + generator.below(6);
            adult(generator, surname, year, true)
        });
        return students.collect();
    }
    let year = 1935 + generator.below(68);
    let surname = names::surname(generator, latin);
    let mut people = vec![adult(generator, surname.clone(), year, latin)];
    let family = roll < rates.student_home + rates.family;
    if family || roll < rates.student_home + rates.family + rates.couple {
        let own = if generator.chance(rates.shared_surname) {
            surname.clone()
        } else {
            names::surname(generator, latin)
        };
        let year = (year + generator.below(9)).saturating_sub(4);
        let mut partner = adult(generator, own, year, latin);
        if let Some(first) = people.first()
            && partner.female == first.female
            && generator.chance(0.95)
        {
            partner.female = !partner.female;
            partner.given = names::given(generator, partner.female, latin);
        }
        people.push(partner);
    }
    if family {
        children(&mut people, &surname, year, latin, generator, rates);
    }
    people
}

fn children(
    people: &mut Vec<Person>,
    surname: &Name,
    year: usize,
    latin: bool,
    generator: &mut Generator,
    rates: &Rates,
) {
    for _ in 0..=generator.below(3) {
        let year = year + 20 + generator.below(18);
        let mut child = adult(generator, surname.clone(), year, latin);
        let parents = people.iter().take(2);
        let parent = parents.clone().find(|parent| parent.female == child.female);
        if let Some(parent) = parent
            && generator.chance(rates.namesake)
        {
            child.given = parent.given.clone();
        }
        if let Some(sibling) = people.get(2..).and_then(<[Person]>::last)
            && generator.chance(rates.twin)
        {
            (child.year, child.month, child.day) = (sibling.year, sibling.month, sibling.day);
        }
        people.push(child);
    }
}

fn adult(generator: &mut Generator, surname: Name, year: usize, latin: bool) -> Person {
    let female = generator.chance(0.5);
    let given = names::given(generator, female, latin);
    let second = generator.chance(0.15).then(|| names::given(generator, female, latin));
    let number = generator.below(NUMBERS);
    let email = email(&given, &surname, year, number, generator);
    Person {
        given,
        second,
        surname,
        female,
        year: year.min(2010),
        month: 1 + generator.below(12),
        day: 1 + generator.below(28),
        number,
        email,
        mobile: phone(generator),
    }
}

fn phone(generator: &mut Generator) -> String {
    format!("+49 1{:02} {:07}", generator.below(100), generator.below(10_000_000))
}

/// An address made of the name, as most are. The number makes it unique: nobody shares a mailbox by chance.
fn email(given: &Name, surname: &Name, year: usize, number: usize, generator: &mut Generator) -> String {
    let provider = names::provider(generator);
    match generator.below(3) {
        0 => format!("{}.{}{number}@{provider}", given.latin, surname.latin),
        1 => {
            format!("{}{}{year}.{number}@{provider}", given.latin.get(..1).unwrap_or_default(), surname.latin)
        }
        _ => format!("{}{number}@{provider}", given.latin),
    }
    .to_lowercase()
}

/// What has happened to a person since the last record.
fn change((person, place): &mut (Person, Place), rates: &Rates, generator: &mut Generator) {
    if generator.chance(rates.moved) {
        *place = place.moved(generator);
    }
    if person.female && generator.chance(rates.married) {
        let new = names::surname(generator, true);
        person.surname = if generator.chance(0.2) { person.surname.hyphenated(&new) } else { new };
    }
    if generator.chance(rates.other_contact) {
        person.email = email(&person.given, &person.surname, person.year, person.number, generator);
    }
    if generator.chance(rates.other_contact) {
        person.mobile = phone(generator);
    }
}

fn record(
    (person, place): &(Person, Place),
    landline: Option<&str>,
    first: bool,
    rates: &Rates,
    generator: &mut Generator,
) -> Vec<(FieldKind, String)> {
    let mut spelling = Spelling::new(generator, rates, if first { rates.first_record } else { 1.0 });
    let native = spelling.chance_of(0.5);
    let mut given = spelling.given_name(&person.given, native);
    if let Some(second) = &person.second
        && spelling.chance_of(0.6)
    {
        given = format!("{given} {}", spelling.name(second, native));
    }
    let mut surname = spelling.name(&person.surname, native);
    if spelling.happens(rates.swapped_names) {
        std::mem::swap(&mut given, &mut surname);
    }
    let street = format!("{} {}", place.street, place.number);
    let phone = match landline {
        Some(landline) if spelling.chance_of(0.6) => landline.to_owned(),
        _ => person.mobile.clone(),
    };
    let gender = if person.female { "female" } else { "male" };
    let date = spelling.date(person.year, person.month, person.day);
    let mut values = vec![(FieldKind::GivenName, given), (FieldKind::Surname, surname)];
    let half = rates.missing / 2.0;
    for (kind, missing, value) in [
        (FieldKind::BirthDate, rates.missing, date),
        (FieldKind::Gender, half, gender.to_owned()),
        (FieldKind::Email, rates.missing + 0.3, spelling.text(&person.email)),
        (FieldKind::Phone, rates.missing + 0.2, phone),
        (FieldKind::Street, rates.missing, spelling.text(&street)),
        (FieldKind::PostalCode, half, spelling.digits(&place.postal_code)),
        (FieldKind::City, half, spelling.text(&place.city)),
        (FieldKind::Region, half, place.region.clone()),
    ] {
        if !spelling.chance_of(missing) {
            values.push((kind, value));
        }
    }
    values
}
