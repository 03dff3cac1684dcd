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
//! **How long a lease is.** Each node has a setting for it, and a rolling restart changes one after the other. So the directory
//! has the longest lease that may be in use, and that is what a leader waits for:
//! ```text
//! directory ── meta "catalogue_lease"   header{revision} ‖ 0x01 ‖ milliseconds BE 4
//! ```
//! A leader raises it to its own setting before it grants the first lease, and lowers it when it has led for as long as it says:
//! by then every longer lease has run out.
//!
//! **When a call is judged.** By the catalogue that is in force when it is answered, or when its change is proposed: a call that
//! has waited longer than the lease, or while a change was acknowledged, is judged again (`CatalogueCache::is_in_force`).

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use bytes::{BufMut as _, Bytes};
use custodia_consensus::{Command, Condition, Directory, Expected, Write};
use custodia_profile::NodeId;
use custodia_store::{Key, ValueHeader};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::wire::ServiceError;

/// The directory's entry with the longest lease that may be in use.
const LEASE_META: &str = "catalogue_lease";
const VERSION: u8 = 1;

/// What a node may judge by.
#[derive(Debug, Default)]
pub(super) struct HeldLease {
    current: ArcSwapOption<Held>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    asked: Instant,
    until: Instant,
    version: u64,
}

impl HeldLease {
    /// The time since this node asked for the lease that it holds now, and the version that it holds; nothing if it holds none.
    /// The clocks must have run steadily for that long.
    pub(super) fn held(&self, now: Instant) -> Option<(Duration, u64)> {
        let held = self.current.load();
        let held = held.as_ref().filter(|held| now < held.until);
        held.map(|held| (now.saturating_duration_since(held.asked), held.version))
    }

    /// The directory's leader granted `length` to a question that was asked at `asked`, and this node has the version that
    /// it answered.
    pub(super) fn renew(&self, asked: Instant, length: Duration, version: u64) {
        let held = Held { asked, until: asked + length - length / 16, version };
        self.current.store(Some(Arc::new(held)));
    }
}

/// The longest lease that may be in use, as the directory has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Longest {
    /// Zero before the first lease is granted.
    pub(super) length: Duration,
    revision: u64,
}

impl Longest {
    pub(super) fn read(directory: &Directory) -> Result<Self, ServiceError> {
        directory.entry(&Key::meta(LEASE_META)).map_or(Ok(Self::default()), Self::decode)
    }

    fn decode(value: &Bytes) -> Result<Self, ServiceError> {
        let (ValueHeader { revision, .. }, payload) = ValueHeader::decode(value)?;
        match *payload {
            [VERSION, a, b, c, d] => {
                let ms = u32::from_be_bytes([a, b, c, d]);
                Ok(Self { length: Duration::from_millis(ms.into()), revision })
            }
            _ => Err(ServiceError::Internal { context: "the stored length of a lease does not decode" }),
        }
    }

    /// Makes it `length`, unless it has changed in between.
    pub(super) fn replace(self, length: Duration) -> Command {
        let key = Key::meta(LEASE_META).into_bytes();
        let header = ValueHeader { revision: self.revision.saturating_add(1), ..ValueHeader::default() };
        let mut payload = vec![VERSION];
        payload.put_u32(u32::try_from(length.as_millis()).unwrap_or(u32::MAX));
        Command {
            conditions: vec![Condition { key: key.clone(), expected: Expected::as_read(self.revision) }],
            writes: vec![Write { key, value: Some(header.encode(&payload)) }],
        }
    }
}

/// What this node, where it leads the directory, has granted.
#[derive(Debug)]
pub(super) struct Grants {
    /// Of the leases that this node grants.
    length: Duration,
    table: Mutex<Table>,
    confirmed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Table {
    term: u64,
    /// Every node may hold a lease that was granted before; nothing before the first term.
    unknown_since: Option<Instant>,
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
        table.enter(term, now);
        let before = table.nodes.get(&node).map_or(0, |grant| grant.version);
        table.nodes.insert(node, Grant { until: now + self.length, version: version.max(before) });
        drop(table);
        self.confirmed.send_modify(|count| *count += 1);
    }

    /// When the last of these nodes that has not confirmed `version` can hold no lease any more; nothing if none does now.
    /// `longest` is the longest lease that an earlier leader may have granted.
    pub(super) fn held_until(
        &self,
        term: u64,
        now: Instant,
        nodes: impl Iterator<Item = NodeId>,
        version: u64,
        longest: Duration,
    ) -> Option<Instant> {
        let mut table = self.table.lock();
        table.enter(term, now);
        let unknown_until = table.unknown_until(longest);
        let of_node = |node: NodeId| match table.nodes.get(&node) {
            Some(grant) if grant.version >= version => None,
            Some(grant) => unknown_until.max(Some(grant.until)),
            None => unknown_until,
        };
        nodes.filter_map(of_node).max().filter(|until| *until > now)
    }

    /// Whether the directory should have another longest lease than `longest`: a shorter one may be in use only once all
    /// leases of earlier leaders have run out.
    pub(super) fn should_replace(&self, term: u64, now: Instant, longest: Duration) -> bool {
        let mut table = self.table.lock();
        table.enter(term, now);
        match longest.cmp(&self.length) {
            Ordering::Less => true,
            Ordering::Equal => false,
            Ordering::Greater => table.unknown_until(longest).is_none_or(|until| until <= now),
        }
    }

    /// A clock jumped: what was granted is as unknown as after a change of the leader.
    pub(super) fn forget(&self, now: Instant) {
        let mut table = self.table.lock();
        *table = Table::unknown(table.term, now);
    }

    /// Changes whenever a node confirms a version.
    pub(super) fn confirmed(&self) -> watch::Receiver<u64> {
        self.confirmed.subscribe()
    }
}

impl Table {
    /// What was granted before is unknown.
    const fn unknown(term: u64, since: Instant) -> Self {
        Self { term, unknown_since: Some(since), nodes: BTreeMap::new() }
    }

    fn enter(&mut self, term: u64, now: Instant) {
        if self.term != term {
            *self = Self::unknown(term, now);
        }
    }

    /// Until when every node may hold a lease that was granted before.
    fn unknown_until(&self, longest: Duration) -> Option<Instant> {
        self.unknown_since.map(|since| since + longest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        let held = |seconds, version| {
            grants.held_until(7, start + Duration::from_secs(seconds), nodes(), version, LENGTH)
        };
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
        assert_eq!(grants.held_until(7, start, nodes(), 5, LENGTH), None);
        assert_eq!(grants.held_until(8, start, nodes(), 5, LENGTH), Some(start + LENGTH));
        for number in [2, 3] {
            grants.note(8, start, node(number), 5);
        }
        assert_eq!(grants.held_until(8, start, nodes(), 5, LENGTH), None);
        grants.forget(start);
        assert_eq!(grants.held_until(8, start, nodes(), 5, LENGTH), Some(start + LENGTH));
    }

    /// A rolling restart that changes `timing.catalogue_lease_ms`: a node may hold a lease of a leader with the old setting.
    #[test]
    fn a_leader_with_a_shorter_lease_waits_for_the_longest_in_use() {
        let (grants, start) = (Grants::new(LENGTH / 4), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let longest = Longest { length: LENGTH, revision: 3 };
        let held = |now, longest| grants.held_until(7, now, nodes(), 5, longest);
        assert_eq!(held(at(0), longest.length), Some(at(4)), "not one second, which this leader grants");
        grants.note(7, at(1), node(2), 4);
        grants.note(7, at(1), node(3), 5);
        assert_eq!(held(at(1), longest.length), Some(at(4)), "node 2 may not have got its shorter lease");
        assert!(!grants.should_replace(7, at(3), longest.length), "longer leases may still be in use");
        assert!(grants.should_replace(7, at(4), longest.length), "they have run out");
        assert!(!grants.should_replace(8, at(4), longest.length), "another leader was in between");
        assert!(!grants.should_replace(8, at(4), LENGTH / 4), "it is right");
        assert!(grants.should_replace(8, at(4), Duration::ZERO), "before the first grant");
    }

    #[test]
    fn the_longest_lease_is_stored_on_condition_that_it_has_not_changed() {
        let longest = Longest { length: LENGTH, revision: 3 };
        let command = longest.replace(LENGTH * 2);
        assert!(command.conditions.iter().all(|condition| condition.expected == Expected::Revision(3)));
        let value = command.writes.first().and_then(|write| write.value.clone()).expect("a value");
        assert!(value.ends_with(&[1, 0, 0, 0x1f, 0x40]), "the version, and 8,000 ms");
        assert_eq!(Longest::decode(&value).expect("decodes"), Longest { length: LENGTH * 2, revision: 4 });
        assert!(Longest::decode(&value.slice(..value.len() - 1)).is_err());
        let first = Longest::default().replace(LENGTH);
        assert!(first.conditions.iter().all(|condition| condition.expected == Expected::Absent));
    }

    #[test]
    fn a_lease_is_counted_from_the_question_and_ends_early() {
        let (lease, asked) = (HeldLease::default(), Instant::now());
        assert_eq!(lease.held(asked), None);
        lease.renew(asked, LENGTH, 7);
        let ms = Duration::from_millis;
        assert_eq!(lease.held(asked + ms(3_700)), Some((ms(3_700), 7)));
        assert_eq!(lease.held(asked + ms(3_750)), None);
    }

    /// Three nodes, one of which leads the directory. Only what lease.rs decides is real.
    struct Cluster {
        now: Instant,
        term: u64,
        leader: usize,
        longest: Duration,
        version: u64,
        grants: [Grants; 3],
        /// Until when a node judges by what it has applied.
        held: [Option<Instant>; 3],
        applied: [u64; 3],
    }

    const SETTINGS_MS: [u64; 4] = [500, 1_000, 5_000, 9_000];

    impl Cluster {
        fn new() -> Self {
            Self {
                now: Instant::now(),
                term: 1,
                leader: 0,
                longest: Duration::ZERO,
                version: 1,
                grants: [0; 3].map(|_| Grants::new(LENGTH)),
                held: [None; 3],
                applied: [1; 3],
            }
        }

        fn lead(&mut self, leader: usize) {
            (self.leader, self.term) = (leader, self.term + 1);
            self.applied[leader] = self.version;
        }

        fn restart(&mut self, at: usize, setting_ms: u64) {
            self.grants[at] = Grants::new(Duration::from_millis(setting_ms));
            self.held[at] = None;
            if at == self.leader {
                self.lead((at + 1) % 3);
            }
        }

        fn ask(&mut self, at: usize, arrives: bool) {
            let (grants, number) = (&self.grants[self.leader], u32::try_from(at + 1).expect("small"));
            grants.note(self.term, self.now, node(number), self.applied[at]);
            if grants.should_replace(self.term, self.now, self.longest) {
                self.longest = grants.length();
            }
            if arrives {
                let lease = HeldLease::default();
                lease.renew(self.now, grants.length(), self.version);
                let until = lease.current.load().as_ref().map(|held| held.until).expect("a lease");
                (self.held[at], self.applied[at]) = (Some(until), self.version);
            }
        }

        /// If the leader acknowledges the newest version, no other node may judge by an older one.
        fn check(&self) -> Result<(), TestCaseError> {
            let others = (0..3).filter(|at| *at != self.leader);
            let nodes = others.clone().map(|at| node(u32::try_from(at + 1).expect("small")));
            let grants = &self.grants[self.leader];
            if grants.held_until(self.term, self.now, nodes, self.version, self.longest).is_none() {
                for at in others {
                    let judges = self.held[at].is_some_and(|until| self.now < until);
                    prop_assert!(!judges || self.applied[at] == self.version, "a lease outlives its change");
                }
            }
            Ok(())
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        /// CO-5, GO-4: leaders change, answers are lost, and each restart may bring another setting.
        #[test]
        fn a_change_is_acknowledged_only_when_no_node_can_judge_without_it(
            steps in prop::collection::vec((0_u8..8, 0_usize..3, 0_usize..4), 1..80),
        ) {
            let mut cluster = Cluster::new();
            for (what, at, drawn) in steps {
                match what {
                    0 => cluster.restart(at, SETTINGS_MS[drawn]),
                    1 => cluster.lead(at),
                    2 | 3 => cluster.now += Duration::from_millis(SETTINGS_MS[drawn] / 2),
                    4 => {
                        cluster.version += 1;
                        cluster.applied[cluster.leader] = cluster.version;
                    }
                    _ => cluster.ask(at, drawn > 0),
                }
                cluster.check()?;
            }
        }
    }
}
