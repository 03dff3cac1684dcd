//! Owns the bytes of a jurisdiction. Whether it is built-in is not stored: its name says so.

use prost::Message;

use super::{
    super::{Intact, byte},
    read_bases, write_bases,
};
use crate::{
    catalogue::{ConsentModel, Jurisdiction, JurisdictionFields},
    error::ProfileError,
    id::{JurisdictionId, Region, Revision},
};

const KIND: &str = "jurisdiction";

#[derive(Clone, PartialEq, Message)]
pub(super) struct WireJurisdiction {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    display_name: String,
    #[prost(string, tag = "3")]
    law: String,
    #[prost(string, repeated, tag = "4")]
    regions: Vec<String>,
    #[prost(uint32, tag = "5")]
    consent_model: u32,
    #[prost(bool, tag = "6")]
    honours_gpc: bool,
    #[prost(uint32, repeated, tag = "7")]
    lawful_bases: Vec<u32>,
    #[prost(uint32, repeated, tag = "8")]
    sensitive_bases: Vec<u32>,
    #[prost(bool, tag = "9")]
    sensitive_needs_explicit: bool,
    #[prost(uint32, tag = "10")]
    opt_in_below_age: u32,
    #[prost(uint32, tag = "11")]
    guardian_below_age: u32,
    #[prost(uint64, tag = "12")]
    revision: u64,
}

impl WireJurisdiction {
    pub(super) fn from_jurisdiction(jurisdiction: &Jurisdiction) -> Self {
        Self {
            id: jurisdiction.id.as_str().to_owned(),
            display_name: jurisdiction.display_name.clone(),
            law: jurisdiction.law.clone(),
            regions: jurisdiction.regions.iter().map(|region| region.as_str().to_owned()).collect(),
            consent_model: jurisdiction.consent_model.number().into(),
            honours_gpc: jurisdiction.honours_gpc,
            lawful_bases: write_bases(&jurisdiction.lawful_bases),
            sensitive_bases: write_bases(&jurisdiction.sensitive_bases),
            sensitive_needs_explicit: jurisdiction.sensitive_needs_explicit,
            opt_in_below_age: jurisdiction.opt_in_below_age.into(),
            guardian_below_age: jurisdiction.guardian_below_age.into(),
            revision: jurisdiction.revision.as_u64(),
        }
    }

    pub(super) fn into_jurisdiction(self) -> Result<Jurisdiction, ProfileError> {
        let regions = self.regions.iter().map(|code| Region::new(code).intact(KIND, "region"));
        let age = |years: u32| u8::try_from(years).ok().intact(KIND, "age");
        let fields = JurisdictionFields {
            id: JurisdictionId::new(&self.id).intact(KIND, "id")?,
            display_name: self.display_name,
            law: self.law,
            regions: regions.collect::<Result<_, _>>()?,
            consent_model: ConsentModel::from_number(byte(self.consent_model))
                .intact(KIND, "consent model")?,
            honours_gpc: self.honours_gpc,
            lawful_bases: read_bases(&self.lawful_bases, KIND)?,
            sensitive_bases: read_bases(&self.sensitive_bases, KIND)?,
            sensitive_needs_explicit: self.sensitive_needs_explicit,
            opt_in_below_age: age(self.opt_in_below_age)?,
            guardian_below_age: age(self.guardian_below_age)?,
            revision: Revision::from_u64(self.revision),
            built_in: false,
        };
        Jurisdiction::new(fields).intact(KIND, "combination of fields")
    }
}

stored!(Jurisdiction as WireJurisdiction: from_jurisdiction, into_jurisdiction);
