//! `custodia jurisdiction`: the rules of one law for the customers of some regions.

use custodia_client::{Client, ClientError};
use custodia_proto::v1;
use serde::Deserialize;

use crate::catalog::definition::{Definition, calls, numbers, set};
use crate::output::{facts, or_dash, table};
use crate::words::{self, Word, word_of, words_of};

/// The fields of a jurisdiction.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct JurisdictionFields {
    /// Its id: 1 to 64 of [a-z0-9-]
    #[arg(required_unless_present = "file")]
    id: Option<String>,
    /// Name for people
    #[arg(long)]
    name: Option<String>,
    /// Citation of the law
    #[arg(long)]
    law: Option<String>,
    /// Where it holds, ISO 3166-1 or -2, e.g. DE or US-CA; repeat it, or separate several by commas
    #[arg(long = "region", value_delimiter = ',')]
    regions: Option<Vec<String>>,
    /// opt-in: unknown means no; opt-out: consent counts as given until it is refused
    #[arg(long, value_parser = v1::ConsentModel::parse)]
    #[serde(deserialize_with = "words::one")]
    consent_model: Option<v1::ConsentModel>,
    /// A Global Privacy Control signal opts out of sale and sharing
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    honours_gpc: Option<bool>,
    /// Lawful basis that this law knows; repeat it, or separate several by commas
    #[arg(long = "basis", value_delimiter = ',', value_parser = v1::LawfulBasis::parse)]
    #[serde(deserialize_with = "words::list")]
    bases: Option<Vec<v1::LawfulBasis>>,
    /// Lawful basis that carries sensitive data; repeat it, or separate several by commas
    #[arg(long = "sensitive-basis", value_delimiter = ',', value_parser = v1::LawfulBasis::parse)]
    #[serde(deserialize_with = "words::list")]
    sensitive_bases: Option<Vec<v1::LawfulBasis>>,
    /// Consent to the use of sensitive data must be explicit
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    sensitive_needs_explicit: Option<bool>,
    /// Below so many years, opt-out is not enough; 0: no such age
    #[arg(long)]
    opt_in_below_age: Option<u32>,
    /// Below so many years, a guardian consents; 0: no such age
    #[arg(long)]
    guardian_below_age: Option<u32>,
}

impl Definition for JurisdictionFields {
    calls! {
        Jurisdiction as jurisdiction, named by id, in jurisdictions;
        create_jurisdiction(CreateJurisdictionRequest), update_jurisdiction(UpdateJurisdictionRequest),
        get_jurisdiction(GetJurisdictionRequest),
        list_jurisdictions(ListJurisdictionsRequest) -> ListJurisdictionsResponse
    }

    fn name(&self) -> Option<&str> {
        self.id.as_deref()
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

    fn changed(change: &v1::CatalogChange) -> Option<&v1::Jurisdiction> {
        if let Some(v1::catalog_change::Entry::Jurisdiction(one)) = &change.entry { Some(one) } else { None }
    }

    fn rows(jurisdictions: &[v1::Jurisdiction]) -> String {
        let mut lines =
            table(["JURISDICTION", "NAME", "CONSENT", "GPC", "OPT-IN BELOW", "GUARDIAN BELOW", "FROM"]);
        let age = |years: u32| if years == 0 { "-".to_owned() } else { years.to_string() };
        for jurisdiction in jurisdictions {
            lines.add_row([
                jurisdiction.id.as_str(),
                or_dash(&jurisdiction.display_name),
                &word_of::<v1::ConsentModel>(jurisdiction.consent_model),
                if jurisdiction.honours_gpc { "honoured" } else { "-" },
                &age(jurisdiction.opt_in_below_age),
                &age(jurisdiction.guardian_below_age),
                if jurisdiction.built_in { "built in" } else { "the catalogue" },
            ]);
        }
        lines.to_string()
    }

    fn text(jurisdiction: &v1::Jurisdiction) -> String {
        let explicit = if jurisdiction.sensitive_needs_explicit { ", consent only if explicit" } else { "" };
        let sensitive = words_of::<v1::LawfulBasis>(&jurisdiction.sensitive_bases);
        let facts = facts([
            ("law", jurisdiction.law.clone()),
            ("regions", jurisdiction.regions.join(", ")),
            ("lawful bases", words_of::<v1::LawfulBasis>(&jurisdiction.lawful_bases)),
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
    fn an_update_of_one_rule_leaves_the_others() {
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
