//! Owns the catalogue's change log: every change in order, and the catalogue at any past time, replayed from it.
//!
//! ```text
//! directory ── change V   header{revision = V} ‖ CatalogueChange v1 { version V, time, who, the entry after the change }
//! ```
//!
//! Invariant: a change is written once, in the same command as its entry, under the catalogue's new version, and
//! its time is never before that of the previous change. So the changes up to a given time are a prefix of the log.
//! The log grows without bound: it is read from the engine and never kept in memory.

use bytes::Bytes;
use custodia_consensus::Write;
use custodia_profile::{Catalogue, CatalogueChange, CatalogueEntry, GroupId, Stored as _, TimestampMs};
use custodia_store::{Key, KeyKind, KeyPrefix, StateEngine, ValueHeader};

use crate::{scan::Scan, wire::ServiceError};

/// Changes read from the engine at a time.
const CHUNK: usize = 256;

/// The log entry for a change to `entry` by `changed_by`; written on the directory's leader.
pub(crate) fn logged_change(
    engine: &dyn StateEngine,
    version_before: u64,
    now: TimestampMs,
    changed_by: &str,
    entry: CatalogueEntry,
) -> Result<Write, ServiceError> {
    let before = engine.get(Key::catalogue_change(version_before).as_ref())?;
    let before = before.map(|value| decoded(&value)).transpose()?;
    let changed_at = before.map_or(now, |before| before.changed_at().max(now));
    let version = version_before.saturating_add(1);
    let change = CatalogueChange::new(version, changed_at, changed_by.to_owned(), entry)?;
    let header = ValueHeader { revision: version, ..ValueHeader::default() };
    let key = Key::catalogue_change(version).into_bytes();
    Ok(Write { key, value: Some(header.encode(&change.encode())) })
}

fn decoded(value: &Bytes) -> Result<CatalogueChange, ServiceError> {
    let (_, payload) = ValueHeader::decode(value)?;
    Ok(CatalogueChange::decode(&payload)?)
}

/// The catalogue and its version at a past time, from the log in this node's engine. The caller must have caught up
/// before.
pub(crate) fn as_of(engine: &dyn StateEngine, moment: TimestampMs) -> Result<(Catalogue, u64), ServiceError> {
    let mut log = ChangeLog::after(engine, None);
    let mut fault = None;
    let logged = std::iter::from_fn(|| {
        log.next_change().unwrap_or_else(|error| {
            fault = Some(error);
            None
        })
    });
    let found = Catalogue::as_of(logged, moment);
    if let Some(fault) = fault {
        return Err(fault);
    }
    found.map_err(|_replay| ServiceError::Internal { context: "the catalogue's change log does not replay" })
}

/// Iterator over the changes of the log, oldest first.
pub(crate) struct ChangeLog<'a>(Scan<'a>);

impl<'a> ChangeLog<'a> {
    /// The changes after a version, or all of them.
    pub(crate) fn after(engine: &'a dyn StateEngine, version: Option<u64>) -> Self {
        let last = version.map(|version| Key::catalogue_change(version).into_bytes());
        Self(Scan::new(engine, KeyPrefix::kind(GroupId::Directory, KeyKind::CatalogueChange), last, CHUNK))
    }

    pub(crate) fn next_change(&mut self) -> Result<Option<CatalogueChange>, ServiceError> {
        self.0.next_stored()?.map(|(_, value)| decoded(&value)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use custodia_profile::LawfulBasis;
    use custodia_store::{Batch, MemoryEngine};

    use super::*;
    use crate::catalogue::test_entries::{attribute, purpose, purpose_at};

    const CONTRACT: &[LawfulBasis] = &[LawfulBasis::Contract];
    const CONSENT: &[LawfulBasis] = &[LawfulBasis::Consent];

    fn at(ms: i64) -> TimestampMs {
        TimestampMs::from_ms(ms)
    }

    fn write(engine: &MemoryEngine, version_before: u64, ms: i64, entry: impl Into<CatalogueEntry>) {
        let logged = logged_change(engine, version_before, at(ms), "ana", entry.into()).expect("logged");
        let mut batch = Batch::new();
        batch.put(logged.key, logged.value.expect("a value"));
        engine.write(batch).expect("written");
    }

    fn all(engine: &MemoryEngine) -> Vec<CatalogueChange> {
        let mut log = ChangeLog::after(engine, None);
        std::iter::from_fn(|| log.next_change().expect("decodes")).collect()
    }

    #[test]
    fn a_change_is_never_dated_before_the_previous_one() {
        let engine = MemoryEngine::new();
        for (version, ms) in [(0, 100), (1, 90), (2, 120)] {
            write(&engine, version, ms, purpose_at(1, "care", CONTRACT, version + 1));
        }
        let moments: Vec<_> =
            all(&engine).iter().map(|change| (change.version(), change.changed_at())).collect();
        assert_eq!(moments, [(1, at(100)), (2, at(100)), (3, at(120))]);
        assert!(all(&engine).iter().all(|change| change.changed_by() == "ana"));
    }

    #[test]
    fn the_log_is_read_over_many_chunks_and_from_any_version() {
        let engine = MemoryEngine::new();
        let count = u64::try_from(CHUNK).expect("small") * 2;
        for version in 0..count {
            write(&engine, version, 1, purpose_at(1, "care", CONTRACT, version + 1));
        }
        assert_eq!(all(&engine).len(), CHUNK * 2);
        let mut log = ChangeLog::after(&engine, Some(count - 1));
        assert_eq!(log.next_change().expect("decodes").map(|change| change.version()), Some(count));
        assert_eq!(log.next_change().expect("decodes"), None);
        assert_eq!(log.next_change().expect("decodes"), None);
    }

    /// CO-8.
    #[test]
    fn the_catalogue_at_a_past_time_has_the_entries_as_they_were() {
        let engine = MemoryEngine::new();
        write(&engine, 0, 100, purpose(1, "care", CONTRACT));
        write(&engine, 1, 200, attribute(1, "email", &[1]));
        write(&engine, 2, 300, purpose_at(1, "care", CONSENT, 2));
        let found = |ms| {
            let (catalogue, version) = as_of(&engine, at(ms)).expect("replays");
            let bases = catalogue.purpose_by_id("care").map(|purpose| purpose.lawful_bases.clone());
            (bases, catalogue.attribute_by_name("email").is_some(), version)
        };
        assert_eq!(found(99), (None, false, 0));
        assert_eq!(found(100), (Some(CONTRACT.to_vec()), false, 1));
        assert_eq!(found(299), (Some(CONTRACT.to_vec()), true, 2));
        assert_eq!(found(300), (Some(CONSENT.to_vec()), true, 3));
    }
}
