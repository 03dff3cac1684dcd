//! A node from its start to its end.
//!
//! ```text
//! certificates, tokens, root key ─► ports bound ─► data folder, engine, log ─► root key checked ─► consensus
//!    ─► services ─► serving ─► (shutdown, or consensus has failed) ─► drain
//! ```
//!
//! The drain, each step bounded in time:
//!
//! 1. health says NOT_SERVING; new calls of clients get UNAVAILABLE; other nodes are still served;
//! 2. the clients' calls in flight end;
//! 3. the use of attributes that the node has seen is reported to the directory;
//! 4. consensus transfers its leaderships, then stops and makes everything durable;
//! 5. no new connection is accepted and the open ones end; what is left after the grace period is cut off.
//!
//! In this order nobody waits for a leader that is gone: until 4 this node answers every call that it has admitted, and
//! after it the others lead. New connections are accepted until then because a new leader may have to make one: this node
//! learns by the leader's calls that it took over.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use custodia_consensus::{Consensus, ConsensusOptions, PeerTransport, Timing};
use custodia_proto::FILE_DESCRIPTOR_SET;
use custodia_seal::FileRootKey;
use custodia_store::SharedLog;
use tokio::{
    net::TcpListener,
    sync::{Notify, oneshot},
    task::{JoinHandle, spawn_blocking},
};
use tokio_util::sync::CancellationToken;
use tonic_health::{
    ServingStatus,
    server::{HealthReporter, health_reporter},
};

use crate::{
    NodeId,
    api::{keep_clocks, routes},
    config::{Config, TimingConfig},
    data::Data,
    error::ServerError,
    keys::NodeKeys,
    method::ServiceId,
    metrics::{DiskUse, Metrics},
    peer::{PeerEndpoint, Peers},
    process_limits,
    routing::{ClockOffsets, Routing},
    shard::ShardContext,
    transport::{
        Admission, Credentials, Port, Router,
        metrics_endpoint::{self, Page, Readiness, Refresh},
    },
    verification::keep_verifying,
};

/// How long connections may take to close once every call has ended.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// Where a running node listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    /// The port for clients and other nodes.
    pub address: SocketAddr,
    /// The port of the metrics, if it is on.
    pub metrics_address: Option<SocketAddr>,
}

/// Runs a node until `shutdown`, then drains it. Sends where the node listens to `started` as soon as it serves. Each `reload`
/// reads the certificates, the revocation list and the tokens again; so does a change of their files, within seconds.
///
/// # Errors
/// Why the node could not start, or why it stopped by itself; see [`ServerError`].
pub async fn run(
    config: Config,
    shutdown: impl Future<Output = ()>,
    reload: Arc<Notify>,
    started: impl Into<Option<oneshot::Sender<Started>>>,
) -> Result<(), ServerError> {
    let node = Box::pin(Node::start(&config, reload)).await?;
    if let Some(started) = started.into()
        && started.send(node.started).is_err()
    {
        tracing::debug!("nobody is waiting for the start");
    }
    let failed = tokio::select! {
        () = shutdown => None,
        failure = node.consensus.failed() => Some(failure),
    };
    node.drain(&config.timing).await?;
    failed.map_or(Ok(()), |failure| Err(ServerError::Failed(failure)))
}

/// A running node.
struct Node {
    started: Started,
    consensus: Arc<Consensus>,
    context: Arc<ShardContext>,
    admission: Arc<Admission>,
    health: HealthReporter,
    /// Ends the background tasks.
    stop: CancellationToken,
    /// Ends the port and its connections.
    finish: CancellationToken,
    port: JoinHandle<()>,
    background: Vec<JoinHandle<()>>,
}

impl Node {
    async fn start(config: &Config, reload: Arc<Notify>) -> Result<Self, ServerError> {
        let id = config.node_id;
        process_limits::prepare(&config.limits)?;
        // read before anything is bound or opened
        let credentials =
            Arc::new(Credentials::load(&config.tls, config.tokens.as_ref(), config.own_name())?);
        let root = FileRootKey::open(&config.root_key_file)?;
        let listener = bind(config.listen).await?;
        let metrics_listener = bind_metrics(config.metrics_listen).await?;
        let started = Started {
            address: local_address(&listener, config.listen)?,
            metrics_address: metrics_listener.as_ref().and_then(|listener| listener.local_addr().ok()),
        };
        let metrics = Metrics::new().map_err(ServerError::Metrics)?;
        metrics.make_global();

        let (root, data) = open_data(config, id, root).await?;
        let log = data.log.clone();
        let peers = Arc::new(Peers::new(Arc::clone(&credentials), metrics.peer_connect_failed.clone()));
        let transport: Arc<dyn PeerTransport> = Arc::clone(&peers) as _;
        let consensus = Consensus::start(ConsensusOptions {
            node: id,
            address: config.advertised(started.address),
            engine: data.engine,
            log: data.log,
            folder: data.folder,
            transport,
            timing: timing(&config.timing),
            read_mode: config.read_mode.into(),
        })
        .await?;

        let keys = Arc::new(NodeKeys::new(
            Arc::clone(&consensus),
            Arc::new(root),
            config.limits.customer_keys_cached_max,
        ));
        let context = shard_context(config, &consensus, &keys, peers);
        let context = Arc::new(context);
        let (health, router) = assemble(&consensus, &context, config.reflection);
        report_health(&health, ServingStatus::NotServing).await;
        let tokens = credentials.tokens();
        let admission = Arc::new(Admission::new(router, config.limits.clone(), tokens, Arc::clone(&metrics)));
        let (stop, finish) = (CancellationToken::new(), CancellationToken::new());
        let port = Port::new(
            listener,
            Arc::clone(&credentials),
            Arc::clone(&admission),
            Arc::clone(&metrics),
            &config.limits,
            finish.clone(),
        );
        let port = tokio::spawn(port.serve(CLOSE_GRACE));
        let mut background = vec![
            tokio::spawn(credentials.keep_up(Arc::clone(&metrics), reload, stop.clone())),
            tokio::spawn(metrics_endpoint::keep_up(Arc::clone(&metrics), stop.clone())),
            tokio::spawn(follow_health(Arc::clone(&consensus), health.clone(), stop.clone())),
            spawn_until(&stop, keys.follow_leadership()),
            spawn_until(&stop, Arc::clone(&context).keep_up_usage()),
            spawn_until(&stop, Arc::clone(&context).keep_catalogue_lease()),
            spawn_until(&stop, keep_clocks(Arc::clone(&context))),
            spawn_until(&stop, keep_verifying(Arc::clone(&context), config.verify_interval())),
        ];
        if let Some(listener) = metrics_listener {
            metrics.set_build_info(consensus.engine().kind().name());
            let refresh = refresh(&metrics, &consensus, &admission, log, config.data_dir.clone());
            let page = Page { metrics, refresh, readiness: readiness(&consensus) };
            background.push(tokio::spawn(metrics_endpoint::serve(listener, page, stop.clone())));
        }
        Ok(Self { started, consensus, context, admission, health, stop, finish, port, background })
    }

    /// The steps are at the top of this file.
    async fn drain(self, timing: &TimingConfig) -> Result<(), ServerError> {
        tracing::info!("draining");
        self.stop.cancel();
        for task in self.background {
            if let Err(error) = task.await {
                tracing::error!(%error, "a background task failed");
            }
        }
        report_health(&self.health, ServingStatus::NotServing).await;
        self.admission.drain();
        if !self.admission.idle(timing.drain()).await {
            let (calls, _) = self.admission.in_flight();
            tracing::warn!(calls, limit = "timing.drain_ms", "drain timed out: cancelling calls in flight");
        }
        self.context.report_last_usage().await;
        self.consensus.shutdown().await;
        self.finish.cancel();
        self.port.await.map_err(|source| ServerError::TaskFailed { task: "the listening port", source })?;
        tracing::info!("stopped");
        Ok(())
    }
}

async fn bind_metrics(address: Option<SocketAddr>) -> Result<Option<TcpListener>, ServerError> {
    match address {
        Some(address) => bind(address).await.map(Some),
        None => Ok(None),
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|source| {
        if source.kind() == io::ErrorKind::AddrInUse {
            ServerError::AddressInUse { address }
        } else {
            ServerError::Bind { address, source }
        }
    })
}

fn local_address(listener: &TcpListener, asked: SocketAddr) -> Result<SocketAddr, ServerError> {
    listener.local_addr().map_err(|source| ServerError::Bind { address: asked, source })
}

async fn open_data(
    config: &Config,
    node: NodeId,
    root: FileRootKey,
) -> Result<(FileRootKey, Data), ServerError> {
    let config = config.clone();
    let opening = spawn_blocking(move || Data::open(&config, node, &root).map(|data| (root, data)));
    opening.await.map_err(|source| ServerError::TaskFailed { task: "opening the data folder", source })?
}

fn timing(config: &TimingConfig) -> Timing {
    Timing {
        heartbeat: Duration::from_millis(config.heartbeat_ms),
        election_min: Duration::from_millis(config.election_min_ms),
        election_max: Duration::from_millis(config.election_max_ms),
        ..Timing::default()
    }
}

/// What the services share.
fn shard_context(
    config: &Config,
    consensus: &Arc<Consensus>,
    keys: &Arc<NodeKeys>,
    peers: Arc<Peers>,
) -> ShardContext {
    let clocks = ClockOffsets::new(config.clock_offset_max());
    let routing = Routing::new(config.node_id, Arc::clone(consensus), peers, clocks);
    ShardContext::new(
        routing,
        Arc::clone(keys),
        config.limits.clone(),
        config.controller.clone(),
        config.timing.catalogue_lease(),
    )
}

/// All services of the node.
fn assemble(
    consensus: &Arc<Consensus>,
    context: &Arc<ShardContext>,
    reflection: bool,
) -> (HealthReporter, Router) {
    let (reporter, health) = health_reporter();
    let peer = PeerEndpoint::server(Arc::clone(consensus), Arc::clone(context));
    let mut router =
        routes(Router::default(), context).with(ServiceId::Peer, peer).with(ServiceId::Health, health);
    if reflection {
        let builder = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        match (builder().build_v1(), builder().build_v1alpha()) {
            (Ok(newer), Ok(older)) => {
                router = router.with(ServiceId::Reflection, newer).with(ServiceId::ReflectionAlpha, older);
            }
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(%error, "reflection is off: cannot use the descriptors")
            }
        }
    }
    (reporter, router)
}

async fn report_health(health: &HealthReporter, status: ServingStatus) {
    health.set_service_status("", status).await;
    for service in ServiceId::PUBLIC {
        health.set_service_status(service.name(), status).await;
    }
}

/// Reports SERVING once the node is in a cluster and knows its shards.
async fn follow_health(consensus: Arc<Consensus>, health: HealthReporter, stop: CancellationToken) {
    let mut changed = consensus.directory_changed();
    loop {
        changed.mark_unchanged();
        if consensus.directory().shape().is_some() {
            report_health(&health, ServingStatus::Serving).await;
            return;
        }
        match stop.run_until_cancelled(changed.changed()).await {
            Some(Ok(())) => {}
            Some(Err(_)) | None => return,
        }
    }
}

fn spawn_until(stop: &CancellationToken, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let stop = stop.clone();
    tokio::spawn(async move {
        let _ended: Option<()> = stop.run_until_cancelled(work).await;
    })
}

/// Updates the gauges when the page is read.
fn refresh(
    metrics: &Arc<Metrics>,
    consensus: &Arc<Consensus>,
    admission: &Arc<Admission>,
    log: SharedLog,
    data_dir: PathBuf,
) -> Refresh {
    let (metrics, consensus, admission) = (Arc::clone(metrics), Arc::clone(consensus), Arc::clone(admission));
    Arc::new(move || {
        let (clients, peers) = admission.in_flight();
        metrics.client_calls.set(gauge_value(clients));
        metrics.peer_calls.set(gauge_value(peers));
        let (clients, peers) = admission.bytes_in_flight();
        metrics.set_bytes_in_flight(clients, peers);
        let groups = consensus.group_statuses();
        let led = groups.iter().filter(|status| consensus.is_leader(status.group)).count();
        metrics.raft_groups.set(gauge_value(groups.len()));
        metrics.raft_groups_led.set(gauge_value(led));
        metrics.set_groups(&groups);
        let disk = rustix::fs::statvfs(&data_dir).ok();
        metrics.set_disk_use(DiskUse {
            state: consensus.engine().disk_bytes(),
            log: log.disk_bytes(),
            free: disk.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
        });
        metrics.refresh_process();
    })
}

/// Ready is a node that is in a cluster and knows its shards, as its gRPC health says.
fn readiness(consensus: &Arc<Consensus>) -> Readiness {
    let consensus = Arc::clone(consensus);
    Arc::new(move || consensus.directory().shape().is_some())
}

fn gauge_value(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
