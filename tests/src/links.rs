//! Links between nodes that a test can cut, each pair on its own: other nodes reach a node through a relay.
//!
//! ```text
//! node 1 ── node2.test:P ──▶ 127.0.11.2:P, the relay of this link ──▶ 127.0.0.1:P, node 2 ◀── 127.0.0.1:P ── clients
//! node 3 ── node2.test:P ──▶ 127.0.13.2:P, a relay of its own     ──▶ 127.0.0.1:P, node 2
//! ```
//! Each node has a hosts file of its own, which says where its links begin. A cut link loses nothing and delivers nothing, as if
//! every packet were dropped.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::node::Node;

/// The links of a cluster. They end when this is dropped.
#[derive(Debug)]
pub struct Links {
    /// Two nodes, and whether the link between them is whole.
    whole: Vec<([u32; 2], watch::Sender<bool>)>,
    _relays: JoinSet<()>,
}

impl Links {
    /// Puts relays between nodes that have not started yet.
    pub(crate) async fn install(folder: &Path, nodes: &mut [Node]) -> Self {
        let (mut whole, mut relays) = (Vec::new(), JoinSet::new());
        let at: Vec<(u32, u16)> = nodes.iter().map(|node| (node.id, port(&node.address))).collect();
        for node in nodes {
            let mut hosts = "127.0.0.1 localhost\n".to_owned();
            for &(to, port) in &at {
                let relay = relay_address(node.id, to);
                writeln!(hosts, "{relay} node{to}.test").expect("text grows");
                if to == node.id {
                    continue;
                }
                let link = [node.id.min(to), node.id.max(to)];
                if !whole.iter().any(|(known, _)| *known == link) {
                    whole.push((link, watch::Sender::new(true)));
                }
                let of_link = whole.iter().find(|(known, _)| *known == link).expect("just added");
                let listener = TcpListener::bind((relay, port)).await.expect("a relay listens");
                relays.spawn(relay_all(listener, port, of_link.1.subscribe()));
            }
            let file = folder.join(format!("hosts{}", node.id));
            fs::write(&file, hosts).expect("a hosts file is written");
            node.hosts = Some(file);
            node.advertised = format!("node{}.test:{}", node.id, port(&node.address));
        }
        Self { whole, _relays: relays }
    }

    /// Cuts the link between two nodes, in both directions.
    pub fn cut(&self, one: u32, other: u32) {
        self.set(one, other, false);
    }

    /// Mends it.
    pub fn mend(&self, one: u32, other: u32) {
        self.set(one, other, true);
    }

    fn set(&self, one: u32, other: u32, whole: bool) {
        let link = [one.min(other), one.max(other)];
        let found = self.whole.iter().find(|(known, _)| *known == link);
        found.expect("two nodes of the cluster").1.send_replace(whole);
    }
}

fn port(address: &str) -> u16 {
    address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("host:port")
}

fn relay_address(from: u32, to: u32) -> Ipv4Addr {
    let octet = |number: u32| u8::try_from(number).expect("few nodes");
    if from == to { Ipv4Addr::LOCALHOST } else { Ipv4Addr::new(127, 0, 10 + octet(from), octet(to)) }
}

async fn relay_all(listener: TcpListener, port: u16, whole: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        connections.spawn(relay(near, port, whole.clone()));
    }
}

async fn relay(near: TcpStream, port: u16, mut whole: watch::Receiver<bool>) {
    if whole.wait_for(|whole| *whole).await.is_err() {
        return;
    }
    let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    tokio::select! {
        () = pump(near_in, far_out, whole.clone()) => {}
        () = pump(far_in, near_out, whole) => {}
    }
}

/// Passes bytes on while the link is whole, until either side ends.
async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut whole: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if whole.wait_for(|whole| *whole).await.is_err() || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
