//! GetDataSubject and UpdateDataSubject: region, birth date, restriction and legal hold, on which the law also depends.
//!
//! Invariant: only the privacy office changes restriction and legal hold. Every change has a ledger entry in the same
//! command.

use custodia_profile::{Revision, SubjectChange, check_subject, update_subject};
use custodia_proto::v1;

use super::{
    convert,
    parse::{data_subject, of_subject, subject_change},
};
use crate::{
    catalogue::CatalogueView,
    routing::CustomerLocation,
    shard::{
        CustomerRead, CustomerState, CustomerWrite, Mutation, Origin, ProfileView, ReadAccess, WriteAccess,
    },
    wire::{ServiceError, convert::RecordVersion, now, parse_etag},
};

impl CustomerRead for v1::GetDataSubjectRequest {
    type Query = ();
    const ACCESS: ReadAccess = ReadAccess::Permitted;

    fn parse(&self, _view: &CatalogueView) -> Result<(), ServiceError> {
        Ok(())
    }

    async fn answer((): (), profile: ProfileView<'_>) -> Result<v1::DataSubject, ServiceError> {
        Ok(convert::data_subject(profile.version(), &profile.record().subject))
    }
}

/// The parsed request.
#[derive(Debug)]
pub(crate) struct Update {
    change: SubjectChange,
    mask: prost_types::FieldMask,
    etag: Option<Revision>,
}

impl CustomerWrite for v1::UpdateDataSubjectRequest {
    type Input = Update;
    const ETAG_FIELD: &'static str = "data_subject.etag";

    fn parse(&self, origin: Origin<'_>, _view: &CatalogueView) -> Result<Update, ServiceError> {
        let change = subject_change(self, origin.caller.roles)?;
        check_subject(&change, now()).map_err(|error| of_subject(error.into()))?;
        Ok(Update {
            change,
            mask: self.update_mask.clone().unwrap_or_default(),
            etag: parse_etag(&data_subject(self)?.etag).map_err(of_subject)?,
        })
    }

    fn access(_update: &Update) -> WriteAccess {
        WriteAccess::CollectAny
    }

    fn echo(&self, location: CustomerLocation, _answer: v1::DataSubject) -> v1::DataSubject {
        let sent = self.data_subject.clone().unwrap_or_default();
        let customer_id = location.customer.to_string();
        let sent = v1::DataSubject { customer_id, updated_at: None, etag: String::new(), ..sent };
        only(&self.update_mask.clone().unwrap_or_default(), sent)
    }

    fn etag(update: &Update) -> Option<Revision> {
        update.etag
    }

    fn evaluate(update: &Update, state: &CustomerState<'_>) -> Result<Mutation<Self::Answer>, ServiceError> {
        let record = state.record_or_new();
        let changed = update_subject(&record, update.change.clone(), state.precondition, state.change())
            .map_err(|error| of_subject(error.into()))?;
        let applied = changed.ledger.is_some();
        let at = RecordVersion { customer: state.location.customer, revision: state.revision_after(applied) };
        let answer = only(&update.mask, convert::data_subject(at, &changed.record.subject));
        let ledger = changed.ledger.into_iter().collect();
        Ok(Mutation::new(applied.then_some(changed.record), ledger, answer))
    }
}

/// Only the changed fields, which the caller knows: a write must not serve as a read.
fn only(mask: &prost_types::FieldMask, subject: v1::DataSubject) -> v1::DataSubject {
    let names = |field: &str| mask.paths.iter().any(|path| path == field);
    v1::DataSubject {
        regions: if names("regions") { subject.regions } else { Vec::new() },
        birth_date: if names("birth_date") { subject.birth_date } else { String::new() },
        restriction: subject.restriction.filter(|_| names("restriction")),
        legal_hold: subject.legal_hold.filter(|_| names("legal_hold")),
        sale_opted_out_at: None,
        do_not_sell_at: None,
        sensitive_limited_at: None,
        ..subject
    }
}
