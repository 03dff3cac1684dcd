//! The client: a cheap handle, shared by all tasks of a program.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use custodia_profile::CustomerId;
use custodia_proto::{rpc::Unary, v1};
use tokio::time::Instant;
use tonic::metadata::{Ascii, MetadataValue};

use crate::channels::Channels;
use crate::error::ClientError;
use crate::map::{Hint, ShardMap};
use crate::options::{ClientOptions, Token};
use crate::timing::{MAP_AGE_MIN, MAP_FETCH_MAX, MAP_REFUSED_PAUSE};
use crate::unary::{decoded, send};

/// A client of one cluster. Cloning shares the connections and the shard map.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
    pub(crate) deadline: Duration,
    /// The node for calls that any node can answer; `None`: round robin over the nodes.
    pub(crate) only_at: Option<Arc<str>>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) channels: Channels,
    bearer: Option<MetadataValue<Ascii>>,
    /// The addresses from the options; never empty.
    addresses: Vec<String>,
    pub(crate) unavailable_rounds_max: u32,
    map: ArcSwapOption<ShardMap>,
    /// Locked by the one task that fetches the map; holds the earliest time of the next fetch.
    fetch: tokio::sync::Mutex<Option<Instant>>,
    /// Round-robin counter.
    next_node: AtomicUsize,
}

impl Client {
    /// A client for the cluster that the options name. Connections open on first use.
    ///
    /// # Errors
    /// When an address, certificate or token in the options is missing or unusable.
    pub fn new(options: &ClientOptions) -> Result<Self, ClientError> {
        let channels = Channels::new(options);
        let bearer = options.token.as_ref().map(Token::bearer).transpose()?;
        if options.addresses.is_empty() {
            return Err(ClientError::NoAddress);
        }
        for address in &options.addresses {
            channels.get(address)?;
        }
        let shared = Shared {
            channels,
            bearer,
            addresses: options.addresses.clone(),
            unavailable_rounds_max: options.unavailable_rounds_max,
            map: ArcSwapOption::empty(),
            fetch: tokio::sync::Mutex::new(None),
            next_node: AtomicUsize::new(0),
        };
        Ok(Self { shared: Arc::new(shared), deadline: options.deadline, only_at: None })
    }

    /// The same client with another deadline for each of its calls.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// The same client, but calls that any node can answer (catalogue, cluster) go to this node alone: shows what one
    /// node sees.
    #[must_use]
    pub fn only_at(&self, address: &str) -> Self {
        Self { only_at: Some(address.into()), ..self.clone() }
    }
}

impl Shared {
    /// A request with the token and, if given, a timeout.
    pub(crate) fn tonic_request<Message>(
        &self,
        message: Message,
        timeout: Option<Duration>,
    ) -> tonic::Request<Message> {
        let mut request = tonic::Request::new(message);
        if let Some(timeout) = timeout {
            request.set_timeout(timeout);
        }
        if let Some(bearer) = &self.bearer {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        request
    }

    /// The leader of the customer's shard, if the map names one.
    pub(crate) fn leader_of(&self, customer: CustomerId) -> Option<String> {
        self.map.load().as_deref()?.leader_of(customer).map(str::to_owned)
    }

    /// How many nodes are known. A refused certificate is final once all of them refused it.
    pub(crate) fn nodes_known(&self) -> usize {
        let of_map = self.map.load().as_deref().map_or(0, |map| map.addresses().count());
        of_map.max(self.addresses.len())
    }

    /// Where to send a call: to the leader of the customer's shard if known, else to the next node in round robin.
    /// `avoid` lists addresses that have just failed.
    pub(crate) fn target(&self, customer: Option<CustomerId>, avoid: &[String]) -> String {
        let is_avoided = |address: &str| avoid.iter().any(|avoided| avoided == address);
        let map = self.map.load();
        if let (Some(map), Some(customer)) = (map.as_deref(), customer)
            && let Some(leader) = map.leader_of(customer)
            && !is_avoided(leader)
        {
            return leader.to_owned();
        }
        let mut nodes: Vec<&str> = self.addresses.iter().map(String::as_str).collect();
        if let Some(map) = map.as_deref() {
            nodes.extend(
                map.addresses().filter(|address| !self.addresses.iter().any(|known| known == address)),
            );
        }
        if nodes.iter().any(|address| !is_avoided(address)) {
            nodes.retain(|address| !is_avoided(address));
        }
        let next = self.next_node.fetch_add(1, Ordering::Relaxed);
        nodes.get(next % nodes.len().max(1)).copied().unwrap_or_default().to_owned()
    }

    /// The address in a leader hint, which the map then remembers.
    pub(crate) fn follow(&self, customer: Option<CustomerId>, hint: &str) -> Option<String> {
        let hint = Hint::parse(hint)?;
        if let Some(customer) = customer
            && let Some(map) = self.map.load_full()
            && let Some(changed) = map.with_leader(customer, &hint)
        {
            self.map.store(Some(Arc::new(changed)));
        }
        Some(hint.address)
    }

    /// Fetches the map if there is none yet.
    pub(crate) async fn ensure_map(&self, deadline: Instant) {
        if self.map.load().is_none() {
            self.refresh_map(&[], deadline).await;
        }
    }

    /// Fetches the map again, from nodes not in `avoid`. One task fetches; the others wait for it and use its result.
    /// Failure is no error: calls then go through any node.
    pub(crate) async fn refresh_map(&self, avoid: &[String], deadline: Instant) {
        let Ok(mut not_before) = tokio::time::timeout_at(deadline, self.fetch.lock()).await else {
            return;
        };
        if not_before.is_some_and(|time| Instant::now() < time) {
            return;
        }
        let mut pause = MAP_AGE_MIN;
        for _ in 0..self.addresses.len().max(2) {
            let address = self.target(None, avoid);
            let limit = deadline.min(Instant::now() + MAP_FETCH_MAX);
            match tokio::time::timeout_at(limit, self.fetch_map(&address)).await {
                Ok(Ok(Some(map))) => {
                    self.map.store(Some(Arc::new(map)));
                    break;
                }
                Ok(Ok(None)) => break,
                Ok(Err(error)) if !error.is_transient() => {
                    tracing::debug!(%error, address, "node refused to list its shards");
                    pause = MAP_REFUSED_PAUSE;
                    break;
                }
                Ok(Err(_)) | Err(_) => {}
            }
        }
        *not_before = Some(Instant::now() + pause);
    }

    async fn fetch_map(&self, address: &str) -> Result<Option<ShardMap>, ClientError> {
        let channel = self.channels.get(address)?;
        let shards = v1::ListShardsRequest { page_size: 4_096, page_token: String::new() };
        let failed = |status: tonic::Status| ClientError::from_status(&status, address, MAP_FETCH_MAX);
        let shards = self.fetch(channel.clone(), &shards).await.map_err(failed)?;
        let nodes = self.fetch(channel, &v1::ListNodesRequest {}).await.map_err(failed)?;
        Ok(ShardMap::new(&shards.shards, &nodes.nodes))
    }

    async fn fetch<R: Unary>(
        &self,
        channel: tonic::transport::Channel,
        request: &R,
    ) -> Result<R::Answer, tonic::Status> {
        let request = self.tonic_request(request.encode_to_vec().into(), Some(MAP_FETCH_MAX));
        decoded::<R>(send(channel, R::METHOD.path, request).await?.into_inner())
    }
}
