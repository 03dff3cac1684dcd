//! The key that blinds identifiers.

use super::support::{CountingRandom, RootFile, epoch, root_text, shard};
use crate::{BlindingKey, ClusterId, SealError, ShardKey, WrappedKey};

fn key(number: u32, random: &CountingRandom) -> BlindingKey {
    BlindingKey::generate(epoch(number), random).expect("a key")
}

/// ID-2: equal values of a namespace are equal blinded, under one key and in one namespace alone.
#[test]
fn only_the_same_value_of_the_same_namespace_under_the_same_key_blinds_alike() {
    let random = CountingRandom::default();
    let (one, other) = (key(1, &random), key(2, &random));
    let blinded = one.blind("email", "a@example.org");
    assert_eq!(blinded, one.blind("email", "a@example.org"));
    for different in [
        one.blind("email", "b@example.org"),
        one.blind("login", "a@example.org"),
        one.blind("emai", "la@example.org"),
        other.blind("email", "a@example.org"),
    ] {
        assert_ne!(blinded, different);
    }
}

/// ID-4: blocking keys are blinded apart from identifiers, kinds apart from each other.
#[test]
fn only_the_same_blocking_key_of_the_same_kind_blinds_alike() {
    let random = CountingRandom::default();
    let (one, other) = (key(1, &random), key(2, &random));
    let blinded = one.blind_block(1, b"ada");
    assert_eq!(blinded, one.blind_block(1, b"ada"));
    for different in [
        one.blind_block(2, b"ada"),
        one.blind_block(1, b"adb"),
        other.blind_block(1, b"ada"),
        u64::from_be_bytes(*one.blind("\u{1}\u{1}ada", "").to_bytes().first_chunk().expect("32 bytes")),
    ] {
        assert_ne!(blinded, different);
    }
    let refinement = one.blind_refinement(0, 7);
    assert_eq!(refinement, one.blind_refinement(0, 7));
    assert!(refinement != one.blind_refinement(1, 7) && refinement != other.blind_refinement(0, 7));
}

#[test]
fn a_wrapped_key_blinds_as_before_and_opens_in_its_cluster_alone() {
    let random = CountingRandom::default();
    let root = RootFile::new(&root_text("2026-11", &[("2026-11", 0xa5)])).open().expect("a root key");
    let key = key(3, &random);
    let wrapped = key.wrap(&root, shard().cluster, &random).expect("wrapped");
    let wrapped = WrappedKey::parse(wrapped.as_bytes()).expect("parses");
    let again = BlindingKey::unwrap(&wrapped, &root, shard().cluster).expect("opens");
    assert_eq!(again.epoch(), epoch(3));
    assert_eq!(again.blind("email", "a@example.org"), key.blind("email", "a@example.org"));
    let elsewhere = ClusterId::from_bytes([0x77; 16]);
    assert!(matches!(BlindingKey::unwrap(&wrapped, &root, elsewhere), Err(SealError::Unauthentic { .. })));
    assert!(ShardKey::unwrap(&wrapped, &root, &shard()).is_err(), "the levels differ");
}

#[test]
fn debug_shows_the_epoch_alone() {
    let key = key(3, &CountingRandom::default());
    assert_eq!(format!("{key:?}"), "BlindingKey { epoch: KeyEpoch(3), .. }");
}
