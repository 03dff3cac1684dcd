//! The replicas that run on this node, and those that are being started. A group has at most one replica here.

use std::collections::BTreeMap;
use std::sync::Arc;

use custodia_profile::{GroupId, ReplicaId};
use custodia_store::{PartitionId, with_causes};
use parking_lot::RwLock;

use crate::error::Refusal;
use crate::peers::message::Target;
use crate::replica::start::Progress;
use crate::replica::{Replica, ReplicaState, StoppedReplica};

/// The replicas of a node.
#[derive(Default)]
pub(crate) struct Replicas(RwLock<Groups>);

#[derive(Default)]
struct Groups {
    running: BTreeMap<GroupId, Arc<Replica>>,
    starting: BTreeMap<GroupId, Arc<Progress>>,
}

impl Replicas {
    pub(crate) fn get(&self, group: GroupId) -> Option<Arc<Replica>> {
        self.0.read().running.get(&group).map(Arc::clone)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Replica>> {
        self.0.read().running.values().map(Arc::clone).collect()
    }

    /// Those that do not run, and why.
    pub(crate) fn stopped(&self) -> Vec<StoppedReplica> {
        self.0.read().starting.values().map(|progress| progress.stopped()).collect()
    }

    /// A replica that was being started runs.
    pub(crate) fn add(&self, replica: Arc<Replica>) {
        let mut groups = self.0.write();
        groups.starting.remove(&replica.group);
        groups.running.insert(replica.group, replica);
    }

    pub(crate) fn take_all(&self) -> Vec<Arc<Replica>> {
        std::mem::take(&mut self.0.write().running).into_values().collect()
    }

    /// Takes the running replicas whose state in this partition is lost. They are now being started.
    pub(crate) fn take_lost(&self, partition: PartitionId) -> Vec<(Arc<Replica>, Arc<Progress>)> {
        let mut groups = self.0.write();
        let is_lost = |replica: &Replica| replica.state.id() == partition && replica.state.is_lost();
        let all = std::mem::take(&mut groups.running).into_iter();
        let (lost, running): (BTreeMap<_, _>, BTreeMap<_, _>) =
            all.partition(|(_, replica)| is_lost(replica));
        groups.running = running;
        let taken = lost.into_iter().map(|(group, replica)| {
            let progress = Arc::new(Progress::new(group, replica.id));
            let damage = replica.state.check().err().map(|error| with_causes(&error)).unwrap_or_default();
            progress.set(ReplicaState::Rebuilding, damage);
            groups.starting.insert(group, Arc::clone(&progress));
            (replica, progress)
        });
        taken.collect()
    }

    /// Marks a group's replica as being started, unless it already is, or runs.
    pub(crate) fn begin_start(&self, group: GroupId, replica: ReplicaId) -> Option<Arc<Progress>> {
        let mut groups = self.0.write();
        if groups.running.contains_key(&group) || groups.starting.contains_key(&group) {
            return None;
        }
        let progress = Arc::new(Progress::new(group, replica));
        groups.starting.insert(group, Arc::clone(&progress));
        Some(progress)
    }

    pub(crate) fn end_start(&self, group: GroupId) {
        self.0.write().starting.remove(&group);
    }

    /// The running replica that a message is for.
    pub(crate) fn addressed(&self, target: Target, map_version: u64) -> Result<Arc<Replica>, Refusal> {
        let group = u16::try_from(target.group).ok().and_then(|number| GroupId::from_u16(number).ok());
        let replica = self.get(group.ok_or(Refusal::Malformed)?).ok_or(Refusal::NoReplica)?;
        if replica.id.as_u64() != target.replica {
            return Err(Refusal::NoReplica);
        }
        // A sender whose map is older than the one that placed the replica cannot know it.
        if map_version < replica.since { Err(Refusal::OldMap) } else { Ok(replica) }
    }
}
