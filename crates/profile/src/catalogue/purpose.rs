//! Owns a purpose: why data may be used, and what allows it. Always: at least one lawful basis; notices are only ever
//! added; a basis that needs a reason (a law, a balancing test) has it.

use std::ops::Deref;

use super::{
    BalancingTest, GoogleConsentType, Notice, SpecialCategoryGround, SpecialUse, check_distinct, check_list,
    notice,
};
use crate::{
    error::ProfileError,
    ground::LawfulBasis,
    id::{CategoryId, JurisdictionId, PurposeId, PurposeNumber, RecipientId, Revision, TimestampMs},
    label::{NoticeId, check_text},
    limits::{
        DATA_CATEGORIES_MAX, DESCRIPTION_BYTES_MAX, DISPLAY_NAME_BYTES_MAX, DPV_BYTES_MAX,
        JURISDICTION_BASES_MAX, LAW_BYTES_MAX, OWNER_BYTES_MAX, PURPOSE_RECIPIENTS_MAX,
    },
};

/// The lawful bases of a purpose in one jurisdiction, in place of the purpose's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JurisdictionBases {
    /// Where.
    pub jurisdiction: JurisdictionId,
    /// In the order in which they are tried; none: the purpose is not allowed there.
    pub lawful_bases: Vec<LawfulBasis>,
}

/// A purpose's fields before they are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurposeFields {
    /// The number on disk.
    pub number: PurposeNumber,
    /// The name that callers use.
    pub id: PurposeId,
    /// The name for people.
    pub display_name: String,
    /// What the customer is told.
    pub description: String,
    /// W3C DPV identifier; may be empty.
    pub dpv: String,
    /// The allowed bases, in the order in which they are tried.
    pub lawful_bases: Vec<LawfulBasis>,
    /// Jurisdictions with other bases.
    pub jurisdiction_bases: Vec<JurisdictionBases>,
    /// The notices, in the order of validity.
    pub notices: Vec<Notice>,
    /// Allowed bases that need no record per customer.
    pub standing_bases: Vec<LawfulBasis>,
    /// The categories of data that it may use; empty: those of its attributes.
    pub data_categories: Vec<CategoryId>,
    /// The recipients to which its data may go; empty: all that are registered for it.
    pub recipients: Vec<RecipientId>,
    /// How long data collected for it may be used, in days after the observation; 0: no limit.
    pub retention_days: u32,
    /// Who is responsible for it; may be empty.
    pub owner: String,
    /// The law it rests on. Required if a legal obligation or a public task is allowed, GDPR Art. 6(3).
    pub law: String,
    /// Required if legitimate interests are allowed.
    pub balancing_test: Option<BalancingTest>,
    /// Sells or shares personal data, Cal. Civ. Code §1798.120.
    pub sale_or_sharing: bool,
    /// The types of Google's consent mode to which this purpose is mapped.
    pub google_consent_types: Vec<GoogleConsentType>,
    /// Those of them that need no consent, e.g. storage for security (ePrivacy Directive Art. 5(3)).
    pub google_types_without_consent: Vec<GoogleConsentType>,
    /// Direct marketing: an objection is absolute, GDPR Art. 21(2) and (3).
    pub direct_marketing: bool,
    /// A use that the law protects from what limits all others.
    pub special_use: Option<SpecialUse>,
    /// The grounds of GDPR Art. 9(2), besides explicit consent, on which it uses sensitive data.
    pub special_category_grounds: Vec<SpecialCategoryGround>,
    /// No longer in use.
    pub deprecated: bool,
    /// The entry's revision: its etag.
    pub revision: Revision,
}

impl PurposeFields {
    /// Whether any jurisdiction allows the basis.
    #[must_use]
    pub fn has_basis(&self, basis: LawfulBasis) -> bool {
        let elsewhere = self.jurisdiction_bases.iter().map(|bases| &bases.lawful_bases);
        std::iter::once(&self.lawful_bases).chain(elsewhere).any(|bases| bases.contains(&basis))
    }

    /// Whether any no to the purpose beats every basis: sale and sharing (Cal. Civ. Code §1798.120(a)), and direct
    /// marketing (GDPR Art. 21(2) and (3)).
    pub(crate) const fn no_is_absolute(&self) -> bool {
        self.sale_or_sharing || self.direct_marketing
    }
}

/// A purpose. Dereferences to its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purpose(PurposeFields);

impl Purpose {
    /// Checks the fields.
    ///
    /// # Errors
    /// Names the field and the limit.
    pub fn new(fields: PurposeFields) -> Result<Self, ProfileError> {
        check_texts_and_lists(&fields)?;
        let needs_law = [LawfulBasis::LegalObligation, LawfulBasis::PublicTask];
        if fields.law.trim().is_empty() && needs_law.into_iter().any(|basis| fields.has_basis(basis)) {
            return Err(ProfileError::Empty { field: "purpose.law" });
        }
        if fields.balancing_test.is_none() && fields.has_basis(LawfulBasis::LegitimateInterests) {
            return Err(ProfileError::Empty { field: "purpose.balancing_test" });
        }
        Ok(Self(fields))
    }

    /// The bases that are allowed in a jurisdiction, in the order in which they are tried.
    #[must_use]
    pub fn bases_in(&self, jurisdiction: &JurisdictionId) -> &[LawfulBasis] {
        let own = self.jurisdiction_bases.iter().find(|bases| bases.jurisdiction == *jurisdiction);
        own.map_or(&self.lawful_bases, |bases| &bases.lawful_bases)
    }

    /// Whether consent to a version of the notice is enough at a moment: the purpose has it, and no newer one asks
    /// again. A newer one that asks again counts from the moment at which it becomes valid.
    #[must_use]
    pub fn accepts_notice(&self, version: &NoticeId, now: TimestampMs) -> bool {
        let known = self.notices.iter().position(|notice| notice.version == *version);
        let asked_last = self.notices.iter().rposition(|notice| notice.has_asked_again(now));
        known.is_some_and(|known| asked_last.is_none_or(|asked| known >= asked))
    }

    /// The first moment after `now` at which a newer notice asks again, so that consent to this version is no longer
    /// enough; none if no such moment is set.
    #[must_use]
    pub fn notice_ends_at(&self, version: &NoticeId, now: TimestampMs) -> Option<TimestampMs> {
        let newer = self.notices.iter().skip_while(|notice| notice.version != *version).skip(1);
        newer
            .filter(|notice| notice.asks_again)
            .filter_map(|notice| notice.valid_from)
            .find(|from| *from > now)
    }

    /// Whether the purpose has the notice, new or old.
    #[must_use]
    pub fn has_notice(&self, version: &NoticeId) -> bool {
        self.notices.iter().any(|notice| notice.version == *version)
    }

    /// A published notice must not change: consents refer to it.
    pub(super) fn check_replacement(&self, new: &Self) -> Result<(), ProfileError> {
        if self.id != new.id {
            return Err(ProfileError::Immutable { field: "purpose.id" });
        }
        if !new.notices.starts_with(&self.notices) {
            return Err(ProfileError::Immutable { field: "purpose.notices" });
        }
        Ok(())
    }
}

impl Deref for Purpose {
    type Target = PurposeFields;

    fn deref(&self) -> &PurposeFields {
        &self.0
    }
}

fn check_texts_and_lists(fields: &PurposeFields) -> Result<(), ProfileError> {
    check_text("purpose.display_name", &fields.display_name, DISPLAY_NAME_BYTES_MAX)?;
    check_text("purpose.description", &fields.description, DESCRIPTION_BYTES_MAX)?;
    check_text("purpose.dpv", &fields.dpv, DPV_BYTES_MAX)?;
    check_text("purpose.owner", &fields.owner, OWNER_BYTES_MAX)?;
    check_text("purpose.law", &fields.law, LAW_BYTES_MAX)?;
    check_bases(fields)?;
    check_list("purpose.data_categories", &fields.data_categories, DATA_CATEGORIES_MAX)?;
    check_list("purpose.recipients", &fields.recipients, PURPOSE_RECIPIENTS_MAX)?;
    check_distinct("purpose.google_consent_types", &fields.google_consent_types)?;
    check_special(fields)?;
    notice::check(&fields.notices)?;
    fields.balancing_test.as_ref().map_or(Ok(()), BalancingTest::check)
}

fn check_bases(fields: &PurposeFields) -> Result<(), ProfileError> {
    if fields.lawful_bases.is_empty() {
        return Err(ProfileError::Empty { field: "purpose.lawful_bases" });
    }
    check_distinct("purpose.lawful_bases", &fields.lawful_bases)?;
    let jurisdictions: Vec<_> = fields.jurisdiction_bases.iter().map(|bases| &bases.jurisdiction).collect();
    check_list("purpose.jurisdiction_bases", &jurisdictions, JURISDICTION_BASES_MAX)?;
    for bases in &fields.jurisdiction_bases {
        check_distinct("purpose.jurisdiction_bases.lawful_bases", &bases.lawful_bases)?;
    }
    check_distinct("purpose.standing_bases", &fields.standing_bases)?;
    let may_stand = |basis: &LawfulBasis| basis.may_stand() && fields.has_basis(*basis);
    if !fields.standing_bases.iter().all(may_stand) {
        return Err(ProfileError::Malformed {
            field: "purpose.standing_bases",
            expected: "some of the allowed bases: legal obligation, public task or legitimate interests",
        });
    }
    Ok(())
}

/// What the purpose says of itself must not contradict itself.
fn check_special(fields: &PurposeFields) -> Result<(), ProfileError> {
    check_distinct("purpose.google_types_without_consent", &fields.google_types_without_consent)?;
    let is_mapped = |kind: &GoogleConsentType| fields.google_consent_types.contains(kind);
    if !fields.google_types_without_consent.iter().all(is_mapped) {
        return Err(ProfileError::Malformed {
            field: "purpose.google_types_without_consent",
            expected: "some of google_consent_types",
        });
    }
    if fields.special_use.is_some() && fields.no_is_absolute() {
        return Err(ProfileError::Malformed {
            field: "purpose.special_use",
            expected: "none with sale_or_sharing or direct_marketing",
        });
    }
    check_distinct("purpose.special_category_grounds", &fields.special_category_grounds)
}
