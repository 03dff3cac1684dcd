//! The mixture: what a pair of records can be, and how probable each level is then.
//!
//! ```text
//! relation               given name, gender   date of birth   surname      phone, others
//! one person             same                 same            same         same
//! members of a household apart                apart           in common?   in common?      only at home
//! namesakes of a family  same                 apart           same         in common?
//! twins                  apart                same            same         in common?
//! strangers              apart                apart           apart        apart           never at home
//!
//! place                  address, postal code, city, region
//! home                   same
//! area                   in common?
//! elsewhere              apart
//! ```
//! A class is a relation and a place, and within a class the fields are independent. Surname, street, postal code and
//! city are not independent over all pairs, because people live together and towns have postal codes of their own: the
//! classes hold that dependence (Winkler 1993; Larsen and Rubin 2001, *Iterative automated record linkage using mixture
//! models*). Namesakes and twins move as often as a person does, and are as rare as that among the members of households.
//! A further given name tells father and son apart, but for the few sons who have both names of their father.
//!
//! Where a household may have a value in common, it has it with a probability of its own, and the value is observed
//! through the same errors as one person's; else its members are as strangers. An area is the same for addresses.
//!
//! Agreement on a value is judged by how common the value is. If two records of different people agree on a value
//! that `c` of `n` records have with probability `q (c - 1) / (n - 1)`, then `q` is 1 for a name; it is near 0 for an
//! e-mail address, whose repetitions are mostly one person's. `q` is estimated per field and per size of `c`. The same is
//! estimated for given name and surname together, because names of one language go together: two strangers agree on both
//! as often as the two names say on their own, and in addition as often as the whole name says.

use crate::compare::{Comparison, MISSING};
use crate::field::{Field, LEVELS_MAX, PerField};

/// Relations: one person, members, namesakes, twins, strangers.
pub(crate) const RELATIONS: usize = 5;
/// Places: home, area, elsewhere.
pub(crate) const PLACES: usize = 3;
/// A number for each class: relation, then place.
pub(crate) type PerClass = [[f64; PLACES]; RELATIONS];

/// Sizes of `c` with a `q` of their own: 2, 3, up to 5, up to 10, up to 30, more.
pub(crate) const SIZES: usize = 6;

/// Records that a whole name must have to say more than its parts: a rarer one may be one person's alone.
const FULL_NAME_RECORDS_MIN: f32 = 11.0;

/// Conditions under which a level has a probability.
pub(crate) const CONDITIONS: usize = 3;

/// No probability is smaller: no single field settles a pair beyond any other evidence.
const PROBABILITY_MIN: f64 = 1e-9;

/// Probabilities of all fields' levels and of the classes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parameters {
    /// The shares of the classes among all pairs.
    pub(crate) classes: PerClass,
    pub(crate) fields: PerField<FieldParameters>,
    /// `q` per size, for given name and surname together.
    pub(crate) full_name: [f64; SIZES],
    /// Records that were counted.
    pub(crate) records: f64,
}

/// Probabilities of one field's levels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FieldParameters {
    /// Records of one person or one address, through all errors.
    pub(crate) same: [f64; LEVELS_MAX],
    /// Records that have nothing to do with each other.
    pub(crate) apart: [f64; LEVELS_MAX],
    /// The share of households, or areas, that have this value in common.
    pub(crate) common: f64,
    /// `q` per size.
    pub(crate) coincidence: [f64; SIZES],
    /// Values of the field that were counted.
    pub(crate) total: f64,
}

impl FieldParameters {
    /// The probability of a level under each condition, if `count` records have the value on which a pair agrees.
    pub(crate) fn probabilities(&self, level: u8, count: f32) -> [f64; CONDITIONS] {
        let at = |levels: &[f64; LEVELS_MAX]| levels.get(usize::from(level)).copied().unwrap_or(1.0);
        let same = at(&self.same);
        let apart = if level == 0 && count >= 2.0 {
            let q = self.coincidence.get(size(count)).copied().unwrap_or(1.0);
            q * (f64::from(count) - 1.0) / (self.total - 1.0).max(1.0)
        } else {
            at(&self.apart)
        };
        [same, self.common * same + (1.0 - self.common) * apart, apart]
            .map(|it| it.clamp(PROBABILITY_MIN, 1.0))
    }
}

/// Which `q` counts for a value that so many records have.
pub(crate) fn size(count: f32) -> usize {
    match count {
        ..2.5 => 0,
        ..3.5 => 1,
        ..5.5 => 2,
        ..10.5 => 3,
        ..30.5 => 4,
        _ => 5,
    }
}

const SAME: usize = 0;
const TOGETHER: usize = 1;
const APART: usize = 2;

/// What the probabilities of a field depend on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Dependence {
    /// The condition under each relation.
    Relation([usize; RELATIONS]),
    /// The place: home is the same, area is together, elsewhere is apart.
    Place,
}

pub(crate) fn dependence(field: Field) -> Dependence {
    match field {
        Field::GivenName | Field::NameOrder | Field::Gender => {
            Dependence::Relation([SAME, APART, SAME, APART, APART])
        }
        // father and son rarely have all their names in common
        Field::MiddleName => Dependence::Relation([SAME, APART, TOGETHER, APART, APART]),
        Field::BirthDate | Field::BirthYear => Dependence::Relation([SAME, APART, APART, SAME, APART]),
        Field::Surname => Dependence::Relation([SAME, TOGETHER, SAME, SAME, APART]),
        Field::Email
        | Field::Phone
        | Field::Identifier
        | Field::FirstCategory
        | Field::SecondCategory
        | Field::ThirdCategory
        | Field::FourthCategory
        | Field::FreeText => Dependence::Relation([SAME, TOGETHER, TOGETHER, TOGETHER, APART]),
        Field::Street
        | Field::HouseNumber
        | Field::AddressLine
        | Field::PostalCode
        | Field::City
        | Field::Region => Dependence::Place,
    }
}

impl Parameters {
    /// The probability of each class together with this comparison.
    pub(crate) fn joint(&self, comparison: &Comparison) -> PerClass {
        let mut relation = [1.0; RELATIONS];
        let mut place = [1.0; PLACES];
        for field in Field::ALL {
            let level = comparison.levels[field];
            if level == MISSING {
                continue;
            }
            let probabilities = self.fields[field].probabilities(level, comparison.counts[field]);
            match dependence(field) {
                Dependence::Place => {
                    place.iter_mut().zip(probabilities).for_each(|(it, factor)| *it *= factor)
                }
                Dependence::Relation(conditions) => {
                    for (product, condition) in relation.iter_mut().zip(conditions) {
                        *product *= probabilities.get(condition).copied().unwrap_or(1.0);
                    }
                }
            }
        }
        let associated = self.association(comparison) * f64::from(comparison.fashion);
        if let Some(strangers) = relation.last_mut() {
            *strangers *= associated;
        }
        let [home, area, elsewhere] = place;
        let area = area * f64::from(comparison.area);
        let household = f64::from(comparison.household);
        // father and son are rare in a small household; of the others it may lack records
        let homes = [1.0, household.max(1.0), household, household.max(1.0), 1.0].map(|size| home * size);
        let mut joint = self.classes;
        for ((class, relation), home) in joint.iter_mut().zip(relation).zip(homes) {
            for (share, place) in class.iter_mut().zip([home, area, elsewhere]) {
                *share *= relation * place;
            }
        }
        joint
    }

    /// How much more often strangers agree on both names than the two names say on their own; at least one.
    pub(crate) fn association(&self, comparison: &Comparison) -> f64 {
        if comparison.full_name < FULL_NAME_RECORDS_MIN {
            return 1.0;
        }
        let apart = |field: Field| {
            let [.., apart] = self.fields[field].probabilities(0, comparison.counts[field]);
            apart
        };
        let q = self.full_name.get(size(comparison.full_name)).copied().unwrap_or(1.0);
        let together = q * (f64::from(comparison.full_name) - 1.0) / (self.records - 1.0).max(1.0);
        1.0 + together / (apart(Field::GivenName) * apart(Field::Surname))
    }

    /// The same for more records than were counted. A record has as many others of its person, and as many members of its
    /// household, among however many strangers: their shares of all pairs fall as the number of records grows.
    pub(crate) fn for_population(mut self, records: f64) -> Self {
        let rarer = ((self.records - 1.0).max(1.0) / (records - 1.0).max(1.0)).min(1.0);
        let [related @ .., strangers] = &mut self.classes;
        let mut left = 0.0;
        for share in related.iter_mut().flatten() {
            left += *share * (1.0 - rarer);
            *share *= rarer;
        }
        let sum: f64 = strangers.iter().sum();
        strangers.iter_mut().for_each(|share| *share *= 1.0 + left / sum.max(f64::MIN_POSITIVE));
        self
    }

    /// The share of pairs that are of one person.
    pub(crate) fn prior(&self) -> f64 {
        self.classes.iter().take(1).flatten().sum()
    }
}

/// Bits for one person, prior included.
pub(crate) fn log_odds([same, others @ ..]: &PerClass) -> f64 {
    let same: f64 = same.iter().sum();
    let other: f64 = others.iter().flatten().sum();
    same.max(f64::MIN_POSITIVE).log2() - other.max(f64::MIN_POSITIVE).log2()
}

/// Log-odds that no address can exceed, from the classes of a comparison without addresses. At each place the address
/// counts the same for one person as for all others, so the odds are at most the greatest odds of a place.
pub(crate) fn log_odds_at_most([same, others @ ..]: &PerClass) -> f64 {
    let mut others_there = [0.0; PLACES];
    for class in others {
        others_there.iter_mut().zip(class).for_each(|(sum, share)| *sum += share);
    }
    let odds = same.iter().zip(others_there).map(|(same, other)| same / f64::max(other, f64::MIN_POSITIVE));
    odds.fold(0.0, f64::max).log2()
}

/// The probability that belongs to log-odds in bits.
#[must_use]
pub fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp2())
}
