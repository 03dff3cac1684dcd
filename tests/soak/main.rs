//! `soak`: a cluster of real processes under load and under random faults, round after round. What it checks holds for every
//! call, whatever fails: nothing acknowledged is lost, no answer is stale, nothing is served or merged behind a withdrawal or
//! a suspension, and all replicas store the same (OP-2, OP-3, CO-3, CO-4).
//!
//! ```text
//! cargo run --release --locked -p custodia-tests --bin soak -- --rounds 300
//! ```
//! A round puts faults in, takes them back, and waits until every replica runs and every writer got on. The seed decides which
//! faults come in which order; how calls fall between them differs from run to run.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a soak prints what it does, and stops where it cannot go on"
)]

mod decisions;
mod fault;
mod load;
mod registers;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use custodia_proto::v1::{
    NodeState, ReplicaVerdict, ShardVerification, VerifyShardRequest,
    cluster_service_client::ClusterServiceClient,
};
use custodia_tests::{NodeClocks, Options, Sandbox};

use fault::{Cluster, Fault};
use load::Load;

/// Random faults on a cluster under load, and every answer checked.
#[derive(Debug, Parser)]
struct Arguments {
    /// Rounds of faults.
    #[arg(long, default_value_t = 300)]
    rounds: u32,
    /// Decides which faults come in which order [default: random, printed].
    #[arg(long)]
    seed: Option<u64>,
    /// `fjall` or `sled`.
    #[arg(long, default_value = "fjall", value_parser = custodia_tests::engine)]
    engine: &'static str,
}

const SHARDS: u32 = 8;
/// Short leases, so that an election or a change of the catalogue does not make a round long.
const CONFIG: &str = "[timing]\nheartbeat_ms = 100\nelection_min_ms = 400\nelection_max_ms = 800\n\
                      catalogue_lease_ms = 1000\n";
/// The longest that a cluster may take to be whole again after the last fault of a round.
const SETTLES_WITHIN: Duration = Duration::from_secs(180);
/// Replicas are compared after every round that altered bytes on a disk, and in every one of so many rounds.
const COMPARED_EVERY: u32 = 10;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut random = fastrand::Rng::with_seed(arguments.seed.unwrap_or_else(|| fastrand::u64(..)));
    println!("seed {}, {} rounds, {}", random.get_seed(), arguments.rounds, arguments.engine);
    let options =
        Options { shards: SHARDS, engine: arguments.engine, config: CONFIG.to_owned(), ..Options::default() };
    let mut sandbox = Sandbox::prepare(options);
    let links = sandbox.link().await;
    let clocks = NodeClocks::install(&sandbox.path(), &mut sandbox.nodes);
    sandbox.spawn_and_init().await;
    sandbox.define_catalogue().await;
    let load = Load::start(&sandbox).await;
    let mut cluster = Cluster { sandbox, links, clocks };
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut found = 0;
    for round in 1..=arguments.rounds {
        let faults = Fault::choose(&mut random);
        println!("round {round}: {}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
        for fault in &faults {
            *counts.entry(fault.name()).or_default() += 1;
            cluster.strike(fault, &mut random).await;
        }
        cluster.heal();
        let altered = faults.iter().any(Fault::alters_bytes);
        let settled = settle(&cluster.sandbox, &load).await;
        let compared = match settled {
            Ok(()) if altered || round % COMPARED_EVERY == 0 => compare(&cluster.sandbox, altered).await,
            settled => settled.map(|()| 0),
        };
        match compared {
            Ok(differing) => found += differing,
            Err(wrong) => load.is_wrong(wrong),
        }
        if load.anything_wrong() {
            break;
        }
    }
    load.finish().await;
    println!("faults: {counts:?}; altered replicas found by comparison and rebuilt: {found}");
    println!("{}", load.summary());
    let wrong = load.wrong();
    for violation in &wrong {
        println!("WRONG: {violation}");
    }
    if wrong.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("the nodes' logs and data stay in {}", cluster.sandbox.keep().display());
    ExitCode::FAILURE
}

/// Waits until every replica of every shard runs on every node, and every writer got on.
async fn settle(sandbox: &Sandbox, load: &Arc<Load>) -> Result<(), String> {
    let deadline = Instant::now() + SETTLES_WITHIN;
    for node in 0..sandbox.nodes.len() {
        loop {
            let last = match sandbox.status(node).await {
                Ok(status)
                    if status.shards == SHARDS
                        && status.shards_with_leader == SHARDS
                        && status.shards_with_full_replicas == SHARDS
                        && status.nodes.iter().all(|node| node.state() == NodeState::Up) =>
                {
                    break;
                }
                Ok(status) => {
                    let stopped: Vec<_> =
                        status.nodes.iter().flat_map(|node| &node.stopped_replicas).collect();
                    format!(
                        "{} of {SHARDS} shards led, {} with all replicas; {stopped:?}",
                        status.shards_with_leader, status.shards_with_full_replicas
                    )
                }
                Err(status) => status.to_string(),
            };
            if Instant::now() > deadline {
                return Err(format!("by node {} the cluster is not whole again: {last}", node + 1));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    load.gets_on(deadline).await
}

/// Compares the replicas of every group until all agree; how many differed. None may, unless bytes were altered.
async fn compare(sandbox: &Sandbox, altered: bool) -> Result<usize, String> {
    let deadline = Instant::now() + SETTLES_WITHIN;
    let mut found = 0;
    let shards = (0..SHARDS).map(|shard_id| VerifyShardRequest { shard_id, directory: false });
    for request in shards.chain([VerifyShardRequest { shard_id: 0, directory: true }]) {
        loop {
            let answer = match sandbox.channel(0, &sandbox.admin).await {
                Ok(channel) => ClusterServiceClient::new(channel).verify_shard(request).await,
                Err(status) => Err(status),
            };
            let differing =
                answer.as_ref().map_or(0, |answer| with_verdict(answer.get_ref(), ReplicaVerdict::Differs));
            if differing > 0 && !altered {
                return Err(format!("replicas differ though no bytes were altered: {answer:?}"));
            }
            found += differing;
            if answer.as_ref().is_ok_and(|answer| {
                with_verdict(answer.get_ref(), ReplicaVerdict::Agrees) == answer.get_ref().replicas.len()
            }) {
                break;
            }
            if Instant::now() > deadline {
                return Err(format!("replicas do not agree again: {answer:?}"));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(found)
}

fn with_verdict(verification: &ShardVerification, verdict: ReplicaVerdict) -> usize {
    verification.replicas.iter().filter(|replica| replica.verdict() == verdict).count()
}
