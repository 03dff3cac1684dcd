//! Lookups by identifier, and the agent's context, beside lookups by id: in one run, through every node in turn as behind a load
//! balancer, with generated stubs. Alternating rounds; the medians of the ratios are printed.

use std::sync::Arc;
use std::time::Duration;

use custodia_proto::v1::identity_service_client::IdentityServiceClient;
use custodia_proto::v1::profile_service_client::ProfileServiceClient;
use custodia_proto::v1::{
    CreateMatterTypeRequest, CreateNamespaceRequest, CreateTraitRequest, Event, GetAgentContextRequest,
    Identifier, IdentifierObservation, IngestProfileRequest, LookupProfileRequest, MatterType, Namespace,
    NamespaceKind, TraitAggregate, TraitDefinition,
};
use custodia_tests::Sandbox;
use custodia_tests::sample::{event, get, integer, text};
use tonic::transport::Channel;

use crate::load::{Figures, run, spread, with_cpu};
use crate::lookup::one_kilobyte;
use crate::process::node_pids;
use crate::start_cluster;

const CUSTOMERS: usize = 1_000;
const EVENTS: usize = 6;
const CALLERS: [usize; 2] = [1, 16];
const NAMESPACE: &str = "card";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    ProfileById,
    ProfileByIdentifier,
    ContextById,
    ContextByIdentifier,
}

const KINDS: [(Kind, &str); 4] = [
    (Kind::ProfileById, "GetProfile by id"),
    (Kind::ProfileByIdentifier, "LookupProfile"),
    (Kind::ContextById, "GetAgentContext by id"),
    (Kind::ContextByIdentifier, "GetAgentContext by identifier"),
];

pub(crate) async fn measure(time: Duration, rounds: u32) {
    let sandbox = start_cluster("fjall", 16).await;
    let customers: Arc<[String]> = load(&sandbox).await.into();
    for callers in CALLERS {
        let mut channels = Vec::new();
        for caller in 0..callers {
            let node = caller % sandbox.nodes.len();
            channels.push(sandbox.channel(node, &sandbox.admin).await.expect("a channel"));
        }
        // One caller visits the nodes in turn.
        for node in 1..sandbox.nodes.len() {
            channels.push(sandbox.channel(node, &sandbox.admin).await.expect("a channel"));
        }
        let channels: Arc<[Channel]> = channels.into();
        let mut times = KINDS.map(|_| Vec::new());
        for _ in 0..rounds {
            for ((kind, _), times) in KINDS.iter().zip(&mut times) {
                let calls = calls(*kind, callers, time, Arc::clone(&channels), Arc::clone(&customers));
                times.push(with_cpu(&node_pids(&sandbox), calls).await);
            }
        }
        println!("{callers} callers: p50 µs, its ratio to {}, and the ratio of the CPU times", KINDS[0].1);
        for ((_, name), of) in KINDS.iter().zip(&times) {
            let p50 = spread(of.iter().map(|one| one.p50_us as f64));
            let ratio =
                spread(of.iter().zip(&times[0]).map(|(one, base)| one.p50_us as f64 / base.p50_us as f64));
            let cpu = spread(of.iter().zip(&times[0]).map(|(one, base)| one.cpu_us() / base.cpu_us()));
            println!("  {name:30} {p50:30} {ratio:26} {cpu}");
        }
    }
}

async fn calls(
    kind: Kind,
    callers: usize,
    time: Duration,
    channels: Arc<[Channel]>,
    customers: Arc<[String]>,
) -> Figures {
    run(callers, time, move |caller, number| {
        let number = number as usize;
        let channel = channels[(caller + number) % channels.len()].clone();
        let at = (caller * 131 + number * 7) % customers.len();
        let customer = customers[at].clone();
        async move { call(kind, channel, customer, at).await }
    })
    .await
}

async fn call(kind: Kind, channel: Channel, customer_id: String, at: usize) {
    let identifier = || Some(Identifier { namespace: NAMESPACE.to_owned(), value: card(at) });
    let purpose = "service".to_owned();
    match kind {
        Kind::ProfileById => {
            let request = get(&customer_id, "service");
            ProfileServiceClient::new(channel).get_profile(request).await.expect("a profile");
        }
        Kind::ProfileByIdentifier => {
            let request = LookupProfileRequest { identifier: identifier(), purpose, ..Default::default() };
            IdentityServiceClient::new(channel).lookup_profile(request).await.expect("a profile");
        }
        Kind::ContextById => {
            let request = GetAgentContextRequest { customer_id, purpose, ..Default::default() };
            IdentityServiceClient::new(channel).get_agent_context(request).await.expect("a context");
        }
        Kind::ContextByIdentifier => {
            let request = GetAgentContextRequest { identifier: identifier(), purpose, ..Default::default() };
            IdentityServiceClient::new(channel).get_agent_context(request).await.expect("a context");
        }
    }
}

fn card(at: usize) -> String {
    format!("{:08}", 40_000_000 + at)
}

/// What a call centre shows: open orders, recency, frequency and revenue.
async fn define_activity(sandbox: &Sandbox) {
    let (completed, purposes) = (vec!["Order Completed".to_owned()], vec!["service".to_owned()]);
    let order = MatterType {
        id: "order".to_owned(),
        opening_events: completed.clone(),
        closing_events: vec!["Order Delivered".to_owned()],
        key_property: "order_id".to_owned(),
        purposes: purposes.clone(),
        ..Default::default()
    };
    let mut catalog = sandbox.catalog(0).await;
    let request = CreateMatterTypeRequest { matter_type: Some(order), validate_only: false };
    catalog.create_matter_type(request).await.expect("a type of matters");
    for (id, aggregate, property) in [
        ("orders", TraitAggregate::Count, ""),
        ("revenue", TraitAggregate::Sum, "total"),
        ("days-since-last-order", TraitAggregate::DaysSinceLast, ""),
    ] {
        let definition = TraitDefinition {
            id: id.to_owned(),
            aggregate: aggregate.into(),
            events: completed.clone(),
            property: property.to_owned(),
            window_days: 365,
            purposes: purposes.clone(),
            ..Default::default()
        };
        let request = CreateTraitRequest { r#trait: Some(definition), validate_only: false };
        catalog.create_trait(request).await.expect("a trait");
    }
}

/// Customers with a card and a few events; their ids.
async fn load(sandbox: &Sandbox) -> Vec<String> {
    let namespace = Namespace {
        id: NAMESPACE.to_owned(),
        kind: NamespaceKind::Text.into(),
        purposes: vec!["service".to_owned()],
        ..Default::default()
    };
    let request = CreateNamespaceRequest { namespace: Some(namespace), validate_only: false };
    sandbox.catalog(0).await.create_namespace(request).await.expect("a namespace");
    define_activity(sandbox).await;
    let client = sandbox.client();
    let mut customers = Vec::with_capacity(CUSTOMERS);
    for at in 0..CUSTOMERS {
        let events = (0..EVENTS).map(|number| {
            let channel = ["web", "phone", "store"][number % 3].to_owned();
            let properties = [("order_id", text(format!("O-{number}"))), ("total", integer(20))];
            let properties = properties.into_iter().filter_map(|(name, of)| Some((name.to_owned(), of?)));
            Event {
                channel,
                properties: properties.collect(),
                ..event(&format!("event-{number}"), number as i64 * 1_000)
            }
        });
        let observed =
            IdentifierObservation { namespace: NAMESPACE.to_owned(), value: card(at), observed_at: None };
        let request = IngestProfileRequest {
            identifiers: vec![observed],
            events: events.collect(),
            ..one_kilobyte("")
        };
        customers.push(client.ingest_profile(request).await.expect("a customer").customer_id);
    }
    customers
}
