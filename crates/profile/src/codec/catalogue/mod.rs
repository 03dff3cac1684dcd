//! Owns the bytes of catalogue entries, one file for each kind, and of the catalogue's changes. Always: an entry has
//! the same message alone and in a change.

/// The bytes of an entry: those of its message, framed.
macro_rules! stored {
    ($entry:ty as $wire:ident: $from:ident, $into:ident) => {
        impl $crate::codec::Stored for $entry {
            fn encode(&self) -> Vec<u8> {
                $crate::codec::frame(&$wire::$from(self))
            }

            fn decode(bytes: &[u8]) -> Result<Self, ProfileError> {
                $crate::codec::unframe::<$wire>(KIND, bytes)?.$into()
            }
        }
    };
}

mod attribute;
mod change;
mod jurisdiction;
mod purpose;
mod recipient;

use super::{Intact, byte};
use crate::{error::ProfileError, ground::LawfulBasis, id::PurposeNumber};

fn write_bases(bases: &[LawfulBasis]) -> Vec<u32> {
    bases.iter().map(|basis| basis.number().into()).collect()
}

fn read_bases(numbers: &[u32], kind: &'static str) -> Result<Vec<LawfulBasis>, ProfileError> {
    numbers.iter().map(|number| LawfulBasis::from_number(byte(*number)).intact(kind, "basis")).collect()
}

fn write_purposes(purposes: &[PurposeNumber]) -> Vec<u32> {
    purposes.iter().map(|purpose| purpose.as_u32()).collect()
}

fn read_purposes(numbers: &[u32], kind: &'static str) -> Result<Vec<PurposeNumber>, ProfileError> {
    numbers.iter().map(|number| PurposeNumber::new(*number).intact(kind, "purpose")).collect()
}
