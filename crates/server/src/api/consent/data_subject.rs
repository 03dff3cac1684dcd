//! GetDataSubject and UpdateDataSubject on the leader.
//!
//! Must always hold: restriction and legal hold are changed by the privacy office alone; every change is an entry of the
//! ledger in the same command.

use custodia_profile::{CustomerRecord, update_subject};
use custodia_proto::v1;
use tokio::time::Instant;

use super::{
    consent_convert,
    consent_parse::{data_subject, of_subject, subject_change},
    consents::record_for,
    convert::RecordVersion,
    error::ServiceError,
    forward::{Call, Target},
    opaque::parse_etag,
    parse,
    profiles::remembered,
    record::CustomerLocation,
    context::ShardContext,
    write::{Change, Commit, State, WriteOptions},
};
use crate::identity::Caller;

impl Call for v1::GetDataSubjectRequest {
    type Answer = v1::DataSubject;
    const METHOD: &'static str = "/custodia.v1.ConsentService/GetDataSubject";

    fn prepare(&mut self, context: &ShardContext, _caller: &Caller) -> Result<Target, ServiceError> {
        context.target_of(parse::customer_id(&self.customer_id)?)
    }

    async fn execute(
        self,
        context: &ShardContext,
        caller: &Caller,
        target: Target,
        deadline: Instant,
    ) -> Result<Self::Answer, ServiceError> {
        let (location, core) = record_for(context, caller, &self.purpose, target, deadline).await?;
        let at = RecordVersion { customer: location.customer, revision: core.revision() };
        Ok(consent_convert::data_subject(at, &core.value.subject))
    }
}

impl Call for v1::UpdateDataSubjectRequest {
    type Answer = v1::DataSubject;
    const METHOD: &'static str = "/custodia.v1.ConsentService/UpdateDataSubject";

    fn prepare(&mut self, context: &ShardContext, _caller: &Caller) -> Result<Target, ServiceError> {
        let customer = parse::customer_id(&data_subject(self)?.customer_id);
        context.target_of(customer.map_err(of_subject)?)
    }

    async fn execute(
        mut self,
        context: &ShardContext,
        caller: &Caller,
        target: Target,
        deadline: Instant,
    ) -> Result<Self::Answer, ServiceError> {
        let change = subject_change(&self, caller.roles)?;
        let mask = self.update_mask.clone().unwrap_or_default();
        let etag = parse_etag(&data_subject(&self)?.etag).map_err(of_subject)?;
        let remembered = remembered(Self::METHOD, parse::request_id(&self.request_id)?, &mut self);
        let (shard, customer) = target.place()?;
        let options = WriteOptions { remembered, etag, commit: Commit::Yes };
        let evaluate = |state: &State| {
            let new = CustomerRecord::new(state.now);
            let record = state.record().unwrap_or(&new);
            let changed = update_subject(record, &customer, change.clone(), state.now)
                .map_err(|error| of_subject(error.into()))?;
            let applied = changed.ledger.is_some();
            let at = RecordVersion { customer, revision: state.revision_after(applied) };
            let answer = only(&mask, consent_convert::data_subject(at, &changed.record.subject));
            let ledger = changed.ledger.into_iter().collect();
            Ok(Change { record: applied.then_some(changed.record), ledger, events: Vec::new(), answer })
        };
        Box::pin(context.change(CustomerLocation { shard, customer }, options, deadline, evaluate)).await
    }
}

/// What was changed, and nothing that the caller did not know: a write is no way to read.
fn only(mask: &prost_types::FieldMask, subject: v1::DataSubject) -> v1::DataSubject {
    let names = |field: &str| mask.paths.iter().any(|path| path == field);
    v1::DataSubject {
        regions: if names("regions") { subject.regions } else { Vec::new() },
        birth_date: if names("birth_date") { subject.birth_date } else { String::new() },
        restriction: subject.restriction.filter(|_| names("restriction")),
        legal_hold: subject.legal_hold.filter(|_| names("legal_hold")),
        sale_opted_out_at: None,
        ..subject
    }
}
