//! The fingerprint of a request: tells whether two requests with the same request id are the same.
//!
//! ```text
//! xxh3-128 of: method ‖ 0 ‖ request
//! ```
//!
//! Invariant: equal requests have equal bytes, because the generated messages keep maps sorted. Fingerprints are
//! stored only in sealed request memories and guard against mistakes of honest callers, so a fast hash is enough.

use custodia_profile::RequestId;
use custodia_proto::rpc::Unary;
use uuid::Uuid;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

use crate::wire::ServiceError;

/// A request's fingerprint.
pub(crate) type Fingerprint = [u8; 16];

/// Computes a request's fingerprint.
pub(crate) fn fingerprint<R: Unary>(request: &R) -> Fingerprint {
    let mut hash = Xxh3Default::new();
    hash.update(R::METHOD.path.as_bytes());
    hash.update(&[0]);
    hash.update(&request.encode_to_vec());
    hash.digest128().to_be_bytes()
}

/// The id of a request together with its content.
///
/// # Errors
/// Never in practice: `Malformed` if the hash is zero.
pub(crate) fn with_content(id: RequestId, content: Fingerprint) -> Result<RequestId, ServiceError> {
    let both = [&id.as_bytes()[..], &content].concat();
    Ok(RequestId::new(Uuid::from_u128(xxh3_128(&both)))?)
}

#[cfg(test)]
mod tests {
    use custodia_proto::v1;

    use super::*;

    fn request(names: impl IntoIterator<Item = u32>) -> v1::AppendEventsRequest {
        let value = |number: u32| v1::Value { kind: Some(v1::value::Kind::Integer(number.into())) };
        let properties = names.into_iter().map(|number| (format!("p{number}"), value(number))).collect();
        v1::AppendEventsRequest {
            events: vec![v1::Event { properties, ..Default::default() }],
            ..Default::default()
        }
    }

    #[test]
    fn the_order_of_a_map_does_not_matter() {
        let forward = fingerprint(&request(0..40));
        for _ in 0..8 {
            assert_eq!(fingerprint(&request((0..40).rev())), forward);
        }
    }

    #[test]
    fn another_method_property_or_field_is_another_request() {
        let first = fingerprint(&request(0..3));
        let ingest = v1::IngestProfileRequest { events: request(0..3).events, ..Default::default() };
        assert_ne!(fingerprint(&ingest), first);
        assert_ne!(fingerprint(&request(0..2)), first);
        let mut changed = request(0..3);
        "web".clone_into(&mut changed.source);
        assert_ne!(fingerprint(&changed), first);
    }
}
