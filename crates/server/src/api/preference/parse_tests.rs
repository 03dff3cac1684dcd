//! Preferences from the wire and back.

use custodia_profile::{Catalogue, CustomerId, LawfulBasis, PoolId, Preferences, Revision};
use custodia_proto::v1;

use super::parse::{Addresses, PreferenceChanges, wire};
use crate::{
    catalogue::{CatalogueView, test_entries},
    wire::{ServiceError, convert::RecordVersion},
};

fn view() -> CatalogueView {
    let mut catalogue = Catalogue::new();
    let purpose = test_entries::purpose(1, "newsletter", &[LawfulBasis::Consent]);
    catalogue.put_purpose(purpose).expect("taken");
    CatalogueView { directory: std::sync::Arc::default(), catalogue: catalogue.into(), version: 1 }
}

fn customer() -> CustomerId {
    CustomerId::from_parts(1_700_000_000_000, [7; 10], PoolId::DEFAULT)
}

fn sent() -> v1::Preferences {
    let text = str::to_owned;
    v1::Preferences {
        customer_id: customer().to_string(),
        language: text("de-CH"),
        time_zone: text("Europe/Zurich"),
        channels: vec![
            v1::ChannelPreference {
                channel: text("email"),
                wanted: true,
                address: text("ana@example.org"),
                unwanted_purposes: vec![text("newsletter")],
            },
            v1::ChannelPreference { channel: text("phone"), ..Default::default() },
        ],
        frequency_caps: vec![v1::FrequencyCap {
            channel: text("email"),
            purpose: text("newsletter"),
            contacts_max: 2,
            window_hours: 168,
        }],
        quiet_hours: vec![v1::QuietHours {
            days: vec![6, 7],
            begins: text("22:00"),
            ends: text("08:30"),
            channel: String::new(),
        }],
        topics: vec![v1::TopicPreference { topic: text("sailing"), wanted: true }],
        etag: "0000000000000007".to_owned(),
    }
}

/// What is stored of a customer without preferences after an update without a mask.
fn preferences(wire: &v1::Preferences, view: &CatalogueView) -> Result<Preferences, ServiceError> {
    PreferenceChanges::parse(wire, None, view)?.apply(&Preferences::default())
}

/// The path of the invalid field, below the preferences.
fn fault(change: impl FnOnce(&mut v1::Preferences)) -> String {
    let mut wire = sent();
    change(&mut wire);
    let error = preferences(&wire, &view()).expect_err("refused");
    let ServiceError::Field { field, .. } = error else { panic!("no field: {error}") };
    field.strip_prefix("preferences.").expect("below the preferences").to_owned()
}

#[test]
fn preferences_come_back_as_they_were_sent() {
    let stored = preferences(&sent(), &view()).expect("valid");
    let at = RecordVersion { customer: customer(), revision: Revision::from_u64(7) };
    assert_eq!(wire(at, &stored, Addresses::Given, &view().catalogue), sent());
}

#[test]
fn addresses_are_left_out_and_nothing_else() {
    let stored = preferences(&sent(), &view()).expect("valid");
    let at = RecordVersion { customer: customer(), revision: Revision::from_u64(7) };
    let mut expected = sent();
    expected.channels[0].address.clear();
    assert_eq!(wire(at, &stored, Addresses::LeftOut, &view().catalogue), expected);
}

#[test]
fn an_error_names_the_entry_and_the_field() {
    for (expected, change) in [
        ("channels[1].channel", (|wire| wire.channels[1].channel.clear()) as fn(&mut v1::Preferences)),
        ("channels[1].channel", |wire| wire.channels[1].channel = "carrierpigeon".to_owned()),
        ("frequency_caps[0].channel", |wire| wire.frequency_caps[0].channel = "e-mail".to_owned()),
        ("quiet_hours[0].channel", |wire| wire.quiet_hours[0].channel = "e-mail".to_owned()),
        ("channels[0].unwanted_purposes[0]", |wire| wire.channels[0].unwanted_purposes[0].push('x')),
        ("channels.unwanted_purposes", |wire| wire.channels[0].wanted = false),
        ("channels[0].address", |wire| wire.channels[0].address = "x".repeat(257)),
        ("channels", |wire| wire.channels[1].channel = "EMAIL".to_owned()),
        ("frequency_caps[0].purpose", |wire| wire.frequency_caps[0].purpose = "unknown".to_owned()),
        ("frequency_caps.contacts_max", |wire| wire.frequency_caps[0].contacts_max = 256 + 2),
        ("frequency_caps.window_hours", |wire| wire.frequency_caps[0].window_hours = 65_536 + 1),
        ("quiet_hours[0].days", |wire| wire.quiet_hours[0].days.push(0)),
        ("quiet_hours[0].days", |wire| wire.quiet_hours[0].days.push(8)),
        ("quiet_hours[0].begins", |wire| wire.quiet_hours[0].begins = "24:00".to_owned()),
        ("quiet_hours[0].ends", |wire| wire.quiet_hours[0].ends.clear()),
        ("time_zone", |wire| wire.time_zone.clear()),
        ("time_zone", |wire| wire.time_zone = "Europe/Nowhere".to_owned()),
        ("language", |wire| wire.language = "d€".to_owned()),
        ("topics[0].topic", |wire| wire.topics[0].topic = "Sailing!".to_owned()),
    ] {
        assert_eq!(fault(change), expected);
    }
}

#[test]
fn a_cap_for_all_purposes_names_none() {
    let mut wire = sent();
    wire.frequency_caps.push(v1::FrequencyCap { window_hours: 1, ..v1::FrequencyCap::default() });
    let parsed = preferences(&wire, &view()).expect("valid");
    let named: Vec<_> = parsed.frequency_caps.iter().map(|cap| cap.purpose.map(|at| at.as_u32())).collect();
    assert_eq!(named, [Some(1), None]);
    for wrong in ["No name", "unknown"] {
        wire.frequency_caps[1].purpose = wrong.to_owned();
        let error = preferences(&wire, &view()).expect_err("refused");
        assert!(error.to_string().starts_with("preferences.frequency_caps[1].purpose"), "{error}");
    }
}

#[test]
fn an_update_leaves_what_it_does_not_name() {
    let stored = preferences(&sent(), &view()).expect("valid");
    let update = |wire: &v1::Preferences, paths: Option<&[&str]>| {
        let paths = paths.map(|paths| paths.iter().map(|&path| path.to_owned()).collect());
        let mask = paths.map(|paths| prost_types::FieldMask { paths });
        PreferenceChanges::parse(wire, mask.as_ref(), &view())?.apply(&stored)
    };
    let at = RecordVersion { customer: customer(), revision: Revision::from_u64(7) };
    let shown = |after: Preferences| wire(at, &after, Addresses::Given, &view().catalogue);
    let french = v1::Preferences { language: "fr".to_owned(), ..Default::default() };
    let expected = v1::Preferences { language: "fr".to_owned(), ..sent() };
    assert_eq!(shown(update(&french, None).expect("valid")), expected);
    assert_eq!(shown(update(&french, Some(&["language"])).expect("valid")), expected);
    let without = v1::Preferences { topics: Vec::new(), language: String::new(), ..sent() };
    let nothing = v1::Preferences::default();
    assert_eq!(shown(update(&nothing, Some(&["topics", "language"])).expect("valid")), without);
    assert_eq!(update(&french, Some(&["topics"])).expect("valid").language, stored.language, "not named");
    let unknown = update(&french, Some(&["etag"])).expect_err("refused").to_string();
    assert!(unknown.starts_with("update_mask"), "{unknown}");
    let no_zone = update(&nothing, Some(&["time_zone"])).expect_err("the quiet hours need it").to_string();
    assert!(no_zone.starts_with("preferences.time_zone"), "{no_zone}");
}
