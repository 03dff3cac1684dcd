//! A certificate authority for tests.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
};

use crate::{NodeId, config::TlsFiles, identity::OwnName};

/// A node that is reached at the hosts of the certificates below.
pub(crate) fn own_name(node: u32) -> OwnName {
    let host = ServerName::try_from("localhost").expect("a name");
    OwnName { node: NodeId::new(node).expect("a node"), host }
}

/// Signs certificates for 127.0.0.1.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: String,
    issued: AtomicU64,
}

/// PEM of a certificate and of its key.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
    serial: SerialNumber,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::named("the authority of tests")
    }

    /// With this common name.
    pub(crate) fn named(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key pair");
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), certificate, issued: AtomicU64::new(0) }
    }

    /// Valid for these years, with these URIs.
    pub(crate) fn issue(&self, uris: &[&str], years: (i32, i32)) -> Issued {
        self.issue_with(uris, |params| {
            params.not_before = date_time_ymd(years.0, 1, 1);
            params.not_after = date_time_ymd(years.1, 1, 1);
        })
    }

    fn issue_with(&self, uris: &[&str], validity: impl FnOnce(&mut CertificateParams)) -> Issued {
        let key = KeyPair::generate().expect("a key pair");
        let mut params =
            CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).expect("names");
        for uri in uris {
            params.subject_alt_names.push(SanType::URI((*uri).try_into().expect("ASCII")));
        }
        validity(&mut params);
        let serial = SerialNumber::from(self.issued.fetch_add(1, Ordering::Relaxed) + 1);
        params.serial_number = Some(serial.clone());
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Issued { certificate, key: key.serialize_pem(), serial }
    }

    /// Valid from 2020 until so many seconds from now.
    pub(crate) fn for_seconds(&self, uri: &str, seconds: u64) -> Issued {
        let until = Duration::from_secs(UnixTime::now().as_secs() + seconds);
        self.issue_with(&[uri], |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(1970, 1, 1) + until;
        })
    }

    /// The list of the revoked certificates, PEM.
    pub(crate) fn revocation_list(&self, revoked: &[&Issued]) -> String {
        let revoked_certs = revoked.iter().map(|issued| RevokedCertParams {
            serial_number: issued.serial.clone(),
            revocation_time: date_time_ymd(2021, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2021, 1, 1),
            next_update: date_time_ymd(2060, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).expect("a list").pem().expect("PEM")
    }

    /// Valid now.
    pub(crate) fn current(&self, uri: &str) -> Issued {
        self.issue(&[uri], (2020, 2060))
    }

    /// How a client with this identity connects over TLS, for tests that write the bytes of the connection themselves.
    pub(crate) fn client_config(&self, identity: Option<&Issued>) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
        roots.add(certificate(&self.certificate)).expect("a root");
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match identity {
            None => config.with_no_client_auth(),
            Some(Issued { certificate: pem, key, .. }) => {
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
                config.with_client_auth_cert(vec![certificate(pem)], key).expect("an identity")
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }

    /// Writes this authority and a certificate as a node's files.
    pub(crate) fn files(&self, folder: &Path, issued: &Issued) -> TlsFiles {
        let files = TlsFiles {
            ca: folder.join("ca.crt"),
            certificate: folder.join("node.crt"),
            key: folder.join("node.key"),
            revocation_list: None,
        };
        fs::write(&files.ca, &self.certificate).expect("written");
        fs::write(&files.certificate, &issued.certificate).expect("written");
        fs::write(&files.key, &issued.key).expect("written");
        files
    }
}
