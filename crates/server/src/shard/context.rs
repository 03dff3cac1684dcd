//! The services' shared state on this node.

use std::{fmt, sync::Arc, time::Duration};

use custodia_consensus::ReadMode;
use custodia_profile::GroupId;
use custodia_proto::rpc::Unary;
use custodia_store::StateEngine;
use tokio::{sync::Mutex, time::Instant};

use super::{duplicate::Duplicates, holder_hints::HolderHints, locks::CustomerLocks};
use crate::{
    catalogue::{CatalogueCache, Usage},
    config::ControllerConfig,
    counters,
    keys::NodeKeys,
    limits::Limits,
    routing::{Call, Routing},
    wire::{LeaderHint, ServiceError},
};

/// What every call needs, on whichever node it arrives.
pub(crate) struct ShardContext {
    routing: Arc<Routing>,
    keys: Arc<NodeKeys>,
    limits: Limits,
    catalogue: CatalogueCache,
    locks: CustomerLocks,
    usage: Usage,
    controller: ControllerConfig,
    verifying: Mutex<()>,
    duplicates: Duplicates,
    holder_hints: HolderHints,
}

impl fmt::Debug for ShardContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardContext").field("node", &self.routing.node()).finish_non_exhaustive()
    }
}

impl ShardContext {
    pub(crate) fn new(
        routing: Routing,
        keys: Arc<NodeKeys>,
        limits: Limits,
        controller: ControllerConfig,
        catalogue_lease: Duration,
    ) -> Self {
        counters::describe();
        let routing = Arc::new(routing);
        let catalogue = CatalogueCache::new(Arc::clone(&routing), catalogue_lease);
        Self {
            routing,
            keys,
            limits,
            catalogue,
            locks: CustomerLocks::new(),
            usage: Usage::new(),
            controller,
            verifying: Mutex::new(()),
            duplicates: Duplicates::default(),
            holder_hints: HolderHints::default(),
        }
    }

    pub(crate) fn routing(&self) -> &Routing {
        &self.routing
    }

    pub(crate) fn keys(&self) -> &NodeKeys {
        &self.keys
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) const fn catalogue(&self) -> &CatalogueCache {
        &self.catalogue
    }

    pub(crate) const fn usage(&self) -> &Usage {
        &self.usage
    }

    /// The controller of the data, for exports.
    pub(crate) const fn controller(&self) -> &ControllerConfig {
        &self.controller
    }

    /// Held by the one verification that this node leads.
    pub(crate) const fn verifying(&self) -> &Mutex<()> {
        &self.verifying
    }

    /// What this node has learned about duplicates.
    pub(super) const fn duplicates(&self) -> &Duplicates {
        &self.duplicates
    }

    /// Where this node last found the holders of identifiers.
    pub(crate) const fn holder_hints(&self) -> &HolderHints {
        &self.holder_hints
    }

    pub(super) const fn locks(&self) -> &CustomerLocks {
        &self.locks
    }

    /// Forwards a call to the leader that answers it.
    ///
    /// # Errors
    /// Those of [`Routing::forward`].
    pub(crate) async fn forward<R: Unary>(
        &self,
        leader: &LeaderHint,
        call: &Call,
        request: &R,
    ) -> Result<R::Answer, ServiceError> {
        let version = self.catalogue.view()?.version;
        self.routing.forward(leader, call, request, version).await
    }

    /// This node's state engine; read it behind a read barrier.
    pub(crate) fn engine(&self) -> &dyn StateEngine {
        &**self.routing.consensus().engine()
    }

    /// Reads the state of a group that this node leads, behind a read barrier.
    ///
    /// # Errors
    /// The barrier failed, or ended before the read was done; what the read fails with.
    pub(super) async fn read_led<T>(
        &self,
        group: GroupId,
        mode: ReadMode,
        deadline: Instant,
        read: impl AsyncFnOnce() -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let barrier = self.routing.read_barrier(group, mode, deadline).await?;
        let answer = read().await;
        self.routing.still_valid(group, &barrier)?;
        answer
    }

    /// Keeps this node's lease on the catalogue; runs until aborted.
    pub(crate) async fn keep_catalogue_lease(self: Arc<Self>) {
        self.catalogue.keep_lease().await;
    }

    /// Reports the use of attributes to the directory; runs until aborted.
    pub(crate) async fn keep_up_usage(self: Arc<Self>) {
        self.usage.keep_up(&self.routing).await;
    }

    /// Reports what is still unreported; for a node that is about to stop.
    pub(crate) async fn report_last_usage(&self) {
        self.usage.report_last(&self.routing).await;
    }
}
