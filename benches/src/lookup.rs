//! `GetProfile` of a 1 KB customer beside the bare echo, in pairs; then durable ingests beside the echo. The load comes from
//! the Rust client. To compare two builds of the node, use `compare`.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use custodia_client::Client;
use custodia_proto::internal::v1::PeerFrame;
use custodia_proto::v1::{GetProfileRequest, IngestProfileRequest, Profile};
use custodia_tests::Sandbox;
use custodia_tests::sample::{get, ingest, observation};
use prost::Message as _;

use crate::echo::{Echoes, REPLY_BYTES};
use crate::load::{Figures, histogram, quartiles, run, with_cpu};
use crate::process::node_pids;
use crate::start_cluster;

/// Customers that are looked up, one after the other.
const CUSTOMERS: usize = 1_000;
const CALLERS: [usize; 3] = [1, 16, 64];

pub(crate) async fn measure(time: Duration, pairs: usize, engine: &'static str, echoes: usize) {
    let sandbox = start_cluster(engine, 16).await;
    let echo = Arc::new(Echoes::start(&sandbox, echoes, sandbox.nodes.len()).await);
    let lookups = Lookups::new(&sandbox, || one_kilobyte("")).await;
    let request = |customer: &str| get(customer, "service");
    let reply = lookups.first(request).await;
    println!(
        "engine {engine}; the reply to a lookup has {} bytes, that of the echo {REPLY_BYTES}",
        reply.encoded_len()
    );
    println!(
        "callers | echo/s  p50 µs  p99 µs  cpu µs | lookup/s  p50 µs  p99 µs  cpu µs | ratio  p99 ratio"
    );
    for callers in CALLERS {
        let mut ratios = Vec::new();
        for _ in 0..pairs {
            let plain = with_cpu(&echo.pids(), run_echo(&echo, callers, time)).await;
            let lookup = with_cpu(&node_pids(&sandbox), lookups.run(callers, time, request)).await;
            let ratio = lookup.calls_per_second / plain.calls_per_second;
            let tail = lookup.p99_us as f64 / plain.p99_us as f64;
            println!(
                "{callers:7} | {:6.0} {:7} {:7} {:7.1} | {:8.0} {:7} {:7} {:7.1} | {ratio:5.2}  {tail:9.2}",
                plain.calls_per_second,
                plain.p50_us,
                plain.p99_us,
                plain.cpu_us(),
                lookup.calls_per_second,
                lookup.p50_us,
                lookup.p99_us,
                lookup.cpu_us(),
            );
            ratios.push((ratio, tail));
        }
        let (rates, tails): (Vec<f64>, Vec<f64>) = ratios.into_iter().unzip();
        println!(
            "{callers:7} | median ratio {:.2}, median p99 ratio {:.2}",
            quartiles(rates)[1],
            quartiles(tails)[1]
        );
    }
    let folder = sandbox.path();
    let synced = tokio::task::spawn_blocking(move || synced_appends(&folder, time))
        .await
        .expect("the appends do not panic");
    println!(
        "      1 | {:.0} appends/s of 4 KiB to a file, each with fdatasync, p50 {} µs",
        synced.0, synced.1
    );
    for callers in [1, 64] {
        ingests(&lookups.client, &echo, callers, time, pairs, synced.0).await;
    }
}

/// Customers of a cluster, looked up by the Rust client.
pub(crate) struct Lookups {
    client: Client,
    customers: Arc<[String]>,
}

impl Lookups {
    /// Creates the customers.
    pub(crate) async fn new(sandbox: &Sandbox, customer: impl Fn() -> IngestProfileRequest) -> Self {
        let client = sandbox.client();
        let mut customers = Vec::new();
        for _ in 0..CUSTOMERS {
            customers.push(client.ingest_profile(customer()).await.expect("a customer").customer_id);
        }
        Self { client, customers: customers.into() }
    }

    /// The profile of the first customer.
    pub(crate) async fn first(&self, request: impl Fn(&str) -> GetProfileRequest) -> Profile {
        self.client.get_profile(request(&self.customers[0])).await.expect("a profile")
    }

    /// Looks up one customer after the other.
    pub(crate) fn run(
        &self,
        callers: usize,
        time: Duration,
        request: impl Fn(&str) -> GetProfileRequest + Send + Sync + 'static,
    ) -> impl Future<Output = Figures> {
        let (client, customers) = (self.client.clone(), Arc::clone(&self.customers));
        run(callers, time, move |caller, number| {
            let customer = &customers[(caller * 131 + number as usize * 7) % customers.len()];
            let (client, request) = (client.clone(), request(customer));
            async move {
                client.get_profile(request).await.expect("a lookup");
            }
        })
    }
}

/// Durable ingests, each of a new customer, beside the echo and beside the rate of durable file appends.
async fn ingests(
    client: &Client,
    echo: &Arc<Echoes>,
    callers: usize,
    time: Duration,
    pairs: usize,
    appends_per_second: f64,
) {
    let mut ratios = Vec::new();
    for _ in 0..pairs {
        let plain = run_echo(echo, callers, time).await;
        let client = client.clone();
        let ingests = run(callers, time, move |_, _| {
            let client = client.clone();
            async move {
                client.ingest_profile(one_kilobyte("")).await.expect("an ingest");
            }
        })
        .await;
        println!(
            "{callers:7} | {:6.0} echo/s | {:6.0} durable ingests/s, p50 {} µs, p99 {} µs",
            plain.calls_per_second, ingests.calls_per_second, ingests.p50_us, ingests.p99_us
        );
        ratios.push((
            ingests.calls_per_second / plain.calls_per_second,
            ingests.calls_per_second / appends_per_second,
        ));
    }
    let (of_echo, of_appends): (Vec<f64>, Vec<f64>) = ratios.into_iter().unzip();
    println!(
        "{callers:7} | median of ingests per echo {:.3}, per file append {:.2}",
        quartiles(of_echo)[1],
        quartiles(of_appends)[1]
    );
}

/// Appends to one file, each synced before the next. Returns appends per second and the median time of one in µs.
fn synced_appends(folder: &Path, time: Duration) -> (f64, u64) {
    let mut file = std::fs::File::create(folder.join("appends")).expect("a file");
    let mut times = histogram();
    let start = Instant::now();
    while start.elapsed() < time {
        let began = Instant::now();
        file.write_all(&[7; 4_096]).expect("appended");
        file.sync_data().expect("synced");
        times.saturating_record(began.elapsed().as_micros() as u64);
    }
    (times.len() as f64 / start.elapsed().as_secs_f64(), times.value_at_quantile(0.5))
}

async fn run_echo(echo: &Arc<Echoes>, callers: usize, time: Duration) -> Figures {
    let clients: Vec<_> = (0..callers).map(|caller| echo.client(caller)).collect();
    let clients = Arc::new(clients);
    run(callers, time, move |caller, _| {
        let mut client = clients[caller].clone();
        async move {
            client.call(PeerFrame { body: vec![1_u8; 48].into() }).await.expect("an echo");
        }
    })
    .await
}

/// A customer for whom a reply has about 1 KB: values, provenance and grounds together.
pub(crate) fn one_kilobyte(customer: &str) -> IngestProfileRequest {
    let values = [("given_name", 260), ("surname", 260), ("email", 60), ("phone", 16)];
    let observations = values.iter().map(|(name, bytes)| observation(name, &filler(*bytes))).collect();
    ingest(customer, observations)
}

/// Text of `bytes` bytes that no two customers share.
pub(crate) fn filler(bytes: usize) -> String {
    let mut text = uuid::Uuid::new_v4().simple().to_string().repeat(bytes / 32 + 1);
    text.truncate(bytes);
    text
}
