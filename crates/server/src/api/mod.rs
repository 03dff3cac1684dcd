//! The public API: a folder for each service; in it a file for each RPC or small family, with its parsing and conversion.
//!
//! ```text
//! service.rs          ─▶ dispatch.rs ─▶ handler.rs: which node answers ─▶ shard::read / shard::write ─▶ the handler
//! PeerService.Forward ─▶ the same
//! ```
//!
//! **Architecture Invariant:** nothing here knows Raft, encryption or files. Nothing here decides what is permitted:
//! `custodia-profile` does. No call about a customer is forwarded twice, and nothing here retries over the network; a call that
//! names an identifier goes to the leader of its shard first, and on a customer that has moved is tried again.

mod batch;
mod catalog;
mod cluster;
mod consent;
mod dispatch;
mod duplicate;
mod handler;
mod identity;
mod preference;
mod profile;
mod service;

use std::sync::Arc;

pub(crate) use cluster::{keep_clocks, own_facts};
pub(crate) use dispatch::answer_forwarded;

use self::service::ApiService;
use crate::{method::ServiceId, shard::ShardContext, transport::Router};

/// Adds the services of the public API to a router.
pub(crate) fn routes(router: Router, context: &Arc<ShardContext>) -> Router {
    let api = ApiService::new(Arc::clone(context));
    ServiceId::PUBLIC.into_iter().fold(router, |router, service| router.with(service, api.clone()))
}
