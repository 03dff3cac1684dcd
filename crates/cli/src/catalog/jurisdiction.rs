//! `custodia jurisdiction`: the rules of one law for the customers of some regions.

use std::str::FromStr;

use custodia_proto::{rpc::Unary, v1};
use serde::Deserialize;

use crate::catalog::definition::{Definition, Required, numbers, requests, set_fields};
use crate::preference::{Quiet, hours_text};
use crate::text::enum_text::{self, EnumText, enum_text, enum_texts};
use crate::text::output::{Column, facts, number_or_dash, or_dash};
use crate::text::set;

/// The fields of a jurisdiction.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct JurisdictionFields {
    /// Id of the jurisdiction: 1 to 64 of [a-z0-9-]
    #[arg(required_unless_present = "file")]
    id: Option<String>,
    /// Display name
    #[arg(long)]
    name: Option<String>,
    /// Citation of the law
    #[arg(long)]
    law: Option<String>,
    /// Region in which the law applies (ISO 3166-1 or -2), e.g. DE or US-CA (repeatable, or comma-separated)
    #[arg(long = "region", value_delimiter = ',')]
    regions: Option<Vec<String>>,
    /// opt-in: no decision means no; opt-out: consent counts as given until refused
    #[arg(long, value_parser = v1::ConsentModel::parser())]
    #[serde(deserialize_with = "enum_text::deserialize")]
    consent_model: Option<v1::ConsentModel>,
    /// A Global Privacy Control signal opts the customer out of sale and sharing
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    honours_gpc: Option<bool>,
    /// Lawful basis that this law provides (repeatable, or comma-separated)
    #[arg(long = "basis", value_delimiter = ',', value_parser = v1::LawfulBasis::parser())]
    #[serde(deserialize_with = "enum_text::deserialize_list")]
    bases: Option<Vec<v1::LawfulBasis>>,
    /// Lawful basis that suffices for sensitive data (repeatable, or comma-separated)
    #[arg(long = "sensitive-basis", value_delimiter = ',', value_parser = v1::LawfulBasis::parser())]
    #[serde(deserialize_with = "enum_text::deserialize_list")]
    sensitive_bases: Option<Vec<v1::LawfulBasis>>,
    /// What consent to use sensitive data must be [default: explicit]
    #[arg(long, value_parser = v1::SensitiveConsent::parse)]
    #[serde(deserialize_with = "enum_text::deserialize")]
    sensitive_consent: Option<v1::SensitiveConsent>,
    /// Other bases than consent carry sensitive data only on a ground of GDPR Art. 9(2) that the purpose names
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    sensitive_needs_ground: Option<bool>,
    /// A consent to sale that was given after a GPC signal stands though the signal is repeated
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    gpc_yields_to_consent: Option<bool>,
    /// Customers below this age must opt in; 0: no such age
    #[arg(long)]
    opt_in_below_age: Option<u32>,
    /// Nothing about customers below this age is sold or shared, even with consent; 0: no such age
    #[arg(long)]
    sale_forbidden_below_age: Option<u32>,
    /// A guardian consents for customers below this age; 0: no such age
    #[arg(long)]
    guardian_below_age: Option<u32>,
    /// Region with another age below which a guardian consents, e.g. FR=15 (repeatable, or comma-separated)
    #[arg(long = "regional-age", value_name = "REGION=AGE", value_delimiter = ',')]
    regional_ages: Option<Vec<RegionalAge>>,
    /// Local time without calls, or other kinds of contacts, e.g. 21:00-08:00 or 00:00-00:00,day=sunday,region=FR
    /// (repeatable)
    #[arg(long = "no-contact", value_name = "HH:MM-HH:MM[,day=D]…[,region=R]…[,kind=K]…")]
    no_contact_hours: Option<Vec<NoContact>>,
    /// Kind of channel on which direct marketing needs consent (repeatable, or comma-separated)
    #[arg(long = "consent-channel", value_delimiter = ',', value_parser = v1::ChannelKind::parse)]
    #[serde(deserialize_with = "enum_text::deserialize_list")]
    consent_channels: Option<Vec<v1::ChannelKind>>,
    /// Kind of channel on which a soft opt-in suffices instead (repeatable, or comma-separated)
    #[arg(long = "soft-opt-in-channel", value_delimiter = ',', value_parser = v1::ChannelKind::parse)]
    #[serde(deserialize_with = "enum_text::deserialize_list")]
    soft_opt_in_channels: Option<Vec<v1::ChannelKind>>,
}

/// `FR=15`
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct RegionalAge(v1::RegionalAge);

impl FromStr for RegionalAge {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "must be REGION=AGE, e.g. FR=15".to_owned();
        let (region, age) = text.split_once('=').ok_or_else(expected)?;
        let guardian_below_age = age.parse().map_err(|_error| expected())?;
        Ok(Self(v1::RegionalAge { region: region.to_owned(), guardian_below_age }))
    }
}

impl TryFrom<String> for RegionalAge {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// `21:00-08:00,region=FR,kind=text-message`
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct NoContact(v1::NoContactHours);

impl FromStr for NoContact {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut of = v1::NoContactHours::default();
        let mut hours = Vec::new();
        for part in text.split(',') {
            match part.split_once('=') {
                Some(("region", region)) => of.regions.push(region.to_owned()),
                Some(("kind", kind)) => of.kinds.push(v1::ChannelKind::parse(kind)?.into()),
                _ => hours.push(part),
            }
        }
        let Quiet(hours) = hours.join(",").parse()?;
        of.hours = Some(hours);
        Ok(Self(of))
    }
}

impl TryFrom<String> for NoContact {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// `21:00 to 08:00, every day, in FR, for text-message`
fn no_contact_text(of: &v1::NoContactHours) -> String {
    let part =
        |name: &str, said: &str| if said.is_empty() { String::new() } else { format!(", {name} {said}") };
    let hours = of.hours.as_ref().map(hours_text).unwrap_or_default();
    hours + &part("in", &of.regions.join(" ")) + &part("for", &enum_texts::<v1::ChannelKind>(&of.kinds))
}

impl Definition for JurisdictionFields {
    requests! {
        Jurisdiction as jurisdiction, named by id, changed as Jurisdiction;
        CreateJurisdictionRequest, UpdateJurisdictionRequest, GetJurisdictionRequest, ListJurisdictionsRequest
    }

    const REQUIRED: &'static [Required<v1::Jurisdiction>] = &[
        ("id", |jurisdiction| !jurisdiction.id.is_empty()),
        ("consent_model", |jurisdiction| jurisdiction.consent_model != 0),
        ("bases", |jurisdiction| !jurisdiction.lawful_bases.is_empty()),
    ];

    const COLUMNS: &'static [Column<v1::Jurisdiction>] = &[
        ("JURISDICTION", |jurisdiction| jurisdiction.id.clone()),
        ("NAME", |jurisdiction| or_dash(&jurisdiction.display_name)),
        ("CONSENT", |jurisdiction| enum_text::<v1::ConsentModel>(jurisdiction.consent_model)),
        ("GPC", |jurisdiction| if jurisdiction.honours_gpc { "honoured" } else { "-" }.into()),
        ("OPT-IN BELOW", |jurisdiction| number_or_dash(jurisdiction.opt_in_below_age)),
        ("GUARDIAN BELOW", |jurisdiction| number_or_dash(jurisdiction.guardian_below_age)),
        ("ORIGIN", |jurisdiction| if jurisdiction.built_in { "built in" } else { "catalogue" }.into()),
    ];

    fn apply(self, jurisdiction: &mut v1::Jurisdiction) {
        set_fields!(jurisdiction, self, id, law, regions, honours_gpc);
        set_fields!(jurisdiction, self, opt_in_below_age, sale_forbidden_below_age, guardian_below_age);
        set_fields!(jurisdiction, self, sensitive_needs_ground, gpc_yields_to_consent);
        set(&mut jurisdiction.display_name, self.name);
        set(&mut jurisdiction.consent_model, self.consent_model.map(i32::from));
        set(&mut jurisdiction.lawful_bases, numbers(self.bases));
        set(&mut jurisdiction.sensitive_bases, numbers(self.sensitive_bases));
        set(&mut jurisdiction.sensitive_consent, self.sensitive_consent.map(i32::from));
        let ages = self.regional_ages.map(|ages| ages.into_iter().map(|RegionalAge(age)| age).collect());
        set(&mut jurisdiction.regional_ages, ages);
        let hours = self.no_contact_hours.map(|all| all.into_iter().map(|NoContact(of)| of).collect());
        set(&mut jurisdiction.no_contact_hours, hours);
        set(&mut jurisdiction.consent_channels, numbers(self.consent_channels));
        set(&mut jurisdiction.soft_opt_in_channels, numbers(self.soft_opt_in_channels));
    }

    fn facts(jurisdiction: &v1::Jurisdiction) -> String {
        let gpc = match (jurisdiction.honours_gpc, jurisdiction.gpc_yields_to_consent) {
            (false, _) => "",
            (true, false) => "the newest signal beats a consent",
            (true, true) => "a consent given after a signal stands",
        };
        let ground =
            if jurisdiction.sensitive_needs_ground { ", others on a ground of Art. 9(2)" } else { "" };
        let sensitive = enum_texts::<v1::LawfulBasis>(&jurisdiction.sensitive_bases);
        let age = |age: &v1::RegionalAge| format!("{} {}", age.region, age.guardian_below_age);
        let hours: Vec<_> = jurisdiction.no_contact_hours.iter().map(no_contact_text).collect();
        facts([
            ("law", jurisdiction.law.clone()),
            ("regions", jurisdiction.regions.join(", ")),
            ("lawful bases", enum_texts::<v1::LawfulBasis>(&jurisdiction.lawful_bases)),
            ("for sensitive data", or_dash(&sensitive) + ground),
            ("consent to it", enum_text::<v1::SensitiveConsent>(jurisdiction.sensitive_consent)),
            ("GPC", gpc.to_owned()),
            ("no sale below", number_or_dash(jurisdiction.sale_forbidden_below_age)),
            (
                "guardian below, by region",
                jurisdiction.regional_ages.iter().map(age).collect::<Vec<_>>().join(", "),
            ),
            ("no contact", hours.join("\n")),
            ("marketing by consent", enum_texts::<v1::ChannelKind>(&jurisdiction.consent_channels)),
            ("or by soft opt-in", enum_texts::<v1::ChannelKind>(&jurisdiction.soft_opt_in_channels)),
            ("etag", jurisdiction.etag.clone()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_of_one_rule_keeps_the_others() {
        let mut jurisdiction = v1::Jurisdiction {
            id: "eu".into(),
            regions: vec!["DE".into()],
            guardian_below_age: 16,
            sensitive_consent: v1::SensitiveConsent::Signed.into(),
            ..Default::default()
        };
        let text = r#"{"id": "eu", "guardian_below_age": 14, "sale_forbidden_below_age": 12, "honours_gpc": true,
            "regional_ages": ["FR=15"]}"#;
        let fields: JurisdictionFields = serde_json::from_str(text).unwrap();
        fields.apply(&mut jurisdiction);
        assert_eq!((jurisdiction.guardian_below_age, jurisdiction.honours_gpc), (14, true));
        assert_eq!((jurisdiction.regions.len(), jurisdiction.sale_forbidden_below_age), (1, 12));
        assert_eq!(jurisdiction.sensitive_consent(), v1::SensitiveConsent::Signed);
        let france = v1::RegionalAge { region: "FR".into(), guardian_below_age: 15 };
        assert_eq!(jurisdiction.regional_ages, [france]);
        assert!("FR".parse::<RegionalAge>().is_err() && "FR=old".parse::<RegionalAge>().is_err());
        let NoContact(of) = "00:00-00:00,day=sunday,region=FR,kind=call,kind=text-message".parse().unwrap();
        assert_eq!((of.regions.len(), of.kinds.len()), (1, 2));
        assert_eq!(no_contact_text(&of), "00:00 to 00:00, sunday, in FR, for call, text-message");
        assert!(
            "00:00,region=FR".parse::<NoContact>().is_err() && "kind=calls".parse::<NoContact>().is_err()
        );
        let wrong = serde_json::from_str::<JurisdictionFields>(r#"{"consent_model": "maybe"}"#);
        assert!(wrong.unwrap_err().to_string().contains("opt-in, opt-out"));
    }
}
