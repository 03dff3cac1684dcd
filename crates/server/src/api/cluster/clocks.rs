//! Keeps the offsets of the nodes' clocks measured, see `routing/clock_offsets.rs`.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, interval};

use super::nodes::all_nodes;
use crate::shard::ShardContext;

/// How often the other nodes are asked.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// Asks all nodes for their clocks, from time to time and when the nodes change; runs until aborted.
pub(crate) async fn keep_clocks(context: Arc<ShardContext>) {
    let mut every = interval(ASK_EVERY);
    let mut changed = context.routing().consensus().directory_changed();
    loop {
        tokio::select! {
            _tick = every.tick() => {}
            Ok(()) = changed.changed() => {}
        }
        changed.mark_unchanged();
        // each answer is a measurement
        drop(all_nodes(&context, Instant::now() + ASK_EVERY).await);
        context.routing().clocks().correct(Instant::now());
    }
}
