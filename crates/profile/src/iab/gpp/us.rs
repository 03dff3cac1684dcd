//! Owns the sections of the United States: their fields, and which of them are opt-outs.
//!
//! ```text
//!   [ header . ] core [ . segment ]…      a number of two bits for each field or activity, but six for a version
//!   header:   section id 6 · version 6 · segments    of the sections from 24 on: their specifications require it, the
//!             IAB's libraries do not write it. No core begins with 24 or more, so both forms are read.
//!   segment:  type 2 = 1 · Gpc 1, or the consents to sensitive data, 2 each (Indiana, Kentucky, Rhode Island)
//! ```
//! A segment that a section does not have is passed over, as the IAB's libraries do: the opt-outs before it count.
//! Source: IAB Tech Lab, Global Privacy Platform, folder Sections: US-National, version 2, and US-States; of version 1 of
//! the national section, the IAB's libraries. Lists have the fixed lengths of these specifications and no count before them.

use super::{
    super::bits::{Bits, Truncated},
    GppContent, GppField, GppOptOut,
};
use crate::error::GppStringError;

const NATIONAL: u16 = 7;
const CALIFORNIA: u16 = 8;
const UTAH: u16 = 11;
const IOWA: u16 = 18;
/// The type of the segment with a browser's signal.
const GPC_SEGMENT: u8 = 1;
/// The version of a section's header.
const HEADER_VERSION: u8 = 1;
/// The least that a section can be: a version and a field.
const CORE_BITS_MIN: usize = 8;

/// Bits of the national core with the lists of version 2; with those of version 1 it has 60, or 66 with padding.
const NATIONAL_BITS: usize = 70;

/// A field: its name, the bits of a number, the count of numbers.
type Layout = (&'static str, u32, usize);

/// The segment after the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Second {
    None,
    Gpc,
    SensitiveData,
}

/// What differs between the sections of the states that have the common form.
#[derive(Debug)]
struct State {
    id: u16,
    name: &'static str,
    first_notice: &'static str,
    sensitive_notice: Option<&'static str>,
    sensitive: usize,
    child: usize,
    additional: Option<&'static str>,
    second: Second,
}

const SHARING: &str = "SharingNotice";
const PROCESSING: &str = "ProcessingNotice";
const ADDITIONAL: Option<&str> = Some("AdditionalDataProcessingConsent");

impl State {
    /// A state whose section has a GPC segment and no notice about sensitive data.
    const fn of(
        id: u16,
        name: &'static str,
        first_notice: &'static str,
        sensitive: usize,
        child: usize,
    ) -> Self {
        Self {
            id,
            name,
            first_notice,
            sensitive_notice: None,
            sensitive,
            child,
            additional: ADDITIONAL,
            second: Second::Gpc,
        }
    }
}

const STATES: [State; 15] = [
    State { additional: None, second: Second::None, ..State::of(9, "usva", SHARING, 8, 1) },
    State { additional: None, ..State::of(10, "usco", SHARING, 7, 1) },
    State {
        sensitive_notice: Some("SensitiveDataProcessingOptOutNotice"),
        additional: None,
        second: Second::None,
        ..State::of(UTAH, "usut", SHARING, 8, 1)
    },
    State { additional: None, ..State::of(12, "usct", SHARING, 8, 3) },
    State { second: Second::None, ..State::of(13, "usfl", PROCESSING, 8, 3) },
    State::of(14, "usmt", SHARING, 8, 3),
    State::of(15, "usor", PROCESSING, 11, 3),
    State::of(16, "ustx", PROCESSING, 8, 1),
    State::of(17, "usde", PROCESSING, 9, 5),
    State {
        sensitive_notice: Some("SensitiveDataOptOutNotice"),
        additional: None,
        ..State::of(IOWA, "usia", PROCESSING, 8, 1)
    },
    State::of(19, "usne", PROCESSING, 8, 1),
    State::of(20, "usnh", PROCESSING, 8, 3),
    State::of(21, "usnj", PROCESSING, 10, 5),
    State::of(22, "ustn", PROCESSING, 8, 1),
    State::of(23, "usmn", PROCESSING, 8, 1),
];

/// The sections whose core begins with the terms of the agreement (MSPA), not with a version.
const NEWEST: [(u16, &str, Second); 4] = [
    (24, "usmd", Second::Gpc),
    (25, "usin", Second::SensitiveData),
    (26, "usky", Second::SensitiveData),
    (27, "usri", Second::SensitiveData),
];

/// The prefix of a section.
pub(super) fn name(id: u16) -> Option<&'static str> {
    let state = || STATES.iter().find(|state| state.id == id).map(|state| state.name);
    let newest = || NEWEST.iter().find(|(of, ..)| *of == id).map(|(_, name, _)| *name);
    match id {
        NATIONAL => Some("usnat"),
        CALIFORNIA => Some("usca"),
        _ => state().or_else(newest),
    }
}

/// The opt-out that a field says where its value, or one of them, is 1. Targeted advertising counts as sharing: both are
/// advertising on what a person does elsewhere (Cal. Civ. Code §1798.140(k), (ah); Va. Code §59.1-575). Of sensitive data
/// 1 is an opt-out in California, Utah and Iowa; elsewhere, and in the national section for all states, it says that there
/// is no consent: a no as well, which counts against a consent that was given before.
pub(super) fn opt_out(field: &str) -> Option<GppOptOut> {
    match field {
        "Gpc" => Some(GppOptOut::Gpc),
        "SaleOptOut" | "SharingOptOut" | "TargetedAdvertisingOptOut" | "OptOutSale" => Some(GppOptOut::Sale),
        "SensitiveDataProcessing" => Some(GppOptOut::SensitiveData),
        _ => None,
    }
}

/// Reads a section of the United States; any other is unknown.
pub(super) fn read(id: u16, text: &str) -> Result<GppContent, GppStringError> {
    let truncated = |Truncated| GppStringError::Truncated { section: id };
    let mut segments = text.split('.');
    let mut core = segments.next().unwrap_or_default();
    if let Some(version) = header(id, core)? {
        if version != HEADER_VERSION {
            return Ok(GppContent::Unknown);
        }
        core = segments.next().ok_or(GppStringError::Truncated { section: id })?;
    }
    let Some((layout, second)) = layout(id, core)? else { return Ok(GppContent::Unknown) };
    let mut bits = Bits::decode(core)?;
    let mut fields = layout
        .into_iter()
        .map(|field| read_field(&mut bits, field))
        .collect::<Result<Vec<_>, _>>()
        .map_err(truncated)?;
    for (at, segment) in segments.enumerate() {
        let mut bits = Bits::decode(segment)?;
        let field = match second {
            Second::Gpc if bits.small(2).map_err(truncated)? == GPC_SEGMENT => ("Gpc", 1, 1),
            Second::SensitiveData if at == 0 => ("SensitiveDataProcessing", 2, 8),
            Second::None | Second::Gpc | Second::SensitiveData => continue,
        };
        fields.push(read_field(&mut bits, field).map_err(truncated)?);
    }
    Ok(GppContent::Us(fields))
}

/// The version of the header before the core, if a section has one.
fn header(id: u16, segment: &str) -> Result<Option<u8>, GppStringError> {
    if !NEWEST.iter().any(|(of, ..)| *of == id) {
        return Ok(None);
    }
    let mut bits = Bits::decode(segment)?;
    if bits.small(6).ok().map(u16::from) != Some(id) {
        return Ok(None);
    }
    bits.small(6).map(Some).map_err(|Truncated| GppStringError::Truncated { section: id })
}

fn read_field(bits: &mut Bits, (name, width, count): Layout) -> Result<GppField, Truncated> {
    let values = (0..count).map(|_| bits.small(width)).collect::<Result<_, _>>()?;
    Ok(GppField { name, values })
}

/// The fields of a section's core and the segment after it; none if the id or the version is unknown.
fn layout(id: u16, core: &str) -> Result<Option<(Vec<Layout>, Second)>, GppStringError> {
    if let Some((.., second)) = NEWEST.iter().find(|(of, ..)| *of == id) {
        return Ok(Some((newest(*second), *second)));
    }
    if name(id).is_none() {
        return Ok(None);
    }
    let mut bits = Bits::decode(core)?;
    if bits.count() < CORE_BITS_MIN {
        return Err(GppStringError::Truncated { section: id });
    }
    let version = bits.small(6).map_err(|Truncated| GppStringError::Truncated { section: id })?;
    let state = || STATES.iter().find(|state| state.id == id).map(|state| (common(state), state.second));
    Ok(match (id, version) {
        // The length tells the lists apart, as in the IAB's libraries, which once wrote either version with either.
        (NATIONAL, 1 | 2) if bits.count() < NATIONAL_BITS => Some((national(12, 2), Second::Gpc)),
        (NATIONAL, 1 | 2) => Some((national(16, 3), Second::Gpc)),
        (CALIFORNIA, 1) => Some((california(), Second::Gpc)),
        (_, 1) => state(),
        _ => None,
    })
}

const fn one(name: &'static str) -> Layout {
    (name, 2, 1)
}

const VERSION: Layout = ("Version", 6, 1);
const AGREEMENT: [Layout; 3] =
    [one("MspaCoveredTransaction"), one("MspaOptOutOptionMode"), one("MspaServiceProviderMode")];

fn national(sensitive: usize, child: usize) -> Vec<Layout> {
    let fields = [
        VERSION,
        one("SharingNotice"),
        one("SaleOptOutNotice"),
        one("SharingOptOutNotice"),
        one("TargetedAdvertisingOptOutNotice"),
        one("SensitiveDataProcessingOptOutNotice"),
        one("SensitiveDataLimitUseNotice"),
        one("SaleOptOut"),
        one("SharingOptOut"),
        one("TargetedAdvertisingOptOut"),
        ("SensitiveDataProcessing", 2, sensitive),
        ("KnownChildSensitiveDataConsents", 2, child),
        one("PersonalDataConsents"),
    ];
    fields.into_iter().chain(AGREEMENT).collect()
}

fn california() -> Vec<Layout> {
    let fields = [
        VERSION,
        one("SaleOptOutNotice"),
        one("SharingOptOutNotice"),
        one("SensitiveDataLimitUseNotice"),
        one("SaleOptOut"),
        one("SharingOptOut"),
        ("SensitiveDataProcessing", 2, 9),
        ("KnownChildSensitiveDataConsents", 2, 2),
        one("PersonalDataConsents"),
    ];
    fields.into_iter().chain(AGREEMENT).collect()
}

fn common(state: &State) -> Vec<Layout> {
    let notices =
        [VERSION, one(state.first_notice), one("SaleOptOutNotice"), one("TargetedAdvertisingOptOutNotice")];
    let choices = [
        one("SaleOptOut"),
        one("TargetedAdvertisingOptOut"),
        ("SensitiveDataProcessing", 2, state.sensitive),
        ("KnownChildSensitiveDataConsents", 2, state.child),
    ];
    notices
        .into_iter()
        .chain(state.sensitive_notice.map(one))
        .chain(choices)
        .chain(state.additional.map(one))
        .chain(AGREEMENT)
        .collect()
}

fn newest(second: Second) -> Vec<Layout> {
    let fields = [
        ("MspaVersion", 6, 1),
        one("MspaCoveredTransaction"),
        one("MspaMode"),
        one(PROCESSING),
        one("SaleOptOutNotice"),
        one("TargetedAdvertisingOptOutNotice"),
        one("SaleOptOut"),
        one("TargetedAdvertisingOptOut"),
    ];
    let child = (second == Second::SensitiveData).then(|| one("KnownChildSensitiveDataConsents"));
    fields.into_iter().chain(child).chain(ADDITIONAL.map(one)).collect()
}

/// Whether a text has the form of a US Privacy string; a GPP string begins with `D`.
pub(super) fn is_us_privacy(text: &str) -> bool {
    text.len() == 4 && text.starts_with(|first: char| first.is_ascii_digit())
}

/// Reads a US Privacy string: version, notice, opt-out of sale, and whether the agreement covers it (LSPA), each `Y`, `N`
/// or `-`, not applicable. Source: IAB Tech Lab, US Privacy String, version 1.
pub(super) fn read_us_privacy(text: &str) -> Result<GppContent, GppStringError> {
    let [version, choices @ ..] = text.as_bytes() else { return Err(GppStringError::UsPrivacy) };
    if !is_us_privacy(text) {
        return Err(GppStringError::UsPrivacy);
    }
    let mut fields = vec![GppField { name: "Version", values: vec![version - b'0'] }];
    for (name, choice) in ["Notice", "OptOutSale", "LspaCovered"].into_iter().zip(choices) {
        let value = match choice {
            b'-' => 0,
            b'Y' => 1,
            b'N' => 2,
            _ => return Err(GppStringError::UsPrivacy),
        };
        fields.push(GppField { name, values: vec![value] });
    }
    if *version != b'1' {
        return Ok(GppContent::Unknown);
    }
    Ok(GppContent::Us(fields))
}
