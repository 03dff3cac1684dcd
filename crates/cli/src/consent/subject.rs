//! `custodia subject`: the facts about a customer, besides its decisions, on which the law depends.

use custodia_proto::v1;

use crate::connection::Connection;
use crate::customer::CustomerQuery;
use crate::error::CliError;
use crate::text::output::{facts, or, or_dash};
use crate::text::values::time_text;

/// `custodia subject …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum SubjectCommand {
    /// Show a customer's regions, birth date, restriction and legal hold
    Show(CustomerQuery),
    /// Change some of these facts; the others stay as they are
    Set(Box<SetSubject>),
}

/// What `subject set` takes.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("change").multiple(true).required(true))]
pub(crate) struct SetSubject {
    /// Customer id (cust_…)
    id: String,
    /// Region of residence (ISO 3166-1 or -2), e.g. DE or US-CA (repeatable, or comma-separated)
    #[arg(long = "region", value_delimiter = ',', group = "change")]
    regions: Vec<String>,
    /// Remove the regions: residence unknown
    #[arg(long, conflicts_with = "regions", group = "change")]
    no_region: bool,
    /// Birth date (YYYY-MM-DD)
    #[arg(long, group = "change")]
    birth_date: Option<String>,
    /// Remove the birth date: unknown
    #[arg(long, conflicts_with = "birth_date", group = "change")]
    no_birth_date: bool,
    /// Restrict processing (GDPR Art. 18) for this reason; no personal data in the text
    #[arg(long, value_name = "REASON", group = "change")]
    restrict: Option<String>,
    /// End the restriction
    #[arg(long, conflicts_with = "restrict", group = "change")]
    no_restriction: bool,
    /// Place a legal hold: keep the data unchanged for this claim
    #[arg(long, value_name = "REFERENCE", group = "change")]
    hold: Option<String>,
    /// End the legal hold
    #[arg(long, conflicts_with = "hold", group = "change")]
    no_hold: bool,
    /// Fail unless the profile has this etag; required to end a restriction or a hold
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
}

impl SubjectCommand {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        match self {
            Self::Show(CustomerQuery { id: customer_id, purpose }) => {
                connection.show(v1::GetDataSubjectRequest { customer_id, purpose }, subject_text).await
            }
            Self::Set(set) => {
                let request = set.into_request();
                let changed = request.update_mask.clone().unwrap_or_default().paths;
                connection.show(request, |subject| changed_text(subject, &changed)).await
            }
        }
    }
}

impl SetSubject {
    fn into_request(self) -> v1::UpdateDataSubjectRequest {
        let changes = [
            ("regions", self.no_region || !self.regions.is_empty()),
            ("birth_date", self.no_birth_date || self.birth_date.is_some()),
            ("restriction", self.no_restriction || self.restrict.is_some()),
            ("legal_hold", self.no_hold || self.hold.is_some()),
        ];
        let paths = changes.iter().filter(|(_, given)| *given).map(|(path, _)| (*path).to_owned()).collect();
        let data_subject = v1::DataSubject {
            customer_id: self.id,
            regions: self.regions,
            birth_date: self.birth_date.unwrap_or_default(),
            restriction: self.restrict.map(|reason| v1::Restriction { reason, since: None }),
            legal_hold: self.hold.map(|reference| v1::LegalHold { reference, since: None }),
            etag: self.etag,
            ..v1::DataSubject::default()
        };
        v1::UpdateDataSubjectRequest {
            data_subject: Some(data_subject),
            update_mask: Some(custodia_proto::FieldMask { paths }),
            request_id: String::new(),
        }
    }
}

/// The changed facts. The answer has no others.
fn changed_text(subject: &v1::DataSubject, changed: &[String]) -> String {
    let shown = |path: &str| changed.iter().any(|one| one == path);
    let of = |path, text: String| if shown(path) { text } else { String::new() };
    let [regions, birth_date, restriction, hold] = fact_texts(subject);
    let facts = facts([
        ("regions", of("regions", regions)),
        ("birth date", of("birth_date", birth_date)),
        ("restricted", of("restriction", restriction)),
        ("legal hold", of("legal_hold", hold)),
    ]);
    format!("{}, etag {}\n\n{facts}", subject.customer_id, or_dash(&subject.etag))
}

/// Regions, birth date, restriction and legal hold.
fn fact_texts(subject: &v1::DataSubject) -> [String; 4] {
    let since = |text: &str, time| format!("{text}, since {}", time_text(time));
    let restriction = subject.restriction.as_ref();
    let hold = subject.legal_hold.as_ref();
    [
        or(&subject.regions.join(", "), "unknown (the default jurisdiction applies)"),
        or_dash(&subject.birth_date),
        restriction.map_or("no".into(), |one| since(&one.reason, one.since.as_ref())),
        hold.map_or("no".into(), |one| since(&one.reference, one.since.as_ref())),
    ]
}

fn subject_text(subject: &v1::DataSubject) -> String {
    let [regions, birth_date, restriction, hold] = fact_texts(subject);
    let facts = facts([
        ("regions", regions),
        ("birth date", birth_date),
        ("restricted", restriction),
        ("legal hold", hold),
        ("GPC signal", time_text(subject.sale_opted_out_at.as_ref())),
        ("do not sell or share", time_text(subject.do_not_sell_at.as_ref())),
        ("limit sensitive data", time_text(subject.sensitive_limited_at.as_ref())),
        ("changed", time_text(subject.updated_at.as_ref())),
    ]);
    format!("{}, etag {}\n\n{facts}", subject.customer_id, subject.etag)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        set: SetSubject,
    }

    fn request(options: &[&str]) -> Option<v1::UpdateDataSubjectRequest> {
        let line = ["set", "cust_x"].into_iter().chain(options.iter().copied());
        Line::try_parse_from(line).ok().map(|line| line.set.into_request())
    }

    #[test]
    fn only_what_is_given_is_changed() {
        let update = request(&["--region", "DE,US-CA", "--no-restriction"]).unwrap();
        assert_eq!(update.update_mask.unwrap().paths, ["regions", "restriction"]);
        let subject = update.data_subject.unwrap();
        assert_eq!((subject.regions.len(), subject.restriction), (2, None));
        let hold = request(&["--hold", "case 7"]).unwrap();
        assert_eq!(hold.update_mask.unwrap().paths, ["legal_hold"]);
        assert!(request(&[]).is_none(), "nothing to change");
        assert!(request(&["--region", "DE", "--no-region"]).is_none());
    }

    #[test]
    fn a_restriction_is_shown_with_its_reason() {
        let restriction = Some(v1::Restriction { reason: "accuracy contested".into(), since: None });
        let text = subject_text(&v1::DataSubject { restriction, ..Default::default() });
        assert!(text.contains("accuracy contested") && text.contains("unknown"), "{text}");
    }

    #[test]
    fn an_update_shows_what_it_changed_and_claims_nothing_about_the_rest() {
        let restriction = Some(v1::Restriction { reason: "accuracy contested".into(), since: None });
        let subject = v1::DataSubject { restriction, ..Default::default() };
        let text = changed_text(&subject, &["restriction".to_owned()]);
        assert!(text.contains("accuracy contested") && !text.contains("regions"), "{text}");
        assert!(changed_text(&subject, &["regions".to_owned()]).contains("unknown"));
    }
}
