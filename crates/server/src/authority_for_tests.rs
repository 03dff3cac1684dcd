//! A certificate authority for tests.

use std::{fs, path::Path};

use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

use crate::config::TlsFiles;

/// Signs certificates for 127.0.0.1.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: String,
}

/// PEM of a certificate and of its key.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key pair");
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// Valid for these years, with these URIs.
    pub(crate) fn issue(&self, uris: &[&str], years: (i32, i32)) -> Issued {
        let key = KeyPair::generate().expect("a key pair");
        let mut params =
            CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).expect("names");
        for uri in uris {
            params.subject_alt_names.push(SanType::URI((*uri).try_into().expect("ASCII")));
        }
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Issued { certificate, key: key.serialize_pem() }
    }

    /// Valid now.
    pub(crate) fn current(&self, uri: &str) -> Issued {
        self.issue(&[uri], (2020, 2060))
    }

    /// Writes this authority and a certificate as a node's files.
    pub(crate) fn files(&self, folder: &Path, issued: &Issued) -> TlsFiles {
        let files = TlsFiles {
            ca: folder.join("ca.crt"),
            certificate: folder.join("node.crt"),
            key: folder.join("node.key"),
        };
        fs::write(&files.ca, &self.certificate).expect("written");
        fs::write(&files.certificate, &issued.certificate).expect("written");
        fs::write(&files.key, &issued.key).expect("written");
        files
    }
}
