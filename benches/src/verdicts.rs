//! What the reasons in an answer cost: `GetProfile` with full verdicts, without verdicts, and with verdicts only.
//!
//! The three alternate in many short rounds, and each round begins with another of them, so that whatever else the machine
//! does affects all three alike. Every round gives one ratio; medians and quartiles are printed.

use std::time::Duration;

use custodia_proto::v1::{
    AttributeDefinition, Classification, CreateAttributeRequest, GetProfileRequest, IngestProfileRequest,
    ValueType, VerdictDetail,
};
use custodia_tests::Sandbox;
use custodia_tests::sample::{get, grant, ingest, observation};
use prost::Message as _;

use crate::load::{Figures, quartiles, spread, with_cpu};
use crate::lookup::{Lookups, filler};
use crate::process::{CpuTimes, node_pids};
use crate::start_cluster;

const CALLERS: [usize; 2] = [1, 16];
/// `marketing` is refused [`FOR_SERVICE`]. `service` is given everything, so its verdicts add nothing.
const PURPOSES: [&str; 2] = ["marketing", "service"];
const DETAILS: [VerdictDetail; 3] = [VerdictDetail::None, VerdictDetail::Full, VerdictDetail::Only];
/// Bytes of each value: a reply without verdicts then has about 1 KB.
const VALUE_BYTES: usize = 8;
/// How long the CPU of the idle nodes is measured.
const IDLE: Duration = Duration::from_secs(5);

/// Attributes that both purposes may read.
const FOR_BOTH: [&str; 14] = [
    "title",
    "middle_name",
    "language",
    "city",
    "region",
    "postcode",
    "country",
    "loyalty_tier",
    "preferred_store",
    "favourite_brand",
    "segment",
    "member_since",
    "newsletter_topic",
    "last_campaign",
];
/// Attributes that `service` alone may read.
const FOR_SERVICE: [&str; 6] =
    ["street", "tax_number", "iban", "open_case", "credit_class", "contract_number"];

/// The figures of one kind of lookup in one round.
#[derive(Debug)]
struct Measured {
    figures: Figures,
    /// Without the CPU that idle nodes use in the same time.
    net_cpu_us: f64,
}

pub(crate) async fn measure(time: Duration, rounds: u32) {
    let sandbox = start_cluster("fjall", 16).await;
    define_attributes(&sandbox).await;
    let lookups = Lookups::new(&sandbox, customer).await;
    let idle = idle_share(&sandbox).await;
    println!("idle nodes: {:.1} % of a core in total", idle * 100.0);
    let load = Load { sandbox, lookups, time, idle };
    for purpose in PURPOSES {
        load.sizes(purpose).await;
        for callers in CALLERS {
            let mut measured = [const { Vec::new() }; DETAILS.len()];
            for round in 0..rounds as usize {
                for step in 0..DETAILS.len() {
                    let which = (round + step) % DETAILS.len();
                    measured[which].push(load.one(purpose, DETAILS[which], callers).await);
                }
            }
            report(callers, &measured);
        }
    }
}

/// What every measurement needs.
struct Load {
    sandbox: Sandbox,
    lookups: Lookups,
    time: Duration,
    /// Cores that all nodes together use when idle.
    idle: f64,
}

impl Load {
    async fn one(&self, purpose: &'static str, detail: VerdictDetail, callers: usize) -> Measured {
        let lookups =
            self.lookups.run(callers, self.time, move |customer| request(customer, purpose, detail));
        let start = std::time::Instant::now();
        let figures = with_cpu(&node_pids(&self.sandbox), lookups).await;
        let idle = start.elapsed().mul_f64(self.idle);
        let net_cpu_us = Figures { cpu: figures.cpu.saturating_sub(idle), ..figures }.cpu_us();
        Measured { figures, net_cpu_us }
    }

    /// Prints how much the replies contain.
    async fn sizes(&self, purpose: &'static str) {
        println!("\npurpose {purpose}");
        for detail in DETAILS {
            let reply = self.lookups.first(|customer| request(customer, purpose, detail)).await;
            println!(
                "{:>4}: {} attributes, {} withheld, {} bytes",
                name(detail),
                reply.attributes.len(),
                reply.withheld.len(),
                reply.encoded_len()
            );
        }
    }
}

async fn define_attributes(sandbox: &Sandbox) {
    let mut catalog = sandbox.catalog(0).await;
    let for_both = FOR_BOTH.map(|name| (name, PURPOSES.as_slice()));
    let for_service = FOR_SERVICE.map(|name| (name, &["service"] as &[&str]));
    for (name, purposes) in for_both.into_iter().chain(for_service) {
        let attribute = AttributeDefinition {
            name: name.into(),
            description: format!("the attribute {name}"),
            r#type: ValueType::Text.into(),
            classification: Classification::Personal.into(),
            purposes: purposes.iter().map(ToString::to_string).collect(),
            owner: "benches".into(),
            ..Default::default()
        };
        let request = CreateAttributeRequest { attribute: Some(attribute), validate_only: false };
        catalog.create_attribute(request).await.expect("an attribute is created");
    }
}

/// A customer with every attribute, collected for `service`, and with consent to both purposes.
fn customer() -> IngestProfileRequest {
    let names = FOR_BOTH.into_iter().chain(FOR_SERVICE);
    let observations = names.map(|name| observation(name, &filler(VALUE_BYTES))).collect();
    IngestProfileRequest { consents: PURPOSES.map(grant).to_vec(), ..ingest("", observations) }
}

fn request(customer: &str, purpose: &str, detail: VerdictDetail) -> GetProfileRequest {
    GetProfileRequest { verdicts: detail.into(), ..get(customer, purpose) }
}

async fn idle_share(sandbox: &Sandbox) -> f64 {
    let pids = node_pids(sandbox);
    let before = CpuTimes::of(&pids);
    tokio::time::sleep(IDLE).await;
    CpuTimes::of(&pids).since(&before).as_secs_f64() / IDLE.as_secs_f64()
}

/// Prints the medians for each detail, and the ratios to `NONE`, which comes first.
fn report(callers: usize, measured: &[Vec<Measured>; DETAILS.len()]) {
    println!("callers | detail |  cpu µs  net µs | lookups/s  p50 µs  p99 µs");
    for (detail, rounds) in DETAILS.into_iter().zip(measured) {
        let median = |of: fn(&Measured) -> f64| quartiles(rounds.iter().map(of))[1];
        println!(
            "{callers:7} | {:>6} | {:7.1} {:7.1} | {:9.0} {:7.0} {:7.0}",
            name(detail),
            median(|one| one.figures.cpu_us()),
            median(|one| one.net_cpu_us),
            median(|one| one.figures.calls_per_second),
            median(|one| one.figures.p50_us as f64),
            median(|one| one.figures.p99_us as f64),
        );
    }
    let [none, others @ ..] = measured;
    for (detail, rounds) in DETAILS.into_iter().skip(1).zip(others) {
        let ratio = |of: fn(&Measured) -> f64| {
            spread(rounds.iter().zip(none).map(|(one, plain)| of(one) / of(plain)))
        };
        println!(
            "{callers:7} | {}/NONE: cpu {}, net cpu {}, lookups/s {}",
            name(detail),
            ratio(|one| one.figures.cpu_us()),
            ratio(|one| one.net_cpu_us),
            ratio(|one| one.figures.calls_per_second),
        );
    }
}

fn name(detail: VerdictDetail) -> &'static str {
    detail.as_str_name().trim_start_matches("VERDICT_DETAIL_")
}
