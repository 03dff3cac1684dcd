//! Heartbeats of all groups to one node, sent in one call.
//!
//! ```text
//! group 1 ─┐
//! group 2 ─┼─► collected for `heartbeat_linger`, or while the previous call runs ─► one call ─► an answer for each
//! group 3 ─┘
//! ```
//! So an idle cluster makes a few calls per second and pair of nodes, however many groups it has. A read barrier that the
//! lease does not cover also sends a heartbeat, so the linger is the longest delay that batching adds to it.

use std::collections::HashMap;
use std::sync::Arc;

use custodia_profile::NodeId;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::client::PeerClient;
use super::message::{Appended, Body, Heartbeat, HeartbeatAnswer, Heartbeats, Reply};
use crate::lifecycle::Lifecycle;
use crate::transport::Peer;

/// The most heartbeats in one call.
const BATCH_MAX: usize = 1_024;
/// The most heartbeats that wait for one node. More are dropped; the next interval brings others.
const QUEUE_MAX: usize = 8_192;

struct Waiting {
    heartbeat: Heartbeat,
    answer: oneshot::Sender<Option<Appended>>,
}

/// One queue per node.
pub(crate) struct HeartbeatQueues {
    client: Arc<PeerClient>,
    lifecycle: Arc<Lifecycle>,
    queues: Mutex<HashMap<(NodeId, String), mpsc::Sender<Waiting>>>,
}

impl HeartbeatQueues {
    pub(crate) fn new(client: Arc<PeerClient>, lifecycle: Arc<Lifecycle>) -> Self {
        Self { client, lifecycle, queues: Mutex::default() }
    }

    /// Sends a heartbeat together with others. Returns `None` if the node does not answer or refuses it.
    pub(crate) async fn send(&self, to: &Peer, heartbeat: Heartbeat) -> Option<Appended> {
        let (answer, answered) = oneshot::channel();
        let queue = self.queue(to);
        queue.try_send(Waiting { heartbeat, answer }).ok()?;
        drop(queue);
        answered.await.ok().flatten()
    }

    fn queue(&self, to: &Peer) -> mpsc::Sender<Waiting> {
        let mut queues = self.queues.lock();
        let queue = queues.entry((to.node, to.address.clone())).or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(QUEUE_MAX);
            let sending = run(Arc::clone(&self.client), self.lifecycle.stop.clone(), to.clone(), receiver);
            self.lifecycle.spawn("the heartbeat sender", sending);
            sender
        });
        queue.clone()
    }
}

async fn run(client: Arc<PeerClient>, stop: CancellationToken, to: Peer, mut queue: mpsc::Receiver<Waiting>) {
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            () = stop.cancelled() => return,
            received = queue.recv_many(&mut batch, BATCH_MAX) => if received == 0 { return },
        }
        tokio::time::sleep(client.timing.heartbeat_linger).await;
        while batch.len() < BATCH_MAX
            && let Ok(waiting) = queue.try_recv()
        {
            batch.push(waiting);
        }
        // Heartbeats whose sender has given up meanwhile are not sent.
        batch.retain(|waiting| !waiting.answer.is_closed());
        send(&client, &to, batch).await;
    }
}

async fn send(client: &PeerClient, to: &Peer, batch: Vec<Waiting>) {
    let (items, answers): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|waiting| (waiting.heartbeat, waiting.answer)).unzip();
    let body = Body::Heartbeats(Heartbeats { items });
    let reply = client.call(to, None, body, client.timing.heartbeat).await;
    let Ok(Reply::Heartbeats(replies)) = reply else {
        // Dropping `answers` tells the waiting senders.
        return;
    };
    for (answer, HeartbeatAnswer { appended }) in answers.into_iter().zip(replies.items) {
        if answer.send(appended).is_err() {
            tracing::trace!("a heartbeat was answered too late");
        }
    }
}
