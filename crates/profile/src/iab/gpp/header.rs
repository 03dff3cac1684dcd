//! Owns the header of a GPP string: which sections follow.

use super::super::bits::Bits;
use crate::error::GppStringError;

const TYPE: u8 = 3;
/// The type of a TC string's core segment is its version.
const TYPE_OF_TC_STRING: u8 = 2;
const VERSION: u8 = 1;
/// Enough of the Fibonacci numbers 1, 2, 3, 5 … for every 16-bit number; the largest is 46,368.
const FIBONACCI_MAX: usize = 23;

/// The ids of the sections, in ascending order; as many as sections follow.
pub(super) fn read(text: &str, sections: usize) -> Result<Vec<u16>, GppStringError> {
    // A TC string has dots between its segments, which no header has.
    let segment = text.split('.').next().unwrap_or_default();
    if Bits::decode(segment)?.small(6)? == TYPE_OF_TC_STRING {
        return Err(GppStringError::TcString);
    }
    let mut bits = Bits::decode(text)?;
    let found = bits.small(6)?;
    if found != TYPE {
        return Err(GppStringError::HeaderType { found });
    }
    let found = bits.small(6)?;
    if found != VERSION {
        return Err(GppStringError::Version { found });
    }
    let mut ids = Vec::new();
    let mut last = 0_u16;
    for _ in 0..bits.medium(12)? {
        let is_range = bits.flag()?;
        let first = next_id(last, &mut bits)?;
        last = if is_range { next_id(first, &mut bits)? } else { first };
        for id in first..=last {
            ids.push(id);
            if ids.len() > sections {
                return Err(GppStringError::SectionCount { listed: ids.len(), found: sections });
            }
        }
    }
    if ids.len() == sections {
        Ok(ids)
    } else {
        Err(GppStringError::SectionCount { listed: ids.len(), found: sections })
    }
}

/// The id that the next offset leads to.
fn next_id(last: u16, bits: &mut Bits) -> Result<u16, GppStringError> {
    fibonacci(bits)?.and_then(|offset| last.checked_add(offset)).ok_or(GppStringError::SectionId)
}

/// A number in Fibonacci coding, which ends with two ones; none if it is above 65,535.
fn fibonacci(bits: &mut Bits) -> Result<Option<u16>, GppStringError> {
    let (mut number, mut this, mut next) = (0_u32, 1_u32, 2_u32);
    let mut was_set = false;
    for _ in 0..=FIBONACCI_MAX {
        let is_set = bits.flag()?;
        if is_set && was_set {
            return Ok(u16::try_from(number).ok());
        }
        number += if is_set { this } else { 0 };
        (this, next) = (next, this + next);
        was_set = is_set;
    }
    Ok(None)
}
