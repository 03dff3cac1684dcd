//! Ids that are the same in a repeated import: of the file and of each request.
//!
//! A request id is derived from everything that determines the request's content, and from the attempt: a resumed run sends
//! the same requests, with another mapping they are different ones, and so they are if the import begins anew.

use std::fs::File;
use std::path::Path;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use crate::error::CliError;

/// Identifies a file by its whole content: an edit of any byte makes it another one.
pub(crate) fn fingerprint(path: &Path) -> Result<String, CliError> {
    let read = || {
        let mut hash = Sha256::new();
        std::io::copy(&mut File::open(path)?, &mut hash)?;
        Ok(HEXLOWER.encode(&hash.finalize()))
    };
    read().map_err(CliError::file(path))
}

/// Derives the ids of one import.
#[derive(Debug, Clone)]
pub(crate) struct Identities {
    run: u128,
    attempt: String,
}

impl Identities {
    /// `content` is whatever determines the requests: file, mapping, options.
    pub(crate) fn new(source: &str, content: &[&str]) -> Self {
        let run = digest(&[&[source], content].concat());
        Self { run, attempt: String::new() }
    }

    /// The same for an attempt of the import.
    pub(crate) fn of_attempt(self, attempt: &str) -> Self {
        Self { attempt: attempt.to_owned(), ..self }
    }

    /// Distinguishes this import from another one of the same file.
    pub(crate) fn run(&self) -> String {
        format!("{:032x}", self.run)
    }

    /// The id of the request that begins with this row.
    pub(crate) fn request(&self, first_row: u64) -> String {
        derived_uuid(&["request", &self.run(), &self.attempt, &first_row.to_string()]).to_string()
    }
}

/// A UUID that depends on these texts alone.
pub(crate) fn derived_uuid(texts: &[&str]) -> Uuid {
    uuid::Builder::from_random_bytes(digest(texts).to_be_bytes()).into_uuid()
}

/// Hashes texts with their lengths, so that different lists have different inputs.
fn digest(texts: &[&str]) -> u128 {
    let mut bytes = Vec::new();
    for text in texts {
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    xxh3_128(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_in_every_run() {
        let one = Identities::new("crm", &["file", "mapping"]);
        let two = Identities::new("crm", &["file", "mapping"]);
        assert_eq!(one.request(7), two.request(7));
        assert_ne!(one.request(7), one.request(8));
        let again = one.clone().of_attempt("2");
        assert_ne!(one.request(7), again.request(7));
        assert_eq!(one.run(), again.run());
    }

    #[test]
    fn another_mapping_or_source_gives_other_requests() {
        let one = Identities::new("crm", &["file", "mapping"]);
        for other in
            [Identities::new("crm", &["file", "changed"]), Identities::new("shop", &["file", "mapping"])]
        {
            assert_ne!(one.request(7), other.request(7));
            assert_ne!(one.run(), other.run());
        }
    }

    /// Regression: of a large file only the length and both ends counted, so an edit was "finished already".
    #[test]
    fn an_edit_in_the_middle_makes_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input");
        let of = |middle: &str| {
            let half = "x".repeat(2 * 1024 * 1024);
            std::fs::write(&path, format!("{half}{middle}{half}")).unwrap();
            fingerprint(&path).unwrap()
        };
        assert_eq!(of("given"), of("given"));
        assert_ne!(of("given"), of("never"));
    }
}
