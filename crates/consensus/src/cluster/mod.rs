//! A node as part of a cluster: which replicas it runs, who leads them, and how a cluster is created.

mod balance;
pub(crate) mod bootstrap;
mod campaign;
mod log_bound;
pub(crate) mod node;
mod placement;
mod recovery;
mod replicas;
pub(crate) mod supervisor;
