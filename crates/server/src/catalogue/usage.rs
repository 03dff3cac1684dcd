//! Owns the last day on which each attribute was read and collected: data that nobody uses should no longer be collected
//! (GDPR Art. 5(1)(c), data minimisation; GO-3).
//!
//! ```text
//! a value is given ──▶ this node: last day of the attribute, one relaxed load ──▶ (first of a day) ──▶ wakes the task
//! a value is merged ─▶ the same                                                                           │
//! task: wait for half a second ─▶ the directory's leader: the later day wins, in one conditional command ◀───┘
//!
//! directory ── usage of attribute N   header{revision} ‖ 0x01 ‖ last read BE 4 ‖ last collected BE 4   days since 1970, UTC
//! ```
//!
//! Invariant: a day never decreases, neither here nor in the directory, so reports may arrive repeatedly and in any
//! order. A value counts as read when it is given, not when it is withheld or only judged. The first use on a day reaches
//! the directory within about a second, and before the node stops. A node that is killed within that second loses it.

use std::{
    fmt,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use bytes::BufMut as _;
use custodia_consensus::{Command, Condition, Directory, Expected, Write};
use custodia_profile::{AttributeNumber, Date, GroupId, TimestampMs, limits::ATTRIBUTES_MAX};
use custodia_proto::internal::v1::{AttributeUsage, RecordUsageRequest};
use custodia_store::{Key, ValueHeader};
use tokio::{
    sync::{Mutex, Notify},
    time::{Instant, sleep, timeout_at},
};

use crate::{propose::Attempt, routing::Routing, wire::ServiceError};

/// How long the task waits after a first use, so that one report covers several attributes.
const GATHER: Duration = Duration::from_millis(500);
/// The timeout of one report, and the wait after a failed one.
const REPORT: Duration = Duration::from_secs(1);
const VERSION: u8 = 1;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// A day in UTC, counted from 1970-01-01; 0 means never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Day(u32);

impl Day {
    #[cfg(test)]
    pub(crate) const fn new(days: u32) -> Self {
        Self(days)
    }

    pub(crate) fn of(moment: TimestampMs) -> Self {
        Self(u32::try_from(moment.as_ms().div_euclid(DAY_MS)).unwrap_or(0))
    }

    /// The number of days from `other` to this day; 0 if `other` is later.
    pub(crate) const fn days_since(self, other: Self) -> u32 {
        self.0.saturating_sub(other.0)
    }

    /// YYYY-MM-DD; empty for never.
    pub(crate) fn text(self) -> String {
        let date = i32::try_from(self.0).ok().filter(|days| *days > 0).map(Date::from_days);
        date.and_then(Result::ok).map(|date| date.to_string()).unwrap_or_default()
    }
}

/// When one attribute was last read and last collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Days {
    pub(crate) read: Day,
    pub(crate) collected: Day,
}

impl Days {
    fn later(self, other: Self) -> Self {
        Self { read: self.read.max(other.read), collected: self.collected.max(other.collected) }
    }

    fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(9);
        bytes.put_u8(VERSION);
        bytes.put_u32(self.read.0);
        bytes.put_u32(self.collected.0);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, ServiceError> {
        let malformed = ServiceError::Internal { context: "stored attribute usage does not decode" };
        match <&[u8; 9]>::try_from(bytes) {
            Ok([VERSION, a, b, c, d, e, f, g, h]) => Ok(Self {
                read: Day(u32::from_be_bytes([*a, *b, *c, *d])),
                collected: Day(u32::from_be_bytes([*e, *f, *g, *h])),
            }),
            Ok(_) | Err(_) => Err(malformed),
        }
    }
}

/// The use of attributes on this node, indexed by the attribute's number.
pub(crate) struct Usage {
    read: Box<[AtomicU32]>,
    collected: Box<[AtomicU32]>,
    changed: Notify,
    /// What this node has reported to the directory.
    reported: Mutex<Vec<Days>>,
}

impl fmt::Debug for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Usage").finish_non_exhaustive()
    }
}

impl Usage {
    pub(crate) fn new() -> Self {
        // Numbers are assigned from 1 without gaps, up to this maximum.
        let never = || (0..=ATTRIBUTES_MAX).map(|_| AtomicU32::new(0)).collect();
        let reported = Mutex::new(vec![Days::default(); ATTRIBUTES_MAX + 1]);
        Self { read: never(), collected: never(), changed: Notify::new(), reported }
    }

    /// A value of the attribute was given to a caller.
    pub(crate) fn read(&self, attribute: AttributeNumber, today: Day) {
        self.note(&self.read, attribute, today);
    }

    /// A value of the attribute was merged.
    pub(crate) fn collected(&self, attribute: AttributeNumber, today: Day) {
        self.note(&self.collected, attribute, today);
    }

    fn note(&self, days: &[AtomicU32], attribute: AttributeNumber, today: Day) {
        let Some(last) = index(attribute).and_then(|index| days.get(index)) else { return };
        if last.load(Ordering::Relaxed) != today.0 && last.fetch_max(today.0, Ordering::Relaxed) < today.0 {
            self.changed.notify_one();
        }
    }

    fn seen(&self) -> impl Iterator<Item = Days> {
        let day = |day: &AtomicU32| Day(day.load(Ordering::Relaxed));
        self.read
            .iter()
            .zip(&self.collected)
            .map(move |(read, collected)| Days { read: day(read), collected: day(collected) })
    }

    /// Reports the use of attributes; runs until aborted.
    pub(crate) async fn keep_up(&self, routing: &Routing) {
        loop {
            self.changed.notified().await;
            sleep(GATHER).await;
            while let Err(error) = self.report(routing, Instant::now() + REPORT).await {
                tracing::debug!(%error, "attribute usage not reported yet");
                sleep(REPORT).await;
            }
        }
    }

    /// Reports what is still unreported; for a node that is about to stop.
    pub(crate) async fn report_last(&self, routing: &Routing) {
        if let Err(error) = self.report(routing, Instant::now() + REPORT).await {
            tracing::warn!(%error, "final attribute usage report failed");
        }
    }

    async fn report(&self, routing: &Routing, deadline: Instant) -> Result<(), ServiceError> {
        let mut reported = self.reported.lock().await;
        let seen: Vec<Days> = self.seen().collect();
        let report = unreported(&seen, &reported);
        if report.attributes.is_empty() {
            return Ok(());
        }
        if routing.leads(GroupId::Directory) {
            record_usage(routing, &report, deadline).await?;
        } else {
            let leader = routing.leader_hint(GroupId::Directory);
            let leader = leader.ok_or(ServiceError::NotLeader { leader: None })?;
            let recorded =
                timeout_at(deadline, routing.peers().record_usage(&leader, report, deadline)).await;
            recorded
                .map_err(|_elapsed| ServiceError::DeadlinePassed)?
                .map_err(|_status| ServiceError::LeaderUnreachable { leader })?;
        }
        *reported = seen;
        Ok(())
    }
}

/// Merges a report into the directory, on its leader.
pub(crate) async fn record_usage(
    routing: &Routing,
    report: &RecordUsageRequest,
    deadline: Instant,
) -> Result<(), ServiceError> {
    let days = &parsed(report)?;
    let evaluate = || async move {
        let directory = routing.consensus().directory();
        let command = raise_days(days, |attribute| usage_of(&directory, attribute))?;
        Ok(if command.writes.is_empty() {
            Attempt::Done(())
        } else {
            Attempt::Propose { command, answer: () }
        })
    };
    routing.propose_until_applied(GroupId::Directory, deadline, evaluate).await
}

fn index(attribute: AttributeNumber) -> Option<usize> {
    usize::try_from(attribute.as_u32()).ok()
}

/// The attributes whose days changed since the last report.
fn unreported(seen: &[Days], reported: &[Days]) -> RecordUsageRequest {
    let rows = (0_u32..).zip(seen.iter().zip(reported)).filter(|(_, (seen, reported))| seen != reported);
    let usage = |(attribute, (seen, _)): (u32, (&Days, &Days))| AttributeUsage {
        attribute,
        read_on: seen.read.0,
        collected_on: seen.collected.0,
    };
    RecordUsageRequest { attributes: rows.map(usage).collect() }
}

fn parsed(report: &RecordUsageRequest) -> Result<Vec<(AttributeNumber, Days)>, ServiceError> {
    let row = |row: &AttributeUsage| {
        let number = AttributeNumber::new(row.attribute);
        let number = number
            .map_err(|_zero| ServiceError::invalid("attributes", "expected attribute numbers from 1"))?;
        Ok((number, Days { read: Day(row.read_on), collected: Day(row.collected_on) }))
    };
    report.attributes.iter().map(row).collect()
}

/// The command that raises every day that is later than the directory's.
fn raise_days(
    days: &[(AttributeNumber, Days)],
    stored: impl Fn(AttributeNumber) -> Result<(u64, Days), ServiceError>,
) -> Result<Command, ServiceError> {
    let mut command = Command::default();
    for (attribute, seen) in days {
        let (revision, stored) = stored(*attribute)?;
        let later = stored.later(*seen);
        if later == stored {
            continue;
        }
        let key = Key::attribute_usage(*attribute).into_bytes();
        command.conditions.push(Condition { key: key.clone(), expected: Expected::as_read(revision) });
        let header = ValueHeader { revision: revision.saturating_add(1), ..ValueHeader::default() };
        command.writes.push(Write { key, value: Some(header.encode(&later.encode())) });
    }
    Ok(command)
}

/// The directory's revision and days of an attribute; revision 0 if it has none.
pub(crate) fn usage_of(
    directory: &Directory,
    attribute: AttributeNumber,
) -> Result<(u64, Days), ServiceError> {
    let Some(value) = directory.entry(&Key::attribute_usage(attribute)) else {
        return Ok((0, Days::default()));
    };
    let (header, payload) = ValueHeader::decode(value)?;
    Ok((header.revision, Days::decode(&payload)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: u32) -> AttributeNumber {
        AttributeNumber::new(number).expect("a number")
    }

    fn days(read: u32, collected: u32) -> Days {
        Days { read: Day(read), collected: Day(collected) }
    }

    #[test]
    fn a_day_is_in_utc_and_prints_as_a_date() {
        for (ms, day, text) in [
            (DAY_MS - 1, 0, ""),
            (DAY_MS, 1, "1970-01-02"),
            (1_772_323_199_999, 20_512, "2026-02-28"),
            (1_772_323_200_000, 20_513, "2026-03-01"),
        ] {
            let found = Day::of(TimestampMs::from_ms(ms));
            assert_eq!((found, found.text().as_str()), (Day(day), text));
        }
        assert_eq!(Day::of(TimestampMs::from_ms(-1)), Day(0), "before the first day");
    }

    #[test]
    fn days_on_disk_are_pinned() {
        let bytes = [1, 0, 0, 0x50, 0x20, 0, 0, 0x50, 0x21];
        assert_eq!(days(0x5020, 0x5021).encode(), bytes);
        assert_eq!(Days::decode(&bytes).expect("decodes"), days(0x5020, 0x5021));
        for wrong in [&bytes[..8], &[2, 0, 0, 0, 0, 0, 0, 0, 0], &[]] {
            assert!(Days::decode(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_report_has_only_what_is_unreported() {
        let usage = Usage::new();
        usage.read(number(3), Day(7));
        usage.collected(number(3), Day(6));
        usage.collected(number(ATTRIBUTES_MAX.try_into().expect("small")), Day(9));
        // Days never decrease, and a number that no catalogue assigns belongs to no attribute.
        usage.read(number(3), Day(5));
        usage.read(number(u32::MAX), Day(8));
        let seen: Vec<Days> = usage.seen().collect();
        let reported = vec![Days::default(); seen.len()];
        let rows = parsed(&unreported(&seen, &reported)).expect("rows");
        assert_eq!(rows, [(number(3), days(7, 6)), (number(4_096), days(0, 9))]);
        assert!(unreported(&seen, &seen).attributes.is_empty());
        let nobody = RecordUsageRequest { attributes: vec![AttributeUsage::default()] };
        assert!(parsed(&nobody).is_err(), "no attribute has the number 0");
    }

    #[test]
    fn the_later_day_wins_in_any_order_of_reports() {
        let stored = |attribute: AttributeNumber| match attribute.as_u32() {
            1 => Ok((4, days(10, 20))),
            _ => Ok((0, Days::default())),
        };
        let unchanged = [(number(1), days(9, 20)), (number(2), days(0, 0))];
        assert_eq!(raise_days(&unchanged, stored).expect("decided"), Command::default());
        let later = [(number(1), days(9, 21)), (number(2), days(3, 0))];
        let command = raise_days(&later, stored).expect("decided");
        let expected: Vec<_> = command.conditions.iter().map(|condition| condition.expected).collect();
        assert_eq!(expected, [Expected::Revision(4), Expected::Absent]);
        let written = command.writes.iter().map(|write| {
            let value = write.value.as_ref().expect("a value");
            let (header, payload) = ValueHeader::decode(value).expect("a header");
            (header.revision, Days::decode(&payload).expect("days"))
        });
        assert_eq!(written.collect::<Vec<_>>(), [(5, days(10, 21)), (1, days(3, 0))]);
    }

    #[tokio::test]
    async fn the_first_use_of_a_day_wakes_the_task_and_no_later_one_does() {
        let usage = Usage::new();
        usage.read(number(1), Day(7));
        usage.changed.notified().await;
        usage.read(number(1), Day(7));
        usage.collected(number(1), Day(0));
        assert!(futures::FutureExt::now_or_never(usage.changed.notified()).is_none());
        usage.collected(number(1), Day(7));
        usage.changed.notified().await;
    }
}
