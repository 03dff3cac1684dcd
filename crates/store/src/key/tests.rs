//! The bytes of every key, pinned, and the laws of their order.

use custodia_profile::PoolId;
use proptest::prelude::*;

use super::*;

fn group(number: u16) -> GroupId {
    GroupId::Shard(ShardId::new(number).unwrap())
}

fn customer(ms: u64, random: [u8; 10]) -> CustomerId {
    CustomerId::from_parts(ms, random, PoolId::DEFAULT)
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn layout_is_pinned() {
    let id = customer(0x0190_0000_0000, [0xaa; 10]);
    let raw = hex(id.as_bytes());
    let place = EventPlace::new(TimestampMs::from_ms(1_000), "event");
    let hash = hex(xxh3_128(b"event").to_be_bytes());
    let epoch = KeyEpoch::new(3).unwrap();
    assert_eq!(hex(Key::replica(group(5), ReplicaEntry::Install)), "00050002");
    assert_eq!(hex(Key::core(group(5), &id)), format!("000501{raw}"));
    assert_eq!(hex(Key::requests(group(5), &id)), format!("000502{raw}"));
    assert_eq!(hex(Key::event(group(5), &id, &place)), format!("000503{raw}7ffffffffffffc17{hash}"));
    assert_eq!(hex(Key::ledger(group(5), &id, 9)), format!("000504{raw}0000000000000009"));
    assert_eq!(hex(Key::event_id(group(5), &id, "event")), format!("000505{raw}{hash}"));
    assert_eq!(hex(Key::shard_key(group(5), epoch)), "00051000000003");
    assert_eq!(hex(Key::bucket_key(group(5), 258)), "00051100000102");
    assert_eq!(hex(Key::customer_key(group(5), 258, &id)), format!("00051200000102{raw}"));
    assert_eq!(hex(Key::node(NodeId::new(2).unwrap())), "ffff2000000002");
    assert_eq!(hex(Key::shard(ShardId::new(7).unwrap())), "ffff210007");
    assert_eq!(hex(Key::purpose(&"care".parse().unwrap())), "ffff2263617265");
    assert_eq!(hex(Key::attribute(&"email".parse().unwrap())), "ffff23656d61696c");
    assert_eq!(hex(Key::meta("a")), "ffff2461");
    assert_eq!(hex(Key::jurisdiction(&"eu".parse().unwrap())), "ffff256575");
    assert_eq!(hex(Key::recipient(&"Desk.1".parse().unwrap())), "ffff264465736b2e31");
    assert_eq!(hex(Key::catalogue_change(258)), "ffff270000000000000102");
    assert_eq!(hex(Key::attribute_usage(AttributeNumber::new(259).unwrap())), "ffff2800000103");
}

#[test]
fn debug_shows_no_customer() {
    let key = Key::core(group(5), &customer(77, [1; 10]));
    assert!(!format!("{key:?}").contains("01, 01"));
    assert!(format!("{key:?}").contains("Core"));
}

#[test]
fn unknown_kind_and_short_key_are_refused() {
    assert!(KeyParts::parse(&[0, 5, 99]).is_err());
    assert!(KeyParts::parse(&[0, 5]).is_err());
    assert!(KeyParts::parse(&[0, 5, 1, 1, 2, 3]).is_err());
}

proptest! {
    #[test]
    fn keys_come_apart_as_they_were_built(
        shard in 0..4096_u16, ms in 0..1_u64 << 48, random: [u8; 10], at: i64, id in ".{1,40}", sequence: u64, bucket: u32
    ) {
        let customer = customer(ms, random);
        let place = EventPlace::new(TimestampMs::from_ms(at), &id);
        let expected = [
            (Key::core(group(shard), &customer), KeyKind::Core, Vec::new()),
            (Key::event(group(shard), &customer, &place), KeyKind::Event, place.as_bytes().to_vec()),
            (Key::ledger(group(shard), &customer, sequence), KeyKind::Ledger, sequence.to_be_bytes().to_vec()),
            (Key::customer_key(group(shard), bucket, &customer), KeyKind::CustomerKey, bucket.to_be_bytes().to_vec()),
        ];
        for (key, kind, suffix) in expected {
            let parts = KeyParts::parse(key.as_ref()).unwrap();
            prop_assert_eq!(parts.group, group(shard));
            prop_assert_eq!(parts.kind, kind);
            prop_assert_eq!(parts.customer, Some(customer));
            prop_assert_eq!(parts.suffix, &suffix[..]);
            prop_assert!(key.as_ref().starts_with(KeyPrefix::kind(group(shard), kind).as_bytes()));
            prop_assert_eq!(&Key::parse(key.as_bytes().clone()).unwrap(), &key);
        }
    }

    #[test]
    fn a_later_change_of_the_catalogue_comes_behind(earlier: u64, later: u64) {
        prop_assume!(earlier < later);
        prop_assert!(Key::catalogue_change(earlier) < Key::catalogue_change(later));
        let parts_of = |key: &Key| KeyParts::parse(key.as_ref()).unwrap().suffix.to_vec();
        prop_assert_eq!(parts_of(&Key::catalogue_change(later)), later.to_be_bytes().to_vec());
    }

    #[test]
    fn newer_event_comes_first(older: i64, newer: i64, id in ".{1,10}", other in ".{1,10}") {
        prop_assume!(older < newer);
        let place = |at, id: &str| EventPlace::new(TimestampMs::from_ms(at), id);
        prop_assert!(place(newer, &id) < place(older, &other));
    }

    #[test]
    fn garbage_never_panics(garbage: Vec<u8>) {
        let _outcome = KeyParts::parse(&garbage).is_ok();
    }
}
