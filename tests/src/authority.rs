//! A certificate authority that lives as long as a test, and the certificates it gives out.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};

/// A certificate with its private key, as PEM text.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate, PEM.
    pub certificate: String,
    /// The private key, PEM.
    pub key: String,
}

impl Identity {
    /// Writes `NAME.crt` and `NAME.key` into a folder and returns their paths.
    pub fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
        std::fs::write(&certificate, &self.certificate).expect("a certificate can be written");
        std::fs::write(&key, &self.key).expect("a key can be written");
        (certificate, key)
    }
}

/// How long a test's certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// From 2020 to 2060.
    Current,
    /// It ended in 2021.
    Expired,
}

/// A root certificate that signs.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    /// A new authority with a key of its own.
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key pair");
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names are valid names");
        params.distinguished_name.push(DnType::CommonName, "custodia test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).expect("a self-signed certificate").pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// The root certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate for a caller with these roles, valid for loopback addresses.
    pub fn issue(&self, name: &str, roles: &[&str], validity: Validity) -> Identity {
        self.issue_for(&["localhost", "127.0.0.1", &format!("node{name}.test")], name, roles, validity)
    }

    /// The same, valid for other hosts.
    pub fn issue_for(&self, hosts: &[&str], name: &str, roles: &[&str], validity: Validity) -> Identity {
        let key = KeyPair::generate().expect("a key pair");
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).expect("valid names");
        params.distinguished_name.push(DnType::CommonName, name);
        for role in roles {
            let uri = format!("spiffe://custodia/{role}/{name}").try_into().expect("an ASCII name");
            params.subject_alt_names.push(SanType::URI(uri));
        }
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after =
            rcgen::date_time_ymd(if validity == Validity::Current { 2060 } else { 2021 }, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).expect("a signed certificate").pem();
        Identity { certificate, key: key.serialize_pem() }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
