//! RecordTcString and GetTcString: the consent string of the IAB's Transparency and Consent Framework.
//!
//! Invariant: the request memory keeps only the string, and each answer decodes it again, since a short string can name
//! 65,535 vendors three times.

use custodia_profile::{Label, StoredTcString, limits::TC_VENDORS_MAX, record_tc_string};
use custodia_proto::v1;

use super::iab;
use crate::{
    catalogue::CatalogueView,
    routing::CustomerLocation,
    shard::{
        CustomerRead, CustomerState, CustomerWrite, Mutation, Origin, ProfileView, ReadAccess, WriteAccess,
    },
    wire::{ServiceError, now, parse::within_limit, parse_optional, timestamp},
};

impl CustomerWrite for v1::RecordTcStringRequest {
    type Input = String;

    fn parse(&self, _origin: Origin<'_>, _view: &CatalogueView) -> Result<Self::Input, ServiceError> {
        if self.tc_string.is_empty() {
            return Err(ServiceError::missing("tc_string"));
        }
        StoredTcString::new(&self.tc_string, now())?;
        Ok(self.tc_string.clone())
    }

    fn access(_input: &Self::Input) -> WriteAccess {
        WriteAccess::CollectAny
    }

    fn echo(&self, location: CustomerLocation, _answer: v1::TcString) -> v1::TcString {
        let customer_id = location.customer.to_string();
        v1::TcString { customer_id, tc_string: self.tc_string.clone(), ..Default::default() }
    }

    fn evaluate(text: &String, state: &CustomerState<'_>) -> Result<Mutation<Self::Answer>, ServiceError> {
        let changed = record_tc_string(&state.record_or_new(), text, state.precondition, state.change())?;
        let stored = changed.record.tc_string.as_ref();
        let answer = v1::TcString {
            customer_id: state.location.customer.to_string(),
            tc_string: text.clone(),
            recorded_at: stored.map(|stored| timestamp(stored.recorded_at)),
            ..Default::default()
        };
        let record = changed.ledger.is_some().then_some(changed.record);
        let ledger = changed.ledger.into_iter().collect();
        Ok(Mutation::new(record, ledger, answer))
    }

    fn present(location: CustomerLocation, remembered: v1::TcString) -> Result<v1::TcString, ServiceError> {
        let recorded_at = parse_optional(remembered.recorded_at.as_ref(), "recorded_at")?;
        let stored = StoredTcString {
            text: Label::new("tc_string", &remembered.tc_string)?,
            recorded_at: recorded_at.ok_or(ServiceError::Unreadable)?,
        };
        iab::tc_string(location.customer, &stored, &[])
    }
}

impl CustomerRead for v1::GetTcStringRequest {
    /// The vendors asked about.
    type Query = Vec<u16>;
    const ACCESS: ReadAccess = ReadAccess::Permitted;

    fn parse(&self, _view: &CatalogueView) -> Result<Vec<u16>, ServiceError> {
        within_limit("vendors", self.vendors.len(), TC_VENDORS_MAX)?;
        let vendor = |(at, vendor): (usize, &u32)| {
            let known = u16::try_from(*vendor).ok().filter(|vendor| *vendor > 0);
            known.ok_or_else(|| ServiceError::invalid(&format!("vendors[{at}]"), "expected 1 to 65535"))
        };
        self.vendors.iter().enumerate().map(vendor).collect()
    }

    async fn answer(vendors: Vec<u16>, profile: ProfileView<'_>) -> Result<v1::TcString, ServiceError> {
        let stored = profile.record().tc_string.as_ref().ok_or(ServiceError::TcStringNotFound)?;
        iab::tc_string(profile.location.customer, stored, &vendors)
    }
}
