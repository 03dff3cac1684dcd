//! TLS of the node: only version 1.3, only HTTP/2, only certificates of the configured authority.
//!
//! The node presents one certificate in both directions: to clients and peers that connect to it, and to the peers that
//! it connects to. A client must present a certificate too, unless tokens are configured: then a client without one is
//! identified by its token.
//!
//! Sessions are not resumed: each connection is verified again, so an expired certificate stops working at once.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::{NodeId, config::TlsFiles, error::TlsError, identity::Identity};

/// The only protocol over TLS.
const ALPN: &[u8] = b"h2";

/// Must a client present a certificate?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientCertificates {
    Required,
    /// Tokens are configured.
    Optional,
}

/// Both directions, ready to use.
#[derive(Debug, Clone)]
pub(crate) struct TlsConfigs {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) client: Arc<ClientConfig>,
}

/// What the three files hold.
struct Material {
    authorities: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl TlsConfigs {
    /// Reads and checks the files. An unusable certificate is refused here, not at the first connection.
    #[expect(
        clippy::disallowed_methods,
        reason = "a certificate is checked against the clock at the start, once"
    )]
    pub(crate) fn load(
        files: &TlsFiles,
        node: NodeId,
        clients: ClientCertificates,
    ) -> Result<Self, TlsError> {
        let material = Material::load(files)?;
        check_own_certificate(files, material.chain.first(), node, SystemTime::now())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        Ok(Self {
            server: Arc::new(server_config(&material, Arc::clone(&provider), clients)?),
            client: Arc::new(client_config(material, provider)?),
        })
    }
}

impl Material {
    fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let mut authorities = RootCertStore::empty();
        for certificate in certificates("tls.ca", &files.ca)? {
            authorities.add(certificate).map_err(TlsError::Refused)?;
        }
        let chain = certificates("tls.certificate", &files.certificate)?;
        let text = read("tls.key", &files.key)?;
        let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_source| TlsError::NoPem {
            key: "tls.key",
            path: files.key.clone(),
            expected: "private key",
        })?;
        Ok(Self { authorities: Arc::new(authorities), chain, key })
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Unreadable { key, path: path.to_owned(), source })
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(key, path)?;
    match CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>() {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(TlsError::NoPem { key, path: path.to_owned(), expected: "certificate" }),
    }
}

fn check_own_certificate(
    files: &TlsFiles,
    own: Option<&CertificateDer<'_>>,
    node: NodeId,
    now: SystemTime,
) -> Result<(), TlsError> {
    let unusable = || TlsError::NoPem {
        key: "tls.certificate",
        path: files.certificate.clone(),
        expected: "certificate",
    };
    let der = own.ok_or_else(unusable)?;
    let (_, parsed) = X509Certificate::from_der(der).map_err(|_source| unusable())?;
    let validity = parsed.validity();
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    if now > validity.not_after.timestamp() {
        return Err(TlsError::Expired { until: validity.not_after.to_string() });
    }
    if now < validity.not_before.timestamp() {
        return Err(TlsError::NotYetValid { from: validity.not_before.to_string() });
    }
    if Identity::of_certificate(der).node != Some(node) {
        return Err(TlsError::NotThisNode { node });
    }
    Ok(())
}

fn server_config(
    material: &Material,
    provider: Arc<CryptoProvider>,
    clients: ClientCertificates,
) -> Result<ServerConfig, TlsError> {
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(&material.authorities), Arc::clone(&provider));
    let verifier = match clients {
        ClientCertificates::Required => verifier,
        ClientCertificates::Optional => verifier.allow_unauthenticated(),
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Refused)?
        .with_client_cert_verifier(verifier.build().map_err(TlsError::Verifier)?)
        .with_single_cert(material.chain.clone(), material.key.clone_key())
        .map_err(key_error)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(config)
}

fn client_config(material: Material, provider: Arc<CryptoProvider>) -> Result<ClientConfig, TlsError> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Refused)?
        .with_root_certificates(material.authorities)
        .with_client_auth_cert(material.chain, material.key)
        .map_err(key_error)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

fn key_error(error: rustls::Error) -> TlsError {
    if matches!(error, rustls::Error::InconsistentKeys(_)) {
        TlsError::KeyMismatch
    } else {
        TlsError::Refused(error)
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
