//! GPP strings: those of the specification and of the IAB's libraries, their opt-outs, every fault, and garbage.

use std::collections::BTreeMap;

use custodia_profile::{
    Catalogue, CustomerRecord, Decision, EncodingFault, GppContent, GppRecorded, GppString, GppStringError,
    GroundStatus::{Given, Refused},
    LawfulBasis::Consent,
    LedgerBody, PrivacySignal, ProfileError, Purpose, PurposeFields, StoredGppString, TcStringError,
    TimestampMs, gpp_signals, record_decision, record_gpp_string,
};
use proptest::{collection, prelude::*};

use crate::world::{NOW, answering, at, catalogue, context, decision, label, made, purpose, purpose_fields};

/// The sections of the United States that iabgpp-es publishes.
const PUBLISHED: &str = include_str!("gpp_sections.txt");
/// iabgpp-es and iabgpp-java, `GppModel` tests: every section with the values that a new model has.
const ALL_SECTIONS: &str = "\
    DBACOcGA~CPSG_8APSG_8ANwAAAENAAFgAAAAAAAAAAAAAAAAAAAA.IAAA.YAAAAAAAAAAA~BPSG_8APSG_8AAAAAAENAACAAAAAAAAAAAAAAAAAAA.\
    YAAAAAAAAAA~1---~BAAAAAAAAABA.QA~BAAAAABA.QA~BAAAABA~BAAAAEA.QA~BAAAAAQA~BAAAAAEA.QA~BAAAAABA~BAAAAABA.QA~\
    BAAAAAABAA.QA~BAAAAAQA.QA~BAAAAAABAA.QA~BAAAAAQA.QA~BAAAAAQA.QA~BAAAAABA.QA~BAAAAAAAQA.QA~BAAAAAQA.QA~\
    BAAAAAQA.QA~BQAA.QA~BQAA.AAA~BQAA.AAA~BQAA.AAA";

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn text_of(bits: &str) -> String {
    let bits: Vec<bool> = bits.bytes().filter(|byte| *byte != b' ').map(|byte| byte == b'1').collect();
    let sextet =
        |bits: &[bool]| (0..6).fold(0, |sextet, at| sextet << 1 | usize::from(bits.get(at) == Some(&true)));
    bits.chunks(6).map(|bits| char::from(ALPHABET[sextet(bits)])).collect()
}

/// A header with these items: type 3, version 1, their number.
fn header(items: &[&str]) -> String {
    text_of(&format!("000011 000001 {:012b} {}", items.len(), items.join("")))
}

/// A number in Fibonacci coding, by the rule of the specification.
fn fibonacci(number: u32) -> String {
    let mut row = vec![1, 2];
    while let Some(next) = row.last().map(|last| last + row[row.len() - 2]).filter(|next| *next <= number) {
        row.push(next);
    }
    let (mut rest, mut bits) = (number, String::from("1"));
    for of in row.into_iter().rev() {
        if of <= rest {
            bits.insert(0, '1');
            rest -= of;
        } else if bits.len() > 1 {
            bits.insert(0, '0');
        }
    }
    bits
}

/// A string with one section.
fn single(id: u16, section: &str) -> String {
    format!("{}~{section}", header(&[&format!("0{}", fibonacci(id.into()))]))
}

#[track_caller]
fn refuses(text: &str, fault: GppStringError) {
    assert_eq!(GppString::read(text), Err(fault), "{text}");
}

fn ids(text: &str) -> Vec<u16> {
    GppString::read(text).unwrap().sections.iter().map(|section| section.id).collect()
}

/// The fields of the only section.
fn fields(text: &str) -> BTreeMap<&'static str, Vec<u8>> {
    let read = GppString::read(text).unwrap();
    let [section] = read.sections.as_slice() else { panic!("one section: {read:?}") };
    let GppContent::Us(fields) = &section.content else { panic!("of the United States: {section:?}") };
    fields.iter().map(|field| (field.name, field.values.clone())).collect()
}

#[test]
fn the_examples_of_the_specification_are_read() {
    // Core/Consent String Specification.md, "Header Examples" and "GPP String Examples".
    const TCF: &str = "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA";
    assert_eq!(ids(&format!("DBABM~{TCF}")), [2]);
    assert_eq!(ids(&format!("DBACNY~{TCF}~1YNN")), [2, 6]);
    // The example names section 5, the Canadian one, which this release does not decode.
    let canadian = GppString::read(&format!("DBABjw~{TCF}~1YNN")).unwrap();
    assert_eq!(canadian.sections[0].id, 5);
    assert_eq!(
        (canadian.sections[0].name(), &canadian.sections[0].content),
        (Some("tcfcav1"), &GppContent::Unknown)
    );
    assert_eq!(canadian.sections[1].id, 6);
}

#[test]
fn headers_of_the_libraries_are_read() {
    // iabgpp-es, `HeaderV1.test.ts`.
    assert_eq!(ids("DBAA"), [0_u16; 0]);
    assert_eq!(ids("DBABMA~CPSG_8APSG_8ANwAAAENDgCgAAAAAAAAAAAAAAAAAAAA.IAAA.YAAAAAAAAAAA"), [2]);
    assert_eq!(ids("DBACNYA~CPSG_8APSG_8ANwAAAENAwCgAAAAAAAAAAAAAAAAAAAA.IAAA.YAAAAAAAAAAA~1YNN"), [2, 6]);
    assert_eq!(ids(ALL_SECTIONS), [vec![2], (5..=27).collect()].concat());
    // iabgpp-es, `FibonacciIntegerRangeEncoder.test.ts`: the items and the ids.
    let listed: [(&[&str], &[u16]); 5] = [
        (&["0011"], &[2]),
        (&["1011 1011"], &[2, 3, 4, 5, 6]),
        (&["0011", "10011 011"], &[2, 5, 6, 7]),
        (&["00011", "1011 0011"], &[3, 5, 6, 7, 8]),
        (&["0011", "10011 01011"], &[2, 5, 6, 7, 8, 9, 10, 11, 12]),
    ];
    for (items, expected) in listed {
        let sections = "~x".repeat(expected.len());
        // The sections themselves are not at issue: an id beyond 27 is not decoded.
        let far = [&["0 00000000011"], items].concat();
        let expected: Vec<u16> = std::iter::once(89).chain(expected.iter().map(|id| 89 + id)).collect();
        assert_eq!(ids(&format!("{}~x{sections}", header(&far))), expected);
    }
}

#[test]
fn fibonacci_numbers_up_to_the_largest_section_id_are_read() {
    assert_eq!(
        ["11", "011", "0011", "1011", "00011", "10011", "01011"],
        [1, 2, 3, 4, 5, 6, 7].map(fibonacci)[..]
    );
    for id in [28, 33, 34, 1_000, 46_367, 46_368, 65_535] {
        assert_eq!(ids(&single(id, "x")), [id]);
    }
    let beyond = header(&[&format!("0{}", fibonacci(65_536))]);
    refuses(&format!("{beyond}~x"), GppStringError::SectionId);
    let beyond = header(&[&format!("0{}", fibonacci(65_535)), "011"]);
    refuses(&format!("{beyond}~x~x"), GppStringError::SectionId);
    let endless = header(&["000000000000000000000000000000000000000000"]);
    refuses(&format!("{endless}~x"), GppStringError::SectionId);
}

#[test]
fn sections_of_the_united_states_say_what_the_library_says() {
    let mut sections = 0;
    for line in PUBLISHED.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let (id, text) = (words.next().unwrap().parse().unwrap(), words.next().unwrap());
        let read = fields(&single(id, text));
        for word in words {
            let (name, values) = word.split_once('=').unwrap();
            let expected =
                (values != "-").then(|| values.split(',').map(|value| value.parse().unwrap()).collect());
            assert_eq!(read.get(name).cloned(), expected, "{name} of {id} {text}");
        }
        sections += 1;
    }
    assert_eq!(sections, 38);
}

#[test]
fn national_strings_of_either_version_are_read_by_their_length() {
    // iabgpp-es, `GppModel.test.ts`: the twelfth category and the second age. The library adds zeros to both lists.
    let read = fields("DBABLA~CAAAAAABEQA.QA");
    assert_eq!(read["SensitiveDataProcessing"], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(read["KnownChildSensitiveDataConsents"], [0, 1]);
    let read = fields("DBABLA~CAAAAAAAAQRA.QA");
    assert_eq!(read["SensitiveDataProcessing"], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(read["KnownChildSensitiveDataConsents"], [0, 0, 1]);
    let read = fields("DBABLA~BAAAVVVVUQA.QA");
    assert_eq!((&read["Version"], &read["KnownChildSensitiveDataConsents"]), (&vec![1], &vec![1, 1]));
    // `UsNat.test.ts`.
    let read = fields("DBABLA~CVQqAAAACg");
    assert_eq!((&read["SaleOptOut"], &read["SharingOptOut"]), (&vec![2], &vec![2]));
    assert_eq!((&read["TargetedAdvertisingOptOut"], &read["MspaCoveredTransaction"]), (&vec![2], &vec![2]));
}

#[test]
fn a_tc_string_in_a_gpp_string_is_decoded_in_force_or_not() {
    // iabgpp-es, `GppModel.test.ts`.
    let text = "DBABMA~CPSG_8APSG_8AAAAAAENAAFgAAAAAAAAAAAAAOwAQAOgAAAA.IAOgBgAAgAAA.YAAAAAAAAAAA";
    let read = GppString::read(text).unwrap();
    let GppContent::Tcf(tcf) = &read.sections[0].content else { panic!("section 2") };
    assert_eq!((tcf.vendor_list_version, tcf.policy_version), (0, 5));
    assert_eq!(tcf.created, TimestampMs::from_ms(1_640_995_200_000));
    assert_eq!(tcf.vendors_consent.iter().collect::<Vec<_>>(), [29]);
    assert_eq!(tcf.check_in_force(TimestampMs::from_ms(1_800_000_000_000)), Err(TcStringError::Outdated));
    assert!(read.opt_outs().is_empty());
}

#[test]
fn opt_outs_of_sale_sharing_and_targeting_and_gpc_become_signals() {
    let signals = |text: &str| gpp_signals(&GppString::read(text).unwrap());
    assert!(signals(ALL_SECTIONS).is_empty(), "not applicable is no opt-out");
    // California: each field alone, then none of them.
    use PrivacySignal::{DoNotSell, Gpc, LimitSensitive};
    let core = |sale: &str, sharing: &str, sensitive: &str| {
        text_of(&format!("000001 01 01 01 {sale} {sharing} {sensitive}0000000000000000 0000 00 01 00 00"))
    };
    let california = |sale, sharing, sensitive| signals(&single(8, &core(sale, sharing, sensitive)));
    for (sale, sharing) in [("01", "10"), ("10", "01"), ("01", "01")] {
        assert_eq!(california(sale, sharing, "10"), [DoNotSell], "{sale} {sharing}");
    }
    for (sale, sharing) in [("10", "10"), ("00", "11")] {
        assert!(california(sale, sharing, "00").is_empty(), "{sale} {sharing}");
    }
    assert_eq!(california("10", "10", "01"), [LimitSensitive]);
    let gpc = |segment: &str| signals(&single(8, &format!("{}.{segment}", core("10", "10", "10"))));
    assert_eq!(gpc("YA"), [Gpc]);
    assert!(gpc("QA").is_empty());
    // In Virginia, as in the national section for all states, 1 says that there is no consent.
    let virginia = text_of("000001 01 01 01 10 10 0101010101010101 01 01 01 10");
    assert_eq!(signals(&single(9, &virginia)), [LimitSensitive]);
    assert_eq!(signals("DBABL~CVVqVVVVVapY"), [LimitSensitive]);
    // Every state's own opt-outs, of targeted advertising too.
    for id in 7..=27 {
        let line = PUBLISHED.lines().find(|line| line.starts_with(&format!("{id} B")));
        let section = line.and_then(|line| line.split(' ').nth(1)).unwrap();
        if section != "BAAAVVVVUQA.QA" {
            assert!(!signals(&single(id, section)).is_empty(), "{id} {section}");
        }
    }
}

#[test]
fn a_us_privacy_string_is_read_with_and_without_a_header() {
    // iabgpp-es, `UspV1.test.ts`.
    let expected =
        [("Version", vec![1]), ("Notice", vec![2]), ("OptOutSale", vec![1]), ("LspaCovered", vec![2])];
    assert_eq!(fields("DBABTA~1NYN"), expected.clone().into());
    assert_eq!(fields("1NYN"), expected.into());
    assert_eq!(fields("1---")["OptOutSale"], [0]);
    assert_eq!(gpp_signals(&GppString::read("1YYN").unwrap()), [PrivacySignal::DoNotSell]);
    assert!(GppString::read("1YNN").unwrap().opt_outs().is_empty());
    // The specification knows version 1 alone; the library takes any digit.
    assert_eq!(GppString::read("2YNY").unwrap().sections[0].content, GppContent::Unknown);
    for broken in ["1YN", "1YNNN", "1XNN", "1ynn", "2abc"] {
        refuses(&format!("DBABTA~{broken}"), GppStringError::UsPrivacy);
    }
}

#[test]
fn sections_and_versions_that_are_unknown_are_told_apart_and_hide_no_opt_out() {
    let items = [format!("0{}", fibonacci(8)), format!("0{}", fibonacci(9)), format!("0{}", fibonacci(83))];
    let header = header(&items.iter().map(String::as_str).collect::<Vec<_>>());
    let read = GppString::read(&format!("{header}~BVWSSSVY.YA~PVWSSVY~anything.at-all")).unwrap();
    let unknown: Vec<_> =
        read.sections.iter().map(|section| section.content == GppContent::Unknown).collect();
    assert_eq!(unknown, [false, true, true]);
    let names: Vec<_> = read.sections.iter().map(|section| (section.id, section.name())).collect();
    assert_eq!(names, [(8, Some("usca")), (17, Some("usde")), (100, None)]);
    let all = [PrivacySignal::Gpc, PrivacySignal::DoNotSell, PrivacySignal::LimitSensitive];
    assert_eq!(gpp_signals(&read), all);
    // TCF, version 3.
    assert_eq!(GppString::read("DBABMA~DPSG").unwrap().sections[0].content, GppContent::Unknown);
    // California's section, version 15.
    assert_eq!(GppString::read(&single(8, "PVWSSSVY")).unwrap().sections[0].content, GppContent::Unknown);
}

/// What else a string says is no reason not to hear a no.
#[test]
fn an_opt_out_counts_beside_a_section_or_a_segment_that_cannot_be_read() {
    use PrivacySignal::{DoNotSell, Gpc, LimitSensitive};
    let signals = |text: &str| gpp_signals(&GppString::read(text).unwrap());
    let california = [Gpc, DoNotSell, LimitSensitive];
    // A TC string, and a section of Virginia, that are cut off.
    assert_eq!(signals("DBACNM~CQtA~BVWSSSVY.YA"), california);
    assert_eq!(signals("DBACBs~BVWSSSVY.YA~BV"), california);
    // A segment of another type, twice, or in a section that has none.
    assert_eq!(signals(&single(8, "BVWSSSVY.gA")), [DoNotSell, LimitSensitive]);
    assert_eq!(signals(&single(8, "BVWSSSVY.YA.YA")), california);
    assert_eq!(signals(&single(9, "BVWSSVY.YA")), [DoNotSell, LimitSensitive]);
}

/// The specifications of the sections from 24 on require a header before the core; the libraries write none.
#[test]
fn a_section_is_read_with_its_header_and_without() {
    for section in 24_u16..=27 {
        let core = if section == 24 { "BVVU" } else { "BVVV" };
        let header = text_of(&format!("{section:06b} 000001 000000000001 0 011"));
        let (with, without) = (single(section, &format!("{header}.{core}")), single(section, core));
        let read = |text: &str| GppString::read(text).unwrap();
        assert_eq!(read(&with).sections[0].content, read(&without).sections[0].content, "{section}");
        assert_eq!(gpp_signals(&read(&with)), [PrivacySignal::DoNotSell], "{section}");
        let newer = text_of(&format!("{section:06b} 000010 000000000001 0 011"));
        assert_eq!(
            read(&single(section, &format!("{newer}.{core}"))).sections[0].content,
            GppContent::Unknown
        );
        refuses(&single(section, &header), GppStringError::Truncated { section });
    }
}

#[test]
fn each_fault_has_a_message_of_its_own() {
    // iabgpp-es, `GppModel.test.ts`: sections missing, and a blank one.
    refuses("DBACOeA~~1YNN", GppStringError::SectionCount { listed: 3, found: 2 });
    refuses("DBABTA", GppStringError::SectionCount { listed: 1, found: 0 });
    refuses("DBABTA~1YNN~1YNN", GppStringError::SectionCount { listed: 1, found: 2 });
    refuses("DBAA~1YNN", GppStringError::SectionCount { listed: 0, found: 1 });
    refuses("z", GppStringError::HeaderType { found: 51 });
    refuses("", EncodingFault::Empty.into());
    refuses("DC", GppStringError::Version { found: 2 });
    refuses("DB", GppStringError::HeaderTruncated);
    refuses("DBAB", GppStringError::HeaderTruncated);
    refuses("CQSbk4AQSbk4ANwAAAENAwCgAAAAAAAAAAYgACPAAAAA", GppStringError::TcString);
    refuses("CQSbk4AQSbk4ANwAAAENAwCgAAAAAAAAAAYgACPAAAAA.YAAAAAAAAAAA", GppStringError::TcString);
    refuses("DBABTA~1YNN\n", EncodingFault::Whitespace.into());
    refuses("DBABTA%7E1YNN", EncodingFault::Percent.into());
    refuses("DBABTA=~1YNN", EncodingFault::Padding.into());
    refuses("DBABTA~1Y+N", EncodingFault::Standard.into());
    refuses("DBABTA~1YñN", EncodingFault::Character.into());
    refuses(&single(8, ""), EncodingFault::Empty.into());
    refuses(&single(8, "BVWSSSV"), GppStringError::Truncated { section: 8 });
    refuses(&single(8, "BVWSSSVY."), EncodingFault::Empty.into());
    refuses(&single(25, "BVVq.kk"), GppStringError::Truncated { section: 25 });
    // "Should throw Error on garbage", in the tests of each section of iabgpp-es.
    for section in (7..=23).chain([2]) {
        refuses(&single(section, "z"), GppStringError::Truncated { section });
    }
    refuses("DBABMA~CPSG", GppStringError::Tcf(TcStringError::Truncated));
    refuses(&format!("DBABTA~{}", "A".repeat(20_480)), GppStringError::TooLong);
    let message = GppString::read("DBABTA%7E1YNN").unwrap_err().to_string();
    assert_eq!(message, "is percent-encoded: \"%2E\" stands for a dot, \"%7E\" for a tilde; decode it first");
}

/// Opted out of sale, and with the GPC segment of a browser without the signal.
const OPTED_OUT: &str = "DBABBg~BVWSSSVY.QA";
/// Not opted out, but with a browser's signal.
const WITH_GPC: &str = "DBABBg~BVoAAABY.YA";
/// Not opted out.
const NOT_OPTED_OUT: &str = "DBABBg~BVoAAABY.QA";

fn record_gpp(
    record: &CustomerRecord,
    text: &str,
    made_at: TimestampMs,
    now: TimestampMs,
) -> Result<GppRecorded, ProfileError> {
    record_gpp_string(record, text, Some(&label("web")), made(made_at), &selling(), context(now))
}

/// A catalogue with one purpose that sells.
fn selling() -> Catalogue {
    let mut catalogue = catalogue();
    let fields = PurposeFields { sale_or_sharing: true, ..purpose_fields(21, "selling", &[Consent]) };
    catalogue.put_purpose(Purpose::new(fields).unwrap()).unwrap();
    catalogue
}

fn in_california() -> CustomerRecord {
    let mut record = CustomerRecord::new(at(-1_000));
    record.subject.regions = ["US-CA".parse().unwrap()].into();
    record
}

#[test]
fn a_gpp_string_is_stored_with_its_ledger_entry_and_its_opt_outs() {
    let after = record_gpp(&in_california(), OPTED_OUT, NOW, NOW).unwrap();
    let stored = after.record.gpp_string.clone().unwrap();
    assert_eq!((stored.text.as_str(), stored.recorded_at), (OPTED_OUT, NOW));
    assert_eq!(after.ledger[0].body, LedgerBody::GppString(stored));
    assert_eq!(after.record.ground(purpose(21), Consent).map(|state| state.status), Some(Refused));
    assert_eq!(after.record.ledger_entries, after.ledger.len() as u64);
    let subject = &after.record.subject;
    assert!(
        subject.do_not_sell.is_some() && subject.sensitive_limit.is_some() && subject.sale_opt_out.is_none()
    );
    // The same again is no new statement: it does not take back what the customer permitted since.
    let again = record_gpp(&after.record, OPTED_OUT, at(1), at(1)).unwrap();
    assert_eq!((&again.record, again.ledger.len()), (&after.record, 0));
    let given = Decision { decided_at: Some(at(2)), ..decision(21, Consent, Given) };
    let given =
        record_decision(&after.record, &answering(&after.record, given), &selling(), context(at(2))).unwrap();
    let thrice = record_gpp(&given.record, OPTED_OUT, at(3), at(3)).unwrap();
    assert_eq!((&thrice.record, thrice.ledger.len()), (&given.record, 0));
    // Another string with an opt-out is one, and so is a browser's signal with each page.
    let status = |record: &CustomerRecord| record.ground(purpose(21), Consent).map(|state| state.status);
    let other = record_gpp(&given.record, "1YYN", at(3), at(3)).unwrap();
    assert_eq!(status(&other.record), Some(Refused));
    let browser = record_gpp(&in_california(), WITH_GPC, NOW, NOW).unwrap().record;
    let given = Decision { decided_at: Some(at(2)), ..decision(21, Consent, Given) };
    let given = record_decision(&browser, &answering(&browser, given), &selling(), context(at(2))).unwrap();
    let next_page = record_gpp(&given.record, WITH_GPC, at(3), at(3)).unwrap();
    assert_eq!((status(&given.record), status(&next_page.record)), (Some(Given), Some(Refused)));
}

#[test]
fn of_two_gpp_strings_the_one_sent_later_counts_but_an_opt_out_always() {
    let said_no = record_gpp(&in_california(), OPTED_OUT, at(5), at(5)).unwrap().record;
    let late = record_gpp(&said_no, NOT_OPTED_OUT, NOW, at(9));
    assert_eq!(late.unwrap_err(), ProfileError::RequestSuperseded);
    let newer = record_gpp(&said_no, NOT_OPTED_OUT, at(6), at(9)).unwrap().record;
    assert_eq!(newer.gpp_string.as_ref().unwrap().text.as_str(), NOT_OPTED_OUT);
    assert_eq!(
        newer.ground(purpose(21), Consent).map(|state| state.status),
        Some(Refused),
        "it grants nothing"
    );
    let retried = record_gpp(&newer, OPTED_OUT, at(5), at(10)).unwrap().record;
    assert_eq!(retried.gpp_string, newer.gpp_string, "the one that was sent last is kept");
    assert!(retried.subject.do_not_sell >= newer.subject.do_not_sell);
}

#[test]
fn a_gpp_string_that_is_malformed_is_not_stored() {
    let error = record_gpp(&in_california(), "DBABTA", NOW, NOW).unwrap_err();
    assert_eq!(error.field(), Some("gpp_string"));
    assert_eq!(error.to_string(), "gpp_string lists 1 sections in its header and has 0");
    let stored = StoredGppString::new(OPTED_OUT, NOW).unwrap();
    assert!(!format!("{stored:?}").contains("BVWSSSVY"), "a consent string is personal data");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn damaged_strings_are_a_value_or_a_fault_and_never_a_panic(
        flips in collection::vec((any::<prop::sample::Index>(), 0_usize..66), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = ALL_SECTIONS.as_bytes().to_vec();
        for (at, character) in flips {
            let at = at.index(bytes.len());
            bytes[at] = ALPHABET.get(character).copied().unwrap_or(if character == 64 { b'.' } else { b'~' });
        }
        for length in [bytes.len(), cut.index(bytes.len())] {
            let text = std::str::from_utf8(&bytes[..length]).unwrap();
            if let Ok(read) = GppString::read(text) {
                prop_assert!(read.sections.is_sorted_by(|one, next| one.id < next.id));
            }
        }
    }

    #[test]
    fn garbage_is_never_a_panic(text in "\\PC{0,80}") {
        let _read = GppString::read(&text).is_ok();
    }
}
