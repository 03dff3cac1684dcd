//! Jurisdictions: the built-in ones, which one holds where, and what cannot be defined (CO-9).

use custodia_profile::{
    Catalogue, ConsentModel, Jurisdiction, JurisdictionFields, LawfulBasis, ProfileError, Region, Revision,
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
    JurisdictionFields { id: id.parse().unwrap(), regions: regions(codes), ..built_in("eu") }
}

/// Whoever changes one of these changes what a new cluster permits, and how a decision of the past is replayed.
#[test]
fn the_built_in_jurisdictions_are_these() {
    use LawfulBasis::{Consent, LegalObligation, PublicTask, VitalInterests};
    let narrow = [Consent, LegalObligation, VitalInterests, PublicTask];
    let all = LawfulBasis::ALL;
    let (opt_in, opt_out) = (ConsentModel::OptIn, ConsentModel::OptOut);
    let eea = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK";
    let expected = [
        ("br", "BR", opt_in, false, &narrow[..], true, 0, 12),
        ("default", "", opt_in, true, &[Consent][..], true, 0, 18),
        ("eu", eea, opt_in, false, &narrow[..], true, 0, 16),
        ("ru", "RU", opt_in, false, &narrow[..], true, 0, 14),
        ("us-ca", "US-CA", opt_out, true, &all[..], false, 16, 13),
    ];
    let catalogue = Catalogue::default();
    let built_in: Vec<_> = catalogue.jurisdictions().collect();
    assert_eq!(built_in.len(), expected.len());
    for (is, (id, codes, model, gpc, sensitive, explicit, opt_in_below, guardian_below)) in
        built_in.into_iter().zip(expected)
    {
        let codes: Vec<_> = codes.split_whitespace().collect();
        assert_eq!(is.id.as_str(), id);
        assert_eq!(is.regions, regions(&codes), "{id}");
        assert_eq!((is.consent_model, is.honours_gpc), (model, gpc), "{id}");
        assert_eq!(is.lawful_bases, all, "{id}");
        assert_eq!((&is.sensitive_bases[..], is.sensitive_needs_explicit), (sensitive, explicit), "{id}");
        assert_eq!((is.opt_in_below_age, is.guardian_below_age), (opt_in_below, guardian_below), "{id}");
        assert_eq!((is.revision, is.built_in), (Revision::NONE, true), "{id}");
        assert!(!is.law.is_empty() && !is.display_name.is_empty(), "{id}");
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
        assert!(default.lawful_bases.iter().all(|basis| other.knows(*basis)), "{}", other.id);
        assert!(default.sensitive_bases.iter().all(|basis| other.sensitive_bases.contains(basis)));
        assert!(default.guardian_below_age >= other.guardian_below_age && default.sensitive_needs_explicit);
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
    assert_eq!(at(&catalogue, "JP"), "default");
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
    for (fields, text) in cases {
        assert_eq!(Jurisdiction::new(fields).unwrap_err().to_string(), text);
    }
}

#[test]
fn the_catalogue_holds_512_jurisdictions() {
    let mut catalogue = Catalogue::new();
    let numbered = |at: usize| Jurisdiction::new(of(&format!("own-{at}"), &[])).unwrap();
    for at in 5..512 {
        catalogue.put_jurisdiction(numbered(at)).unwrap();
    }
    let full = ProfileError::TooMany { field: "jurisdictions", count_max: 512 };
    assert_eq!(catalogue.put_jurisdiction(numbered(512)), Err(full));
    assert_eq!(catalogue.put_jurisdiction(numbered(511)), Ok(()), "a replacement takes no further entry");
}
