//! Owns a jurisdiction: the rules of one law for the customers of some regions (CO-9). Always: the bases for
//! sensitive data are among those of the law; `default` has no regions, because it applies where no other does.

use std::ops::Deref;

use super::{built_in, check_distinct, check_list};
use crate::{
    error::ProfileError,
    ground::LawfulBasis,
    id::{JurisdictionId, Region, Revision},
    label::check_text,
    limits::{DISPLAY_NAME_BYTES_MAX, JURISDICTION_REGIONS_MAX, LAW_BYTES_MAX},
    numbered::numbered,
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
    /// Consent to the use of sensitive data must be explicit.
    pub sensitive_needs_explicit: bool,
    /// Other bases than consent carry sensitive data only on a ground of GDPR Art. 9(2) that the purpose names.
    pub sensitive_needs_ground: bool,
    /// A browser's signal that is repeated after a consent to sale does not beat that consent, 11 CCR §7025(c)(3).
    pub gpc_yields_to_consent: bool,
    /// In years: below it, opt-out is not enough; 0: no such age.
    pub opt_in_below_age: u8,
    /// In years: below it, a guardian consents; 0: no such age.
    pub guardian_below_age: u8,
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
        fields.built_in = built_in::is_built_in(fields.id.as_str());
        Ok(Self(fields))
    }

    /// A jurisdiction of this release; a test checks it.
    pub(super) const fn of_this_release(fields: JurisdictionFields) -> Self {
        Self(fields)
    }

    /// Whether the law knows the basis.
    #[must_use]
    pub fn knows(&self, basis: LawfulBasis) -> bool {
        self.0.lawful_bases.contains(&basis)
    }
}

impl Deref for Jurisdiction {
    type Target = JurisdictionFields;

    fn deref(&self) -> &JurisdictionFields {
        &self.0
    }
}
