//! The services' shared state on this node.

use std::{fmt, sync::Arc};

use custodia_store::StateEngine;

use super::locks::CustomerLocks;
use crate::{
    catalogue::{CatalogueCache, Usage},
    config::ControllerConfig,
    counters,
    keys::NodeKeys,
    limits::Limits,
    routing::Routing,
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
    ) -> Self {
        counters::describe();
        let routing = Arc::new(routing);
        let catalogue = CatalogueCache::new(Arc::clone(&routing));
        Self {
            routing,
            keys,
            limits,
            catalogue,
            locks: CustomerLocks::new(),
            usage: Usage::new(),
            controller,
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

    pub(super) const fn locks(&self) -> &CustomerLocks {
        &self.locks
    }

    /// This node's state engine; read it behind a read barrier.
    pub(crate) fn engine(&self) -> &dyn StateEngine {
        &**self.routing.consensus().engine()
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
