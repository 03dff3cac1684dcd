//! Client options: where the nodes are, and how the two sides authenticate.
//!
//! Key bytes and tokens never appear in `Debug` output.

use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Identity;

use crate::error::ClientError;
use crate::timing::{DEADLINE_DEFAULT, UNAVAILABLE_ROUNDS_DEFAULT};

/// How to reach a cluster.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// `host:port` of at least one node; the client learns the others from it.
    pub addresses: Vec<String>,
    /// PEM certificates of the authorities that signed the nodes' certificates.
    pub ca_pem: Vec<u8>,
    /// The client's own certificate; optional if a token is used.
    pub identity: Option<ClientIdentity>,
    /// Sent as `authorization: Bearer …` on every call.
    pub token: Option<Token>,
    /// The default deadline of a call.
    pub deadline: Duration,
    /// A call fails before its deadline, with the last node's error, once all known nodes have answered UNAVAILABLE or
    /// been unreachable for this many rounds and for at least 5 s, which is longer than a failover. Default 3. Does not
    /// apply to rows of a streaming ingest.
    pub unavailable_rounds_max: u32,
}

impl ClientOptions {
    /// Default options, without a client certificate or token.
    #[must_use]
    pub fn new(addresses: Vec<String>, ca_pem: Vec<u8>) -> Self {
        Self {
            addresses,
            ca_pem,
            identity: None,
            token: None,
            deadline: DEADLINE_DEFAULT,
            unavailable_rounds_max: UNAVAILABLE_ROUNDS_DEFAULT,
        }
    }
}

/// A client certificate and its private key, both PEM.
#[derive(Clone)]
pub struct ClientIdentity(pub(crate) Identity);

impl ClientIdentity {
    /// From the contents of the two PEM files.
    #[must_use]
    pub fn from_pem(certificate_pem: Vec<u8>, key_pem: Vec<u8>) -> Self {
        Self(Identity::from_pem(certificate_pem, key_pem))
    }
}

impl std::fmt::Debug for ClientIdentity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ClientIdentity(redacted)")
    }
}

/// A bearer token.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Wraps the token's text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The value of the header `authorization`.
    pub(crate) fn bearer(&self) -> Result<MetadataValue<Ascii>, ClientError> {
        let value = format!("Bearer {}", self.0.trim()).parse();
        let mut value: MetadataValue<Ascii> = value.map_err(|_error| ClientError::BadToken)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Token(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_neither_key_nor_token() {
        let mut options = ClientOptions::new(vec!["localhost:1".into()], Vec::new());
        options.identity = Some(ClientIdentity::from_pem(b"cert".to_vec(), b"hunter2".to_vec()));
        options.token = Some(Token::new("hunter3"));
        let text = format!("{options:?}");
        assert!(!text.contains("hunter"), "{text}");
        assert!(!text.contains("104, 117, 110"), "{text}");
    }
}
