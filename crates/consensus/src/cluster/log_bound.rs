//! Keeps the logs of a node short, in entries and in bytes. An entry may have megabytes, and the library counts entries alone.
//!
//! ```text
//! purged │ held …                                  │ snapshot … applied … last
//!        └── purged when a snapshot covers it, and ──┘
//!            more than `kept_entries` are left behind the snapshot, or the log holds more than `log_bytes_max` (a quarter is
//!            left), or its old records keep files of the shared log from being removed (nothing is left)
//! ```
//! The library takes a snapshot each `snapshot_entries`; for bytes one is taken here. It copies nothing. Only this task purges: the
//! library's own purge and one from outside get in each other's way (its schedule would go backwards, which it asserts
//! against).

use std::collections::BTreeMap;
use std::sync::Arc;

use custodia_profile::ReplicaId;
use openraft::errors::Fatal;

use super::node::Node;
use crate::raft::types::TypeConfig;
use crate::replica::{LogPosition, Replica};
use crate::timing::Timing;

/// Purges until the node stops.
pub(crate) async fn bound_logs(node: Arc<Node>) {
    let (stop, timing) = (&node.context.lifecycle.stop, &node.context.timing);
    let mut wanted: BTreeMap<ReplicaId, u64> = BTreeMap::new();
    while stop.run_until_cancelled(tokio::time::sleep(timing.heartbeat)).await.is_some() {
        let old = node.context.storage.log.take_purge_wanted();
        for replica in node.replicas.all() {
            let position = replica.log_position();
            let too_old = position.applied.filter(|_| old.contains(&replica.id));
            let too_long = replica.log.purge_to_hold(timing.log_bytes_max);
            let before = wanted.remove(&replica.id);
            let through = too_old.max(too_long).max(before).max(too_many(position, timing));
            if let Some(through) = through.filter(|through| position.purged < Some(*through)) {
                wanted.insert(replica.id, through);
                if let Err(error) = purge(&replica, position, through).await {
                    tracing::debug!(group = %replica.group, %error, "log not purged");
                }
            }
        }
    }
}

/// The last entry to purge so that `kept_entries` are left behind the snapshot; nothing while it would be few.
fn too_many(position: LogPosition, timing: &Timing) -> Option<u64> {
    let through = position.snapshot?.checked_sub(timing.kept_entries)?;
    let held = through.saturating_sub(position.purged.unwrap_or(0));
    (held >= (timing.snapshot_entries / 16).max(1)).then_some(through)
}

/// Purges as far as a snapshot reaches already, and takes another if it has to reach further: under load the goal moves on
/// with each snapshot.
async fn purge(replica: &Replica, position: LogPosition, through: u64) -> Result<(), Fatal<TypeConfig>> {
    let covered = position.snapshot.map(|snapshot| snapshot.min(through));
    if let Some(covered) = covered.filter(|covered| position.purged < Some(*covered)) {
        replica.raft.trigger().purge_log(covered).await?;
    }
    if position.snapshot < Some(through) && position.snapshot < position.applied {
        replica.raft.trigger().snapshot().await?;
    }
    Ok(())
}
