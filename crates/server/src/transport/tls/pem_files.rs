//! PEM files of certificates and keys. The node reads its own here, and the command checks those of a client, so that both say
//! what is wrong with which file.

use std::{path::PathBuf, sync::Arc};

use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::error::{TlsError, TlsFile};

/// PEM labels and headers of keys that need a passphrase (RFC 7468, section 11; RFC 1421, section 4.6.1.1).
const ENCRYPTED: [&str; 2] = ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED"];

impl TlsFile {
    pub(super) fn new(name: &'static str, path: impl Into<PathBuf>) -> Self {
        Self { name, path: path.into() }
    }

    fn read(&self) -> Result<Vec<u8>, TlsError> {
        std::fs::read(&self.path).map_err(|source| TlsError::Unreadable { file: self.clone(), source })
    }

    pub(super) fn has_no(&self, expected: &'static str) -> TlsError {
        TlsError::NoPem { file: self.clone(), expected }
    }

    /// Everything of one kind that the file holds, at least one.
    pub(super) fn pems<T: PemObject>(&self, expected: &'static str) -> Result<Vec<T>, TlsError> {
        let text = self.read()?;
        match T::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>() {
            Ok(found) if !found.is_empty() => Ok(found),
            Ok(_) | Err(_) => Err(self.has_no(expected)),
        }
    }

    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        self.pems("certificate")
    }

    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let text = self.read()?;
        let has = |mark: &str| text.windows(mark.len()).any(|part| part == mark.as_bytes());
        if ENCRYPTED.into_iter().any(has) {
            return Err(TlsError::EncryptedKey { file: self.clone() });
        }
        PrivateKeyDer::from_pem_slice(&text).map_err(|_source| self.has_no("private key"))
    }
}

/// A certificate file and its key file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair<'f> {
    pub(super) certificate: &'f TlsFile,
    pub(super) key: &'f TlsFile,
}

impl Pair<'_> {
    /// The certificate, its intermediates, and the key that it was issued for.
    pub(super) fn read(self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let (chain, key) = (self.certificate.certificates()?, self.key.key()?);
        match CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider()) {
            Ok(_) => Ok((chain, key)),
            Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::KeyMismatch {
                file: self.key.clone(),
                certificate: self.certificate.path.clone(),
            }),
            Err(rustls::Error::InvalidCertificate(_)) => Err(self.certificate.has_no("certificate")),
            Err(error) => Err(TlsError::Refused { file: self.key.clone(), source: error }),
        }
    }
}

/// The files with which a client connects.
#[derive(Debug, Clone)]
pub struct ClientTlsFiles {
    /// The authorities of the nodes' certificates.
    pub ca: PathBuf,
    /// The client's certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl ClientTlsFiles {
    /// Checks what can be known before a node is asked.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn check(&self) -> Result<(), TlsError> {
        let ca = TlsFile::new("--ca", &self.ca);
        for authority in ca.certificates()? {
            X509Certificate::from_der(&authority).map_err(|_source| ca.has_no("certificate"))?;
        }
        let Some((certificate, key)) = &self.identity else { return Ok(()) };
        let (certificate, key) = (TlsFile::new("--certificate", certificate), TlsFile::new("--key", key));
        let (chain, _) = Pair { certificate: &certificate, key: &key }.read()?;
        super::own_certificate::check_client(&certificate, &chain)
    }
}

/// Shared, as the library wants it.
pub(super) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
