//! Nodes that die between two steps of a merge, or of its undoing: it has happened or it has not, on every node, and whoever tries again
//! finishes it (ID-4).
//!
//! `CUSTODIA_KILL_ROUNDS=250 cargo test --workspace --test identity whoever_dies_in_a_merge` runs as many rounds as it says.

use std::collections::BTreeMap;

use custodia_tests::{Sandbox, Suite};
use fastrand::Rng;
use futures::future::join_all;

use crate::kills::{arm, disarm, limit, rounds};
use crate::merging::{Person, merge, person, profile, state, try_merge, try_unmerge, unmerge};
use crate::namespaces::found_everywhere;

/// The steps of a merge and of its undoing.
const FAILPOINTS: [&str; 5] =
    ["merge-other-put", "merge-events-moved", "merge-settled", "fenced", "write-committed"];
/// Merges at a time: enough that some are led by the node that dies.
const PAIRS: usize = 4;

pub(crate) fn tests(suite: Suite) -> Suite {
    suite.alone_within(limit(), whoever_dies_in_a_merge_it_has_happened_or_it_has_not)
}

async fn whoever_dies_in_a_merge_it_has_happened_or_it_has_not() {
    let mut sandbox = Sandbox::start().await;
    let mut died = BTreeMap::<&str, u32>::new();
    let mut random = Rng::with_seed(20_261_130);
    for round in 0..usize::try_from(rounds()).expect("few") {
        let mut pairs = Vec::new();
        for _ in 0..PAIRS {
            let pair = (person(&sandbox, "ana", "shop").await, person(&sandbox, "annalena", "crm").await);
            let before = (state(&sandbox, &pair.0.id).await, state(&sandbox, &pair.1.id).await);
            pairs.push((pair, before));
        }
        let (failpoint, node) = (FAILPOINTS[round % FAILPOINTS.len()], random.usize(0..3));
        arm(&mut sandbox, node, &format!("{failpoint}:{}", random.u32(0..2))).await;
        let through = (node + random.usize(1..3)) % 3;
        let undone = random.bool();
        join_all(pairs.iter().map(|((ana, anna), _)| async {
            let merged = try_merge(&sandbox, through, merge(&ana.id, &anna.id)).await;
            if merged.is_ok() && undone {
                let _answer = try_unmerge(&sandbox, through, unmerge(&ana.id, &anna.id)).await;
            }
        }))
        .await;
        if disarm(&mut sandbox, node).await {
            *died.entry(failpoint).or_default() += 1;
        }
        for ((ana, anna), before) in &pairs {
            let is_merged = check(&sandbox, ana, anna).await;
            let now = |id| state(&sandbox, id);
            if !is_merged {
                assert_eq!((now(ana.id.as_str()).await, now(anna.id.as_str()).await), *before);
            }
            try_merge(&sandbox, 0, merge(&ana.id, &anna.id)).await.expect("merged in the end");
            assert!(check(&sandbox, ana, anna).await);
            try_unmerge(&sandbox, 1, unmerge(&ana.id, &anna.id)).await.expect("undone in the end");
            assert!(!check(&sandbox, ana, anna).await);
            assert_eq!((now(ana.id.as_str()).await, now(anna.id.as_str()).await), *before);
        }
    }
    println!("nodes that died in a merge, by failpoint: {died:?}");
    assert!(!died.is_empty(), "no failpoint was reached");
}

/// Whether the two are one customer; every node, every id and every identifier says the same.
async fn check(sandbox: &Sandbox, ana: &Person, anna: &Person) -> bool {
    let survivor = profile(sandbox, 0, &anna.id).await.customer_id;
    for node in 0..3 {
        assert_eq!(profile(sandbox, node, &anna.id).await.customer_id, survivor);
        assert_eq!(profile(sandbox, node, &ana.id).await.customer_id, ana.id);
    }
    found_everywhere(sandbox, "email", &anna.email, &[&survivor]).await;
    found_everywhere(sandbox, "card", &anna.card, &[&survivor]).await;
    found_everywhere(sandbox, "email", &ana.email, &[&ana.id]).await;
    survivor == ana.id
}
