//! Owns the GPP string, the consent string of the IAB Tech Lab's Global Privacy Platform, version 1. Always: an opt-out
//! that it says is found, and no text makes this panic.
//!
//! ```text
//!   header ~ section ~ section …      a section for each id of the header, in its order
//!   header:   type 6 = 3 · version 6 = 1 · ids
//!   ids:      n 12 · (is range 1 · offset from the last id [· length]) n times; offset and length in Fibonacci coding
//!   section:  2 tcfeuv2: a TC string · 6 uspv1: four characters · 7 to 27: the United States, see `us`
//! ```
//! Source: IAB Tech Lab, Global Privacy Platform String, sections "Header Encoding" and "Section Encoding", and Section
//! Information, <https://github.com/InteractiveAdvertisingBureau/Global-Privacy-Platform>. docs/consent-exports.md lists
//! where this decoder differs from the IAB's libraries.
//!
//! A section that this release does not know, or of a version that it does not know, is kept and named as such: what the
//! other sections say counts all the same.

mod header;
mod us;

use std::collections::BTreeSet;

use super::{bits::check_characters, tcf::TcString};
use crate::{
    error::{GppStringError, ProfileError, TcStringError},
    id::TimestampMs,
    label::Label,
    limits::GPP_STRING_BYTES_MAX,
};

const TCF_EU: u16 = 2;
const US_PRIVACY: u16 = 6;
/// A version, and the beginning of a date.
const TCF_CHARACTERS_MIN: usize = 2;

/// A stored GPP string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredGppString {
    /// The text as received.
    pub text: Label<GPP_STRING_BYTES_MAX>,
    /// When it was recorded.
    pub recorded_at: TimestampMs,
}

impl StoredGppString {
    /// Checks a text received now.
    ///
    /// # Errors
    /// `GppString` with the fault.
    pub fn new(text: &str, now: TimestampMs) -> Result<Self, ProfileError> {
        GppString::read(text)?;
        Ok(Self { text: Label::new("gpp_string", text)?, recorded_at: now })
    }

    /// What the text says.
    ///
    /// # Errors
    /// The fault; never for a text that [`StoredGppString::new`] accepted.
    pub fn read(&self) -> Result<GppString, GppStringError> {
        GppString::read(self.text.as_str())
    }
}

/// A decoded GPP string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GppString {
    /// Its sections, in ascending order of their ids.
    pub sections: Vec<GppSection>,
}

/// A section of a GPP string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GppSection {
    /// Its id in the IAB's list of sections.
    pub id: u16,
    /// Its content.
    pub content: GppContent,
}

/// What a section says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GppContent {
    /// A TC string, in force or not.
    Tcf(Box<TcString>),
    /// The fields of a section of the United States, in their order.
    Us(Vec<GppField>),
    /// This release does not know the section or its version.
    Unknown,
}

/// An opt-out that a section of the United States says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GppOptOut {
    /// Global Privacy Control, as the platform found it.
    Gpc,
    /// Of sale, sharing or targeted advertising.
    Sale,
    /// Of the use of sensitive data.
    SensitiveData,
}

/// A field of a section of the United States.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GppField {
    /// Its name in the section's specification.
    pub name: &'static str,
    /// One value, or one for each activity that the specification lists. A version, or else: 0 not applicable, 1 yes, opted
    /// out or no consent, 2 no, did not opt out or consent; 3 has no meaning. `Gpc`: 1 true, 0 false.
    pub values: Vec<u8>,
}

impl GppSection {
    /// The section's prefix in the IAB's list, e.g. `usca`; none if this release does not know the id.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        match self.id {
            1 => Some("tcfeuv1"),
            TCF_EU => Some("tcfeuv2"),
            5 => Some("tcfcav1"),
            US_PRIVACY => Some("uspv1"),
            other => us::name(other),
        }
    }

    /// The opt-outs that it says. Consent that was not given is no opt-out: without it an opt-in law permits nothing anyway.
    fn opt_outs(&self) -> impl Iterator<Item = GppOptOut> {
        let fields = match &self.content {
            GppContent::Us(fields) => fields.as_slice(),
            GppContent::Tcf(_) | GppContent::Unknown => &[],
        };
        let opted_out = fields.iter().filter(|field| field.values.contains(&1));
        opted_out.filter_map(|field| us::opt_out(field.name))
    }
}

fn read_tcf(text: &str) -> Result<GppContent, GppStringError> {
    if text.len() < TCF_CHARACTERS_MIN {
        return Err(GppStringError::Truncated { section: TCF_EU });
    }
    match TcString::read(text) {
        Ok(read) => Ok(GppContent::Tcf(Box::new(read))),
        Err(TcStringError::Version { .. }) => Ok(GppContent::Unknown),
        Err(fault) => Err(GppStringError::Tcf(fault)),
    }
}

fn read_section(id: u16, text: &str) -> Result<GppContent, GppStringError> {
    match id {
        TCF_EU => read_tcf(text),
        US_PRIVACY => us::read_us_privacy(text),
        other => us::read(other, text),
    }
}

impl GppString {
    /// Decodes a text. A US Privacy string on its own, e.g. `1YNN`, counts as a string with that section alone.
    ///
    /// A section that cannot be read is [`GppContent::Unknown`] if another one says an opt-out: what else a string says is
    /// no reason not to hear a no.
    ///
    /// # Errors
    /// The first fault; see [`GppStringError`].
    pub fn read(text: &str) -> Result<Self, GppStringError> {
        if text.len() > GPP_STRING_BYTES_MAX {
            return Err(GppStringError::TooLong);
        }
        check_characters(text, b".~")?;
        if us::is_us_privacy(text) {
            return Ok(Self {
                sections: vec![GppSection { id: US_PRIVACY, content: us::read_us_privacy(text)? }],
            });
        }
        let mut parts = text.split('~');
        let header = parts.next().unwrap_or_default();
        let parts: Vec<&str> = parts.collect();
        let ids = header::read(header, parts.len())?;
        let mut fault = None;
        let mut section = |(id, part): (u16, &str)| {
            let content = read_section(id, part).unwrap_or_else(|found| {
                fault.get_or_insert(found);
                GppContent::Unknown
            });
            GppSection { id, content }
        };
        let read = Self { sections: ids.into_iter().zip(parts).map(&mut section).collect() };
        match fault {
            Some(fault) if read.opt_outs().is_empty() => Err(fault),
            Some(_) | None => Ok(read),
        }
    }

    /// The opt-outs that any of its sections says, each once.
    #[must_use]
    pub fn opt_outs(&self) -> BTreeSet<GppOptOut> {
        self.sections.iter().flat_map(GppSection::opt_outs).collect()
    }
}
