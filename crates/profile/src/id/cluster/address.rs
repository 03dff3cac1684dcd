//! Owns the address of a node: where clients and other nodes reach it. Always: a host name or IP address that can be
//! connected to, and a port.

use core::net::{IpAddr, Ipv6Addr};
use std::fmt;
use std::str::FromStr;

/// `host:port`; an IPv6 address is in brackets (RFC 3986, section 3.2.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeAddress {
    /// Without brackets.
    host: String,
    port: u16,
}

/// Why a text is not a node's address. Each says what to write instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NodeAddressError {
    /// A URL.
    #[error(
        "expected host:port without a scheme such as https:// and without a path: connections always use TLS"
    )]
    Url,
    /// No port.
    #[error("expected host:port, and the port is missing")]
    NoPort,
    /// An IPv6 address with a port, which can be read in two ways.
    #[error("expected an IPv6 address in brackets, e.g. [::1]:7443")]
    NoBrackets,
    /// Not a number, or too large.
    #[error("expected a port from 1 to 65535")]
    Port,
    /// The port that stands for any free one.
    #[error("expected the port on which the node listens: nobody can connect to port 0")]
    PortZero,
    /// An address that stands for all addresses of a machine.
    #[error("expected the address of one machine: 0.0.0.0 and [::] can only be listened on")]
    Unspecified,
    /// Neither a name nor an address.
    #[error("expected a host name or an IP address before the port")]
    Host,
}

impl NodeAddress {
    /// The host name or IP address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, at least 1.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for NodeAddress {
    type Err = NodeAddressError;

    fn from_str(text: &str) -> Result<Self, NodeAddressError> {
        if text.contains('/') {
            return Err(NodeAddressError::Url);
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err(NodeAddressError::NoBrackets);
        }
        let (host, port) = text.rsplit_once(':').ok_or(NodeAddressError::NoPort)?;
        let host = match host.strip_prefix('[').map(|rest| rest.strip_suffix(']')) {
            Some(Some(inner)) if inner.parse::<Ipv6Addr>().is_ok() => inner,
            // `[::1]` alone
            Some(None) if text.ends_with(']') => return Err(NodeAddressError::NoPort),
            Some(_) => return Err(NodeAddressError::Host),
            None if host.contains(':') => return Err(NodeAddressError::NoBrackets),
            None => host,
        };
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|_| digits).ok_or(NodeAddressError::Port)?;
        if port == 0 {
            return Err(NodeAddressError::PortZero);
        }
        match host.parse::<IpAddr>() {
            Ok(address) if address.is_unspecified() => Err(NodeAddressError::Unspecified),
            Err(_) if !is_host_name(host) => Err(NodeAddressError::Host),
            Ok(_) | Err(_) => Ok(Self { host: host.to_owned(), port }),
        }
    }
}

/// Labels of letters, digits, hyphens and underscores (RFC 1123, section 2.1). What has only digits is no name: it would be
/// read as an IPv4 address.
fn is_host_name(text: &str) -> bool {
    const NAME_BYTES_MAX: usize = 253;
    const LABEL_BYTES_MAX: usize = 63;
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let labels = text.strip_suffix('.').unwrap_or(text);
    let last = labels.rsplit('.').next().unwrap_or_default();
    text.len() <= NAME_BYTES_MAX
        && labels.split('.').all(is_label)
        && !last.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for (text, host) in [
            ("127.0.0.1:7443", "127.0.0.1"),
            ("[::1]:7443", "::1"),
            ("node-1.example.com:7443", "node-1.example.com"),
            ("node_1:7443", "node_1"),
            ("a:7443", "a"),
        ] {
            let address: NodeAddress = text.parse().unwrap();
            assert_eq!((address.host(), address.port()), (host, 7443));
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn what_is_not_one_is_told_what_to_write() {
        use NodeAddressError::*;
        for (text, error) in [
            ("https://a:7443", Url),
            ("a:7443/status", Url),
            ("a", NoPort),
            ("", NoPort),
            ("[::1]", NoPort),
            ("::1", NoBrackets),
            ("::1:7443", NoBrackets),
            ("fe80::1:7443", NoBrackets),
            ("a:b:7443", NoBrackets),
            ("a:", Port),
            ("a:+1", Port),
            ("a:65536", Port),
            ("a:seven", Port),
            ("a:0", PortZero),
            ("[::1]:0", PortZero),
            ("0.0.0.0:7443", Unspecified),
            ("[::]:7443", Unspecified),
            (":7443", Host),
            ("a b:7443", Host),
            ("a..b:7443", Host),
            ("[a]:7443", Host),
            ("[::1:7443", Host),
            ("300.0.0.1:7443", Host),
        ] {
            assert_eq!(text.parse::<NodeAddress>(), Err(error), "{text}");
        }
    }
}
