//! TC strings: those of the specification and of the IAB's libraries, every fault, and garbage.
//!
//! Most public strings are older than TCF 2.2. [`in_force`] brings them up to date: policy version 5, service-specific,
//! and updated on 3 June 2025, the day of the specification's own example. Where a string has no segment of disclosed
//! vendors it gets the specification's. All other bits stay as they were published.

use custodia_profile::{
    EncodingFault, ProfileError, StoredTcString, TcString, TcStringError, TimestampMs, VendorRestriction,
};
use proptest::{collection, prelude::*, sample::select};

/// 2025-06-03T00:00:00Z.
pub(crate) const UPDATED: TimestampMs = TimestampMs::from_ms(1_748_908_800_000);
/// A month later.
pub(crate) const NOW: TimestampMs = TimestampMs::from_ms(1_751_500_800_000);

/// The specification's example, section "TC String Format". It still has policy version 2.
pub(crate) const SPECIFICATION: &str =
    "CQSbk4AQSbk4ANwAAAENAwCgAAAAAAAAAAYgACPAAAAA.IDKQA4AAgAKAGQAygAAA.YAAAAAAAAAAA";
pub(crate) const DISCLOSED: &str = "IDKQA4AAgAKAGQAygAAA";
/// iabtcf-java, `TCStringV2Test`.
pub(crate) const JAVA_FIELDS: &str = "COtybn4PA_zT4KjACBENAPCIAEBAAECAAIAAAAAAAAAA";
pub(crate) const JAVA_SEGMENTS: &str = "COrEAV4OrXx94ACABBENAHCIAD-AAAAAAACAAxAAAAgAIAwgAgAAAAEAgQAAAAAEAYQAQAAAACAAAABAAA.\
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

pub(crate) fn bits_of(segment: &str) -> Vec<bool> {
    let sextets = segment.bytes().map(|byte| ALPHABET.iter().position(|of| *of == byte).unwrap());
    sextets.flat_map(|sextet| (0..6).rev().map(move |bit| sextet >> bit & 1 == 1)).collect()
}

pub(crate) fn text_of(bits: &[bool]) -> String {
    let sextet =
        |bits: &[bool]| (0..6).fold(0, |sextet, at| sextet << 1 | usize::from(bits.get(at) == Some(&true)));
    bits.chunks(6).map(|bits| char::from(ALPHABET[sextet(bits)])).collect()
}

pub(crate) fn bits(text: &str) -> Vec<bool> {
    text.bytes().filter(|byte| *byte != b' ').map(|byte| byte == b'1').collect()
}

/// Puts a number over the bits from `at` on.
pub(crate) fn put(segment: &str, at: usize, length: usize, number: i64) -> String {
    let mut bits = bits_of(segment);
    for (place, bit) in bits[at..at + length].iter_mut().enumerate() {
        *bit = number >> (length - 1 - place) & 1 == 1;
    }
    text_of(&bits)
}

pub(crate) fn updated(core: &str, at: TimestampMs) -> String {
    put(&put(core, 6, 36, at.as_ms() / 100), 42, 36, at.as_ms() / 100)
}

/// A published string as one of TCF 2.3.
pub(crate) fn in_force(published: &str) -> String {
    let (core, rest) = published.split_once('.').map_or((published, ""), |(core, rest)| (core, rest));
    let core = put(&put(&updated(core, UPDATED), 132, 6, 5), 138, 1, 1);
    let own = rest.split('.').any(|segment| segment.starts_with('I'));
    let segments = [core.as_str(), if own { "" } else { DISCLOSED }, rest];
    segments.into_iter().filter(|segment| !segment.is_empty()).collect::<Vec<_>>().join(".")
}

pub(crate) fn parse(text: &str) -> TcString {
    TcString::parse(text, NOW).unwrap()
}

pub(crate) fn ids(vendors: &custodia_profile::VendorSet) -> Vec<u16> {
    vendors.iter().collect()
}

fn disclosed(read: &TcString) -> Vec<u16> {
    ids(read.vendors_disclosed.as_ref().unwrap())
}

#[track_caller]
pub(crate) fn refuses(text: &str, fault: TcStringError) {
    assert_eq!(TcString::parse(text, NOW), Err(fault));
}

/// The example with one field put over.
pub(crate) fn with(at: usize, length: usize, number: i64) -> String {
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
    assert!(read.special_features.is_empty() && read.purposes_consent.is_empty());
    assert_eq!(ids(&read.vendors_consent), [1, 2, 3, 4]);
    assert!(read.vendors_legitimate_interest.is_empty());
    assert_eq!(disclosed(&read), [1, 2, 3, 4, 5, 100, 404]);
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
    assert_eq!(disclosed(&read), [23, 37, 47, 48, 53, 65, 98, 129]);
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
    assert_eq!((first.purpose, first.restriction), (1, VendorRestriction::RequireConsent));
    assert_eq!(ids(&first.vendors), [7, 20, 71, 122, 140, 183]);
    let last = &read.publisher_restrictions[19];
    assert_eq!((last.purpose, last.restriction), (10, VendorRestriction::RequireLegitimateInterest));
    assert_eq!(ids(&last.vendors), [730]);
}

/// iabtcf-es, `TCString.test.ts`: "should unset purposeLegitimateInterests 1, 3, 4, 5 & 6 if it is set".
#[test]
fn purposes_1_and_3_to_6_have_no_legitimate_interest_whatever_the_bits_say() {
    // The bits of the vector say 2 to 10.
    assert_eq!(parse(&in_force(ES_RESTRICTIONS)).purposes_legitimate_interest, [2, 7, 8, 9, 10]);
    assert_eq!(
        parse(&with(176, 24, 0b1111_1111_1110_0000_0000_0001)).purposes_legitimate_interest,
        [2, 7, 8, 9, 10, 11, 24]
    );
    let own = format!(
        "{}.{DISCLOSED}.{}",
        in_force(SPECIFICATION).split('.').next().unwrap(),
        text_of(&bits("011 000000000000000000000000 111111100000000000000000 000000",))
    );
    assert_eq!(parse(&own).publisher.unwrap().purposes_legitimate_interest, [2, 7]);
}

#[test]
fn a_set_of_vendors_is_ordered_and_merged() {
    let entries =
        "1 0000000000000100 0000000000000110 0 0000000000000010 1 0000000000000001 0000000000000011";
    let segment = text_of(&bits(&format!("001 0000000000000111 1 000000000011 {entries}")));
    let text = in_force(SPECIFICATION).replace(DISCLOSED, &segment);
    let disclosed = parse(&text).vendors_disclosed.unwrap();
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
fn what_is_no_base64url_is_refused_and_the_message_says_what_to_do() {
    refuses("", EncodingFault::Empty.into());
    let text = in_force(SPECIFICATION);
    for (broken, fault) in [
        (text.replace('4', "+"), EncodingFault::Standard),
        (text.replace('4', "/"), EncodingFault::Standard),
        (text.replace("AAA.", "A=."), EncodingFault::Padding),
        (format!("{text}="), EncodingFault::Padding),
        (format!("{text}."), EncodingFault::Empty),
        (format!(".{text}"), EncodingFault::Empty),
        (text.replacen('.', "..", 1), EncodingFault::Empty),
        (format!(" {text}"), EncodingFault::Whitespace),
        (format!("{text}\n"), EncodingFault::Whitespace),
        (format!("{text}\r\n"), EncodingFault::Whitespace),
        (text.replace('.', "%2E"), EncodingFault::Percent),
        (format!("{text}%3D"), EncodingFault::Percent),
        (text.replace('4', "é"), EncodingFault::Character),
        (format!("\"{text}\""), EncodingFault::Character),
    ] {
        refuses(&broken, fault.into());
    }
    let messages = [EncodingFault::Padding, EncodingFault::Whitespace, EncodingFault::Percent];
    let messages = messages.map(|fault| ProfileError::from(TcStringError::from(fault)).to_string());
    assert_eq!(messages[0], "tc_string has padding: remove each \"=\"");
    assert_eq!(messages[1], "tc_string has a space, tab or line break");
    assert!(messages[2].contains("decode it first"), "{}", messages[2]);
}

#[test]
fn strings_of_other_frameworks_are_named() {
    refuses("DBACNYA~CPSG_8APSG_8ANwAAAENAwCgAAAA~1YNN", TcStringError::OtherString { kind: "GPP string" });
    refuses("1YNN", TcStringError::OtherString { kind: "US Privacy string" });
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
fn a_string_is_stored_if_it_is_in_force_and_reads_the_same_later() {
    let text = in_force(SPECIFICATION);
    let stored = StoredTcString::new(&text, NOW).unwrap();
    assert_eq!((stored.text.as_str(), stored.recorded_at), (text.as_str(), NOW));
    assert_eq!(stored.parse(), TcString::parse(&text, NOW));
    assert!(!format!("{stored:?}").contains("CQSbk4"), "a consent string is personal data");
    let error = StoredTcString::new(SPECIFICATION, NOW).unwrap_err();
    assert_eq!(
        error,
        ProfileError::TcString { fault: TcStringError::PolicyVersion { found: 2, required: 4 } }
    );
    assert_eq!(error.field(), Some("tc_string"));
    assert!(!error.is_stored_data());
    assert_eq!(
        error.to_string(),
        "tc_string was made under policy version 2; the framework required at least 4 when it was made"
    );
}

#[test]
fn a_string_longer_than_the_limit_is_refused() {
    let text = in_force(SPECIFICATION);
    let longest = format!("{text}{}", "A".repeat(16_384 - text.len()));
    assert!(TcString::parse(&longest, NOW).is_ok());
    refuses(&format!("{longest}A"), TcStringError::TooLong);
}

/// Platforms that restrict purposes for vendors one by one make strings of 4,642 bytes.
#[test]
fn a_string_of_the_size_of_a_real_platform_is_read() {
    let entry = |vendor: u16| format!("0 {vendor:016b}");
    let vendors: String = (1..=130).map(|at| entry(at * 7)).collect();
    let restriction = |purpose: u8| format!("{purpose:06b} 01 000010000010 {vendors}");
    let restrictions: String = (2..=12).map(restriction).collect();
    let example = in_force(SPECIFICATION);
    let core = example.split('.').next().unwrap();
    // The number of restrictions is the last field of the core; one bit of padding follows.
    let mut core = bits_of(core);
    core.truncate(core.len() - 13);
    core.extend(bits(&format!("000000001011 {restrictions}")));
    let text = format!("{}.{DISCLOSED}", text_of(&core));
    assert!(text.len() > 4_096, "{}", text.len());
    let read = parse(&text);
    assert_eq!(read.publisher_restrictions.len(), 11);
    assert_eq!(ids(&read.publisher_restrictions[10].vendors).last(), Some(&910));
}

#[test]
fn a_short_text_that_names_all_vendors_many_times_stays_small() {
    let entry = "1 0000000000000001 1111111111111111";
    let segment = text_of(&bits(&format!("001 1111111111111111 1 001010111100 {}", entry.repeat(700))));
    let read = parse(&in_force(SPECIFICATION).replace(DISCLOSED, &segment));
    let shown = read.vendors_disclosed.unwrap();
    assert_eq!(shown.iter().count(), 65_535);
    assert_eq!(shown.ranges(), [(1, 65_535)]);
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
                prop_assert!(read.service_specific && read.policy_version >= 4);
                prop_assert!(read.vendors_consent.iter().is_sorted_by(|one, next| one < next));
                prop_assert!(StoredTcString::new(text, now).is_ok());
            }
        }
    }
}
