//! What a writer who may not read is answered does not depend on what is stored (SE-2): 10,000 requests of every kind, each
//! answered on two records that are drawn at random. Where the answer may tell the law's verdict, the two records have the
//! same grounds and data subject, and differ in everything else.

use custodia_profile::{
    AttributeNumber, AttributeValue, Catalogue, Channel, ConsentMethod, ContactChannel, CustomerId,
    DataSubject, Date, GroundState, GroundStatus, Label, LawfulBasis, Notice, Party, PoolId,
    PreferenceFields, Preferences, Provenance, Purpose, PurposeFields, PurposeNumber, ShardId, StoredEvent,
    StoredGppString, StoredTcString, Value,
};
use custodia_proto::v1;
use custodia_store::ValueHeader;
use proptest::{prelude::*, test_runner::TestRunner};

use super::*;
use crate::{
    catalogue::test_entries::{attribute, purpose},
    identity::RoleSet,
    shard::rotation::StoredStage,
    wire::timestamp,
};

const CASES: u32 = 10_000;
const DAY_MS: i64 = 86_400_000;
const PURPOSES: [&str; 3] = ["service", "marketing", "selling"];

/// Choices taken from one number.
struct Draw(u64);

impl Draw {
    fn below(&mut self, count: u64) -> u64 {
        let drawn = self.0 % count;
        self.0 /= count;
        drawn
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).expect("small")].clone()
    }

    fn maybe(&mut self) -> bool {
        self.below(2) == 1
    }

    /// A moment around now, in milliseconds from it.
    fn ahead_ms(&mut self) -> i64 {
        self.pick(&[0, -1, 1, -DAY_MS, DAY_MS, -400 * DAY_MS, 240_000])
    }
}

fn view() -> CatalogueView {
    use LawfulBasis::{Consent, Contract, LegitimateInterests};
    let mut catalogue = Catalogue::new();
    let bases = [&[Contract, Consent][..], &[Consent, LegitimateInterests], &[Consent]];
    for ((number, id), bases) in (1..).zip(PURPOSES).zip(bases) {
        let notice = Notice {
            version: Label::new("version", "v1").expect("a label"),
            text_sha256: None,
            language: "en".to_owned(),
            asks_again: false,
            valid_from: None,
        };
        let fields = PurposeFields {
            notices: vec![notice],
            sale_or_sharing: id == "selling",
            ..PurposeFields::clone(&purpose(number, id, bases))
        };
        catalogue.put_purpose(Purpose::new(fields).expect("valid")).expect("fits");
    }
    catalogue.put_attribute(attribute(1, "email", &[1, 2, 3])).expect("fits");
    catalogue.put_attribute(attribute(2, "needs", &[1])).expect("fits");
    CatalogueView { directory: Default::default(), catalogue: catalogue.into(), version: 0 }
}

fn number(of: u32) -> PurposeNumber {
    PurposeNumber::new(of).expect("a number")
}

/// What the law rests on.
fn law(draw: &mut Draw, now: TimestampMs) -> CustomerRecord {
    let mut record = CustomerRecord::new(now.plus_ms(-DAY_MS));
    for of in 1..=3 {
        for basis in [LawfulBasis::Consent, LawfulBasis::Contract, LawfulBasis::LegitimateInterests] {
            if draw.maybe() {
                let at = now.plus_ms(draw.ahead_ms());
                let state = GroundState {
                    notice: Label::optional("notice", "v1").expect("a label"),
                    method: Some(draw.pick(&[ConsentMethod::Explicit, ConsentMethod::OptOut])),
                    ..GroundState::bare(draw.pick(&GroundStatus::ALL), at, at)
                };
                record.grounds.insert((number(of), basis), state);
                record.ledger_entries += 1;
            }
        }
    }
    record.subject = DataSubject {
        regions: draw.pick(&["DE", "US-CA"]).parse().into_iter().filter(|_| draw.maybe()).collect(),
        birth_date: draw.maybe().then(|| Date::from_days(draw.pick(&[19_000, 3_000])).expect("a date")),
        sale_opt_out: draw.maybe().then(|| now.plus_ms(draw.ahead_ms())),
        do_not_sell: draw.maybe().then(|| now.plus_ms(draw.ahead_ms())),
        sensitive_limit: draw.maybe().then(|| now.plus_ms(draw.ahead_ms())),
        ..DataSubject::default()
    };
    record
}

/// Everything else that is stored.
fn fill(record: &mut CustomerRecord, draw: &mut Draw, now: TimestampMs) {
    for attribute in 1..=2 {
        if draw.maybe() {
            let at = now.plus_ms(draw.ahead_ms());
            let provenance = Provenance {
                source: draw.pick(&["crm", "till"]).parse().expect("a source"),
                observed_at: at,
                recorded_at: at,
                purpose: number(1),
                basis: LawfulBasis::Consent,
                party: Party::First,
            };
            let value = Value::text(draw.pick(&["a@example.org", "m@example.org", "z"])).expect("a text");
            let attribute = AttributeNumber::new(attribute).expect("a number");
            record.attributes.insert(attribute, AttributeValue { value, original: None, provenance });
        }
    }
    if draw.maybe() {
        let address = custodia_profile::Address::optional("address", draw.pick(&["", "a@example.org"]));
        let channel = ContactChannel::new("channel", "email").expect("a channel");
        let wanted = draw.maybe();
        let address = address.expect("an address");
        let channels = vec![custodia_profile::ChannelPreference {
            channel,
            wanted,
            unwanted_purposes: Vec::new(),
            address,
        }];
        record.preferences =
            Preferences::new(PreferenceFields { channels, ..PreferenceFields::default() }).expect("valid");
        record.requested.preferences = Some(now.plus_ms(draw.ahead_ms()));
    }
    record.requested.subject = draw.maybe().then(|| now.plus_ms(draw.ahead_ms()));
    record.requested.tc_string = draw.maybe().then(|| now.plus_ms(draw.ahead_ms()));
    record.tc_string = draw.maybe().then(|| StoredTcString {
        text: Label::new("tc_string", draw.pick(&[TC_STRINGS[0], TC_STRINGS[1]])).expect("a label"),
        recorded_at: now,
    });
    record.requested.gpp_string = draw.maybe().then(|| now.plus_ms(draw.ahead_ms()));
    record.gpp_string = draw.maybe().then(|| StoredGppString {
        text: Label::new("gpp_string", draw.pick(&GPP_STRINGS)).expect("a label"),
        recorded_at: now,
    });
    record.ledger_entries += draw.below(3);
}

/// The example of the IAB's specification, brought up to policy version 5, and a string that says something else.
const TC_STRINGS: [&str; 2] = [
    "CQSbk4AQSbk4ANwAAAENAwFgAAAAAAAAAAYgACPAAAAA.IDKQA4AAgAKAGQAygAAA.YAAAAAAAAAAA",
    "CQSbk4AQSbk4ANwAAAEDEwFgAAAAAAAAAAYgACPAAAAA.IDKQA4AAgAKAGQAygAAA.YAAAAAAAAAAA",
];

/// Opted out of sale, and not.
const GPP_STRINGS: [&str; 2] = ["DBABTA~1YYN", "DBABTA~1YNN"];

/// What is stored of a customer.
struct Stored {
    record: Option<CustomerRecord>,
    events: StoredEvents,
}

fn stored(record: Option<CustomerRecord>, draw: &mut Draw, now: TimestampMs) -> Stored {
    let known = record.is_some() && draw.maybe();
    let event = known.then(|| {
        let event = event(draw, now);
        let provenance = Provenance {
            source: "till".parse().expect("a source"),
            observed_at: event.occurred_at,
            recorded_at: now,
            purpose: number(1),
            basis: LawfulBasis::Consent,
            party: Party::First,
        };
        StoredEvent { event, provenance }
    });
    Stored { record, events: event.map(StoredEvents::of).unwrap_or_default() }
}

fn event(draw: &mut Draw, now: TimestampMs) -> Event {
    Event {
        id: Label::new("event_id", "e-1").expect("a label"),
        name: Label::new("name", "Order").expect("a label"),
        occurred_at: now.plus_ms(-1),
        channel: Channel::optional("channel", draw.pick(&["web", ""])).expect("a channel"),
        properties: custodia_profile::Properties::new([].into()).expect("none"),
    }
}

/// One writer, who may not read, before two customers of which it knows nothing.
struct Blind {
    view: CatalogueView,
    location: CustomerLocation,
    recorded_by: Recorder,
    caller: Caller,
    now: TimestampMs,
}

impl Blind {
    fn new() -> Self {
        let customer = CustomerId::from_parts(1_700_000_000_000, [7; 10], PoolId::default());
        Self {
            view: view(),
            location: CustomerLocation { shard: ShardId::new(0).expect("a shard"), customer },
            recorded_by: Recorder { name: "till".parse().expect("a name"), role: CallerRole::Ingest },
            caller: Caller { name: "till".into(), roles: RoleSet::of(&[Role::Ingest]) },
            now: now(),
        }
    }

    /// The answer, or the error, that it gets.
    fn shown<R: CustomerWrite>(
        &self,
        request: &R,
        input: &R::Input,
        made_at: Option<TimestampMs>,
        stored: Stored,
    ) -> String {
        let header = ValueHeader { revision: 7, ..ValueHeader::default() };
        let state = CustomerState {
            location: self.location,
            now: self.now,
            view: &self.view,
            sight: Sight::Echo,
            recorded_by: &self.recorded_by,
            precondition: precondition(R::etag(input), made_at, self.now),
            events: stored.events,
            history: Vec::new(),
            taken: TakenIdentifiers::new(),
            blinding: StoredStage::first(self.location.group()),
            other: None,
            core: stored.record.map(|value| Loaded { header, value }),
            requests: None,
        };
        match judge(request, input, &state, self.location) {
            Ok((mutation, _)) => {
                format!("{:?}", request.echo(self.location, mutation.answer).encode_to_vec())
            }
            Err(error) => format!("refused: {error}"),
        }
    }

    fn check<R: CustomerWrite>(
        &self,
        request: &R,
        made_at: Option<TimestampMs>,
        [one, other]: [Stored; 2],
    ) -> Result<(), TestCaseError> {
        // Once for both: a request that says no date is dated by the clock when it is parsed, and may be refused for that.
        let Ok(input) = request.parse(Origin { caller: &self.caller, made_at }, &self.view) else {
            return Ok(());
        };
        let shown = |stored| self.shown(request, &input, made_at, stored);
        prop_assert_eq!(shown(one), shown(other));
        Ok(())
    }

    /// A decision, complete or not.
    fn decision(&self, kind: u64, draw: &mut Draw, purpose: String) -> v1::RecordConsentRequest {
        let at = |draw: &mut Draw| draw.maybe().then(|| timestamp(self.now.plus_ms(draw.ahead_ms())));
        let act = draw.pick(&[v1::AffirmativeAct::Clicked, v1::AffirmativeAct::PreTickedBox]);
        let by = draw.pick(&[v1::DecidedBy::DataSubject, v1::DecidedBy::Guardian, v1::DecidedBy::Authority]);
        let evidence = v1::ConsentEvidence {
            act: act.into(),
            decided_by: by.into(),
            bundled: draw.below(9) == 8,
            ..Default::default()
        };
        v1::RecordConsentRequest {
            purpose,
            status: if kind == 0 { 1 } else { draw.pick(&[2, 5, 6, 7]) },
            lawful_basis: draw.pick(&[0, 1, 2, 6, 4]),
            notice_version: draw.pick(&["v1", "", "v2"]).to_owned(),
            method: draw.pick(&[2, 1, 3, 0]),
            reference: draw.pick(&["contract 7", ""]).to_owned(),
            evidence: draw.maybe().then_some(evidence),
            decided_at: at(draw),
            expires_at: at(draw),
            valid_from: at(draw),
            ..Default::default()
        }
    }

    /// A request about decisions or the data subject, on any two records.
    fn decisions(
        &self,
        kind: u64,
        draw: &mut Draw,
        made_at: Option<TimestampMs>,
        records: [Stored; 2],
    ) -> Result<(), TestCaseError> {
        let purpose = draw.pick(&PURPOSES).to_owned();
        let at = |draw: &mut Draw| draw.maybe().then(|| timestamp(self.now.plus_ms(draw.ahead_ms())));
        match kind {
            0 | 1 => self.check(&self.decision(kind, draw, purpose), made_at, records),
            2 => {
                let lawful_basis = draw.pick(&[0, 1, 2, 6, 5]);
                let request = v1::WithdrawConsentRequest { purpose, lawful_basis, ..Default::default() };
                self.check(&request, made_at, records)
            }
            3 => self.check(&v1::WithdrawAllConsentsRequest::default(), made_at, records),
            4 => {
                let request = v1::RecordPrivacySignalRequest { signal: 1, ..Default::default() };
                self.check(&request, made_at, records)
            }
            5 if draw.maybe() => {
                let gpp_string = draw.pick(&[GPP_STRINGS[0], GPP_STRINGS[1], "D!"]).to_owned();
                let request = v1::RecordGppStringRequest { gpp_string, ..Default::default() };
                self.check(&request, made_at, records)
            }
            5 => {
                let tc_string = draw.pick(&[TC_STRINGS[0], TC_STRINGS[1], "C!"]).to_owned();
                let request = v1::RecordTcStringRequest { tc_string, ..Default::default() };
                self.check(&request, made_at, records)
            }
            6 => {
                let subject = v1::DataSubject {
                    regions: vec![draw.pick(&["DE", "US-CA", "x"]).to_owned()],
                    birth_date: draw.pick(&["", "1990-01-01", "2999-01-01"]).to_owned(),
                    ..Default::default()
                };
                let paths = draw.pick(&[&["regions"][..], &["birth_date"], &["regions", "birth_date"]]);
                let paths = paths.iter().map(|&path| path.to_owned()).collect();
                let request = v1::UpdateDataSubjectRequest {
                    data_subject: Some(subject),
                    update_mask: Some(prost_types::FieldMask { paths }),
                    ..Default::default()
                };
                self.check(&request, made_at, records)
            }
            _ => {
                let request = v1::RecordContactRequest {
                    channel: "email".to_owned(),
                    purpose,
                    contacted_at: at(draw),
                    ..Default::default()
                };
                self.check(&request, made_at, records)
            }
        }
    }

    /// A request with data, on two records under the same law.
    fn data(
        &self,
        kind: u64,
        draw: &mut Draw,
        made_at: Option<TimestampMs>,
        records: [Stored; 2],
    ) -> Result<(), TestCaseError> {
        let purpose = draw.pick(&PURPOSES).to_owned();
        let sent = event(draw, self.now);
        let events = vec![v1::Event {
            event_id: "e-1".to_owned(),
            name: "Order".to_owned(),
            occurred_at: Some(timestamp(sent.occurred_at)),
            channel: sent.channel.map(|channel| channel.as_str().to_owned()).unwrap_or_default(),
            ..Default::default()
        }];
        let source = draw.pick(&["crm", "till"]).to_owned();
        match kind {
            0 => {
                let text = draw.pick(&["a@example.org", "m@example.org", "z"]).to_owned();
                let value = v1::Value { kind: Some(v1::value::Kind::Text(text)) };
                let observation = v1::Observation {
                    attribute: draw.pick(&["email", "needs", "unknown"]).to_owned(),
                    value: Some(value),
                    observed_at: draw.maybe().then(|| timestamp(self.now.plus_ms(draw.ahead_ms()))),
                };
                let at = |draw: &mut Draw| draw.maybe().then(|| timestamp(self.now.plus_ms(draw.ahead_ms())));
                let (given_at, expires_at) = (at(draw), at(draw));
                let grant = v1::ConsentGrant {
                    given_at,
                    expires_at,
                    purpose: draw.pick(&PURPOSES).to_owned(),
                    notice_version: "v1".to_owned(),
                    method: draw.pick(&[2, 3]),
                    evidence: Some(v1::ConsentEvidence { act: 2, ..Default::default() }),
                    ..Default::default()
                };
                let request = v1::IngestProfileRequest {
                    purpose,
                    source,
                    lawful_basis: draw.pick(&[0, 1, 2]),
                    observations: vec![observation],
                    consents: draw.maybe().then_some(grant).into_iter().collect(),
                    events,
                    ..Default::default()
                };
                self.check(&request, made_at, records)
            }
            1 => {
                let request = v1::AppendEventsRequest { purpose, source, events, ..Default::default() };
                self.check(&request, made_at, records)
            }
            _ => {
                let channel = v1::ChannelPreference {
                    unwanted_purposes: Vec::new(),
                    channel: draw.pick(&["email", "phone"]).to_owned(),
                    wanted: draw.maybe(),
                    address: draw.pick(&["", "a@example.org", "b@example.org"]).to_owned(),
                };
                let preferences = v1::Preferences { channels: vec![channel], ..Default::default() };
                let request = v1::UpdatePreferencesRequest {
                    preferences: Some(preferences),
                    purpose,
                    ..Default::default()
                };
                self.check(&request, made_at, records)
            }
        }
    }
}

#[test]
fn what_a_writer_who_may_not_read_is_answered_does_not_depend_on_what_is_stored() {
    let blind = Blind::new();
    let now = blind.now;
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) };
    let mut runner = TestRunner::new(config);
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
    let run = runner.run(&numbers, |(asked, one, other, filled, also_filled)| {
        let (mut asked, mut filled, mut also_filled) = (Draw(asked), Draw(filled), Draw(also_filled));
        let made_at = asked.maybe().then(|| now.plus_ms(asked.ahead_ms().min(0)));
        let kind = asked.below(11);
        let mut first = law(&mut Draw(one), now);
        let second = if kind < 8 { law(&mut Draw(other), now) } else { first.clone() };
        let mut second = Some(second);
        if kind < 8 && filled.below(4) == 3 {
            second = None;
        }
        fill(&mut first, &mut filled, now);
        if let Some(second) = &mut second {
            fill(second, &mut also_filled, now);
        }
        let records = [stored(Some(first), &mut filled, now), stored(second, &mut also_filled, now)];
        if kind < 8 {
            blind.decisions(kind, &mut asked, made_at, records)
        } else {
            blind.data(kind - 8, &mut asked, made_at, records)
        }
    });
    if let Err(fault) = run {
        panic!("{fault}\n{runner}");
    }
}

/// A customer of whom nothing is known is answered like one of whom the law knows nothing.
#[test]
fn whether_the_customer_exists_is_not_told() {
    let blind = Blind::new();
    for number in 0..600_u64 {
        let mut asked = Draw(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let kind = asked.below(3);
        let mut known = CustomerRecord::new(blind.now);
        fill(&mut known, &mut Draw(number.wrapping_mul(0xd134_2543_de82_ef95)), blind.now);
        let records = [Some(known), None].map(|record| stored(record, &mut Draw(number), blind.now));
        blind.data(kind, &mut asked, None, records).expect("the same");
    }
}
