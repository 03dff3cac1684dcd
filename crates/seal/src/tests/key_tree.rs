//! The key tree from the root to a value: what opens, what is refused, what is never printed.

use std::sync::Arc;

use super::support::{BUCKET, RootFile, context, customer, epoch, root_text, shard};
use crate::{
    BucketId, BucketKey, ClusterId, CustomerKey, KeyLevel, Keyring, SealError, ShardKey, ShardKeyContext,
    SystemRandom, WrappedKey, WrappedKeys,
};
use custodia_profile::ShardId;

/// One branch of the tree as it is stored.
struct Branch {
    file: RootFile,
    shard: WrappedKey,
    bucket: WrappedKey,
    customer: WrappedKey,
    sealed: Vec<u8>,
}

fn branch() -> Branch {
    let file = RootFile::new(&root_text("a", &[("a", 1)]));
    let random = &SystemRandom;
    let shard_key = ShardKey::generate(epoch(4), random).unwrap();
    let bucket_key = BucketKey::generate(epoch(2), random).unwrap();
    let customer_key = CustomerKey::generate(epoch(9), random).unwrap();
    let bucket = shard().bucket(BUCKET);
    Branch {
        shard: shard_key.wrap(&file.open().unwrap(), &shard(), random).unwrap(),
        bucket: shard_key.wrap_child(&bucket_key, &bucket, random).unwrap(),
        customer: bucket_key.wrap_child(&customer_key, &bucket.customer(customer(1)), random).unwrap(),
        sealed: customer_key.seal(&context(b"suffix"), b"Ana Ivanova").unwrap(),
        file,
    }
}

fn shard_key(branch: &Branch) -> ShardKey {
    ShardKey::unwrap(&branch.shard, &branch.file.open().unwrap(), &shard()).unwrap()
}

fn keyring(branch: &Branch) -> Keyring {
    let mut ring = Keyring::new(shard());
    ring.keep_shard_key(shard_key(branch));
    ring.add_bucket_key(BUCKET, &branch.bucket).unwrap();
    ring
}

#[test]
fn value_opens_through_the_whole_tree() {
    let branch = branch();
    let key = keyring(&branch).unwrap_customer_key(BUCKET, customer(1), &branch.customer).unwrap();
    assert_eq!(key.epoch(), epoch(9));
    assert_eq!(key.open(&context(b"suffix"), &branch.sealed).unwrap().as_slice(), b"Ana Ivanova");
}

#[test]
fn wrapped_key_moved_to_another_context_is_refused() {
    let branch = branch();
    let root = branch.file.open().unwrap();
    let ring = keyring(&branch);
    let error = ring.unwrap_customer_key(BUCKET, customer(2), &branch.customer).unwrap_err();
    assert!(matches!(error, SealError::Unauthentic { .. }), "{error}");

    let mut ring = keyring(&branch);
    let error = ring.add_bucket_key(BucketId::new(4), &branch.bucket).unwrap_err();
    assert!(matches!(error, SealError::Unauthentic { .. }), "{error}");

    let others = [
        ShardKeyContext { shard: ShardId::new(8).unwrap(), ..shard() },
        ShardKeyContext { cluster: ClusterId::from_bytes([0xc2; 16]), ..shard() },
    ];
    for other in others {
        let error = ShardKey::unwrap(&branch.shard, &root, &other).unwrap_err();
        assert!(matches!(error, SealError::Unauthentic { .. }), "{error}");
    }
}

#[test]
fn key_of_another_level_is_refused() {
    let branch = branch();
    let mut ring = keyring(&branch);
    let error = ring.add_bucket_key(BUCKET, &branch.customer).unwrap_err();
    assert!(
        matches!(error, SealError::WrongLevel { expected: KeyLevel::Bucket, found: KeyLevel::Customer }),
        "{error}"
    );
    let error = ring.unwrap_customer_key(BUCKET, customer(1), &branch.bucket).unwrap_err();
    assert!(matches!(error, SealError::WrongLevel { .. }), "{error}");
    let error = ShardKey::unwrap(&branch.bucket, &branch.file.open().unwrap(), &shard()).unwrap_err();
    assert!(matches!(error, SealError::WrongLevel { .. }), "{error}");
}

#[test]
fn error_names_the_epoch_of_the_parent() {
    let branch = branch();
    let newer = BucketKey::generate(epoch(3), &SystemRandom).unwrap();
    let context = shard().bucket(BUCKET).customer(customer(1));
    let error = newer.unwrap_child(&branch.customer, &context).unwrap_err();
    assert!(
        matches!(error, SealError::WrongEpoch { expected, found }
            if expected == epoch(3) && found == epoch(2)),
        "{error}"
    );
    let other_key = BucketKey::generate(epoch(2), &SystemRandom).unwrap();
    let error = other_key.unwrap_child(&branch.customer, &context).unwrap_err();
    assert!(matches!(error, SealError::Unauthentic { .. }), "{error}");
}

#[test]
fn error_names_the_key_that_the_ring_lacks() {
    let branch = branch();
    let mut ring = Keyring::new(shard());
    let error = ring.add_bucket_key(BUCKET, &branch.bucket).unwrap_err();
    assert!(matches!(error, SealError::ShardKeyMissing { epoch: e } if e == epoch(4)), "{error}");
    ring.keep_shard_key(shard_key(&branch));
    let error = ring.unwrap_customer_key(BUCKET, customer(1), &branch.customer).unwrap_err();
    assert!(
        matches!(error, SealError::BucketKeyMissing { bucket: BUCKET, epoch: e } if e == epoch(2)),
        "{error}"
    );
}

#[test]
fn ring_forgets_removed_epochs() {
    let branch = branch();
    let mut ring = keyring(&branch);
    ring.forget_bucket_keys_before(BUCKET, epoch(2));
    assert!(ring.bucket_key(BUCKET, epoch(2)).is_some());
    ring.forget_bucket_keys_before(BUCKET, epoch(3));
    assert!(ring.bucket_key(BUCKET, epoch(2)).is_none());
    ring.forget_shard_keys_before(epoch(4));
    assert!(ring.shard_key(epoch(4)).is_some());
    ring.clear();
    assert!(ring.shard_key(epoch(4)).is_none());
}

#[test]
fn error_names_the_epoch_that_sealed_the_value() {
    let old = CustomerKey::generate(epoch(1), &SystemRandom).unwrap();
    let new = CustomerKey::generate(epoch(2), &SystemRandom).unwrap();
    let sealed = old.seal(&context(b""), b"x").unwrap();
    assert_eq!(crate::sealed_epoch(&sealed).unwrap(), epoch(1));
    let error = new.open(&context(b""), &sealed).unwrap_err();
    assert!(matches!(error, SealError::WrongEpoch { found, .. } if found == epoch(1)), "{error}");
}

#[test]
fn sealing_twice_never_gives_the_same_bytes() {
    let key = CustomerKey::generate(epoch(1), &SystemRandom).unwrap();
    assert_ne!(key.seal(&context(b""), b"x").unwrap(), key.seal(&context(b""), b"x").unwrap());
}

#[test]
fn suffix_over_the_limit_is_refused() {
    let key = CustomerKey::generate(epoch(1), &SystemRandom).unwrap();
    key.seal(&context(&[0; 64]), b"x").unwrap();
    let error = key.seal(&context(&[0; 65]), b"x").unwrap_err();
    assert!(matches!(error, SealError::SuffixTooLong { bytes: 65, max: 64 }), "{error}");
}

#[test]
fn set_of_keys_is_newest_first_and_of_one_level() {
    let branch = branch();
    let bucket_key = BucketKey::generate(epoch(2), &SystemRandom).unwrap();
    let context = shard().bucket(BUCKET).customer(customer(1));
    let wrap = |number| {
        let key = CustomerKey::generate(epoch(number), &SystemRandom).unwrap();
        bucket_key.wrap_child(&key, &context, &SystemRandom).unwrap()
    };
    let set = WrappedKeys::new(vec![wrap(1)]).unwrap().with_newer(wrap(2)).unwrap();
    assert_eq!(set.current().unwrap().epoch(), epoch(2));
    assert_eq!(set.of_epoch(epoch(1)).unwrap().epoch(), epoch(1));
    assert!(set.of_epoch(epoch(3)).is_none());
    assert_eq!(set.current_only().keys().len(), 1);
    assert!(matches!(set.with_newer(wrap(2)), Err(SealError::KeySet { .. })));
    assert!(matches!(WrappedKeys::new(vec![branch.bucket, wrap(1)]), Err(SealError::KeySet { .. })));
    let nine = (1..=9).rev().map(wrap).collect();
    assert!(matches!(WrappedKeys::new(nine), Err(SealError::KeySet { max: 8 })));
    assert!(WrappedKeys::destroyed().current().is_none());
}

#[test]
fn debug_output_shows_epochs_and_no_key_bytes() {
    let branch = branch();
    let mut ring = keyring(&branch);
    let shard_key = Arc::clone(ring.shard_key(epoch(4)).unwrap());
    let bucket_key = ring.add_bucket_key(BUCKET, &branch.bucket).unwrap();
    let customer_key = ring.unwrap_customer_key(BUCKET, customer(1), &branch.customer).unwrap();
    assert_eq!(format!("{shard_key:?}"), "ShardKey { epoch: KeyEpoch(4), .. }");
    assert_eq!(format!("{bucket_key:?}"), "BucketKey { epoch: KeyEpoch(2), .. }");
    assert_eq!(format!("{customer_key:?}"), "CustomerKey { epoch: KeyEpoch(9), .. }");
    assert!(format!("{ring:?}").ends_with("shard_keys: 1, bucket_keys: 1 }"));
    assert!(format!("{:?}", branch.shard).ends_with("parent: Root(RootKeyId(\"a\")), .. }"));
}

#[test]
fn keys_are_shared_between_threads_by_reference() {
    fn shared<T: Send + Sync>() {}
    shared::<ShardKey>();
    shared::<BucketKey>();
    shared::<CustomerKey>();
    shared::<Keyring>();
}
