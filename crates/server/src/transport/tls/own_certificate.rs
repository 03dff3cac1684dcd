//! An own certificate, judged as the other ends of its connections will judge it: what they would refuse is said before the
//! first of them does, with the reason that they would not give.
//!
//! ```text
//! in its time ─► names this node ─► usable for TLS, in both directions ─► issued by an authority ─► names the node's host
//! ```

use std::net::IpAddr;

use rustls::{
    CertificateError,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::danger::ClientCertVerifier,
};
use x509_parser::prelude::{ExtendedKeyUsage, FromDer as _, GeneralName, X509Certificate};

use crate::{
    NodeId,
    error::{TlsError, TlsFile},
    identity::Identity,
};

/// A direction of TLS for which a certificate may be used (RFC 5280, section 4.2.1.12).
type Usage = (&'static str, fn(&ExtendedKeyUsage<'_>) -> bool);

const CLIENT: Usage = ("clientAuth", |usages| usages.client_auth);
const SERVER: Usage = ("serverAuth", |usages| usages.server_auth);

/// Those who judge it, and what they expect.
pub(super) struct Expected<'e> {
    pub(super) node: NodeId,
    /// Where the node is reached.
    pub(super) host: &'e ServerName<'static>,
    pub(super) authorities: &'e [CertificateDer<'static>],
    pub(super) as_client: &'e dyn ClientCertVerifier,
    pub(super) as_server: &'e WebPkiServerVerifier,
}

/// Checks a node's certificate and its intermediates.
pub(super) fn check_node(
    file: &TlsFile,
    chain: &[CertificateDer<'static>],
    expected: &Expected<'_>,
) -> Result<(), TlsError> {
    let [own, intermediates @ ..] = chain else { return Err(file.has_no("certificate")) };
    let now = UnixTime::now();
    let parsed = parse(file, own)?;
    check_time(file, &parsed, now)?;
    if Identity::of_certificate(own).node != Some(expected.node) {
        return Err(TlsError::NotThisNode { file: file.clone(), node: expected.node });
    }
    check_usage(file, &parsed, SERVER)?;
    check_usage(file, &parsed, CLIENT)?;
    let refused = |error| refusal(file, chain, expected, error);
    expected.as_client.verify_client_cert(own, intermediates, now).map_err(refused)?;
    expected.as_server.verify_server_cert(own, intermediates, expected.host, &[], now).map_err(refused)?;
    Ok(())
}

/// Checks a client's certificate. Its authority is known to the nodes alone.
pub(super) fn check_client(file: &TlsFile, chain: &[CertificateDer<'static>]) -> Result<(), TlsError> {
    let own = chain.first().ok_or_else(|| file.has_no("certificate"))?;
    let parsed = parse(file, own)?;
    check_time(file, &parsed, UnixTime::now())?;
    check_usage(file, &parsed, CLIENT)
}

fn parse<'c>(file: &TlsFile, der: &'c CertificateDer<'_>) -> Result<X509Certificate<'c>, TlsError> {
    let (_, parsed) = X509Certificate::from_der(der).map_err(|_source| file.has_no("certificate"))?;
    Ok(parsed)
}

fn check_time(file: &TlsFile, certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), TlsError> {
    let validity = certificate.validity();
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now > validity.not_after.timestamp() {
        return Err(TlsError::Expired { file: file.clone(), until: validity.not_after.to_string() });
    }
    if now < validity.not_before.timestamp() {
        return Err(TlsError::NotYetValid { file: file.clone(), from: validity.not_before.to_string() });
    }
    Ok(())
}

/// A certificate without the extension may be used for anything.
fn check_usage(
    file: &TlsFile,
    certificate: &X509Certificate<'_>,
    (usage, allows): Usage,
) -> Result<(), TlsError> {
    match certificate.extended_key_usage() {
        Ok(Some(usages)) if !allows(usages.value) => Err(TlsError::NoUsage { file: file.clone(), usage }),
        Ok(_) => Ok(()),
        Err(_malformed) => Err(file.has_no("certificate")),
    }
}

/// The library's error in terms of the files.
fn refusal(
    file: &TlsFile,
    chain: &[CertificateDer<'static>],
    expected: &Expected<'_>,
    error: rustls::Error,
) -> TlsError {
    let file = file.clone();
    let rustls::Error::InvalidCertificate(reason) = &error else {
        return TlsError::Refused { file, source: error };
    };
    if matches!(reason, CertificateError::Revoked) {
        return TlsError::Revoked { file };
    }
    if matches!(reason, CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) {
        let host = expected.host.to_str().into_owned();
        return TlsError::WrongHost { file, host, hosts: hosts(chain) };
    }
    if !matches!(reason, CertificateError::UnknownIssuer | CertificateError::BadSignature) {
        return TlsError::Refused { file, source: error };
    }
    match missing_issuer(chain, expected.authorities) {
        Some(issuer) => TlsError::UnknownIssuer { file, issuer },
        None => TlsError::OtherAuthority { file },
    }
}

/// The first issuer, from the certificate upwards, that is neither in the file nor an authority.
fn missing_issuer(
    chain: &[CertificateDer<'static>],
    authorities: &[CertificateDer<'static>],
) -> Option<String> {
    let chain: Vec<_> = chain.iter().filter_map(|der| Some(X509Certificate::from_der(der).ok()?.1)).collect();
    let authorities: Vec<_> =
        authorities.iter().filter_map(|der| Some(X509Certificate::from_der(der).ok()?.1)).collect();
    let mut at = chain.first()?;
    // a chain of certificates that name each other ends after its length
    for _ in 0..chain.len() {
        let issuer = at.issuer().as_raw();
        if authorities.iter().any(|authority| authority.subject().as_raw() == issuer) {
            return None;
        }
        match chain.iter().find(|next| next.subject().as_raw() == issuer) {
            Some(next) => at = next,
            None => break,
        }
    }
    Some(at.issuer().to_string())
}

/// The host names and addresses that a certificate is valid for, separated by commas.
fn hosts(chain: &[CertificateDer<'static>]) -> String {
    let Some(Ok((_, own))) = chain.first().map(|der| X509Certificate::from_der(der)) else {
        return String::new();
    };
    let Ok(Some(names)) = own.subject_alternative_name() else { return String::new() };
    let hosts = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes),
        GeneralName::OtherName(..)
        | GeneralName::RFC822Name(_)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::URI(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    });
    hosts.collect::<Vec<_>>().join(", ")
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|octets| IpAddr::from(octets).to_string());
    let v6 = <[u8; 16]>::try_from(bytes).map(|octets| IpAddr::from(octets).to_string());
    v4.or(v6).ok()
}
