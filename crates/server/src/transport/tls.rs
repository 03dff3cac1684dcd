//! TLS of the node: only version 1.3, only HTTP/2, only certificates of the configured authority.
//!
//! The node presents one certificate in both directions: to clients and peers that connect to it, and to the peers that
//! it connects to. A client must present a certificate too, unless tokens are configured: then a client without one is
//! identified by its token.
//!
//! Sessions are not resumed: each connection is verified again. `credentials.rs` verifies open connections again.

use std::{
    collections::HashMap,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::WebPkiServerVerifier,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

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
    /// Judges what the other end of a connection has shown, as `server` does during the handshake.
    pub(crate) clients: Arc<dyn ClientCertVerifier>,
    /// The end of the node's own certificate, in seconds since 1970.
    pub(crate) own_until: i64,
    /// The end of the authority that ends first.
    pub(crate) authorities_until: i64,
}

/// What the files hold.
struct Material {
    authorities: Arc<RootCertStore>,
    authorities_until: i64,
    revoked: Vec<CertificateRevocationListDer<'static>>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl TlsConfigs {
    /// Reads and checks the files. An unusable certificate is refused here, not at the first connection.
    #[expect(
        clippy::disallowed_methods,
        reason = "a certificate is checked against the clock when it is read"
    )]
    pub(crate) fn load(
        files: &TlsFiles,
        node: NodeId,
        clients: ClientCertificates,
    ) -> Result<Self, TlsError> {
        let material = Material::load(files)?;
        check_own_certificate(files, material.chain.first(), node, SystemTime::now())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clients = client_verifier(&material, Arc::clone(&provider), clients)?;
        Ok(Self {
            own_until: material.chain.first().and_then(|own| valid_until(own)).unwrap_or_default(),
            authorities_until: material.authorities_until,
            server: Arc::new(server_config(&material, Arc::clone(&provider), Arc::clone(&clients))?),
            client: Arc::new(client_config(material, provider)?),
            clients,
        })
    }
}

impl Material {
    fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let mut authorities = RootCertStore::empty();
        let mut authorities_until = i64::MAX;
        let trusted = pems::<CertificateDer<'static>>("tls.ca", &files.ca, "certificate")?;
        for certificate in &trusted {
            authorities_until = authorities_until.min(valid_until(certificate).unwrap_or_default());
            authorities.add(certificate.clone()).map_err(TlsError::Refused)?;
        }
        let chain = pems::<CertificateDer<'static>>("tls.certificate", &files.certificate, "certificate")?;
        let revoked = match files.revocation_list.as_deref() {
            None => Vec::new(),
            Some(path) => {
                let lists: Vec<CertificateRevocationListDer<'static>> =
                    pems("tls.revocation_list", path, "revocation list")?;
                check_lists(files, path, &trusted, &chain, &lists)?;
                lists
            }
        };
        let text = read("tls.key", &files.key)?;
        let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_source| TlsError::NoPem {
            key: "tls.key",
            path: files.key.clone(),
            expected: "private key",
        })?;
        Ok(Self { authorities: Arc::new(authorities), authorities_until, revoked, chain, key })
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Unreadable { key, path: path.to_owned(), source })
}

/// Everything of one kind that a file holds, at least one.
fn pems<T: PemObject>(key: &'static str, path: &Path, expected: &'static str) -> Result<Vec<T>, TlsError> {
    let text = read(key, path)?;
    match T::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>() {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(TlsError::NoPem { key, path: path.to_owned(), expected }),
    }
}

/// Every authority must have a list, and so must who has issued the node's own certificates: webpki looks for the list by the
/// name of the issuer, and refuses a certificate for which it finds none.
fn check_lists(
    files: &TlsFiles,
    lists_path: &Path,
    authorities: &[CertificateDer<'_>],
    own_chain: &[CertificateDer<'_>],
    lists: &[CertificateRevocationListDer<'_>],
) -> Result<(), TlsError> {
    let authorities: Vec<_> =
        authorities.iter().filter_map(|der| X509Certificate::from_der(der).ok()).collect();
    let own_chain: Vec<_> = own_chain.iter().filter_map(|der| X509Certificate::from_der(der).ok()).collect();
    let lists: Vec<_> =
        lists.iter().filter_map(|der| CertificateRevocationList::from_der(der).ok()).collect();
    let names = authorities.iter().map(|(_, authority)| authority.subject());
    for name in names.chain(own_chain.iter().map(|(_, own)| own.issuer())) {
        if !lists.iter().any(|(_, list)| list.issuer().as_raw() == name.as_raw()) {
            return Err(TlsError::NoRevocationList {
                path: lists_path.to_owned(),
                authority: name.to_string(),
            });
        }
    }
    let mut keys = HashMap::new();
    for (_, authority) in &authorities {
        let (name, key) = (authority.subject(), authority.public_key().raw);
        if *keys.entry(name.as_raw()).or_insert(key) != key {
            return Err(TlsError::SameAuthorityName { path: files.ca.clone(), authority: name.to_string() });
        }
    }
    Ok(())
}

/// The last moment of a certificate, in seconds since 1970.
pub(super) fn valid_until(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.validity().not_after.timestamp())
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

fn client_verifier(
    material: &Material,
    provider: Arc<CryptoProvider>,
    clients: ClientCertificates,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&material.authorities), provider)
        .with_crls(material.revoked.iter().cloned());
    let verifier = match clients {
        ClientCertificates::Required => verifier,
        ClientCertificates::Optional => verifier.allow_unauthenticated(),
    };
    verifier.build().map_err(TlsError::Verifier)
}

fn server_config(
    material: &Material,
    provider: Arc<CryptoProvider>,
    clients: Arc<dyn ClientCertVerifier>,
) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Refused)?
        .with_client_cert_verifier(clients)
        .with_single_cert(material.chain.clone(), material.key.clone_key())
        .map_err(key_error)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(config)
}

fn client_config(material: Material, provider: Arc<CryptoProvider>) -> Result<ClientConfig, TlsError> {
    let verifier = WebPkiServerVerifier::builder_with_provider(material.authorities, Arc::clone(&provider))
        .with_crls(material.revoked)
        .build()
        .map_err(TlsError::Verifier)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Refused)?
        .with_webpki_verifier(verifier)
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
