//! Owns the bits of one segment. Always: a read past the end is an error.

use crate::error::TcStringError;

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
    pub(super) fn decode(text: &str) -> Result<Self, TcStringError> {
        let sextets: Option<Vec<u8>> = text.bytes().map(sextet).collect();
        let sextets = sextets.filter(|sextets| !sextets.is_empty()).ok_or(TcStringError::Encoding)?;
        Ok(Self { sextets, at: 0 })
    }

    /// Whether the next bit is set.
    pub(super) fn flag(&mut self) -> Result<bool, TcStringError> {
        let sextet = self.sextets.get(self.at / 6).ok_or(TcStringError::Truncated)?;
        let is_set = sextet >> (5 - self.at % 6) & 1 == 1;
        self.at += 1;
        Ok(is_set)
    }

    /// The next number of so many bits, at most 36, the highest bit first.
    pub(super) fn number(&mut self, bits: u32) -> Result<u64, TcStringError> {
        let mut number = 0;
        for _ in 0..bits {
            number = number << 1 | u64::from(self.flag()?);
        }
        Ok(number)
    }

    /// The next number of so many bits, at most 8.
    pub(super) fn small(&mut self, bits: u32) -> Result<u8, TcStringError> {
        u8::try_from(self.number(bits)?).map_err(|_more_than_8_bits| TcStringError::Truncated)
    }

    /// The next number of so many bits, at most 16.
    pub(super) fn medium(&mut self, bits: u32) -> Result<u16, TcStringError> {
        u16::try_from(self.number(bits)?).map_err(|_more_than_16_bits| TcStringError::Truncated)
    }

    /// Which of the next bits are set, counted from 1.
    pub(super) fn ids(&mut self, count: u8) -> Result<Vec<u8>, TcStringError> {
        let mut ids = Vec::new();
        for id in 1..=count {
            if self.flag()? {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// Two letters of six bits, `A` being 0.
    pub(super) fn letters(&mut self, field: &'static str) -> Result<String, TcStringError> {
        let mut letters = String::new();
        for _ in 0..2 {
            let letter = b'A' + self.small(6)?;
            if !letter.is_ascii_uppercase() {
                return Err(TcStringError::Field { field });
            }
            letters.push(letter.into());
        }
        Ok(letters)
    }
}

const fn sextet(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}
