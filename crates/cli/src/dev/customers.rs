//! The sample's customers: fictitious, and the same in every run that begins with the same day.
//!
//! Mail addresses end in `example.com`, phone numbers are from a range reserved for fiction, and bank account numbers have
//! invalid check digits.

use custodia_profile::{CustomerId, PoolId, RequestId};
use custodia_proto::v1::{self, value::Kind};

use crate::dev::catalogue::NOTICE;
use crate::import::{Identities, derived_uuid};
use crate::text::values::{parse_time, time_of};

const GIVEN_NAMES: [&str; 16] = [
    "Ada", "Bela", "Chiara", "Dario", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kaya", "Liam",
    "Mina", "Nuno", "Olga", "Pavel",
];
const FAMILY_NAMES: [&str; 16] = [
    "Adler", "Bianchi", "Costa", "Dupont", "Eriksen", "Fischer", "Garcia", "Horvat", "Ivanov", "Jansen",
    "Kovacs", "Lindberg", "Moreau", "Novak", "Oliveira", "Popescu",
];
const STREETS: [&str; 8] = ["Lime", "Station", "Mill", "Harbour", "Church", "Orchard", "Market", "Bridge"];
/// City, country, language, region, time zone.
type City = (&'static str, &'static str, &'static str, &'static str, &'static str);
const CITIES: [City; 8] = [
    ("Lisbon", "PT", "pt", "PT", "Europe/Lisbon"),
    ("Vienna", "AT", "de", "AT", "Europe/Vienna"),
    ("Turin", "IT", "it", "IT", "Europe/Rome"),
    ("Lyon", "FR", "fr", "FR", "Europe/Paris"),
    ("Cluj", "RO", "ro", "RO", "Europe/Bucharest"),
    ("Ghent", "BE", "nl", "BE", "Europe/Brussels"),
    ("Fresno", "US", "en", "US-CA", "America/Los_Angeles"),
    ("Recife", "BR", "pt", "BR", "America/Recife"),
];
/// Lines in Berlin, Hamburg, Frankfurt, Cologne and Munich that the Bundesnetzagentur keeps free for films and books.
const FICTIONAL_LINES: [&str; 5] = ["+493023125", "+494066969", "+496990009", "+492214710", "+498999998"];
const CHANNELS: [&str; 4] = ["phone", "email", "app", "store"];
const TIERS: [&str; 4] = ["basic", "silver", "gold", "platinum"];
const TOPICS: [&str; 4] = ["garden", "books", "travel", "music"];
const NEEDS: [&str; 3] = ["large print", "text only, no calls", "step-free access"];

/// When on the first day the data of the first customer was collected.
const FIRST_SECOND: i64 = 8 * 60 * 60;

const MINUTES_OF_A_DAY: i64 = 24 * 60;
const MINUTES_BETWEEN_CUSTOMERS: i64 = 7;

/// A customer's answer to a request for consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Given,
    Refused,
    Unasked,
}

/// One customer of the sample, by number.
#[derive(Debug)]
pub(crate) struct SampleCustomer {
    number: u32,
    id: CustomerId,
    /// In seconds since 1970.
    began: i64,
}

impl SampleCustomer {
    /// The customer with a number, whose data begins on this day or after it.
    pub(crate) fn new(number: u32, first_day: &str) -> Self {
        let began = parse_time(first_day).map_or(0, |day| day.seconds) + FIRST_SECOND;
        Self { number, id: customer_id(number), began }
    }

    pub(crate) fn id(&self) -> CustomerId {
        self.id
    }

    /// The customer's region and birth date, sent first because every decision depends on them.
    pub(crate) fn subject(&self) -> v1::UpdateDataSubjectRequest {
        let data_subject = v1::DataSubject {
            customer_id: self.id.to_string(),
            regions: vec![self.city().3.into()],
            birth_date: self.birth_date(),
            ..v1::DataSubject::default()
        };
        let paths = ["regions", "birth_date"].map(str::to_owned).into();
        v1::UpdateDataSubjectRequest {
            data_subject: Some(data_subject),
            update_mask: Some(custodia_proto::FieldMask { paths }),
            request_id: self.request_id(10),
        }
    }

    /// How the customer wants to be contacted.
    pub(crate) fn preferences(&self) -> v1::UpdatePreferencesRequest {
        let (_, _, language, _, time_zone) = self.city();
        let wanted = |channel: &str, address: String| v1::ChannelPreference {
            channel: channel.into(),
            wanted: true,
            address,
            ..Default::default()
        };
        let (email, phone) = (wanted("email", self.email()), wanted("phone", self.phone()));
        let channels = if self.pick(17, 2) == 0 { vec![email, phone] } else { vec![email] };
        let once_a_week = v1::FrequencyCap {
            purpose: "marketing".into(),
            contacts_max: 1,
            window_hours: 168,
            ..Default::default()
        };
        let night = v1::QuietHours { begins: "21:00".into(), ends: "08:00".into(), ..Default::default() };
        let preferences = v1::Preferences {
            customer_id: self.id.to_string(),
            language: language.into(),
            time_zone: time_zone.into(),
            channels,
            frequency_caps: vec![once_a_week],
            quiet_hours: vec![night],
            topics: vec![v1::TopicPreference { topic: self.one_of(15, &TOPICS).into(), wanted: true }],
            etag: String::new(),
        };
        v1::UpdatePreferencesRequest {
            preferences: Some(preferences),
            purpose: "service".into(),
            request_id: self.request_id(11),
            ..Default::default()
        }
    }

    /// The customer's data from all sources: service data with events, then the data that depends on consent.
    pub(crate) fn ingests(&self) -> Vec<v1::IngestProfileRequest> {
        let mut service = self.request(0, "service", "crm", self.service_values());
        service.events = (0..1 + self.pick(16, 3)).flat_map(|place| self.events(place)).collect();
        service.events.extend(self.case());
        service.consents = vec![self.contract()];
        let account = vec![text("iban", &format!("XX00{:016}", self.number))];
        let mut ingests = vec![service, self.request(1, "billing", "billing", account)];
        // The first customer is the one that is shown, so it has all kinds of data.
        if self.number == 0 || self.pick(13, 10) == 0 {
            let needs = text("accessibility_needs", self.one_of(14, &NEEDS));
            let mut request = self.request(4, "accessibility", "service-desk", vec![needs]);
            request.consents = vec![self.grant("accessibility", v1::AffirmativeAct::Spoken, "phone")];
            ingests.push(request);
        }
        if self.answer(MARKETING) == Answer::Given {
            let topics = vec![text("newsletter_topics", self.one_of(15, &TOPICS))];
            let mut request = self.request(2, "marketing", "shop", topics);
            request.consents = vec![self.grant("marketing", v1::AffirmativeAct::TickedBox, "web")];
            ingests.push(request);
        }
        if self.answer(ANALYTICS) == Answer::Given {
            let value = Kind::Decimal(f64::from(self.pick(40, 500_000)) / 100.0);
            let mut request =
                self.request(3, "analytics", "shop", vec![observation("lifetime_value", value)]);
            request.consents = vec![self.grant("analytics", v1::AffirmativeAct::TickedBox, "web")];
            ingests.push(request);
        }
        ingests
    }

    /// The consents that the customer refused.
    pub(crate) fn refusals(&self) -> Vec<v1::RecordConsentRequest> {
        let asked = [(MARKETING, "marketing"), (ANALYTICS, "analytics")];
        let refused = asked.into_iter().filter(|(number, _)| self.answer(*number) == Answer::Refused);
        refused
            .map(|(number, purpose)| v1::RecordConsentRequest {
                customer_id: self.id.to_string(),
                purpose: purpose.into(),
                status: v1::ConsentStatus::Refused.into(),
                lawful_basis: v1::LawfulBasis::Consent.into(),
                notice_version: NOTICE.into(),
                method: v1::ConsentMethod::Explicit.into(),
                collector: "web-shop".into(),
                decided_at: self.time(30),
                channel: "web".into(),
                request_id: self.request_id(8 + u64::from(number)),
                ..v1::RecordConsentRequest::default()
            })
            .collect()
    }

    fn request(
        &self,
        part: u64,
        purpose: &str,
        source: &str,
        observations: Vec<v1::Observation>,
    ) -> v1::IngestProfileRequest {
        let observed_at = self.time(0);
        let at = |observation| v1::Observation { observed_at, ..observation };
        v1::IngestProfileRequest {
            customer_id: self.id.to_string(),
            purpose: purpose.into(),
            source: source.into(),
            party: v1::Party::First.into(),
            observations: observations.into_iter().map(at).collect(),
            request_id: self.request_id(part),
            ..v1::IngestProfileRequest::default()
        }
    }

    /// Parts count from 0 to 15.
    fn request_id(&self, part: u64) -> String {
        identities().request(u64::from(self.number) * 16 + part)
    }

    fn city(&self) -> City {
        self.one_of(3, &CITIES)
    }

    fn birth_date(&self) -> String {
        format!("{}-{:02}-{:02}", 1940 + self.pick(4, 65), 1 + self.pick(5, 12), 1 + self.pick(6, 28))
    }

    fn email(&self) -> String {
        let (given, family) = (self.one_of(1, &GIVEN_NAMES), self.one_of(2, &FAMILY_NAMES));
        format!("{given}.{family}.{}@example.com", self.number).to_lowercase()
    }

    pub(crate) fn phone(&self) -> String {
        let city = usize::try_from(self.number / 1_000).unwrap_or_default() % FICTIONAL_LINES.len();
        let line = FICTIONAL_LINES.get(city).copied().unwrap_or_default();
        format!("{line}{:03}", self.number % 1_000)
    }

    fn service_values(&self) -> Vec<v1::Observation> {
        let (city, country, language, ..) = self.city();
        vec![
            text("given_name", self.one_of(1, &GIVEN_NAMES)),
            text("family_name", self.one_of(2, &FAMILY_NAMES)),
            text("email", &self.email()),
            text("phone", &self.phone()),
            text("street", &format!("{} {} Street", 1 + self.pick(7, 120), self.one_of(8, &STREETS))),
            text("city", city),
            text("postcode", &format!("{:04}", 1_000 + self.pick(9, 9_000))),
            text("country", country),
            observation("date_of_birth", Kind::Date(self.birth_date())),
            text("preferred_language", language),
            text("preferred_channel", self.one_of(10, &CHANNELS)),
            text("loyalty_tier", self.one_of(11, &TIERS)),
            observation("open_orders", Kind::Integer(i64::from(self.pick(12, 4)))),
        ]
    }

    /// A call; or an order, which was delivered unless it is one of the few that are under way.
    fn events(&self, place: u32) -> Vec<v1::Event> {
        let (id, day) = (format!("sample-{}-{place}", self.number), 120 * i64::from(place));
        if self.pick(20 + place, 2) == 0 {
            let seconds = Kind::Integer((30 + self.pick(40 + place, 900)).into());
            return vec![self.event(&id, "Call Ended", (day, "phone"), [("seconds", seconds)].into())];
        }
        let total = Kind::Decimal(f64::from(500 + self.pick(50 + place, 20_000)) / 100.0);
        let order = ("order_id", Kind::Text(format!("O-{}-{place}", self.number)));
        let properties = [order.clone(), ("total", total)].into();
        let mut events = vec![self.event(&id, "Order Completed", (day, "web"), properties)];
        if self.pick(70 + place, 8) != 0 {
            let id = format!("{id}-delivered");
            events.push(self.event(&id, "Order Delivered", (day + 3, "post"), [order].into()));
        }
        events
    }

    /// What some customers complained about not long ago; the first customer's case is open.
    fn case(&self) -> Vec<v1::Event> {
        let step = |name: &str, day, channel: &str| {
            let case = Kind::Text(format!("C-{}", 1_000 + self.number));
            let id = format!("sample-{}-{}", self.number, name.to_lowercase().replace(' ', "-"));
            self.event(&id, name, (day, channel), [("case_id", case)].into())
        };
        let (opened, updated) = (step("Case Opened", 340, "phone"), step("Case Updated", 346, "email"));
        match self.pick(60, 8) {
            _ if self.number == 0 => vec![opened, updated],
            0 => vec![opened],
            1 => vec![opened, updated, step("Case Closed", 347, "email")],
            _ => Vec::new(),
        }
    }

    fn event(
        &self,
        id: &str,
        name: &str,
        (day, channel): (i64, &str),
        properties: Vec<(&str, Kind)>,
    ) -> v1::Event {
        let properties = properties.into_iter();
        v1::Event {
            event_id: id.to_owned(),
            name: name.into(),
            occurred_at: self.time(60 + day * MINUTES_OF_A_DAY),
            channel: channel.into(),
            properties: properties
                .map(|(name, kind)| (name.to_owned(), v1::Value { kind: Some(kind) }))
                .collect(),
        }
    }

    /// The contract that the customer's account is: it comes with the data that it permits.
    fn contract(&self) -> v1::ConsentGrant {
        v1::ConsentGrant {
            purpose: "service".into(),
            lawful_basis: v1::LawfulBasis::Contract.into(),
            reference: format!("account {}", self.number),
            collector: "web-shop".into(),
            given_at: self.time(0),
            channel: "web".into(),
            ..v1::ConsentGrant::default()
        }
    }

    fn grant(&self, purpose: &str, act: v1::AffirmativeAct, channel: &str) -> v1::ConsentGrant {
        let evidence = v1::ConsentEvidence { act: act.into(), language: "en".into(), ..Default::default() };
        v1::ConsentGrant {
            purpose: purpose.into(),
            notice_version: NOTICE.into(),
            method: v1::ConsentMethod::Explicit.into(),
            collector: if channel == "web" { "web-shop".into() } else { "service-desk".into() },
            given_at: self.time(30),
            evidence: Some(evidence),
            channel: channel.into(),
            ..v1::ConsentGrant::default()
        }
    }

    /// The first customer agrees to marketing and refuses analytics, so that both can be seen.
    fn answer(&self, purpose: u32) -> Answer {
        if self.number == 0 {
            return if purpose == MARKETING { Answer::Given } else { Answer::Refused };
        }
        match self.pick(30 + purpose, 10) {
            0..6 => Answer::Given,
            6..9 => Answer::Refused,
            _ => Answer::Unasked,
        }
    }

    /// The time, in minutes after the customer's data was first collected.
    fn time(&self, minutes: i64) -> Option<custodia_proto::Timestamp> {
        let minutes = i64::from(self.number) * MINUTES_BETWEEN_CUSTOMERS + minutes;
        // Wraps around after a year, so that a large sample does not reach into the future.
        let within_a_year = minutes % (360 * MINUTES_OF_A_DAY);
        Some(time_of(jiff::Timestamp::from_second(self.began + within_a_year * 60).ok()?))
    }

    fn one_of<Item: Copy + Default>(&self, seed: u32, items: &[Item]) -> Item {
        let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let place = usize::try_from(self.pick(seed, count)).unwrap_or_default();
        items.get(place).copied().unwrap_or_default()
    }

    /// A number below `count` that depends only on the customer and `seed`.
    fn pick(&self, seed: u32, count: u32) -> u32 {
        let mixed = split_mix((u64::from(self.number) << 32) | u64::from(seed));
        u32::try_from(mixed % u64::from(count.max(1))).unwrap_or_default()
    }
}

const MARKETING: u32 = 0;
const ANALYTICS: u32 = 1;

/// The id depends on the number alone, so that README.md and a second run name the same customer.
fn customer_id(number: u32) -> CustomerId {
    // A version-4 UUID is never nil, so this always is a request id.
    let request = RequestId::new(derived_uuid(&["customer", "sample", &number.to_string()])).ok();
    request.map_or_else(
        || CustomerId::from_parts(0, [0; 10], PoolId::DEFAULT),
        |request| CustomerId::derive("import/sample", request, PoolId::DEFAULT),
    )
}

fn identities() -> Identities {
    Identities::new("sample", &["custodia dev"])
}

fn text(attribute: &str, text: &str) -> v1::Observation {
    observation(attribute, Kind::Text(text.to_owned()))
}

fn observation(attribute: &str, kind: Kind) -> v1::Observation {
    v1::Observation {
        attribute: attribute.into(),
        value: Some(v1::Value { kind: Some(kind) }),
        observed_at: None,
    }
}

/// One step of SplitMix64 (Steele, Lea and Flood).
fn split_mix(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer(number: u32) -> SampleCustomer {
        SampleCustomer::new(number, "2025-06-02")
    }

    #[test]
    fn the_same_number_is_the_same_customer_in_every_run() {
        for number in [0, 1, 999] {
            let (one, two) = (customer(number), customer(number));
            assert_eq!(one.ingests(), two.ingests());
            assert_eq!(one.refusals(), two.refusals());
            assert_eq!((one.subject(), one.preferences()), (two.subject(), two.preferences()));
        }
        assert_ne!(customer(1).id(), customer(2).id());
        assert_eq!(customer(0).id().to_string(), "cust_3ws04dz919fptr1t2q7tab7fxc", "as in README.md");
    }

    #[test]
    fn no_two_requests_of_the_sample_share_an_id() {
        let mut ids = std::collections::BTreeSet::new();
        for customer in (0..200).map(customer) {
            let requests = customer.ingests().into_iter().map(|request| request.request_id);
            let refusals = customer.refusals().into_iter().map(|request| request.request_id);
            let others = [customer.subject().request_id, customer.preferences().request_id];
            for id in requests.chain(refusals).chain(others) {
                assert!(ids.insert(id));
            }
        }
    }

    #[test]
    fn every_value_is_in_the_sample_catalogue() {
        let catalogue = crate::dev::catalogue::entries().unwrap().attributes;
        for request in (0..200).map(customer).flat_map(|customer| customer.ingests()) {
            for observation in &request.observations {
                let known = catalogue.iter().find(|one| one.name == observation.attribute).unwrap();
                assert!(known.purposes.contains(&request.purpose), "{}", known.name);
            }
        }
    }

    #[test]
    fn some_agree_and_some_refuse() {
        let answers: Vec<_> = (0..1_000).map(|number| customer(number).answer(MARKETING)).collect();
        for answer in [Answer::Given, Answer::Refused, Answer::Unasked] {
            assert!(answers.iter().filter(|one| **one == answer).count() > 50, "{answer:?}");
        }
    }

    #[test]
    fn nothing_of_the_sample_is_in_the_future_and_ids_of_events_are_unique() {
        let end = parse_time("2025-06-02").unwrap().seconds + 361 * 24 * 60 * 60;
        for number in (0..400).chain([74_057, 999_999]) {
            let ingests = customer(number).ingests();
            let events: Vec<_> = ingests.iter().flat_map(|request| &request.events).collect();
            let ids: std::collections::BTreeSet<_> = events.iter().map(|event| &event.event_id).collect();
            assert_eq!(ids.len(), events.len());
            assert!(events.iter().all(|event| event.occurred_at.unwrap().seconds < end), "{number}");
        }
    }
}
