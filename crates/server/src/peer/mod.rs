//! Node to node: both sides of `custodia.internal.v1.PeerService`.

mod client;
mod connector;
mod server;

pub(crate) use client::Peers;
pub(crate) use server::PeerEndpoint;
