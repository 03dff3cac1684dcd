//! Ids that are the same in a repeated import: of the file, of each request, of each customer.
//!
//! A request id is derived from everything that determines the request's content, and from the attempt: a resumed run sends
//! the same requests, with another mapping they are different ones, and so they are if the import begins anew. A customer id is derived from source and key alone, so that
//! a later import reaches the same customer even without the state folder.

use std::fs::File;
use std::path::Path;

use custodia_profile::{CustomerId, PoolId, RequestId};
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
    source: String,
    run: u128,
    attempt: String,
}

impl Identities {
    /// `content` is whatever determines the requests: file, mapping, options.
    pub(crate) fn new(source: &str, content: &[&str]) -> Self {
        let run = digest(&[&[source], content].concat());
        Self { source: source.to_owned(), run, attempt: String::new() }
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
        uuid_of(digest(&["request", &self.run(), &self.attempt, &first_row.to_string()])).to_string()
    }

    /// The customer of a key of this source.
    pub(crate) fn customer(&self, key: &str) -> CustomerId {
        let id = uuid_of(digest(&["customer", &self.source, key]));
        // A version-4 UUID is never nil, so this always is a request id.
        let request = RequestId::new(id).ok();
        request.map_or_else(
            || CustomerId::from_parts(0, [0; 10], PoolId::DEFAULT),
            |request| CustomerId::derive(&format!("import/{}", self.source), request, PoolId::DEFAULT),
        )
    }
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

fn uuid_of(digest: u128) -> Uuid {
    uuid::Builder::from_random_bytes(digest.to_be_bytes()).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_in_every_run() {
        let one = Identities::new("crm", &["file", "mapping"]);
        let two = Identities::new("crm", &["file", "mapping"]);
        assert_eq!(one.request(7), two.request(7));
        assert_eq!(one.customer("k"), two.customer("k"));
        assert_ne!(one.request(7), one.request(8));
        assert_ne!(one.customer("k"), one.customer("l"));
        let again = one.clone().of_attempt("2");
        assert_ne!(one.request(7), again.request(7));
        assert_eq!((one.run(), one.customer("k")), (again.run(), again.customer("k")));
    }

    #[test]
    fn another_mapping_gives_other_requests_of_the_same_customers() {
        let one = Identities::new("crm", &["file", "mapping"]);
        let other = Identities::new("crm", &["file", "mapping changed"]);
        assert_ne!(one.request(7), other.request(7));
        assert_eq!(one.customer("k"), other.customer("k"));
        let other_source = Identities::new("shop", &["file", "mapping"]);
        assert_ne!(one.customer("k"), other_source.customer("k"));
        assert_ne!(one.run(), other_source.run());
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

    #[test]
    fn the_customer_of_a_key_is_pinned() {
        // A change here would split every customer whose import is repeated.
        let id = Identities::new("febrl", &[]).customer("rec-1-org").to_string();
        assert_eq!(id, PINNED);
    }

    const PINNED: &str = "cust_1ng1sa6gdhek981ye86gh4fprn";
}
