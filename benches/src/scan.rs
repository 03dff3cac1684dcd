//! What finding duplicates costs a cluster (ID-4): a write of what is compared beside one of what is not, a scan of all customers,
//! and lookups beside a scan. The customers are generated, 5 % of them duplicates, so what the scan finds is counted too.
//!
//! Lookups with and without a scan come in alternating rounds, through every node in turn.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use custodia_client::Client;
use custodia_linkage::FieldKind;
use custodia_linkage::population::{Rates, generate};
use custodia_proto::v1::{
    AttributeDefinition, CreateAttributeRequest, DuplicatePair, IngestProfileRequest, ListDuplicatesRequest,
    MatchField, MatchVerdict, ScanDuplicatesRequest, ScanDuplicatesResponse, ScanPhase, ValueType,
};
use custodia_tests::Sandbox;
use custodia_tests::sample::{attribute, get, ingest, texts};

use crate::load::{Figures, run, spread, with_cpu};
use crate::process::{CpuTimes, node_pids, resident_bytes};
use crate::start_cluster;

/// Second records of a person.
const DUPLICATES: f64 = 0.05;
/// Rows in flight while customers are loaded.
const WINDOW: usize = 256;
const CALLERS: [usize; 2] = [1, 16];
const MB: u64 = 1_000_000;
/// Customers whose profiles are looked up.
const LOOKED_UP: usize = 1_000;
/// Generated people whose records the measurement of writes uses; they share no seed with those who are scanned.
const WRITTEN: u32 = 20_000;

/// Kinds that the generator makes, what they are compared as, and the names of the attributes.
const COMPARED: [(FieldKind, MatchField, &str); 10] = [
    (FieldKind::GivenName, MatchField::GivenName, "first"),
    (FieldKind::Surname, MatchField::Surname, "last"),
    (FieldKind::BirthDate, MatchField::DateOfBirth, "born"),
    (FieldKind::Gender, MatchField::Gender, "gender"),
    (FieldKind::Email, MatchField::Email, "mail"),
    (FieldKind::Phone, MatchField::Phone, "telephone"),
    (FieldKind::Street, MatchField::Street, "street"),
    (FieldKind::PostalCode, MatchField::PostalCode, "postcode"),
    (FieldKind::City, MatchField::City, "city"),
    (FieldKind::Region, MatchField::Region, "region"),
];

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Customers to generate, duplicates included.
    #[arg(long, default_value_t = 100_000)]
    customers: u32,
    /// Pause after each step of the scan in milliseconds, as `custodia duplicates scan --pause`.
    #[arg(long, default_value_t = 50)]
    pause: u64,
    /// Milliseconds that each round takes.
    #[arg(long, default_value_t = 2_000)]
    milliseconds: u64,
    /// Rounds of writes, and of lookups for each number of callers.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seed of the people.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

pub(crate) async fn measure(arguments: &Arguments) {
    let sandbox = start_cluster("fjall", 16).await;
    create_attributes(&sandbox).await;
    writes(&sandbox, arguments).await;
    let customers = load(&sandbox, arguments).await;
    whole_scan(&sandbox, arguments).await;
    quality(&sandbox, &customers).await;
    lookups(&sandbox, arguments, customers.into_keys().take(LOOKED_UP).collect()).await;
}

async fn create_attributes(sandbox: &Sandbox) {
    let mut catalog = sandbox.catalog(0).await;
    for (_, field, name) in COMPARED {
        let compared = attribute(name, ValueType::Text, &["service"]);
        let compared = AttributeDefinition { match_as: field.into(), ..compared };
        let plain = attribute(&plain(name), ValueType::Text, &["service"]);
        for attribute in [compared, plain] {
            let request = CreateAttributeRequest { attribute: Some(attribute), validate_only: false };
            catalog.create_attribute(request).await.expect("an attribute");
        }
    }
}

/// The name of the attribute that holds the same values and is not compared.
fn plain(name: &str) -> String {
    format!("plain_{name}")
}

fn request(values: &[(FieldKind, String)], is_compared: bool) -> IngestProfileRequest {
    let named = COMPARED.iter().filter_map(|(kind, _, name)| {
        let (_, value) = values.iter().find(|(of, _)| of == kind)?;
        Some((if is_compared { (*name).to_owned() } else { plain(name) }, value.as_str()))
    });
    let named: Vec<_> = named.collect();
    let named: Vec<_> = named.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    ingest("", texts(&named))
}

/// New customers whose values are compared, beside the same whose values are not.
async fn writes(sandbox: &Sandbox, arguments: &Arguments) {
    let mut people = Vec::new();
    generate(WRITTEN, !arguments.seed, &Rates::default(), |record| people.push(record.values));
    let people = Arc::new(people);
    let next = Arc::new(AtomicU64::new(0));
    let time = Duration::from_millis(arguments.milliseconds);
    for callers in CALLERS {
        let mut figures = [false, true].map(|_| Vec::new());
        for _ in 0..arguments.rounds {
            for (is_compared, figures) in [false, true].into_iter().zip(&mut figures) {
                let (client, people, next) = (sandbox.client(), Arc::clone(&people), Arc::clone(&next));
                let work = run(callers, time, move |_, _| {
                    let at = next.fetch_add(1, Ordering::Relaxed) as usize % people.len();
                    let (client, request) = (client.clone(), request(&people[at], is_compared));
                    async move { drop(client.ingest_profile(request).await.expect("a customer")) }
                });
                figures.push(with_cpu(&node_pids(sandbox), work).await);
            }
        }
        println!("{callers} callers, new customers, compared to not compared:");
        print_ratios(&figures);
    }
}

/// The second kind of round beside the first.
fn print_ratios([base, other]: &[Vec<Figures>; 2]) {
    let ratio =
        |of: fn(&Figures) -> f64| spread(other.iter().zip(base).map(|(one, base)| of(one) / of(base)));
    println!("  calls/s {}", ratio(|one| one.calls_per_second));
    println!("  p50     {}", ratio(|one| one.p50_us as f64));
    println!("  p99     {}", ratio(|one| one.p99_us as f64));
    println!("  CPU     {}", ratio(Figures::cpu_us));
    println!("  p99 µs  {} and {}", spread(base.iter().map(p99)), spread(other.iter().map(p99)));
}

fn p99(figures: &Figures) -> f64 {
    figures.p99_us as f64
}

/// Generates and stores the customers; the person of each.
async fn load(sandbox: &Sandbox, arguments: &Arguments) -> BTreeMap<String, u32> {
    let start = Instant::now();
    let (mut sender, mut receiver) = sandbox.client().ingest_profiles(WINDOW);
    let (records, mut generated) = tokio::sync::mpsc::channel(WINDOW);
    let (people, seed) = (f64::from(arguments.customers) / (1.0 + DUPLICATES), arguments.seed);
    let generator = tokio::task::spawn_blocking(move || {
        let rates = Rates { duplicate: DUPLICATES, ..Rates::default() };
        generate(people as u32, seed, &rates, |record| {
            records.blocking_send((request(&record.values, true), record.person)).expect("a receiver");
        });
    });
    let sending = tokio::spawn(async move {
        let mut persons = Vec::new();
        while let Some((request, person)) = generated.recv().await {
            sender.send(request).await.expect("an open stream");
            persons.push(person);
        }
        persons
    });
    let mut stored = Vec::new();
    while let Some(outcome) = receiver.next().await {
        stored.push((outcome.result.expect("a customer").customer_id, outcome.sequence));
    }
    generator.await.expect("the generator does not panic");
    let persons = sending.await.expect("the sender does not panic");
    println!("{} customers loaded in {:.0} s", stored.len(), start.elapsed().as_secs_f64());
    stored.into_iter().map(|(customer, sequence)| (customer, persons[sequence as usize])).collect()
}

/// One scan, from its first step to its last, while nobody else calls.
async fn whole_scan(sandbox: &Sandbox, arguments: &Arguments) {
    let pids = node_pids(sandbox);
    let resident: Vec<u64> = pids.iter().map(|pid| resident_bytes(*pid)).collect();
    let mut peak = resident.clone();
    let (client, start) = (sandbox.client(), Instant::now());
    let mut scan = Scan::default();
    let mut cpu: BTreeMap<&str, f64> = BTreeMap::new();
    loop {
        let before = CpuTimes::of(&pids);
        let is_last = scan.step(&client).await;
        *cpu.entry(scan.phase.as_str_name()).or_default() += CpuTimes::of(&pids).since(&before).as_secs_f64();
        for (pid, peak) in pids.iter().zip(&mut peak) {
            *peak = resident_bytes(*pid).max(*peak);
        }
        if is_last {
            break;
        }
        tokio::time::sleep(Duration::from_millis(arguments.pause)).await;
    }
    let grown = peak.iter().zip(&resident).map(|(peak, before)| (peak - before) / MB).max();
    println!(
        "scan: {} steps, {:.0} s, {:.1} s of CPU on all nodes in the steps, at most {} MB more on a node; {} customers read, {} pairs compared, {} new in the queue",
        scan.steps,
        start.elapsed().as_secs_f64(),
        cpu.values().sum::<f64>(),
        grown.unwrap_or_default(),
        scan.records_read,
        scan.pairs_compared,
        scan.pairs_found
    );
    for (phase, seconds) in cpu {
        println!("  {phase}: {seconds:.1} s of CPU");
    }
}

/// A scan under way.
#[derive(Debug, Default)]
struct Scan {
    token: String,
    steps: u64,
    /// Of the last step.
    phase: ScanPhase,
    records_read: u64,
    pairs_compared: u64,
    pairs_found: u64,
}

impl Scan {
    /// The next step, called as the command line does; whether it was the last.
    async fn step(&mut self, client: &Client) -> bool {
        let request = ScanDuplicatesRequest { purpose: "service".to_owned(), page_token: self.token.clone() };
        let step: ScanDuplicatesResponse = client.scan_duplicates(request).await.expect("a step");
        self.steps += 1;
        if step.phase() == ScanPhase::Index {
            self.records_read += step.records_read;
        }
        self.pairs_compared += step.pairs_compared;
        self.pairs_found += step.pairs_found;
        self.phase = step.phase();
        self.token = step.next_page_token;
        self.token.is_empty()
    }
}

/// How much of the truth is in the queue, and how much of what is called one person is true.
async fn quality(sandbox: &Sandbox, customers: &BTreeMap<String, u32>) {
    let mut sizes: BTreeMap<u32, u64> = BTreeMap::new();
    for person in customers.values() {
        *sizes.entry(*person).or_default() += 1;
    }
    let truth: u64 = sizes.into_values().map(|size| size * (size - 1) / 2).sum();
    let (mut same, mut same_true, mut queued_true) = (0_u64, 0_u64, 0_u64);
    let mut duplicates = sandbox.duplicates(0).await;
    let mut request =
        ListDuplicatesRequest { purpose: "service".to_owned(), page_size: 1_000, ..Default::default() };
    loop {
        let page = duplicates.list_duplicates(request.clone()).await.expect("a page").into_inner();
        for pair in &page.pairs {
            let Some(is_true) = is_true(pair, customers) else { continue };
            let is_same = pair.score.as_ref().is_some_and(|score| score.verdict() == MatchVerdict::Same);
            queued_true += u64::from(is_true);
            same += u64::from(is_same);
            same_true += u64::from(is_same && is_true);
        }
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    println!(
        "of {truth} true pairs {:.3} are in the queue, {:.3} as one person; of the pairs of one person {:.4} are true",
        queued_true as f64 / truth as f64,
        same_true as f64 / truth as f64,
        same_true as f64 / same.max(1) as f64
    );
}

/// Whether the two are one person; nothing if one of them was not generated here.
fn is_true(pair: &DuplicatePair, customers: &BTreeMap<String, u32>) -> Option<bool> {
    Some(customers.get(&pair.customer_id)? == customers.get(&pair.other_customer_id)?)
}

/// Lookups while a scan runs, beside lookups while none does.
async fn lookups(sandbox: &Sandbox, arguments: &Arguments, customers: Vec<String>) {
    let customers: Arc<[String]> = customers.into();
    let (time, pause) =
        (Duration::from_millis(arguments.milliseconds), Duration::from_millis(arguments.pause));
    let (mut scan, pids) = (Scan::default(), node_pids(sandbox));
    let client = sandbox.client();
    while scan.phase != ScanPhase::Compare {
        scan.step(&client).await;
    }
    for callers in CALLERS {
        let mut figures = [false, true].map(|_| Vec::new());
        for _ in 0..arguments.rounds {
            figures[0].push(with_cpu(&pids, looked_up(sandbox, callers, time, &customers)).await);
            let beside = with_cpu(&pids, looked_up(sandbox, callers, time, &customers));
            tokio::pin!(beside);
            let beside = loop {
                tokio::select! {
                    figures = &mut beside => break figures,
                    _is_last = async { scan.step(&client).await; tokio::time::sleep(pause).await } => {}
                }
            };
            figures[1].push(beside);
        }
        println!(
            "{callers} callers, GetProfile, beside a scan to without one ({} steps so far):",
            scan.steps
        );
        print_ratios(&figures);
    }
}

async fn looked_up(sandbox: &Sandbox, callers: usize, time: Duration, customers: &Arc<[String]>) -> Figures {
    let (client, customers) = (sandbox.client(), Arc::clone(customers));
    run(callers, time, move |caller, number| {
        let at = (caller * 131 + number as usize * 7) % customers.len();
        let (client, request) = (client.clone(), get(&customers[at], "service"));
        async move { drop(client.get_profile(request).await.expect("a profile")) }
    })
    .await
}
