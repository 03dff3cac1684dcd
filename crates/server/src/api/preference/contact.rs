//! CheckContact and RecordContact: whether a contact is allowed, and that one took place.
//!
//! Invariant: a caller learns a customer's address and language only if the contact is allowed, at that time or later,
//! and the law permits the purpose now: a ground that begins next year reveals no address today. A contact that took place
//! is recorded whatever the law says about it: it is a fact, and without it the next one would pass the customer's frequency
//! caps.
//!
//! Invariant: a contact counts once, however late its request is repeated. The contact log knows the request, and the date of
//! the contact is in the request: without one, a repetition that comes after the memory of requests has ended is refused.

use std::sync::Arc;

use custodia_profile::{
    Catalogue, ChannelDefinition, Contact, ContactChannel, ContactQuestion, CustomerRecord, MadeContact,
    ProfileError, PurposeNumber, RequestId, TimestampMs, TopicId, Verdict, check_contact,
    limits::FUTURE_MAX_MS,
};
use custodia_proto::v1;

use super::parse::contact_channel;
use crate::{
    catalogue::CatalogueView,
    routing::CustomerLocation,
    shard::{
        CustomerRead, CustomerState, CustomerWrite, Mutation, Origin, ProfileView, ReadAccess, WriteAccess,
    },
    wire::{
        ServiceError, etag, now, observed_at,
        parse::{self, named},
        parse_optional, timestamp,
    },
};

/// How far ahead a contact may be planned: one leap year.
const PLANNED_MAX_MS: i64 = 366 * 24 * 60 * 60 * 1_000;

impl CustomerRead for v1::CheckContactRequest {
    type Query = Planned;
    const ACCESS: ReadAccess = ReadAccess::Admitted;

    fn parse(&self, view: &CatalogueView) -> Result<Planned, ServiceError> {
        Planned::parse(&self.channel, &self.topic, self.at.as_ref(), view)
    }

    async fn answer(
        planned: Planned,
        profile: ProfileView<'_>,
    ) -> Result<v1::CheckContactResponse, ServiceError> {
        planned.judged(&profile)
    }
}

/// The parsed request.
#[derive(Debug)]
pub(crate) struct Planned {
    channel: ContactChannel,
    topic: Option<TopicId>,
    at: Option<TimestampMs>,
}

impl Planned {
    pub(super) fn parse(
        channel: &str,
        topic: &str,
        at: Option<&prost_types::Timestamp>,
        view: &CatalogueView,
    ) -> Result<Self, ServiceError> {
        Ok(Self {
            channel: contact_channel(channel, view)?,
            topic: (!topic.is_empty()).then(|| TopicId::new(topic).map_err(named("topic"))).transpose()?,
            at: parse_optional(at, "at")?,
        })
    }

    /// The verdict for one customer.
    pub(super) fn judged(&self, profile: &ProfileView<'_>) -> Result<v1::CheckContactResponse, ServiceError> {
        let question = ContactQuestion {
            channel: &self.channel,
            purpose: profile.purpose,
            topic: self.topic.as_ref(),
            reader: profile.reader,
        };
        let catalogue = &profile.view.catalogue;
        let law = profile.permission.verdict();
        let at = self.moment(profile.now)?;
        Ok(checked(profile.record(), &question, catalogue, at, law))
    }

    /// The time to judge. Past times are refused, except for a clock that is slightly behind, which counts as now.
    fn moment(&self, now: TimestampMs) -> Result<TimestampMs, ServiceError> {
        let Some(at) = self.at else { return Ok(now) };
        if !(now.plus_ms(-FUTURE_MAX_MS)..=now.plus_ms(PLANNED_MAX_MS)).contains(&at) {
            return Err(ServiceError::invalid("at", "expected a time from now to 366 days ahead"));
        }
        Ok(at.max(now))
    }
}

/// Whether the customer may be contacted now, on each channel of the catalogue.
pub(in crate::api) fn channel_permissions(profile: &ProfileView<'_>) -> Vec<v1::ChannelPermission> {
    let catalogue = &profile.view.catalogue;
    let permission = |channel: &Arc<ChannelDefinition>| {
        let channel = ContactChannel::new("channel", channel.id.as_str()).ok()?;
        let question = ContactQuestion {
            channel: &channel,
            purpose: profile.purpose,
            topic: None,
            reader: profile.reader,
        };
        let contact = check_contact(profile.record(), &question, catalogue, profile.now);
        let v1::CheckContactResponse { verdict, reason, explanation, allowed_from, .. } =
            answer(profile.record(), &channel, contact);
        let channel = channel.as_str().to_owned();
        Some(v1::ChannelPermission { channel, verdict, reason, explanation, allowed_from })
    };
    catalogue.channels().filter_map(permission).collect()
}

/// The verdict on a contact at a time, without address and language if `law`, the verdict on the purpose now, refuses it.
fn checked(
    record: &CustomerRecord,
    question: &ContactQuestion<'_>,
    catalogue: &Catalogue,
    at: TimestampMs,
    law: Verdict,
) -> v1::CheckContactResponse {
    let answer = answer(record, question.channel, check_contact(record, question, catalogue, at));
    match law {
        Verdict::Permit { .. } => answer,
        Verdict::Refuse(_) => {
            v1::CheckContactResponse { address: String::new(), language: String::new(), ..answer }
        }
    }
}

fn answer(record: &CustomerRecord, channel: &ContactChannel, contact: Contact) -> v1::CheckContactResponse {
    let preferences = &record.preferences;
    let address =
        || preferences.channel(channel)?.address.as_ref().map(|address| address.as_str().to_owned());
    let language = || preferences.language.as_ref().map(|language| language.as_str().to_owned());
    let reached = || v1::CheckContactResponse {
        address: address().unwrap_or_default(),
        language: language().unwrap_or_default(),
        ..v1::CheckContactResponse::default()
    };
    match contact {
        Contact::Allowed { ground } => v1::CheckContactResponse {
            verdict: v1::ContactVerdict::Allowed.into(),
            ground: ground.number().into(),
            ..reached()
        },
        Contact::NotAllowed(reason) => v1::CheckContactResponse {
            verdict: v1::ContactVerdict::NotAllowed.into(),
            reason: reason.number().into(),
            explanation: reason.explanation().to_owned(),
            ..v1::CheckContactResponse::default()
        },
        Contact::AllowedFrom { at, reason, ground } => v1::CheckContactResponse {
            verdict: v1::ContactVerdict::AllowedFrom.into(),
            reason: reason.number().into(),
            explanation: reason.explanation().to_owned(),
            allowed_from: Some(timestamp(at)),
            ground: ground.number().into(),
            ..reached()
        },
    }
}

/// The parsed request: a contact that took place.
#[derive(Debug)]
pub(crate) struct Made {
    channel: ContactChannel,
    purpose: PurposeNumber,
    contacted_at: Option<TimestampMs>,
    request: Option<RequestId>,
}

/// When the contact was made; nothing: at the arrival of a request that cannot be repeated.
///
/// # Errors
/// Names `contacted_at` if the request may be repeated and would then have another date.
fn contacted_at(
    stated: Option<TimestampMs>,
    request: Option<RequestId>,
    made_at: Option<TimestampMs>,
    now: TimestampMs,
) -> Result<Option<TimestampMs>, ServiceError> {
    let required = |why| Err(ServiceError::invalid("contacted_at", why));
    match (stated, request, made_at) {
        (Some(at), ..) if at > now.plus_ms(FUTURE_MAX_MS) => {
            Err(ProfileError::InFuture { field: "contacted_at", ahead_max_ms: FUTURE_MAX_MS }.into())
        }
        (Some(at), ..) => Ok(Some(at)),
        (None, None, _) => Ok(None),
        (None, Some(_), None) => required("is required with a request_id that is not a UUIDv7"),
        (None, Some(_), Some(made_at)) if made_at != observed_at(made_at, now) => {
            required("is required of a request that was made more than 24 hours ago")
        }
        (None, Some(_), Some(made_at)) => Ok(Some(made_at)),
    }
}

impl CustomerWrite for v1::RecordContactRequest {
    type Input = Made;

    fn parse(&self, origin: Origin<'_>, view: &CatalogueView) -> Result<Made, ServiceError> {
        let channel = contact_channel(&self.channel, view)?;
        let purpose = parse::purpose(&self.purpose, "purpose")?;
        let request = parse::request_id(&self.request_id)?;
        let stated = parse_optional(self.contacted_at.as_ref(), "contacted_at")?;
        let contacted_at = contacted_at(stated, request, origin.made_at, now())?;
        Ok(Made { channel, purpose: view.purpose_number(&purpose, "purpose")?, contacted_at, request })
    }

    fn access(made: &Made) -> WriteAccess {
        WriteAccess::Use(made.purpose)
    }

    fn echo(&self, location: CustomerLocation, _answer: Self::Answer) -> Self::Answer {
        v1::RecordContactResponse { customer_id: location.customer.to_string(), etag: String::new() }
    }

    fn evaluate(made: &Made, state: &CustomerState<'_>) -> Result<Mutation<Self::Answer>, ServiceError> {
        let stored = state.existing()?;
        let counts = !made.request.is_some_and(|id| stored.contacts.knows(&made.channel, made.purpose, id));
        let mut record = stored.clone();
        let contact = MadeContact { at: made.contacted_at.unwrap_or(state.now), request: made.request };
        record.contacts.record(&made.channel, made.purpose, contact, state.now)?;
        record.updated_at = record.updated_at.max(state.now);
        let answer = v1::RecordContactResponse {
            customer_id: state.location.customer.to_string(),
            etag: etag(state.revision_after(counts)),
        };
        let record = counts.then_some(record);
        Ok(Mutation::new(record, Vec::new(), answer))
    }
}

#[cfg(test)]
mod tests {
    use custodia_profile::{
        Address, ChannelPreference, GroundState, GroundStatus, Language, LawfulBasis, Permission,
        PreferenceFields, Preferences, Reader, RefusalReason,
    };

    use super::*;
    use crate::catalogue::test_entries::purpose;

    const NOW: TimestampMs = TimestampMs::from_ms(1_700_000_000_000);

    fn email() -> ContactChannel {
        ContactChannel::new("channel", "email").expect("a channel")
    }

    fn reachable() -> CustomerRecord {
        let preferences = Preferences::new(PreferenceFields {
            language: Language::optional("language", "de").expect("a language"),
            channels: vec![ChannelPreference {
                unwanted_purposes: Vec::new(),
                channel: email(),
                wanted: true,
                address: Address::optional("address", "ana@example.org").expect("an address"),
            }],
            ..PreferenceFields::default()
        });
        CustomerRecord { preferences: preferences.expect("valid"), ..CustomerRecord::new(NOW) }
    }

    #[test]
    fn a_contact_has_a_date_that_no_repetition_changes() {
        let (id, day) = (RequestId::new(uuid::Uuid::from_u128(7)).ok(), 24 * 3_600_000);
        let date = |stated, made_at: Option<i64>| {
            let made_at = made_at.map(|ms| NOW.plus_ms(ms));
            contacted_at(stated, id, made_at, NOW).map_err(|error| error.to_string())
        };
        let required = "contacted_at: is required with a request_id that is not a UUIDv7";
        let late = "contacted_at: is required of a request that was made more than 24 hours ago";
        assert_eq!(date(None, Some(-1)), Ok(Some(NOW.plus_ms(-1))));
        assert_eq!(date(None, Some(-day)), Ok(Some(NOW.plus_ms(-day))));
        assert_eq!(date(None, Some(-day - 1)), Err(late.to_owned()));
        assert_eq!(date(None, None), Err(required.to_owned()));
        let stated = Some(NOW.plus_ms(-9 * day));
        assert_eq!((date(stated, None), date(stated, Some(-2 * day))), (Ok(stated), Ok(stated)));
        assert!(date(Some(NOW.plus_ms(FUTURE_MAX_MS + 1)), None).is_err());
        assert_eq!(contacted_at(None, None, None, NOW).ok(), Some(None), "it cannot be repeated");
    }

    #[test]
    fn a_refused_contact_reveals_no_address_or_language() {
        let refused = answer(&reachable(), &email(), Contact::NotAllowed(RefusalReason::ConsentWithdrawn));
        assert_eq!((refused.address.as_str(), refused.language.as_str()), ("", ""));
        assert_eq!(refused.ground, 0);
        let allowed = answer(&reachable(), &email(), Contact::Allowed { ground: LawfulBasis::Consent });
        assert_eq!((allowed.address.as_str(), allowed.language.as_str()), ("ana@example.org", "de"));
        assert_eq!((allowed.reason, allowed.ground), (0, 1));
    }

    /// Regression: a check for a time after the beginning of a contract revealed the address before it.
    #[test]
    fn a_ground_that_begins_later_reveals_no_address_today() {
        let mut catalogue = Catalogue::new();
        let service = purpose(1, "service", &[LawfulBasis::Contract]);
        let begins = NOW.plus_ms(60_000);
        let contract = GroundState {
            valid_from: Some(begins),
            ..GroundState::bare(GroundStatus::Given, NOW.plus_ms(-1), NOW.plus_ms(-1))
        };
        let mut record = reachable();
        record.grounds.insert((service.number, LawfulBasis::Contract), contract);
        catalogue.put_purpose(service.clone()).expect("fits");
        let (channel, reader) = (email(), Reader::Controller);
        let question = ContactQuestion { channel: &channel, purpose: &service, topic: None, reader };
        let revealed = |at, now| {
            let law = Permission::for_purpose(&service, reader, &record, &catalogue, now).verdict();
            let revealed = checked(&record, &question, &catalogue, at, law);
            (revealed.verdict(), revealed.address, revealed.language)
        };
        let (allowed, refused) = (v1::ContactVerdict::Allowed, v1::ContactVerdict::NotAllowed);
        assert_eq!(revealed(begins, NOW), (allowed, String::new(), String::new()));
        assert_eq!(revealed(NOW, NOW), (refused, String::new(), String::new()));
        assert_eq!(revealed(begins, begins), (allowed, "ana@example.org".to_owned(), "de".to_owned()));
    }

    #[test]
    fn a_contact_allowed_later_says_from_when_and_why() {
        let at = NOW.plus_ms(5);
        let contact =
            Contact::AllowedFrom { at, reason: RefusalReason::QuietHours, ground: LawfulBasis::Contract };
        let later = answer(&reachable(), &email(), contact);
        assert_eq!(later.verdict(), v1::ContactVerdict::AllowedFrom);
        assert_eq!(later.reason(), v1::RefusalReason::QuietHours);
        assert_eq!(later.allowed_from, Some(timestamp(at)));
        assert_eq!((later.ground(), later.address.as_str()), (v1::LawfulBasis::Contract, "ana@example.org"));
    }

    #[test]
    fn a_contact_is_planned_from_now_on_and_at_most_a_year_ahead() {
        let planned = |at| Planned { channel: email(), topic: None, at };
        let judged = |after_ms| planned(Some(NOW.plus_ms(after_ms))).moment(NOW).ok();
        assert_eq!(planned(None).moment(NOW).ok(), Some(NOW));
        assert_eq!(judged(1), Some(NOW.plus_ms(1)));
        assert_eq!(judged(PLANNED_MAX_MS), Some(NOW.plus_ms(PLANNED_MAX_MS)));
        assert_eq!(judged(-FUTURE_MAX_MS), Some(NOW), "a clock that is slightly behind");
        assert_eq!(judged(-FUTURE_MAX_MS - 1), None);
        assert_eq!(judged(PLANNED_MAX_MS + 1), None);
    }
}
