//! TC strings: those of the specification and of the IAB's libraries, every fault, and garbage.
//!
//! Most public strings are older than TCF 2.3. [`in_force`] brings them up to it: policy version 5, service-specific,
//! and updated on 3 June 2025, the day of the specification's own example. Where a string has no segment of disclosed
//! vendors it gets the specification's. All other bits stay as they were published.

use custodia_profile::{ProfileError, StoredTcString, TcString, TcStringError, TimestampMs};
use proptest::{collection, prelude::*, sample::select};

/// 2025-06-03T00:00:00Z.
const UPDATED: TimestampMs = TimestampMs::from_ms(1_748_908_800_000);
/// A month later.
const NOW: TimestampMs = TimestampMs::from_ms(1_751_500_800_000);
/// 2026-07-03T00:00:00Z: 13 months after [`UPDATED`].
const LAST: TimestampMs = TimestampMs::from_ms(1_783_036_800_000);

/// The specification's example, section "TC String Format". It still has policy version 2.
const SPECIFICATION: &str = "CQSbk4AQSbk4ANwAAAENAwCgAAAAAAAAAAYgACPAAAAA.IDKQA4AAgAKAGQAygAAA.YAAAAAAAAAAA";
const DISCLOSED: &str = "IDKQA4AAgAKAGQAygAAA";
/// iabtcf-java, `TCStringV2Test`.
const JAVA_FIELDS: &str = "COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA";
const JAVA_SEGMENTS: &str = "COrEAV4OrXx94ACABBENAHCIAD-AAAAAAACAAxAAAAgAIAwgAgAAAAEAgQAAAAAEAYQAQAAAACAAAABAAA.\
    IBAgAAAgAIAwgAgAAAAEAAAACA.QAagAQAgAIAwgA.cAAAAAAAITg";
const JAVA_RANGES: &str = "COwBOpCOwBOpCLqAAAENAPCAAAAAAAAAAAAAFfwAYFfAV-BVkAGBVYFWAAA";
const JAVA_SINGLES: &str = "COv__-wOv__-wC2AAAENAPCgAAAAAAAAAAAAA_wAQA_gEBABAEAAAA";
/// iabtcf-es, `ReportedIssues.test.ts`, issue 201: vendors that occur twice in a restriction.
const ES_RESTRICTIONS: &str = "\
    CO4VGswO4VGswAfZCBDEAzCsAP_AAH_AAAigGUNf_X9fb2vj-_599_t0eY1f9_63t-wzjheMs-8NyZ-X_J4Wv2MyvB\
    34JqQKGRgkunLBAQdtHGncTQgBwIlViTLMY02MjzNKJrJEilsbe2dYGH9vn8XT_ZKZ70-_v__7v3___33_5Ayhr_6_r7e18f3_Pvv9ujzG\
    r_v_W9v2GccLxln3huTPy_5PC1-xmV4O_BNSBQyMEl05YICDto407iaEAOBEqsSZZjGmxkeZpRNZIkUtjb2zrAw_t8_i6f7JTPen39___d\
    -___--__ICgKAOAAcAA4AFAAjgB6AEYALcGACAW0AtoJAHAAOAAcACgARwA9ACMAFuFABALaAW0GgDgAHAAOABQAI4AegBGAC3DgAgFtAL\
    aEQBwADgAHAAoAEcAPQAjABbiQAQC2gFtCoA4ABwADgAUACOAHoARgAtxYAIBbQC2hkAcAA4ABwAKABHAD0AIwAW40AEAtoBbQ6AOAAcAA\
    4AFAAjgB6AEYALceACAW0AtohAHAAOAAcACgARwA9ACMAFuRABALaAW0SgDgAHAAOABQAI4AegBGAC3JgAgFtALaKQBwADgAHAAoAEcAPQ\
    AjABblQAQC2gFtA";
/// iabtcf-es, `CmpApi` tests: empty ranges.
const ES_EMPTY_RANGES: &str = "CO5dPi4O5dPx2B7DvCENA2CgAAAAAAAAAAAAGewAAM8gAAAA.YAAAAAAAAAAA";

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn bits_of(segment: &str) -> Vec<bool> {
    let sextets = segment.bytes().map(|byte| ALPHABET.iter().position(|of| *of == byte).unwrap());
    sextets.flat_map(|sextet| (0..6).rev().map(move |bit| sextet >> bit & 1 == 1)).collect()
}

fn text_of(bits: &[bool]) -> String {
    let sextet =
        |bits: &[bool]| (0..6).fold(0, |sextet, at| sextet << 1 | usize::from(bits.get(at) == Some(&true)));
    bits.chunks(6).map(|bits| char::from(ALPHABET[sextet(bits)])).collect()
}

fn bits(text: &str) -> Vec<bool> {
    text.bytes().filter(|byte| *byte != b' ').map(|byte| byte == b'1').collect()
}

/// Puts a number over the bits from `at` on.
fn put(segment: &str, at: usize, length: usize, number: i64) -> String {
    let mut bits = bits_of(segment);
    for (place, bit) in bits[at..at + length].iter_mut().enumerate() {
        *bit = number >> (length - 1 - place) & 1 == 1;
    }
    text_of(&bits)
}

fn updated(core: &str, at: TimestampMs) -> String {
    put(&put(core, 6, 36, at.as_ms() / 100), 42, 36, at.as_ms() / 100)
}

/// A published string as one of TCF 2.3.
fn in_force(published: &str) -> String {
    let (core, rest) = published.split_once('.').map_or((published, ""), |(core, rest)| (core, rest));
    let core = put(&put(&updated(core, UPDATED), 132, 6, 5), 138, 1, 1);
    let own = rest.split('.').any(|segment| segment.starts_with('I'));
    let segments = [core.as_str(), if own { "" } else { DISCLOSED }, rest];
    segments.into_iter().filter(|segment| !segment.is_empty()).collect::<Vec<_>>().join(".")
}

fn parse(text: &str) -> TcString {
    TcString::parse(text, NOW).unwrap()
}

fn ids(vendors: &custodia_profile::VendorSet) -> Vec<u16> {
    vendors.iter().collect()
}

#[track_caller]
fn refuses(text: &str, fault: TcStringError) {
    assert_eq!(TcString::parse(text, NOW), Err(fault));
}

/// The example with one field put over.
fn with(at: usize, length: usize, number: i64) -> String {
    let example = in_force(SPECIFICATION);
    let (core, rest) = example.split_once('.').unwrap();
    format!("{}.{rest}", put(core, at, length, number))
}

#[test]
fn the_example_of_the_specification_is_read() {
    let read = parse(&in_force(SPECIFICATION));
    assert_eq!((read.created, read.last_updated), (UPDATED, UPDATED));
    assert_eq!((read.cmp_id, read.cmp_version, read.consent_screen), (880, 0, 0));
    assert_eq!((read.consent_language.as_str(), read.publisher_country.as_str()), ("EN", "DE"));
    assert_eq!((read.vendor_list_version, read.policy_version), (48, 5));
    assert!(read.service_specific && !read.non_standard_texts && !read.purpose_one_treatment);
    assert_eq!((read.special_features, read.purposes_consent), (vec![], vec![]));
    assert_eq!(ids(&read.vendors_consent), [1, 2, 3, 4]);
    assert!(read.vendors_legitimate_interest.is_empty());
    assert_eq!(ids(&read.vendors_disclosed), [1, 2, 3, 4, 5, 100, 404]);
    let publisher = read.publisher.unwrap();
    assert_eq!((publisher.purposes_consent, publisher.custom_purposes_consent), (vec![], vec![]));
}

#[test]
fn a_vector_of_the_java_library_gives_every_field_of_the_core() {
    let read = parse(&in_force(JAVA_FIELDS));
    assert_eq!((read.cmp_id, read.cmp_version, read.consent_screen), (675, 2, 1));
    assert_eq!((read.consent_language.as_str(), read.publisher_country.as_str()), ("EN", "AA"));
    assert_eq!(read.vendor_list_version, 15);
    assert!(read.purpose_one_treatment && !read.non_standard_texts);
    assert_eq!((read.special_features, read.purposes_consent), (vec![1], vec![2, 10]));
    assert_eq!(read.purposes_legitimate_interest, [2, 9]);
    assert!(read.vendors_consent.is_empty() && read.publisher.is_none());
}

#[test]
fn all_segments_are_read_in_any_order_and_the_one_given_up_is_passed_over() {
    let text = in_force(JAVA_SEGMENTS);
    let read = parse(&text);
    assert_eq!(read.purposes_consent, [3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(ids(&read.vendors_consent), [23, 37, 47, 48, 53, 65, 98]);
    assert_eq!(ids(&read.vendors_legitimate_interest), [37, 47, 48, 53, 65, 98, 129]);
    assert_eq!(ids(&read.vendors_disclosed), [23, 37, 47, 48, 53, 65, 98, 129]);
    let publisher = read.publisher.clone().unwrap();
    assert_eq!((publisher.purposes_consent, publisher.purposes_legitimate_interest), (vec![1], vec![24]));
    assert_eq!(publisher.custom_purposes_consent, [2]);
    assert_eq!(publisher.custom_purposes_legitimate_interest, [1, 2]);
    let segments: Vec<&str> = text.split('.').collect();
    let reordered = [segments[0], segments[3], segments[2], segments[1]].join(".");
    assert_eq!(parse(&reordered), read);
    assert_eq!(parse(&[segments[0], segments[1], segments[3]].join(".")), read);
}

#[test]
fn ranges_of_vendors_are_read() {
    let read = parse(&in_force(JAVA_RANGES));
    assert_eq!(
        (ids(&read.vendors_consent), ids(&read.vendors_legitimate_interest)),
        (vec![702, 703], vec![683, 684])
    );
    let read = parse(&in_force(JAVA_SINGLES));
    assert_eq!((ids(&read.vendors_consent), ids(&read.vendors_legitimate_interest)), (vec![127], vec![128]));
    let read = parse(&in_force(ES_EMPTY_RANGES));
    assert!(read.vendors_consent.is_empty() && read.vendors_legitimate_interest.is_empty());
    assert!(read.publisher.is_some());
}

#[test]
fn publisher_restrictions_are_read_with_vendors_that_stand_twice() {
    let read = parse(&in_force(ES_RESTRICTIONS));
    assert_eq!(read.consent_language, "DE");
    assert_eq!(read.publisher_restrictions.len(), 20);
    let first = &read.publisher_restrictions[0];
    assert_eq!((first.purpose, first.restriction), (1, 1));
    assert_eq!(ids(&first.vendors), [7, 20, 71, 122, 140, 183]);
    let last = &read.publisher_restrictions[19];
    assert_eq!((last.purpose, last.restriction, ids(&last.vendors)), (10, 2, vec![730]));
}

#[test]
fn purposes_3_to_6_have_no_legitimate_interest_whatever_the_bits_say() {
    // The bits of the vector say 2 to 10.
    assert_eq!(parse(&in_force(ES_RESTRICTIONS)).purposes_legitimate_interest, [2, 7, 8, 9, 10]);
}

#[test]
fn a_set_of_vendors_is_ordered_and_merged() {
    let entries =
        "1 0000000000000100 0000000000000110 0 0000000000000010 1 0000000000000001 0000000000000011";
    let segment = text_of(&bits(&format!("001 0000000000000111 1 000000000011 {entries}")));
    let text = in_force(SPECIFICATION).replace(DISCLOSED, &segment);
    let disclosed = parse(&text).vendors_disclosed;
    assert_eq!(ids(&disclosed), [1, 2, 3, 4, 5, 6]);
    assert!(
        disclosed.contains(1) && disclosed.contains(6) && !disclosed.contains(7) && !disclosed.contains(0)
    );
}

#[test]
fn bits_after_the_last_field_are_not_looked_at() {
    let text = in_force(SPECIFICATION);
    assert_eq!(parse(&format!("{text}_-")), parse(&text));
}

#[test]
fn what_is_no_base64url_is_refused() {
    refuses("", TcStringError::Encoding);
    let text = in_force(SPECIFICATION);
    for broken in [
        text.replace('4', "+"),
        text.replace('4', "/"),
        text.replace("AAA.", "A=."),
        format!("{text}="),
        format!("{text}."),
        format!(".{text}"),
        text.replacen('.', "..", 1),
        format!(" {text}"),
        text.replace('4', "é"),
    ] {
        refuses(&broken, TcStringError::Encoding);
    }
}

#[test]
fn a_segment_that_ends_early_is_refused() {
    let text = in_force(SPECIFICATION);
    let core = text.split('.').next().unwrap();
    for length in 1..core.len() {
        refuses(&format!("{}.{DISCLOSED}", &core[..length]), TcStringError::Truncated);
    }
    // The last three characters are padding.
    for length in 1..DISCLOSED.len() - 3 {
        refuses(&format!("{core}.{}", &DISCLOSED[..length]), TcStringError::Truncated);
    }
    refuses(&format!("{core}.{DISCLOSED}.YAAA"), TcStringError::Truncated);
}

#[test]
fn another_version_of_the_format_is_refused() {
    // iabtcf-es, issue 191: version 1.1.
    refuses("BO2e4qiO2e4qiB9ABADEDS-AAAAxKABgACBiQA", TcStringError::Version { found: 1 });
    refuses(&with(0, 6, 3), TcStringError::Version { found: 3 });
}

#[test]
fn an_older_policy_is_refused_and_a_newer_one_is_not() {
    for found in 0..5 {
        refuses(&with(132, 6, found.into()), TcStringError::PolicyVersion { found });
    }
    assert_eq!(parse(&with(132, 6, 6)).policy_version, 6);
    // As published, the specification's example is of policy version 2.
    refuses(SPECIFICATION, TcStringError::PolicyVersion { found: 2 });
}

#[test]
fn global_scope_is_refused() {
    refuses(&with(138, 1, 0), TcStringError::GlobalScope);
}

#[test]
fn a_string_without_disclosed_vendors_is_refused() {
    let text = in_force(SPECIFICATION);
    let segments: Vec<&str> = text.split('.').collect();
    refuses(segments[0], TcStringError::NoDisclosedVendors);
    refuses(&[segments[0], segments[2]].join("."), TcStringError::NoDisclosedVendors);
}

#[test]
fn an_unknown_segment_and_one_twice_are_refused() {
    let text = in_force(SPECIFICATION);
    for unknown in ["A", "CQSbk4AQ", "gAAA", "oAAA", "wAAA", "4AAA"] {
        refuses(&format!("{text}.{unknown}"), TcStringError::Segment);
    }
    refuses(&format!("{text}.{DISCLOSED}"), TcStringError::Segment);
    refuses(&format!("{text}.YAAAAAAAAAAA"), TcStringError::Segment);
}

#[test]
fn impossible_fields_are_refused() {
    refuses(&with(108, 6, 26), TcStringError::Field { field: "consent language" });
    refuses(&with(114, 6, 63), TcStringError::Field { field: "consent language" });
    refuses(&with(201, 6, 26), TcStringError::Field { field: "publisher country" });
    let ranges = |entries: &str| {
        let segment = text_of(&bits(&format!("001 0000000000001000 1 000000000001 {entries} 000000")));
        in_force(SPECIFICATION).replace(DISCLOSED, &segment)
    };
    let fault = TcStringError::Field { field: "range of vendors" };
    refuses(&ranges("0 0000000000000000"), fault);
    refuses(&ranges("0 0000000000001001"), fault);
    refuses(&ranges("1 0000000000000011 0000000000000010"), fault);
    refuses(&ranges("1 0000000000000011 0000000000001001"), fault);
    let text = in_force(SPECIFICATION);
    let core: String = text.chars().take_while(|character| *character != '.').collect();
    // One bit of padding stands after the number of restrictions.
    let mut core = bits_of(&core);
    core.truncate(core.len() - 13);
    core.extend(bits("000000000001 000000 00 000000000000"));
    refuses(&format!("{}.{DISCLOSED}", text_of(&core)), TcStringError::Field { field: "restricted purpose" });
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

#[test]
fn a_string_is_stored_if_it_is_in_force_and_reads_the_same_later() {
    let text = in_force(SPECIFICATION);
    let stored = StoredTcString::new(&text, NOW).unwrap();
    assert_eq!((stored.text.as_str(), stored.recorded_at), (text.as_str(), NOW));
    assert_eq!(stored.parse(), TcString::parse(&text, NOW));
    assert!(!format!("{stored:?}").contains("CQSbk4"), "a consent string is personal data");
    let error = StoredTcString::new(SPECIFICATION, NOW).unwrap_err();
    assert_eq!(error, ProfileError::TcString { fault: TcStringError::PolicyVersion { found: 2 } });
    assert_eq!(error.field(), Some("tc_string"));
    assert!(!error.is_stored_data());
    assert_eq!(error.to_string(), "tc_string was made under policy version 2; TCF 2.3 requires at least 5");
}

#[test]
fn a_string_longer_than_the_limit_is_refused() {
    let text = in_force(SPECIFICATION);
    let longest = format!("{text}{}", "A".repeat(4_096 - text.len()));
    assert!(TcString::parse(&longest, NOW).is_ok());
    refuses(&format!("{longest}A"), TcStringError::TooLong);
}

#[test]
fn a_short_text_that_names_all_vendors_many_times_stays_small() {
    let entry = "1 0000000000000001 1111111111111111";
    let segment = text_of(&bits(&format!("001 1111111111111111 1 001010111100 {}", entry.repeat(700))));
    let read = parse(&in_force(SPECIFICATION).replace(DISCLOSED, &segment));
    assert_eq!(read.vendors_disclosed.iter().count(), 65_535);
    assert_eq!(format!("{:?}", read.vendors_disclosed), "VendorSet { ranges: [(1, 65535)] }");
}

fn published() -> impl Strategy<Value = String> {
    let all = [
        SPECIFICATION,
        JAVA_FIELDS,
        JAVA_SEGMENTS,
        JAVA_RANGES,
        JAVA_SINGLES,
        ES_RESTRICTIONS,
        ES_EMPTY_RANGES,
    ];
    select(all.to_vec()).prop_map(in_force)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn garbage_is_a_fault_and_never_a_panic(text in "\\PC{0,80}", now: i64) {
        prop_assert!(TcString::parse(&text, TimestampMs::from_ms(now)).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn damaged_bits_are_a_value_or_a_fault_and_never_a_panic(
        text in published(),
        flips in collection::vec((any::<prop::sample::Index>(), 0_usize..64), 1..6),
        cut in any::<prop::sample::Index>(),
        now in prop_oneof![Just(NOW), any::<i64>().prop_map(TimestampMs::from_ms)],
    ) {
        let mut bytes = text.into_bytes();
        for (at, character) in flips {
            let at = at.index(bytes.len());
            bytes[at] = ALPHABET[character];
        }
        for length in [bytes.len(), cut.index(bytes.len())] {
            let text = std::str::from_utf8(&bytes[..length]).unwrap();
            if let Ok(read) = TcString::parse(text, now) {
                prop_assert!(read.service_specific && read.policy_version >= 5);
                prop_assert!(read.vendors_consent.iter().is_sorted_by(|one, next| one < next));
                prop_assert!(StoredTcString::new(text, now).is_ok());
            }
        }
    }
}
