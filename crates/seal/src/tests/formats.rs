//! Every byte format of version 1, pinned. A later program must read these bytes or name their version.

use super::support::{BUCKET, CountingRandom, RootFile, context, customer, epoch, root_text, shard, unhex};
use crate::{BucketKey, CustomerKey, Parent, SealError, ShardKey, WrappedKey, WrappedKeys, sealed_epoch};
use data_encoding::HEXLOWER;

const SHARD_KEY: &str = "\
    01010000000107323032362d313187df6a03131acea1a5a6a7a8a9aaabacadaeafb01b33e6df8d1011e41b63ecec1e8e \
    12668077dc4a5380ed0faf9ff8b7f5e1aad0ebc5215d701d26eb497971c992d926f6";
const BUCKET_KEYS: &str = "\
    0102004701020000000204000000018182838485868788898a8b8c27a4ab0116b181e33ba165018a9578eb09415814d7 \
    fd089cf2984959b243ff4e3300020225391e00f392ba155078c854004701020000000104000000018d8e8f9091929394 \
    959697986c1e641def6a1cf3b1361a847591e574840615bc03ddc42cc8e08e8bf15f5f89cf6f774077fc19c9744f658d \
    fbbd3495";
const CUSTOMER_KEYS: &str = "\
    010100470103010203040400000002999a9b9c9d9e9fa0a1a2a3a4501c74ff9f6ebeb85c1c0c9213dab383d245535094 \
    3a76cdaee3eb70bee660cf886d138eb4630c847fa4c8c2db3de722";
const SEALED_VALUE: &str = "\
    0101020304b1b2b3b4b5b6b7b8b9babbbc6241470daaba401fdc73198013d8bb83b04c77d211ea7aeb99162acaad8dd7 \
    ca0607687f17a1";
const PLAINTEXT: &[u8] = b"plaintext of version 1";

/// The whole tree with predictable randomness: the fixtures, made again.
fn written() -> [Vec<u8>; 4] {
    let random = CountingRandom::default();
    let root = RootFile::new(&root_text("2026-11", &[("2026-11", 0xa5)])).open().unwrap();
    let shard_key = ShardKey::generate(epoch(1), &random).unwrap();
    let older = BucketKey::generate(epoch(1), &random).unwrap();
    let newer = BucketKey::generate(epoch(2), &random).unwrap();
    let customer_key = CustomerKey::generate(epoch(0x0102_0304), &random).unwrap();
    let bucket = shard().bucket(BUCKET);
    let bucket_keys = WrappedKeys::new(vec![
        shard_key.wrap_child(&newer, &bucket, &random).unwrap(),
        shard_key.wrap_child(&older, &bucket, &random).unwrap(),
    ]);
    let customer_keys = WrappedKeys::new(vec![
        newer.wrap_child(&customer_key, &bucket.customer(customer(1)), &random).unwrap(),
    ]);
    [
        shard_key.wrap(&root, &shard(), &random).unwrap().as_bytes().to_vec(),
        bucket_keys.unwrap().to_bytes().unwrap(),
        customer_keys.unwrap().to_bytes().unwrap(),
        customer_key.seal_with(&random, &context(b"suffix"), PLAINTEXT).unwrap(),
    ]
}

#[test]
fn fixtures_of_version_1_open_from_the_root_down_to_the_value() {
    let root = RootFile::new(&root_text("2026-11", &[("2026-11", 0xa5)])).open().unwrap();
    let wrapped = WrappedKey::parse(&unhex(SHARD_KEY)).unwrap();
    assert_eq!(wrapped.parent(), &Parent::Root("2026-11".parse().unwrap()));
    let shard_key = ShardKey::unwrap(&wrapped, &root, &shard()).unwrap();

    let bucket_keys = WrappedKeys::parse(&unhex(BUCKET_KEYS)).unwrap();
    assert_eq!(bucket_keys.keys().len(), 2);
    assert_eq!(bucket_keys.current().unwrap().parent_epoch(), Some(epoch(1)));
    let bucket = shard().bucket(BUCKET);
    shard_key.unwrap_child(bucket_keys.of_epoch(epoch(1)).unwrap(), &bucket).unwrap();
    let bucket_key = shard_key.unwrap_child(bucket_keys.current().unwrap(), &bucket).unwrap();

    let customer_keys = WrappedKeys::parse(&unhex(CUSTOMER_KEYS)).unwrap();
    let wrapped = customer_keys.current().unwrap();
    let customer_key = bucket_key.unwrap_child(wrapped, &bucket.customer(customer(1))).unwrap();

    let sealed = unhex(SEALED_VALUE);
    assert_eq!(sealed_epoch(&sealed).unwrap(), epoch(0x0102_0304));
    assert_eq!(customer_key.open(&context(b"suffix"), &sealed).unwrap().as_slice(), PLAINTEXT);
}

#[test]
fn version_1_is_written_as_it_was() {
    let fixtures = [SHARD_KEY, BUCKET_KEYS, CUSTOMER_KEYS, SEALED_VALUE];
    for (written, fixture) in written().iter().zip(fixtures) {
        assert_eq!(HEXLOWER.encode(written), HEXLOWER.encode(&unhex(fixture)));
    }
}

#[test]
fn destroyed_set_of_keys_is_two_bytes() {
    assert_eq!(WrappedKeys::destroyed().to_bytes().unwrap(), [1, 0]);
    assert!(WrappedKeys::parse(&[1, 0]).unwrap().keys().is_empty());
}

#[test]
fn unknown_versions_are_named() {
    let versioned = |fixture: &str| {
        let mut bytes = unhex(fixture);
        bytes[0] = 9;
        bytes
    };
    let errors = [
        WrappedKey::parse(&versioned(SHARD_KEY)).unwrap_err(),
        WrappedKeys::parse(&versioned(BUCKET_KEYS)).unwrap_err(),
        sealed_epoch(&versioned(SEALED_VALUE)).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, SealError::UnknownVersion { version: 9, .. }), "{error}");
    }
}

#[test]
fn epoch_zero_does_not_exist_on_disk() {
    let mut sealed = unhex(SEALED_VALUE);
    sealed[1..5].fill(0);
    assert!(matches!(sealed_epoch(&sealed), Err(SealError::Malformed { .. })));
    let mut wrapped = unhex(SHARD_KEY);
    wrapped[2..6].fill(0);
    assert!(matches!(WrappedKey::parse(&wrapped), Err(SealError::Malformed { .. })));
}
