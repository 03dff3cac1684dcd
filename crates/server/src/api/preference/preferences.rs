//! GetPreferences and UpdatePreferences.
//!
//! Invariant: preferences are personal data like any other. An address is collected only for a purpose that the law
//! permits the controller at that time, and given only if the law permits the caller the purpose it states.

use std::borrow::Cow;

use custodia_profile::{
    ChannelPreference, CustomerRecord, Permission, Preferences, PurposeNumber, Reader, Revision, Verdict,
    update_preferences,
};
use custodia_proto::v1;

use super::parse::{self as preferences_parse, Addresses, PreferenceChanges};
use crate::{
    catalogue::CatalogueView,
    routing::CustomerLocation,
    shard::{
        CustomerRead, CustomerState, CustomerWrite, Mutation, Origin, ProfileView, ReadAccess, Sight,
        WriteAccess,
    },
    wire::{ServiceError, convert::RecordVersion, parse, parse_etag},
};

impl CustomerRead for v1::GetPreferencesRequest {
    type Query = ();
    const ACCESS: ReadAccess = ReadAccess::Admitted;

    fn parse(&self, _view: &CatalogueView) -> Result<(), ServiceError> {
        Ok(())
    }

    fn knows((): &(), record: &CustomerRecord, view: &CatalogueView) -> bool {
        knows_purposes(view, &record.preferences)
    }

    async fn answer((): (), profile: ProfileView<'_>) -> Result<v1::Preferences, ServiceError> {
        Ok(preferences_for(&profile))
    }
}

/// The preferences as the caller may see them.
pub(in crate::api) fn preferences_for(profile: &ProfileView<'_>) -> v1::Preferences {
    let addresses = match profile.permission.verdict() {
        Verdict::Permit { .. } => Addresses::Given,
        Verdict::Refuse(_) => Addresses::LeftOut,
    };
    let (preferences, catalogue) = (&profile.record().preferences, &profile.view.catalogue);
    preferences_parse::wire(profile.version(), preferences, addresses, catalogue)
}

/// The parsed request.
#[derive(Debug)]
pub(crate) struct Update {
    purpose: PurposeNumber,
    changes: PreferenceChanges,
    etag: Option<Revision>,
}

impl CustomerWrite for v1::UpdatePreferencesRequest {
    type Input = Update;
    const ETAG_FIELD: &'static str = "preferences.etag";

    fn parse(&self, _origin: Origin<'_>, view: &CatalogueView) -> Result<Update, ServiceError> {
        let purpose = parse::purpose(&self.purpose, "purpose")?;
        let wire = self.preferences.as_ref().ok_or_else(|| ServiceError::missing("preferences"))?;
        Ok(Update {
            etag: parse_etag(&wire.etag).map_err(|error| error.within("preferences"))?,
            purpose: view.purpose_number(&purpose, "purpose")?,
            changes: PreferenceChanges::parse(wire, self.update_mask.as_ref(), view)?,
        })
    }

    fn access(update: &Update) -> WriteAccess {
        WriteAccess::Collect(vec![update.purpose])
    }

    fn echo(&self, location: CustomerLocation, _answer: v1::Preferences) -> v1::Preferences {
        let sent = self.preferences.clone().unwrap_or_default();
        v1::Preferences { customer_id: location.customer.to_string(), etag: String::new(), ..sent }
    }

    fn etag(update: &Update) -> Option<Revision> {
        update.etag
    }

    fn evaluate(update: &Update, state: &CustomerState<'_>) -> Result<Mutation<Self::Answer>, ServiceError> {
        let catalogue = &state.view.catalogue;
        // The law comes first for a caller who may not read: it must not learn whether the customer exists.
        let record = match state.sight {
            Sight::Full => Cow::Borrowed(state.existing()?),
            Sight::Echo => state.record_or_new(),
        };
        let purpose = catalogue.purpose(update.purpose);
        let purpose =
            purpose.ok_or(ServiceError::Internal { context: "a parsed purpose is not in the catalogue" })?;
        // Collected by the controller, whichever caller sends it.
        let permission = Permission::for_purpose(purpose, Reader::Controller, &record, catalogue, state.now);
        // A wish can always be recorded; an address is personal data and needs a ground.
        if let Verdict::Refuse(reason) = permission.verdict()
            && brings_address(update.changes.channels(), &record.preferences, state.sight)
        {
            return Err(ServiceError::PurposeRefused { reason, purpose: purpose.id.clone() });
        }
        let stored = state.existing()?;
        let preferences = update.changes.apply(&stored.preferences)?;
        let after = update_preferences(stored, &preferences, state.precondition, state.change())
            .map_err(|error| ServiceError::from(error).within("preferences"))?;
        let revision = state.revision_after(after.is_some());
        let at = RecordVersion { customer: state.location.customer, revision };
        // The addresses that the caller has sent, or may see.
        let addresses = match (permission.verdict(), update.changes.channels()) {
            (Verdict::Refuse(_), None) => Addresses::LeftOut,
            (Verdict::Permit { .. }, _) | (Verdict::Refuse(_), Some(_)) => Addresses::Given,
        };
        let answer = preferences_parse::wire(at, &preferences, addresses, catalogue);
        Ok(Mutation::new(after, Vec::new(), answer))
    }
}

/// Whether the catalogue has the purposes that the stored preferences name.
pub(in crate::api) fn knows_purposes(view: &CatalogueView, preferences: &Preferences) -> bool {
    let of_caps = preferences.frequency_caps.iter().filter_map(|cap| cap.purpose);
    let of_channels =
        preferences.channels.iter().flat_map(|channel| channel.unwanted_purposes.iter().copied());
    of_caps.chain(of_channels).all(|purpose| view.catalogue.purpose(purpose).is_some())
}

/// Whether some address is not yet stored for its channel. To a caller who may not read every address is new: whether one is
/// stored already would tell it what is.
fn brings_address(new: Option<&[ChannelPreference]>, stored: &Preferences, sight: Sight) -> bool {
    let known = |one: &ChannelPreference| {
        sight == Sight::Full
            && stored
                .channels
                .iter()
                .any(|other| other.channel == one.channel && other.address == one.address)
    };
    new.unwrap_or_default().iter().any(|one| one.address.is_some() && !known(one))
}
