//! Owns how what is known about a data subject changes. Always: a change and its ledger entry come together; a birth date
//! is not in the future; a restriction or a hold can be set at any time, and is lifted only by who has read it.

use std::collections::BTreeSet;

use crate::{
    chain::ChangeContext,
    data_subject::{DataSubject, LegalHold, Restriction, day_of},
    error::ProfileError,
    id::{DAY_MS, Region, TimestampMs},
    label::Reference,
    ledger::{LedgerBody, LedgerEntry},
    limits::SUBJECT_REGIONS_MAX,
    record::CustomerRecord,
    replacement::Precondition,
    value::Date,
};

/// What happens to one field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum FieldChange<T> {
    /// It stays.
    #[default]
    Keep,
    /// It is removed.
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
    /// Why processing is restricted. An existing restriction keeps its start.
    pub restriction: FieldChange<Reference>,
    /// The matter for which the data is held. An existing hold keeps its start.
    pub legal_hold: FieldChange<Reference>,
}

/// The record after a change that is not a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The record; the same as before if nothing changed.
    pub record: CustomerRecord,
    /// The entry to append to the ledger, if something changed.
    pub ledger: Option<LedgerEntry>,
}

/// Changes what is known about a data subject.
///
/// # Errors
/// `TooMany` for more than eight regions; `Malformed` for a birth date in the future: after tomorrow in UTC, since
/// tomorrow in UTC may be today elsewhere; `LiftsUnseen` for lifting a restriction or a hold without naming the version
/// that was read; `RequestSuperseded` if the data subject was changed after the request was made.
pub fn update_subject(
    record: &CustomerRecord,
    change: SubjectChange,
    precondition: Precondition,
    context: ChangeContext<'_>,
) -> Result<Changed, ProfileError> {
    let now = context.now;
    check_subject(&change, now)?;
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
    if record.subject.restriction.is_some() && subject.restriction.is_none() {
        precondition.check_lifting("the restriction")?;
    }
    if record.subject.legal_hold.is_some() && subject.legal_hold.is_none() {
        precondition.check_lifting("the legal hold")?;
    }
    if !only_restricts(&record.subject, &subject) {
        precondition.check(record.requested.subject)?;
    }
    subject.updated_at = Some(now);
    record.requested.subject = precondition.date_after(record.requested.subject);
    record.subject = subject.clone();
    let entry = record.append_ledger(LedgerBody::Subject(subject), context);
    Ok(Changed { record, ledger: Some(entry) })
}

/// Whether the subject differs in nothing but a restriction or a hold that was not there.
fn only_restricts(stored: &DataSubject, subject: &DataSubject) -> bool {
    let kept = DataSubject {
        restriction: stored.restriction.clone().or_else(|| subject.restriction.clone()),
        legal_hold: stored.legal_hold.clone().or_else(|| subject.legal_hold.clone()),
        ..stored.clone()
    };
    kept == *subject
}

/// Checks what does not depend on a record.
///
/// # Errors
/// `TooMany` for more than eight regions; `Malformed` for a birth date in the future.
pub fn check_subject(change: &SubjectChange, now: TimestampMs) -> Result<(), ProfileError> {
    if let FieldChange::Set(regions) = &change.regions
        && regions.len() > SUBJECT_REGIONS_MAX
    {
        return Err(ProfileError::TooMany { field: "regions", count_max: SUBJECT_REGIONS_MAX });
    }
    if let FieldChange::Set(date) = &change.birth_date
        && day_of(now.plus_ms(DAY_MS)).is_some_and(|tomorrow| *date > tomorrow)
    {
        return Err(ProfileError::Malformed { field: "birth_date", expected: "a date in the past" });
    }
    Ok(())
}
