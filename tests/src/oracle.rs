//! The client-side oracle: writers that remember what was acknowledged, and a check that all of it is stored.
//!
//! Each writer appends numbered events to a customer of its own. At the end an acknowledged event must be stored exactly
//! once, one whose outcome is unknown at most once, and nothing else may be stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use custodia_client::Client;
use custodia_proto::v1::{AppendEventsRequest, ListEventsRequest};
use tokio::task::JoinHandle;

use crate::node::PATIENCE;
use crate::sample::{event, ingest, observation};

/// Between two events of a writer: the nodes need the cores too, or a test spends its time waiting for them to catch up.
const PAUSE: Duration = Duration::from_millis(5);

/// What one writer knows.
#[derive(Debug)]
struct History {
    customer: String,
    acknowledged: BTreeSet<String>,
    unknown: BTreeSet<String>,
}

/// Running writers, and what was acknowledged to them.
#[derive(Debug)]
pub struct Oracle {
    writers: Vec<JoinHandle<History>>,
    progress: Arc<Vec<AtomicU64>>,
    stop: Arc<AtomicBool>,
}

impl Oracle {
    /// Creates `writers` customers and starts writing to them.
    pub async fn start(client: &Client, writers: usize) -> Self {
        let progress: Arc<Vec<AtomicU64>> = Arc::new((0..writers).map(|_| AtomicU64::new(0)).collect());
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for writer in 0..writers {
            let request = ingest("", vec![observation("given_name", &format!("writer {writer}"))]);
            let answer = client.ingest_profile(request).await.expect("a customer is created");
            let (client, progress, stop) = (client.clone(), Arc::clone(&progress), Arc::clone(&stop));
            tasks.push(tokio::spawn(write(client, answer.customer_id, writer, progress, stop)));
        }
        Self { writers: tasks, progress, stop }
    }

    /// Events acknowledged so far, by writer.
    pub fn acknowledged(&self) -> Vec<u64> {
        self.progress.iter().map(|count| count.load(Ordering::SeqCst)).collect()
    }

    /// Waits until every writer has had another event acknowledged since the call.
    pub async fn wait_for_progress(&self) {
        let before = self.acknowledged();
        let deadline = Instant::now() + PATIENCE;
        while self.acknowledged().iter().zip(&before).any(|(now, before)| now <= before) {
            assert!(Instant::now() < deadline, "no progress: {before:?}, later {:?}", self.acknowledged());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Stops the writers and checks every event; how many were acknowledged.
    pub async fn finish(self, client: &Client) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        let mut total = 0;
        for writer in self.writers {
            let history = writer.await.expect("a writer ends well");
            let found = stored(client, &history.customer).await;
            for (id, times) in &found {
                assert_eq!(*times, 1, "{id} of {} is there {times} times", history.customer);
                let known = history.acknowledged.contains(id) || history.unknown.contains(id);
                assert!(known, "{id} of {} was never sent", history.customer);
            }
            for id in &history.acknowledged {
                assert!(found.contains_key(id), "acknowledged and lost: {id} of {}", history.customer);
            }
            total += history.acknowledged.len();
        }
        total
    }
}

async fn write(
    client: Client,
    customer: String,
    writer: usize,
    progress: Arc<Vec<AtomicU64>>,
    stop: Arc<AtomicBool>,
) -> History {
    let mut history = History { customer, acknowledged: BTreeSet::new(), unknown: BTreeSet::new() };
    let mut number = 0;
    while !stop.load(Ordering::SeqCst) {
        number += 1;
        let id = format!("event-{writer}-{number}");
        let request = AppendEventsRequest {
            customer_id: history.customer.clone(),
            purpose: "service".into(),
            source: "oracle".into(),
            events: vec![event(&id, number)],
            request_id: uuid::Uuid::new_v4().to_string(),
            ..Default::default()
        };
        match client.append_events(request).await {
            Ok(answer) => {
                assert!(answer.events[0].appended, "{answer:?}");
                history.acknowledged.insert(id);
                progress[writer].fetch_add(1, Ordering::SeqCst);
            }
            Err(_) => {
                history.unknown.insert(id);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    history
}

/// All event ids of a customer, with how often each is there.
async fn stored(client: &Client, customer: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let mut token = String::new();
    loop {
        let request = ListEventsRequest {
            customer_id: customer.to_owned(),
            purpose: "service".into(),
            page_size: 500,
            page_token: token,
        };
        let page = client.list_events(request).await.expect("events can be listed");
        for stored in page.events {
            *found.entry(stored.event.expect("an event").event_id).or_insert(0) += 1;
        }
        token = page.next_page_token;
        if token.is_empty() {
            return found;
        }
    }
}
