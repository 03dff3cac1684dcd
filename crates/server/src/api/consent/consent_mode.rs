//! GetConsentMode on the leader.
//!
//! Must always hold: a type is granted only if the law permits every purpose that is mapped to it, to the controller
//! itself: whoever reads the signals passes on what the controller may do. The catalogue is caught up first, so that
//! no purpose that was mapped before the call is missed.

use custodia_profile::{Catalogue, CustomerRecord, GoogleConsentType, Permission, Reader, TimestampMs};
use custodia_proto::v1;
use tokio::time::Instant;

use super::{
    consents::record_asked,
    error::ServiceError,
    forward::{Call, Target},
    parse,
    context::ShardContext,
    time::now,
};
use crate::identity::Caller;

impl Call for v1::GetConsentModeRequest {
    type Answer = v1::ConsentMode;
    const METHOD: &'static str = "/custodia.v1.ConsentService/GetConsentMode";

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
        Box::pin(context.catalogue_cache().catch_up(context, deadline)).await?;
        let (location, core) = record_asked(context, caller, &self.purpose, target, deadline).await?;
        let (catalogue, now) = (&context.view()?.catalogue, now());
        let signal = |kind| signal(kind, &core.value, catalogue, now);
        Ok(v1::ConsentMode {
            customer_id: location.customer.to_string(),
            signals: GoogleConsentType::ALL.into_iter().map(signal).collect(),
        })
    }
}

fn signal(
    kind: GoogleConsentType,
    record: &CustomerRecord,
    catalogue: &Catalogue,
    now: TimestampMs,
) -> v1::ConsentModeSignal {
    let mapped = catalogue.purposes().filter(|purpose| purpose.google_consent_types.contains(&kind));
    let verdicts = mapped.map(|purpose| {
        Permission::for_purpose(purpose, Reader::Controller, record, catalogue, now).verdict()
    });
    let mut verdicts = verdicts.peekable();
    let is_mapped = verdicts.peek().is_some();
    let refused = verdicts.find_map(|verdict| verdict.reason());
    v1::ConsentModeSignal {
        r#type: kind.number().into(),
        granted: is_mapped && refused.is_none(),
        name: kind.name().to_owned(),
        reason: refused.map_or(0, |reason| reason.number().into()),
    }
}
