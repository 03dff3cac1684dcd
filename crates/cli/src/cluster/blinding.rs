//! `custodia keys rotate --level blinding`: step after step until the rotation is complete.
//!
//! The shards remember how far they are, so whoever gives the command again goes on with a rotation that was left.

use std::time::Duration;

use custodia_proto::v1::{self, BlindingRotation, BlindingRotationPhase as Phase};
use indicatif::{HumanCount, ProgressBar};

use crate::connection::Connection;
use crate::connection::steps::{STEP_DEADLINE, progress_bar, step};
use crate::error::CliError;
use crate::text::output::facts;

/// Rotates the blinding key, with a pause after each step.
pub(super) async fn rotate(connection: &Connection, pause: Duration) -> Result<(), CliError> {
    let client = connection.client_with_deadline(STEP_DEADLINE)?;
    let bar = progress_bar();
    let level = v1::KeyLevel::Blinding.into();
    let mut request = v1::RotateKeysRequest { level, ..Default::default() };
    let mut sum = BlindingRotation::default();
    loop {
        let rotated = step(&client, &request).await?.blinding.unwrap_or_default();
        request.blinding_epoch = rotated.key_epoch;
        show(&bar, &rotated, &sum);
        add(&mut sum, rotated);
        if sum.complete {
            break;
        }
        tokio::time::sleep(pause).await;
    }
    bar.finish_and_clear();
    connection.print(&sum, text)
}

/// A bar on a terminal; and a line for each phase that all shards are through with.
fn show(bar: &ProgressBar, step: &BlindingRotation, sum: &BlindingRotation) {
    let done =
        if step.shards == 0 { 100 } else { u64::from(step.shards_done) * 100 / u64::from(step.shards) };
    bar.set_position(done);
    let customers = HumanCount(sum.customers_read + step.customers_read);
    let removed = HumanCount(sum.entries_removed + step.entries_removed);
    let (message, end) = match step.phase() {
        Phase::Fill => (format!("{customers} customers read"), "every customer is in the indexes under it"),
        Phase::Switch => ("shards switch".to_owned(), "every lookup uses it"),
        Phase::Drop => (format!("{removed} old entries removed"), "the entries under the old key are gone"),
        Phase::Finish | Phase::Unspecified => return,
    };
    bar.set_message(message);
    if step.shards_done == step.shards {
        bar.suspend(|| eprintln!("blinding key {}: {end}", step.key_epoch));
    }
}

/// Adds what a step did to what the steps before it did.
fn add(sum: &mut BlindingRotation, step: BlindingRotation) {
    let before = std::mem::replace(sum, step);
    sum.customers_read += before.customers_read;
    sum.identifiers_indexed += before.identifiers_indexed;
    sum.entries_removed += before.entries_removed;
}

fn text(sum: &BlindingRotation) -> String {
    if sum.key_epoch == 0 {
        return "there is no blinding key yet: it comes with the first namespace".to_owned();
    }
    facts([
        ("current blinding key", sum.key_epoch.to_string()),
        ("customers read", sum.customers_read.to_string()),
        ("identifiers indexed", sum.identifiers_indexed.to_string()),
        ("old entries removed", sum.entries_removed.to_string()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_all_steps_are_added_and_the_last_state_is_shown() {
        let step = |read, complete| BlindingRotation {
            key_epoch: 2,
            customers_read: read,
            complete,
            ..Default::default()
        };
        let mut sum = BlindingRotation::default();
        for one in [step(3, false), step(4, false), step(0, true)] {
            add(&mut sum, one);
        }
        assert!(sum.complete);
        assert!(
            text(&sum).lines().any(|line| line.contains("customers read") && line.trim_end().ends_with('7'))
        );
        assert!(text(&BlindingRotation::default()).contains("no blinding key yet"));
    }
}
