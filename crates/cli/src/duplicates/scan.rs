//! `custodia duplicates scan`: step after step until the scan is complete.
//!
//! The first step of the comparison also learns the model.

use std::time::Duration;

use custodia_proto::v1::{self, ScanPhase};
use indicatif::{HumanCount, ProgressBar};

use super::pairs::model_text;
use crate::connection::Connection;
use crate::connection::steps::{STEP_DEADLINE, progress_bar, step};
use crate::error::CliError;
use crate::text::output::facts;

/// Steps of the progress bar.
const PERCENT: f64 = 100.0;

/// What `duplicates scan` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Scan {
    /// Purpose for which you read the data
    #[arg(long)]
    purpose: String,
    /// Pause after each step in milliseconds, for the other callers
    #[arg(long, default_value_t = 50, value_name = "MS")]
    pause: u64,
}

impl Scan {
    pub(super) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        let client = connection.client_with_deadline(STEP_DEADLINE)?;
        let bar = progress_bar();
        let mut sum = v1::ScanDuplicatesResponse::default();
        let mut request = v1::ScanDuplicatesRequest { purpose: self.purpose, page_token: String::new() };
        loop {
            let step = step(&client, &request).await?;
            show(&bar, &step, &sum);
            request.page_token.clone_from(&step.next_page_token);
            add(&mut sum, step);
            if request.page_token.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(self.pause)).await;
        }
        bar.finish_and_clear();
        connection.print(&sum, scan_text)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "percent of a share from 0 to 1")]
fn show(bar: &ProgressBar, step: &v1::ScanDuplicatesResponse, sum: &v1::ScanDuplicatesResponse) {
    bar.set_position((step.done * PERCENT) as u64);
    bar.set_message(match step.phase() {
        ScanPhase::Compare => format!("{} pairs compared", HumanCount(sum.pairs_compared)),
        ScanPhase::Recheck => "open pairs compared again".to_owned(),
        ScanPhase::Index | ScanPhase::Unspecified => {
            format!("{} customers read", HumanCount(sum.records_read))
        }
    });
}

/// Adds what a step did to what the steps before it did.
fn add(sum: &mut v1::ScanDuplicatesResponse, step: v1::ScanDuplicatesResponse) {
    let before = std::mem::replace(sum, step);
    sum.records_read += before.records_read;
    sum.records_indexed += before.records_indexed;
    sum.pairs_compared += before.pairs_compared;
    sum.pairs_found += before.pairs_found;
    sum.pairs_removed += before.pairs_removed;
    sum.model = sum.model.take().or(before.model);
}

fn scan_text(sum: &v1::ScanDuplicatesResponse) -> String {
    let counts = facts([
        ("customers read", sum.records_read.to_string()),
        ("newly indexed", sum.records_indexed.to_string()),
        ("pairs compared", sum.pairs_compared.to_string()),
        ("new in the queue", sum.pairs_found.to_string()),
        ("taken back", sum.pairs_removed.to_string()),
    ]);
    let model = sum.model.as_ref().map(model_text).unwrap_or_default();
    [counts, model].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_all_steps_are_added_and_the_last_model_is_kept() {
        let step = |found, model: Option<u64>| v1::ScanDuplicatesResponse {
            pairs_found: found,
            model: model.map(|records| v1::DuplicateModel { records, ..Default::default() }),
            ..Default::default()
        };
        let mut sum = v1::ScanDuplicatesResponse::default();
        for one in [step(0, None), step(2, Some(7)), step(1, Some(8)), step(0, None)] {
            add(&mut sum, one);
        }
        assert_eq!((sum.pairs_found, sum.model.map(|model| model.records)), (3, Some(8)));
    }
}
