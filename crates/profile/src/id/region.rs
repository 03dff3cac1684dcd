//! Owns the region in which a customer lives: a country, or a part of one. Always: written as ISO 3166-1 alpha-2 (`DE`)
//! or ISO 3166-2 (`US-CA`) writes it; whether the standard assigns the code is not checked, so that a new code needs
//! no new release. Codes that are widely written for a country whose code is another are refused: they would select the
//! wrong law.

use super::slug::text_id;
use crate::error::ProfileError;

/// A country (`DE`) or a subdivision of one (`US-CA`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(Box<str>);

impl Region {
    const MALFORMED: ProfileError = ProfileError::Malformed {
        field: "region",
        expected: "ISO 3166-1 alpha-2 or ISO 3166-2, e.g. DE or US-CA",
    };

    /// Codes that the standard reserves or does not assign, and what is meant.
    const MISTAKEN: [(&'static str, &'static str); 3] = [
        ("UK", "the ISO 3166-1 code of the United Kingdom: use GB"),
        ("EL", "the ISO 3166-1 code of Greece: use GR"),
        ("EU", "a country of the European Union, e.g. DE"),
    ];

    /// Checks the text.
    ///
    /// # Errors
    /// `Malformed` unless it is two capitals, optionally followed by a hyphen and one to three capitals or digits, and
    /// for `UK`, `EL`, `EU` and parts of them.
    pub fn new(text: &str) -> Result<Self, ProfileError> {
        let (country, part) =
            text.split_once('-').map_or((text, None), |(country, part)| (country, Some(part)));
        let is_country = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
        let is_part = part.is_none_or(|part| {
            (1..=3).contains(&part.len())
                && part.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        });
        if let Some((_, expected)) = Self::MISTAKEN.into_iter().find(|(code, _)| *code == country) {
            return Err(ProfileError::Malformed { field: "region", expected });
        }
        if is_country && is_part { Ok(Self(text.into())) } else { Err(Self::MALFORMED) }
    }

    /// A region of a built-in jurisdiction; a test checks it.
    pub(crate) fn built_in(code: &'static str) -> Self {
        Self(code.into())
    }

    /// The country's code: the part before the hyphen.
    #[must_use]
    pub fn country(&self) -> &str {
        self.0.split_once('-').map_or(&*self.0, |(country, _)| country)
    }
}

text_id!(Region);
