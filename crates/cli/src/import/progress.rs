//! What the user sees: a progress bar during the import and the counts at the end.

use std::path::Path;
use std::time::Instant;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::import::reader::Position;
use crate::import::tally::Tally;
use crate::text::output::table_of;

/// The progress bar; drawn on standard error if that is a terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    began: Instant,
    rows_before: u64,
}

impl Progress {
    pub(crate) fn new(bytes: u64, bytes_done: u64, rows_before: u64) -> Self {
        let bar = ProgressBar::new(bytes);
        if let Ok(style) =
            ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}  {elapsed}, {eta} left")
        {
            bar.set_style(style);
        }
        bar.set_position(bytes_done);
        bar.reset_eta();
        Self { bar, began: Instant::now(), rows_before }
    }

    pub(crate) fn show(&self, done: Position, tally: &Tally) {
        self.bar.set_position(done.bytes);
        let rate = rate(tally.rows.saturating_sub(self.rows_before), self.began);
        self.bar.set_message(format!(
            "{} rows, {}/s, {} accepted, {} refused",
            HumanCount(tally.rows),
            HumanCount(rate),
            HumanCount(tally.values_merged + tally.events_appended + tally.decisions()),
            HumanCount(tally.refused_total()),
        ));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// What is imported; determines the default state folder and the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Profiles,
    Decisions,
}

impl Kind {
    /// The suffix of the state folder after the file's name.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Profiles => ".custodia-import",
            Self::Decisions => ".custodia-consents",
        }
    }

    /// The counts with their names, without the refusals.
    pub(crate) fn counts(self, tally: &Tally) -> Vec<(&'static str, u64)> {
        let mut counts =
            vec![("rows", tally.rows), ("rows_refused", tally.rows_refused), ("requests", tally.requests)];
        match self {
            Self::Profiles => counts.extend([
                ("customers_created", tally.customers_created),
                ("customers_merged", tally.customers_merged),
                ("merges_proposed", tally.merges_proposed),
                ("values_merged", tally.values_merged),
                ("events_appended", tally.events_appended),
            ]),
            Self::Decisions => {}
        }
        counts.extend([
            ("decisions_recorded", tally.decisions_recorded),
            ("decisions_superseded", tally.decisions_superseded),
            ("decisions_known", tally.decisions_known),
        ]);
        counts
    }
}

/// The counts of all runs and the rate of this one, for people.
pub(crate) fn text(
    kind: Kind,
    tally: &Tally,
    folder: &Path,
    seconds: Option<f64>,
    rate: Option<u64>,
) -> String {
    // Not every file of data has decisions.
    let has_decisions = kind == Kind::Decisions || tally.decisions() > 0;
    let is_shown = |name: &str| name != "requests" && (has_decisions || !name.starts_with("decisions"));
    let counts = kind.counts(tally).into_iter().filter(|(name, _)| is_shown(name));
    let named = |name| if name == "rows_refused" { "rows refused, at least in part" } else { name };
    let counts = counts.map(|(name, count)| [named(name).replace('_', " "), HumanCount(count).to_string()]);
    let refused = tally.refused.iter();
    let refused =
        refused.map(|(reason, count)| [format!("refused: {reason}"), HumanCount(*count).to_string()]);
    let mut text = table_of(["IMPORTED", "COUNT"], counts.chain(refused));
    if let (Some(seconds), Some(rate)) = (seconds, rate) {
        text.push_str(&format!("\n\n{seconds:.1} s, {} rows/s", HumanCount(rate)));
    }
    text.push_str(&format!("\nstate folder: {}", folder.display()));
    if tally.decisions_superseded > 0 {
        text.push_str(
            "\nsuperseded: in the customer's history; a newer decision stands, or a no that was said here",
        );
    }
    if tally.merges_proposed > 0 {
        text.push_str("\nproposed merges: `custodia duplicates list` has the pairs");
    }
    if !tally.refused.is_empty() {
        text.push_str("\nrefused rows with their reasons: refused.jsonl in that folder");
    }
    text
}

/// Rows per second.
pub(crate) fn rate(rows: u64, began: Instant) -> u64 {
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    rows.saturating_mul(1_000) / millis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_counts_by_reason() {
        let mut tally = Tally { rows: 69_659, rows_refused: 12, events_appended: 69_659, ..Tally::default() };
        tally.refused.insert("not-parsed".into(), 12);
        let decisions = text(Kind::Decisions, &tally, Path::new("state"), None, None);
        assert!(decisions.contains("decisions recorded") && !decisions.contains("values"), "{decisions}");
        let text = text(Kind::Profiles, &tally, Path::new("state"), Some(2.0), Some(34_829));
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        assert_eq!(lines[1], "rows                            69,659");
        assert_eq!(lines[2], "rows refused, at least in part  12");
        assert_eq!(lines[8], "refused: not-parsed             12");
        assert!(text.contains("34,829 rows/s"), "{text}");
    }
}
