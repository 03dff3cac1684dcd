//! Heartbeats of all groups to one node, sent together.
//!
//! ```text
//! group 1 ─┐
//! group 2 ─┼─► collected for `heartbeat_linger`, or while the call before is under way ─► one call ─► each its answer
//! group 3 ─┘
//! ```
//! An idle cluster then costs a few calls per second and pair of nodes, whatever the number of groups. A read that cannot
//! use the lease asks by a heartbeat too, so the linger is what such a read waits at most before it is sent.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use custodia_profile::NodeId;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::message::{Appended, Body, Heartbeat, HeartbeatAnswer, Heartbeats, Reply};
use crate::node::Node;
use crate::transport::Peer;

/// Heartbeats in one call at most.
const BATCH_MAX: usize = 1_024;
/// Heartbeats that wait for one node at most; more are dropped, the next tick brings others.
const QUEUE_MAX: usize = 8_192;

struct Waiting {
    heartbeat: Heartbeat,
    answer: oneshot::Sender<Option<Appended>>,
}

/// One queue per node.
#[derive(Default)]
pub(crate) struct HeartbeatQueues {
    queues: Mutex<HashMap<(NodeId, String), mpsc::Sender<Waiting>>>,
}

impl HeartbeatQueues {
    /// Sends a heartbeat with others. Nothing comes back when the node does not answer or refuses it.
    pub(crate) async fn send(&self, node: &Arc<Node>, to: &Peer, heartbeat: Heartbeat) -> Option<Appended> {
        let (answer, answered) = oneshot::channel();
        let queue = self.queue(node, to);
        queue.try_send(Waiting { heartbeat, answer }).ok()?;
        drop(queue);
        answered.await.ok().flatten()
    }

    fn queue(&self, node: &Arc<Node>, to: &Peer) -> mpsc::Sender<Waiting> {
        let mut queues = self.queues.lock();
        let queue = queues.entry((to.node, to.address.clone())).or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(QUEUE_MAX);
            node.spawn("the sender of heartbeats", run(Arc::downgrade(node), to.clone(), receiver));
            sender
        });
        queue.clone()
    }
}

async fn run(node: Weak<Node>, to: Peer, mut queue: mpsc::Receiver<Waiting>) {
    loop {
        let Some(stop) = node.upgrade().map(|node| node.stop.clone()) else { return };
        let mut batch = Vec::new();
        tokio::select! {
            () = stop.cancelled() => return,
            received = queue.recv_many(&mut batch, BATCH_MAX) => if received == 0 { return },
        }
        let Some(node) = node.upgrade() else { return };
        tokio::time::sleep(node.timing.heartbeat_linger).await;
        while batch.len() < BATCH_MAX
            && let Ok(waiting) = queue.try_recv()
        {
            batch.push(waiting);
        }
        // Whoever has given up in the meantime is not spoken for.
        batch.retain(|waiting| !waiting.answer.is_closed());
        send(&node, &to, batch).await;
    }
}

async fn send(node: &Arc<Node>, to: &Peer, batch: Vec<Waiting>) {
    let (items, answers): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|waiting| (waiting.heartbeat, waiting.answer)).unzip();
    let body = Body::Heartbeats(Heartbeats { items });
    let reply = node.call(to, None, body, node.timing.heartbeat).await;
    let Ok(Reply::Heartbeats(replies)) = reply else {
        // Those who wait learn it by their answer's end.
        return;
    };
    for (answer, HeartbeatAnswer { appended }) in answers.into_iter().zip(replies.items) {
        if answer.send(appended).is_err() {
            tracing::trace!("a heartbeat was answered too late");
        }
    }
}
