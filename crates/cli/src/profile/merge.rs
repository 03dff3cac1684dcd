//! `custodia profile merge` and `custodia profile unmerge`: two customers become one, and two again.

use custodia_proto::v1;

use crate::connection::Connection;
use crate::error::CliError;
use crate::text::enum_text::{EnumText as _, enum_text};
use crate::text::output::{Column, table};
use crate::text::values::text_of;

/// What `profile merge` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct MergeProfiles {
    /// The survivor, whose id is kept (cust_…)
    survivor: String,
    /// The customer who is merged into it (cust_…); the id keeps working
    other: String,
    /// Purpose for which the two are merged
    #[arg(long)]
    purpose: String,
    /// Which of two values is kept
    #[arg(long, default_value = "newest", value_parser = v1::Survivorship::parser())]
    keep: v1::Survivorship,
    /// Another rule for one attribute, e.g. email=verified-first (repeatable)
    #[arg(long = "attribute", value_name = "NAME=RULE", value_parser = rule)]
    attributes: Vec<v1::AttributeSurvivorship>,
    /// A source to prefer with --keep trusted-source (repeatable, the most trusted first)
    #[arg(long = "trusted-source", value_name = "SOURCE")]
    trusted_sources: Vec<String>,
    /// Only show what would become of both
    #[arg(long)]
    dry_run: bool,
}

/// What `profile unmerge` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct UnmergeProfiles {
    /// The survivor of the merge (cust_…)
    survivor: String,
    /// Who was merged into it last (cust_…)
    other: String,
    /// Purpose for which the merge is undone
    #[arg(long)]
    purpose: String,
    /// Only show what would become of both
    #[arg(long)]
    dry_run: bool,
}

/// `NAME=RULE`.
fn rule(text: &str) -> Result<v1::AttributeSurvivorship, String> {
    let (attribute, rule) = text.split_once('=').ok_or("expected NAME=RULE, e.g. email=verified-first")?;
    let survivorship = v1::Survivorship::parse(rule)?;
    Ok(v1::AttributeSurvivorship { attribute: attribute.to_owned(), survivorship: survivorship.into() })
}

impl MergeProfiles {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        let dry_run = self.dry_run;
        let request = v1::MergeProfilesRequest {
            customer_id: self.survivor,
            merged_customer_id: self.other,
            purpose: self.purpose,
            survivorship: self.keep.into(),
            attributes: self.attributes,
            trusted_sources: self.trusted_sources,
            validate_only: dry_run,
            etag: String::new(),
            request_id: String::new(),
        };
        connection.show(request, |answer| merged_text(answer, dry_run)).await
    }
}

impl UnmergeProfiles {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        let dry_run = self.dry_run;
        let request = v1::UnmergeProfilesRequest {
            customer_id: self.survivor,
            merged_customer_id: self.other,
            purpose: self.purpose,
            validate_only: dry_run,
            etag: String::new(),
            request_id: String::new(),
        };
        connection.show(request, |answer| unmerged_text(answer, dry_run)).await
    }
}

fn merged_text(answer: &v1::MergeProfilesResponse, dry_run: bool) -> String {
    if answer.already_merged {
        return format!("already merged into {}; nothing changed", answer.customer_id);
    }
    let first = if dry_run {
        format!("dry run, nothing changed; the survivor would be {}", answer.customer_id)
    } else {
        format!("merged into {}, etag {}", answer.customer_id, answer.etag)
    };
    let gained = format!(
        "of the other customer alone: attributes {}, identifiers {}",
        answer.attributes_gained, answer.identifiers_gained
    );
    let mut parts = vec![first, gained];
    if !answer.attributes.is_empty() {
        parts.push(table(ATTRIBUTES, &answer.attributes));
    }
    if !answer.consents.is_empty() {
        parts.push(table(CONSENTS, &answer.consents));
    }
    if !dry_run {
        parts.push("undo with `custodia profile unmerge`".to_owned());
    }
    parts.join("\n\n")
}

const ATTRIBUTES: &[Column<v1::MergedAttribute>] = &[
    ("ATTRIBUTE", |of| of.attribute.clone()),
    ("KEPT FROM", |of| of.kept_from.clone()),
    ("RULE", |of| enum_text::<v1::Survivorship>(of.survivorship)),
    ("KEPT", |of| text_of(of.kept.as_ref())),
    ("LOST", |of| text_of(of.lost.as_ref())),
];

const CONSENTS: &[Column<v1::MergedConsent>] = &[
    ("PURPOSE", |of| of.purpose.clone()),
    ("BASIS", |of| enum_text::<v1::LawfulBasis>(of.basis)),
    ("SURVIVOR", |of| enum_text::<v1::ConsentStatus>(of.survivor)),
    ("OTHER", |of| enum_text::<v1::ConsentStatus>(of.merged)),
    ("AFTER", |of| enum_text::<v1::ConsentStatus>(of.after)),
];

fn unmerged_text(answer: &v1::UnmergeProfilesResponse, dry_run: bool) -> String {
    let first = if dry_run {
        format!("dry run, nothing changed; {} would be a customer again", answer.merged_customer_id)
    } else {
        format!(
            "{} is a customer again; {} has etag {}",
            answer.merged_customer_id, answer.customer_id, answer.etag
        )
    };
    let sources = if answer.sources.is_empty() { "none".to_owned() } else { answer.sources.join(", ") };
    format!("{first}\nsources of it alone: {sources}; events moved back: {}", answer.events_moved)
}
