//! Registers: customers whose value one writer raises. Every read, on any node, must lie between what was acknowledged or
//! read before it began and what was sent before it ended: that is linearizability for one writer and rising values. Each
//! write appends an event too, and in the end each acknowledged event is stored exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use custodia_proto::v1::profile_service_client::ProfileServiceClient;
use custodia_proto::v1::{IngestProfileRequest, ListEventsRequest, Observation};
use custodia_tests::Sandbox;
use custodia_tests::sample::{event, ingest, now, text, text_of, withheld};
use tonic::Code;

use crate::load::{Load, raise};

/// Events on a page.
const PAGE: i32 = 500;

/// One customer, and what its writer and all readers know.
#[derive(Debug)]
pub(crate) struct Register {
    pub(crate) customer: String,
    /// The newest value whose write was acknowledged.
    pub(crate) acknowledged: AtomicU64,
    /// The newest value that was acknowledged or read.
    floor: AtomicU64,
    /// The newest value that was sent.
    sent: AtomicU64,
    /// When value 0 was observed, in milliseconds since 1970: each value is a millisecond newer than the one before, so that no
    /// clock decides which is newer.
    began_ms: i64,
    events: Mutex<Events>,
}

#[derive(Debug, Default)]
struct Events {
    acknowledged: BTreeSet<String>,
    unknown: BTreeSet<String>,
}

impl Register {
    pub(crate) async fn create(sandbox: &Sandbox, number: usize) -> Self {
        let hour = 3_600_000;
        let began_ms = i64::try_from(now().as_millis()).expect("before the year 292 million") - hour;
        let request = ingest("", vec![observed(0, began_ms)]);
        let answer = sandbox.profiles(number % 3).await.ingest_profile(request).await;
        let customer = answer.expect("a customer is created").into_inner().customer_id;
        let [acknowledged, floor, sent] = [0; 3].map(AtomicU64::new);
        Self { customer, acknowledged, floor, sent, began_ms, events: Mutex::default() }
    }
}

fn observed(value: u64, began_ms: i64) -> Observation {
    let ms = began_ms + i64::try_from(value).expect("no soak writes so much");
    let nanos = i32::try_from(ms % 1_000 * 1_000_000).expect("less than a second");
    let observed_at = Some(custodia_proto::Timestamp { seconds: ms / 1_000, nanos });
    Observation { attribute: "given_name".into(), value: text(value.to_string()), observed_at }
}

/// Raises the register, one value after another.
pub(crate) async fn write(load: Arc<Load>, at: usize) {
    let register = &load.registers[at];
    while load.goes_on().await {
        let value = register.sent.fetch_add(1, Ordering::SeqCst) + 1;
        let id = format!("event-{value}");
        let number = i64::try_from(value).expect("no soak writes so much");
        let request = IngestProfileRequest {
            events: vec![event(&id, number)],
            ..ingest(&register.customer, vec![observed(value, register.began_ms)])
        };
        let answer = load
            .persist(&request, |channel, request| async move {
                ProfileServiceClient::new(channel).ingest_profile(request).await
            })
            .await;
        let mut events = register.events.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(answer) => {
                // after a clock was stepped back, a consent may not have begun by the leader's clock: said, not done
                if answer.events[0].appended {
                    events.acknowledged.insert(id);
                } else {
                    load.count("events refused");
                }
                if answer.attributes[0].merged {
                    raise(&register.acknowledged, value);
                    raise(&register.floor, value);
                    load.count("writes acknowledged");
                } else {
                    load.count("values refused");
                }
            }
            Err(_) => {
                events.unknown.insert(id);
                load.count("writes of unknown outcome");
            }
        }
    }
}

/// Reads registers through one node.
pub(crate) async fn read(load: Arc<Load>, node: usize) {
    while load.goes_on().await {
        let register = &load.registers[fastrand::usize(..load.registers.len())];
        let floor = register.floor.load(Ordering::SeqCst);
        let answer = load.get(&load.channels[node], &register.customer, "service").await;
        let profile = match answer {
            Ok(profile) => profile,
            Err(status) => {
                if status.code() == Code::NotFound {
                    load.is_wrong(format!("lost: {} is not known to node {}", register.customer, node + 1));
                }
                continue;
            }
        };
        let ceiling = register.sent.load(Ordering::SeqCst);
        match text_of(&profile, "given_name").and_then(|value| value.parse::<u64>().ok()) {
            Some(value) if (floor..=ceiling).contains(&value) => {
                raise(&register.floor, value);
                load.count("reads in order");
            }
            Some(value) => load.is_wrong(format!(
                "node {} serves {value} of {}, where {floor} to {ceiling} are right",
                node + 1,
                register.customer
            )),
            None if withheld(&profile, "given_name").is_some() => load.count("values withheld"),
            None => load.is_wrong(format!("node {} serves no value of {}", node + 1, register.customer)),
        }
    }
}

/// Every acknowledged event is stored once, every other at most once, and none that was not sent.
pub(crate) async fn check_events(load: &Load, register: &Register) {
    let (mut stored, mut token) = (BTreeMap::<String, usize>::new(), String::new());
    loop {
        let request = ListEventsRequest {
            customer_id: register.customer.clone(),
            purpose: "service".into(),
            page_size: PAGE,
            page_token: token,
        };
        let call =
            |channel, request| async move { ProfileServiceClient::new(channel).list_events(request).await };
        let page = match load.persist(&request, call).await {
            Ok(page) => page,
            Err(status) => return load.is_wrong(format!("events cannot be listed: {status:?}")),
        };
        for event in page.events {
            *stored.entry(event.event.expect("an event").event_id).or_default() += 1;
        }
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let events = register.events.lock().unwrap_or_else(PoisonError::into_inner);
    for (id, times) in &stored {
        if *times != 1 {
            load.is_wrong(format!("{id} of {} is stored {times} times", register.customer));
        }
        if !events.acknowledged.contains(id) && !events.unknown.contains(id) {
            load.is_wrong(format!("{id} of {} was refused or never sent, and is stored", register.customer));
        }
    }
    for id in events.acknowledged.iter().filter(|id| !stored.contains_key(*id)) {
        load.is_wrong(format!("{id} of {} was acknowledged and is lost", register.customer));
    }
}
