//! The bytes of every key, pinned, and the order of keys.

use custodia_profile::PoolId;
use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;

fn group(number: u16) -> GroupId {
    GroupId::Shard(ShardId::new(number).unwrap())
}

fn customer(ms: u64, random: [u8; 10]) -> CustomerId {
    CustomerId::from_parts(ms, random, PoolId::DEFAULT)
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

#[test]
fn layout_is_pinned() {
    let id = customer(0x0190_0000_0000, [0xaa; 10]);
    let raw = hex(id.as_bytes());
    let sort_key = EventSortKey::new(TimestampMs::from_ms(1_000), "event");
    let hash = hex(xxh3_128(b"event").to_be_bytes());
    let epoch = KeyEpoch::new(3).unwrap();
    assert_eq!(hex(Key::replica(group(5), ReplicaEntry::Install)), "00050001");
    assert_eq!(hex(Key::core(group(5), &id)), format!("000501{raw}"));
    assert_eq!(hex(Key::requests(group(5), &id)), format!("000502{raw}"));
    assert_eq!(hex(Key::event(group(5), &id, &sort_key)), format!("000503{raw}7ffffffffffffc17{hash}"));
    assert_eq!(hex(Key::ledger(group(5), &id, 9)), format!("000504{raw}0000000000000009"));
    assert_eq!(hex(Key::event_id(group(5), &id, "event")), format!("000505{raw}{hash}"));
    let blinded =
        BlindedIdentifier::from_bytes([*id.as_bytes(), [7; 16]].concat().try_into().unwrap()).unwrap();
    assert_eq!(hex(Key::identifier(group(5), &blinded)), format!("000506{raw}{}", "07".repeat(16)));
    assert_eq!(hex(Key::blocking_key(group(5), 9, &id)), format!("0005080000000000000009{raw}"));
    assert_eq!(hex(KeyPrefix::block(group(5), 9)), "0005080000000000000009");
    assert_eq!(hex(Key::blocking_set(group(5), &id)), format!("000509{raw}"));
    assert_eq!(hex(Key::duplicate(group(5), &id, &id)), format!("00050a{raw}{raw}"));
    assert_eq!(hex(Key::shard_key(group(5), epoch)), "00051000000003");
    assert_eq!(hex(Key::bucket_key(group(5), 258)), "00051100000102");
    assert_eq!(hex(Key::customer_key(group(5), 258, &id)), format!("00051200000102{raw}"));
    assert_eq!(hex(Key::blinding_stage(group(5))), "000513");
    assert_eq!(hex(Key::node(NodeId::new(2).unwrap())), "ffff2000000002");
    assert_eq!(hex(Key::shard(ShardId::new(7).unwrap())), "ffff210007");
    assert_eq!(hex(Key::purpose(&"care".parse().unwrap())), "ffff2263617265");
    assert_eq!(hex(Key::attribute(&"email".parse().unwrap())), "ffff23656d61696c");
    assert_eq!(hex(Key::meta("a")), "ffff2461");
    assert_eq!(hex(Key::jurisdiction(&"eu".parse().unwrap())), "ffff256575");
    assert_eq!(hex(Key::recipient(&"Desk.1".parse().unwrap())), "ffff264465736b2e31");
    assert_eq!(hex(Key::catalogue_change(258)), "ffff270000000000000102");
    assert_eq!(hex(Key::attribute_usage(AttributeNumber::new(259).unwrap())), "ffff2800000103");
    assert_eq!(hex(Key::channel(&"fax".parse().unwrap())), "ffff29666178");
    assert_eq!(hex(Key::namespace(&"email".parse().unwrap())), "ffff2a656d61696c");
    assert_eq!(hex(Key::matter_type(&"case".parse().unwrap())), "ffff2b63617365");
    assert_eq!(hex(Key::trait_definition(&"orders".parse().unwrap())), "ffff2c6f7264657273");
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
    fn key_splits_into_the_parts_it_was_built_from(
        shard in 0..4096_u16, ms in 0..1_u64 << 48, random: [u8; 10], at: i64, id in ".{1,40}", sequence: u64, bucket: u32
    ) {
        let customer = customer(ms, random);
        let sort_key = EventSortKey::new(TimestampMs::from_ms(at), &id);
        let expected = [
            (Key::core(group(shard), &customer), KeyKind::Core, Vec::new()),
            (Key::event(group(shard), &customer, &sort_key), KeyKind::Event, sort_key.as_bytes().to_vec()),
            (
                Key::blocking_key(group(shard), sequence, &customer),
                KeyKind::BlockingKey,
                sequence.to_be_bytes().to_vec(),
            ),
            (
                Key::duplicate(group(shard), &customer, &customer),
                KeyKind::Duplicate,
                customer.as_bytes().to_vec(),
            ),
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
    fn later_catalogue_change_sorts_after_an_earlier_one(earlier: u64, later: u64) {
        prop_assume!(earlier < later);
        prop_assert!(Key::catalogue_change(earlier) < Key::catalogue_change(later));
        let parts_of = |key: &Key| KeyParts::parse(key.as_ref()).unwrap().suffix.to_vec();
        prop_assert_eq!(parts_of(&Key::catalogue_change(later)), later.to_be_bytes().to_vec());
    }

    #[test]
    fn newer_event_comes_first(older: i64, newer: i64, id in ".{1,10}", other in ".{1,10}") {
        prop_assume!(older < newer);
        let sort_key = |at, id: &str| EventSortKey::new(TimestampMs::from_ms(at), id);
        prop_assert!(sort_key(newer, &id) < sort_key(older, &other));
    }

    #[test]
    fn bytes_split_only_if_group_kind_and_customer_are_valid_and_join_again(
        group in prop_oneof![4 => 0..8_u16, 1 => any::<u16>()],
        kind in prop_oneof![1..11_u8, Just(18), 0..64_u8], rest in any_rest()
    ) {
        let bytes = [&group.to_be_bytes()[..], &[kind], &rest].concat();
        let customer_at = match kind {
            1..=6 | 9 | 10 => Some(0),
            8 => Some(BLOCKING_KEY_BYTES),
            18 => Some(4),
            _ => None,
        };
        let customer = customer_at.map(|at| rest.get(at..at + 16).filter(|id| id[6] >> 4 == 7 && id[8] >> 6 == 2));
        let known = matches!(kind, 0..=6 | 8..=10 | 16..=19 | 32..=44) && GroupId::from_u16(group).is_ok();
        let ends_with_customer = !matches!(kind, 8 | 18) || customer_at.is_some_and(|at| rest.len() == at + 16);
        let valid = known && customer != Some(None) && ends_with_customer;
        match KeyParts::parse(&bytes) {
            Ok(KeyParts { group, kind, customer, suffix }) => {
                prop_assert!(valid);
                let customer = customer.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
                let is_last = matches!(kind, KeyKind::CustomerKey | KeyKind::BlockingKey);
                let rest = if is_last { [suffix, &customer].concat() } else { [&customer, suffix].concat() };
                prop_assert_eq!([&group.as_u16().to_be_bytes()[..], &[kind.number()], &rest].concat(), bytes);
            }
            Err(_) => prop_assert!(!valid),
        }
    }

    #[test]
    fn key_shorter_than_group_and_kind_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..3)) {
        prop_assert!(KeyParts::parse(&bytes).is_err());
        prop_assert!(Key::parse(bytes.into()).is_err());
    }
}

/// What follows the kind: a bucket, a blocking key or neither, a customer id that may be invalid, a suffix; often cut.
fn any_rest() -> impl Strategy<Value = Vec<u8>> {
    let suffix = proptest::collection::vec(any::<u8>(), 0..4);
    let length = prop_oneof![3 => Just(usize::MAX), 1 => Just(16), 1 => Just(20), 1 => 0..28_usize];
    (0..3_usize, any::<bool>(), any::<[u8; 16]>(), suffix, length).prop_map(
        |(first, valid, mut id, suffix, length)| {
            if valid {
                (id[6], id[8]) = (0x70 | id[6] & 0x0f, 0x80 | id[8] & 0x3f);
            }
            let first = &[0, 0, 1, 2, 3, 4, 5, 6][..4 * first];
            let mut rest = [first, &id, &suffix].concat();
            rest.truncate(length);
            rest
        },
    )
}
