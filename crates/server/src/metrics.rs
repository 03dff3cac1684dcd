//! What a node counts and measures. Each metric is documented in the list below, and nowhere else.
//!
//! Must always hold: a label is a method, a gRPC code, or another word from a closed list, never a caller, a customer, an
//! address or a value. Every handle is created once, so that counting is one atomic addition.

mod process;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use custodia_consensus::GroupStatus;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder as _, Unit};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tonic::Code;

use self::process::ProcessMetrics;
use crate::{method::METHODS, propose::CONFLICTS};

/// Counter by `method` and `code`: calls answered. For a stream, the code with which it started.
const REQUESTS: &str = "custodia_requests_total";
/// Histogram by `method`, in seconds: from a call's arrival to its answer; for a stream, to its first answer.
const DURATION: &str = "custodia_request_duration_seconds";
/// Gauge by `from` (`client`, `node`): calls in flight.
const IN_FLIGHT: &str = "custodia_requests_in_flight";
/// Gauge: open connections after their TLS handshake.
const CONNECTIONS: &str = "custodia_connections";
/// Counter by `reason` (`timeout`, `tls`, `full`, `crowded`): connections refused before their first call. `full`: over a
/// limit of open connections; `crowded`: its handshake made room for others, as its address had the most.
const CONNECTIONS_REFUSED: &str = "custodia_connections_refused_total";
/// Counter by `reason` (`age`, `certificate`, `idle`): connections ended by this node because of their age, because the
/// certificate of their other end was no longer valid, or because no call on them was authenticated.
const CONNECTIONS_ENDED: &str = "custodia_connections_ended_total";
/// Gauge by `from` (`client`, `node`): bytes of requests and answers in flight.
const BYTES_IN_FLIGHT: &str = "custodia_bytes_in_flight";
/// Gauge by `certificate` (`node`, `authority`): whole days until it ends, for authorities until the first ends; negative
/// afterwards.
const CERTIFICATE_DAYS_LEFT: &str = "custodia_certificate_days_left";
/// Counter by `result` (`ok`, `unusable`): changed files of certificates, revocation lists and tokens that were read.
const CREDENTIALS_READ: &str = "custodia_credentials_read_total";
/// Counter: failed attempts to connect to another node.
const PEER_CONNECT_FAILED: &str = "custodia_peer_connect_failed_total";
/// Gauge: Raft groups with a replica on this node.
const RAFT_GROUPS: &str = "custodia_raft_groups";
/// Gauge: Raft groups that this node leads.
const RAFT_GROUPS_LED: &str = "custodia_raft_groups_led";
/// Gauge: bytes that the state engine uses on disk.
const STATE_DISK_BYTES: &str = "custodia_state_disk_bytes";

/// Gauge: bytes that the Raft log uses on disk.
const LOG_DISK_BYTES: &str = "custodia_log_disk_bytes";
/// Gauge: bytes that are free on the disk of `data_dir`.
const DISK_FREE_BYTES: &str = "custodia_disk_free_bytes";
/// Counter: elections in the Raft groups of this node: their terms, added up.
const ELECTIONS: &str = "custodia_raft_elections_total";
/// Gauge: of the groups that this node leads, the most log entries that one of their other replicas has not stored yet.
const REPLICATION_LAG: &str = "custodia_raft_replication_lag_entries";
/// Gauge: of this node's replicas, the most log entries that one has not applied yet.
const APPLY_LAG: &str = "custodia_raft_apply_lag_entries";
/// Gauge by `version` and `state_engine`, always 1: which build this is.
const BUILD_INFO: &str = "custodia_build_info";

/// Upper bounds of the histogram's buckets, in seconds.
const DURATION_BUCKETS: &[f64] = &[
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    60.0,
];

/// How often recorded durations are folded into their buckets while nobody scrapes.
pub(crate) const UPKEEP_EVERY: Duration = Duration::from_secs(5);

static METADATA: Metadata<'static> = Metadata::new("custodia", Level::INFO, None);

/// The codes of gRPC, in the order of their numbers.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The name of a code, as in the gRPC specification.
pub(crate) fn code_name(code: Code) -> &'static str {
    CODES.get(code_index(code)).copied().unwrap_or("UNKNOWN")
}

fn code_index(code: Code) -> usize {
    usize::try_from(i32::from(code)).unwrap_or_default()
}

struct MethodMetrics {
    path: &'static str,
    // a counter appears with its first call, so that the page does not list every code of every method
    answered: [OnceLock<Counter>; CODES.len()],
    duration: Histogram,
}

/// The metrics of one node. They have a recorder of their own, not the process's global one, so that several nodes can
/// run in one process.
pub(crate) struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    methods: Box<[MethodMetrics]>,
    /// Clients' calls in flight.
    pub(crate) client_calls: Gauge,
    /// Other nodes' calls in flight.
    pub(crate) peer_calls: Gauge,
    /// Open connections.
    pub(crate) connections: Gauge,
    /// Handshakes that timed out.
    pub(crate) refused_timeout: Counter,
    /// Handshakes that failed.
    pub(crate) refused_tls: Counter,
    /// Connections over the limit.
    pub(crate) refused_full: Counter,
    /// Handshakes that made room for others.
    pub(crate) refused_crowded: Counter,
    /// Connections ended because of their age.
    pub(crate) ended_age: Counter,
    /// Connections ended because of their certificate.
    pub(crate) ended_certificate: Counter,
    /// Connections ended because nothing on them was authenticated.
    pub(crate) ended_idle: Counter,
    client_bytes: Gauge,
    peer_bytes: Gauge,
    /// Changed files that were taken.
    pub(crate) credentials_read: Counter,
    /// Changed files that were not.
    pub(crate) credentials_unusable: Counter,
    own_certificate_days: Gauge,
    authority_days: Gauge,
    /// Failed attempts to connect to another node.
    pub(crate) peer_connect_failed: Counter,
    /// Groups with a replica here.
    pub(crate) raft_groups: Gauge,
    /// Groups led from here.
    pub(crate) raft_groups_led: Gauge,
    /// Bytes of the state engine.
    state_disk_bytes: Gauge,
    log_disk_bytes: Gauge,
    disk_free_bytes: Gauge,
    elections: Counter,
    replication_lag: Gauge,
    apply_lag: Gauge,
    process: ProcessMetrics,
}

/// What the node's disk holds, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DiskUse {
    pub(crate) state: u64,
    pub(crate) log: u64,
    /// None: the disk does not say.
    pub(crate) free: Option<u64>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Registers everything.
    pub(crate) fn new() -> Result<Arc<Self>, BuildError> {
        let recorder = PrometheusBuilder::new().set_buckets(DURATION_BUCKETS)?.build_recorder();
        describe(&recorder);
        let methods = METHODS
            .iter()
            .map(|method| MethodMetrics {
                path: method.path,
                answered: [const { OnceLock::new() }; CODES.len()],
                duration: recorder.register_histogram(&key(DURATION, &[("method", method.path)]), &METADATA),
            })
            .collect();
        let gauge = |name, labels: &[_]| registered_gauge(&recorder, name, labels);
        let counter = |name, labels: &[_]| registered_counter(&recorder, name, labels);
        Ok(Arc::new(Self {
            client_calls: gauge(IN_FLIGHT, &[("from", "client")]),
            peer_calls: gauge(IN_FLIGHT, &[("from", "node")]),
            connections: gauge(CONNECTIONS, &[]),
            refused_timeout: counter(CONNECTIONS_REFUSED, &[("reason", "timeout")]),
            refused_tls: counter(CONNECTIONS_REFUSED, &[("reason", "tls")]),
            refused_full: counter(CONNECTIONS_REFUSED, &[("reason", "full")]),
            refused_crowded: counter(CONNECTIONS_REFUSED, &[("reason", "crowded")]),
            ended_age: counter(CONNECTIONS_ENDED, &[("reason", "age")]),
            ended_certificate: counter(CONNECTIONS_ENDED, &[("reason", "certificate")]),
            ended_idle: counter(CONNECTIONS_ENDED, &[("reason", "idle")]),
            client_bytes: gauge(BYTES_IN_FLIGHT, &[("from", "client")]),
            peer_bytes: gauge(BYTES_IN_FLIGHT, &[("from", "node")]),
            credentials_read: counter(CREDENTIALS_READ, &[("result", "ok")]),
            credentials_unusable: counter(CREDENTIALS_READ, &[("result", "unusable")]),
            own_certificate_days: gauge(CERTIFICATE_DAYS_LEFT, &[("certificate", "node")]),
            authority_days: gauge(CERTIFICATE_DAYS_LEFT, &[("certificate", "authority")]),
            peer_connect_failed: counter(PEER_CONNECT_FAILED, &[]),
            raft_groups: gauge(RAFT_GROUPS, &[]),
            raft_groups_led: gauge(RAFT_GROUPS_LED, &[]),
            state_disk_bytes: gauge(STATE_DISK_BYTES, &[]),
            log_disk_bytes: gauge(LOG_DISK_BYTES, &[]),
            disk_free_bytes: gauge(DISK_FREE_BYTES, &[]),
            elections: counter(ELECTIONS, &[]),
            replication_lag: gauge(REPLICATION_LAG, &[]),
            apply_lag: gauge(APPLY_LAG, &[]),
            process: ProcessMetrics::new(&recorder),
            methods,
            recorder: Arc::new(recorder),
        }))
    }

    /// Counts an answer to the method at this place of the method table.
    pub(crate) fn answered(&self, method: usize, code: Code, took: Duration) {
        let Some(metrics) = self.methods.get(method) else { return };
        metrics.duration.record(took.as_secs_f64());
        let Some(counter) = metrics.answered.get(code_index(code)) else { return };
        counter
            .get_or_init(|| {
                let labels = [("method", metrics.path), ("code", code_name(code))];
                self.recorder.register_counter(&key(REQUESTS, &labels), &METADATA)
            })
            .increment(1);
    }

    /// Says which build this is.
    pub(crate) fn set_build_info(&self, state_engine: &'static str) {
        let labels = [("version", env!("CARGO_PKG_VERSION")), ("state_engine", state_engine)];
        registered_gauge(&self.recorder, BUILD_INFO, &labels).set(1.0);
    }

    /// Bytes on disk. A gauge is a float: beyond 2^53 bytes it loses the last digits.
    #[expect(clippy::cast_precision_loss, reason = "disks are smaller, and nobody reads the last digits")]
    pub(crate) fn set_disk_use(&self, used: DiskUse) {
        self.state_disk_bytes.set(used.state as f64);
        self.log_disk_bytes.set(used.log as f64);
        if let Some(free) = used.free {
            self.disk_free_bytes.set(free as f64);
        }
    }

    /// The gauges of the Raft groups.
    #[expect(clippy::cast_precision_loss, reason = "no log has 2^53 entries")]
    pub(crate) fn set_groups(&self, statuses: &[GroupStatus]) {
        self.elections.absolute(statuses.iter().map(|status| status.term).sum());
        let replication = statuses.iter().filter_map(|status| status.replication_lag).max();
        let apply = statuses
            .iter()
            .map(|status| status.last_log.unwrap_or(0).saturating_sub(status.applied.unwrap_or(0)));
        self.replication_lag.set(replication.unwrap_or(0) as f64);
        self.apply_lag.set(apply.max().unwrap_or(0) as f64);
    }

    /// What the process uses. Blocks.
    pub(crate) fn refresh_process(&self) {
        self.process.refresh();
    }

    /// Bytes in flight of clients' calls and of those that other nodes forward.
    #[expect(clippy::cast_precision_loss, reason = "limits are far below 2^53")]
    pub(crate) fn set_bytes_in_flight(&self, clients: usize, nodes: usize) {
        self.client_bytes.set(clients as f64);
        self.peer_bytes.set(nodes as f64);
    }

    /// Whole days until the node's certificate, and the first of its authorities, end.
    pub(crate) fn set_certificate_days(&self, own: i64, authority: i64) {
        let days = |days: i64| i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX });
        self.own_certificate_days.set(days(own));
        self.authority_days.set(days(authority));
    }

    /// Makes this the recorder of what is counted with the macros of the crate `metrics`. When several nodes run in one
    /// process, in tests, the first one gets these.
    pub(crate) fn make_global(&self) {
        if metrics::set_global_recorder(Arc::clone(&self.recorder)).is_err() {
            tracing::debug!("another node of this process already has the global metrics");
        }
    }

    /// Renders the page.
    pub(crate) fn handle(&self) -> PrometheusHandle {
        self.recorder.handle()
    }
}

fn registered_gauge(
    recorder: &PrometheusRecorder,
    name: &'static str,
    labels: &[(&'static str, &'static str)],
) -> Gauge {
    recorder.register_gauge(&key(name, labels), &METADATA)
}

fn registered_counter(
    recorder: &PrometheusRecorder,
    name: &'static str,
    labels: &[(&'static str, &'static str)],
) -> Counter {
    recorder.register_counter(&key(name, labels), &METADATA)
}

/// Describes counters and gauges, which are told apart by their names, on the page that is read.
fn describe_all(recorder: &PrometheusRecorder, texts: &[(&'static str, Option<Unit>, &'static str)]) {
    for (name, unit, text) in texts {
        let name = KeyName::from_const_str(name);
        if name.as_str().ends_with("_total") {
            recorder.describe_counter(name, *unit, (*text).into());
        } else {
            recorder.describe_gauge(name, *unit, (*text).into());
        }
    }
}

fn key(name: &'static str, labels: &[(&'static str, &'static str)]) -> Key {
    Key::from_parts(
        name,
        labels.iter().map(|(name, value)| Label::from_static_parts(name, value)).collect::<Vec<_>>(),
    )
}

fn describe(recorder: &PrometheusRecorder) {
    let texts = [
        (REQUESTS, None, "calls answered"),
        (CONNECTIONS_REFUSED, None, "connections refused before their first call"),
        (CONNECTIONS_ENDED, None, "connections ended by this node"),
        (CREDENTIALS_READ, None, "changed files of certificates, revocation lists and tokens that were read"),
        (PEER_CONNECT_FAILED, None, "failed attempts to connect to another node"),
        (CONFLICTS, None, "commands evaluated again because the state had changed meanwhile"),
        (ELECTIONS, None, "elections in the Raft groups of this node"),
        (IN_FLIGHT, None, "calls in flight"),
        (CONNECTIONS, None, "open connections"),
        (BYTES_IN_FLIGHT, Some(Unit::Bytes), "bytes of requests and answers in flight"),
        (CERTIFICATE_DAYS_LEFT, None, "whole days until a certificate ends"),
        (RAFT_GROUPS, None, "Raft groups with a replica on this node"),
        (RAFT_GROUPS_LED, None, "Raft groups that this node leads"),
        (STATE_DISK_BYTES, Some(Unit::Bytes), "bytes that the state engine uses on disk"),
        (LOG_DISK_BYTES, Some(Unit::Bytes), "bytes that the Raft log uses on disk"),
        (DISK_FREE_BYTES, Some(Unit::Bytes), "free bytes on the disk of the data folder"),
        (REPLICATION_LAG, None, "log entries that the slowest replica of a group led here has not stored"),
        (APPLY_LAG, None, "log entries that the slowest replica of this node has not applied"),
        (BUILD_INFO, None, "which build this is"),
    ];
    describe_all(recorder, &texts);
    let text = "time from a call's arrival to its answer";
    recorder.describe_histogram(KeyName::from_const_str(DURATION), Some(Unit::Seconds), text.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_method_and_code() {
        let metrics = Metrics::new().expect("metrics");
        metrics.answered(0, Code::Ok, Duration::from_micros(200));
        metrics.answered(0, Code::Ok, Duration::from_micros(200));
        metrics.answered(0, Code::PermissionDenied, Duration::from_micros(10));
        metrics.answered(usize::MAX, Code::Ok, Duration::ZERO);
        let page = metrics.handle().render();
        let path = METHODS[0].path;
        assert!(
            page.contains(&format!("custodia_requests_total{{method=\"{path}\",code=\"OK\"}} 2")),
            "{page}"
        );
        assert!(page.contains("code=\"PERMISSION_DENIED\"} 1"), "{page}");
        let count = format!("custodia_request_duration_seconds_count{{method=\"{path}\"}} 3");
        assert!(page.contains(&count), "{page}");
    }

    #[test]
    fn every_code_has_its_own_name() {
        for number in 0..17 {
            let code = Code::from_i32(number);
            assert_eq!(code_index(code), usize::try_from(number).expect("small"));
        }
        assert_eq!((code_name(Code::Ok), code_name(Code::Unauthenticated)), ("OK", "UNAUTHENTICATED"));
    }
}
