//! `custodia profile find`: the profiles of those who hold an identifier.

use custodia_proto::v1;

use super::get::profile_text;
use crate::connection::Connection;
use crate::error::CliError;
use crate::known_by;
use crate::text::enum_text::EnumText as _;

/// What `profile find` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct FindProfile {
    /// What the customer is known by: +49 30 901820, ana@example.org, loyalty-card=4006381333931
    identifier: String,
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

impl FindProfile {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        let paths = self.attributes;
        let request = v1::LookupProfileRequest {
            identifier: Some(known_by::identifier(&self.identifier, connection).await?),
            purpose: self.purpose,
            read_mask: (!paths.is_empty()).then_some(custodia_proto::FieldMask { paths }),
            verdicts: self.verdicts.into(),
            customer_id: String::new(),
        };
        connection.show(request, profiles_text).await
    }
}

fn profiles_text(answer: &v1::LookupProfileResponse) -> String {
    let texts: Vec<_> = answer.profiles.iter().map(profile_text).collect();
    match texts.len() {
        0 | 1 => texts.concat(),
        count => format!("{count} customers hold this identifier\n\n{}", texts.join("\n\n")),
    }
}
