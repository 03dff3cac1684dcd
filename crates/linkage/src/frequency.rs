//! How common each value is: agreement on a rare value says more than on a common one.

use std::collections::HashMap;

use crate::features::{AddressKey, Features, NameKey};
use crate::field::{Field, PerField};

/// Values that occur less often are not kept.
const COUNT_MIN: u32 = 2;

/// Counts of values, per field, by the hash of the value. Looked up, never iterated.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frequencies {
    records: f64,
    counts: PerField<Counts>,
    addresses: Counts,
    names: Counts,
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
        Self { records: sample.len() as f64, counts: PerField(per_field), addresses, names }
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

    /// How much larger than the mean the household at this address is; at least one.
    pub(crate) fn relative_household(&self, key: AddressKey) -> f64 {
        let others = self.addresses.agreement * self.addresses.total;
        ((self.addresses.count(key.0) - 1.0) / others.max(1.0)).max(1.0)
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
