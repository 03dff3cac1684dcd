//! Own certificates that are accepted or refused.

use std::fs;

use super::*;
use crate::test_authority::{Authority, own_name};

fn load(authority: &Authority, uris: &[&str], years: (i32, i32)) -> Result<TlsConfigs, TlsError> {
    let folder = tempfile::tempdir().expect("a folder");
    let files = authority.files(folder.path(), &authority.issue(uris, years));
    TlsConfigs::load(&files, &own_name(1), ClientCertificates::Required)
}

#[test]
fn a_current_certificate_that_names_the_node_is_taken() {
    let configs = load(&Authority::new(), &["spiffe://custodia/node/1"], (2020, 2060)).expect("valid");
    assert_eq!(configs.server.alpn_protocols, [b"h2"]);
    assert_eq!(configs.client.alpn_protocols, [b"h2"]);
}

#[test]
fn an_own_certificate_out_of_its_time_is_refused() {
    let authority = Authority::new();
    let uris = &["spiffe://custodia/node/1"];
    let error = load(&authority, uris, (2020, 2021)).expect_err("refused");
    assert!(matches!(error, TlsError::Expired { .. }) && error.to_string().contains("2021"), "{error}");
    let error = load(&authority, uris, (2058, 2060)).expect_err("refused");
    assert!(matches!(error, TlsError::NotYetValid { .. }) && error.to_string().contains("2058"), "{error}");
}

#[test]
fn an_own_certificate_of_another_node_is_refused() {
    let authority = Authority::new();
    for uris in [&["spiffe://custodia/node/2"][..], &["spiffe://custodia/operator/1"], &[]] {
        let error = load(&authority, uris, (2020, 2060)).expect_err("refused");
        assert!(error.to_string().contains("spiffe://custodia/node/1"), "{error}");
    }
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().expect("a folder"));
    let files = authority.files(folder.path(), &authority.current("spiffe://custodia/node/1"));
    fs::write(&files.key, authority.current("spiffe://custodia/node/1").key).expect("written");
    let error = TlsConfigs::load(&files, &own_name(1), ClientCertificates::Required).expect_err("refused");
    assert!(matches!(error, TlsError::KeyMismatch { .. }), "{error}");
}

#[test]
fn missing_and_malformed_files_are_named_with_their_key() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().expect("a folder"));
    let files = authority.files(folder.path(), &authority.current("spiffe://custodia/node/1"));
    for (key, path) in
        [("tls.ca", &files.ca), ("tls.certificate", &files.certificate), ("tls.key", &files.key)]
    {
        let kept = fs::read(path).expect("read");
        for content in [None, Some("no PEM"), Some("")] {
            match content {
                None => fs::remove_file(path).expect("removed"),
                Some(text) => fs::write(path, text).expect("written"),
            }
            let error = TlsConfigs::load(&files, &own_name(1), ClientCertificates::Optional)
                .expect_err("refused")
                .to_string();
            assert!(error.contains(key) && error.contains(&path.display().to_string()), "{error}");
        }
        fs::write(path, kept).expect("written");
    }
}
