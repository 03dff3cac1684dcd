//! The lease on the catalogue: what was restricted on one node binds every leader, also one that is cut off from the directory.
//!
//! ```text
//! directory's leader      grants: node ─▶ when, and the version that it has confirmed        a change is acknowledged when each
//!        ▲      │                                                                            other node has confirmed it, or its
//! I have │      │ the version is V, your lease has N ms                                      lease has run out
//! V      │      ▼
//! every node              judges calls by its catalogue only within its lease, counted from when it asked
//! ```
//! **Why it holds.** The leader notes the grant before it reads the version behind a read barrier, so a change either is in
//! the answer, and the node has no lease before it has applied it, or finds the grant and waits for the node. The node counts from
//! before it asked and the leader from after, and the node gives back a sixteenth for clocks that run apart. A new leader
//! does not know what the last one granted: until it has led for the length of a lease, it takes every node for a holder. A
//! jump of a clock ends a node's lease, and starts the leader's wait anew.
//!
//! In-flight calls may still answer by the catalogue that they began with: they began before the change was acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use custodia_profile::NodeId;
use parking_lot::Mutex;
use tokio::sync::watch;

/// What a node may judge by.
#[derive(Debug, Default)]
pub(super) struct HeldLease {
    current: ArcSwapOption<Held>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    asked: Instant,
    until: Instant,
}

impl HeldLease {
    /// The time since this node asked for the lease that it holds now; nothing if it holds none. The clocks must have run
    /// steadily for that long.
    pub(super) fn age(&self, now: Instant) -> Option<Duration> {
        let held = self.current.load();
        held.as_ref().filter(|held| now < held.until).map(|held| now.saturating_duration_since(held.asked))
    }

    /// The directory's leader granted `length` to a question that was asked at `asked`, and this node has the version that
    /// it answered.
    pub(super) fn renew(&self, asked: Instant, length: Duration) {
        let held = Held { asked, until: asked + length - length / 16 };
        self.current.store(Some(Arc::new(held)));
    }
}

/// What this node, where it leads the directory, has granted.
#[derive(Debug)]
pub(super) struct Grants {
    length: Duration,
    table: Mutex<Table>,
    confirmed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Table {
    term: u64,
    /// Every node may hold a lease that was granted until then.
    unknown_until: Option<Instant>,
    nodes: BTreeMap<NodeId, Grant>,
}

#[derive(Debug, Clone, Copy)]
struct Grant {
    until: Instant,
    /// The version that the node has applied.
    version: u64,
}

impl Grants {
    /// Grants leases of this length.
    pub(super) fn new(length: Duration) -> Self {
        Self { length, table: Mutex::default(), confirmed: watch::Sender::new(0) }
    }

    pub(super) const fn length(&self) -> Duration {
        self.length
    }

    /// Notes that a node asked in this term and has applied `version`. To be called before the answer's version is read.
    pub(super) fn note(&self, term: u64, now: Instant, node: NodeId, version: u64) {
        let mut table = self.table.lock();
        table.enter(term, now, self.length);
        let before = table.nodes.get(&node).map_or(0, |grant| grant.version);
        table.nodes.insert(node, Grant { until: now + self.length, version: version.max(before) });
        drop(table);
        self.confirmed.send_modify(|count| *count += 1);
    }

    /// When the last of these nodes that has not confirmed `version` can hold no lease any more; nothing if none does now.
    pub(super) fn held_until(
        &self,
        term: u64,
        now: Instant,
        nodes: impl Iterator<Item = NodeId>,
        version: u64,
    ) -> Option<Instant> {
        let mut table = self.table.lock();
        table.enter(term, now, self.length);
        let of_node = |node: NodeId| match table.nodes.get(&node) {
            Some(grant) if grant.version >= version => None,
            Some(grant) => table.unknown_until.max(Some(grant.until)),
            None => table.unknown_until,
        };
        nodes.filter_map(of_node).max().filter(|until| *until > now)
    }

    /// A clock jumped: what was granted is as unknown as after a change of the leader.
    pub(super) fn forget(&self, now: Instant) {
        let mut table = self.table.lock();
        *table = Table::unknown(table.term, now + self.length);
    }

    /// Changes whenever a node confirms a version.
    pub(super) fn confirmed(&self) -> watch::Receiver<u64> {
        self.confirmed.subscribe()
    }
}

impl Table {
    /// What was granted is unknown: every node may hold a lease until then.
    const fn unknown(term: u64, until: Instant) -> Self {
        Self { term, unknown_until: Some(until), nodes: BTreeMap::new() }
    }

    fn enter(&mut self, term: u64, now: Instant, length: Duration) {
        if self.term != term {
            *self = Self::unknown(term, now + length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(4);

    fn node(number: u32) -> NodeId {
        NodeId::new(number).expect("a node")
    }

    fn nodes() -> impl Iterator<Item = NodeId> {
        [2, 3].map(node).into_iter()
    }

    #[test]
    fn a_new_leader_waits_for_nodes_until_they_confirm_or_a_lease_has_passed() {
        let (grants, start) = (Grants::new(LENGTH), Instant::now());
        let held =
            |seconds, version| grants.held_until(7, start + Duration::from_secs(seconds), nodes(), version);
        assert_eq!(held(0, 1), Some(start + LENGTH));
        grants.note(7, start + Duration::from_secs(1), node(2), 1);
        assert_eq!(held(1, 1), Some(start + LENGTH), "node 3 is unknown");
        grants.note(7, start + Duration::from_secs(2), node(3), 1);
        assert_eq!(held(2, 1), None);
        assert_eq!(held(2, 2), Some(start + Duration::from_secs(2) + LENGTH), "neither has the next version");
        grants.note(7, start + Duration::from_secs(3), node(3), 2);
        assert_eq!(held(3, 2), Some(start + Duration::from_secs(1) + LENGTH), "node 2 alone");
        assert_eq!(held(5, 2), None, "its lease has run out");
        grants.note(7, start + Duration::from_secs(6), node(3), 1);
        assert_eq!(held(6, 2), None, "a late question takes no version back");
    }

    #[test]
    fn another_term_and_a_jump_of_a_clock_make_every_grant_unknown() {
        let (grants, start) = (Grants::new(LENGTH), Instant::now());
        for number in [2, 3] {
            grants.note(7, start, node(number), 5);
        }
        assert_eq!(grants.held_until(7, start, nodes(), 5), None);
        assert_eq!(grants.held_until(8, start, nodes(), 5), Some(start + LENGTH));
        for number in [2, 3] {
            grants.note(8, start, node(number), 5);
        }
        assert_eq!(grants.held_until(8, start, nodes(), 5), None);
        grants.forget(start);
        assert_eq!(grants.held_until(8, start, nodes(), 5), Some(start + LENGTH));
    }

    #[test]
    fn a_lease_is_counted_from_the_question_and_ends_early() {
        let (lease, asked) = (HeldLease::default(), Instant::now());
        assert_eq!(lease.age(asked), None);
        lease.renew(asked, LENGTH);
        let ms = Duration::from_millis;
        assert_eq!(lease.age(asked + ms(3_700)), Some(ms(3_700)));
        assert_eq!(lease.age(asked + ms(3_750)), None);
    }
}
