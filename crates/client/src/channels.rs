//! One TLS channel per node, opened on first use and kept: HTTP/2 multiplexes all calls to a node.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use custodia_profile::{NodeAddress, NodeAddressError};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::error::{ClientError, innermost};
use crate::options::ClientOptions;
use crate::timing::{CONNECT_MAX, PING_INTERVAL, PING_TIMEOUT};

/// Channels by address.
pub(crate) struct Channels {
    tls: ClientTlsConfig,
    open: ArcSwap<BTreeMap<String, Channel>>,
}

impl Channels {
    pub(crate) fn new(options: &ClientOptions) -> Self {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&options.ca_pem));
        if let Some(identity) = &options.identity {
            tls = tls.identity(identity.0.clone());
        }
        Self { tls, open: ArcSwap::default() }
    }

    /// The channel to a node; it connects on first use and reconnects by itself.
    pub(crate) fn get(&self, address: &str) -> Result<Channel, ClientError> {
        if let Some(channel) = self.open.load().get(address) {
            return Ok(channel.clone());
        }
        let channel = self.endpoint(address)?.connect_lazy();
        self.open.rcu(|open| {
            let mut open = BTreeMap::clone(open);
            open.entry(address.to_owned()).or_insert_with(|| channel.clone());
            Arc::new(open)
        });
        Ok(channel)
    }

    fn endpoint(&self, address: &str) -> Result<Endpoint, ClientError> {
        let bad_address = |reason| ClientError::BadAddress { address: address.to_owned(), reason };
        let parsed: NodeAddress = address.parse().map_err(bad_address)?;
        let endpoint = Endpoint::from_shared(format!("https://{parsed}"))
            .map_err(|_error| bad_address(NodeAddressError::Host))?;
        let endpoint = endpoint.tls_config(self.tls.clone());
        Ok(endpoint
            .map_err(|error| ClientError::BadTls { cause: innermost(&error) })?
            .connect_timeout(CONNECT_MAX)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true))
    }
}

impl std::fmt::Debug for Channels {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.open.load().keys()).finish()
    }
}
