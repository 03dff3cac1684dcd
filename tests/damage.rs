//! What becomes of bytes that changed on the disk. A record that its seal refuses is an error for itself and for no other.
//! Files that the state engine refuses cost the node one partition: its replicas are rebuilt, and the rest goes on (OP-2,
//! OP-3).
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on says why and stops"
)]

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use custodia_proto::v1;
use custodia_store::KeyKind;
use custodia_tests::actions::stored_customer;
use custodia_tests::sample::{event, fault, get, ingest, text_of, texts};
use custodia_tests::{Node, Options, Sandbox, Suite, eventually};
use tokio::task::JoinSet;
use tonic::Code;

mod stored_state;

use stored_state::alter;

fn main() -> ExitCode {
    Suite::default()
        .alone(an_altered_record_is_data_loss_for_itself_and_the_shard_goes_on)
        .alone_within(LIMIT, flipped_bits_in_tables_cost_one_partition_which_is_rebuilt)
        .alone_within(LIMIT, flipped_bits_that_apply_meets_cost_one_partition_which_is_rebuilt)
        .alone_within(LIMIT, flipped_bits_in_sled_cost_one_partition_which_is_rebuilt)
        .alone_within(LIMIT, a_single_node_rebuilds_from_its_own_log)
        .alone(an_event_sent_again_is_refused_alone_where_the_stored_one_is_altered)
        .run()
}

/// Megabytes are written before there is a table to damage.
const LIMIT: Duration = Duration::from_secs(300);

/// Customers of 8 KB each: more than the memtables of two shards.
const CUSTOMERS: usize = 1_280;
const AT_ONCE: usize = 32;
/// Customers that are changed: half are of shard 0, and every fourth of these has a flipped bit.
const CHANGED: usize = 256;

async fn an_altered_record_is_data_loss_for_itself_and_the_shard_goes_on() {
    let mut sandbox = Sandbox::start_with(Options { nodes: 1, ..Options::default() }).await;
    let customer = stored_customer(&sandbox, &[("email", "a@example.org")]).await;
    assert_eq!(sandbox.nodes[0].terminate(), Some(0));
    assert_eq!(alter(&sandbox.nodes[0], KeyKind::Core, 1), 1);
    sandbox.nodes[0].start();
    sandbox.wait_until_healthy().await;

    let read = sandbox.profiles(0).await.get_profile(get(&customer, "service")).await;
    let status = read.expect_err("altered");
    assert_eq!((status.code(), fault(&status).1.as_str()), (Code::DataLoss, "RECORD_UNREADABLE"));
    assert!(!status.message().contains(&customer));
    let update = ingest(&customer, texts(&[("email", "b@example.org")]));
    let status = sandbox.profiles(0).await.ingest_profile(update).await.expect_err("never replaced");
    assert_eq!(status.code(), Code::DataLoss);

    let mut others = Vec::new();
    for number in 0..20 {
        others.push(stored_customer(&sandbox, &[("email", &format!("{number}@example.org"))]).await);
    }
    others.insert(3, customer);
    let request = v1::BatchGetProfilesRequest {
        customer_ids: others,
        purpose: "service".to_owned(),
        ..v1::BatchGetProfilesRequest::default()
    };
    let batch = sandbox.profiles(0).await.batch_get_profiles(request).await.expect("answered").into_inner();
    for (at, item) in batch.profiles.into_iter().enumerate() {
        match item.result.expect("a result") {
            v1::batch_profile::Result::Error(error) => {
                assert_eq!((at, error.code), (3, Code::DataLoss.into()));
            }
            v1::batch_profile::Result::Profile(profile) => {
                assert_ne!(at, 3, "the altered record is not served");
                assert_eq!(profile.attributes.len(), 1);
            }
        }
    }
}

async fn an_event_sent_again_is_refused_alone_where_the_stored_one_is_altered() {
    let mut sandbox = Sandbox::start_with(Options { nodes: 1, ..Options::default() }).await;
    let mut request = ingest("", texts(&[("email", "a@example.org")]));
    request.events = vec![event("e-1", 100)];
    let answer = sandbox.profiles(0).await.ingest_profile(request).await.expect("ingested").into_inner();
    assert_eq!(sandbox.nodes[0].terminate(), Some(0));
    assert_eq!(alter(&sandbox.nodes[0], KeyKind::Event, 1), 1);
    sandbox.nodes[0].start();
    sandbox.wait_until_healthy().await;

    let append = v1::AppendEventsRequest {
        customer_id: answer.customer_id,
        purpose: "service".to_owned(),
        source: "crm".to_owned(),
        events: vec![event("e-1", 100), event("e-2", 200)],
        ..v1::AppendEventsRequest::default()
    };
    let answer = sandbox.profiles(0).await.append_events(append).await.expect("judged").into_inner();
    let outcomes: Vec<_> =
        answer.events.iter().map(|outcome| (outcome.appended, outcome.refusal())).collect();
    let (none, unreadable) = (v1::RefusalReason::Unspecified, v1::RefusalReason::Unreadable);
    assert_eq!(outcomes, [(false, unreadable), (true, none)]);
}

fn name_of(number: usize) -> String {
    format!("{number:05} {}", "x".repeat(4_000))
}

/// Stores the customers; the id of each.
async fn store_customers(sandbox: &Sandbox) -> Vec<String> {
    let mut writers = JoinSet::new();
    for first in 0..AT_ONCE {
        let client = sandbox.client();
        writers.spawn(async move {
            let mut stored = Vec::new();
            for number in (first..CUSTOMERS).step_by(AT_ONCE) {
                let (name, surname) = (name_of(number), "y".repeat(4_000));
                let request = ingest("", texts(&[("given_name", &name), ("surname", &surname)]));
                let answer = client.ingest_profile(request).await.expect("every customer is stored");
                stored.push((number, answer.customer_id));
            }
            stored
        });
    }
    let mut customers = writers.join_all().await.concat();
    customers.sort_unstable();
    customers.into_iter().map(|(_, customer)| customer).collect()
}

/// Reads all of them through the client, which asks another node where one does not answer.
async fn all_are_there(sandbox: &Sandbox, customers: &[String]) {
    let mut readers = JoinSet::new();
    for first in 0..AT_ONCE {
        let client = sandbox.client();
        let own: Vec<_> = customers.iter().cloned().enumerate().skip(first).step_by(AT_ONCE).collect();
        readers.spawn(async move {
            for (number, customer) in own {
                let profile = client.get_profile(get(&customer, "service")).await;
                let name = text_of(&profile.expect("a retry elsewhere cures it"), "given_name");
                assert!(name.is_some_and(|name| name == name_of(number)), "customer {number}");
            }
        });
    }
    readers.join_all().await;
}

/// The files in which a partition keeps its values: fjall's tables, sled's one file.
fn data_files(node: &Node, engine: &str, partition: &str) -> Vec<PathBuf> {
    let folder = node.data_path().join("state").join(partition);
    if engine == "sled" {
        return vec![folder.join("db")];
    }
    let keyspaces = fs::read_dir(folder.join("keyspaces")).expect("a folder");
    let tables = keyspaces.filter_map(|keyspace| fs::read_dir(keyspace.ok()?.path().join("tables")).ok());
    let files = tables.flatten().map(|table| table.expect("an entry").path());
    files.filter(|file| file.metadata().is_ok_and(|metadata| metadata.len() > 1 << 20)).collect()
}

/// Flips one bit in every 32 KiB.
fn flip_bits(path: &Path) {
    let file = fs::File::options().read(true).write(true).open(path).expect("a file of the engine");
    let length = file.metadata().expect("metadata").len();
    for at in (9_000..length).step_by(32 * 1024) {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).expect("read");
        byte[0] ^= 4;
        file.write_all_at(&byte, at).expect("written");
    }
}

/// The node that leads shard 0.
async fn leader_of_shard_0(sandbox: &Sandbox) -> usize {
    let mut leader = 0;
    eventually("shard 0 is led", async || {
        let shards = sandbox.shards(0).await.unwrap_or_default();
        leader = shards.first().map_or(0, |shard| shard.leader_node_id);
        leader > 0
    })
    .await;
    sandbox.nodes.iter().position(|node| node.id == leader).expect("a node")
}

/// Damages the files of shard 0 on a node that runs.
async fn damage_shard_0(node: &Node, engine: &str) {
    eventually("the engine has written files", async || !data_files(node, engine, "00").is_empty()).await;
    for file in data_files(node, engine, "00") {
        flip_bits(&file);
    }
}

/// Who meets the damage.
#[derive(Clone, Copy)]
enum MetBy {
    /// A caller that reads from the node that leads the shard.
    Read,
    /// A replica that follows, when it applies what the leader has proposed. Nobody reads from it.
    Apply,
}

impl MetBy {
    /// Damages the files of shard 0 on a node, and has it meet the damage. Returns the node.
    async fn damage(self, sandbox: &Sandbox, engine: &str, customers: &[String]) -> usize {
        let leader = leader_of_shard_0(sandbox).await;
        match self {
            Self::Read => {
                damage_shard_0(&sandbox.nodes[leader], engine).await;
                read_until_met(sandbox, leader, customers).await;
                leader
            }
            Self::Apply => {
                let node = (leader + 1) % sandbox.nodes.len();
                damage_shard_0(&sandbox.nodes[node], engine).await;
                change(sandbox, &customers[..CHANGED]).await;
                node
            }
        }
    }
}

async fn read_until_met(sandbox: &Sandbox, node: usize, customers: &[String]) {
    let mut profiles = sandbox.profiles(node).await;
    for customer in customers {
        if let Err(status) = profiles.get_profile(get(customer, "service")).await {
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            return;
        }
    }
    panic!("the damage was not met");
}

/// Changes customers; the other nodes are a majority. Apply compares what is stored, so it reads it.
async fn change(sandbox: &Sandbox, customers: &[String]) {
    let client = sandbox.client();
    for customer in customers {
        let request = ingest(customer, texts(&[("surname", "z")]));
        client.ingest_profile(request).await.expect("a majority is sound");
    }
}

async fn partition_is_lost_and_rebuilt(engine: &'static str, met_by: MetBy) {
    let options = Options { shards: 2, engine, ..Options::default() };
    let mut sandbox = Sandbox::start_with(options).await;
    let customers = store_customers(&sandbox).await;
    if engine == "sled" {
        // What was just written is in its cache.
        for node in &mut sandbox.nodes {
            assert_eq!(node.terminate(), Some(0));
            node.start();
        }
        sandbox.wait_until_healthy().await;
    }
    let damaged = met_by.damage(&sandbox, engine, &customers).await;
    let (id, other) = (sandbox.nodes[damaged].id, (damaged + 1) % 3);
    for asked in [damaged, other] {
        eventually("the status says which replica does not run", async || {
            let Ok(status) = sandbox.status(asked).await else { return false };
            let node = status.nodes.iter().find(|node| node.node_id == id).expect("the node");
            // or it runs again by now
            let told = node.stopped_replicas.iter().any(|stopped| stopped.group == "shard-0");
            assert_eq!(told, node.replicas < 2 && status.shards_with_full_replicas < 2, "{status:?}");
            told || fs::exists(sandbox.nodes[damaged].data_path().join("state/00.aside-1")).expect("asked")
        })
        .await;
    }
    all_are_there(&sandbox, &customers).await;
    for asked in 0..3 {
        eventually("every replica runs again", async || {
            sandbox.status(asked).await.is_ok_and(|status| {
                status.shards_with_full_replicas == 2
                    && status.nodes.iter().all(|node| node.replicas == 2 && node.stopped_replicas.is_empty())
            })
        })
        .await;
    }
    let state = sandbox.nodes[damaged].data_path().join("state");
    assert!(state.join("00.aside-1").is_dir(), "the damaged partition is kept");
    assert!(!state.join("01.aside-1").exists() && !state.join("directory.aside-1").exists());

    // the rebuilt replica carries a majority
    sandbox.nodes[other].kill();
    all_are_there(&sandbox, &customers).await;
    assert_eq!(sandbox.nodes[damaged].terminate(), Some(0), "the process was never restarted");
}

async fn flipped_bits_in_tables_cost_one_partition_which_is_rebuilt() {
    partition_is_lost_and_rebuilt("fjall", MetBy::Read).await;
}

async fn flipped_bits_that_apply_meets_cost_one_partition_which_is_rebuilt() {
    partition_is_lost_and_rebuilt("fjall", MetBy::Apply).await;
}

async fn flipped_bits_in_sled_cost_one_partition_which_is_rebuilt() {
    partition_is_lost_and_rebuilt("sled", MetBy::Read).await;
}

/// No other node has the state. The log still has every entry, so nothing is lost.
async fn a_single_node_rebuilds_from_its_own_log() {
    let sandbox = Sandbox::start_with(Options { nodes: 1, shards: 2, ..Options::default() }).await;
    let customers = store_customers(&sandbox).await;
    MetBy::Read.damage(&sandbox, "fjall", &customers).await;
    eventually("every replica runs again", async || {
        sandbox.status(0).await.is_ok_and(|status| status.shards_with_full_replicas == 2)
    })
    .await;
    all_are_there(&sandbox, &customers).await;
}
