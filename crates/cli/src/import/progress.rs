//! What the user sees: a progress bar during the import and the counts at the end.

use std::path::Path;
use std::time::Instant;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::error::CliError;
use crate::import::reader::Position;
use crate::import::state::ImportState;
use crate::import::tally::Tally;
use crate::text::output::{self, Format, table};

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
            HumanCount(tally.values_merged + tally.events_appended + tally.decisions_recorded),
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
    fn counts(self, tally: &Tally) -> Vec<(&'static str, u64)> {
        match self {
            Self::Profiles => vec![
                ("rows", tally.rows),
                ("requests", tally.requests),
                ("customers_created", tally.customers_created),
                ("values_merged", tally.values_merged),
                ("events_appended", tally.events_appended),
            ],
            Self::Decisions => vec![
                ("rows", tally.rows),
                ("requests", tally.requests),
                ("decisions_recorded", tally.decisions_recorded),
            ],
        }
    }
}

/// Prints the counts of all runs and the rate of this one. Fails with [`CliError::PartlyRefused`] if anything was refused.
pub(crate) fn report(
    format: Format,
    kind: Kind,
    folder: &Path,
    state: &ImportState,
    began: Option<(Instant, u64)>,
) -> Result<(), CliError> {
    let tally = state.tally();
    let rate = began.map(|(began, rows_before)| rate(tally.rows.saturating_sub(rows_before), began));
    let seconds = began.map(|(began, _)| began.elapsed().as_secs_f64());
    match format {
        Format::Json => {
            let counts = kind.counts(tally).into_iter().map(|(name, count)| (name.to_owned(), count.into()));
            let mut report: serde_json::Map<_, _> = counts.collect();
            report.insert("refused".into(), serde_json::json!(tally.refused));
            report.insert("seconds".into(), seconds.into());
            report.insert("rows_per_second".into(), rate.into());
            report.insert("state".into(), folder.display().to_string().into());
            report.insert("refused_rows".into(), state.refused_path().display().to_string().into());
            output::print_json(&report.into())?;
        }
        Format::Table => output::line(&text(kind, tally, folder, seconds, rate))?,
    }
    if tally.refused.is_empty() { Ok(()) } else { Err(CliError::PartlyRefused) }
}

fn text(kind: Kind, tally: &Tally, folder: &Path, seconds: Option<f64>, rate: Option<u64>) -> String {
    let mut lines = table(["IMPORTED", "COUNT"]);
    for (name, count) in kind.counts(tally).into_iter().filter(|(name, _)| *name != "requests") {
        lines.add_row([name.replace('_', " "), HumanCount(count).to_string()]);
    }
    for (reason, count) in &tally.refused {
        lines.add_row([format!("refused: {reason}"), HumanCount(*count).to_string()]);
    }
    let mut text = lines.to_string();
    if let (Some(seconds), Some(rate)) = (seconds, rate) {
        text.push_str(&format!("\n\n{seconds:.1} s, {} rows/s", HumanCount(rate)));
    }
    text.push_str(&format!("\nstate folder: {}", folder.display()));
    if !tally.refused.is_empty() {
        text.push_str("\nrefused rows with their reasons: refused.jsonl in that folder");
    }
    text
}

/// Rows per second.
fn rate(rows: u64, began: Instant) -> u64 {
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    rows.saturating_mul(1_000) / millis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_counts_by_reason() {
        let mut tally = Tally { rows: 69_659, events_appended: 69_659, ..Tally::default() };
        tally.refused.insert("not-parsed".into(), 12);
        let decisions = text(Kind::Decisions, &tally, Path::new("state"), None, None);
        assert!(decisions.contains("decisions recorded") && !decisions.contains("values"), "{decisions}");
        let text = text(Kind::Profiles, &tally, Path::new("state"), Some(2.0), Some(34_829));
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        assert_eq!(lines[1], "rows                 69,659");
        assert_eq!(lines[5], "refused: not-parsed  12");
        assert!(text.contains("34,829 rows/s"), "{text}");
    }
}
