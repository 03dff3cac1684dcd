//! How common each value is: agreement on a rare value says more than on a common one.

use std::collections::HashMap;

use crate::features::{AddressKey, Features, NameKey, birth_year};
use crate::field::{Field, PerField};

/// Values that occur less often are not kept.
const COUNT_MIN: u32 = 2;

/// No household counts for less than this share of the mean: a member may have no record, or another spelling of the address.
pub(crate) const HOUSEHOLD_MIN: f32 = 0.25;

/// Years of birth that make a cohort.
const COHORT_YEARS: u32 = 10;
/// People of a given name who are assumed to be spread over the cohorts as all people are.
const COHORT_STRENGTH: f64 = 5.0;

/// Counts of values, per field, by the hash of the value. Looked up, never iterated.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frequencies {
    records: f64,
    counts: PerField<Counts>,
    addresses: Counts,
    names: Counts,
    cohorts: Cohorts,
}

/// How many people of a given name were born in which years. Names go in and out of fashion: strangers of about one age have
/// a name in common more often than its frequency says. Records with the same given name and surname count once for a cohort,
/// because they may be of one person.
#[derive(Debug, Clone, Default, PartialEq)]
struct Cohorts {
    /// People by given name and cohort.
    by_name_and_cohort: HashMap<(u32, u32), u32>,
    by_name: HashMap<u32, u32>,
    by_cohort: HashMap<u32, u32>,
    people: f64,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Counts {
    by_hash: HashMap<u32, u32>,
    /// The chance that two values of different records agree.
    agreement: f64,
    /// Values counted.
    total: f64,
}

impl Frequencies {
    pub(crate) fn of(sample: &[Features]) -> Self {
        let per_field = Field::ALL.map(|field| {
            Counts::of(sample.iter().flat_map(|features| features.values(field).map(|value| value.hash)))
        });
        let addresses = Counts::of(sample.iter().filter_map(AddressKey::of).map(|key| key.0));
        let names = Counts::of(sample.iter().filter_map(NameKey::of).map(|key| key.0));
        Self {
            records: sample.len() as f64,
            counts: PerField(per_field),
            addresses,
            names,
            cohorts: Cohorts::of(sample),
        }
    }

    /// Records that were counted.
    pub(crate) fn records(&self) -> f64 {
        self.records
    }

    /// Records with this value; at least two, because it is asked where two agree.
    pub(crate) fn count(&self, field: Field, hash: u32) -> f64 {
        self.counts[field].count(hash)
    }

    /// Records with this given name and surname together; at least two.
    pub(crate) fn full_name_count(&self, key: NameKey) -> f64 {
        self.names.count(key.0)
    }

    /// Values of a field that were counted.
    pub(crate) fn total(&self, field: Field) -> f64 {
        self.counts[field].total
    }

    /// How much more common a value is than what two records agree on by chance.
    pub(crate) fn relative(&self, field: Field, hash: u32) -> f64 {
        let counts = &self.counts[field];
        let frequency = counts.count(hash) / counts.total.max(1.0);
        if counts.agreement > 0.0 { frequency / counts.agreement } else { 1.0 }
    }

    /// How much larger than the mean the household at this address is, in records beside the one; at least
    /// [`HOUSEHOLD_MIN`].
    pub(crate) fn relative_household(&self, key: AddressKey) -> f64 {
        let others = self.addresses.agreement * self.addresses.total;
        ((self.addresses.count(key.0) - 1.0) / others.max(1.0)).max(HOUSEHOLD_MIN.into())
    }

    /// How much more often strangers born in these years have the given name in common than all strangers; at least one.
    pub(crate) fn fashion(&self, given_name: u32, years: [u32; 2]) -> f64 {
        let [one, other] = years.map(|year| self.cohorts.fashion(given_name, year));
        one.max(other).max(1.0)
    }
}

impl Cohorts {
    fn of(sample: &[Features]) -> Self {
        let mut people: Vec<(u32, u32, u32)> = sample
            .iter()
            .filter_map(|features| {
                let (given, surname) = (features.first(Field::GivenName)?, features.first(Field::Surname)?);
                Some((given.hash, birth_year(features)? / COHORT_YEARS, surname.hash))
            })
            .collect();
        people.sort_unstable();
        people.dedup();
        let mut cohorts = Self { people: people.len() as f64, ..Self::default() };
        for people in people.chunk_by(|one, other| one.0 == other.0) {
            for here in people.chunk_by(|one, other| one.1 == other.1) {
                let count = u32::try_from(here.len()).unwrap_or(u32::MAX);
                if let Some((given, cohort, _)) = here.first() {
                    *cohorts.by_cohort.entry(*cohort).or_default() += count;
                    *cohorts.by_name.entry(*given).or_default() += count;
                    if count > COUNT_MIN {
                        cohorts.by_name_and_cohort.insert((*given, *cohort), count);
                    }
                }
            }
        }
        cohorts.by_name.retain(|_, count| *count > COUNT_MIN);
        cohorts
    }

    fn fashion(&self, given_name: u32, year: u32) -> f64 {
        let cohort = year / COHORT_YEARS;
        let others = |count: Option<&u32>| f64::from(count.copied().unwrap_or(COUNT_MIN) - COUNT_MIN);
        let share =
            f64::from(self.by_cohort.get(&cohort).copied().unwrap_or_default()) / self.people.max(1.0);
        let here = others(self.by_name_and_cohort.get(&(given_name, cohort)));
        let all = others(self.by_name.get(&given_name));
        (here + COHORT_STRENGTH * share) / (all + COHORT_STRENGTH) / share.max(f64::MIN_POSITIVE)
    }
}

impl Counts {
    fn of(hashes: impl Iterator<Item = u32>) -> Self {
        let mut sorted: Vec<u32> = hashes.collect();
        sorted.sort_unstable();
        let total = sorted.len() as f64;
        let mut by_hash = HashMap::new();
        let mut pairs = 0.0;
        for run in sorted.chunk_by(|one, other| one == other) {
            let count = u32::try_from(run.len()).unwrap_or(u32::MAX);
            pairs += f64::from(count) * (f64::from(count) - 1.0);
            if let (Some(hash), true) = (run.first(), count > COUNT_MIN) {
                by_hash.insert(*hash, count);
            }
        }
        Self { by_hash, agreement: pairs / (total * (total - 1.0)).max(1.0), total }
    }

    fn count(&self, hash: u32) -> f64 {
        f64::from(self.by_hash.get(&hash).copied().unwrap_or(COUNT_MIN))
    }
}
