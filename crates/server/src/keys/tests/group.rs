//! A group of one, and nodes that lead it one after the other: all share the state, each has its own ring and cache.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use custodia_consensus::{Command, ConsensusError, Expected, Outcome};
use custodia_profile::{CustomerId, GroupId, KeyEpoch, PoolId, ShardId, TimestampMs};
use custodia_seal::{
    BucketId, ClusterId, FileRootKey, ShardKeyContext, SystemRandom, WrappedKeys, sealed_epoch,
};
use custodia_store::{
    Batch, EventSortKey, Key, KeyKind, KeyPrefix, MemoryEngine, Pair, StateEngine, ValueHeader,
};
use parking_lot::Mutex;

use crate::{
    keys::{CustomerKeyCache, CustomerWriter, KeysError, ShardKeys, ShardKeysParts},
    propose::Propose,
};

/// What happens to a proposal.
pub(super) enum Planned {
    /// It is applied.
    Pass,
    /// It is not, and the proposer is told that it does not lead. It may still come: [`Group::late`].
    Lost,
    /// It is applied, but the proposer never learns.
    Unknown,
    /// These are applied first: somebody else's.
    After(Vec<Command>),
}

/// The group: its state, and what happens to the next proposals.
#[derive(Default)]
pub(super) struct Group {
    pub(super) engine: Arc<MemoryEngine>,
    applying: Mutex<u64>,
    planned: Mutex<VecDeque<Planned>>,
    lost: Mutex<Vec<Command>>,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Group")
    }
}

impl Group {
    pub(super) fn plan(&self, planned: impl IntoIterator<Item = Planned>) {
        *self.planned.lock() = planned.into_iter().collect();
    }

    /// The last lost command arrives after all.
    pub(super) fn late(&self) -> Outcome {
        let command = self.lost.lock().pop().unwrap();
        self.apply(&command)
    }

    /// Compares and puts, as apply does.
    pub(super) fn apply(&self, command: &Command) -> Outcome {
        let mut index = self.applying.lock();
        *index += 1;
        for condition in &command.conditions {
            let found = self.engine.get(&condition.key).unwrap();
            let header = found.map(|value| ValueHeader::read(&value).unwrap());
            let holds = match (condition.expected, header) {
                (Expected::Absent, header) => header.is_none(),
                (Expected::Revision(revision), Some(header)) => header.revision == revision,
                (Expected::Guard(revision), Some(header)) => header.guard == revision,
                (Expected::Both { revision, guard }, Some(header)) => {
                    (header.revision, header.guard) == (revision, guard)
                }
                (_, None) => false,
            };
            if !holds {
                return Outcome::Conflict { key: condition.key.clone() };
            }
        }
        let mut batch = Batch::new();
        for write in &command.writes {
            batch.set(write.key.clone(), write.value.clone());
        }
        self.engine.write(batch).unwrap();
        Outcome::Applied { index: *index }
    }

    pub(super) fn entries(&self, kind: KeyKind) -> Vec<Pair> {
        let prefix = KeyPrefix::kind(group_id(), kind);
        self.engine.scan(prefix.as_bytes(), None, usize::MAX).unwrap()
    }

    /// The epochs of the keys in every entry of a kind, newest first.
    pub(super) fn epochs(&self, kind: KeyKind) -> Vec<Vec<u32>> {
        let epochs = |(_, value): Pair| {
            let (_, payload) = ValueHeader::decode(&value).unwrap();
            let keys = WrappedKeys::parse(&payload).unwrap();
            keys.keys().iter().map(|key| key.epoch().as_u32()).collect()
        };
        self.entries(kind).into_iter().map(epochs).collect()
    }

    /// The customer key epoch of the value under a key.
    pub(super) fn sealed_epoch(&self, key: &Key) -> KeyEpoch {
        let value = self.engine.get(key.as_ref()).unwrap().unwrap();
        sealed_epoch(&ValueHeader::decode(&value).unwrap().1).unwrap()
    }
}

#[async_trait]
impl Propose for Group {
    async fn propose(&self, _: GroupId, command: Command, _: Instant) -> Result<Outcome, ConsensusError> {
        // Lets the other tasks of a test in between.
        tokio::task::yield_now().await;
        let planned = self.planned.lock().pop_front().unwrap_or(Planned::Pass);
        match planned {
            Planned::Pass => Ok(self.apply(&command)),
            Planned::Lost => {
                self.lost.lock().push(command);
                Err(ConsensusError::NotLeader { leader: None })
            }
            Planned::Unknown => {
                self.apply(&command);
                Err(ConsensusError::Timeout)
            }
            Planned::After(others) => {
                for other in &others {
                    self.apply(other);
                }
                Ok(self.apply(&command))
            }
        }
    }

    async fn read_barrier(&self, _: GroupId, _: Instant) -> Result<(), ConsensusError> {
        Ok(())
    }
}

/// A cluster with one shard and one root key file.
pub(super) struct Cluster {
    pub(super) group: Arc<Group>,
    folder: tempfile::TempDir,
}

impl Cluster {
    pub(super) fn new() -> Self {
        let cluster = Self { group: Arc::default(), folder: tempfile::tempdir().unwrap() };
        cluster.write_root("old", &["old"]);
        cluster
    }

    fn root_path(&self) -> PathBuf {
        self.folder.path().join("root.toml")
    }

    /// Writes the root key file: the key of an id repeats its first byte.
    pub(super) fn write_root(&self, current: &str, ids: &[&str]) {
        let keys: Vec<_> = ids.iter().map(|id| (*id, id.as_bytes()[0])).collect();
        self.write_root_keys(current, &keys);
    }

    /// Writes the root key file: each key repeats the byte beside its id.
    pub(super) fn write_root_keys(&self, current: &str, keys: &[(&str, u8)]) {
        use std::os::unix::fs::PermissionsExt;
        let mut text = format!("current = \"{current}\"\n");
        for (id, byte) in keys {
            let key = format!("{byte:02x}").repeat(32);
            text.push_str(&format!("[[keys]]\nid = \"{id}\"\nkey = \"{key}\"\n"));
        }
        std::fs::write(self.root_path(), text).unwrap();
        std::fs::set_permissions(self.root_path(), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// A node that leads the shard for the first time: it knows nothing but the state and the root key file.
    pub(super) fn node(&self) -> Node {
        let keys = ShardKeys::new(ShardKeysParts {
            place: ShardKeyContext {
                cluster: ClusterId::from_bytes([1; 16]),
                shard: ShardId::new(0).unwrap(),
            },
            engine: Arc::clone(&self.group.engine) as Arc<dyn StateEngine>,
            proposer: Arc::clone(&self.group) as Arc<dyn Propose>,
            root: Arc::new(FileRootKey::open(&self.root_path()).unwrap()),
            cache: Arc::new(CustomerKeyCache::new(1_000)),
            random: Arc::new(SystemRandom),
        });
        Node { keys, group: Arc::clone(&self.group) }
    }
}

/// A node that leads the shard.
pub(super) struct Node {
    pub(super) keys: ShardKeys,
    pub(super) group: Arc<Group>,
}

impl Node {
    pub(super) async fn writer(&self, customer: CustomerId) -> Result<CustomerWriter, KeysError> {
        let bucket = match self.keys.bucket_of(customer) {
            Ok(bucket) => Some(bucket),
            Err(KeysError::NoCustomer) => None,
            Err(error) => return Err(error),
        };
        self.keys.writer(customer, bucket, soon()).await
    }

    /// The command that puts `text` as the customer's core, conditional on what is there now, without proposing it.
    pub(super) async fn core_command(&self, customer: CustomerId, text: &str) -> Command {
        let key = core(customer);
        let found = self.group.engine.get(key.as_ref()).unwrap();
        let revision = found.map_or(0, |value| ValueHeader::read(&value).unwrap().revision);
        let expected = if revision == 0 { Expected::Absent } else { Expected::Revision(revision) };
        let writer = self.writer(customer).await.unwrap();
        let mut command = Command {
            conditions: vec![custodia_consensus::Condition { key: key.as_bytes().clone(), expected }],
            writes: vec![writer.seal(&key, revision + 1, 1, text.as_bytes()).unwrap()],
        };
        writer.finish(&mut command);
        command
    }

    pub(super) async fn put(&self, customer: CustomerId, text: &str) -> Outcome {
        let command = self.core_command(customer, text).await;
        self.group.propose(group_id(), command, soon()).await.unwrap()
    }

    /// Puts core, requests, `count` events and as many ledger entries, each with its own revisions.
    pub(super) async fn put_everything(&self, customer: CustomerId, count: u16) {
        self.put(customer, "core").await;
        let writer = self.writer(customer).await.unwrap();
        let mut command = Command::default();
        for (number, key) in everything(customer, count).into_iter().enumerate().skip(1) {
            let revision = u64::try_from(number).unwrap() + 7;
            command.writes.push(writer.seal(&key, revision, 3, format!("{number}").as_bytes()).unwrap());
        }
        writer.finish(&mut command);
        assert!(applied(&self.group.apply(&command)));
    }

    pub(super) fn core_text(&self, customer: CustomerId) -> String {
        let opened = self.keys.read(&core(customer)).unwrap().unwrap();
        String::from_utf8(opened.plaintext.to_vec()).unwrap()
    }
}

pub(super) fn applied(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Applied { .. })
}

pub(super) fn group_id() -> GroupId {
    GroupId::Shard(ShardId::new(0).unwrap())
}

pub(super) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

pub(super) fn customer(number: u16) -> CustomerId {
    let [high, low] = number.to_be_bytes();
    CustomerId::from_parts(1_700_000_000_000, [0, 0, 0, 0, 0, 0, 0, 0, high, low], PoolId::DEFAULT)
}

pub(super) fn core(customer: CustomerId) -> Key {
    Key::core(group_id(), &customer)
}

/// The keys of all sealed values that [`Node::put_everything`] puts, the core first.
pub(super) fn everything(customer: CustomerId, count: u16) -> Vec<Key> {
    let mut keys = vec![core(customer), Key::requests(group_id(), &customer)];
    for number in 0..count {
        let place = EventSortKey::new(TimestampMs::from_ms(i64::from(number)), &format!("event {number}"));
        keys.push(Key::event(group_id(), &customer, &place));
        keys.push(Key::ledger(group_id(), &customer, u64::from(number)));
    }
    keys
}

pub(super) const BUCKET: BucketId = BucketId::FIRST;
