//! `custodia certificates`: a certificate authority for development. Production clusters use certificates of any
//! authority; a node or client is identified by the URIs in its certificate:
//!
//! ```text
//! subjectAltName  URI:spiffe://custodia/<role>/<name>   (one for each role)
//!                 DNS:localhost, IP:127.0.0.1           (nodes: their host names and addresses)
//! ```

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use custodia_profile::NodeId;
use custodia_server::{Role, is_caller_name};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use crate::error::CliError;
use crate::files::{self, Readers};
use crate::text::output::{self, Format};

const AUTHORITY_NAME: &str = "Custodia development authority";
const AUTHORITY_DAYS: i32 = 3_650;
const CERTIFICATE_DAYS: i32 = 825;

/// `custodia certificates …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum CertificatesCommand {
    /// Create a certificate, and the authority that signs it if the folder has none
    Create(CreateCertificate),
}

/// What `certificates create` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct CreateCertificate {
    /// Number of the node, or name of the client
    name: String,
    /// node, agent, ingest, privacy or operator (repeatable, or comma-separated)
    #[arg(long = "role", required = true, value_delimiter = ',', value_parser = role_parser())]
    roles: Vec<Role>,
    /// Host name or IP address of a node (repeatable, or comma-separated)
    #[arg(long = "host", value_delimiter = ',')]
    hosts: Vec<String>,
    /// Folder of the authority (ca.pem, ca-key.pem) and its certificates
    #[arg(long, default_value = "certificates")]
    dir: PathBuf,
    /// Replace the certificate and key of this name, e.g. because the certificate expires
    #[arg(long)]
    replace: bool,
}

/// What happens to a certificate and key that exist already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// They stay, and creating others under their name fails.
    Keep,
    /// They are replaced.
    Replace,
}

impl CertificatesCommand {
    pub(crate) fn run(self, format: Format) -> Result<(), CliError> {
        let Self::Create(create) = self;
        if create.roles.contains(&Role::Node) && create.hosts.is_empty() {
            let reason = "is required: a node's certificate must name the hosts of the node";
            return Err(CliError::argument("--host", reason));
        }
        let is_number = create.name.parse::<NodeId>().is_ok();
        if create.roles.contains(&Role::Node) && !is_number {
            return Err(CliError::argument("<NAME>", "must be the node's number, e.g. 1"));
        }
        if !is_caller_name(&create.name) {
            let reason = "must be 1 to 64 letters, digits, dots, hyphens or underscores";
            return Err(CliError::argument("<NAME>", reason));
        }
        let authority = Authority::open_or_create(&create.dir)?;
        let subject = Subject { name: &create.name, roles: &create.roles, hosts: &create.hosts };
        let existing = if create.replace { Existing::Replace } else { Existing::Keep };
        let paths = authority.issue(&subject, &file_stem(&subject), existing)?;
        let text = format!(
            "authority    {}\ncertificate  {}\nkey          {}",
            paths.ca.display(),
            paths.certificate.display(),
            paths.key.display()
        );
        let CertificatePaths { ca, certificate, key } = &paths;
        let json = serde_json::json!({ "authority": ca, "certificate": certificate, "key": key });
        output::report(format, &text, &json)
    }
}

/// The subject of a certificate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'s> {
    pub(crate) name: &'s str,
    pub(crate) roles: &'s [Role],
    pub(crate) hosts: &'s [String],
}

/// The paths of the PEM files.
#[derive(Debug, Clone)]
pub(crate) struct CertificatePaths {
    pub(crate) ca: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl CertificatePaths {
    /// Of a certificate in the authority's folder.
    pub(crate) fn new(folder: &Path, stem: &str) -> Self {
        Self {
            ca: folder.join("ca.pem"),
            certificate: folder.join(format!("{stem}.pem")),
            key: folder.join(format!("{stem}-key.pem")),
        }
    }
}

fn role_parser() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::name)).try_map(|text| text.parse::<Role>())
}

/// `node1`, `agent`: short, and unique across roles.
fn file_stem(subject: &Subject<'_>) -> String {
    if subject.roles.contains(&Role::Node) {
        format!("node{}", subject.name)
    } else {
        subject.name.to_owned()
    }
}

/// The signing authority: `ca.pem` and `ca-key.pem` in one folder.
pub(crate) struct Authority {
    folder: PathBuf,
    key: KeyPair,
}

impl Authority {
    /// Opens the folder's authority, or creates one.
    pub(crate) fn open_or_create(folder: &Path) -> Result<Self, CliError> {
        let (ca_path, key_path) = (folder.join("ca.pem"), folder.join("ca-key.pem"));
        if ca_path.exists() {
            let key = KeyPair::from_pem(&files::read(&key_path)?)?;
            return Ok(Self { folder: folder.to_owned(), key });
        }
        files::make_folder(folder)?;
        // A key without a certificate is that of an authority whose creation was interrupted, or whose certificate was
        // lost: it is never overwritten.
        let key = if key_path.exists() {
            KeyPair::from_pem(&files::read(&key_path)?)?
        } else {
            let key = KeyPair::generate()?;
            files::create(&key_path, key.serialize_pem().as_bytes(), Readers::Owner)?;
            key
        };
        let certificate = authority_params().self_signed(&key)?;
        files::replace(&ca_path, certificate.pem().as_bytes(), Readers::Everyone)?;
        Ok(Self { folder: folder.to_owned(), key })
    }

    /// Creates `<stem>.pem` and `<stem>-key.pem`.
    pub(crate) fn issue(
        &self,
        subject: &Subject<'_>,
        stem: &str,
        existing: Existing,
    ) -> Result<CertificatePaths, CliError> {
        let paths = CertificatePaths::new(&self.folder, stem);
        let taken = [&paths.key, &paths.certificate].into_iter().find(|path| path.exists());
        if let Some(taken) = taken.filter(|_| existing == Existing::Keep) {
            return Err(CliError::WouldReplace { path: taken.clone() });
        }
        let key = KeyPair::generate()?;
        // A signature needs only the issuer's name and key, not the authority's certificate.
        let params = authority_params();
        let issuer = Issuer::from_params(&params, &self.key);
        let certificate = subject_params(subject)?.signed_by(&key, &issuer)?;
        files::replace(&paths.key, key.serialize_pem().as_bytes(), Readers::Owner)?;
        files::replace(&paths.certificate, certificate.pem().as_bytes(), Readers::Everyone)?;
        Ok(paths)
    }
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, AUTHORITY_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid_for(&mut params, AUTHORITY_DAYS);
    params
}

fn subject_params(subject: &Subject<'_>) -> Result<CertificateParams, CliError> {
    let mut params = CertificateParams::new(subject.hosts)?;
    for role in subject.roles {
        let uri = format!("spiffe://custodia/{role}/{}", subject.name);
        params.subject_alt_names.push(SanType::URI(uri.try_into()?));
    }
    params.distinguished_name.push(DnType::CommonName, subject.name);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    if !subject.hosts.is_empty() {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    valid_for(&mut params, CERTIFICATE_DAYS);
    Ok(params)
}

/// Valid from yesterday, so that a clock slightly behind accepts a new certificate.
#[expect(clippy::disallowed_methods, reason = "the clock of the caller, read in one place")]
fn valid_for(params: &mut CertificateParams, days: i32) {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let day = |offset: i32| {
        let date = today.saturating_add(jiff::Span::new().days(offset));
        let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
        rcgen::date_time_ymd(i32::from(date.year()), month, day)
    };
    params.not_before = day(-1);
    params.not_after = day(days);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_certificate_is_signed_by_the_same_authority() {
        let folder = tempfile::tempdir().unwrap();
        let subject = Subject { name: "ada", roles: &[Role::Agent, Role::Privacy], hosts: &[] };
        let first =
            Authority::open_or_create(folder.path()).unwrap().issue(&subject, "ada", Existing::Keep).unwrap();
        let ca = std::fs::read(&first.ca).unwrap();
        let second =
            Authority::open_or_create(folder.path()).unwrap().issue(&subject, "eve", Existing::Keep).unwrap();
        assert_eq!(std::fs::read(&second.ca).unwrap(), ca);
        assert_ne!(std::fs::read(&second.certificate).unwrap(), std::fs::read(&first.certificate).unwrap());
    }

    #[test]
    fn a_key_is_replaced_only_on_request() {
        let folder = tempfile::tempdir().unwrap();
        let subject = Subject { name: "ada", roles: &[Role::Agent], hosts: &[] };
        let issue =
            |existing| Authority::open_or_create(folder.path()).unwrap().issue(&subject, "ada", existing);
        let first = issue(Existing::Keep).unwrap();
        let key = std::fs::read(&first.key).unwrap();
        assert!(matches!(issue(Existing::Keep), Err(CliError::WouldReplace { .. })));
        assert_eq!(std::fs::read(&first.key).unwrap(), key);
        issue(Existing::Replace).unwrap();
        assert_ne!(std::fs::read(&first.key).unwrap(), key);
        // the authority's key, too
        let authority = std::fs::read(folder.path().join("ca-key.pem")).unwrap();
        std::fs::remove_file(&first.ca).unwrap();
        issue(Existing::Replace).unwrap();
        assert_eq!(std::fs::read(folder.path().join("ca-key.pem")).unwrap(), authority);
    }

    #[test]
    fn a_name_that_no_certificate_can_hold_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let subject = Subject { name: "ådå", roles: &[Role::Agent], hosts: &[] };
        assert!(
            Authority::open_or_create(folder.path()).unwrap().issue(&subject, "x", Existing::Keep).is_err()
        );
    }
}
