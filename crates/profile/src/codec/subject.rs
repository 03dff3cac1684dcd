//! Owns the bytes of what is known about a data subject: a message embedded in ledger entries, and in the core record
//! if anything is known.

use std::collections::BTreeSet;

use prost::Message;

use super::Intact;
use crate::{
    data_subject::{DataSubject, LegalHold, Restriction},
    error::ProfileError,
    id::{Region, TimestampMs},
    label::{Label, Reference},
    value::Date,
};

#[derive(Clone, PartialEq, Message)]
struct WireCause {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(sint64, tag = "2")]
    since: i64,
}

impl WireCause {
    fn from_cause(text: &Reference, since: TimestampMs) -> Self {
        Self { text: text.as_str().to_owned(), since: since.as_ms() }
    }

    fn into_cause(
        self,
        kind: &'static str,
        field: &'static str,
    ) -> Result<(Reference, TimestampMs), ProfileError> {
        Ok((Label::new(field, &self.text).intact(kind, field)?, TimestampMs::from_ms(self.since)))
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct WireSubject {
    #[prost(string, repeated, tag = "1")]
    regions: Vec<String>,
    #[prost(bool, tag = "2")]
    region_unknown: bool,
    /// Days since 1970-01-01.
    #[prost(sint32, optional, tag = "3")]
    birth_date: Option<i32>,
    #[prost(message, optional, tag = "4")]
    restriction: Option<WireCause>,
    #[prost(message, optional, tag = "5")]
    legal_hold: Option<WireCause>,
    #[prost(sint64, optional, tag = "6")]
    updated_at: Option<i64>,
    #[prost(sint64, optional, tag = "7")]
    sale_opt_out: Option<i64>,
}

impl WireSubject {
    /// None if nothing is known.
    pub(super) fn from_subject(subject: &DataSubject) -> Option<Self> {
        (!subject.is_empty()).then(|| Self::from_whole_subject(subject))
    }

    pub(super) fn from_whole_subject(subject: &DataSubject) -> Self {
        let DataSubject {
            regions,
            region_unknown,
            birth_date,
            restriction,
            legal_hold,
            sale_opt_out,
            updated_at,
        } = subject;
        Self {
            regions: regions.iter().map(|region| region.as_str().to_owned()).collect(),
            region_unknown: *region_unknown,
            birth_date: birth_date.map(Date::as_days),
            restriction: restriction.as_ref().map(|of| WireCause::from_cause(&of.reason, of.since)),
            legal_hold: legal_hold.as_ref().map(|of| WireCause::from_cause(&of.reference, of.since)),
            updated_at: updated_at.map(TimestampMs::as_ms),
            sale_opt_out: sale_opt_out.map(TimestampMs::as_ms),
        }
    }

    pub(super) fn into_subject(self, kind: &'static str) -> Result<DataSubject, ProfileError> {
        let regions = self.regions.iter().map(|region| Region::new(region).intact(kind, "region"));
        let regions: BTreeSet<Region> = regions.collect::<Result<_, _>>()?;
        let birth_date = self.birth_date.map(|days| Date::from_days(days).intact(kind, "birth date"));
        let restriction = self.restriction.map(|cause| cause.into_cause(kind, "restriction")).transpose()?;
        let legal_hold = self.legal_hold.map(|cause| cause.into_cause(kind, "legal hold")).transpose()?;
        Ok(DataSubject {
            regions,
            region_unknown: self.region_unknown,
            birth_date: birth_date.transpose()?,
            restriction: restriction.map(|(reason, since)| Restriction { reason, since }),
            legal_hold: legal_hold.map(|(reference, since)| LegalHold { reference, since }),
            sale_opt_out: self.sale_opt_out.map(TimestampMs::from_ms),
            updated_at: self.updated_at.map(TimestampMs::from_ms),
        })
    }
}
