//! Owns the jurisdictions that every catalogue has from the start. Always: `default` is the strictest.
//!
//! They are a starting point for the operator's counsel, not advice, and each says so; an update of one replaces it.
//! Each law is expressed in the six bases of GDPR Art. 6(1), which purposes use; above each entry stands which of its
//! provisions is which basis. Where lawyers doubt, the stricter reading is the setting.
//!
//! `default` applies if no region is known, or none fits. It is as strict as the strictest of the others: sensitive
//! data by signed consent only, no legitimate interests, marketing by consent alone, no sale below 18, and a guardian
//! below 20. Two things it permits that a law below does not, since nobody of an unknown region could otherwise be served
//! at all: it knows the contract, which India does not, and sensitive data by consent, which is no ground in Maryland.
//!
//! A replay of the past starts from these too. So a later release must not change them: a change of a law is an
//! update of the catalogue, with its moment.

mod americas;
mod asia_pacific;
mod europe_africa;

use super::channel::ChannelKind;
use super::jurisdiction::{
    ConsentModel, Jurisdiction, JurisdictionFields, NoContactHours, RegionalAge, SensitiveConsent,
};
use crate::{
    ground::LawfulBasis,
    id::{JurisdictionId, Region, Revision},
    preferences::{DayOfWeek, LocalTime, QuietHours},
};

/// The name of the jurisdiction that applies where no other does.
pub(super) const DEFAULT_ID: &str = "default";

/// What the citation of each ends with.
const NOTE: &str = "A starting point for counsel.";

struct BuiltIn {
    id: &'static str,
    display_name: &'static str,
    law: &'static str,
    regions: &'static [&'static str],
    consent_model: ConsentModel,
    honours_gpc: bool,
    lawful_bases: &'static [LawfulBasis],
    sensitive_bases: &'static [LawfulBasis],
    sensitive_consent: SensitiveConsent,
    /// The law has the grounds of GDPR Art. 9(2), of which none is a legal obligation as such.
    sensitive_needs_ground: bool,
    opt_in_below_age: u8,
    sale_forbidden_below_age: u8,
    guardian_below_age: u8,
    /// Ages other than `guardian_below_age`, each with its regions.
    regional_ages: &'static [(u8, &'static [&'static str])],
    no_contact_hours: &'static [NoContact],
    consent_channels: &'static [ChannelKind],
    soft_opt_in_channels: &'static [ChannelKind],
}

/// Directive 2002/58/EC Art. 13(1), and calls, for which the member states choose, Art. 13(3).
const ELECTRONIC: [ChannelKind; 4] =
    [ChannelKind::ElectronicMail, ChannelKind::TextMessage, ChannelKind::AutomatedCall, ChannelKind::Call];

/// Directive 2002/58/EC Art. 13(2), and Art. 2(h): electronic mail is also a text message.
const SOFT: [ChannelKind; 2] = [ChannelKind::ElectronicMail, ChannelKind::TextMessage];

/// The same and paper.
const EVERY_LETTER: [ChannelKind; 5] = [
    ChannelKind::ElectronicMail,
    ChannelKind::TextMessage,
    ChannelKind::AutomatedCall,
    ChannelKind::Call,
    ChannelKind::Post,
];

/// On these days (none: every day) nobody is contacted from the one time until the other, which may be on the next day: in
/// these regions (none: all others), on channels of these kinds (none: calls).
struct NoContact {
    days: &'static [DayOfWeek],
    begins: LocalTime,
    ends: LocalTime,
    regions: &'static [&'static str],
    kinds: &'static [ChannelKind],
}

/// From nine in the evening until eight, 47 CFR 64.1200(c)(1): in the United States the law, elsewhere the setting where
/// the law names no hours.
const NIGHT: [NoContact; 1] = [NoContact::calls(&[], (21, 0), (8, 0))];

const WEEKEND: [DayOfWeek; 2] = [DayOfWeek::Saturday, DayOfWeek::Sunday];

/// Calls and texts, which some laws treat alike.
const CALLS_AND_TEXTS: [ChannelKind; 3] =
    [ChannelKind::TextMessage, ChannelKind::AutomatedCall, ChannelKind::Call];

const WEEKDAYS: [DayOfWeek; 5] =
    [DayOfWeek::Monday, DayOfWeek::Tuesday, DayOfWeek::Wednesday, DayOfWeek::Thursday, DayOfWeek::Friday];

/// The hours of every law below: calls as in France, texts as in Connecticut and Oregon.
const STRICTEST_HOURS: [NoContact; 4] = [
    NoContact::calls(&[], (20, 0), (10, 0)),
    NoContact::calls(&[], (13, 0), (14, 0)),
    NoContact::calls(&WEEKEND, (0, 0), (0, 0)),
    NoContact::calls(&[], (20, 0), (9, 0)).on(&[ChannelKind::TextMessage]),
];

/// All bases but legitimate interests.
const WITHOUT_INTERESTS: [LawfulBasis; 5] = [
    LawfulBasis::Consent,
    LawfulBasis::Contract,
    LawfulBasis::LegalObligation,
    LawfulBasis::VitalInterests,
    LawfulBasis::PublicTask,
];

/// All bases but contract and legitimate interests: also what most laws say about sensitive data.
const NARROW: [LawfulBasis; 4] = [
    LawfulBasis::Consent,
    LawfulBasis::LegalObligation,
    LawfulBasis::VitalInterests,
    LawfulBasis::PublicTask,
];

const DEFAULT: BuiltIn = BuiltIn {
    id: DEFAULT_ID,
    display_name: "Elsewhere or unknown",
    law: "None in particular: the strictest rules.",
    regions: &[],
    consent_model: ConsentModel::OptIn,
    honours_gpc: true,
    lawful_bases: &WITHOUT_INTERESTS,
    sensitive_bases: &[LawfulBasis::Consent],
    sensitive_consent: SensitiveConsent::Signed,
    sensitive_needs_ground: false,
    opt_in_below_age: 0,
    sale_forbidden_below_age: 18,
    guardian_below_age: 20,
    regional_ages: &[],
    no_contact_hours: &STRICTEST_HOURS,
    consent_channels: &EVERY_LETTER,
    soft_opt_in_channels: &[],
};

/// What most laws with opt-in have in common.
const OPT_IN: BuiltIn = BuiltIn {
    lawful_bases: &LawfulBasis::ALL,
    honours_gpc: false,
    sale_forbidden_below_age: 0,
    sensitive_bases: &NARROW,
    sensitive_consent: SensitiveConsent::Explicit,
    guardian_below_age: 18,
    no_contact_hours: &NIGHT,
    consent_channels: &ELECTRONIC,
    ..DEFAULT
};

fn listed() -> impl Iterator<Item = &'static BuiltIn> {
    europe_africa::LIST.iter().chain(&americas::LIST).chain(&asia_pacific::LIST)
}

/// Whether a jurisdiction of this release has the name.
pub(super) fn is_built_in(id: &str) -> bool {
    id == DEFAULT.id || listed().any(|built_in| built_in.id == id)
}

/// The jurisdiction that applies where no other does.
pub(super) fn default_jurisdiction() -> Jurisdiction {
    DEFAULT.jurisdiction()
}

/// Those that have regions.
pub(super) fn with_regions() -> impl Iterator<Item = Jurisdiction> {
    listed().map(BuiltIn::jurisdiction)
}

impl BuiltIn {
    fn jurisdiction(&self) -> Jurisdiction {
        let age = |guardian_below_age| {
            move |code: &&'static str| RegionalAge { region: Region::built_in(code), guardian_below_age }
        };
        Jurisdiction::of_this_release(JurisdictionFields {
            id: JurisdictionId::built_in(self.id),
            display_name: self.display_name.to_owned(),
            law: format!("{} {NOTE}", self.law),
            regions: self.regions.iter().map(|code| Region::built_in(code)).collect(),
            consent_model: self.consent_model,
            honours_gpc: self.honours_gpc,
            lawful_bases: self.lawful_bases.to_vec(),
            sensitive_bases: self.sensitive_bases.to_vec(),
            sensitive_consent: self.sensitive_consent,
            sensitive_needs_ground: self.sensitive_needs_ground,
            // The stricter reading: the newest signal counts.
            gpc_yields_to_consent: false,
            opt_in_below_age: self.opt_in_below_age,
            sale_forbidden_below_age: self.sale_forbidden_below_age,
            guardian_below_age: self.guardian_below_age,
            regional_ages: self
                .regional_ages
                .iter()
                .flat_map(|(years, codes)| codes.iter().map(age(*years)))
                .collect(),
            no_contact_hours: self.no_contact_hours.iter().map(NoContact::hours).collect(),
            consent_channels: self.consent_channels.to_vec(),
            soft_opt_in_channels: self.soft_opt_in_channels.to_vec(),
            revision: Revision::NONE,
            built_in: true,
        })
    }
}

impl NoContact {
    /// No calls, from one hour and minute until another.
    const fn calls(days: &'static [DayOfWeek], begins: (u16, u16), ends: (u16, u16)) -> Self {
        let (begins, ends) = (LocalTime::built_in(begins.0, begins.1), LocalTime::built_in(ends.0, ends.1));
        Self { days, begins, ends, regions: &[], kinds: &[] }
    }

    const fn within(self, regions: &'static [&'static str]) -> Self {
        Self { regions, ..self }
    }

    const fn on(self, kinds: &'static [ChannelKind]) -> Self {
        Self { kinds, ..self }
    }

    fn hours(&self) -> NoContactHours {
        let days = self.days.iter().copied().collect();
        NoContactHours {
            hours: QuietHours { days, begins: self.begins, ends: self.ends, channel: None },
            regions: self.regions.iter().map(|code| Region::built_in(code)).collect(),
            kinds: self.kinds.to_vec(),
        }
    }
}
