//! The replicas that run on this node, and those that are being started. A group has at most one replica here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use custodia_profile::GroupId;
use parking_lot::{Mutex, RwLock};

use crate::error::Refusal;
use crate::peers::message::Target;
use crate::replica::Replica;

/// The replicas of a node.
#[derive(Default)]
pub(crate) struct Replicas {
    running: RwLock<BTreeMap<GroupId, Arc<Replica>>>,
    starting: Mutex<BTreeSet<GroupId>>,
}

impl Replicas {
    pub(crate) fn get(&self, group: GroupId) -> Option<Arc<Replica>> {
        self.running.read().get(&group).map(Arc::clone)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Replica>> {
        self.running.read().values().map(Arc::clone).collect()
    }

    pub(crate) fn add(&self, replica: Arc<Replica>) {
        self.running.write().insert(replica.group, replica);
    }

    pub(crate) fn take_all(&self) -> Vec<Arc<Replica>> {
        std::mem::take(&mut *self.running.write()).into_values().collect()
    }

    /// Marks a group's replica as being started. Returns false if it already is, or runs.
    pub(crate) fn begin_start(&self, group: GroupId) -> bool {
        !self.running.read().contains_key(&group) && self.starting.lock().insert(group)
    }

    pub(crate) fn end_start(&self, group: GroupId) {
        self.starting.lock().remove(&group);
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
