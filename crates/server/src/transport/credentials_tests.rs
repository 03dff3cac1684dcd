//! Files that change while the node runs.

use std::fs;

use super::*;
use crate::test_authority::{Authority, Issued, own_name};

const NODE: &str = "spiffe://custodia/node/1";

struct Files {
    folder: tempfile::TempDir,
    authority: Authority,
    files: TlsFiles,
}

impl Files {
    fn new() -> Self {
        let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new());
        let files = authority.files(folder.path(), &authority.current(NODE));
        Self { folder, authority, files }
    }

    fn load(&self, tokens: Option<&TokenFile>) -> Credentials {
        Credentials::load(&self.files, tokens, own_name(1)).expect("valid")
    }

    fn write(&self, authority: &Authority) {
        authority.files(self.folder.path(), &authority.current(NODE));
    }
}

fn chain(issued: &Issued) -> Vec<CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject as _;
    vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).expect("PEM")]
}

#[test]
fn files_that_did_not_change_are_not_read_again() {
    let files = Files::new();
    let credentials = files.load(None);
    assert_eq!(credentials.reload().expect("valid"), Reloaded::Nothing);
    files.write(&files.authority);
    assert_eq!(credentials.reload().expect("valid"), Reloaded::Changed);
    assert_eq!(credentials.version(), 1);
}

/// A new certificate lies there before its key, or the other way round.
#[test]
fn unusable_files_leave_in_force_what_was_there() {
    let files = Files::new();
    let credentials = files.load(None);
    let before = credentials.tls();
    fs::write(&files.files.certificate, files.authority.current(NODE).certificate).expect("written");
    assert!(credentials.reload().is_err());
    assert!(Arc::ptr_eq(&before, &credentials.tls()));
    assert_eq!(credentials.reload().expect("said once"), Reloaded::Nothing);
    files.write(&files.authority);
    assert_eq!(credentials.reload().expect("whole again"), Reloaded::Changed);
}

#[tokio::test]
async fn a_connection_is_judged_by_the_authorities_of_today() {
    let files = Files::new();
    let credentials = Arc::new(files.load(None));
    let shown = chain(&files.authority.current("spiffe://custodia/agent/desk"));
    let mut refused = Box::pin(credentials.until_refused(&shown));
    assert!(futures::poll!(refused.as_mut()).is_pending());
    files.write(&files.authority);
    credentials.reload().expect("valid");
    assert!(
        futures::poll!(refused.as_mut()).is_pending(),
        "a new certificate of the same authority ends no connection"
    );
    files.write(&Authority::new());
    credentials.reload().expect("valid");
    refused.await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_with_its_certificate() {
    let files = Files::new();
    let credentials = files.load(None);
    let shown = chain(&files.authority.for_seconds("spiffe://custodia/agent/desk", 2));
    // time stands still but for the timer, so that the end is awaited and then seen on the real clock
    let error = credentials.until_refused(&shown).await;
    assert!(error.to_string().contains("expired"), "{error}");
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_and_others_are_not() {
    let mut files = Files::new();
    let (eve, ada) = (
        files.authority.current("spiffe://custodia/agent/eve"),
        files.authority.current("spiffe://custodia/agent/ada"),
    );
    let list = files.folder.path().join("revoked.pem");
    fs::write(&list, files.authority.revocation_list(&[])).expect("written");
    files.files.revocation_list = Some(list.clone());
    let credentials = files.load(None);
    let (eve_shown, ada_shown) = (chain(&eve), chain(&ada));
    let (mut eve_refused, mut ada_refused) =
        (Box::pin(credentials.until_refused(&eve_shown)), Box::pin(credentials.until_refused(&ada_shown)));
    assert!(
        futures::poll!(eve_refused.as_mut()).is_pending()
            && futures::poll!(ada_refused.as_mut()).is_pending()
    );
    fs::write(&list, files.authority.revocation_list(&[&eve])).expect("written");
    credentials.reload().expect("valid");
    let error = eve_refused.await;
    assert!(error.to_string().to_lowercase().contains("revoked"), "{error}");
    assert!(futures::poll!(ada_refused.as_mut()).is_pending());
}

/// The authority is replaced: the new one is there already, its list is not.
#[test]
fn an_authority_without_a_list_is_named_and_changes_nothing() {
    let mut files = Files::new();
    let next = Authority::named("the next authority");
    let list = files.folder.path().join("revoked.pem");
    let own = files.authority.revocation_list(&[]);
    fs::write(&list, &own).expect("written");
    files.files.revocation_list = Some(list.clone());
    let credentials = files.load(None);
    let before = credentials.tls();
    fs::write(&files.files.ca, format!("{}{}", files.authority.certificate, next.certificate))
        .expect("written");
    let error = credentials.reload().expect_err("refused").to_string();
    assert!(error.contains("tls.revocation_list") && error.contains("the next authority"), "{error}");
    assert!(Arc::ptr_eq(&before, &credentials.tls()));
    fs::write(&list, format!("{own}{}", next.revocation_list(&[]))).expect("written");
    assert_eq!(credentials.reload().expect("each has its list"), Reloaded::Changed);
    for authority in [&files.authority, &next] {
        let shown = chain(&authority.current("spiffe://custodia/agent/desk"));
        let now = UnixTime::now();
        assert!(credentials.tls().clients.verify_client_cert(&shown[0], &[], now).is_ok());
    }
    // its own certificate is of an authority whose list is gone
    fs::write(&files.files.ca, &next.certificate).expect("written");
    fs::write(&list, next.revocation_list(&[])).expect("written");
    let error = credentials.reload().expect_err("refused").to_string();
    assert!(error.contains("the authority of tests"), "{error}");
}

/// A list is found by the name of its authority.
#[test]
fn two_authorities_of_one_name_are_refused_where_there_are_lists() {
    let mut files = Files::new();
    let next = Authority::new();
    let both = format!("{}{}", files.authority.certificate, next.certificate);
    fs::write(&files.files.ca, both).expect("written");
    files.load(None);
    let list = files.folder.path().join("revoked.pem");
    let lists = format!("{}{}", files.authority.revocation_list(&[]), next.revocation_list(&[]));
    fs::write(&list, lists).expect("written");
    files.files.revocation_list = Some(list);
    let error = Credentials::load(&files.files, None, own_name(1)).expect_err("refused");
    assert!(error.to_string().contains("the authority of tests"), "{error}");
}

#[test]
fn tokens_are_those_of_the_file_of_today() {
    let files = Files::new();
    let file = files.folder.path().join("tokens.toml");
    // the SHA-256 of `test` and of `other`
    let write = |hash: &str| {
        fs::write(&file, format!("[[token]]\nname = \"desk\"\nroles = [\"agent\"]\nsha256 = \"{hash}\"\n"))
            .expect("written");
    };
    write("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08");
    let credentials = files.load(Some(&TokenFile { file: file.clone() }));
    let test = super::super::tokens::TokenHash::of(b"Bearer test").expect("a token");
    let knows_test = || credentials.tokens().load().as_ref().expect("tokens").caller(&test).is_some();
    assert!(knows_test());
    write("d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa");
    credentials.reload().expect("valid");
    assert!(!knows_test());
}
