//! Replicas that differ are noticed, named, and made the same again: what changed below a node, with a checksum that fits, or was
//! rolled back whole.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says why and stops"
)]

use std::process::ExitCode;

use custodia_proto::v1;
use custodia_store::KeyKind;
use custodia_tests::sample::{get, ingest, text_of, texts};
use custodia_tests::{FAST_TIMING, Options, Sandbox, Suite, custodia, eventually, free_port};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

mod stored_state;

use stored_state::{SHARDS, alter, groups, store, stored};

/// So many that every shard has some.
const CUSTOMERS: usize = 40;

fn main() -> ExitCode {
    Suite::default()
        .alone(altered_values_are_named_by_shard_node_and_range_and_the_replicas_are_rebuilt)
        .alone(values_that_were_rolled_back_whole_are_found_in_the_background_and_rebuilt)
        .alone(replicas_without_a_majority_are_reported_and_all_stay)
        .run()
}

/// A cluster that compares its replicas this often, and the addresses of its metrics.
async fn start(verify_interval_s: u64) -> (Sandbox, Vec<String>) {
    let mut sandbox = Sandbox::prepare(Options { shards: SHARDS.into(), ..Options::default() });
    let mut metrics = Vec::new();
    for node in &sandbox.nodes {
        let address = format!("127.0.0.1:{}", free_port());
        let lines =
            format!("metrics_listen = \"{address}\"\nverify_interval_s = {verify_interval_s}\n{FAST_TIMING}");
        sandbox.write_config(node, &lines);
        metrics.push(address);
    }
    sandbox.spawn_and_init().await;
    sandbox.define_catalogue().await;
    (sandbox, metrics)
}

async fn ingest_customers(sandbox: &Sandbox) -> Vec<String> {
    let client = sandbox.client();
    let mut customers = Vec::new();
    for number in 0..CUSTOMERS {
        let request = ingest("", texts(&[("email", &format!("{number}@example.org"))]));
        customers.push(client.ingest_profile(request).await.expect("ingested").customer_id);
    }
    customers
}

async fn wait_for_all_replicas(sandbox: &Sandbox) {
    sandbox.wait_until_healthy().await;
    eventually("every replica runs", async || match sandbox.status(0).await {
        Ok(status) => status.shards_with_full_replicas == status.shards,
        Err(_) => false,
    })
    .await;
}

/// Verifies a shard, again and again while it has no leader or a replica cannot be compared.
async fn verified(sandbox: &Sandbox, request: v1::VerifyShardRequest) -> v1::ShardVerification {
    let mut last = None;
    eventually("every replica of the shard is compared", async || {
        last = sandbox.cluster(0).await.verify_shard(request).await.map(tonic::Response::into_inner).ok();
        last.as_ref().is_some_and(|verified| {
            verified.replicas.iter().all(|it| it.verdict() != v1::ReplicaVerdict::NotCompared)
        })
    })
    .await;
    last.expect("verified")
}

fn shard(shard_id: u32) -> v1::VerifyShardRequest {
    v1::VerifyShardRequest { shard_id, directory: false }
}

/// Waits until `custodia shard verify` finds nothing.
async fn wait_until_replicas_agree(sandbox: &Sandbox) {
    let client = sandbox.client_file();
    eventually("all replicas agree", async || {
        let (code, text, _) = custodia(&["shard", "verify", "--client", &client]);
        code == Some(0) && text.starts_with("15 replicas agree, 0 do not")
    })
    .await;
}

/// Whether a node has counted a verification with this outcome.
async fn has_counted(metrics: &str, outcome: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(metrics).await else { return false };
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {metrics}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("asked");
    let mut page = String::new();
    stream.read_to_string(&mut page).await.expect("a page");
    page.contains(&format!("custodia_verifications_total{{outcome=\"{outcome}\"}}"))
}

/// Stops all nodes and compares the bytes of their shards.
fn assert_nodes_have_stored_the_same(sandbox: &mut Sandbox) {
    for node in &mut sandbox.nodes {
        assert_eq!(node.terminate(), Some(0));
    }
    let first = stored(&sandbox.nodes[0], None);
    assert!(first.len() > CUSTOMERS);
    for node in &sandbox.nodes[1..] {
        assert!(stored(node, None) == first, "node {} has stored something else than node 1", node.id);
    }
}

async fn altered_values_are_named_by_shard_node_and_range_and_the_replicas_are_rebuilt() {
    let (mut sandbox, metrics) = start(86_400).await;
    let customers = ingest_customers(&sandbox).await;
    wait_for_all_replicas(&sandbox).await;
    wait_until_replicas_agree(&sandbox).await;
    let client = sandbox.client_file();
    let (code, text, _) = custodia(&["shard", "verify", "--shard", "2", "--client", &client]);
    assert_eq!((code, text.trim_end()), (Some(0), "3 replicas agree, 0 do not or could not be compared"));
    let (code, _, errors) = custodia(&["shard", "verify", "--shard", "4", "--client", &client]);
    assert!(code == Some(2) && errors.contains("--shard: no such shard"), "{errors}");

    assert_eq!(sandbox.nodes[2].terminate(), Some(0));
    assert_eq!(alter(&sandbox.nodes[2], KeyKind::Core, 1), CUSTOMERS);
    sandbox.nodes[2].start();
    wait_for_all_replicas(&sandbox).await;
    eventually("node 3 leads one of the shards again", async || match sandbox.shards(0).await {
        Ok(shards) => shards.iter().any(|shard| shard.leader_node_id == 3),
        Err(_) => false,
    })
    .await;

    for (number, of) in (0..).zip(sandbox.shards(0).await.expect("listed")) {
        let verified = verified(&sandbox, shard(number)).await;
        let (agrees, differs) = (v1::ReplicaVerdict::Agrees, v1::ReplicaVerdict::Differs);
        let verdicts: Vec<_> = verified.replicas.iter().map(|it| (it.node_id, it.verdict())).collect();
        assert_eq!(verdicts, [(1, agrees), (2, agrees), (3, differs)], "{verified:?}");
        let found = &verified.replicas[2];
        assert_eq!((found.first_kind.as_str(), found.replaced), ("core", true), "{verified:?}");
        let slot = found.first_slot.expect("a slot");
        assert!((of.slot_first..=of.slot_last).contains(&slot), "{verified:?}");
    }
    let mut counted = 0;
    for address in &metrics {
        counted += usize::from(has_counted(address, "differ").await);
    }
    assert!(counted > 0, "no leader has counted it");
    let logs: Vec<String> = sandbox.nodes.iter().flat_map(|node| node.log_after(0)).collect();
    for shard in groups() {
        let names = |line: &&String| line.contains("differs from the others") && line.contains("ERROR");
        let line = logs.iter().filter(names).find(|line| line.contains(&format!("group={shard}")));
        assert!(line.is_some_and(|line| line.contains("node=3") && line.contains("core")), "{shard}");
    }
    assert!(!logs.iter().any(|line| customers.iter().any(|customer| line.contains(customer))));

    wait_until_replicas_agree(&sandbox).await;
    let client = sandbox.client();
    for (number, customer) in customers.iter().enumerate() {
        let profile = client.get_profile(get(customer, "service")).await.expect("served");
        assert_eq!(text_of(&profile, "email"), Some(format!("{number}@example.org")));
    }
    assert_nodes_have_stored_the_same(&mut sandbox);
}

async fn values_that_were_rolled_back_whole_are_found_in_the_background_and_rebuilt() {
    let (mut sandbox, metrics) = start(1).await;
    let customers = ingest_customers(&sandbox).await;
    wait_for_all_replicas(&sandbox).await;
    assert_eq!(sandbox.nodes[1].terminate(), Some(0));
    let old = stored(&sandbox.nodes[1], Some(KeyKind::Core));
    sandbox.nodes[1].start();
    sandbox.wait_until_healthy().await;
    let client = sandbox.client();
    for customer in &customers {
        let request = ingest(customer, texts(&[("email", "new@example.org")]));
        client.ingest_profile(request).await.expect("ingested");
    }
    wait_for_all_replicas(&sandbox).await;
    wait_until_replicas_agree(&sandbox).await;
    assert_eq!(sandbox.nodes[1].terminate(), Some(0));
    assert!(old != stored(&sandbox.nodes[1], Some(KeyKind::Core)));
    store(&sandbox.nodes[1], old);
    sandbox.nodes[1].start();

    eventually("a leader has found it in the background", async || {
        for address in &metrics {
            if has_counted(address, "differ").await {
                return true;
            }
        }
        false
    })
    .await;
    wait_until_replicas_agree(&sandbox).await;
    for customer in &customers {
        let profile = client.get_profile(get(customer, "service")).await.expect("served");
        assert_eq!(text_of(&profile, "email"), Some("new@example.org".to_owned()));
    }
    assert_nodes_have_stored_the_same(&mut sandbox);
}

async fn replicas_without_a_majority_are_reported_and_all_stay() {
    let (mut sandbox, _) = start(86_400).await;
    ingest_customers(&sandbox).await;
    wait_for_all_replicas(&sandbox).await;
    for (index, bit) in [(1, 1), (2, 2)] {
        assert_eq!(sandbox.nodes[index].terminate(), Some(0));
        assert_eq!(alter(&sandbox.nodes[index], KeyKind::Core, bit), CUSTOMERS);
        sandbox.nodes[index].start();
        wait_for_all_replicas(&sandbox).await;
    }
    wait_for_all_replicas(&sandbox).await;
    for _twice in 0..2 {
        for number in 0..u32::from(SHARDS) {
            let verified = verified(&sandbox, shard(number)).await;
            for replica in &verified.replicas {
                assert_eq!(replica.verdict(), v1::ReplicaVerdict::Differs, "{verified:?}");
                assert!(!replica.replaced, "{verified:?}");
            }
        }
    }
    let (code, text, _) = custodia(&["shard", "verify", "--client", &sandbox.client_file()]);
    assert_eq!(code, Some(1), "{text}");
}
