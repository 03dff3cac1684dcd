//! Two builds of the node compared: the same load on a cluster of each, in short alternating rounds.
//!
//! ```text
//!  this process: the load, by generated stubs over TLS
//!    ├── child: cluster of `--before` ── node node node
//!    └── child: cluster of `--after`  ── node node node
//! ```
//!
//! Both clusters run for the whole measurement, so that whatever else the machine does affects both alike. Each round
//! runs every operation on both clusters, and the rounds take turns in which cluster comes first. Each round gives one
//! ratio (after ÷ before); the medians and quartiles of the ratios are the result. The load does not go through the Rust
//! client, so neither its routing nor its retries are part of the figures.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use custodia_proto::LEADER_METADATA;
use custodia_proto::v1::IngestProfileRequest;
use custodia_proto::v1::profile_service_client::ProfileServiceClient;
use custodia_tests::sample::get;
use custodia_tests::{Identity, connect};
use tonic::Response;
use tonic::transport::Channel;

use crate::cluster::{ClusterProcess, NodeProcess};
use crate::load::{Figures, run, spread, with_cpu};
use crate::lookup::one_kilobyte;

/// Customers of each cluster, looked up and updated one after the other.
const CUSTOMERS: usize = 1_000;

/// What to compare, and how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Comparison {
    /// The `custodia` binary of the build that is measured against.
    #[arg(long, value_name = "FILE")]
    before: PathBuf,
    /// The `custodia` binary of the build in question.
    #[arg(long, value_name = "FILE")]
    after: PathBuf,
    /// Rounds for each number of callers. Every round gives one ratio; medians and quartiles are printed.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Milliseconds that each measurement takes.
    #[arg(long, default_value_t = 500)]
    milliseconds: u64,
    /// Numbers of callers, each with one call in flight.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    callers: Vec<usize>,
    /// Connections to each node, shared by the callers.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Shards of each cluster.
    #[arg(long, default_value_t = 16)]
    shards: u32,
    /// `fjall` or `sled`.
    #[arg(long, default_value = "fjall", value_parser = custodia_tests::engine)]
    engine: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    /// `GetProfile` of a 1 KB customer at the leader of its shard.
    Lookup,
    /// `IngestProfile` of a known customer at the leader of its shard.
    Update,
    /// `IngestProfile` of a new customer at each node in turn: most calls are forwarded to the leader.
    Create,
}

const OPERATIONS: [(Operation, &str); 3] =
    [(Operation::Lookup, "lookup"), (Operation::Update, "update"), (Operation::Create, "create")];

pub(crate) async fn measure(comparison: &Comparison) {
    let builds = [
        Build::start(&comparison.before, comparison).await,
        Build::start(&comparison.after, comparison).await,
    ];
    println!("before: {}\nafter:  {}", comparison.before.display(), comparison.after.display());
    println!(
        "each line: calls/s, p99 in µs and server CPU in µs a call, before | after; then after ÷ before"
    );
    let time = Duration::from_millis(comparison.milliseconds);
    for &callers in &comparison.callers {
        let mut ratios = [const { Vec::new() }; OPERATIONS.len()];
        for round in 0..comparison.rounds as usize {
            for ((operation, name), ratios) in OPERATIONS.into_iter().zip(&mut ratios) {
                let pair = pair(&builds, operation, callers, time, round).await;
                ratios.push(report(name, callers, &pair));
            }
        }
        for ((_, name), ratios) in OPERATIONS.into_iter().zip(&ratios) {
            summarise(name, callers, ratios);
        }
    }
    for (name, build) in ["before", "after"].into_iter().zip(&builds) {
        let forwarded = build.load.forwarded.load(Ordering::Relaxed);
        if forwarded > 0 {
            println!(
                "{name}: {forwarded} calls meant for the leader were forwarded: a leader changed meanwhile"
            );
        }
    }
}

/// One operation on both clusters; odd rounds begin with the second.
async fn pair(
    [before, after]: &[Build; 2],
    operation: Operation,
    callers: usize,
    time: Duration,
    round: usize,
) -> [Figures; 2] {
    if round.is_multiple_of(2) {
        let first = before.measure(operation, callers, time).await;
        [first, after.measure(operation, callers, time).await]
    } else {
        let first = after.measure(operation, callers, time).await;
        [before.measure(operation, callers, time).await, first]
    }
}

/// Prints one round. Returns after ÷ before: calls a second, p99, CPU a call.
fn report(name: &str, callers: usize, [before, after]: &[Figures; 2]) -> [f64; 3] {
    let ratios = [
        after.calls_per_second / before.calls_per_second,
        after.p99_us as f64 / before.p99_us as f64,
        after.cpu_us() / before.cpu_us(),
    ];
    let [rate, tail, cpu] = ratios;
    println!(
        "{name} {callers:3} | {:7.0} {:7} {:7.1} | {:7.0} {:7} {:7.1} | {rate:5.3} {tail:5.3} {cpu:5.3}",
        before.calls_per_second,
        before.p99_us,
        before.cpu_us(),
        after.calls_per_second,
        after.p99_us,
        after.cpu_us(),
    );
    ratios
}

/// Prints the median and the quartiles of the ratios of all rounds.
fn summarise(name: &str, callers: usize, ratios: &[[f64; 3]]) {
    let [rate, tail, cpu] = [0, 1, 2].map(|which| spread(ratios.iter().map(|ratios| ratios[which])));
    println!(
        "median of {} rounds, {name} with {callers} callers, after ÷ before: calls/s {rate}, p99 {tail}, server CPU a call {cpu}",
        ratios.len()
    );
}

/// A cluster of one build, and what the load needs to reach it.
struct Build {
    cluster: ClusterProcess,
    load: Arc<Load>,
}

impl Build {
    async fn start(binary: &Path, comparison: &Comparison) -> Self {
        let cluster = ClusterProcess::start(binary, comparison.engine, comparison.shards);
        let read =
            |name: &str| std::fs::read_to_string(cluster.folder.join(name)).expect("a certificate file");
        let identity = Identity { certificate: read("admin.crt"), key: read("admin.key"), serial: None };
        let authority = read("ca.crt");
        let mut clients = Vec::new();
        for node in &cluster.nodes {
            let mut of_node = Vec::new();
            for _ in 0..comparison.connections {
                let channel =
                    connect(&node.address, &authority, Some(&identity)).await.expect("a connection");
                of_node.push(ProfileServiceClient::new(channel));
            }
            clients.push(of_node);
        }
        let mut customers = Vec::new();
        for _ in 0..CUSTOMERS {
            customers.push(new_customer(&clients[0][0], &cluster.nodes).await);
        }
        let load = Load { clients, customers, forwarded: AtomicU64::new(0) };
        Self { cluster, load: Arc::new(load) }
    }

    async fn measure(&self, operation: Operation, callers: usize, time: Duration) -> Figures {
        let load = Arc::clone(&self.load);
        let calls = run(callers, time, move |caller, number| {
            let load = Arc::clone(&load);
            async move { load.call(operation, callers, caller, number as usize).await }
        });
        let pids: Vec<u32> = self.cluster.nodes.iter().map(|node| node.pid).collect();
        with_cpu(&pids, calls).await
    }
}

/// Creates a customer, and learns from the first lookup which node leads its shard.
async fn new_customer(client: &ProfileServiceClient<Channel>, nodes: &[NodeProcess]) -> Customer {
    let mut client = client.clone();
    let created = client.ingest_profile(one_kilobyte("")).await.expect("a customer is created");
    let id = created.into_inner().customer_id;
    let answer = client.get_profile(get(&id, "service")).await.expect("a profile");
    let leader = leader_of(&answer).map_or(0, |address| {
        nodes.iter().position(|node| node.address == address).expect("the leader is a node of the cluster")
    });
    Customer { id, leader }
}

/// The address of the node that answered, where the asked node forwarded the call.
fn leader_of<Message>(response: &Response<Message>) -> Option<&str> {
    let leader = response.metadata().get(LEADER_METADATA)?.to_str().expect("an address is ASCII");
    Some(leader.split_once('@').expect("`<node id>@<host:port>`").1)
}

struct Customer {
    id: String,
    /// Index of the node that leads its shard.
    leader: usize,
}

struct Load {
    /// By node, then by connection.
    clients: Vec<Vec<ProfileServiceClient<Channel>>>,
    customers: Vec<Customer>,
    /// Calls to a leader that another node answered.
    forwarded: AtomicU64,
}

impl Load {
    async fn call(&self, operation: Operation, callers: usize, caller: usize, number: usize) {
        let customer = &self.customers[(number * callers + caller) % self.customers.len()];
        let node = match operation {
            Operation::Lookup | Operation::Update => customer.leader,
            Operation::Create => (number + caller) % self.clients.len(),
        };
        let of_node = &self.clients[node];
        let mut client = of_node[caller % of_node.len()].clone();
        let forwarded = match operation {
            Operation::Lookup => {
                let answer = client.get_profile(get(&customer.id, "service")).await.expect("a lookup");
                leader_of(&answer).is_some()
            }
            Operation::Update => {
                let update = IngestProfileRequest { consents: Vec::new(), ..one_kilobyte(&customer.id) };
                leader_of(&client.ingest_profile(update).await.expect("an update")).is_some()
            }
            Operation::Create => {
                client.ingest_profile(one_kilobyte("")).await.expect("a new customer");
                false
            }
        };
        self.forwarded.fetch_add(forwarded.into(), Ordering::Relaxed);
    }
}
