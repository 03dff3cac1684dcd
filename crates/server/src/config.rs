//! The configuration of one node: a TOML file, parsed and checked as a whole before anything is opened or bound. An
//! unknown key, a missing one, or a value out of bounds refuses to start and names the key.
//!
//! Every key is documented at its field; the defaults are in the `Default` implementations here and in [`crate::limits`].
//! Relative paths start at the folder of the configuration file.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use custodia_consensus::ReadMode;
use custodia_profile::{NodeAddress, NodeAddressError};
use rustls_pki_types::ServerName;
use serde::{Deserialize, Deserializer, de};

use crate::{
    NodeId,
    error::ConfigError,
    identity::OwnName,
    limits::{Limits, within},
};

/// The configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The node's number in the cluster, from 1. Never reuse it for another data folder. Required.
    #[serde(deserialize_with = "node_id")]
    pub node_id: NodeId,
    /// Address and port on which the node serves clients and other nodes, e.g. `127.0.0.1:7443` or `[::]:7443`; no host name.
    /// Port 0 picks a free port. Required.
    #[serde(deserialize_with = "socket_address")]
    pub listen: SocketAddr,
    /// `host:port` at which clients and other nodes reach this one; the host must be in its certificate. Port 0 stands for the
    /// bound port.
    /// Default: `listen`, which then must not be an unspecified address (0.0.0.0).
    pub advertise: Option<String>,
    /// The folder that holds everything the node stores. Created if absent. Required.
    pub data_dir: PathBuf,
    /// The engine that keeps the state on disk: `fjall` or `sled`. A data folder keeps its engine. Default `fjall`.
    #[serde(default)]
    pub state_engine: StateEngineName,
    /// Memory for the engine's cache, in bytes. Default 256 MiB; at least 8 MiB.
    #[serde(default = "default_cache_bytes")]
    pub cache_bytes: u64,
    /// What reads rely on: `lease` or `quorum`. `lease` answers from the leader without a round trip; it is correct as long as
    /// the clocks of the nodes run alike, and jumps of a clock are noticed. `quorum` asks a quorum for each read, and is
    /// correct whatever any clock does. A call asks for it with the metadata `custodia-read-mode: quorum`. Default `lease`.
    #[serde(default)]
    pub read_mode: ReadModeName,
    /// How often the replicas of each shard are compared, in seconds; the shard's leader does it, one shard at a time. Each
    /// comparison reads the whole shard on every node that has it. See also `custodia shard verify`. Should be the same on every
    /// node. Default 86,400, a day; 1 to 31,536,000.
    #[serde(default = "default_verify_interval_s")]
    pub verify_interval_s: u64,
    /// A node whose clock is further from another's than so many milliseconds warns of it; one whose clock is so far from the
    /// median of the cluster's clocks judges times by the median. Default 500; 10 to 300,000.
    #[serde(default = "default_clock_offset_max_ms")]
    pub clock_offset_max_ms: u64,
    /// The file with the root keys, with owner-only mode. Required.
    pub root_key_file: PathBuf,
    /// Certificates. Required.
    pub tls: TlsFiles,
    /// Bearer tokens. Default: none, and every client needs a certificate.
    pub tokens: Option<TokenFile>,
    /// See [`Limits`].
    #[serde(default)]
    pub limits: Limits,
    /// See [`LogConfig`].
    #[serde(default)]
    pub log: LogConfig,
    /// Address and port of the Prometheus endpoint (`/metrics`) and of the node's health (`/healthz`, `/readyz`), which has no TLS and no authentication: keep it on loopback or
    /// behind a proxy. Port 0 picks a free port. Default: off.
    #[serde(default, deserialize_with = "optional_socket_address")]
    pub metrics_listen: Option<SocketAddr>,
    /// Serve gRPC reflection, for development. Default false.
    #[serde(default)]
    pub reflection: bool,
    /// See [`TimingConfig`].
    #[serde(default)]
    pub timing: TimingConfig,
    /// See [`ControllerConfig`].
    #[serde(default)]
    pub controller: ControllerConfig,
}

/// `state_engine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateEngineName {
    /// The default.
    #[default]
    Fjall,
    /// The alternative.
    Sled,
}

/// `read_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadModeName {
    /// The default.
    #[default]
    Lease,
    /// Without a lease.
    Quorum,
}

impl From<ReadModeName> for ReadMode {
    fn from(name: ReadModeName) -> Self {
        match name {
            ReadModeName::Lease => Self::Lease,
            ReadModeName::Quorum => Self::Quorum,
        }
    }
}

/// `[tls]`: PEM files. They are read again within seconds of a change, and on SIGHUP, without an effect on calls in flight.
/// Open connections are judged by what was read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The authorities that sign clients' and nodes' certificates. Required.
    pub ca: PathBuf,
    /// The node's certificate, then its intermediates. The node presents it to clients and to other nodes; it carries the
    /// URI `spiffe://custodia/node/<node_id>`. Required.
    pub certificate: PathBuf,
    /// Its private key. Required.
    pub key: PathBuf,
    /// The revocation lists of the authorities (RFC 5280), PEM, one after the other. With it, each
    /// authority of `ca` must have a list here, even an empty one, and a name of its own; no certificate is accepted that is
    /// on its authority's list. A list past its next update still counts. Default: none, and nothing is
    /// revoked before its end.
    pub revocation_list: Option<PathBuf>,
}

/// `[tokens]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenFile {
    /// A TOML file with one `[[token]]` table per token: `name`, `roles`, and `sha256` (hex, of the token). With it, a
    /// client without a certificate may call with `authorization: Bearer TOKEN`. Read again as the files of `[tls]` are.
    /// Required in this section.
    pub file: PathBuf,
}

/// `[log]`: records on standard error.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `text` for people or `json` for programs. Default `text`.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`. Default `info`.
    pub level: LogLevel,
}

/// `log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line per record, for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// `log.level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What needs action.
    Error,
    /// Also what may need action soon.
    Warn,
    /// Also what happened.
    #[default]
    Info,
    /// Also why.
    Debug,
    /// Everything.
    Trace,
}

/// `[timing]`: of consensus and of the drain, in milliseconds. Must be the same on every node: a node with another
/// `election_max_ms` is rejected by its peers. To change that value, stop every node first: a lease granted under the old
/// value must have expired.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimingConfig {
    /// Interval of a leader's heartbeats. Default 250; 20 to 5,000.
    pub heartbeat_ms: u64,
    /// Shortest wait for a leader before an election. Default 750; at least 3 heartbeats.
    pub election_min_ms: u64,
    /// Longest such wait; the spread keeps candidates apart. Also how long a restarted node waits before it votes
    /// again. Default 1,500; at least 4/3 of `election_min_ms`, at most 60,000.
    pub election_max_ms: u64,
    /// For how long a node that does not reach the directory goes on to judge calls by its copy of the catalogue. So long may a
    /// change of the catalogue wait for such a node. The directory's leader decides; while a rolling restart changes this setting,
    /// the longest in use counts. Default 5,000; from 500 to 60,000.
    pub catalogue_lease_ms: u64,
    /// How long a stopping node waits for its calls in flight. Default 10,000; at most 300,000.
    pub drain_ms: u64,
}

impl Default for TimingConfig {
    fn default() -> Self {
        Self {
            heartbeat_ms: 250,
            election_min_ms: 750,
            election_max_ms: 1_500,
            catalogue_lease_ms: 5_000,
            drain_ms: 10_000,
        }
    }
}

impl TimingConfig {
    /// [`Self::catalogue_lease_ms`].
    pub const fn catalogue_lease(&self) -> Duration {
        Duration::from_millis(self.catalogue_lease_ms)
    }

    /// [`Self::drain_ms`].
    pub const fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        within("timing.heartbeat_ms", self.heartbeat_ms, 20, 5_000)?;
        within("timing.election_min_ms", self.election_min_ms, self.heartbeat_ms.saturating_mul(3), 45_000)?;
        within(
            "timing.election_max_ms",
            self.election_max_ms,
            self.election_min_ms.div_ceil(3).saturating_mul(4),
            60_000,
        )?;
        within("timing.catalogue_lease_ms", self.catalogue_lease_ms, 500, 60_000)?;
        within("timing.drain_ms", self.drain_ms, 0, 300_000)
    }
}

/// `[controller]`: who is responsible for the data, as consent records and receipts name it (GDPR Art. 13(1)(a), (b)). Must
/// be the same on every node. Default of each key: empty, and documents say `not stated`. Each is at most 256 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ControllerConfig {
    /// The legal name.
    pub name: String,
    /// Whom customers contact, e.g. the data protection officer.
    pub contact: String,
    /// Street and number of the postal address.
    pub street: String,
    /// Its postal code.
    pub postal_code: String,
    /// Its city.
    pub locality: String,
    /// Its country (ISO 3166-1 alpha-2).
    pub country: String,
    /// The e-mail address.
    pub email: String,
    /// The telephone number as an RFC 3966 URI, e.g. `tel:+49-30-1234567`.
    pub phone: String,
    /// Where the privacy policy is, `https://…`.
    pub policy_url: String,
    /// Where customers withdraw consent and exercise their rights, `https://…`.
    pub rights_url: String,
}

impl ControllerConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        let Self {
            name,
            contact,
            street,
            postal_code,
            locality,
            country,
            email,
            phone,
            policy_url,
            rights_url,
        } = self;
        for (key, text, start) in [
            ("controller.name", name, ""),
            ("controller.contact", contact, ""),
            ("controller.street", street, ""),
            ("controller.postal_code", postal_code, ""),
            ("controller.locality", locality, ""),
            ("controller.email", email, ""),
            ("controller.phone", phone, "tel:"),
            ("controller.policy_url", policy_url, "https://"),
            ("controller.rights_url", rights_url, "https://"),
        ] {
            if text.len() > 256 || text.chars().any(char::is_control) {
                return Err(invalid(key, "must be at most 256 bytes without control characters"));
            }
            if !text.is_empty() && !text.starts_with(start) {
                return Err(ConfigError::Invalid { key, reason: format!("must start with {start}") });
            }
        }
        let is_country = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
        if is_country || country.is_empty() {
            Ok(())
        } else {
            Err(invalid("controller.country", "must be two capital letters"))
        }
    }
}

fn node_id<'de, D: Deserializer<'de>>(number: D) -> Result<NodeId, D::Error> {
    NodeId::new(u32::deserialize(number)?).map_err(de::Error::custom)
}

fn socket_address<'de, D: Deserializer<'de>>(text: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(text)?;
    text.parse().map_err(|_error| {
        // `localhost` may stand for several addresses, and `::1:7443` for two.
        de::Error::custom("expected an IP address and a port, e.g. 127.0.0.1:7443, 0.0.0.0:7443 or [::]:7443; a host name belongs to `advertise`")
    })
}

fn optional_socket_address<'de, D: Deserializer<'de>>(text: D) -> Result<Option<SocketAddr>, D::Error> {
    socket_address(text).map(Some)
}

const fn default_cache_bytes() -> u64 {
    256 << 20
}

const fn default_clock_offset_max_ms() -> u64 {
    500
}

const fn default_verify_interval_s() -> u64 {
    86_400
}

impl Config {
    /// Reads, parses and checks a file.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text, path.parent().unwrap_or_else(|| Path::new("")))
    }

    /// Parses and checks a text; its relative paths start at `folder`.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn parse(text: &str, folder: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text)
            .map_err(|error| ConfigError::Syntax(error.to_string().trim_end().to_owned()))?;
        config.validate()?;
        config.resolve(folder);
        Ok(config)
    }

    /// [`Self::verify_interval_s`].
    pub const fn verify_interval(&self) -> Duration {
        Duration::from_secs(self.verify_interval_s)
    }

    /// The address at which others reach a node that is bound to `bound`.
    pub fn advertised(&self, bound: SocketAddr) -> String {
        match self.advertise.as_deref().map(|address| address.rsplit_once(':')) {
            Some(Some((host, "0"))) => format!("{host}:{}", bound.port()),
            Some(Some((host, port))) => format!("{host}:{port}"),
            Some(None) | None => bound.to_string(),
        }
    }

    /// [`Self::clock_offset_max_ms`].
    pub const fn clock_offset_max(&self) -> Duration {
        Duration::from_millis(self.clock_offset_max_ms)
    }

    /// The node, and the host under which others reach it, as its certificate must name them.
    pub(crate) fn own_name(&self) -> OwnName {
        let listening = || ServerName::from(self.listen.ip());
        let advertised = self.advertise.as_deref().and_then(server_name);
        OwnName { node: self.node_id, host: advertised.unwrap_or_else(listening) }
    }

    fn validate(&self) -> Result<(), ConfigError> {
        match &self.advertise {
            Some(address) => validate_advertise(address)?,
            None if self.listen.ip().is_unspecified() => {
                return Err(invalid("advertise", "is required when `listen` is an unspecified address"));
            }
            None => {}
        }
        within("cache_bytes", self.cache_bytes, 8 << 20, 1 << 44)?;
        within("clock_offset_max_ms", self.clock_offset_max_ms, 10, 300_000)?;
        within("verify_interval_s", self.verify_interval_s, 1, 31_536_000)?;
        if self.metrics_listen.is_some_and(|metrics| metrics.port() != 0 && metrics == self.listen) {
            return Err(invalid("metrics_listen", "must differ from `listen`"));
        }
        self.limits.validate()?;
        self.controller.validate()?;
        self.timing.validate()
    }

    fn resolve(&mut self, folder: &Path) {
        let tokens = self.tokens.as_mut().map(|tokens| &mut tokens.file);
        let tls = &mut self.tls;
        let paths =
            [&mut self.data_dir, &mut self.root_key_file, &mut tls.ca, &mut tls.certificate, &mut tls.key];
        for path in paths.into_iter().chain(tls.revocation_list.as_mut()).chain(tokens) {
            *path = folder.join(&*path);
        }
    }
}

fn invalid(key: &'static str, reason: &str) -> ConfigError {
    ConfigError::Invalid { key, reason: reason.to_owned() }
}

fn validate_advertise(address: &str) -> Result<(), ConfigError> {
    let refused = |error: NodeAddressError| invalid("advertise", &error.to_string());
    advertised(address).map_err(refused)?;
    // a certificate must be able to name the host
    server_name(address).map(|_| ()).ok_or_else(|| refused(NodeAddressError::Host))
}

/// The address; with port 1 in place of port 0, which stands for the bound port.
fn advertised(address: &str) -> Result<NodeAddress, NodeAddressError> {
    match address.strip_suffix(":0") {
        Some(host) => format!("{host}:1").parse(),
        None => address.parse(),
    }
}

fn server_name(address: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(advertised(address).ok()?.host().to_owned()).ok()
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
