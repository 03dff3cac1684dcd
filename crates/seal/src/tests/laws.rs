//! Laws of sealing, over arbitrary values: what was sealed opens; anything else is refused and never panics.

use super::support::{BUCKET, RootFile, context, customer, epoch, root_text, shard};
use crate::{
    BucketKey, ClusterId, CustomerKey, SEALED_OVERHEAD_BYTES, SealContext, SealError, ShardKey, SystemRandom,
    WrappedKey, WrappedKeys, sealed_epoch,
};
use custodia_profile::CustomerId;
use proptest::prelude::*;

/// A context that owns its suffix.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    cluster: [u8; 16],
    customer: CustomerId,
    kind: u8,
    suffix: Vec<u8>,
    revision: u64,
    guard: u64,
}

impl Place {
    fn context(&self) -> SealContext<'_> {
        SealContext {
            cluster: ClusterId::from_bytes(self.cluster),
            customer: self.customer,
            kind: self.kind,
            suffix: &self.suffix,
            revision: self.revision,
            guard: self.guard,
        }
    }
}

prop_compose! {
    fn place()(
        cluster: [u8; 16], number: u8, kind: u8, suffix in proptest::collection::vec(any::<u8>(), 0..=64),
        revision: u64, guard: u64,
    ) -> Place {
        Place { cluster, customer: customer(number), kind, suffix, revision, guard }
    }
}

/// The same place with one field changed.
fn moved(place: &Place, field: u8) -> Place {
    let mut moved = place.clone();
    match field {
        0 => moved.cluster[7] ^= 1,
        1 => {
            let mut bytes = *moved.customer.as_bytes();
            bytes[15] ^= 1;
            moved.customer = CustomerId::from_bytes(bytes).unwrap();
        }
        2 => moved.kind ^= 1,
        3 => moved.suffix = if moved.suffix.is_empty() { vec![0] } else { Vec::new() },
        4 => moved.revision ^= 1,
        5 => moved.guard ^= 1,
        6 => std::mem::swap(&mut moved.revision, &mut moved.guard),
        _ => match moved.suffix.last_mut() {
            Some(last) => *last ^= 1,
            None => moved.suffix.push(0),
        },
    }
    moved
}

fn key() -> CustomerKey {
    CustomerKey::generate(epoch(3), &SystemRandom).unwrap()
}

fn wrapped_set() -> Vec<u8> {
    let bucket_key = BucketKey::generate(epoch(2), &SystemRandom).unwrap();
    let place = shard().bucket(BUCKET).customer(customer(1));
    let wrapped = bucket_key.wrap_child(&key(), &place, &SystemRandom).unwrap();
    WrappedKeys::new(vec![wrapped]).unwrap().to_bytes().unwrap()
}

proptest! {
    #[test]
    fn what_was_sealed_opens(
        place in place(), plaintext in proptest::collection::vec(any::<u8>(), 0..2_000)
    ) {
        let key = key();
        let sealed = key.seal(&place.context(), &plaintext).unwrap();
        prop_assert_eq!(sealed.len(), plaintext.len() + SEALED_OVERHEAD_BYTES);
        prop_assert_eq!(sealed_epoch(&sealed).unwrap(), epoch(3));
        let opened = key.open(&place.context(), &sealed).unwrap();
        prop_assert_eq!(opened.as_slice(), plaintext.as_slice());
    }

    #[test]
    fn changed_context_is_refused(place in place(), field in 0_u8..8) {
        let key = key();
        let moved = moved(&place, field);
        prop_assume!(moved != place);
        let sealed = key.seal(&place.context(), b"plain").unwrap();
        let refused = matches!(key.open(&moved.context(), &sealed), Err(SealError::Unauthentic { .. }));
        prop_assert!(refused);
    }

    #[test]
    fn flipped_bit_is_refused(place in place(), plaintext: Vec<u8>, at: prop::sample::Index, bit in 0_u8..8) {
        let key = key();
        let mut sealed = key.seal(&place.context(), &plaintext).unwrap();
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert!(key.open(&place.context(), &sealed).is_err());
    }

    #[test]
    fn cut_or_lengthened_value_is_refused(plaintext: Vec<u8>, at: prop::sample::Index, more: u8) {
        let key = key();
        let mut sealed = key.seal(&context(b"s"), &plaintext).unwrap();
        prop_assert!(key.open(&context(b"s"), &sealed[..at.index(sealed.len())]).is_err());
        sealed.push(more);
        prop_assert!(key.open(&context(b"s"), &sealed).is_err());
    }

    #[test]
    fn garbage_is_an_error_in_every_format(garbage: Vec<u8>, version in 0_u8..3) {
        let mut versioned = vec![version];
        versioned.extend_from_slice(&garbage);
        for bytes in [garbage, versioned] {
            prop_assert!(key().open(&context(b""), &bytes).is_err());
            if let Ok(wrapped) = WrappedKey::parse(&bytes) {
                prop_assert_eq!(wrapped.as_bytes(), bytes.as_slice());
            }
            if let Ok(set) = WrappedKeys::parse(&bytes) {
                prop_assert_eq!(set.to_bytes().unwrap(), bytes);
            }
        }
    }

    #[test]
    fn altered_wrapped_key_is_refused(at: prop::sample::Index, bit in 0_u8..8) {
        let bucket_key = BucketKey::generate(epoch(2), &SystemRandom).unwrap();
        let place = shard().bucket(BUCKET).customer(customer(1));
        let wrapped = bucket_key.wrap_child(&key(), &place, &SystemRandom).unwrap();
        let mut bytes = wrapped.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let opened = WrappedKey::parse(&bytes).and_then(|key| bucket_key.unwrap_child(&key, &place));
        prop_assert!(opened.is_err());
    }

    #[test]
    fn altered_or_cut_shard_key_is_refused(at: prop::sample::Index, bit in 0_u8..8) {
        let root = RootFile::new(&root_text("a", &[("a", 1)])).open().unwrap();
        let shard_key = ShardKey::generate(epoch(1), &SystemRandom).unwrap();
        let mut bytes = shard_key.wrap(&root, &shard(), &SystemRandom).unwrap().as_bytes().to_vec();
        let at = at.index(bytes.len());
        let unwrap = |bytes: &[u8]| {
            WrappedKey::parse(bytes).and_then(|key| ShardKey::unwrap(&key, &root, &shard()))
        };
        prop_assert!(unwrap(&bytes[..at]).is_err());
        bytes[at] ^= 1 << bit;
        prop_assert!(unwrap(&bytes).is_err());
    }

    #[test]
    fn cut_or_lengthened_set_of_keys_is_refused(at: prop::sample::Index, more: u8) {
        let mut bytes = wrapped_set();
        prop_assert!(WrappedKeys::parse(&bytes[..at.index(bytes.len())]).is_err());
        bytes.push(more);
        prop_assert!(WrappedKeys::parse(&bytes).is_err());
    }
}
