//! Ids: text round trips, and the vectors that must hold for ever (ID-1).

use std::{fmt::Debug, fmt::Display, str::FromStr};

use custodia_profile::{
    AttributeName, CallerName, CallerRole, CategoryId, CustomerId, GroupId, JurisdictionId, KeyEpoch,
    NamespaceId, NodeId, PoolId, ProfileError, PurposeId, RecipientId, Recorder, Region, RequestId, Revision,
    ShardId, SlotId, SourceId,
};
use proptest::prelude::*;

fn bytes(hex: &str) -> [u8; 16] {
    u128::from_str_radix(hex, 16).unwrap().to_be_bytes()
}

/// Made with other implementations: TypeID's own published vector is the first, XXH3 is the C library's.
const PINNED: [(&str, &str, u16, [u16; 3]); 4] = [
    ("01890a5dac96774bbcceb302099a8057", "cust_01h455vb4pex5vsknk084sn02q", 3_465, [13, 216, 3_465]),
    ("00000000000070008000000000000000", "cust_0000000000e008000000000000", 2_758, [10, 172, 2_758]),
    ("ffffffffffff7fffbfffffffffffffff", "cust_7zzzzzzzzzfzzvzzzzzzzzzzzz", 1_071, [4, 66, 1_071]),
    ("019a2b3c4d5e7f01810203040506070a", "cust_01k8nkrkayfw0r20g30g2gc1ra", 100, [0, 6, 100]),
];

#[test]
fn text_slot_and_shard_of_a_customer_are_pinned() {
    for (hex, text, slot, shards) in PINNED {
        let id = CustomerId::from_bytes(bytes(hex)).unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(text.parse::<CustomerId>().unwrap(), id);
        assert_eq!(id.slot().as_u16(), slot);
        let found = [16, 256, 4_096].map(|count| ShardId::of(id.slot(), count).as_u16());
        assert_eq!(found, shards);
    }
}

#[test]
fn a_derived_customer_is_pinned() {
    let derive = |request: &str, pool| {
        let request = RequestId::from_str(request).unwrap();
        CustomerId::derive("ingest/web", request, PoolId::new(pool).unwrap())
    };
    let of_v7 = derive("01890a5d-ac96-774b-bcce-b302099a8057", 0);
    assert_eq!(of_v7.to_string(), "cust_01h455vb4pfy0814xt1ayg0ygf");
    let of_v4 = derive("6ba7b810-9dad-41d1-80b4-00c04fd430c8", 5);
    assert_eq!(of_v4.to_string(), "cust_07dy8qh39efcarb8axswzxck09");
    assert_eq!((of_v4.pool().as_u8(), of_v4.slot().as_u16()), (5, 169));
}

#[test]
fn a_malformed_customer_id_is_refused() {
    let good = "cust_01h455vb4pex5vsknk084sn02q";
    assert!(good.parse::<CustomerId>().is_ok());
    for bad in [
        "",
        "cust_",
        "01h455vb4pex5vsknk084sn02q",
        "user_01h455vb4pex5vsknk084sn02q",
        "cust_01H455VB4PEX5VSKNK084SN02Q",
        "cust_01h455vb4pex5vsknk084sn02",
        "cust_01h455vb4pex5vsknk084sn02qq",
        "cust_81h455vb4pex5vsknk084sn02q",
        "cust_01h455vb4pex5vsknk084sn02u",
        "cust_00000000000000000000000000",
        "cust_01h455vb4pex5vsknk084sn0é",
    ] {
        let error = bad.parse::<CustomerId>().unwrap_err();
        assert_eq!(error.field(), Some("customer_id"), "{bad}");
    }
}

#[test]
fn shards_own_contiguous_ranges_that_cover_every_slot_once() {
    for count in [1_u16, 16, 256, 4_096] {
        ShardId::check_count(count).unwrap();
        for slot in 0..4_096 {
            let slot = SlotId::new(slot).unwrap();
            let owner = ShardId::of(slot, count);
            assert!(owner.slots(count).unwrap().contains(&slot));
        }
        let last = ShardId::of(SlotId::new(4_095).unwrap(), count);
        assert_eq!(last.as_u16(), count - 1);
    }
    assert_eq!(ShardId::new(16).unwrap().slots(16), None);
    for count in [0, 3, 100, 8_192] {
        assert_eq!(ShardId::check_count(count).unwrap_err().field(), Some("shards"));
    }
}

#[test]
fn groups_keep_their_number() {
    let shard = GroupId::Shard(ShardId::new(7).unwrap());
    assert_eq!((shard.as_u16(), GroupId::Directory.as_u16()), (7, 0xffff));
    assert_eq!(GroupId::from_u16(7), Ok(shard));
    assert_eq!(GroupId::from_u16(0xffff), Ok(GroupId::Directory));
    assert!(GroupId::from_u16(4_096).is_err());
    round_trip(&shard);
    round_trip(&GroupId::Directory);
}

fn round_trip<T: FromStr<Err = ProfileError> + Display + PartialEq + Debug>(id: &T) {
    assert_eq!(id.to_string().parse::<T>().as_ref(), Ok(id));
}

#[test]
fn numbers_round_trip_and_refuse_what_is_out_of_range() {
    round_trip(&NodeId::new(3).unwrap());
    round_trip(&KeyEpoch::FIRST);
    round_trip(&Revision::from_u64(u64::MAX));
    round_trip(&PoolId::new(63).unwrap());
    assert!(NodeId::new(0).is_err() && KeyEpoch::new(0).is_err() && PoolId::new(64).is_err());
    assert!("-1".parse::<NodeId>().is_err() && "4096".parse::<SlotId>().is_err());
    assert!("00000000-0000-0000-0000-000000000000".parse::<RequestId>().is_err());
    assert_eq!(KeyEpoch::new(u32::MAX).unwrap().next(), None, "no epoch is used twice");
}

#[test]
fn slugs_name_the_field_and_the_form() {
    let long = "a".repeat(65);
    let error = PurposeId::new(&long).unwrap_err();
    assert_eq!(error.to_string(), "purpose is longer than 64 bytes");
    let error = AttributeName::new("Email").unwrap_err();
    assert_eq!(
        error.to_string(),
        "attribute is malformed, expected 1 to 64 of [a-z0-9_], starting with a letter"
    );
    assert_eq!(SourceId::new("").unwrap_err().to_string(), "source is required");
    for (good, bad) in [("order-news", "order_news"), ("p2", "2p")] {
        assert!(PurposeId::new(good).is_ok() && PurposeId::new(bad).is_err());
    }
    assert!(AttributeName::new("first_name").is_ok() && AttributeName::new("first-name").is_err());
    assert!(SourceId::new("2nd.shop_de-1").is_ok() && SourceId::new(".shop").is_err());
    assert!(JurisdictionId::new("us-ca").is_ok() && JurisdictionId::new("US-CA").is_err());
    assert!(NamespaceId::new("loyalty-card").is_ok() && NamespaceId::new("loyalty_card").is_err());
    assert!(CategoryId::new("health").is_ok() && CategoryId::new("Health").is_err());
    let error = RecipientId::new("mail er").unwrap_err();
    assert_eq!(error.to_string(), "recipient is malformed, expected 1 to 64 of [A-Za-z0-9._-]");
    for good in ["Mailer-1.eu_west", "-", "_x", ".x", "9", &"a".repeat(64)] {
        assert_eq!(RecipientId::new(good).unwrap().as_str(), good);
        assert_eq!(CallerName::new(good).unwrap().as_str(), good);
    }
    for bad in ["", "mailer/1", "maïl", &long] {
        assert!(RecipientId::new(bad).is_err() && CallerName::new(bad).is_err());
    }
}

#[test]
fn roles_round_trip_by_name_and_keep_their_numbers() {
    let numbers = CallerRole::ALL.map(|role| (role.name(), role.number()));
    assert_eq!(numbers, [("node", 1), ("agent", 2), ("ingest", 3), ("privacy", 4), ("operator", 5)]);
    for role in CallerRole::ALL {
        round_trip(&role);
        assert_eq!(CallerRole::from_number(role.number()), Ok(role));
    }
    assert!(CallerRole::from_number(0).is_err() && "admin".parse::<CallerRole>().is_err());
    let recorder = Recorder { name: "dpo".parse().unwrap(), role: CallerRole::Privacy };
    assert_eq!(recorder.to_string(), "privacy dpo");
}

#[test]
fn a_region_is_a_country_or_a_part_of_one() {
    for (text, country) in [("DE", "DE"), ("US-CA", "US"), ("FR-75C", "FR"), ("GB-E", "GB"), ("AT-9", "AT")] {
        let region = Region::new(text).unwrap();
        round_trip(&region);
        assert_eq!((region.as_str(), region.country()), (text, country));
    }
    for bad in ["", "D", "DEU", "de", "D1", "DE-", "DE-ABCD", "DE-a", "DE_BY", "DE-BY-1", "-BY", "ÄÖ", "DE-Ä"]
    {
        let error = Region::new(bad).unwrap_err();
        assert_eq!(error.field(), Some("region"), "{bad}");
    }
}

/// CO-9: what many write for a country must not select the strictest law, or none.
#[test]
fn a_code_that_is_none_is_refused_with_the_one_that_is_meant() {
    for (bad, meant) in [("UK", "use GB"), ("UK-ENG", "use GB"), ("EL", "use GR"), ("EU", "e.g. DE")] {
        let error = Region::new(bad).unwrap_err();
        assert_eq!(error.field(), Some("region"), "{bad}");
        assert!(error.to_string().ends_with(meant), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_customer_id_round_trips(ms in 0_u64..1 << 48, random in any::<[u8; 10]>(), pool in 0_u8..64) {
        let pool = PoolId::new(pool).unwrap();
        let id = CustomerId::from_parts(ms, random, pool);
        prop_assert_eq!(id.to_string().parse::<CustomerId>(), Ok(id));
        prop_assert_eq!(CustomerId::from_bytes(*id.as_bytes()), Ok(id));
        prop_assert_eq!(id.pool(), pool);
        prop_assert_eq!(u128::from_be_bytes(*id.as_bytes()) >> 80, u128::from(ms));
    }

    #[test]
    fn any_text_is_an_id_that_prints_as_it_or_an_error(text in "cust_[0-9a-z]{26}|\\PC*") {
        if let Ok(id) = text.parse::<CustomerId>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn derived_ids_differ_by_caller_and_request(caller in "[a-z/]{1,12}", other in "[a-z/]{1,12}", a in 1_u128.., b in 1_u128..) {
        let derive = |caller: &str, id: u128| {
            let request = RequestId::from_str(&format!("{id:032x}")).unwrap();
            CustomerId::derive(caller, request, PoolId::DEFAULT)
        };
        prop_assert_eq!(derive(&caller, a), derive(&caller, a));
        prop_assert_eq!(derive(&caller, a) == derive(&other, b), caller == other && a == b);
    }
}
