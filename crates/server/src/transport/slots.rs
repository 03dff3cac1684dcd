//! Who may have how many connections.
//!
//! ```text
//! accepted ──▶ handshake ──────────────────▶ slot of a node    others cannot take these
//!                 │  too many: the address  └▶ slot of a client  at most so many, and so many of one address
//!                 ▼  that has the most gives up its oldest
//!              closed
//! ```
//!
//! Must always hold: handshakes and connections stay within their limits, and so a listening port accepts at once, whatever
//! others do. An address that has no more than its share of the handshakes, `handshakes_max` divided by the number of
//! addresses that have one, loses none of them. So silent connections from one address hold up that address alone, and there
//! only those that are as silent.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use metrics::Gauge;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::limits::Limits;

/// Where a connection comes from: an IPv4 address, or an IPv6 network of 64 bits, which one host may have for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Source(IpAddr);

impl From<SocketAddr> for Source {
    fn from(address: SocketAddr) -> Self {
        Self(match address.ip().to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// A node, by its certificate.
    Node,
    /// Any other.
    Client,
}

/// The slots of a port. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Slots(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    handshakes_max: usize,
    clients_max: usize,
    clients_of_one_address_max: usize,
    nodes_max: usize,
    taken: Mutex<Taken>,
    open: Gauge,
}

#[derive(Debug, Default)]
struct Taken {
    handshakes: HashMap<Source, BTreeMap<u64, CancellationToken>>,
    handshakes_count: usize,
    handshakes_begun: u64,
    clients: HashMap<Source, usize>,
    clients_count: usize,
    nodes_count: usize,
}

impl Slots {
    pub(super) fn new(limits: &Limits, open: Gauge) -> Self {
        Self(Arc::new(Shared {
            handshakes_max: limits.handshakes_max,
            clients_max: limits.connections_max,
            clients_of_one_address_max: limits.address_connections_max,
            nodes_max: limits.peer_connections_max,
            taken: Mutex::default(),
            open,
        }))
    }

    /// A slot for a handshake. If there are too many, the address that has the most gives up its oldest.
    pub(super) fn handshake(&self, from: SocketAddr) -> Handshake {
        let (source, given_up) = (Source::from(from), CancellationToken::new());
        let mut taken = self.0.taken.lock();
        let number = taken.handshakes_begun;
        taken.handshakes_begun += 1;
        taken.handshakes.entry(source).or_default().insert(number, given_up.clone());
        taken.handshakes_count += 1;
        if taken.handshakes_count > self.0.handshakes_max {
            taken.give_up_one();
        }
        drop(taken);
        Handshake { slots: self.clone(), source, number, given_up }
    }

    /// A slot for a connection whose handshake is over.
    ///
    /// # Errors
    /// The limit that is reached: its key in `[limits]`.
    pub(super) fn connection(&self, from: SocketAddr, owner: Owner) -> Result<Slot, &'static str> {
        let (source, limits) = (Source::from(from), &self.0);
        let mut taken = limits.taken.lock();
        match owner {
            Owner::Node if taken.nodes_count >= limits.nodes_max => return Err("peer_connections_max"),
            Owner::Node => taken.nodes_count += 1,
            Owner::Client => {
                if taken.clients_count >= limits.clients_max {
                    return Err("connections_max");
                }
                let of_source = taken.clients.entry(source).or_default();
                if *of_source >= limits.clients_of_one_address_max {
                    return Err("address_connections_max");
                }
                *of_source += 1;
                taken.clients_count += 1;
            }
        }
        self.report(&taken);
        Ok(Slot { slots: self.clone(), source, owner })
    }

    fn report(&self, taken: &Taken) {
        self.0.open.set(u32::try_from(taken.clients_count + taken.nodes_count).unwrap_or(u32::MAX));
    }
}

impl Taken {
    fn give_up_one(&mut self) {
        let most = self.handshakes.iter().max_by_key(|(_, handshakes)| handshakes.len());
        if let Some((number, source)) =
            most.and_then(|(source, handshakes)| Some((*handshakes.keys().next()?, *source)))
            && let Some(given_up) = self.end_handshake(source, number)
        {
            given_up.cancel();
        }
    }

    fn end_handshake(&mut self, source: Source, number: u64) -> Option<CancellationToken> {
        let of_source = self.handshakes.get_mut(&source)?;
        let ended = of_source.remove(&number)?;
        if of_source.is_empty() {
            self.handshakes.remove(&source);
        }
        self.handshakes_count -= 1;
        Some(ended)
    }
}

/// The slot of a handshake, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Handshake {
    slots: Slots,
    source: Source,
    number: u64,
    given_up: CancellationToken,
}

impl Handshake {
    /// Waits until this handshake has to make room for another.
    pub(super) async fn given_up(&self) {
        self.given_up.cancelled().await;
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        // nothing is left to end where the slot was given up
        drop(self.slots.0.taken.lock().end_handshake(self.source, self.number));
    }
}

/// The slot of a connection, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Slots,
    source: Source,
    owner: Owner,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.0.taken.lock();
        match self.owner {
            Owner::Node => taken.nodes_count -= 1,
            Owner::Client => {
                taken.clients_count -= 1;
                let of_source = taken.clients.entry(self.source).or_default();
                *of_source = of_source.saturating_sub(1);
                if *of_source == 0 {
                    taken.clients.remove(&self.source);
                }
            }
        }
        self.slots.report(&taken);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(number: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, number], 1))
    }

    fn slots(limits: Limits) -> Slots {
        Slots::new(&limits, Gauge::noop())
    }

    fn is_given_up(handshake: &Handshake) -> bool {
        handshake.given_up.is_cancelled()
    }

    #[test]
    fn nodes_have_slots_that_clients_cannot_take() {
        let slots = slots(Limits { connections_max: 3, peer_connections_max: 1, ..Limits::default() });
        let clients: Vec<_> =
            (0..3).map(|number| slots.connection(address(number), Owner::Client).expect("a slot")).collect();
        assert_eq!(slots.connection(address(9), Owner::Client).expect_err("full"), "connections_max");
        let node = slots.connection(address(0), Owner::Node).expect("a slot");
        assert_eq!(slots.connection(address(1), Owner::Node).expect_err("full"), "peer_connections_max");
        drop((clients, node));
        assert!(slots.connection(address(9), Owner::Client).is_ok());
        assert!(slots.0.taken.lock().clients.is_empty(), "nothing is kept of those that left");
    }

    #[test]
    fn one_address_cannot_take_all_slots() {
        let slots = slots(Limits { address_connections_max: 2, ..Limits::default() });
        let _held: Vec<_> =
            (0..2).map(|_| slots.connection(address(1), Owner::Client).expect("a slot")).collect();
        let full = slots.connection(address(1), Owner::Client).expect_err("full");
        assert_eq!(full, "address_connections_max");
        assert!(slots.connection(address(2), Owner::Client).is_ok());
        assert!(slots.connection(address(1), Owner::Node).is_ok());
    }

    #[test]
    fn the_addresses_of_one_network_of_ipv6_are_one_source() {
        let source = |text: &str| Source::from(SocketAddr::new(text.parse().expect("an address"), 1));
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:2"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:10.0.0.1"), source("10.0.0.1"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        /// The law of the head of this file. Each step begins a handshake of an address, or ends one.
        #[test]
        fn who_has_no_more_than_its_share_loses_no_handshake(
            most in 1_usize..12,
            steps in prop::collection::vec((0_u8..4, prop::option::of(any::<prop::sample::Index>())), 1..60),
        ) {
            let slots = slots(Limits { handshakes_max: most, ..Limits::default() });
            let mut open: Vec<(u8, Handshake)> = Vec::new();
            for (number, ends) in steps {
                match ends {
                    Some(at) if !open.is_empty() => drop(open.remove(at.index(open.len()))),
                    Some(_) | None => open.push((number, slots.handshake(address(number)))),
                }
                let of = |number: u8| open.iter().filter(|(of, _)| *of == number).count();
                let sources = (0..4).filter(|number| of(*number) > 0).count();
                for (number, handshake) in &open {
                    if is_given_up(handshake) {
                        prop_assert!(of(*number) * sources > most, "it had more than its share");
                    }
                }
                open.retain(|(_, handshake)| !is_given_up(handshake));
                prop_assert!(open.len() <= most);
                prop_assert_eq!(slots.0.taken.lock().handshakes_count, open.len());
            }
        }
    }
}
