//! The hours in which a law allows no contact.

use custodia_profile::{
    ChannelKind, Contact, Jurisdiction, PreferenceFields, Preferences, RefusalReason, Region, TimeZoneName,
};

use crate::contact::check::{ALLOWED, QUIET, ask, consenting, is_quiet, later, utc};
use crate::contact::preferences::{berlin, channel, quiet};
use crate::world::catalogue;

/// 47 CFR 64.1200(c)(1).
#[test]
fn nobody_is_called_at_night_or_where_it_may_be_night() {
    let resident = |region: &str, zone: Option<&str>| {
        let time_zone = zone.map(|zone| TimeZoneName::new(zone).unwrap());
        let mut record = consenting(PreferenceFields { time_zone, ..PreferenceFields::default() });
        record.subject.regions.insert(region.parse().unwrap());
        record
    };
    let colorado = resident("US-CO", Some("America/Denver"));
    let hours = RefusalReason::CallingHours;
    let eight = utc("2026-06-15T14:00:00Z");
    for (moment, expected) in [
        ("2026-06-15T09:00:00Z", later(eight, hours)),
        ("2026-06-15T13:59:59.999Z", later(eight, hours)),
        ("2026-06-15T14:00:00Z", ALLOWED),
        ("2026-06-16T02:59:59.999Z", ALLOWED),
        ("2026-06-16T03:00:00Z", later(utc("2026-06-16T14:00:00Z"), hours)),
    ] {
        assert_eq!(ask(&colorado, "phone", utc(moment)), expected, "{moment}");
        assert_eq!(ask(&colorado, "automated-call", utc(moment)), expected, "{moment}");
        assert_eq!(ask(&colorado, "sms", utc(moment)), ALLOWED, "a text waits: {moment}");
    }
    let unknown = Contact::NotAllowed(RefusalReason::TimeZoneUnknown);
    assert_eq!(ask(&resident("US-CO", None), "phone", eight), unknown);
    assert_eq!(ask(&resident("US-CO", None), "email", eight), ALLOWED);
    // The law of each region, and the stricter of the law and the customer's wish.
    let mut both = resident("AU", Some("America/Denver"));
    both.subject.regions.insert("US-CO".parse().unwrap());
    assert_eq!(ask(&both, "phone", eight), later(utc("2026-06-15T15:00:00Z"), hours));
    let sunday = utc("2026-06-14T18:00:00Z");
    assert_eq!(ask(&both, "phone", sunday), later(utc("2026-06-15T15:00:00Z"), hours));
    let mut late = colorado.clone();
    let fields =
        PreferenceFields { quiet_hours: vec![quiet(&[], "18:00", "12:00")], ..(*late.preferences).clone() };
    late.preferences = Preferences::new(fields).unwrap();
    assert_eq!(ask(&late, "phone", eight), later(utc("2026-06-15T18:00:00Z"), QUIET));
}

/// Each quarter of an hour of a week: where some law forbids a contact, the strictest one does.
#[test]
fn the_default_forbids_every_contact_that_a_law_forbids_at_an_hour() {
    let catalogue = catalogue();
    let monday = utc("2026-01-11T23:00:00Z");
    let default = catalogue.jurisdiction("default").unwrap();
    for kind in ChannelKind::ALL {
        let of = |law: &Jurisdiction, region: Option<&Region>| {
            let hours = law.no_contact_hours_in(region, kind).into_iter().cloned().collect();
            PreferenceFields { quiet_hours: hours, ..berlin() }
        };
        let strictest = of(default, None);
        for jurisdiction in catalogue.jurisdictions() {
            let named = jurisdiction.no_contact_hours.iter().flat_map(|of| &of.regions);
            for region in named.map(Some).chain([None]) {
                let law = of(jurisdiction, region);
                let is_call = [ChannelKind::Call, ChannelKind::AutomatedCall].contains(&kind);
                assert!(!is_call || !law.quiet_hours.is_empty(), "{}", jurisdiction.id);
                let minutes = if law.quiet_hours.is_empty() { 0 } else { 7 * 24 * 60 };
                for minute in (0..minutes).step_by(15) {
                    let moment = monday.plus_ms(minute * 60_000);
                    let forbids = |law| is_quiet(law, &channel("any"), moment);
                    assert!(!forbids(&law) || forbids(&strictest), "{} {kind:?} {minute}", jurisdiction.id);
                }
            }
        }
    }
}
