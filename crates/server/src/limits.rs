//! Every configurable limit of a node, named and documented here and nowhere else; the limits of the data model
//! (observations of a call, bytes of a value) are in `custodia-profile`.
//!
//! A call over a limit gets RESOURCE_EXHAUSTED or INVALID_ARGUMENT with the limit's name, which is the key in `[limits]`.

use std::time::Duration;

use serde::Deserialize;

use crate::error::ConfigError;

/// `[limits]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest request message, in bytes. Default 4 MiB; 64 KiB to 64 MiB.
    pub message_bytes_max: usize,
    /// Largest response message, in bytes. Default 16 MiB; 64 KiB to 64 MiB.
    pub response_bytes_max: usize,
    /// Most ids in one BatchGetProfiles or BatchCheckContact. Default 500; 1 to 500.
    pub batch_ids_max: usize,
    /// Requests of one IngestProfiles stream that are processed at a time. Default 64; 1 to 1,024.
    pub stream_window: usize,
    /// Calls in flight on one connection of a client. Default 512; 1 to 65,536.
    pub connection_calls_max: usize,
    /// Calls in flight on the node, all clients together. Default 4,096; 1 to 1,048,576.
    pub node_calls_max: usize,
    /// Consensus messages in flight from other nodes. Separate from `node_calls_max`, so that clients cannot starve the
    /// cluster's own work. Default 16,384; 64 to 1,048,576.
    pub peer_calls_max: usize,
    /// Forwarded calls in flight from other nodes. Separate from `peer_calls_max`, so that they cannot delay votes and
    /// heartbeats. Default 8,192; 64 to 1,048,576.
    pub forwarded_calls_max: usize,
    /// Bytes in flight on one connection of a client: requests and rows of a stream until they are answered, but for the first
    /// 16 KiB of each call, and answers until the client has taken them. Beyond that, a call is refused; one that writes only
    /// for what its own request has beyond the first 16 KiB. Default 64 MiB; twice `message_bytes_max` and
    /// `response_bytes_max` to 4 GiB.
    pub connection_bytes_max: usize,
    /// The same for all clients together. Default 1 GiB; `connection_bytes_max` to 64 GiB.
    pub node_bytes_max: usize,
    /// The same for the calls that other nodes forward. Default 1 GiB; 128 MiB to 64 GiB.
    pub forwarded_bytes_max: usize,
    /// An answer of which the caller takes nothing for so many milliseconds is given up, and a connection that takes nothing
    /// is closed. Default 15,000; 100 to 600,000.
    pub answer_timeout_ms: u64,
    /// A stream of a client on which nothing comes for so many milliseconds ends with UNAVAILABLE: while it is open, it is one of
    /// the calls in flight. Default 60,000; 100 to 3,600,000.
    pub stream_idle_ms: u64,
    /// Open connections of clients. Beyond that, new ones are closed. Default 4,096; 8 to 1,048,576.
    pub connections_max: usize,
    /// Those of them that come from one address, or one IPv6 network of 64 bits. Default 1,024; 1 to 1,048,576.
    pub address_connections_max: usize,
    /// Open connections of other nodes. Clients cannot take these. Default 1,024; 8 to 65,536.
    pub peer_connections_max: usize,
    /// A connection ends after so many milliseconds, at the latest, so that its certificate and token are checked again. Calls
    /// in flight may end, for `deadline_max_ms`; of a stream, the rows that were read are answered, then it ends with
    /// UNAVAILABLE. Default 3,600,000; 1,000 to 604,800,000.
    pub connection_age_max_ms: u64,
    /// A connection without a client certificate is closed when no call with a valid token was in flight for so many
    /// milliseconds; before the first such call, after `handshake_timeout_ms` if that is less. Default 10,000; 100 to 3,600,000.
    pub unauthenticated_idle_ms: u64,
    /// TLS handshakes in progress. Beyond that, the address that has the most gives up its oldest. Default 256; 1 to 65,536.
    pub handshakes_max: usize,
    /// A TLS handshake times out after so many milliseconds. Default 5,000; 100 to 60,000.
    pub handshake_timeout_ms: u64,
    /// Customers whose unwrapped keys are kept in memory, about 200 bytes each. Default 200,000; 1,024 to 100,000,000.
    pub customer_keys_cached_max: usize,
    /// The deadline of a call that states none, in milliseconds. Default 10,000; 1 to `deadline_max_ms`.
    pub deadline_default_ms: u64,
    /// The longest deadline of a call, in milliseconds; a longer one is shortened to it. A stream has no deadline unless
    /// its caller states one. Default 60,000; 100 to 3,600,000.
    pub deadline_max_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: 4 << 20,
            response_bytes_max: 16 << 20,
            batch_ids_max: 500,
            stream_window: 64,
            connection_calls_max: 512,
            node_calls_max: 4_096,
            peer_calls_max: 16_384,
            forwarded_calls_max: 8_192,
            connection_bytes_max: 64 << 20,
            node_bytes_max: 1 << 30,
            forwarded_bytes_max: 1 << 30,
            answer_timeout_ms: 15_000,
            stream_idle_ms: 60_000,
            connections_max: 4_096,
            address_connections_max: 1_024,
            peer_connections_max: 1_024,
            connection_age_max_ms: 3_600_000,
            unauthenticated_idle_ms: 10_000,
            handshakes_max: 256,
            handshake_timeout_ms: 5_000,
            customer_keys_cached_max: 200_000,
            deadline_default_ms: 10_000,
            deadline_max_ms: 60_000,
        }
    }
}

/// Largest message between nodes, in bytes: a batch of log entries or a chunk of a snapshot, which `consensus` keeps
/// well below it, or a forwarded response of `response_bytes_max`.
pub(crate) const PEER_MESSAGE_BYTES_MAX: usize = 72 << 20;

/// Most bytes of a call's metadata, counted as in HTTP/2: names, values, and 32 for each (RFC 9113, section 6.5.2).
pub(crate) const METADATA_BYTES_MAX: usize = 16 << 10;

/// So much metadata is read, in order to refuse the call alone. Beyond that, the HTTP/2 library answers without a gRPC status, or
/// ends the connection: headers share their compression, so none can be skipped.
pub(crate) const METADATA_BYTES_READ_MAX: u32 = 1 << 20;

/// How long before its arrival the time in a request's id may be, to date what the request observed and leaves undated. For
/// the order of requests the id's time counts whatever its age.
pub(crate) const REQUEST_AGE_MAX: Duration = Duration::from_secs(24 * 3_600);

impl Limits {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        within("limits.message_bytes_max", self.message_bytes_max, 64 << 10, 64 << 20)?;
        within("limits.response_bytes_max", self.response_bytes_max, 64 << 10, 64 << 20)?;
        within("limits.batch_ids_max", self.batch_ids_max, 1, 500)?;
        within("limits.stream_window", self.stream_window, 1, 1_024)?;
        within("limits.connection_calls_max", self.connection_calls_max, 1, 1 << 16)?;
        within("limits.node_calls_max", self.node_calls_max, 1, 1 << 20)?;
        within("limits.peer_calls_max", self.peer_calls_max, 64, 1 << 20)?;
        within("limits.forwarded_calls_max", self.forwarded_calls_max, 64, 1 << 20)?;
        let largest = self.message_bytes_max.max(self.response_bytes_max) * 2;
        within("limits.connection_bytes_max", self.connection_bytes_max, largest, 4 << 30)?;
        within("limits.node_bytes_max", self.node_bytes_max, self.connection_bytes_max, 64 << 30)?;
        within("limits.forwarded_bytes_max", self.forwarded_bytes_max, 128 << 20, 64 << 30)?;
        within("limits.answer_timeout_ms", self.answer_timeout_ms, 100, 600_000)?;
        within("limits.stream_idle_ms", self.stream_idle_ms, 100, 3_600_000)?;
        within("limits.connections_max", self.connections_max, 8, 1 << 20)?;
        within("limits.address_connections_max", self.address_connections_max, 1, 1 << 20)?;
        within("limits.peer_connections_max", self.peer_connections_max, 8, 1 << 16)?;
        within("limits.connection_age_max_ms", self.connection_age_max_ms, 1_000, 604_800_000)?;
        within("limits.unauthenticated_idle_ms", self.unauthenticated_idle_ms, 100, 3_600_000)?;
        within("limits.handshakes_max", self.handshakes_max, 1, 1 << 16)?;
        within("limits.handshake_timeout_ms", self.handshake_timeout_ms, 100, 60_000)?;
        within("limits.customer_keys_cached_max", self.customer_keys_cached_max, 1_024, 100_000_000)?;
        within("limits.deadline_max_ms", self.deadline_max_ms, 100, 3_600_000)?;
        within("limits.deadline_default_ms", self.deadline_default_ms, 1, self.deadline_max_ms)
    }

    /// [`Self::handshake_timeout_ms`].
    pub const fn handshake_timeout(&self) -> Duration {
        Duration::from_millis(self.handshake_timeout_ms)
    }

    /// [`Self::answer_timeout_ms`].
    pub const fn answer_timeout(&self) -> Duration {
        Duration::from_millis(self.answer_timeout_ms)
    }

    /// [`Self::stream_idle_ms`].
    pub const fn stream_idle(&self) -> Duration {
        Duration::from_millis(self.stream_idle_ms)
    }

    /// [`Self::connection_age_max_ms`].
    pub const fn connection_age_max(&self) -> Duration {
        Duration::from_millis(self.connection_age_max_ms)
    }

    /// [`Self::unauthenticated_idle_ms`].
    pub const fn unauthenticated_idle(&self) -> Duration {
        Duration::from_millis(self.unauthenticated_idle_ms)
    }

    /// [`Self::deadline_default_ms`].
    pub const fn deadline_default(&self) -> Duration {
        Duration::from_millis(self.deadline_default_ms)
    }

    /// [`Self::deadline_max_ms`].
    pub const fn deadline_max(&self) -> Duration {
        Duration::from_millis(self.deadline_max_ms)
    }
}

/// Refuses a value outside its bounds, with the name of its key.
pub(crate) fn within<N>(key: &'static str, value: N, least: N, most: N) -> Result<(), ConfigError>
where
    N: PartialOrd + std::fmt::Display,
{
    if value < least || value > most {
        return Err(ConfigError::Invalid {
            key,
            reason: format!("{value} is not between {least} and {most}"),
        });
    }
    Ok(())
}
