//! Laws of sealing for arbitrary values: a sealed value opens; anything else is an error and never a panic.

use super::support::{BUCKET, RootFile, context, customer, epoch, root_text, shard};
use crate::{
    BlindingKey, BucketKey, ClusterId, CustomerKey, SEALED_OVERHEAD_BYTES, SealContext, SealError, ShardKey,
    SystemRandom, WrappedKey, WrappedKeys, sealed_epoch,
};
use custodia_profile::CustomerId;
use proptest::prelude::*;

/// A context that owns its suffix.
#[derive(Debug, Clone, PartialEq)]
struct OwnedContext {
    cluster: [u8; 16],
    customer: CustomerId,
    kind: u8,
    suffix: Vec<u8>,
    revision: u64,
    guard: u64,
}

impl OwnedContext {
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
    fn any_context()(
        cluster: [u8; 16], number: u8, kind: u8, suffix in proptest::collection::vec(any::<u8>(), 0..=64),
        revision: u64, guard: u64,
    ) -> OwnedContext {
        OwnedContext { cluster, customer: customer(number), kind, suffix, revision, guard }
    }
}

/// The same context with one field changed.
fn altered(context: &OwnedContext, field: u8) -> OwnedContext {
    let mut altered = context.clone();
    match field {
        0 => altered.cluster[7] ^= 1,
        1 => {
            let mut bytes = *altered.customer.as_bytes();
            bytes[15] ^= 1;
            altered.customer = CustomerId::from_bytes(bytes).unwrap();
        }
        2 => altered.kind ^= 1,
        3 => altered.suffix = if altered.suffix.is_empty() { vec![0] } else { Vec::new() },
        4 => altered.revision ^= 1,
        5 => altered.guard ^= 1,
        6 => std::mem::swap(&mut altered.revision, &mut altered.guard),
        _ => match altered.suffix.last_mut() {
            Some(last) => *last ^= 1,
            None => altered.suffix.push(0),
        },
    }
    altered
}

fn key() -> CustomerKey {
    CustomerKey::generate(epoch(3), &SystemRandom).unwrap()
}

fn wrapped_set() -> Vec<u8> {
    let bucket_key = BucketKey::generate(epoch(2), &SystemRandom).unwrap();
    let context = shard().bucket(BUCKET).customer(customer(1));
    let wrapped = bucket_key.wrap_child(&key(), &context, &SystemRandom).unwrap();
    WrappedKeys::new(vec![wrapped]).unwrap().to_bytes().unwrap()
}

/// An epoch (zero is none) or the id of a root key.
fn any_parent() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![(0_u32..3).prop_map(|epoch| epoch.to_be_bytes().to_vec()), "[a-z]{0,6}".prop_map(Vec::from)]
}

fn any_payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![proptest::collection::vec(any::<u8>(), 60), proptest::collection::vec(any::<u8>(), 0..100)]
}

proptest! {
    #[test]
    fn sealed_value_opens(
        owner in any_context(), plaintext in proptest::collection::vec(any::<u8>(), 0..2_000)
    ) {
        let key = key();
        let sealed = key.seal(&owner.context(), &plaintext).unwrap();
        prop_assert_eq!(sealed.len(), plaintext.len() + SEALED_OVERHEAD_BYTES);
        prop_assert_eq!(sealed_epoch(&sealed).unwrap(), epoch(3));
        let opened = key.open(&owner.context(), &sealed).unwrap();
        prop_assert_eq!(opened.as_slice(), plaintext.as_slice());
    }

    #[test]
    fn changed_context_is_refused(owner in any_context(), field in 0_u8..8) {
        let key = key();
        let altered = altered(&owner, field);
        prop_assume!(altered != owner);
        let sealed = key.seal(&owner.context(), b"plain").unwrap();
        let refused = matches!(key.open(&altered.context(), &sealed), Err(SealError::Unauthentic { .. }));
        prop_assert!(refused);
    }

    #[test]
    fn flipped_bit_is_refused(owner in any_context(), plaintext: Vec<u8>, at: prop::sample::Index, bit in 0_u8..8) {
        let key = key();
        let mut sealed = key.seal(&owner.context(), &plaintext).unwrap();
        let at = at.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert!(key.open(&owner.context(), &sealed).is_err());
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
    fn garbage_never_opens(garbage: Vec<u8>, version in 0_u8..3) {
        let mut versioned = vec![version];
        versioned.extend_from_slice(&garbage);
        for bytes in [garbage, versioned] {
            prop_assert!(key().open(&context(b""), &bytes).is_err());
        }
    }

    /// An oracle of the header says which bytes parse; the payload is random, so none of them opens.
    #[test]
    fn wrapped_key_parses_if_its_header_is_valid_and_never_opens(
        level in 0_u8..6, number in 0_u32..3, parent in any_parent(), payload in any_payload()
    ) {
        let bytes = [&[1, level], &number.to_be_bytes()[..], &[u8::try_from(parent.len()).unwrap()], &parent, &payload].concat();
        let valid = number > 0 && match level {
            1 | 4 => (1..=64).contains(&parent.len()) && parent.is_ascii() && !parent.contains(&0) && !payload.is_empty(),
            2 | 3 => parent.len() == 4 && parent != [0; 4] && payload.len() == 60,
            _ => false,
        };
        let parsed = WrappedKey::parse(&bytes);
        prop_assert_eq!(parsed.is_ok(), valid);
        if let Ok(wrapped) = parsed {
            prop_assert_eq!(wrapped.epoch(), epoch(number));
            prop_assert_eq!(wrapped.as_bytes(), bytes);
            let root = RootFile::new(&root_text("a", &[("a", 1)])).open().unwrap();
            let bucket = shard().bucket(BUCKET);
            prop_assert!(ShardKey::unwrap(&wrapped, &root, &shard()).is_err());
            prop_assert!(BlindingKey::unwrap(&wrapped, &root, shard().cluster).is_err());
            let shard_key = ShardKey::generate(epoch(1), &SystemRandom).unwrap();
            prop_assert!(shard_key.unwrap_child(&wrapped, &bucket).is_err());
            let bucket_key = BucketKey::generate(epoch(1), &SystemRandom).unwrap();
            prop_assert!(bucket_key.unwrap_child(&wrapped, &bucket.customer(customer(1))).is_err());
        }
    }

    #[test]
    fn set_of_keys_parses_if_its_epochs_decrease_and_then_encodes_to_the_same_bytes(
        epochs in proptest::collection::vec(1_u32..12, 0..10), more in 0_u8..2
    ) {
        let mut bytes = vec![1, u8::try_from(epochs.len()).unwrap() + more];
        for number in &epochs {
            let key = [&[1, 3][..], &number.to_be_bytes(), &[4, 0, 0, 0, 1], &[7; 60]].concat();
            bytes.extend_from_slice(&u16::try_from(key.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(&key);
        }
        let valid = more == 0 && epochs.len() <= 8 && epochs.is_sorted_by(|newer, older| newer > older);
        let parsed = WrappedKeys::parse(&bytes);
        prop_assert_eq!(parsed.is_ok(), valid);
        if let Ok(set) = parsed {
            prop_assert_eq!(set.to_bytes().unwrap(), bytes);
        }
    }

    #[test]
    fn altered_wrapped_key_is_refused(at: prop::sample::Index, bit in 0_u8..8) {
        let bucket_key = BucketKey::generate(epoch(2), &SystemRandom).unwrap();
        let context = shard().bucket(BUCKET).customer(customer(1));
        let wrapped = bucket_key.wrap_child(&key(), &context, &SystemRandom).unwrap();
        let mut bytes = wrapped.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let opened = WrappedKey::parse(&bytes).and_then(|key| bucket_key.unwrap_child(&key, &context));
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
