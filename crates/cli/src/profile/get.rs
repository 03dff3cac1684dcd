//! `custodia profile get`: reads one or several profiles for a purpose.

use custodia_proto::v1;

use crate::connection::Connection;
use crate::error::CliError;
use crate::text::enum_text::{EnumText as _, enum_text};
use crate::text::output::{Column, or_dash, table};
use crate::text::printable;
use crate::text::values::{text_of, time_text};

/// What `profile get` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct GetProfile {
    /// Customer ids (cust_…)
    #[arg(required = true)]
    ids: Vec<String>,
    /// Purpose for which you read the data
    #[arg(long)]
    purpose: String,
    /// Only this attribute (repeatable, or comma-separated)
    #[arg(long = "attribute", value_delimiter = ',')]
    attributes: Vec<String>,
    /// full: values, and the reasons for withheld ones; none: values only; only: verdicts without values
    #[arg(long, default_value = "full", value_parser = v1::VerdictDetail::parser())]
    verdicts: v1::VerdictDetail,
}

impl GetProfile {
    pub(crate) async fn run(mut self, connection: &Connection) -> Result<(), CliError> {
        let read_mask = (!self.attributes.is_empty())
            .then(|| custodia_proto::FieldMask { paths: std::mem::take(&mut self.attributes) });
        let verdicts = self.verdicts.into();
        if let [id] = self.ids.as_slice() {
            let (customer_id, purpose) = (id.clone(), self.purpose);
            let request = v1::GetProfileRequest { customer_id, purpose, read_mask, verdicts };
            return connection.show(request, profile_text).await;
        }
        let (customer_ids, purpose) = (self.ids, self.purpose);
        let request = v1::BatchGetProfilesRequest { customer_ids, purpose, read_mask, verdicts };
        let answer = connection.client()?.batch_get_profiles(request).await?;
        connection.print(&answer, |answer| {
            let texts: Vec<_> = answer.profiles.iter().map(batch_text).collect();
            texts.join("\n\n")
        })
    }
}

/// A profile for people; `dev` prints one too.
pub(crate) fn profile_text(profile: &v1::Profile) -> String {
    let any_expires = profile.attributes.iter().any(|attribute| attribute.until.is_some());
    let any_cleaned = profile.attributes.iter().any(|attribute| !attribute.original.is_empty());
    let mut columns = ATTRIBUTE_COLUMNS.to_vec();
    columns.extend(UNTIL.iter().filter(|_| any_expires));
    columns.extend(WRITTEN.iter().filter(|_| any_cleaned));
    let mut text = format!(
        "{}, etag {}, updated {}\n\n{}",
        profile.customer_id,
        profile.etag,
        time_text(profile.updated_at.as_ref()),
        table(&columns, &profile.attributes),
    );
    if !profile.merged_customer_ids.is_empty() {
        text.push_str(&format!("\n\nmerged into it: {}", profile.merged_customer_ids.join(", ")));
    }
    if !profile.withheld.is_empty() {
        text.push_str(&format!("\n\n{}", table(WITHHELD_COLUMNS, &profile.withheld)));
    }
    if profile.withheld_others > 0 {
        text.push_str(&format!("\n\n{} more withheld, of no use for this purpose", profile.withheld_others));
    }
    text
}

const ATTRIBUTE_COLUMNS: &[Column<v1::Attribute>] = &[
    ("ATTRIBUTE", |attribute| attribute.name.clone()),
    ("VALUE", |attribute| text_of(attribute.value.as_ref())),
    ("GROUND", |attribute| enum_text::<v1::LawfulBasis>(attribute.ground)),
    ("SOURCE", |attribute| provenance(attribute).source),
    ("COLLECTED FOR", |attribute| provenance(attribute).purpose),
    ("OBSERVED", |attribute| time_text(provenance(attribute).observed_at.as_ref())),
];

/// Shown if some value expires.
const UNTIL: &[Column<v1::Attribute>] = &[("UNTIL", |attribute| time_text(attribute.until.as_ref()))];

/// Shown if some value is not as its source wrote it.
const WRITTEN: &[Column<v1::Attribute>] =
    &[("WRITTEN AS", |attribute| or_dash(&printable::in_line(&attribute.original)))];

const WITHHELD_COLUMNS: &[Column<v1::WithheldAttribute>] = &[
    ("WITHHELD", |withheld| withheld.name.clone()),
    ("REASON", |withheld| enum_text::<v1::RefusalReason>(withheld.reason)),
    ("EXPLANATION", |withheld| withheld.explanation.clone()),
];

fn provenance(attribute: &v1::Attribute) -> v1::Provenance {
    attribute.provenance.clone().unwrap_or_default()
}

fn batch_text(one: &v1::BatchProfile) -> String {
    match &one.result {
        Some(v1::batch_profile::Result::Profile(profile)) => profile_text(profile),
        Some(v1::batch_profile::Result::Error(error)) => format!("{}: {}", one.customer_id, error.message),
        None => format!("{}: no answer", one.customer_id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::values;

    #[test]
    fn a_profile_shows_given_and_withheld_attributes() {
        let profile = v1::Profile {
            customer_id: "cust_x".into(),
            etag: "7".into(),
            attributes: vec![v1::Attribute {
                name: "city".into(),
                value: Some(values::parse(v1::ValueType::Text, "Perth").unwrap()),
                provenance: None,
                ground: v1::LawfulBasis::Contract.into(),
                until: None,
                original: String::new(),
            }],
            withheld: vec![v1::WithheldAttribute {
                name: "age".into(),
                reason: v1::RefusalReason::NoGround.into(),
                explanation: "nothing allows it".into(),
            }],
            created_at: None,
            updated_at: None,
            withheld_others: 0,
            merged_customer_ids: vec!["cust_y".into()],
        };
        let text = profile_text(&profile);
        assert!(text.contains("city       Perth  contract"), "{text}");
        assert!(text.contains("age       no-ground  nothing allows it"), "{text}");
        assert!(text.contains("merged into it: cust_y"), "{text}");
        assert!(!text.contains("UNTIL"), "no value expires: {text}");
        assert!(!text.contains("WRITTEN AS"), "all are as they were written: {text}");
        let mut ending = profile;
        ending.attributes[0].until = Some(values::parse_time("2027-01-01").unwrap());
        ending.attributes[0].original = " perth".into();
        let text = profile_text(&ending);
        assert!(text.contains("2027-01-01T00:00:00Z") && text.contains("WRITTEN AS"), "{text}");
        assert!(text.contains(" perth"), "{text}");
    }
}
