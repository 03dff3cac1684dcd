//! GetPreferences and UpdatePreferences on the leader.
//!
//! Must always hold: preferences are personal data like any other. They are collected for a purpose that the law permits
//! the controller at that moment, or not at all; and an address is given only where the law permits the caller the
//! purpose for which it asks.

use custodia_profile::{
    ChannelPreference, CustomerRecord, Permission, Preferences, Purpose, PurposeId, Reader, RefusalReason,
    Verdict,
};
use custodia_proto::v1;
use tokio::time::Instant;

use super::{
    catalogue_view::CatalogueView,
    convert::RecordVersion,
    error::ServiceError,
    forward::{Call, Target},
    opaque::parse_etag,
    parse,
    preferences_parse::{self, Addresses},
    profiles::remembered,
    record::CustomerLocation,
    context::ShardContext,
    time::now,
    write::{Change, Commit, State, WriteOptions},
};
use crate::identity::Caller;

impl Call for v1::GetPreferencesRequest {
    type Answer = v1::Preferences;
    const METHOD: &'static str = "/custodia.v1.PreferenceService/GetPreferences";

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
        let purpose = parse::purpose(&self.purpose, "purpose")?;
        let (shard, customer) = target.place()?;
        context.view_as(caller, &purpose, deadline).await?;
        context.read_barrier(target.group, deadline).await?;
        let core = context.core(CustomerLocation { shard, customer })?.ok_or(ServiceError::CustomerNotFound)?;
        let view = context.view_with(deadline, |view| knows_caps(view, &core.value.preferences)).await?;
        let purpose = view.purpose(&purpose, "purpose")?;
        let reader = context.reader_for(caller, &view, purpose)?;
        let permission =
            Permission::for_purpose(purpose, reader, &core.value, &view.catalogue, now()).verdict();
        let addresses = match permission {
            Verdict::Permit { .. } => Addresses::Given,
            Verdict::Refuse(_) => Addresses::LeftOut,
        };
        let at = RecordVersion { customer, revision: core.revision() };
        Ok(preferences_parse::wire(at, &core.value.preferences, addresses, &view.catalogue))
    }
}

impl Call for v1::UpdatePreferencesRequest {
    type Answer = v1::Preferences;
    const METHOD: &'static str = "/custodia.v1.PreferenceService/UpdatePreferences";

    fn prepare(&mut self, context: &ShardContext, _caller: &Caller) -> Result<Target, ServiceError> {
        let preferences = self.preferences.as_ref().ok_or_else(|| ServiceError::missing("preferences"))?;
        let customer = parse::customer_id(&preferences.customer_id);
        context.target_of(customer.map_err(|error| error.within("preferences"))?)
    }

    async fn execute(
        mut self,
        context: &ShardContext,
        _caller: &Caller,
        target: Target,
        deadline: Instant,
    ) -> Result<Self::Answer, ServiceError> {
        let below = |error: ServiceError| error.within("preferences");
        let purpose = parse::purpose(&self.purpose, "purpose")?;
        let request_id = parse::request_id(&self.request_id)?;
        let remembered = remembered(Self::METHOD, request_id, &mut self);
        let wire = self.preferences.ok_or_else(|| ServiceError::missing("preferences"))?;
        let etag = parse_etag(&wire.etag).map_err(below)?;
        let caps = preferences_parse::cap_purposes(&wire).map_err(below)?;
        let view = context.view_with(deadline, |view| knows(view, &purpose, &caps)).await?;
        let purpose = view.purpose(&purpose, "purpose")?;
        let new = preferences_parse::preferences(&wire, &view).map_err(below)?;
        let (shard, customer) = target.place()?;
        let options = WriteOptions { remembered, etag, commit: Commit::Yes };
        let evaluate = |state: &State| replaced(state, purpose, &new, &view);
        Box::pin(context.change(CustomerLocation { shard, customer }, options, deadline, evaluate)).await
    }
}

/// Does the catalogue have the purpose of the call, and those that the caps name?
fn knows(view: &CatalogueView, purpose: &PurposeId, caps: &[Option<PurposeId>]) -> bool {
    let mut named = std::iter::once(purpose).chain(caps.iter().flatten());
    named.all(|purpose| view.catalogue.purpose_by_id(purpose.as_str()).is_some())
}

/// Does the catalogue have the purposes of stored caps?
fn knows_caps(view: &CatalogueView, preferences: &Preferences) -> bool {
    let mut named = preferences.frequency_caps.iter().filter_map(|cap| cap.purpose);
    named.all(|purpose| view.catalogue.purpose(purpose).is_some())
}

fn replaced(
    state: &State,
    purpose: &Purpose,
    preferences: &Preferences,
    view: &CatalogueView,
) -> Result<Change<v1::Preferences>, ServiceError> {
    let record = state.record().ok_or(ServiceError::CustomerNotFound)?;
    // What is collected is the controller's own collection, whoever brings it.
    let permission =
        Permission::for_purpose(purpose, Reader::Controller, record, &view.catalogue, state.now).verdict();
    // A wish can always be recorded; an address is data, and needs a ground.
    if let Verdict::Refuse(reason) = permission
        && brings_address(preferences, &record.preferences)
    {
        return Err(refused(purpose, reason));
    }
    let changed = record.preferences != *preferences;
    let revision = if changed { state.next_revision() } else { state.revision() };
    let at = RecordVersion { customer: state.location.customer, revision };
    let answer = preferences_parse::wire(at, preferences, Addresses::Given, &view.catalogue);
    let record = changed.then(|| CustomerRecord {
        preferences: preferences.clone(),
        updated_at: record.updated_at.max(state.now),
        ..record.clone()
    });
    Ok(Change { record, ledger: Vec::new(), events: Vec::new(), answer })
}

/// Whether some address is not stored already for its channel.
fn brings_address(new: &Preferences, stored: &Preferences) -> bool {
    let known = |one: &ChannelPreference| {
        stored.channels.iter().any(|other| other.channel == one.channel && other.address == one.address)
    };
    new.channels.iter().any(|one| one.address.is_some() && !known(one))
}

fn refused(purpose: &Purpose, reason: RefusalReason) -> ServiceError {
    ServiceError::PurposeRefused { reason, purpose: purpose.id.clone() }
}
