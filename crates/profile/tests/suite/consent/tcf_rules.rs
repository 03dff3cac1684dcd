//! TC strings under the rules of the framework: in force or not, what they leave a vendor, and the strings that the IAB's
//! libraries publish, as they are.

use custodia_profile::{EncodingFault, TcString, TcStringError, TimestampMs, VendorRestriction};

use super::tcf::{
    DISCLOSED, JAVA_FIELDS, JAVA_SEGMENTS, SPECIFICATION, UPDATED, bits, bits_of, ids, in_force, parse, put,
    refuses, text_of, updated, with,
};

/// 2026-07-03T00:00:00Z: 13 months after [`UPDATED`].
const LAST: TimestampMs = TimestampMs::from_ms(1_783_036_800_000);
/// 2026-02-28T00:00:00Z, the end of the transition to TCF 2.3.
const TCF_2_3: TimestampMs = TimestampMs::from_ms(1_772_236_800_000);

/// The example, updated at a moment under a policy version; without the segment of disclosed vendors.
fn without_disclosed(at: TimestampMs, policy: i64) -> String {
    let core = put(&updated(in_force(SPECIFICATION).split('.').next().unwrap(), at), 132, 6, policy);
    format!("{core}.YAAAAAAAAAAA")
}

#[test]
fn an_older_policy_is_refused_and_a_newer_one_is_not() {
    for found in 0..4 {
        refuses(&with(132, 6, found.into()), TcStringError::PolicyVersion { found, required: 4 });
    }
    assert_eq!(parse(&with(132, 6, 4)).policy_version, 4);
    assert_eq!(parse(&with(132, 6, 6)).policy_version, 6);
    // As published, the specification's example is of policy version 2.
    refuses(SPECIFICATION, TcStringError::PolicyVersion { found: 2, required: 4 });
    let later = format!("{}.{DISCLOSED}", without_disclosed(TCF_2_3, 4));
    let refused = TcString::parse(&later, TCF_2_3);
    assert_eq!(refused, Err(TcStringError::PolicyVersion { found: 4, required: 5 }));
}

/// A string of a real platform, made on 14 January 2026 under TCF 2.2.
#[test]
fn a_string_from_before_28_february_2026_stays_valid_without_disclosed_vendors() {
    let text = "CQeBJ0AQeBJ0AGXABBENCNFgALAAAEPAAAiQFyQAQFyAXJABAXIAAAAA.YAAAAAAAAAAA";
    let of_december = TimestampMs::from_ms(1_796_000_000_000);
    let read = TcString::parse(text, of_december).unwrap();
    assert_eq!((read.vendors_disclosed, read.service_specific), (None, true));
    assert_eq!((read.policy_version, read.created), (5, TimestampMs::from_ms(1_768_348_800_000)));
    let last = TCF_2_3.plus_ms(-100);
    assert_eq!(TcString::parse(&without_disclosed(last, 4), of_december).unwrap().vendors_disclosed, None);
    let later = TcString::parse(&without_disclosed(TCF_2_3, 5), of_december);
    assert_eq!(later, Err(TcStringError::NoDisclosedVendors));
}

#[test]
fn global_scope_is_refused() {
    refuses(&with(138, 1, 0), TcStringError::GlobalScope);
}

#[test]
fn thirteen_months_of_the_calendar_are_the_limit() {
    let text = in_force(SPECIFICATION);
    assert!(TcString::parse(&text, LAST).is_ok());
    assert_eq!(TcString::parse(&text, LAST.plus_ms(1)), Err(TcStringError::Outdated));
    // 2024-01-31 and 13 months: 2025-02-28, since that February has no 31st.
    let of_january = {
        let core = updated(text.split('.').next().unwrap(), TimestampMs::from_ms(1_706_659_200_000));
        format!("{core}.{DISCLOSED}")
    };
    let end = TimestampMs::from_ms(1_740_700_800_000);
    assert!(TcString::parse(&of_january, end).is_ok());
    assert_eq!(TcString::parse(&of_january, end.plus_ms(1)), Err(TcStringError::Outdated));
}

#[test]
fn the_future_is_refused_beyond_the_clock_bound() {
    let text = in_force(SPECIFICATION);
    let five_minutes = 5 * 60 * 1_000;
    assert!(TcString::parse(&text, UPDATED.plus_ms(-five_minutes)).is_ok());
    let early = TcString::parse(&text, UPDATED.plus_ms(-five_minutes - 1));
    assert_eq!(early, Err(TcStringError::InFuture));
    refuses(&with(6, 36, (1 << 36) - 1), TcStringError::InFuture);
    refuses(&with(42, 36, (1 << 36) - 1), TcStringError::InFuture);
}

/// The specification: "Vendors must always respect a 0 (Not Allowed)"; a restriction to one basis closes the other.
#[test]
fn publisher_restrictions_bind_vendors() {
    // Vendors 1 to 4 by consent and by legitimate interest; purposes 1, 2, 7 and 8 by both.
    let all = "0000000000000100 0 1111";
    let purposes = "110000110000000000000000";
    let restrict = |purpose: &str, kind: &str, first: &str, last: &str| {
        format!("{purpose} {kind} 000000000001 1 {first} {last}")
    };
    let restrictions = [
        restrict("000010", "00", "0000000000000010", "0000000000000010"),
        restrict("000111", "01", "0000000000000010", "0000000000000011"),
        restrict("001000", "10", "0000000000000010", "0000000000000010"),
        restrict("000001", "11", "0000000000000001", "0000000000000100"),
    ]
    .concat();
    let example = in_force(SPECIFICATION);
    let head: Vec<bool> = bits_of(example.split('.').next().unwrap())[..152].to_vec();
    let rest = bits(&format!("{purposes}{purposes} 0 000000000000 {all}{all} 000000000100 {restrictions}"));
    let text = format!("{}.{DISCLOSED}", text_of(&[head, rest].concat()));
    let read = parse(&text);
    let of = |vendor| {
        let left = read.vendor_purposes(vendor);
        (left.disclosed, left.consent, left.legitimate_interest)
    };
    assert_eq!(of(1), (Some(true), vec![1, 2, 7, 8], vec![2, 7, 8]), "type 3 has no meaning");
    assert_eq!(of(2), (Some(true), vec![1, 7], vec![8]));
    assert_eq!(of(3), (Some(true), vec![1, 2, 7, 8], vec![2, 8]));
    assert_eq!(of(100), (Some(true), vec![], vec![]), "shown, and not consented to");
    assert_eq!(of(6), (Some(false), vec![], vec![]));
    // A vendor that was not shown may do nothing, whatever the other bits say; where it is unknown, it is unknown.
    let hidden = text.replace(DISCLOSED, &text_of(&bits("001 0000000000000001 0 1")));
    assert!(parse(&hidden).vendor_purposes(2).consent.is_empty());
    let silent = text.replace(&format!(".{DISCLOSED}"), "");
    let left = parse(&silent).vendor_purposes(2);
    assert_eq!((left.disclosed, left.consent), (None, vec![1, 7]));
}

/// The strings of the IAB's libraries as they are published, in force or not.
#[test]
fn published_strings_of_the_libraries_are_read_as_they_are() {
    let read = TcString::read(JAVA_FIELDS).unwrap();
    assert_eq!((read.created.as_ms(), read.last_updated.as_ms()), (1_580_058_060_000, 1_612_285_260_000));
    assert_eq!((read.policy_version, read.service_specific, read.purpose_one_treatment), (2, false, true));
    // iabtcf-java, `TCStringV2Test`: ranges, and the purposes of another string.
    const TAIL: &str = "IFoEUQQgAIQwgIwQABAEAAAAOIAACAIAAAAQAIAgEAACEAAAAAgAQBAAAAAAAGBAAgAAAAAAAFAAECAAAgAAQARAEQAAAAAJAAIA\
        AgAAAYQEAAAQmAgBC3ZAYzUw";
    let read = |core: &str| TcString::read(&format!("{core}.{TAIL}")).unwrap();
    assert_eq!(
        ids(&read("COwBOpCOwBOpCLqAAAENAPCAAAAAAAAAAAAAFfwAYFfAV-BVkAGBVYFWAAA").vendors_consent),
        [702, 703]
    );
    assert_eq!(ids(&read("COwBOpCOwBOpCLqAAAENAPCAAAAAAAAAAAAAFfwAQFfgUbABAUaAAA").vendors_consent), [703]);
    assert_eq!(
        TcString::read("COwxsONOwxsONKpAAAENAdCAAMAAAAAAAAAAAAAAAAAA").unwrap().purposes_consent,
        [1, 2]
    );
    // The same, `testPublisherRestrictions`: restrictions of no vendor.
    let restricted = "COuQACgOuQACgM-AAAENAPCAAAAAAAAAAAAAAAAAAABgoAAQAAHAAA";
    let restrictions = TcString::read(restricted).unwrap().publisher_restrictions;
    let listed: Vec<_> =
        restrictions.iter().map(|one| (one.purpose, one.restriction, one.vendors.is_empty())).collect();
    use VendorRestriction::{NotAllowed, RequireConsent, RequireLegitimateInterest};
    assert_eq!(
        listed,
        [(1, RequireConsent, true), (2, NotAllowed, true), (3, RequireLegitimateInterest, true)]
    );
}

/// What the libraries refuse, and what they read and this store does not; docs/consent-exports.md lists the differences.
#[test]
fn published_strings_that_are_no_tc_strings_are_refused() {
    // iabtcf-es, issue 142: a bit field shorter than its largest id.
    let short = "CLSYjTaOngnCIAOABBENAXCMAGOAABBAAA7IA5n-m7fP6_3fbqVv6E__PoA5Aqff3aJx8tv_1967rfnQEQoAIAAQCrwkAEABAcACABIMACAAuA\
        pEVABABUSABgBCAVSAtIoACACIArYQAHACgAFgAVwBJgDcAI7AWgMAAgBiKgAgBMgFfKQAQBRkQAQA4AFiBAAoA-AEVAJlAVgAtYcACAJcAr\
        4eABAK8OgBgFzAOmAqwgABAWyA.IFukWSQh";
    assert!(TcString::read(short).is_err());
    // iabtcf-java, `TCStringDecoderTest`: a version that there is not, and a string that ends early.
    refuses("DQ", TcStringError::Version { found: 3 });
    refuses("Bg", TcStringError::Version { found: 1 });
    // iabtcf-es, issue 156, which both libraries read: version 1, invalid since 30 September 2020.
    refuses(
        "BOhwdphOxFC7tAHABBFRC--AAAAuhr_7__7-_9_-_f__9uj3Or_v_f__32ccL59v_h_7v-_7fi_20nV4u",
        TcStringError::Version { found: 1 },
    );
    // iabtcf-java, `testCanParseAllParts`, which Java's decoder reads: padding.
    refuses(&format!("{JAVA_SEGMENTS}="), EncodingFault::Padding.into());
    // The same, `testDefaultSegmentType`: a second core segment.
    refuses(&format!("{JAVA_FIELDS}.AA"), TcStringError::Segment);
}
