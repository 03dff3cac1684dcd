//! Tells whether two requests with the same request id are the same request.
//!
//! ```text
//! xxh3-128 of: method ‖ 0 ‖ request without its events' properties ‖ per event: each property by name
//! ```
//!
//! Must always hold: the fingerprint depends on the request's meaning alone. Protobuf maps have no order, so the
//! properties of events are taken out and hashed by name. It stands in sealed request memories only, and it guards
//! against mistakes of an honest caller, so a fast hash is enough.

use custodia_proto::v1;
use prost::Message;
use xxhash_rust::xxh3::Xxh3Default;

/// The fingerprint of a request.
pub(super) type Fingerprint = [u8; 16];

/// A request that is remembered.
pub(super) trait Fingerprinted: Message {
    /// Its events, if it has any.
    fn events_mut(&mut self) -> &mut [v1::Event] {
        &mut []
    }
}

impl Fingerprinted for v1::IngestProfileRequest {
    fn events_mut(&mut self) -> &mut [v1::Event] {
        &mut self.events
    }
}

impl Fingerprinted for v1::AppendEventsRequest {
    fn events_mut(&mut self) -> &mut [v1::Event] {
        &mut self.events
    }
}

impl Fingerprinted for v1::RecordConsentRequest {}
impl Fingerprinted for v1::WithdrawConsentRequest {}
impl Fingerprinted for v1::UpdateDataSubjectRequest {}
impl Fingerprinted for v1::RecordPrivacySignalRequest {}
impl Fingerprinted for v1::RecordTcStringRequest {}
impl Fingerprinted for v1::UpdatePreferencesRequest {}
impl Fingerprinted for v1::RecordContactRequest {}

/// The fingerprint of a request to `method`. The request is as before afterwards.
pub(super) fn fingerprint<R: Fingerprinted>(method: &str, request: &mut R) -> Fingerprint {
    let mut hash = Xxh3Default::new();
    hash.update(method.as_bytes());
    hash.update(&[0]);
    let properties: Vec<_> =
        request.events_mut().iter_mut().map(|event| std::mem::take(&mut event.properties)).collect();
    hash.update(&request.encode_to_vec());
    for (event, properties) in request.events_mut().iter_mut().zip(properties) {
        let mut names: Vec<&String> = properties.keys().collect();
        names.sort_unstable();
        hash.update(&names.len().to_le_bytes());
        for name in names {
            let value = properties.get(name).map(Message::encode_to_vec).unwrap_or_default();
            hash.update(&name.len().to_le_bytes());
            hash.update(name.as_bytes());
            hash.update(&value.len().to_le_bytes());
            hash.update(&value);
        }
        event.properties = properties;
    }
    hash.digest128().to_be_bytes()
}

#[cfg(test)]
mod tests {
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
        let forward = fingerprint("/m", &mut request(0..40));
        for _ in 0..8 {
            assert_eq!(fingerprint("/m", &mut request((0..40).rev())), forward);
        }
    }

    #[test]
    fn another_method_property_or_field_is_another_request() {
        let first = fingerprint("/m", &mut request(0..3));
        assert_ne!(fingerprint("/n", &mut request(0..3)), first);
        assert_ne!(fingerprint("/m", &mut request(0..2)), first);
        let mut changed = request(0..3);
        "web".clone_into(&mut changed.source);
        assert_ne!(fingerprint("/m", &mut changed), first);
    }

    #[test]
    fn the_request_is_as_before() {
        let mut taken = request(0..5);
        fingerprint("/m", &mut taken);
        assert_eq!(taken, request(0..5));
    }
}
