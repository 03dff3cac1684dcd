//! Owns a jurisdiction: the rules of one law for the customers of some regions (CO-9). Always: the bases for
//! sensitive data are among those of the law; `default` has no regions, because it applies where no other does.

use std::ops::Deref;

use super::{built_in, channel::ChannelKind, check_distinct, check_list};
use crate::{
    error::ProfileError,
    ground::LawfulBasis,
    id::{JurisdictionId, Region, Revision},
    label::check_text,
    limits::{DISPLAY_NAME_BYTES_MAX, JURISDICTION_REGIONS_MAX, LAW_BYTES_MAX, NO_CONTACT_HOURS_MAX},
    numbered::numbered,
    preferences::QuietHours,
};

numbered! {
    /// What silence means if a purpose allows consent. Numbers are those of the API.
    #[derive(PartialOrd, Ord)]
    pub enum ConsentModel ("consent_model", expected "a consent model") {
        /// Unknown means no.
        OptIn = 1,
        /// Permitted until refused.
        OptOut = 2,
    }
}

numbered! {
    /// What consent to the use of sensitive data must be; each includes the ones before. Numbers are those of the API.
    #[derive(PartialOrd, Ord)]
    pub enum SensitiveConsent ("sensitive_consent", expected "the form of consent to sensitive data") {
        /// As for other data: in opt-out law, not refused.
        NotRefused = 1,
        /// An act of the customer, whatever the law says about other data.
        OptIn = 2,
        /// In express words, GDPR Art. 9(2)(a).
        Explicit = 3,
        /// Signed, by hand or electronically, 152-FZ Art. 9(4).
        Signed = 4,
    }
}

/// The age of one region, in place of the jurisdiction's own, e.g. of a member state by GDPR Art. 8(1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionalAge {
    /// Where; one of the jurisdiction's regions, or a part of one.
    pub region: Region,
    /// In years: below it, a guardian consents; 0: no such age.
    pub guardian_below_age: u8,
}

/// Local time, each week, in which a law allows no contact on some kinds of channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoContactHours {
    /// When. It names no channel: it holds on every channel of the kinds.
    pub hours: QuietHours,
    /// Where: some of the jurisdiction's regions, or parts of them, in place of the hours of the others; none: everywhere
    /// else in the jurisdiction.
    pub regions: Vec<Region>,
    /// On which kinds of channels; none: calls and automated calls.
    pub kinds: Vec<ChannelKind>,
}

impl NoContactHours {
    /// Whether the hours hold on channels of a kind.
    #[must_use]
    pub fn concerns(&self, kind: ChannelKind) -> bool {
        let kinds: &[ChannelKind] = if self.kinds.is_empty() {
            &[ChannelKind::AutomatedCall, ChannelKind::Call]
        } else {
            &self.kinds
        };
        kinds.contains(&kind)
    }
}

/// A jurisdiction's fields before they are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JurisdictionFields {
    /// The name that callers and purposes use.
    pub id: JurisdictionId,
    /// The name for people.
    pub display_name: String,
    /// The citation of the law.
    pub law: String,
    /// Where it applies; the more specific region wins.
    pub regions: Vec<Region>,
    /// What silence means.
    pub consent_model: ConsentModel,
    /// Whether `Sec-GPC: 1` opts out of sale and sharing.
    pub honours_gpc: bool,
    /// The bases that this law knows.
    pub lawful_bases: Vec<LawfulBasis>,
    /// Those that allow sensitive data.
    pub sensitive_bases: Vec<LawfulBasis>,
    /// What consent to the use of sensitive data must be.
    pub sensitive_consent: SensitiveConsent,
    /// Other bases than consent carry sensitive data only on a ground of GDPR Art. 9(2) that the purpose names.
    pub sensitive_needs_ground: bool,
    /// A browser's signal that is repeated after a consent to sale does not beat that consent, 11 CCR §7025(c)(3).
    pub gpc_yields_to_consent: bool,
    /// In years: below it, opt-out is not enough; 0: no such age.
    pub opt_in_below_age: u8,
    /// In years: below it, nothing is sold or shared, with consent or without; 0: no such age.
    pub sale_forbidden_below_age: u8,
    /// In years: below it, a guardian consents; 0: no such age.
    pub guardian_below_age: u8,
    /// Regions with another age; each once.
    pub regional_ages: Vec<RegionalAge>,
    /// Local time in which nobody is contacted on some kinds of channels.
    pub no_contact_hours: Vec<NoContactHours>,
    /// The kinds of channels on which direct marketing needs consent.
    pub consent_channels: Vec<ChannelKind>,
    /// Those of them on which a soft opt-in is enough; none without legitimate interests, as which it is recorded.
    pub soft_opt_in_channels: Vec<ChannelKind>,
    /// The entry's revision: its etag; [`Revision::NONE`] for a built-in one that was never changed.
    pub revision: Revision,
    /// Whether a built-in jurisdiction has this name. The constructor sets it.
    pub built_in: bool,
}

/// A jurisdiction. Dereferences to its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jurisdiction(JurisdictionFields);

impl Jurisdiction {
    /// Checks the fields.
    ///
    /// # Errors
    /// Names the field and the limit.
    pub fn new(mut fields: JurisdictionFields) -> Result<Self, ProfileError> {
        check_text("jurisdiction.display_name", &fields.display_name, DISPLAY_NAME_BYTES_MAX)?;
        check_text("jurisdiction.law", &fields.law, LAW_BYTES_MAX)?;
        check_list("jurisdiction.regions", &fields.regions, JURISDICTION_REGIONS_MAX)?;
        if fields.id.as_str() == built_in::DEFAULT_ID && !fields.regions.is_empty() {
            return Err(ProfileError::Malformed {
                field: "jurisdiction.regions",
                expected: "none: this one applies where no other does",
            });
        }
        if fields.lawful_bases.is_empty() {
            return Err(ProfileError::Empty { field: "jurisdiction.lawful_bases" });
        }
        check_distinct("jurisdiction.lawful_bases", &fields.lawful_bases)?;
        check_distinct("jurisdiction.sensitive_bases", &fields.sensitive_bases)?;
        if !fields.sensitive_bases.iter().all(|basis| fields.lawful_bases.contains(basis)) {
            return Err(ProfileError::Malformed {
                field: "jurisdiction.sensitive_bases",
                expected: "some of lawful_bases",
            });
        }
        check_regional_ages(&fields)?;
        check_no_contact_hours(&fields)?;
        check_marketing(&fields)?;
        fields.built_in = built_in::is_built_in(fields.id.as_str());
        Ok(Self(fields))
    }

    /// A jurisdiction of this release; a test checks it.
    pub(super) const fn of_this_release(fields: JurisdictionFields) -> Self {
        Self(fields)
    }

    /// Whether it stands for the law of a region whose law is not known.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0.id.as_str() == built_in::DEFAULT_ID
    }

    /// Whether the law knows the basis.
    #[must_use]
    pub fn knows(&self, basis: LawfulBasis) -> bool {
        self.0.lawful_bases.contains(&basis)
    }

    /// Whether direct marketing on a kind of channel needs consent.
    #[must_use]
    pub fn needs_consent(&self, kind: ChannelKind) -> bool {
        self.0.consent_channels.contains(&kind)
    }

    /// In years: the age below which a guardian consents in a region; 0: no such age. The more specific region wins.
    #[must_use]
    pub fn guardian_below_age_in(&self, region: Option<&Region>) -> u8 {
        let of = |code: &str| self.regional_ages.iter().find(|age| age.region.as_str() == code);
        let found = region.and_then(|region| of(region.as_str()).or_else(|| of(region.country())));
        found.map_or(self.guardian_below_age, |age| age.guardian_below_age)
    }

    /// The hours in which nobody is contacted in a region on channels of a kind. Those of the more specific region win: if
    /// any name the region, the others do not hold there.
    #[must_use]
    pub fn no_contact_hours_in(&self, region: Option<&Region>, kind: ChannelKind) -> Vec<&QuietHours> {
        let all: Vec<_> = self.no_contact_hours.iter().filter(|of| of.concerns(kind)).collect();
        let naming = |code: &str| -> Vec<&QuietHours> {
            let named = all.iter().filter(|of| of.regions.iter().any(|region| region.as_str() == code));
            named.map(|of| &of.hours).collect()
        };
        let places = region.map(|region| [region.as_str(), region.country()]);
        let own = places.into_iter().flatten().map(naming).find(|hours| !hours.is_empty());
        let elsewhere = || all.iter().filter(|of| of.regions.is_empty()).map(|of| &of.hours).collect();
        own.unwrap_or_else(elsewhere)
    }
}

impl Deref for Jurisdiction {
    type Target = JurisdictionFields;

    fn deref(&self) -> &JurisdictionFields {
        &self.0
    }
}

fn check_regional_ages(fields: &JurisdictionFields) -> Result<(), ProfileError> {
    let regions: Vec<_> = fields.regional_ages.iter().map(|age| &age.region).collect();
    check_regions_within("jurisdiction.regional_ages", &regions, fields)
}

/// Whether regions with rules of their own are the jurisdiction's, or parts of them, each once.
fn check_regions_within(
    field: &'static str,
    regions: &[&Region],
    fields: &JurisdictionFields,
) -> Result<(), ProfileError> {
    check_list(field, regions, JURISDICTION_REGIONS_MAX)?;
    let is_here =
        |of: &&Region| fields.regions.iter().any(|code| code == *of || code.as_str() == of.country());
    if !regions.iter().all(is_here) {
        return Err(ProfileError::Malformed { field, expected: "some of the regions, or parts of them" });
    }
    Ok(())
}

fn check_no_contact_hours(fields: &JurisdictionFields) -> Result<(), ProfileError> {
    let field = "jurisdiction.no_contact_hours";
    let all = &fields.no_contact_hours;
    if all.len() > NO_CONTACT_HOURS_MAX {
        return Err(ProfileError::TooMany { field, count_max: NO_CONTACT_HOURS_MAX });
    }
    if all.iter().any(|of| of.hours.channel.is_some()) {
        return Err(ProfileError::Malformed { field, expected: "no channel: kinds say on which channels" });
    }
    for of in all {
        check_distinct(field, &of.kinds)?;
        check_regions_within(field, &of.regions.iter().collect::<Vec<_>>(), fields)?;
    }
    Ok(())
}

fn check_marketing(fields: &JurisdictionFields) -> Result<(), ProfileError> {
    check_distinct("jurisdiction.consent_channels", &fields.consent_channels)?;
    check_distinct("jurisdiction.soft_opt_in_channels", &fields.soft_opt_in_channels)?;
    if !fields.soft_opt_in_channels.iter().all(|kind| fields.consent_channels.contains(kind)) {
        return Err(ProfileError::Malformed {
            field: "jurisdiction.soft_opt_in_channels",
            expected: "some of consent_channels",
        });
    }
    if !fields.soft_opt_in_channels.is_empty()
        && !fields.lawful_bases.contains(&LawfulBasis::LegitimateInterests)
    {
        return Err(ProfileError::Malformed {
            field: "jurisdiction.soft_opt_in_channels",
            expected: "none: without legitimate interests there is no soft opt-in",
        });
    }
    Ok(())
}
