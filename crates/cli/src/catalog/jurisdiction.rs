//! `custodia jurisdiction`: the rules of one law for the customers of some regions.

use custodia_client::{Client, ClientError};
use custodia_proto::v1;
use serde::Deserialize;

use crate::catalog::definition::{Definition, calls, numbers, set};
use crate::text::enum_text::{self, EnumText, enum_text, enum_texts};
use crate::text::output::{facts, or_dash, table};

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
    #[arg(long, value_parser = v1::ConsentModel::parse)]
    #[serde(deserialize_with = "enum_text::deserialize")]
    consent_model: Option<v1::ConsentModel>,
    /// A Global Privacy Control signal opts the customer out of sale and sharing
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    honours_gpc: Option<bool>,
    /// Lawful basis that this law provides (repeatable, or comma-separated)
    #[arg(long = "basis", value_delimiter = ',', value_parser = v1::LawfulBasis::parse)]
    #[serde(deserialize_with = "enum_text::deserialize_list")]
    bases: Option<Vec<v1::LawfulBasis>>,
    /// Lawful basis that suffices for sensitive data (repeatable, or comma-separated)
    #[arg(long = "sensitive-basis", value_delimiter = ',', value_parser = v1::LawfulBasis::parse)]
    #[serde(deserialize_with = "enum_text::deserialize_list")]
    sensitive_bases: Option<Vec<v1::LawfulBasis>>,
    /// Consent to use sensitive data must be explicit
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    sensitive_needs_explicit: Option<bool>,
    /// Customers below this age must opt in; 0: no such age
    #[arg(long)]
    opt_in_below_age: Option<u32>,
    /// A guardian consents for customers below this age; 0: no such age
    #[arg(long)]
    guardian_below_age: Option<u32>,
}

impl Definition for JurisdictionFields {
    calls! {
        Jurisdiction as jurisdiction, named by id, in jurisdictions, changed as Jurisdiction;
        create_jurisdiction(CreateJurisdictionRequest), update_jurisdiction(UpdateJurisdictionRequest),
        get_jurisdiction(GetJurisdictionRequest),
        list_jurisdictions(ListJurisdictionsRequest) -> ListJurisdictionsResponse
    }

    fn missing(jurisdiction: &v1::Jurisdiction) -> Option<&'static str> {
        match jurisdiction {
            jurisdiction if jurisdiction.id.is_empty() => Some("id"),
            jurisdiction if jurisdiction.consent_model == 0 => Some("consent_model"),
            jurisdiction if jurisdiction.lawful_bases.is_empty() => Some("bases"),
            _ => None,
        }
    }

    fn apply(self, jurisdiction: &mut v1::Jurisdiction) {
        set(&mut jurisdiction.id, self.id);
        set(&mut jurisdiction.display_name, self.name);
        set(&mut jurisdiction.law, self.law);
        set(&mut jurisdiction.regions, self.regions);
        set(&mut jurisdiction.consent_model, self.consent_model.map(i32::from));
        set(&mut jurisdiction.honours_gpc, self.honours_gpc);
        set(&mut jurisdiction.lawful_bases, numbers(self.bases));
        set(&mut jurisdiction.sensitive_bases, numbers(self.sensitive_bases));
        set(&mut jurisdiction.sensitive_needs_explicit, self.sensitive_needs_explicit);
        set(&mut jurisdiction.opt_in_below_age, self.opt_in_below_age);
        set(&mut jurisdiction.guardian_below_age, self.guardian_below_age);
    }

    fn rows(jurisdictions: &[v1::Jurisdiction]) -> String {
        let mut lines =
            table(["JURISDICTION", "NAME", "CONSENT", "GPC", "OPT-IN BELOW", "GUARDIAN BELOW", "ORIGIN"]);
        let age = |years: u32| if years == 0 { "-".to_owned() } else { years.to_string() };
        for jurisdiction in jurisdictions {
            lines.add_row([
                jurisdiction.id.as_str(),
                or_dash(&jurisdiction.display_name),
                &enum_text::<v1::ConsentModel>(jurisdiction.consent_model),
                if jurisdiction.honours_gpc { "honoured" } else { "-" },
                &age(jurisdiction.opt_in_below_age),
                &age(jurisdiction.guardian_below_age),
                if jurisdiction.built_in { "built in" } else { "catalogue" },
            ]);
        }
        lines.to_string()
    }

    fn text(jurisdiction: &v1::Jurisdiction) -> String {
        let explicit = if jurisdiction.sensitive_needs_explicit { ", consent must be explicit" } else { "" };
        let sensitive = enum_texts::<v1::LawfulBasis>(&jurisdiction.sensitive_bases);
        let facts = facts([
            ("law", jurisdiction.law.clone()),
            ("regions", jurisdiction.regions.join(", ")),
            ("lawful bases", enum_texts::<v1::LawfulBasis>(&jurisdiction.lawful_bases)),
            ("for sensitive data", format!("{}{explicit}", or_dash(&sensitive))),
            ("etag", jurisdiction.etag.clone()),
        ]);
        format!("{}\n\n{facts}", Self::rows(std::slice::from_ref(jurisdiction)))
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
            sensitive_needs_explicit: true,
            ..Default::default()
        };
        let text = r#"{"id": "eu", "guardian_below_age": 14, "honours_gpc": true}"#;
        let fields: JurisdictionFields = serde_json::from_str(text).unwrap();
        fields.apply(&mut jurisdiction);
        assert_eq!((jurisdiction.guardian_below_age, jurisdiction.honours_gpc), (14, true));
        assert_eq!((jurisdiction.regions.len(), jurisdiction.sensitive_needs_explicit), (1, true));
        let wrong = serde_json::from_str::<JurisdictionFields>(r#"{"consent_model": "maybe"}"#);
        assert!(wrong.unwrap_err().to_string().contains("opt-in, opt-out"));
    }
}
