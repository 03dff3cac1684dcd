//! Owns a set of vendors of the framework. Always: ranges in ascending order that neither overlap nor touch, so that a
//! short text which names all 65,535 vendors many times over stays small.

use super::Bits;
use crate::error::TcStringError;

/// Vendors by their id in the global vendor list, from 1 on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VendorSet {
    /// First and last id, both in the set.
    ranges: Vec<(u16, u16)>,
}

impl VendorSet {
    /// Whether the set has the vendor.
    #[must_use]
    pub fn contains(&self, vendor: u16) -> bool {
        self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&vendor))
    }

    /// The vendors in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        self.ranges.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// The first and last id of each range, in ascending order.
    #[must_use]
    pub fn ranges(&self) -> &[(u16, u16)] {
        &self.ranges
    }

    /// Whether the set has no vendor.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The largest id, then one bit for each id, or ranges.
    pub(super) fn read(bits: &mut Bits) -> Result<Self, TcStringError> {
        let id_max = bits.medium(16)?;
        if bits.flag()? {
            return Self::read_ranges(bits, id_max);
        }
        let mut ranges = Vec::new();
        for id in 1..=id_max {
            if bits.flag()? {
                ranges.push((id, id));
            }
        }
        Ok(Self::of(ranges))
    }

    /// The number of ranges and the ranges, of ids up to `id_max`.
    pub(super) fn read_ranges(bits: &mut Bits, id_max: u16) -> Result<Self, TcStringError> {
        let mut ranges = Vec::new();
        for _ in 0..bits.medium(12)? {
            let is_range = bits.flag()?;
            let first = bits.medium(16)?;
            let last = if is_range { bits.medium(16)? } else { first };
            if first == 0 || last < first || last > id_max {
                return Err(TcStringError::Field { field: "range of vendors" });
            }
            ranges.push((first, last));
        }
        Ok(Self::of(ranges))
    }

    fn of(mut ranges: Vec<(u16, u16)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(u16, u16)> = Vec::new();
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                Some(_) | None => merged.push((first, last)),
            }
        }
        Self { ranges: merged }
    }
}
