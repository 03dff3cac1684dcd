//! Owns what the law needs to know about a data subject besides its decisions: where it lives, its age, whether its
//! data is restricted or held. Always: at most eight regions are stated, a merge can bring more together; a stated
//! birth date is past; redacted in `Debug`.

use std::{collections::BTreeSet, fmt, sync::Arc};

use crate::{
    Catalogue, CustomerId, CustomerRecord, Date, Jurisdiction, LedgerBody, LedgerEntry, ProfileError,
    Reference, Region, TimestampMs, limits::SUBJECT_REGIONS_MAX,
};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// The data is stored, and nothing else (GDPR Art. 18).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restriction {
    /// Why.
    pub reason: Reference,
    /// Since when.
    pub since: TimestampMs,
}

/// The data is kept unchanged for a legal claim, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegalHold {
    /// The matter.
    pub reference: Reference,
    /// Since when.
    pub since: TimestampMs,
}

/// What is known about a data subject. Nothing by default.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct DataSubject {
    /// Where the customer lives. None: the rules of the catalogue's default jurisdiction. Several: each one's rules.
    pub regions: BTreeSet<Region>,
    /// Beside `regions` the customer may live anywhere, so that the default jurisdiction's rules hold too. That is so
    /// after a merge of two records of which one has no region.
    pub region_unknown: bool,
    /// Nothing: an adult as far as is known.
    pub birth_date: Option<Date>,
    /// Set: restricted.
    pub restriction: Option<Restriction>,
    /// Set: held.
    pub legal_hold: Option<LegalHold>,
    /// When a signal last opted out of sale and sharing, whatever the purposes were then; nothing: never. It counts in
    /// jurisdictions that honour Global Privacy Control, until the customer's own later consent to a purpose.
    pub sale_opt_out: Option<TimestampMs>,
    /// When any of this changed last; nothing: never.
    pub updated_at: Option<TimestampMs>,
}

impl DataSubject {
    /// Whether nothing is known, and nothing ever was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The jurisdictions whose rules hold, by region; the default one last, where it is among them. Two regions can
    /// have the same one, so that it comes twice.
    pub fn jurisdictions<'a>(&self, catalogue: &'a Catalogue) -> impl Iterator<Item = &'a Arc<Jurisdiction>> {
        let anywhere = (self.regions.is_empty() || self.region_unknown).then_some(None);
        let regions = self.regions.iter().map(Some).chain(anywhere);
        regions.map(|region| catalogue.jurisdiction_of(region))
    }

    /// The age in full years on the day, in UTC, of a moment; nothing where no birth date is known.
    ///
    /// The years are those of the calendar. Whoever is born on 29 February completes a year of life, in a year without
    /// that day, at the end of 28 February, and so is a year older on 1 March (German Civil Code §§ 187(2), 188(2)
    /// and (3)). Some countries say 28 February; 1 March is the stricter.
    #[must_use]
    pub fn age_at(&self, moment: TimestampMs) -> Option<u16> {
        let (birth_year, birth_month, birth_day) = self.birth_date?.year_month_day();
        let (year, month, day) = day_of(moment)?.year_month_day();
        let had_birthday = (month, day) >= (birth_month, birth_day);
        let years = year - birth_year - i32::from(!had_birthday);
        Some(u16::try_from(years).unwrap_or(0))
    }

    /// Whether the data subject is younger at a moment than `years`. One without a birth date is not.
    #[must_use]
    pub fn is_below(&self, years: u8, moment: TimestampMs) -> bool {
        self.age_at(moment).is_some_and(|age| age < u16::from(years))
    }
}

impl fmt::Debug for DataSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataSubject").field("regions", &self.regions.len()).finish_non_exhaustive()
    }
}

/// The day, in UTC, of a moment; nothing outside the years 1 to 9999.
fn day_of(moment: TimestampMs) -> Option<Date> {
    let days = i32::try_from(moment.as_ms().div_euclid(DAY_MS)).ok()?;
    Date::from_days(days).ok()
}

/// What becomes of one field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum FieldChange<T> {
    /// It stays.
    #[default]
    Keep,
    /// It is taken out.
    Clear,
    /// It becomes this.
    Set(T),
}

impl<T> FieldChange<T> {
    fn apply<S>(self, stored: Option<S>, set: impl FnOnce(T, Option<S>) -> S) -> Option<S> {
        match self {
            Self::Keep => stored,
            Self::Clear => None,
            Self::Set(value) => Some(set(value, stored)),
        }
    }
}

/// A change of what is known about a data subject.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubjectChange {
    /// The regions.
    pub regions: FieldChange<BTreeSet<Region>>,
    /// The birth date.
    pub birth_date: FieldChange<Date>,
    /// Why the data is restricted. A restriction that stands keeps its beginning.
    pub restriction: FieldChange<Reference>,
    /// The matter for which the data is held. A hold that stands keeps its beginning.
    pub legal_hold: FieldChange<Reference>,
}

/// The record after a change that is no decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The record; the same as before where nothing changed.
    pub record: CustomerRecord,
    /// The entry to append to the ledger, where something changed.
    pub ledger: Option<LedgerEntry>,
}

/// Changes what is known about a data subject.
///
/// # Errors
/// `TooMany` above eight regions; `Malformed` where the birth date lies in the future: after tomorrow in UTC, since
/// today somewhere can be tomorrow there.
pub fn update_subject(
    record: &CustomerRecord,
    customer: &CustomerId,
    change: SubjectChange,
    now: TimestampMs,
) -> Result<Changed, ProfileError> {
    check(&change, now)?;
    let SubjectChange { regions, birth_date, restriction, legal_hold } = change;
    let stored = record.subject.clone();
    let mut subject = DataSubject {
        birth_date: birth_date.apply(stored.birth_date, |date, _| date),
        restriction: restriction.apply(stored.restriction, |reason, stored| Restriction {
            reason,
            since: stored.map_or(now, |stored: Restriction| stored.since),
        }),
        legal_hold: legal_hold.apply(stored.legal_hold, |reference, stored| LegalHold {
            reference,
            since: stored.map_or(now, |stored: LegalHold| stored.since),
        }),
        ..stored
    };
    match regions {
        FieldChange::Keep => {}
        FieldChange::Clear => (subject.regions, subject.region_unknown) = (BTreeSet::new(), false),
        FieldChange::Set(regions) => (subject.regions, subject.region_unknown) = (regions, false),
    }
    let mut record = record.clone();
    if subject == record.subject {
        return Ok(Changed { record, ledger: None });
    }
    subject.updated_at = Some(now);
    record.subject = subject.clone();
    let entry = record.append_ledger(customer, LedgerBody::Subject(subject), now);
    Ok(Changed { record, ledger: Some(entry) })
}

fn check(change: &SubjectChange, now: TimestampMs) -> Result<(), ProfileError> {
    if let FieldChange::Set(regions) = &change.regions
        && regions.len() > SUBJECT_REGIONS_MAX
    {
        return Err(ProfileError::TooMany { field: "regions", count_max: SUBJECT_REGIONS_MAX });
    }
    if let FieldChange::Set(date) = &change.birth_date
        && day_of(now.plus_ms(DAY_MS)).is_some_and(|tomorrow| *date > tomorrow)
    {
        return Err(ProfileError::Malformed { field: "birth_date", expected: "a day that is past" });
    }
    Ok(())
}
