//! Processes die, stand still and come back; nothing acknowledged is lost (OP-2, OP-3).
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on says why and stops"
)]

use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use custodia_proto::v1::{
    BatchGetProfilesRequest, GetConsentsAsOfRequest, GetProfileRequest, ListRecipientsRequest,
    ListUnusedAttributesRequest, Profile, Recipient, VerdictDetail,
};
use custodia_proto::{FieldMask, Timestamp};
use custodia_tests::actions::{create_recipient, stored_customer};
use custodia_tests::sample::{fault, get, ingest, now, observation, text_of};
use custodia_tests::{Node, NodeClocks, Options, Oracle, Sandbox, Suite, eventually};
use tokio::task::JoinSet;
use tonic::Code;

fn main() -> ExitCode {
    Suite::default()
        .alone_within(KILLS_LIMIT, no_acknowledged_write_is_lost_however_often_a_node_is_killed)
        .alone(with_two_of_three_down_calls_fail_fast_and_all_comes_back_after)
        .alone(a_cluster_stopped_as_a_whole_comes_back_with_everything)
        .alone(a_lost_state_engine_is_rebuilt_from_the_other_nodes)
        .alone(a_paused_leader_serves_nothing_stale_when_it_wakes)
        .alone(a_leader_whose_clock_stood_still_serves_nothing_stale)
        .alone(a_node_whose_clock_is_wrong_is_named_and_judges_by_the_others)
        .alone(a_drained_node_hands_its_leaderships_over)
        .alone(a_draining_node_says_so_and_names_another)
        .alone(a_node_that_wakes_keeps_its_connections)
        .alone(a_stopped_node_forgets_neither_reads_nor_the_catalogue)
        .run()
}

/// How many times a node is killed under load, and the limit for all of it.
const ROUNDS: usize = 30;
const KILLS_LIMIT: Duration = Duration::from_secs(600);

/// Metadata of an answer that names the leader of the customer's shard, where the node that answers does not lead it.
const LEADER_METADATA: &str = "custodia-leader";

async fn no_acknowledged_write_is_lost_however_often_a_node_is_killed() {
    let mut sandbox = Sandbox::start().await;
    let client = sandbox.client();
    let oracle = Oracle::start(&client, 8).await;
    oracle.wait_for_progress().await;
    for round in 0..ROUNDS {
        // each node in turn, at moments that differ
        let victim = round % 3;
        tokio::time::sleep(Duration::from_millis((round as u64 * 37) % 211)).await;
        sandbox.nodes[victim].kill();
        oracle.wait_for_progress().await;
        sandbox.nodes[victim].start();
        caught_up(&sandbox, victim).await;
    }
    let acknowledged = oracle.finish(&client).await;
    assert!(acknowledged > ROUNDS * 8);
}

/// Waits until a node's replicas have applied what their leaders had when the call began.
async fn caught_up(sandbox: &Sandbox, node: usize) {
    let mut goal: Vec<u64> = Vec::new();
    for other in sandbox.running().into_iter().filter(|other| *other != node) {
        let shards = sandbox.shards(other).await.unwrap();
        goal.resize(goal.len().max(shards.len()), 0);
        for (goal, shard) in goal.iter_mut().zip(shards) {
            *goal = (*goal).max(shard.applied_index);
        }
    }
    eventually("the node has caught up", async || match sandbox.shards(node).await {
        Ok(shards) => {
            shards.len() == goal.len()
                && shards.iter().zip(&goal).all(|(shard, &goal)| shard.applied_index >= goal)
        }
        Err(_) => false,
    })
    .await;
}

async fn with_two_of_three_down_calls_fail_fast_and_all_comes_back_after() {
    let mut sandbox = Sandbox::start().await;
    let customer = stored_customer(&sandbox, &[("given_name", "Ada")]).await;
    sandbox.nodes[1].kill();
    sandbox.nodes[2].kill();
    // leases run out; then neither a read nor a write is answered, and both say so before their deadline
    eventually("a read is refused", async || {
        let status = sandbox.profiles(0).await.get_profile(get(&customer, "service")).await;
        status.is_err_and(|status| status.code() == Code::Unavailable)
    })
    .await;
    for _ in 0..5 {
        let started = Instant::now();
        let write = ingest(&customer, vec![observation("given_name", "lost")]);
        let mut request = tonic::Request::new(write);
        request.set_timeout(Duration::from_secs(8));
        let status = sandbox.profiles(0).await.ingest_profile(request).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert!(started.elapsed() < Duration::from_secs(8), "it says so before the deadline");
    }
    // and so does the client, however long the caller would wait
    let (started, patience) = (Instant::now(), Duration::from_secs(240));
    let client = sandbox.client().with_deadline(patience);
    let error = client.get_profile(get(&customer, "service")).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    assert!(started.elapsed() < patience / 2, "it does not wait for the deadline");
    sandbox.nodes[1].start();
    sandbox.nodes[2].start();
    sandbox.wait_until_healthy().await;
    let profile = sandbox.client().get_profile(get(&customer, "service")).await.unwrap();
    let name = text_of(&profile, "given_name").unwrap();
    assert_eq!(name, "Ada", "what was refused as unavailable was not acknowledged, and did not happen");
}

async fn a_cluster_stopped_as_a_whole_comes_back_with_everything() {
    let mut sandbox = Sandbox::start_with(Options { shards: 16, ..Options::default() }).await;
    let client = sandbox.client();
    let oracle = Oracle::start(&client, 4).await;
    oracle.wait_for_progress().await;
    let before = oracle.acknowledged().iter().sum::<u64>();
    for node in &mut sandbox.nodes {
        node.kill();
    }
    for node in &mut sandbox.nodes {
        node.start();
    }
    sandbox.wait_until_healthy().await;
    oracle.wait_for_progress().await;
    assert!(oracle.finish(&client).await as u64 > before);
}

async fn a_lost_state_engine_is_rebuilt_from_the_other_nodes() {
    let mut sandbox = Sandbox::start().await;
    let client = sandbox.client();
    let mut customers = Vec::new();
    for number in 0..40 {
        let request = ingest("", vec![observation("given_name", &format!("name {number}"))]);
        customers.push(client.ingest_profile(request).await.unwrap().customer_id);
    }
    sandbox.nodes[2].kill();
    // every file of the engine is spoiled in its middle
    spoil(&sandbox.nodes[2].data_path().join("state"));
    sandbox.nodes[2].start();
    caught_up(&sandbox, 2).await;
    let state = fs::read_dir(sandbox.nodes[2].data_path().join("state")).unwrap();
    let aside = state
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".aside-1"))
        .count();
    assert_eq!(aside, 17, "every spoiled partition was set aside, not deleted");
    // the rebuilt node carries a majority
    sandbox.nodes[0].kill();
    for (number, customer) in customers.iter().enumerate() {
        let profile = client.get_profile(get(customer, "service")).await.unwrap();
        assert_eq!(text_of(&profile, "given_name"), Some(format!("name {number}")));
    }
}

fn spoil(folder: &std::path::Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            spoil(&path);
        } else {
            let mut bytes = fs::read(&path).unwrap();
            let end = bytes.len();
            bytes[end / 4..end * 3 / 4].fill(0xA5);
            fs::write(&path, bytes).unwrap();
        }
    }
}

/// The node that leads a customer's shard.
async fn leader_of(sandbox: &Sandbox, customer: &str) -> usize {
    let mut leader = None;
    eventually("a node answers as the leader of the customer's shard", async || {
        for node in 0..sandbox.nodes.len() {
            // verdicts alone: no attribute counts as read
            let request =
                GetProfileRequest { verdicts: VerdictDetail::Only.into(), ..get(customer, "service") };
            let answer = sandbox.profiles(node).await.get_profile(request).await;
            if answer.is_ok_and(|answer| answer.metadata().get(LEADER_METADATA).is_none()) {
                leader = Some(node);
            }
        }
        leader.is_some()
    })
    .await;
    leader.unwrap()
}

async fn a_paused_leader_serves_nothing_stale_when_it_wakes() {
    paused_leader_serves_nothing_stale(&Sandbox::start().await, |_, _| {}).await;
}

/// As after a suspension of its machine: by the clock of the leader no time has passed, so its lease has not run out.
async fn a_leader_whose_clock_stood_still_serves_nothing_stale() {
    let mut sandbox = Sandbox::prepare(Options::default());
    let folder = sandbox.path();
    let clock = NodeClocks::install(&folder, &mut sandbox.nodes);
    sandbox.spawn_and_init().await;
    sandbox.define_catalogue().await;
    paused_leader_serves_nothing_stale(&sandbox, |node, paused| clock.stop_for(node, paused)).await;
}

/// The reads lie in the socket of the paused leader, so that it answers them before it can hear of a new leader. Each is
/// sent after a newer write was acknowledged: an answer with the old value is stale, whoever gives it.
async fn paused_leader_serves_nothing_stale(
    sandbox: &Sandbox,
    mut before_it_wakes: impl FnMut(&Node, Duration),
) {
    const READS: usize = 20;
    let client = sandbox.client();
    let request = ingest("", vec![observation("given_name", "before")]);
    let customer = client.ingest_profile(request).await.unwrap().customer_id;
    for round in 0..3 {
        let victim = leader_of(sandbox, &customer).await;
        let mut profiles = sandbox.profiles(victim).await;
        // a fresh lease
        profiles.get_profile(get(&customer, "service")).await.unwrap();
        sandbox.nodes[victim].pause();
        let paused = Instant::now();
        let written = format!("after {round}");
        eventually("another leader acknowledges a write", async || {
            let write = ingest(&customer, vec![observation("given_name", &written)]);
            client.ingest_profile(write).await.is_ok()
        })
        .await;
        let mut waiting = JoinSet::new();
        for _ in 0..READS {
            let (mut profiles, request) = (profiles.clone(), get(&customer, "service"));
            waiting.spawn(async move { profiles.get_profile(request).await });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        before_it_wakes(&sandbox.nodes[victim], paused.elapsed());
        sandbox.nodes[victim].resume();
        let is_current = |profile: Profile| {
            assert_eq!(text_of(&profile, "given_name").as_ref(), Some(&written), "round {round}: stale");
        };
        while let Some(answer) = waiting.join_next().await {
            // An error is no stale answer.
            if let Ok(profile) = answer.unwrap() {
                is_current(profile.into_inner());
            }
        }
        let mut answers = 0;
        eventually("the woken node answers reads again", async || {
            if let Ok(profile) = profiles.get_profile(get(&customer, "service")).await {
                is_current(profile.into_inner());
                answers += 1;
            }
            answers == READS
        })
        .await;
        sandbox.wait_until_healthy().await;
    }
}

/// No follower may call an election within the shortest election timeout after its last heartbeat. So a leader that is seen
/// sooner has been handed the leadership.
/// OP-2, CO-5. The plain "now" of a client, and of the leaders before it, is not in its future.
async fn a_node_whose_clock_is_wrong_is_named_and_judges_by_the_others() {
    let mut sandbox = Sandbox::prepare(Options::default());
    let folder = sandbox.path();
    let clocks = NodeClocks::install(&folder, &mut sandbox.nodes);
    clocks.set_ahead(&sandbox.nodes[2], -600);
    sandbox.spawn_and_init().await;
    sandbox.define_catalogue().await;
    eventually("the status names the clock", async || {
        let status = sandbox.status(0).await.unwrap();
        let offset = |node: usize| status.nodes[node].clock_offset_ms;
        offset(0) == Some(0) && offset(2).is_some_and(|ms| (-610_000..-590_000).contains(&ms))
    })
    .await;
    for (node, words) in [(0, "the clock of another node is far"), (2, "times are judged by their median")] {
        let node = &sandbox.nodes[node];
        eventually("the log says so", async || {
            node.log_after(0).iter().any(|line| line.contains(words) && line.contains("offset_ms"))
        })
        .await;
    }
    let leads_some = sandbox.shards(0).await.unwrap().iter().any(|shard| shard.leader_node_id == 3);
    assert!(leads_some, "leaders are spread evenly");
    for _ in 0..32 {
        let now = Timestamp { seconds: i64::try_from(now().as_secs()).unwrap(), nanos: 0 };
        let mut request = ingest("", vec![observation("given_name", "Ada")]);
        request.observations[0].observed_at = Some(now);
        let answer = sandbox.profiles(1).await.ingest_profile(request).await.unwrap().into_inner();
        assert!(answer.attributes[0].merged, "{:?}", answer.attributes[0]);
        let as_of = GetConsentsAsOfRequest {
            customer_id: answer.customer_id,
            purpose: "privacy-requests".to_owned(),
            time: Some(now),
        };
        sandbox.consents(1).await.get_consents_as_of(as_of).await.unwrap();
    }
}

async fn a_drained_node_hands_its_leaderships_over() {
    const HEARTBEAT: Duration = Duration::from_millis(250);
    const ELECTION_MIN: Duration = Duration::from_millis(4_000);
    let config = "[timing]\nheartbeat_ms = 250\nelection_min_ms = 4000\nelection_max_ms = 5400\n".to_owned();
    let mut sandbox = Sandbox::start_with(Options { config, ..Options::default() }).await;
    let client = sandbox.client();
    let oracle = Oracle::start(&client, 4).await;
    oracle.wait_for_progress().await;
    for (node, other) in [(0, 1), (1, 2)] {
        let id = sandbox.nodes[node].id;
        eventually("the node leads a shard", async || {
            sandbox.shards(other).await.unwrap().iter().any(|shard| shard.leader_node_id == id)
        })
        .await;
        let asked = Instant::now();
        assert_eq!(sandbox.nodes[node].terminate(), Some(0));
        eventually("other nodes lead every shard", async || {
            let shards = sandbox.shards(other).await.unwrap();
            shards.iter().all(|shard| shard.leader_node_id != 0 && shard.leader_node_id != id)
        })
        .await;
        let taken = asked.elapsed();
        assert!(taken < ELECTION_MIN - 2 * HEARTBEAT, "{taken:?}: elected, not handed over");
        oracle.wait_for_progress().await;
        sandbox.nodes[node].start();
        caught_up(&sandbox, node).await;
    }
    assert!(oracle.finish(&client).await > 0);
}

/// OP-2. One call cannot end, as two of three nodes are paused, so the node waits for it and refuses all others meanwhile.
async fn a_draining_node_says_so_and_names_another() {
    const CALLS: usize = 20;
    let mut sandbox = Sandbox::start().await;
    let customer = stored_customer(&sandbox, &[("given_name", "Ada")]).await;
    let node = leader_of(&sandbox, &customer).await;
    let others: Vec<usize> = (0..3).filter(|other| *other != node).collect();
    let mut profiles = sandbox.profiles(node).await;
    others.iter().for_each(|other| sandbox.nodes[*other].pause());
    let write = ingest(&customer, vec![observation("given_name", "Grace")]);
    let mut request = tonic::Request::new(write);
    request.set_timeout(Duration::from_secs(30));
    let in_flight = tokio::spawn({
        let mut profiles = profiles.clone();
        async move { profiles.ingest_profile(request).await }
    });
    sandbox.nodes[node].begin_to_drain();
    eventually("the node says that it drains", async || {
        let status = profiles.get_profile(get(&customer, "service")).await.err();
        assert!(status.as_ref().is_none_or(|status| status.code() != Code::ResourceExhausted), "{status:?}");
        status.is_some_and(|status| fault(&status).1 == "DRAINING")
    })
    .await;
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        let (mut profiles, request) = (profiles.clone(), get(&customer, "service"));
        calls.spawn(async move { profiles.get_profile(request).await });
    }
    while let Some(answer) = calls.join_next().await {
        let status = answer.unwrap().unwrap_err();
        assert_eq!((status.code(), fault(&status).1.as_str()), (Code::Unavailable, "DRAINING"), "{status:?}");
        let named = status.metadata().get(LEADER_METADATA).unwrap().to_str().unwrap().to_owned();
        let endpoint =
            |other: &usize| format!("{}@{}", sandbox.nodes[*other].id, sandbox.nodes[*other].address);
        assert!(others.iter().any(|other| endpoint(other) == named), "{named} is another node");
    }
    let status = profiles.batch_get_profiles(BatchGetProfilesRequest::default()).await.unwrap_err();
    assert_eq!((status.code(), fault(&status).1.as_str()), (Code::Unavailable, "DRAINING"));
    others.iter().for_each(|other| sandbox.nodes[*other].resume());
    drop(in_flight.await.unwrap());
    assert_eq!(sandbox.nodes[node].wait_for_exit(), Some(0));
}

/// The calls that callers gave up while the node stood still all wait in its socket when it wakes.
async fn a_node_that_wakes_keeps_its_connections() {
    const CANCELLED: usize = 300;
    let sandbox = Sandbox::start_with(Options { nodes: 1, ..Options::default() }).await;
    let customer = stored_customer(&sandbox, &[("given_name", "Ada")]).await;
    let mut profiles = sandbox.profiles(0).await;
    profiles.get_profile(get(&customer, "service")).await.unwrap();
    sandbox.nodes[0].pause();
    let patient = tokio::spawn({
        let (mut profiles, request) = (profiles.clone(), get(&customer, "service"));
        async move { profiles.get_profile(request).await }
    });
    let mut cancelled = JoinSet::new();
    for _ in 0..CANCELLED {
        let (mut profiles, request) = (profiles.clone(), get(&customer, "service"));
        let call = async move { profiles.get_profile(request).await };
        cancelled.spawn(tokio::time::timeout(Duration::from_millis(200), call));
    }
    while let Some(call) = cancelled.join_next().await {
        let answer = call.unwrap();
        assert!(answer.is_err(), "a node that stands still answers nothing: {answer:?}");
    }
    sandbox.nodes[0].resume();
    // the connection is still there, and so is the call that waited
    patient.await.unwrap().unwrap();
    profiles.get_profile(get(&customer, "service")).await.unwrap();
}

/// GO-3. A node that stops reports what was read in its last second.
async fn a_stopped_node_forgets_neither_reads_nor_the_catalogue() {
    let mut sandbox = Sandbox::start().await;
    let recipient =
        Recipient { id: "mail-room".into(), purposes: vec!["service".into()], ..Default::default() };
    create_recipient(&sandbox, 0, recipient).await;
    let customer = stored_customer(&sandbox, &[("phone", "+49 30"), ("email", "a@example.org")]).await;
    for node in 0..3 {
        wait_for_unused(&sandbox, node, &["email", "phone"]).await;
    }
    let leader = leader_of(&sandbox, &customer).await;
    let mut request = get(&customer, "service");
    request.read_mask = Some(FieldMask { paths: vec!["phone".into()] });
    sandbox.profiles(leader).await.get_profile(request).await.unwrap();
    assert_eq!(sandbox.nodes[leader].terminate(), Some(0));
    for node in sandbox.running() {
        wait_for_unused(&sandbox, node, &["email"]).await;
    }
    for node in sandbox.running() {
        assert_eq!(sandbox.nodes[node].terminate(), Some(0));
    }
    for node in &mut sandbox.nodes {
        node.start();
    }
    sandbox.wait_until_healthy().await;
    for node in 0..3 {
        wait_for_unused(&sandbox, node, &["email"]).await;
        let request = ListRecipientsRequest::default();
        let listed = sandbox.catalog(node).await.list_recipients(request).await.unwrap().into_inner();
        assert_eq!(listed.recipients.len(), 1);
    }
}

/// Waits until a node lists these attributes as unused.
async fn wait_for_unused(sandbox: &Sandbox, node: usize, expected: &[&str]) {
    eventually("the node knows which attributes are read", async || {
        let request = ListUnusedAttributesRequest { days: 30 };
        let Ok(listed) = sandbox.catalog(node).await.list_unused_attributes(request).await else {
            return false;
        };
        listed.into_inner().attributes.iter().map(|attribute| &attribute.name).eq(expected)
    })
    .await;
}
