//! Catalogues, records and questions generated together, so that they meet: three purposes, all jurisdictions that are
//! built in and one that is made up, four attributes, one application. Every choice comes from one number whose low
//! end is the plain case, so that a failure shrinks towards what a person would write down.

use std::{cell::Cell, collections::BTreeSet};

use custodia_profile::{
    AffirmativeAct, AttributeDefinition, AttributeFields, Catalogue, ChannelKind, Classification,
    ConsentMethod, ConsentModel, CustomerRecord, DataSubject, Date, DecidedBy, Evidence, GroundState,
    GroundStatus, Jurisdiction, JurisdictionBases, JurisdictionFields, Label, LawfulBasis, LegalHold, Notice,
    Party, Permission, Provenance, Purpose, PurposeFields, Reader, Recipient, RecipientFields, Restriction,
    Revision, SensitiveConsent, SpecialCategoryGround, SpecialUse, TimestampMs, ValueType, Verdict,
};
use proptest::{
    array,
    prelude::*,
    test_runner::{RngAlgorithm, TestCaseResult, TestRunner},
};

use crate::world::{NOW, attribute, attribute_fields, notice, purpose, purpose_fields, state};

pub(crate) const CASES: u32 = 10_000;
/// The generated purposes.
pub(crate) const ALL: [u32; 3] = [1, 2, 3];
pub(crate) const DAY_MS: i64 = 86_400_000;

/// Choices taken from one number.
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }

    pub(crate) fn below(&mut self, count: u64) -> u64 {
        let drawn = self.0 % count;
        self.0 /= count;
        drawn
    }

    /// One of `of`; the first is the plainest.
    pub(crate) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()].clone()
    }

    /// True once in so many.
    pub(crate) fn once_in(&mut self, count: u64) -> bool {
        self.below(count) == count - 1
    }

    /// Each of `of` with a chance of one half.
    fn some<T: Clone>(&mut self, of: &[T]) -> Vec<T> {
        of.iter().filter(|_| self.below(2) == 1).cloned().collect()
    }

    fn bases(&mut self) -> Vec<LawfulBasis> {
        let mut rest = LawfulBasis::ALL.to_vec();
        let count = 1 + self.below(3);
        (0..count).map(|_| rest.remove(usize::try_from(self.below(rest.len() as u64)).unwrap())).collect()
    }

    /// A moment around now, often the same one, so that ties and ends are met to the millisecond.
    pub(crate) fn moment(&mut self) -> TimestampMs {
        NOW.plus_ms(self.pick(&[-DAY_MS, 0, -1, 1, DAY_MS, -30 * DAY_MS, 30 * DAY_MS, -400 * DAY_MS]))
    }
}

/// A catalogue, two records, an application and a moment.
#[derive(Debug, Clone)]
pub(crate) struct Situation {
    pub(crate) catalogue: Catalogue,
    pub(crate) record: CustomerRecord,
    pub(crate) other: CustomerRecord,
    pub(crate) desk: Recipient,
    pub(crate) now: TimestampMs,
}

/// Situations with any rules.
pub(crate) fn situations() -> impl Strategy<Value = Situation> {
    situations_of(Rules::Any)
}

/// Situations whose purposes have no rules of their own for single jurisdictions, and without the made-up jurisdiction.
pub(crate) fn built_in_situations() -> impl Strategy<Value = Situation> {
    situations_of(Rules::BuiltIn)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    Any,
    BuiltIn,
}

fn situations_of(rules: Rules) -> impl Strategy<Value = Situation> {
    (array::uniform16(any::<u64>()), array::uniform20(any::<u64>()), array::uniform20(any::<u64>())).prop_map(
        move |(law, one, other)| {
            let mut last = Draw(law[15]);
            Situation {
                catalogue: catalogue(&law, rules),
                record: record(&one, rules),
                other: record(&other, rules),
                desk: desk(&mut last),
                now: last.moment(),
            }
        },
    )
}

fn catalogue(law: &[u64; 16], rules: Rules) -> Catalogue {
    let mut catalogue = Catalogue::new();
    if rules == Rules::Any {
        catalogue.put_jurisdiction(made_up(&mut Draw(law[0]))).unwrap();
    }
    for number in ALL {
        let at = usize::try_from(number).unwrap();
        let fields = purpose_of(number, &mut Draw(law[at]), &mut Draw(law[at + 3]), rules);
        catalogue.put_purpose(Purpose::new(fields).unwrap()).unwrap();
    }
    for number in 1..=4_u32 {
        let draw = &mut Draw(law[usize::try_from(number).unwrap() + 7]);
        let purposes = ALL.into_iter().filter(|of| *of == 1 || draw.below(3) != 2).collect::<Vec<_>>();
        let fields = AttributeFields {
            classification: if number == 4 {
                Classification::Sensitive
            } else {
                draw.pick(&Classification::ALL)
            },
            data_category: draw
                .pick(&[Some("contact"), None, Some("health")])
                .map(|name| name.parse().unwrap()),
            retention_days: draw.pick(&[0, 0, 30, 1]),
            ..attribute_fields(number, &format!("a{number}"), ValueType::Text, &purposes)
        };
        catalogue.put_attribute(AttributeDefinition::new(fields).unwrap()).unwrap();
    }
    catalogue
}

fn made_up(draw: &mut Draw) -> Jurisdiction {
    let mut lawful_bases = LawfulBasis::ALL.to_vec();
    lawful_bases.retain(|basis| *basis == LawfulBasis::Consent || draw.below(4) != 3);
    let fields = JurisdictionFields {
        id: "xx".parse().unwrap(),
        display_name: "Elsewhere".to_owned(),
        law: "A law".to_owned(),
        regions: vec!["XX".parse().unwrap()],
        consent_model: draw.pick(&[ConsentModel::OptIn, ConsentModel::OptOut]),
        honours_gpc: draw.once_in(2),
        sensitive_bases: draw.some(&lawful_bases),
        lawful_bases,
        sensitive_consent: draw.pick(&SensitiveConsent::ALL),
        sensitive_needs_ground: draw.once_in(2),
        gpc_yields_to_consent: draw.once_in(2),
        opt_in_below_age: draw.pick(&[0, 16, 13, 18]),
        sale_forbidden_below_age: draw.pick(&[0, 0, 13, 18]),
        guardian_below_age: draw.pick(&[0, 13, 16, 18]),
        regional_ages: Vec::new(),
        no_contact_hours: Vec::new(),
        consent_channels: draw.pick(&[vec![ChannelKind::ElectronicMail], vec![]]),
        soft_opt_in_channels: Vec::new(),
        revision: Revision::from_u64(1),
        built_in: false,
    };
    Jurisdiction::new(fields).unwrap()
}

fn purpose_of(number: u32, draw: &mut Draw, more: &mut Draw, rules: Rules) -> PurposeFields {
    let lawful_bases = draw.bases();
    let own = if rules == Rules::BuiltIn { 0 } else { draw.below(3) };
    let mut jurisdiction_bases = Vec::new();
    for id in ["eu", "us-ca", "default", "xx"].into_iter().filter(|_| own != 0) {
        if draw.below(3) == 2 {
            jurisdiction_bases
                .push(JurisdictionBases { jurisdiction: id.parse().unwrap(), lawful_bases: draw.bases() });
        }
    }
    let may_stand = LawfulBasis::ALL.into_iter().filter(|basis| {
        basis.may_stand()
            && (lawful_bases.contains(basis)
                || jurisdiction_bases.iter().any(|of| of.lawful_bases.contains(basis)))
    });
    let standing_bases = may_stand.filter(|_| more.below(3) == 2).collect();
    let mut moments = [more.moment(), more.moment(), more.moment()];
    moments.sort_unstable();
    let notices = ["1", "2", "3"].into_iter().zip(moments).map(|(version, from)| Notice {
        version: notice(version),
        text_sha256: None,
        language: "en".to_owned(),
        asks_again: more.once_in(3),
        valid_from: more.once_in(2).then_some(from),
    });
    let notices = notices.collect();
    let (sale_or_sharing, direct_marketing) = (more.once_in(3), more.once_in(6));
    PurposeFields {
        notices,
        lawful_bases,
        standing_bases,
        jurisdiction_bases,
        deprecated: more.once_in(20),
        data_categories: if more.once_in(4) { vec!["contact".parse().unwrap()] } else { vec![] },
        recipients: match more.below(8) {
            7 => vec!["shop".parse().unwrap()],
            5 | 6 => vec!["desk".parse().unwrap()],
            _ => vec![],
        },
        retention_days: more.pick(&[0, 0, 30, 1]),
        sale_or_sharing,
        direct_marketing,
        special_use: (!sale_or_sharing && !direct_marketing && more.once_in(8))
            .then(|| more.pick(&SpecialUse::ALL)),
        special_category_grounds: if more.once_in(2) {
            vec![more.pick(&SpecialCategoryGround::ALL)]
        } else {
            vec![]
        },
        ..purpose_fields(number, &format!("p{number}"), &[])
    }
}

fn desk(draw: &mut Draw) -> Recipient {
    let fields = RecipientFields {
        id: "desk".parse().unwrap(),
        display_name: "Agent desktop".to_owned(),
        description: String::new(),
        owner: "service".to_owned(),
        purposes: ALL.into_iter().filter(|_| !draw.once_in(4)).map(purpose).collect(),
        collection_purposes: Vec::new(),
        third_party: false,
        suspended: draw.once_in(8),
        revision: Revision::from_u64(1),
    };
    Recipient::new(fields).unwrap()
}

fn record(numbers: &[u64; 20], rules: Rules) -> CustomerRecord {
    let mut record = CustomerRecord::new(NOW.plus_ms(-500 * DAY_MS));
    let keys =
        ALL.into_iter().flat_map(|number| LawfulBasis::ALL.into_iter().map(move |basis| (number, basis)));
    for ((number, basis), drawn) in keys.zip(numbers) {
        if let Some(state) = ground(&mut Draw(*drawn)) {
            record.grounds.insert((purpose(number), basis), state);
        }
    }
    record.subject = subject(&mut Draw(numbers[18]), rules);
    record
}

fn ground(draw: &mut Draw) -> Option<GroundState> {
    if draw.below(2) == 0 {
        return None;
    }
    let status = draw.pick(&[
        GroundStatus::Given,
        GroundStatus::Given,
        GroundStatus::Given,
        GroundStatus::Given,
        GroundStatus::Given,
        GroundStatus::Given,
        GroundStatus::Given,
        GroundStatus::Given,
        GroundStatus::Given,
        GroundStatus::Given,
        GroundStatus::Given,
        GroundStatus::Refused,
        GroundStatus::Withdrawn,
        GroundStatus::Requested,
        GroundStatus::Revoked,
        GroundStatus::Invalidated,
    ]);
    let decided_at = draw.moment();
    let own = DecidedBy::DataSubject;
    let decided_by = draw.pick(&[own, own, own, own, own, DecidedBy::Guardian]);
    let incapacity = (decided_by == DecidedBy::Guardian && draw.once_in(3))
        .then(|| Label::new("incapacity", "order 3").unwrap());
    let unbroken_since = draw.once_in(5).then(|| decided_at.plus_ms(-DAY_MS));
    Some(GroundState {
        notice: draw.pick(&[Some("3"), Some("3"), Some("2"), Some("1"), Some("never"), None]).map(notice),
        method: draw.pick(&[
            Some(ConsentMethod::Explicit),
            Some(ConsentMethod::Unambiguous),
            Some(ConsentMethod::OptOut),
            None,
        ]),
        valid_from: if draw.once_in(8) { Some(draw.moment()) } else { None },
        expires_at: if draw.once_in(5) { Some(draw.moment()) } else { None },
        evidence: Evidence {
            decided_by,
            incapacity,
            act: draw.once_in(3).then_some(AffirmativeAct::Signed),
            ..Evidence::default()
        }
        .or_nothing(),
        unbroken_since,
        guardian_below_age: draw.pick(&[None, None, None, Some(13), Some(16), Some(18)]),
        ..state(status, decided_at)
    })
}

fn subject(draw: &mut Draw, rules: Rules) -> DataSubject {
    let known = ["DE", "US-CA", "DE", "US-CA", "US-CA", "US-CA", "BR", "FR", "RU", "US", "US-CO", "IN", "XX"];
    let known = if rules == Rules::Any { &known[..] } else { &known[..12] };
    let count = draw.pick(&[1, 1, 0, 2]);
    let since = NOW;
    DataSubject {
        regions: (0..count).map(|_| draw.pick(known).parse().unwrap()).collect::<BTreeSet<_>>(),
        region_unknown: draw.once_in(10),
        birth_date: draw.once_in(2).then(|| birth_date(draw)),
        restriction: draw
            .once_in(25)
            .then(|| Restriction { reason: Label::new("reason", "contested").unwrap(), since }),
        legal_hold: draw
            .once_in(25)
            .then(|| LegalHold { reference: Label::new("reference", "m 7").unwrap(), since }),
        sale_opt_out: if draw.once_in(6) { Some(draw.moment()) } else { None },
        do_not_sell: if draw.once_in(8) { Some(draw.moment()) } else { None },
        sensitive_limit: if draw.once_in(6) { Some(draw.moment()) } else { None },
        updated_at: None,
    }
}

/// Around the birthdays that matter, to the day.
pub(crate) fn birth_date(draw: &mut Draw) -> Date {
    let today = i32::try_from(NOW.as_ms() / DAY_MS).unwrap();
    let (year, month, day) =
        Date::from_days(today + draw.pick(&[0, 1, -1, 30, -30])).unwrap().year_month_day();
    let year = year - draw.pick(&[40, 18, 16, 13, 12, 14, 15, 20]);
    format!("{year:04}-{month:02}-{:02}", day.min(28)).parse().unwrap()
}

impl Situation {
    pub(crate) fn permission<'a>(
        &'a self,
        number: u32,
        reader: Reader<'_>,
        record: &CustomerRecord,
        now: TimestampMs,
    ) -> Permission<'a> {
        let purpose = self.catalogue.purpose(purpose(number)).unwrap();
        Permission::for_purpose(purpose, reader, record, &self.catalogue, now)
    }

    pub(crate) fn verdict(&self, number: u32, record: &CustomerRecord, now: TimestampMs) -> Verdict {
        self.permission(number, Reader::Controller, record, now).verdict()
    }

    /// Every verdict that the law gives on a record at a moment: on each purpose for each reader, and on each attribute
    /// with a value that is new, one that is three days old, and one that was collected by consent to another purpose.
    pub(crate) fn verdicts(&self, record: &CustomerRecord, now: TimestampMs) -> Vec<Verdict> {
        let mut verdicts = Vec::with_capacity(2 * ALL.len() * 13);
        for (number, reader) in ALL.into_iter().flat_map(|number| {
            [Reader::Controller, Reader::Registered(&self.desk)].map(|reader| (number, reader))
        }) {
            let permission = self.permission(number, reader, record, now);
            verdicts.push(permission.verdict());
            for definition in (1..=4).filter_map(|number| self.catalogue.attribute(attribute(number))) {
                verdicts.push(permission.for_attribute(definition, None));
                verdicts.push(permission.for_attribute(definition, Some(NOW.plus_ms(-3 * DAY_MS))));
                let collected_for = 1 + definition.number.as_u32() % 3;
                verdicts.push(permission.for_value(definition, &collected_by_consent(collected_for)));
            }
        }
        verdicts
    }

    /// Nothing that the one record is refused is permitted to the other.
    pub(crate) fn permits_no_more(
        &self,
        tally: &Tally,
        before: &CustomerRecord,
        after: &CustomerRecord,
    ) -> TestCaseResult {
        let was = self.verdicts(before, self.now);
        tally.count(&was);
        for (position, (was, is)) in was.into_iter().zip(self.verdicts(after, self.now)).enumerate() {
            prop_assert!(no_more(was, is), "question {position}: {was:?}, then {is:?}");
        }
        Ok(())
    }
}

/// Where a value comes from that was collected by consent to a purpose.
pub(crate) fn collected_by_consent(number: u32) -> Provenance {
    Provenance {
        source: "shop".parse().unwrap(),
        observed_at: NOW,
        recorded_at: NOW,
        purpose: purpose(number),
        basis: LawfulBasis::Consent,
        party: Party::First,
    }
}

/// The record without what guardians decided: a guardian is entitled below an age, the customer above it, so that no age
/// and no place is the strictest for both.
pub(crate) fn without_guardians(record: &CustomerRecord) -> CustomerRecord {
    let mut own = record.clone();
    own.grounds.values_mut().for_each(|state| state.evidence = None);
    own
}

/// Whether the second verdict permits nothing that the first refuses.
pub(crate) fn no_more(was: Verdict, is: Verdict) -> bool {
    was.ground().is_some() || is.ground().is_none()
}

/// How often a law was put to the test.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    permits: Cell<u64>,
    refusals: Cell<u64>,
    met: Cell<u32>,
}

impl Tally {
    pub(crate) fn count(&self, verdicts: &[Verdict]) {
        let permits = verdicts.iter().filter(|verdict| verdict.ground().is_some()).count() as u64;
        self.permits.set(self.permits.get() + permits);
        self.refusals.set(self.refusals.get() + verdicts.len() as u64 - permits);
    }

    /// The case is one that the law is about.
    pub(crate) fn meet(&self) {
        self.met.set(self.met.get() + 1);
    }
}

/// 10,000 cases. proptest's own generator of random numbers takes a third of the time of an unoptimised test.
pub(crate) fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::XorShift,
        ..ProptestConfig::with_cases(CASES)
    }
}

/// Puts a law to the test in 10,000 cases, of which at least `met_min` are about it, and of whose verdicts one in twenty
/// at least permits, and one refuses.
pub(crate) fn law<S: Strategy>(
    strategy: S,
    met_min: u32,
    check: impl Fn(&Tally, S::Value) -> TestCaseResult,
) {
    let tally = Tally::default();
    let mut runner = TestRunner::new(config());
    if let Err(fault) = runner.run(&strategy, |case| check(&tally, case)) {
        panic!("{fault}\n{runner}");
    }
    let (permits, refusals) = (tally.permits.get(), tally.refusals.get());
    let least = (permits + refusals) / 20;
    assert!(permits >= least && refusals >= least, "{tally:?}");
    assert!(tally.met.get() >= met_min, "{tally:?}");
}
