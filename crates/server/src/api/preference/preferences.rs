//! GetPreferences and UpdatePreferences.
//!
//! Invariant: preferences are personal data like any other. An address is collected only for a purpose that the law
//! permits the controller at that time, and given only if the law permits the caller the purpose it states.

use custodia_profile::{
    ChannelPreference, CustomerRecord, Permission, Preferences, PurposeNumber, Reader, Revision, Verdict,
};
use custodia_proto::v1;

use super::parse::{self as preferences_parse, Addresses};
use crate::{
    catalogue::CatalogueView,
    shard::{CustomerRead, CustomerState, CustomerWrite, Mutation, Origin, ProfileView, ReadAccess},
    wire::{ServiceError, convert::RecordVersion, parse, parse_etag},
};

impl CustomerRead for v1::GetPreferencesRequest {
    type Query = ();
    const ACCESS: ReadAccess = ReadAccess::Admitted;

    fn parse(&self, _view: &CatalogueView) -> Result<(), ServiceError> {
        Ok(())
    }

    fn knows((): &(), record: &CustomerRecord, view: &CatalogueView) -> bool {
        knows_caps(view, &record.preferences)
    }

    async fn answer((): (), profile: ProfileView<'_>) -> Result<v1::Preferences, ServiceError> {
        let addresses = match profile.permission.verdict() {
            Verdict::Permit { .. } => Addresses::Given,
            Verdict::Refuse(_) => Addresses::LeftOut,
        };
        let (preferences, catalogue) = (&profile.record().preferences, &profile.view.catalogue);
        Ok(preferences_parse::wire(profile.version(), preferences, addresses, catalogue))
    }
}

/// The parsed request.
#[derive(Debug)]
pub(crate) struct Update {
    purpose: PurposeNumber,
    preferences: Preferences,
    etag: Option<Revision>,
}

impl CustomerWrite for v1::UpdatePreferencesRequest {
    type Input = Update;

    fn parse(&self, _origin: Origin<'_>, view: &CatalogueView) -> Result<Update, ServiceError> {
        let below = |error: ServiceError| error.within("preferences");
        let purpose = parse::purpose(&self.purpose, "purpose")?;
        let wire = self.preferences.as_ref().ok_or_else(|| ServiceError::missing("preferences"))?;
        Ok(Update {
            etag: parse_etag(&wire.etag).map_err(below)?,
            purpose: view.purpose_number(&purpose, "purpose")?,
            preferences: preferences_parse::preferences(wire, view).map_err(below)?,
        })
    }

    fn etag(update: &Update) -> Option<Revision> {
        update.etag
    }

    fn evaluate(update: &Update, state: &CustomerState<'_>) -> Result<Mutation<Self::Answer>, ServiceError> {
        let (record, catalogue) = (state.existing()?, &state.view.catalogue);
        let purpose = catalogue.purpose(update.purpose);
        let purpose =
            purpose.ok_or(ServiceError::Internal { context: "a parsed purpose is not in the catalogue" })?;
        // Collected by the controller, whichever caller sends it.
        let permission = Permission::for_purpose(purpose, Reader::Controller, record, catalogue, state.now);
        // A wish can always be recorded; an address is personal data and needs a ground.
        if let Verdict::Refuse(reason) = permission.verdict()
            && brings_address(&update.preferences, &record.preferences)
        {
            return Err(ServiceError::PurposeRefused { reason, purpose: purpose.id.clone() });
        }
        let changed = record.preferences != update.preferences;
        let at = RecordVersion { customer: state.location.customer, revision: state.revision_after(changed) };
        let answer = preferences_parse::wire(at, &update.preferences, Addresses::Given, catalogue);
        let record = changed.then(|| CustomerRecord {
            preferences: update.preferences.clone(),
            updated_at: record.updated_at.max(state.now),
            ..record.clone()
        });
        Ok(Mutation { record, ledger: Vec::new(), events: Vec::new(), answer })
    }
}

/// Whether the catalogue has the purposes of the stored frequency caps.
fn knows_caps(view: &CatalogueView, preferences: &Preferences) -> bool {
    let mut named = preferences.frequency_caps.iter().filter_map(|cap| cap.purpose);
    named.all(|purpose| view.catalogue.purpose(purpose).is_some())
}

/// Whether some address is not yet stored for its channel.
fn brings_address(new: &Preferences, stored: &Preferences) -> bool {
    let known = |one: &ChannelPreference| {
        stored.channels.iter().any(|other| other.channel == one.channel && other.address == one.address)
    };
    new.channels.iter().any(|one| one.address.is_some() && !known(one))
}
