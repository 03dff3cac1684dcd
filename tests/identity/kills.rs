//! Nodes that die between two steps of a claim: no identifier is lost, none is held twice, none is stuck (ID-2).
//!
//! Each round arms one failpoint on one node, lets many writers register and release the same few identifiers, restarts what has
//! died, and compares what the customers' records say with what every node finds. `CUSTODIA_KILL_ROUNDS=250 cargo test --workspace --test
//! identity whoever_dies` runs as many rounds as it says.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use custodia_proto::v1::identity_service_client::IdentityServiceClient;
use custodia_proto::v1::profile_service_client::ProfileServiceClient;
use custodia_proto::v1::{IngestProfileRequest, ReleaseIdentifierRequest};
use custodia_tests::sample::{new_customer, new_id};
use custodia_tests::{Sandbox, Suite, eventually};
use fastrand::Rng;
use futures::future::join_all;
use tonic::Status;
use tonic::transport::Channel;

use crate::namespaces::{
    define, found_everywhere, identified, identifier, ingested, listed, new_email, released,
};

/// The steps of a claim, in their order.
const FAILPOINTS: [&str; 5] = ["claim-settled", "claim-put", "fenced", "claims-granted", "write-committed"];
/// Enough that some are free in each round, and few enough that writers meet.
const IDENTIFIERS: usize = 40;
const WRITERS: usize = 40;
/// How often a call is tried through one node after another.
const TRIES: usize = 6;

pub(crate) fn tests(suite: Suite) -> Suite {
    suite.alone_within(limit(), whoever_dies_between_two_steps_no_identifier_is_lost_or_held_twice)
}

pub(crate) fn limit() -> Duration {
    Duration::from_secs(60 + 30 * rounds())
}

pub(crate) fn rounds() -> u64 {
    let stated = std::env::var("CUSTODIA_KILL_ROUNDS").ok();
    stated.map_or(FAILPOINTS.len() as u64, |text| text.parse().expect("a number of rounds"))
}

async fn whoever_dies_between_two_steps_no_identifier_is_lost_or_held_twice() {
    let mut sandbox = Sandbox::start().await;
    define(&sandbox).await;
    let emails: Vec<_> = (0..IDENTIFIERS).map(|_| new_email("kill")).collect();
    let mut customers = Vec::new();
    let mut died = BTreeMap::<&str, u32>::new();
    let mut random = Rng::with_seed(20_261_130);
    for round in 0..usize::try_from(rounds()).expect("few") {
        let (failpoint, node) = (FAILPOINTS[round % FAILPOINTS.len()], random.usize(0..3));
        arm(&mut sandbox, node, &format!("{failpoint}:{}", random.u32(0..2))).await;
        let writers =
            (0..WRITERS).map(|_| write(&sandbox, &emails, &customers, Rng::with_seed(random.u64(..))));
        let written = join_all(writers.collect::<Vec<_>>()).await;
        customers.extend(written.into_iter().flatten());
        if disarm(&mut sandbox, node).await {
            *died.entry(failpoint).or_default() += 1;
        }
        check(&sandbox, &emails, &customers).await;
    }
    println!("nodes that died, by failpoint: {died:?}");
    assert!(!died.is_empty(), "no failpoint was reached");
}

/// Restarts a node so that it dies at a failpoint. Until it leads a share of the shards again, it passes none.
pub(crate) async fn arm(sandbox: &mut Sandbox, node: usize, failpoint: &str) {
    sandbox.nodes[node].kill();
    sandbox.nodes[node].environment = vec![("CUSTODIA_FAILPOINT", PathBuf::from(failpoint))];
    sandbox.nodes[node].start();
    sandbox.wait_until_healthy().await;
    let id = sandbox.nodes[node].id;
    eventually("the armed node leads its share of the shards again", async || {
        let shards = sandbox.shards(node).await.unwrap_or_default();
        4 * shards.iter().filter(|shard| shard.leader_node_id == id).count() >= shards.len().max(1)
    })
    .await;
}

/// Kills the node if it still runs, and starts it as usual. Whether it had died.
pub(crate) async fn disarm(sandbox: &mut Sandbox, node: usize) -> bool {
    let died = sandbox.nodes[node].has_ended();
    sandbox.nodes[node].environment.clear();
    sandbox.nodes[node].kill();
    sandbox.nodes[node].start();
    sandbox.wait_until_healthy().await;
    died
}

/// Registers some of the identifiers for a new customer, or for one that holds some, and sometimes releases one; the new customer.
pub(crate) async fn write(
    sandbox: &Sandbox,
    emails: &[String],
    known: &[String],
    mut random: Rng,
) -> Option<String> {
    let old = (!known.is_empty() && random.bool()).then(|| known[random.usize(..known.len())].clone());
    let customer = old.clone().unwrap_or_else(new_customer);
    let mut wanted: Vec<_> = emails.iter().map(|email| ("email", email.as_str())).collect();
    random.shuffle(&mut wanted);
    wanted.truncate(random.usize(1..4));
    if old.is_some() && random.bool() {
        let request = ReleaseIdentifierRequest {
            customer_id: customer,
            purpose: "service".to_owned(),
            identifier: Some(identifier("email", wanted[0].1)),
            request_id: new_id(),
        };
        let release = async |node: usize| {
            identity(sandbox, node).await?.release_identifier(request.clone()).await.map(drop)
        };
        tried(&mut random, release).await;
        return None;
    }
    let request = identified(&customer, &wanted);
    let ingest = async |node: usize| ingest(sandbox, node, request.clone()).await;
    tried(&mut random, ingest).await;
    old.is_none().then_some(customer)
}

async fn ingest(sandbox: &Sandbox, node: usize, request: IngestProfileRequest) -> Result<(), Status> {
    let channel = sandbox.channel(node, &sandbox.admin).await?;
    ProfileServiceClient::new(channel).ingest_profile(request).await.map(drop)
}

async fn identity(sandbox: &Sandbox, node: usize) -> Result<IdentityServiceClient<Channel>, Status> {
    Ok(IdentityServiceClient::new(sandbox.channel(node, &sandbox.admin).await?))
}

/// Tries a call through one node after another; whether it succeeded does not matter.
async fn tried(random: &mut Rng, mut call: impl AsyncFnMut(usize) -> Result<(), Status>) {
    let first = random.usize(0..3);
    for attempt in 0..TRIES {
        if call((first + attempt) % 3).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Compares the records with the lookups, and registers what nobody holds.
pub(crate) async fn check(sandbox: &Sandbox, emails: &[String], customers: &[String]) {
    let mut holders = BTreeMap::<String, Vec<&str>>::new();
    for customer in customers {
        for held in listed(sandbox, 0, customer).await {
            holders.entry(held.value).or_default().push(customer);
        }
    }
    for email in emails {
        let expected = holders.get(email).cloned().unwrap_or_default();
        assert!(expected.len() <= 1, "{} customers hold one identifier", expected.len());
        found_everywhere(sandbox, "email", email, &expected).await;
    }
    // What nobody holds, though somebody may have begun to claim it, is free.
    if let Some(free) = emails.iter().find(|email| !holders.contains_key(*email)) {
        let answer = ingested(sandbox, 1, identified("", &[("email", free)])).await;
        assert!(answer.identifiers[0].merged, "{answer:?}");
        released(sandbox, 2, &answer.customer_id, ("email", free)).await;
    }
}
