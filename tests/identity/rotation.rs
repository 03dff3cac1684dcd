//! The blinding key is rotated while identifiers are claimed and looked up, while nodes die, and while duplicates are sought (ID-2, ID-4,
//! SE-1).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use custodia_proto::v1::cluster_service_client::ClusterServiceClient;
use custodia_proto::v1::{
    BlindingRotation, BlindingRotationPhase as Phase, KeyLevel, RotateKeysRequest, ScanDuplicatesRequest,
};
use custodia_store::{KeyKind, ValueHeader};
use custodia_tests::sample::{fault, new_customer};
use custodia_tests::{Options, Sandbox, Suite, custodia, eventually};
use fastrand::Rng;
use futures::future::{join, join_all, join3};
use tonic::{Code, Status};

use crate::duplicates::indexed;
use crate::kills::{arm, check, disarm, limit, write};
use crate::merging::{Person, merged, person, unmerged};
use crate::namespaces::{define, found_everywhere, holders, identified, ingested, new_email, patiently};
use crate::people::{self, alexandra, background, compare, found, scanned, stored_all, stored_as};
use crate::stored_state::{SHARDS, stored};

/// The steps that a node dies after, and those of a claim between them.
const FAILPOINTS: [&str; 3] = ["blinding-filled", "claims-granted", "blinding-dropped"];

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .alone(lookups_and_claims_go_on_while_the_blinding_key_is_rotated)
        .alone_within(limit(), whoever_dies_while_the_blinding_key_is_rotated_everybody_is_found)
        .alone(duplicates_are_found_while_the_blinding_key_is_rotated)
}

fn request(blinding_epoch: u32) -> RotateKeysRequest {
    RotateKeysRequest { level: KeyLevel::Blinding.into(), blinding_epoch, ..Default::default() }
}

/// One step through a node; 0 begins a rotation, or goes on with one.
async fn try_step(sandbox: &Sandbox, node: usize, epoch: u32) -> Result<BlindingRotation, Status> {
    let channel = sandbox.channel(node, &sandbox.admin).await?;
    let answer = ClusterServiceClient::new(channel).rotate_keys(request(epoch)).await?;
    Ok(answer.into_inner().blinding.expect("set at this level"))
}

async fn step(sandbox: &Sandbox, node: usize, epoch: u32) -> BlindingRotation {
    patiently(async || try_step(sandbox, node, epoch).await).await.expect("a step")
}

/// Goes on until the rotation is complete; the last step.
async fn rotated(sandbox: &Sandbox) -> BlindingRotation {
    let mut last = step(sandbox, 0, 0).await;
    for node in (1..3).cycle() {
        if last.complete {
            break;
        }
        last = step(sandbox, node, last.key_epoch).await;
    }
    last
}

/// What other callers do meanwhile, until they are told to stop.
#[derive(Default)]
struct Meanwhile {
    over: AtomicBool,
    lookups: AtomicUsize,
    claims: AtomicUsize,
}

impl Meanwhile {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    /// Waits until others were served since.
    async fn serves(&self) {
        let count = || (self.lookups.load(Ordering::Relaxed), self.claims.load(Ordering::Relaxed));
        let before = count();
        eventually("lookups and claims go on", async || {
            let now = count();
            now.0 >= before.0 + 4 && now.1 >= before.1 + 2
        })
        .await;
    }
}

async fn lookups_and_claims_go_on_while_the_blinding_key_is_rotated() {
    let options = Options { config: String::new(), ..Options::default() };
    let mut sandbox = Sandbox::start_with(options).await;
    define(&sandbox).await;
    let known = known(&sandbox, 64).await;
    let mut apart = pairs(&sandbox).await;
    let together = apart.split_off(apart.len() / 2);
    for pair in &together {
        pair.merge(&sandbox, 0).await;
    }
    let old = entries_of(&mut sandbox, 2).await;
    assert!(old.len() >= 64 + 4);

    let meanwhile = Meanwhile::default();
    let all = join3(
        rotate_meanwhile(&sandbox, &meanwhile, apart, together),
        look_up(&sandbox, &known, &meanwhile),
        claim(&sandbox, &meanwhile),
    );
    let ((undone, done), (), claimed) = Box::pin(all).await;
    for (email, customer) in known.iter().chain(&claimed) {
        found_everywhere(&sandbox, "email", email, &[customer]).await;
    }
    // What leads to those who are one customer now, or are no longer, has come with them.
    for pair in &undone {
        pair.are_found_apart(&sandbox).await;
    }
    for pair in &done {
        pair.are_found_together(&sandbox).await;
        pair.undo(&sandbox, 1).await;
        pair.are_found_apart(&sandbox).await;
    }
    assert!(step(&sandbox, 1, 2).await.complete, "it is not begun again by a step that is repeated");
    let new = entries_of(&mut sandbox, 2).await;
    assert!(new.len() >= known.len() + claimed.len());
    assert!(old.keys().all(|key| !new.contains_key(key)), "no old entry is left");
    assert!(new.values().all(|epoch| *epoch == 2), "{:?}", new.values().collect::<BTreeSet<_>>());

    by_command(&sandbox);
    for (email, customer) in &known {
        found_everywhere(&sandbox, "email", email, &[customer]).await;
    }
}

/// The command does the same, and says how far it is.
fn by_command(sandbox: &Sandbox) {
    let client = sandbox.client_file();
    let (code, said, progress) =
        custodia(&["--client", &client, "keys", "rotate", "--level", "blinding", "--pause", "0"]);
    assert_eq!(code, Some(0), "{progress}");
    assert!(
        said.lines().any(|line| line.starts_with("current blinding key") && line.ends_with('3')),
        "{said}"
    );
    for phase in ["every customer is in the indexes", "every lookup uses it", "the old key are gone"] {
        assert!(progress.contains(phase), "{progress}");
    }
}

/// Rotates the key, a step on one node after another. In every phase a merge is undone, and another is made; those who are apart then, and
/// those who are one.
async fn rotate_meanwhile(
    sandbox: &Sandbox,
    meanwhile: &Meanwhile,
    mut apart: Vec<Pair>,
    mut together: Vec<Pair>,
) -> (Vec<Pair>, Vec<Pair>) {
    let (mut seen, mut undone, mut done) = (BTreeMap::new(), Vec::new(), Vec::new());
    let mut last = step(sandbox, 0, 0).await;
    for node in (1..3).cycle() {
        *seen.entry(last.phase).or_insert(0) += 1;
        meanwhile.serves().await;
        if let Some(pair) = together.pop() {
            pair.undo(sandbox, node).await;
            undone.push(pair);
        }
        if let Some(pair) = apart.pop() {
            pair.merge(sandbox, node).await;
            done.push(pair);
        }
        if last.complete {
            break;
        }
        last = step(sandbox, node, last.key_epoch).await;
    }
    meanwhile.over.store(true, Ordering::Relaxed);
    assert_eq!((last.key_epoch, last.phase(), last.shards_done), (2, Phase::Finish, SHARDS.into()));
    assert_eq!(seen[&Phase::Fill.into()], SHARDS, "a step for each shard: {seen:?}");
    assert_eq!(seen[&Phase::Drop.into()], SHARDS, "{seen:?}");
    assert_eq!(seen.len(), 4, "{seen:?}");
    (undone, done)
}

/// Two customers who are one person.
struct Pair {
    survivor: Person,
    other: Person,
}

/// Two for each step of a rotation.
async fn pairs(sandbox: &Sandbox) -> Vec<Pair> {
    let pair = async |_| Pair {
        survivor: person(sandbox, "ana", "shop").await,
        other: person(sandbox, "anna", "crm").await,
    };
    join_all((0..4 * SHARDS).map(pair)).await
}

impl Pair {
    async fn merge(&self, sandbox: &Sandbox, node: usize) {
        merged(sandbox, node, &self.survivor.id, &self.other.id).await;
    }

    async fn undo(&self, sandbox: &Sandbox, node: usize) {
        unmerged(sandbox, node, &self.survivor.id, &self.other.id).await;
    }

    async fn are_found_together(&self, sandbox: &Sandbox) {
        for of in [&self.survivor, &self.other] {
            found_everywhere(sandbox, "card", &of.card, &[&self.survivor.id]).await;
        }
    }

    async fn are_found_apart(&self, sandbox: &Sandbox) {
        for of in [&self.survivor, &self.other] {
            found_everywhere(sandbox, "email", &of.email, &[&of.id]).await;
            found_everywhere(sandbox, "card", &of.card, &[&of.id]).await;
        }
    }
}

/// Customers, by the address that each is known by.
async fn known(sandbox: &Sandbox, count: usize) -> Vec<(String, String)> {
    let store = async |number: usize| {
        let email = new_email("known");
        let answer = ingested(sandbox, number % 3, identified("", &[("email", &email)])).await;
        (email, answer.customer_id)
    };
    join_all((0..count).map(store)).await
}

/// Looks customers up through all nodes: each is found every time.
async fn look_up(sandbox: &Sandbox, known: &[(String, String)], meanwhile: &Meanwhile) {
    for (number, (email, customer)) in known.iter().cycle().enumerate() {
        if !meanwhile.goes_on() {
            break;
        }
        let found = holders(sandbox, number % 3, "email", email).await;
        assert_eq!(found.expect("found"), [customer.as_str()]);
        meanwhile.lookups.fetch_add(1, Ordering::Relaxed);
    }
}

/// Two customers want each of many new addresses at once, through two nodes; the addresses, and who got them.
async fn claim(sandbox: &Sandbox, meanwhile: &Meanwhile) -> Vec<(String, String)> {
    let mut claimed = Vec::new();
    while meanwhile.goes_on() {
        let email = new_email("claimed");
        let wanted = async |node: usize| {
            let customer = new_customer();
            let answer = ingested(sandbox, node, identified(&customer, &[("email", &email)])).await;
            answer.identifiers[0].merged.then_some(customer)
        };
        let number = claimed.len();
        let (one, other) = join(wanted(number % 3), wanted((number + 1) % 3)).await;
        let mut winners: Vec<_> = one.into_iter().chain(other).collect();
        assert_eq!(winners.len(), 1, "one of the two has it");
        claimed.extend(winners.pop().map(|winner| (email, winner)));
        meanwhile.claims.fetch_add(1, Ordering::Relaxed);
    }
    claimed
}

/// The entries of the index as a stopped node has them, with the epochs of their keys.
async fn entries_of(sandbox: &mut Sandbox, node: usize) -> BTreeMap<Vec<u8>, u64> {
    assert_eq!(sandbox.nodes[node].terminate(), Some(0));
    let entries = stored(&sandbox.nodes[node], Some(KeyKind::Identifier));
    sandbox.nodes[node].start();
    sandbox.wait_until_healthy().await;
    let epoch_of = |value| ValueHeader::read(value).expect("a header").guard;
    entries.iter().map(|(key, value)| (key.to_vec(), epoch_of(value))).collect()
}

async fn whoever_dies_while_the_blinding_key_is_rotated_everybody_is_found() {
    let mut sandbox = Sandbox::start().await;
    define(&sandbox).await;
    let emails: Vec<_> = (0..30).map(|_| new_email("rotated")).collect();
    let mut customers = Vec::new();
    let mut died = BTreeSet::new();
    let mut random = Rng::with_seed(20_261_130);
    for (round, failpoint) in FAILPOINTS.into_iter().enumerate() {
        let node = random.usize(0..3);
        arm(&mut sandbox, node, &format!("{failpoint}:0")).await;
        let writers = (0..30).map(|_| write(&sandbox, &emails, &customers, Rng::with_seed(random.u64(..))));
        let writers: Vec<_> = writers.collect();
        // Whoever rotates goes on through the other nodes for as long as they answer.
        let through = (node + 1) % 3;
        let (written, _reached) = join(join_all(writers), rotated_until_refused(&sandbox, through)).await;
        customers.extend(written.into_iter().flatten());
        if disarm(&mut sandbox, node).await {
            died.insert(failpoint);
        }
        check(&sandbox, &emails, &customers).await;
        let epoch = rotated(&sandbox).await.key_epoch;
        assert!(usize::try_from(epoch).expect("small") >= 2 + round);
        check(&sandbox, &emails, &customers).await;
    }
    println!("nodes that died, by failpoint: {died:?}");
    assert!(died.contains("blinding-filled") && died.contains("blinding-dropped"), "{died:?}");
}

/// Goes on with a rotation until it is complete, or until a step fails for a reason other than a conflict.
async fn rotated_until_refused(sandbox: &Sandbox, node: usize) -> u32 {
    let (mut epoch, mut refused) = (0, 0);
    while refused < 3 {
        match try_step(sandbox, node, epoch).await {
            Ok(step) if step.complete => break,
            Ok(step) => epoch = step.key_epoch,
            Err(status) if status.code() == Code::Aborted => {}
            Err(_status) => refused += 1,
        }
    }
    epoch
}

async fn duplicates_are_found_while_the_blinding_key_is_rotated() {
    let mut sandbox = people::sandbox().await;
    compare(&sandbox).await;
    stored_all(&sandbox, &background()).await;
    let [first, second, ..] = &alexandra();
    let (ada, other) = (stored_as(&sandbox, 0, first).await, stored_as(&sandbox, 1, second).await);
    assert!(scanned(&sandbox, &[0, 1, 2]).await.pairs_found >= 1);
    // A scan that compares already: in the middle of the blocks under the first key.
    let begun = compare_token(1, 1 << 63);
    let keys_of = |sandbox: &Sandbox| {
        let (entries, sets) = indexed(sandbox, 2);
        assert_eq!(entries, sets);
        entries.into_iter().map(|(_, key)| key).collect::<BTreeSet<_>>()
    };
    sandbox.nodes[2].kill();
    let old = keys_of(&sandbox);
    sandbox.nodes[2].start();
    sandbox.wait_until_healthy().await;

    let mut refused = 0;
    let mut last = step(&sandbox, 0, 0).await;
    for node in (0..3).cycle() {
        assert_eq!(found(&sandbox, node, &ada).await.candidates[0].customer_id, other, "{last:?}");
        assert_eq!(found(&sandbox, node, &other).await.candidates[0].customer_id, ada, "{last:?}");
        let mut duplicates = sandbox.duplicates(node).await;
        match patiently(async || duplicates.scan_duplicates(scan_from(&begun)).await).await {
            Ok(step) => {
                assert!(last.phase() != Phase::Fill || last.shards_done == last.shards, "{last:?}");
                assert_eq!(step.into_inner().next_page_token, compare_token(2, 0), "it compares anew");
            }
            Err(status) => {
                let said = (status.code(), fault(&status).1);
                assert_eq!(said, (Code::FailedPrecondition, "BLINDING_KEY_ROTATING".to_owned()));
                refused += 1;
            }
        }
        if last.complete {
            break;
        }
        last = step(&sandbox, node, last.key_epoch).await;
    }
    assert_eq!(refused, SHARDS - 1, "until the last shard is filled, blocks are not whole");
    // Neither the scan that went on nor a new one finds what is not there.
    let (mut at, mut found_again) = (begun, 0);
    while !at.is_empty() {
        let mut duplicates = sandbox.duplicates(1).await;
        let step = patiently(async || duplicates.scan_duplicates(scan_from(&at)).await).await;
        let step = step.expect("a step").into_inner();
        found_again += step.pairs_found;
        at = step.next_page_token;
    }
    let sum = scanned(&sandbox, &[0, 1, 2]).await;
    assert_eq!(
        (found_again, sum.records_indexed, sum.pairs_found, sum.pairs_removed),
        (0, 0, 0, 0),
        "{sum:?}"
    );
    assert_eq!(sandbox.nodes[2].terminate(), Some(0));
    let new = keys_of(&sandbox);
    assert!(old.len() > 1_000 && old.is_disjoint(&new), "no old blocking key is left");
}

/// The token of a scan that compares the blocks under a key.
fn compare_token(epoch: u32, from: u64) -> String {
    const LISTING_AND_PHASE: &str = "0c02";
    format!("{LISTING_AND_PHASE}{epoch:08x}{from:016x}")
}

fn scan_from(page_token: &str) -> ScanDuplicatesRequest {
    ScanDuplicatesRequest { purpose: "service".to_owned(), page_token: page_token.to_owned() }
}
