//! Owns the bits of one segment. Always: a read past the end is an error.

use crate::error::{EncodingFault, GppStringError, TcStringError};

/// A segment ends before its last field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Truncated;

impl From<Truncated> for TcStringError {
    fn from(Truncated: Truncated) -> Self {
        Self::Truncated
    }
}

impl From<Truncated> for GppStringError {
    fn from(Truncated: Truncated) -> Self {
        Self::HeaderTruncated
    }
}

/// The bits of a segment, read from left to right; the text's characters are six bits each.
#[derive(Debug)]
pub(super) struct Bits {
    sextets: Vec<u8>,
    /// Bits read so far.
    at: usize,
}

impl Bits {
    /// The bits of base64url text (RFC 4648 §5) without padding. Six bits a character, so the last octet need not be
    /// whole: encoders end where the last field ends.
    pub(super) fn decode(text: &str) -> Result<Self, EncodingFault> {
        if text.is_empty() {
            return Err(EncodingFault::Empty);
        }
        let sextets = text.bytes().map(sextet).collect::<Result<Vec<u8>, _>>()?;
        Ok(Self { sextets, at: 0 })
    }

    /// How many bits there are, read or not.
    pub(super) fn count(&self) -> usize {
        self.sextets.len() * 6
    }

    /// Whether the next bit is set.
    pub(super) fn flag(&mut self) -> Result<bool, Truncated> {
        let sextet = self.sextets.get(self.at / 6).ok_or(Truncated)?;
        let is_set = sextet >> (5 - self.at % 6) & 1 == 1;
        self.at += 1;
        Ok(is_set)
    }

    /// The next number of so many bits, at most 36, the highest bit first.
    pub(super) fn number(&mut self, bits: u32) -> Result<u64, Truncated> {
        let mut number = 0;
        for _ in 0..bits {
            number = number << 1 | u64::from(self.flag()?);
        }
        Ok(number)
    }

    /// The next number of so many bits, at most 8.
    pub(super) fn small(&mut self, bits: u32) -> Result<u8, Truncated> {
        u8::try_from(self.number(bits)?).map_err(|_more_than_8_bits| Truncated)
    }

    /// The next number of so many bits, at most 16.
    pub(super) fn medium(&mut self, bits: u32) -> Result<u16, Truncated> {
        u16::try_from(self.number(bits)?).map_err(|_more_than_16_bits| Truncated)
    }

    /// Which of the next bits are set, counted from 1.
    pub(super) fn ids(&mut self, count: u8) -> Result<Vec<u8>, Truncated> {
        let mut ids = Vec::new();
        for id in 1..=count {
            if self.flag()? {
                ids.push(id);
            }
        }
        Ok(ids)
    }
}

/// Checks every character of a text whose segments are divided by these.
pub(super) fn check_characters(text: &str, dividers: &[u8]) -> Result<(), EncodingFault> {
    text.bytes().filter(|byte| !dividers.contains(byte)).try_for_each(|byte| sextet(byte).map(drop))
}

const fn sextet(character: u8) -> Result<u8, EncodingFault> {
    match character {
        b'A'..=b'Z' => Ok(character - b'A'),
        b'a'..=b'z' => Ok(character - b'a' + 26),
        b'0'..=b'9' => Ok(character - b'0' + 52),
        b'-' => Ok(62),
        b'_' => Ok(63),
        b'=' => Err(EncodingFault::Padding),
        b' ' | b'\t' | b'\r' | b'\n' => Err(EncodingFault::Whitespace),
        b'%' => Err(EncodingFault::Percent),
        b'+' | b'/' => Err(EncodingFault::Standard),
        _ => Err(EncodingFault::Character),
    }
}
