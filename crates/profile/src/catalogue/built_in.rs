//! Owns the jurisdictions that every catalogue has from the start. Always: `default` is the strictest.
//!
//! They are a starting point for the operator's counsel, not advice; an update of one replaces it. Each law is
//! expressed in the six bases of GDPR Art. 6(1), which purposes use:
//!
//! - `eu`: Regulation (EU) 2016/679 (GDPR), in the EEA by Joint Committee Decision 154/2018. The bases are those of
//!   Art. 6(1). Sensitive data: explicit consent, Art. 9(2)(a); vital interests, (c), a legal obligation and a public task on a
//!   ground of Art. 9(2) that the purpose names. A guardian consents below 16, Art. 8(1); a member state may lower that to 13: if it
//!   did, its region moves to a jurisdiction of its own. Territories with a country code of their own (`RE`, `AX`)
//!   are not listed, so that `default` applies there.
//! - `us-ca`: Cal. Civ. Code §1798.100 ff. (CCPA). No list of bases; sale and sharing go on until the consumer opts
//!   out, §1798.120(a), and so does the use of sensitive data, §1798.121(a). Below 16 only by opt-in, below 13 by that
//!   of a parent or guardian, §1798.120(c), (d). Opt-out preference signals: §1798.135(e), Cal. Code Regs. tit. 11
//!   §7025.
//! - `br`: Lei 13.709/2018 (LGPD). The bases are those of Art. 7: consent, I; legal obligation, II; public
//!   administration, III; contract, V; life and safety, VII; legitimate interests, IX. Sensitive data, Art. 11:
//!   specific and highlighted consent, I; legal obligation, II(a); public administration, II(b); life and safety,
//!   II(e). A parent or guardian consents for children, Art. 14 §1: below 12, Lei 8.069/1990 Art. 2.
//! - `ru`: Federal Law 152-FZ of 27 July 2006. The bases are those of Art. 6(1): consent, 1; law, 2; public
//!   authorities, 4; contract, 5; life and health, 6; legitimate interests, 7. Special categories, Art. 10(2): consent
//!   in writing, 1; life and health, 3; labour, social and other laws, 2.3, 7 and 8. The legal representative
//!   consents for those who cannot, Art. 9(6): below 14, Civil Code Art. 28.
//! - `default`: if no region is known, or none fits. As strict as the strictest of the above, sensitive data by
//!   explicit consent only, and a guardian consents for every child, UN Convention on the Rights of the Child Art. 1:
//!   below 18.
//!
//! A replay of the past starts from these too. So a later release must not change them: a change of a law is an
//! update of the catalogue, with its moment.

use super::jurisdiction::{ConsentModel, Jurisdiction, JurisdictionFields};
use crate::{
    ground::LawfulBasis,
    id::{JurisdictionId, Region, Revision},
};

/// The name of the jurisdiction that applies where no other does.
pub(super) const DEFAULT_ID: &str = "default";

/// Those whose law has the grounds of GDPR Art. 9(2), of which none is a legal obligation as such.
const LIKE_ARTICLE_9: [&str; 1] = ["eu"];

struct BuiltIn {
    id: &'static str,
    display_name: &'static str,
    law: &'static str,
    regions: &'static [&'static str],
    consent_model: ConsentModel,
    honours_gpc: bool,
    sensitive_bases: &'static [LawfulBasis],
    sensitive_needs_explicit: bool,
    opt_in_below_age: u8,
    guardian_below_age: u8,
}

/// The exceptions for sensitive data in `eu`, `br` and `ru`.
const SENSITIVE: [LawfulBasis; 4] = [
    LawfulBasis::Consent,
    LawfulBasis::LegalObligation,
    LawfulBasis::VitalInterests,
    LawfulBasis::PublicTask,
];

const DEFAULT: BuiltIn = BuiltIn {
    id: DEFAULT_ID,
    display_name: "Elsewhere or unknown",
    law: "None in particular: the strictest rules",
    regions: &[],
    consent_model: ConsentModel::OptIn,
    honours_gpc: true,
    sensitive_bases: &[LawfulBasis::Consent],
    sensitive_needs_explicit: true,
    opt_in_below_age: 0,
    guardian_below_age: 18,
};

const WITH_REGIONS: [BuiltIn; 4] = [
    BuiltIn {
        id: "eu",
        display_name: "European Economic Area",
        law: "Regulation (EU) 2016/679 (GDPR), Arts. 6, 7, 8 and 9",
        regions: &[
            "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS",
            "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
        ],
        consent_model: ConsentModel::OptIn,
        honours_gpc: false,
        sensitive_bases: &SENSITIVE,
        sensitive_needs_explicit: true,
        opt_in_below_age: 0,
        guardian_below_age: 16,
    },
    BuiltIn {
        id: "us-ca",
        display_name: "California",
        law: "Cal. Civ. Code §§1798.100-1798.199.100 (CCPA), §1798.120 and §1798.121",
        regions: &["US-CA"],
        consent_model: ConsentModel::OptOut,
        honours_gpc: true,
        sensitive_bases: &LawfulBasis::ALL,
        sensitive_needs_explicit: false,
        opt_in_below_age: 16,
        guardian_below_age: 13,
    },
    BuiltIn {
        id: "br",
        display_name: "Brazil",
        law: "Lei 13.709/2018 (LGPD), Arts. 7, 11 and 14",
        regions: &["BR"],
        consent_model: ConsentModel::OptIn,
        honours_gpc: false,
        sensitive_bases: &SENSITIVE,
        sensitive_needs_explicit: true,
        opt_in_below_age: 0,
        guardian_below_age: 12,
    },
    BuiltIn {
        id: "ru",
        display_name: "Russia",
        law: "Federal Law 152-FZ of 27 July 2006, Arts. 6, 9 and 10",
        regions: &["RU"],
        consent_model: ConsentModel::OptIn,
        honours_gpc: false,
        sensitive_bases: &SENSITIVE,
        sensitive_needs_explicit: true,
        opt_in_below_age: 0,
        guardian_below_age: 14,
    },
];

/// Whether a jurisdiction of this release has the name.
pub(super) fn is_built_in(id: &str) -> bool {
    id == DEFAULT.id || WITH_REGIONS.iter().any(|built_in| built_in.id == id)
}

/// The jurisdiction that applies where no other does.
pub(super) fn default_jurisdiction() -> Jurisdiction {
    DEFAULT.jurisdiction()
}

/// Those that have regions.
pub(super) fn with_regions() -> impl Iterator<Item = Jurisdiction> {
    WITH_REGIONS.iter().map(BuiltIn::jurisdiction)
}

impl BuiltIn {
    fn jurisdiction(&self) -> Jurisdiction {
        Jurisdiction::of_this_release(JurisdictionFields {
            id: JurisdictionId::built_in(self.id),
            display_name: self.display_name.to_owned(),
            law: self.law.to_owned(),
            regions: self.regions.iter().map(|code| Region::built_in(code)).collect(),
            consent_model: self.consent_model,
            honours_gpc: self.honours_gpc,
            lawful_bases: LawfulBasis::ALL.to_vec(),
            sensitive_bases: self.sensitive_bases.to_vec(),
            sensitive_needs_explicit: self.sensitive_needs_explicit,
            sensitive_needs_ground: LIKE_ARTICLE_9.contains(&self.id),
            // The stricter reading: the newest signal counts.
            gpc_yields_to_consent: false,
            opt_in_below_age: self.opt_in_below_age,
            guardian_below_age: self.guardian_below_age,
            revision: Revision::NONE,
            built_in: true,
        })
    }
}
