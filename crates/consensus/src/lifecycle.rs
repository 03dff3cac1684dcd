//! The tasks of consensus on one node, and how they end.
//!
//! ```text
//! running ─► draining: leadership is handed over, none is taken back ─► stopped: every task ends
//!    └─────► failed: storage failed or a part panicked; stopped at once (cluster/supervisor.rs)
//! ```
//! Every task is spawned by [`Lifecycle::spawn`] and ends when `stop` is cancelled.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use futures::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The tasks of one node and the signals that end them.
#[derive(Debug, Default)]
pub(crate) struct Lifecycle {
    /// Ends every task.
    pub(crate) stop: CancellationToken,
    /// Cancelled shortly before `stop`: leadership is handed over and not taken back.
    pub(crate) draining: CancellationToken,
    /// Cancelled when the engine or the log fails, or a part of consensus does.
    pub(crate) failed: CancellationToken,
    failed_part: OnceLock<String>,
    tasks: TaskTracker,
}

impl Lifecycle {
    /// Spawns a task that the node cannot do without: if it panics, the node has failed.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        part: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let lifecycle = Arc::clone(self);
        self.tasks.spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                lifecycle.fail(part.to_owned());
            }
        });
    }

    /// Marks the node as failed, because a part of it panicked or ended although nobody stopped it.
    pub(crate) fn fail(&self, part: String) {
        if !self.stop.is_cancelled() && !self.failed.is_cancelled() {
            tracing::error!(
                part,
                "a part of consensus stopped unexpectedly; stopping all replicas of this node"
            );
            self.failed_part.get_or_init(|| part);
            self.failed.cancel();
        }
    }

    /// The part that failed first; empty if none did.
    pub(crate) fn failed_part(&self) -> String {
        self.failed_part.get().cloned().unwrap_or_default()
    }

    /// Returns when every task has ended. Call it after `stop` is cancelled.
    pub(crate) async fn tasks_ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
