//! Owns the bytes of a purpose.

use prost::Message;

use super::{
    super::{Intact, byte},
    read_bases, write_bases,
};
use crate::{
    catalogue::{BalancingTest, GoogleConsentType, JurisdictionBases, Notice, Purpose, PurposeFields},
    error::ProfileError,
    id::{CategoryId, JurisdictionId, PurposeId, PurposeNumber, RecipientId, Revision, TimestampMs},
    label::Label,
    value::Date,
};

const KIND: &str = "purpose";

#[derive(Clone, PartialEq, Message)]
struct WireNotice {
    #[prost(string, tag = "1")]
    version: String,
    #[prost(bytes = "vec", tag = "2")]
    text_sha256: Vec<u8>,
    #[prost(string, tag = "3")]
    language: String,
    #[prost(bool, tag = "4")]
    asks_again: bool,
    #[prost(sint64, optional, tag = "5")]
    valid_from: Option<i64>,
}

impl WireNotice {
    fn from_notice(notice: &Notice) -> Self {
        Self {
            version: notice.version.as_str().to_owned(),
            text_sha256: notice.text_sha256.map_or_else(Vec::new, |hash| hash.to_vec()),
            language: notice.language.clone(),
            asks_again: notice.asks_again,
            valid_from: notice.valid_from.map(TimestampMs::as_ms),
        }
    }

    fn into_notice(self) -> Result<Notice, ProfileError> {
        let text_sha256 = if self.text_sha256.is_empty() {
            None
        } else {
            Some(<[u8; 32]>::try_from(self.text_sha256).ok().intact(KIND, "notice hash")?)
        };
        Ok(Notice {
            version: Label::new("version", &self.version).intact(KIND, "notice version")?,
            text_sha256,
            language: self.language,
            asks_again: self.asks_again,
            valid_from: self.valid_from.map(TimestampMs::from_ms),
        })
    }
}

#[derive(Clone, PartialEq, Message)]
struct WireJurisdictionBases {
    #[prost(string, tag = "1")]
    jurisdiction: String,
    #[prost(uint32, repeated, tag = "2")]
    lawful_bases: Vec<u32>,
}

impl WireJurisdictionBases {
    fn from_bases(bases: &JurisdictionBases) -> Self {
        Self {
            jurisdiction: bases.jurisdiction.as_str().to_owned(),
            lawful_bases: write_bases(&bases.lawful_bases),
        }
    }

    fn into_bases(self) -> Result<JurisdictionBases, ProfileError> {
        Ok(JurisdictionBases {
            jurisdiction: JurisdictionId::new(&self.jurisdiction).intact(KIND, "jurisdiction")?,
            lawful_bases: read_bases(&self.lawful_bases, KIND)?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
struct WireBalancingTest {
    #[prost(string, tag = "1")]
    interest: String,
    #[prost(string, tag = "2")]
    necessity: String,
    #[prost(string, tag = "3")]
    balance: String,
    #[prost(string, tag = "4")]
    reviewer: String,
    #[prost(sint32, tag = "5")]
    reviewed_on_days: i32,
    #[prost(string, tag = "6")]
    objection_route: String,
}

impl WireBalancingTest {
    fn from_test(test: &BalancingTest) -> Self {
        Self {
            interest: test.interest.clone(),
            necessity: test.necessity.clone(),
            balance: test.balance.clone(),
            reviewer: test.reviewer.clone(),
            reviewed_on_days: test.reviewed_on.as_days(),
            objection_route: test.objection_route.clone(),
        }
    }

    fn into_test(self) -> Result<BalancingTest, ProfileError> {
        Ok(BalancingTest {
            interest: self.interest,
            necessity: self.necessity,
            balance: self.balance,
            reviewer: self.reviewer,
            reviewed_on: Date::from_days(self.reviewed_on_days).intact(KIND, "date of the balancing test")?,
            objection_route: self.objection_route,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WirePurpose {
    #[prost(uint32, tag = "1")]
    number: u32,
    #[prost(string, tag = "2")]
    id: String,
    #[prost(string, tag = "3")]
    display_name: String,
    #[prost(string, tag = "4")]
    description: String,
    #[prost(string, tag = "5")]
    dpv: String,
    #[prost(uint32, repeated, tag = "6")]
    lawful_bases: Vec<u32>,
    #[prost(message, repeated, tag = "7")]
    notices: Vec<WireNotice>,
    #[prost(uint32, repeated, tag = "8")]
    standing_bases: Vec<u32>,
    #[prost(bool, tag = "9")]
    deprecated: bool,
    #[prost(uint64, tag = "10")]
    revision: u64,
    #[prost(message, repeated, tag = "11")]
    jurisdiction_bases: Vec<WireJurisdictionBases>,
    #[prost(string, repeated, tag = "12")]
    data_categories: Vec<String>,
    #[prost(string, repeated, tag = "13")]
    recipients: Vec<String>,
    #[prost(uint32, tag = "14")]
    retention_days: u32,
    #[prost(string, tag = "15")]
    owner: String,
    #[prost(string, tag = "16")]
    law: String,
    #[prost(message, optional, tag = "17")]
    balancing_test: Option<WireBalancingTest>,
    #[prost(bool, tag = "18")]
    sale_or_sharing: bool,
    #[prost(uint32, repeated, tag = "19")]
    google_consent_types: Vec<u32>,
}

impl WirePurpose {
    pub(super) fn from_purpose(purpose: &Purpose) -> Self {
        let google_types = purpose.google_consent_types.iter();
        Self {
            number: purpose.number.as_u32(),
            id: purpose.id.as_str().to_owned(),
            display_name: purpose.display_name.clone(),
            description: purpose.description.clone(),
            dpv: purpose.dpv.clone(),
            lawful_bases: write_bases(&purpose.lawful_bases),
            notices: purpose.notices.iter().map(WireNotice::from_notice).collect(),
            standing_bases: write_bases(&purpose.standing_bases),
            deprecated: purpose.deprecated,
            revision: purpose.revision.as_u64(),
            jurisdiction_bases: purpose
                .jurisdiction_bases
                .iter()
                .map(WireJurisdictionBases::from_bases)
                .collect(),
            data_categories: purpose.data_categories.iter().map(|id| id.as_str().to_owned()).collect(),
            recipients: purpose.recipients.iter().map(|id| id.as_str().to_owned()).collect(),
            retention_days: purpose.retention_days,
            owner: purpose.owner.clone(),
            law: purpose.law.clone(),
            balancing_test: purpose.balancing_test.as_ref().map(WireBalancingTest::from_test),
            sale_or_sharing: purpose.sale_or_sharing,
            google_consent_types: google_types.map(|kind| kind.number().into()).collect(),
        }
    }

    pub(super) fn into_purpose(self) -> Result<Purpose, ProfileError> {
        let notices = self.notices.into_iter().map(WireNotice::into_notice);
        let jurisdiction_bases = self.jurisdiction_bases.into_iter().map(WireJurisdictionBases::into_bases);
        let categories = self.data_categories.iter().map(|id| CategoryId::new(id).intact(KIND, "category"));
        let recipients = self.recipients.iter().map(|id| RecipientId::new(id).intact(KIND, "recipient"));
        let google_types = self.google_consent_types.iter();
        let google_types = google_types
            .map(|number| GoogleConsentType::from_number(byte(*number)).intact(KIND, "Google consent type"));
        let fields = PurposeFields {
            number: PurposeNumber::new(self.number).intact(KIND, "number")?,
            id: PurposeId::new(&self.id).intact(KIND, "id")?,
            display_name: self.display_name,
            description: self.description,
            dpv: self.dpv,
            lawful_bases: read_bases(&self.lawful_bases, KIND)?,
            jurisdiction_bases: jurisdiction_bases.collect::<Result<_, _>>()?,
            notices: notices.collect::<Result<_, _>>()?,
            standing_bases: read_bases(&self.standing_bases, KIND)?,
            data_categories: categories.collect::<Result<_, _>>()?,
            recipients: recipients.collect::<Result<_, _>>()?,
            retention_days: self.retention_days,
            owner: self.owner,
            law: self.law,
            balancing_test: self.balancing_test.map(WireBalancingTest::into_test).transpose()?,
            sale_or_sharing: self.sale_or_sharing,
            google_consent_types: google_types.collect::<Result<_, _>>()?,
            deprecated: self.deprecated,
            revision: Revision::from_u64(self.revision),
        };
        Purpose::new(fields).intact(KIND, "combination of fields")
    }
}

stored!(Purpose as WirePurpose: from_purpose, into_purpose);
