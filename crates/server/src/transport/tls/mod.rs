//! TLS of the node: only version 1.3, only HTTP/2, only certificates of the configured authority.
//!
//! The node presents one certificate in both directions: to clients and peers that connect to it, and to the peers that
//! it connects to. A client must present a certificate too, unless tokens are configured: then a client without one is
//! identified by its token.
//!
//! Sessions are not resumed: each connection is verified again. `credentials.rs` verifies open connections again.

mod own_certificate;
mod pem_files;

use std::{collections::HashMap, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::WebPkiServerVerifier,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use self::{
    own_certificate::Expected,
    pem_files::{Pair, provider},
};
use crate::{
    config::TlsFiles,
    error::{TlsError, TlsFile},
    identity::OwnName,
};

pub use pem_files::ClientTlsFiles;

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
    trusted: Vec<CertificateDer<'static>>,
    authorities: Arc<RootCertStore>,
    authorities_until: i64,
    revoked: Vec<CertificateRevocationListDer<'static>>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl TlsConfigs {
    /// Reads and checks the files. An unusable certificate is refused here, not at the first connection.
    pub(crate) fn load(
        files: &TlsFiles,
        own: &OwnName,
        clients: ClientCertificates,
    ) -> Result<Self, TlsError> {
        let certificate = TlsFile::new("tls.certificate", &files.certificate);
        let ca = TlsFile::new("tls.ca", &files.ca);
        let material = Material::load(files, &ca, &certificate)?;
        let clients = client_verifier(&material, provider(), clients)?;
        let servers = server_verifier(&material, provider())?;
        let expected = Expected {
            node: own.node,
            host: &own.host,
            authorities: &material.trusted,
            as_client: &*clients,
            as_server: &servers,
        };
        own_certificate::check_node(&certificate, &material.chain, &expected)?;
        let refused = |source| TlsError::Refused { file: certificate.clone(), source };
        Ok(Self {
            own_until: material.chain.first().and_then(|own| valid_until(own)).unwrap_or_default(),
            authorities_until: material.authorities_until,
            server: Arc::new(server_config(&material, provider(), Arc::clone(&clients)).map_err(refused)?),
            client: Arc::new(client_config(material, provider(), servers).map_err(refused)?),
            clients,
        })
    }
}

impl Material {
    fn load(files: &TlsFiles, ca: &TlsFile, certificate: &TlsFile) -> Result<Self, TlsError> {
        let mut authorities = RootCertStore::empty();
        let mut authorities_until = i64::MAX;
        let trusted = ca.certificates()?;
        for authority in &trusted {
            authorities_until = authorities_until.min(valid_until(authority).unwrap_or_default());
            let refused = |source| TlsError::Refused { file: ca.clone(), source };
            authorities.add(authority.clone()).map_err(refused)?;
        }
        let key = TlsFile::new("tls.key", &files.key);
        let (chain, key) = Pair { certificate, key: &key }.read()?;
        let revoked = match files.revocation_list.as_deref() {
            None => Vec::new(),
            Some(path) => {
                let file = TlsFile::new("tls.revocation_list", path);
                let lists: Vec<CertificateRevocationListDer<'static>> = file.pems("revocation list")?;
                check_lists(ca, &file, &trusted, &chain, &lists)?;
                lists
            }
        };
        Ok(Self { trusted, authorities: Arc::new(authorities), authorities_until, revoked, chain, key })
    }
}

/// Every authority must have a list, and so must who has issued the node's own certificates: webpki looks for the list by the
/// name of the issuer, and refuses a certificate for which it finds none.
fn check_lists(
    ca: &TlsFile,
    file: &TlsFile,
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
            return Err(TlsError::NoRevocationList { file: file.clone(), authority: name.to_string() });
        }
    }
    let mut keys = HashMap::new();
    for (_, authority) in &authorities {
        let (name, key) = (authority.subject(), authority.public_key().raw);
        if *keys.entry(name.as_raw()).or_insert(key) != key {
            return Err(TlsError::SameAuthorityName { file: ca.clone(), authority: name.to_string() });
        }
    }
    Ok(())
}

/// The last moment of a certificate, in seconds since 1970.
pub(super) fn valid_until(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.validity().not_after.timestamp())
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

fn server_verifier(
    material: &Material,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    WebPkiServerVerifier::builder_with_provider(Arc::clone(&material.authorities), provider)
        .with_crls(material.revoked.iter().cloned())
        .build()
        .map_err(TlsError::Verifier)
}

fn server_config(
    material: &Material,
    provider: Arc<CryptoProvider>,
    clients: Arc<dyn ClientCertVerifier>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(clients)
        .with_single_cert(material.chain.clone(), material.key.clone_key())?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(config)
}

fn client_config(
    material: Material,
    provider: Arc<CryptoProvider>,
    servers: Arc<WebPkiServerVerifier>,
) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_webpki_verifier(servers)
        .with_client_auth_cert(material.chain, material.key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

#[cfg(test)]
mod tests;
