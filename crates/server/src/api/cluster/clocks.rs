//! Keeps the offsets of the nodes' clocks measured, see `routing/clock_offsets.rs`.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, interval};

use super::nodes::all_nodes;
use crate::shard::ShardContext;

/// How often the other nodes are asked.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// Asks all nodes for their clocks, from time to time and when the nodes change; runs until aborted.
pub(crate) async fn keep_clocks(context: Arc<ShardContext>) {
    let consensus = context.routing().consensus();
    let (mut every, mut changed) = (interval(ASK_EVERY), consensus.directory_changed());
    let mut asked = Vec::new();
    loop {
        let is_due = tokio::select! {
            _tick = every.tick() => true,
            Ok(()) = changed.changed() => false,
        };
        // most changes of the directory are of the catalogue
        let nodes: Vec<_> = consensus.directory().nodes().cloned().collect();
        if !is_due && nodes == asked {
            continue;
        }
        // each answer is a measurement
        drop(all_nodes(&context, Instant::now() + ASK_EVERY).await);
        context.routing().clocks().correct(Instant::now());
        asked = nodes;
    }
}
