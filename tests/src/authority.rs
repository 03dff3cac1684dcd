//! A certificate authority that lives as long as a test, and the certificates it gives out.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};

/// A certificate with its private key, as PEM text.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate, PEM.
    pub certificate: String,
    /// The private key, PEM.
    pub key: String,
    /// Its number, where an [`Authority`] of this process has issued it.
    pub serial: Option<SerialNumber>,
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
    issued: AtomicU64,
}

impl Authority {
    /// A new authority with a key of its own.
    pub fn new() -> Self {
        let (key, params) = authority("custodia test authority");
        let certificate = params.self_signed(&key).expect("a self-signed certificate").pem();
        Self { issuer: Issuer::new(params, key), certificate, issued: AtomicU64::new(0) }
    }

    /// An authority that this one has signed.
    pub fn intermediate(&self) -> Self {
        let (key, params) = authority("custodia test intermediate");
        let certificate = params.signed_by(&key, &self.issuer).expect("a signed certificate").pem();
        Self { issuer: Issuer::new(params, key), certificate, issued: AtomicU64::new(0) }
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
        self.issue_with(hosts, name, roles, validity, &[])
    }

    /// The same, usable only so; for nothing in particular where no usage is named.
    pub fn issue_with(
        &self,
        hosts: &[&str],
        name: &str,
        roles: &[&str],
        validity: Validity,
        usages: &[ExtendedKeyUsagePurpose],
    ) -> Identity {
        let key = KeyPair::generate().expect("a key pair");
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).expect("valid names");
        params.distinguished_name.push(DnType::CommonName, name);
        for role in roles {
            let uri = format!("spiffe://custodia/{role}/{name}").try_into().expect("an ASCII name");
            params.subject_alt_names.push(SanType::URI(uri));
        }
        params.extended_key_usages = usages.to_vec();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after =
            rcgen::date_time_ymd(if validity == Validity::Current { 2060 } else { 2021 }, 1, 1);
        let serial = SerialNumber::from(self.issued.fetch_add(1, Ordering::Relaxed) + 1);
        params.serial_number = Some(serial.clone());
        let certificate = params.signed_by(&key, &self.issuer).expect("a signed certificate").pem();
        Identity { certificate, key: key.serialize_pem(), serial: Some(serial) }
    }

    /// The list of the revoked certificates, PEM.
    pub fn revocation_list(&self, revoked: &[&Identity]) -> String {
        let serials = revoked.iter().filter_map(|identity| identity.serial.clone());
        let revoked = serials.map(|serial_number| RevokedCertParams {
            serial_number,
            revocation_time: rcgen::date_time_ymd(2021, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2021, 1, 1),
            next_update: rcgen::date_time_ymd(2060, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).and_then(|list| list.pem()).expect("a signed list")
    }
}

/// A key, and the parameters of an authority's certificate.
fn authority(name: &str) -> (KeyPair, CertificateParams) {
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names are valid names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (KeyPair::generate().expect("a key pair"), params)
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
