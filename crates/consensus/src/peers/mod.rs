//! The way to other nodes: messages and their checks, calls, batched heartbeats, and the Raft library's network.

pub(crate) mod acknowledgements;
pub(crate) mod client;
pub(crate) mod heartbeat;
pub(crate) mod message;
pub(crate) mod network;
