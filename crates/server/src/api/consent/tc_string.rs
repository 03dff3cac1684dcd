//! RecordTcString and GetTcString on the leader.
//!
//! A string of 4,096 bytes can name 65,535 vendors three times over. So what is remembered of a request is the string, and
//! what it says is decoded again for each answer.

use custodia_profile::{CustomerRecord, Label, StoredTcString, record_tc_string};
use custodia_proto::v1;
use tokio::time::Instant;

use super::{
    consent_convert,
    consents::record_for,
    error::ServiceError,
    forward::{Call, Target},
    parse,
    profiles::remembered,
    record::CustomerLocation,
    context::ShardContext,
    time::{parse_optional, timestamp},
    write::{Change, Commit, State, WriteOptions},
};
use crate::identity::Caller;

impl Call for v1::RecordTcStringRequest {
    type Answer = v1::TcString;
    const METHOD: &'static str = "/custodia.v1.ConsentService/RecordTcString";

    fn prepare(&mut self, context: &ShardContext, _caller: &Caller) -> Result<Target, ServiceError> {
        context.target_of(parse::customer_id(&self.customer_id)?)
    }

    async fn execute(
        mut self,
        context: &ShardContext,
        _caller: &Caller,
        target: Target,
        deadline: Instant,
    ) -> Result<Self::Answer, ServiceError> {
        if self.tc_string.is_empty() {
            return Err(ServiceError::missing("tc_string"));
        }
        let remembered = remembered(Self::METHOD, parse::request_id(&self.request_id)?, &mut self);
        let (shard, customer) = target.place()?;
        let options = WriteOptions { remembered, etag: None, commit: Commit::Yes };
        let evaluate = |state: &State| {
            let new = CustomerRecord::new(state.now);
            let record = state.record().unwrap_or(&new);
            let changed = record_tc_string(record, &customer, &self.tc_string, state.now)?;
            let stored = changed.record.tc_string.as_ref();
            let answer = v1::TcString {
                customer_id: customer.to_string(),
                tc_string: self.tc_string.clone(),
                recorded_at: stored.map(|stored| timestamp(stored.recorded_at)),
                ..Default::default()
            };
            let record = changed.ledger.is_some().then_some(changed.record);
            let ledger = changed.ledger.into_iter().collect();
            Ok(Change { record, ledger, events: Vec::new(), answer })
        };
        let recorded = Box::pin(context.change(CustomerLocation { shard, customer }, options, deadline, evaluate)).await?;
        let recorded_at = parse_optional(recorded.recorded_at.as_ref(), "recorded_at")?;
        let stored = StoredTcString {
            text: Label::new("tc_string", &recorded.tc_string)?,
            recorded_at: recorded_at.ok_or(ServiceError::Unreadable)?,
        };
        consent_convert::tc_string(customer, &stored)
    }
}

impl Call for v1::GetTcStringRequest {
    type Answer = v1::TcString;
    const METHOD: &'static str = "/custodia.v1.ConsentService/GetTcString";

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
        let stored = core.value.tc_string.as_ref().ok_or(ServiceError::TcStringNotFound)?;
        consent_convert::tc_string(location.customer, stored)
    }
}
