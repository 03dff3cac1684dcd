//! Jurisdictions: the built-in ones, which one holds where, and what cannot be defined (CO-9).

use custodia_profile::{
    Catalogue, ChannelKind, ConsentModel, ContactChannel, Jurisdiction, JurisdictionFields, LawfulBasis,
    NoContactHours, ProfileError, QuietHours, Region, RegionalAge, Revision, SensitiveConsent,
};

fn region(code: &str) -> Region {
    code.parse().unwrap()
}

fn regions(codes: &[&str]) -> Vec<Region> {
    codes.iter().map(|code| region(code)).collect()
}

fn at(catalogue: &Catalogue, code: &str) -> String {
    catalogue.jurisdiction_of(Some(&region(code))).id.to_string()
}

fn built_in(id: &str) -> JurisdictionFields {
    (***Catalogue::new().jurisdiction(id).unwrap()).clone()
}

fn of(id: &str, codes: &[&str]) -> JurisdictionFields {
    JurisdictionFields {
        id: id.parse().unwrap(),
        regions: regions(codes),
        regional_ages: Vec::new(),
        no_contact_hours: Vec::new(),
        ..built_in("eu")
    }
}

/// GDPR Art. 8(1).
#[test]
fn each_state_of_the_eea_has_its_own_age() {
    let ages = [
        (13, "BE EE FI IS LV MT NO PT SE"),
        (14, "AT BG CY ES IT LT"),
        (15, "CZ DK FR GR SI"),
        (16, "DE HR HU IE LI LU NL PL RO SK"),
    ];
    let eu = built_in("eu");
    let mut stated = 0;
    for (years, codes) in ages {
        for code in codes.split(' ').map(region) {
            let at = Catalogue::new().jurisdiction_of(Some(&code)).guardian_below_age_in(Some(&code));
            assert_eq!(at, years, "{code}");
            stated += 1;
        }
    }
    assert_eq!(stated, eu.regions.len());
    let eu = Jurisdiction::new(eu).unwrap();
    assert_eq!(eu.guardian_below_age_in(Some(&region("FR-IDF"))), 15, "a part of a country has its age");
    assert_eq!(eu.guardian_below_age_in(None), 16);
}

/// CO-9.
#[test]
fn the_states_that_honour_opt_out_signals_and_the_countries_of_the_sources_are_built_in() {
    let catalogue = Catalogue::new();
    for state in ["CA", "CO", "CT", "DE", "MD", "MN", "MT", "NE", "NH", "NJ", "OR", "TX"] {
        let code = format!("US-{state}");
        let of = catalogue.jurisdiction_of(Some(&region(&code)));
        assert_eq!(of.id.as_str(), code.to_lowercase());
        assert!(of.consent_model == ConsentModel::OptOut && of.honours_gpc, "{code}");
        let form = if state == "CA" { SensitiveConsent::NotRefused } else { SensitiveConsent::OptIn };
        assert_eq!(of.sensitive_consent, form, "{code}");
    }
    for code in ["GB", "CH", "CA", "CA-QC", "CN", "IN", "TH", "IR", "KR", "JP", "ZA", "TR", "AU", "RU", "BR"]
    {
        let of = catalogue.jurisdiction_of(Some(&region(code)));
        assert_eq!(of.id.as_str(), code.to_lowercase());
        assert_eq!(of.consent_model, ConsentModel::OptIn, "{code}");
    }
    for of in catalogue.jurisdictions() {
        assert!(of.law.ends_with("A starting point for counsel."), "{}", of.id);
        assert!(of.built_in && of.revision == Revision::NONE && !of.display_name.is_empty(), "{}", of.id);
    }
}

#[test]
fn a_built_in_jurisdiction_is_as_valid_as_any_other() {
    for jurisdiction in Catalogue::new().jurisdictions() {
        let fields: JurisdictionFields = (***jurisdiction).clone();
        assert_eq!(fields.id.as_str().parse(), Ok(fields.id.clone()));
        for code in &fields.regions {
            assert_eq!(code.as_str().parse(), Ok(code.clone()));
        }
        assert_eq!(Jurisdiction::new(fields).as_ref(), Ok(&**jurisdiction));
    }
}

#[test]
fn the_default_is_at_least_as_strict_as_every_opt_in_jurisdiction() {
    let catalogue = Catalogue::new();
    let default = catalogue.jurisdiction("default").unwrap();
    for other in catalogue.jurisdictions() {
        let known = |basis: &LawfulBasis| other.knows(*basis) || *basis == LawfulBasis::Contract;
        assert!(default.lawful_bases.iter().all(known), "{}", other.id);
        let carries =
            |basis: &LawfulBasis| other.sensitive_bases.contains(basis) || other.id.as_str() == "us-md";
        assert!(default.sensitive_bases.iter().all(carries), "{}", other.id);
        assert!(default.sale_forbidden_below_age >= other.sale_forbidden_below_age, "{}", other.id);
        let ages = other.regional_ages.iter().map(|age| age.guardian_below_age);
        assert!(ages.chain([other.guardian_below_age]).all(|years| years <= default.guardian_below_age));
        assert!(default.sensitive_consent >= other.sensitive_consent, "{}", other.id);
        assert!(other.consent_channels.iter().all(|kind| default.needs_consent(*kind)), "{}", other.id);
        assert!(default.soft_opt_in_channels.is_empty());
        assert!(default.consent_model == ConsentModel::OptIn && default.honours_gpc);
    }
}

#[test]
fn the_most_specific_region_wins_then_the_country_then_the_default() {
    let mut catalogue = Catalogue::new();
    assert_eq!(at(&catalogue, "US-CA"), "us-ca");
    assert_eq!(at(&catalogue, "US-NY"), "default");
    assert_eq!(at(&catalogue, "US"), "default");
    assert_eq!(at(&catalogue, "DE-BY"), "eu");
    assert_eq!(at(&catalogue, "NZ"), "default");
    assert_eq!(at(&catalogue, "CA-QC"), "ca-qc");
    assert_eq!(at(&catalogue, "CA-ON"), "ca");
    assert_eq!(catalogue.jurisdiction_of(None).id.as_str(), "default");
    catalogue.put_jurisdiction(Jurisdiction::new(of("us", &["US"])).unwrap()).unwrap();
    catalogue.put_jurisdiction(Jurisdiction::new(of("bavaria", &["DE-BY"])).unwrap()).unwrap();
    assert_eq!(at(&catalogue, "US-CA"), "us-ca");
    assert_eq!(at(&catalogue, "US-NY"), "us");
    assert_eq!(at(&catalogue, "DE-BY"), "bavaria");
    assert_eq!(at(&catalogue, "DE-BE"), "eu");
}

#[test]
fn a_region_stands_in_one_jurisdiction_only() {
    let mut catalogue = Catalogue::new();
    let germany = Jurisdiction::new(of("de", &["DE"])).unwrap();
    let twice = ProfileError::Duplicate { field: "jurisdiction.regions" };
    let before = catalogue.clone();
    assert_eq!(catalogue.put_jurisdiction(germany.clone()), Err(twice));
    assert_eq!(catalogue, before, "what is refused changes nothing");
    let mut rest = built_in("eu");
    rest.regions.retain(|code| code.as_str() != "DE");
    catalogue.put_jurisdiction(Jurisdiction::new(rest).unwrap()).unwrap();
    assert_eq!(at(&catalogue, "DE"), "default", "a region that is given up is in none");
    catalogue.put_jurisdiction(germany).unwrap();
    assert_eq!(at(&catalogue, "DE"), "de");
    assert_eq!(at(&catalogue, "FR"), "eu");
}

/// A catalogue is loaded by name: `de` comes before the change of `eu` that gave the region up.
#[test]
fn a_region_that_moved_is_loaded_in_whatever_order() {
    let mut rest = built_in("eu");
    rest.regions.retain(|code| code.as_str() != "DE");
    let rest = Jurisdiction::new(rest).unwrap();
    let germany = Jurisdiction::new(of("de", &["DE"])).unwrap();
    let one = Catalogue::from_entries([germany.clone().into(), rest.clone().into()]).unwrap();
    assert_eq!(at(&one, "DE"), "de");
    assert_eq!(Catalogue::from_entries([rest.into(), germany.clone().into()]), Ok(one));
    let refused = Catalogue::from_entries([germany.into()]);
    assert_eq!(refused, Err(ProfileError::Duplicate { field: "jurisdiction.regions" }));
}

#[test]
fn an_update_of_a_built_in_jurisdiction_replaces_it() {
    let mut catalogue = Catalogue::new();
    let stated = JurisdictionFields {
        guardian_below_age: 16,
        built_in: false,
        revision: Revision::from_u64(1),
        ..built_in("default")
    };
    catalogue.put_jurisdiction(Jurisdiction::new(stated).unwrap()).unwrap();
    let elsewhere = catalogue.jurisdiction_of(None);
    assert_eq!((elsewhere.guardian_below_age, elsewhere.revision), (16, Revision::from_u64(1)));
    assert!(elsewhere.built_in, "by its name");
    assert_eq!(catalogue.jurisdiction("default"), Some(elsewhere));
    let own = Jurisdiction::new(JurisdictionFields { built_in: true, ..of("de", &[]) }).unwrap();
    assert!(!own.built_in);
}

#[test]
fn a_jurisdiction_error_names_the_field_and_the_limit() {
    let good = || built_in("eu");
    let code = |at: u32| format!("ZZ-{at}");
    let ages = |codes: &[&str]| -> Vec<RegionalAge> {
        regions(codes).into_iter().map(|region| RegionalAge { region, guardian_below_age: 15 }).collect()
    };
    let many: Vec<_> = (0..257).map(|at| region(&code(at))).collect();
    let cases = [
        (
            JurisdictionFields { display_name: "x".repeat(129), ..good() },
            "jurisdiction.display_name is longer than 128 bytes",
        ),
        (JurisdictionFields { law: "x".repeat(513), ..good() }, "jurisdiction.law is longer than 512 bytes"),
        (JurisdictionFields { regions: many, ..good() }, "jurisdiction.regions has more than 256 entries"),
        (
            JurisdictionFields { regions: regions(&["DE", "DE"]), ..good() },
            "jurisdiction.regions has a duplicate entry",
        ),
        (
            JurisdictionFields { regions: regions(&["JP"]), ..built_in("default") },
            "jurisdiction.regions is malformed, expected none: this one applies where no other does",
        ),
        (
            JurisdictionFields { regional_ages: ages(&["FR", "FR"]), ..good() },
            "jurisdiction.regional_ages has a duplicate entry",
        ),
        (
            JurisdictionFields { regional_ages: ages(&["FR-IDF", "JP"]), ..good() },
            "jurisdiction.regional_ages is malformed, expected some of the regions, or parts of them",
        ),
        (JurisdictionFields { lawful_bases: vec![], ..good() }, "jurisdiction.lawful_bases is required"),
        (
            JurisdictionFields { lawful_bases: vec![LawfulBasis::Consent; 2], ..good() },
            "jurisdiction.lawful_bases has a duplicate entry",
        ),
        (
            JurisdictionFields { sensitive_bases: vec![LawfulBasis::Consent; 2], ..good() },
            "jurisdiction.sensitive_bases has a duplicate entry",
        ),
        (
            JurisdictionFields { lawful_bases: vec![LawfulBasis::Consent], ..good() },
            "jurisdiction.sensitive_bases is malformed, expected some of lawful_bases",
        ),
    ];
    assert!(Jurisdiction::new(good()).is_ok());
    each_is_refused(cases);
}

/// Each with its error.
fn each_is_refused(cases: impl IntoIterator<Item = (JurisdictionFields, &'static str)>) {
    for (fields, text) in cases {
        assert_eq!(Jurisdiction::new(fields).unwrap_err().to_string(), text);
    }
}

#[test]
fn an_error_of_hours_or_of_channels_names_the_field_and_the_limit() {
    let good = || built_in("eu");
    let night = good().no_contact_hours[0].clone();
    each_is_refused([
        (
            JurisdictionFields { no_contact_hours: vec![night.clone(); 65], ..good() },
            "jurisdiction.no_contact_hours has more than 64 entries",
        ),
        (
            JurisdictionFields {
                no_contact_hours: vec![NoContactHours {
                    hours: QuietHours { channel: ContactChannel::new("", "sms").ok(), ..night.hours.clone() },
                    ..night.clone()
                }],
                ..good()
            },
            "jurisdiction.no_contact_hours is malformed, expected no channel: kinds say on which channels",
        ),
        (
            JurisdictionFields {
                no_contact_hours: vec![NoContactHours { regions: regions(&["JP"]), ..night.clone() }],
                ..good()
            },
            "jurisdiction.no_contact_hours is malformed, expected some of the regions, or parts of them",
        ),
        (
            JurisdictionFields {
                no_contact_hours: vec![NoContactHours { kinds: vec![ChannelKind::Call; 2], ..night }],
                ..good()
            },
            "jurisdiction.no_contact_hours has a duplicate entry",
        ),
        (
            JurisdictionFields { consent_channels: vec![ChannelKind::Call; 2], ..good() },
            "jurisdiction.consent_channels has a duplicate entry",
        ),
        (
            JurisdictionFields { soft_opt_in_channels: vec![ChannelKind::Post], ..good() },
            "jurisdiction.soft_opt_in_channels is malformed, expected some of consent_channels",
        ),
        (
            JurisdictionFields { soft_opt_in_channels: vec![ChannelKind::ElectronicMail], ..built_in("ca") },
            "jurisdiction.soft_opt_in_channels is malformed, expected none: without legitimate interests there is \
             no soft opt-in",
        ),
    ]);
}

/// The more specific region wins, for each kind by itself.
#[test]
fn a_region_has_the_hours_that_name_it_in_place_of_the_others() {
    let night = built_in("eu").no_contact_hours[0].clone();
    let of = |codes: &[&str], kinds: &[ChannelKind], begins: &str| NoContactHours {
        hours: QuietHours { begins: begins.parse().unwrap(), ..night.hours.clone() },
        regions: regions(codes),
        kinds: kinds.to_vec(),
    };
    let texts = [ChannelKind::TextMessage];
    let no_contact_hours = vec![
        of(&[], &[], "20:00"),
        of(&["FR"], &[], "19:00"),
        of(&["FR-IDF"], &[], "18:00"),
        of(&[], &texts, "22:00"),
    ];
    let eu = Jurisdiction::new(JurisdictionFields { no_contact_hours, ..built_in("eu") }).unwrap();
    let begins = |code: &str, kind| {
        let region = region(code);
        let hours = eu.no_contact_hours_in(Some(&region), kind);
        hours.iter().map(|of| of.begins.to_string()).collect::<Vec<_>>().join(" ")
    };
    for kind in [ChannelKind::Call, ChannelKind::AutomatedCall] {
        assert_eq!(begins("DE", kind), "20:00");
        assert_eq!(begins("FR", kind), "19:00");
        assert_eq!(begins("FR-BRE", kind), "19:00");
        assert_eq!(begins("FR-IDF", kind), "18:00");
    }
    assert_eq!(begins("FR", ChannelKind::TextMessage), "22:00", "nothing is said of texts in France");
    assert_eq!(begins("FR", ChannelKind::ElectronicMail), "");
    assert_eq!(eu.no_contact_hours_in(None, ChannelKind::Call).len(), 1);
}

#[test]
fn the_catalogue_holds_512_jurisdictions() {
    let mut catalogue = Catalogue::new();
    let numbered = |at: usize| Jurisdiction::new(of(&format!("own-{at}"), &[])).unwrap();
    for at in catalogue.jurisdictions().count()..512 {
        catalogue.put_jurisdiction(numbered(at)).unwrap();
    }
    let full = ProfileError::TooMany { field: "jurisdictions", count_max: 512 };
    assert_eq!(catalogue.put_jurisdiction(numbered(512)), Err(full));
    assert_eq!(catalogue.put_jurisdiction(numbered(511)), Ok(()), "a replacement takes no further entry");
}
