//! `custodia identifier report`: how good the identifiers are, page after page.
//!
//! It is throttled here: a pause after each page, so that the nodes serve calls in between.

use std::collections::BTreeMap;
use std::time::Duration;

use custodia_proto::v1;

use crate::connection::Connection;
use crate::connection::steps::STEP_DEADLINE;
use crate::error::CliError;
use crate::text::enum_text::{EnumText as _, enum_text};
use crate::text::output::{Column, table};
use crate::text::values::time_text;

/// What `identifier report` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Report {
    /// Purpose for which you read the data
    #[arg(long)]
    purpose: String,
    /// Only this namespace
    #[arg(long, default_value = "", hide_default_value = true)]
    namespace: String,
    /// Days without an observation or a verification after which an identifier is stale [default: as each namespace says]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3_650))]
    stale_days: Option<u32>,
    /// Also list the identifiers with this fault, masked
    #[arg(long, value_name = "FAULT", value_parser = v1::IdentifierFault::parser())]
    list: Option<v1::IdentifierFault>,
    /// Pause after each page in milliseconds, for the other callers
    #[arg(long, default_value_t = 50, value_name = "MS")]
    pause: u64,
}

impl Report {
    pub(super) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        let client = connection.client_with_deadline(STEP_DEADLINE)?;
        let mut request = v1::ReportIdentifiersRequest {
            purpose: self.purpose,
            namespace: self.namespace,
            stale_after_days: self.stale_days.unwrap_or_default(),
            list: self.list.map_or(0, i32::from),
            ..Default::default()
        };
        let mut sum = v1::ReportIdentifiersResponse::default();
        loop {
            let page = client.report_identifiers(request.clone()).await?;
            request.page_token.clone_from(&page.next_page_token);
            add(&mut sum, page);
            if request.page_token.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(self.pause)).await;
        }
        connection.print(&sum, report_text)
    }
}

/// Adds a page to those before it.
fn add(sum: &mut v1::ReportIdentifiersResponse, page: v1::ReportIdentifiersResponse) {
    let mut counts: BTreeMap<_, _> =
        sum.namespaces.drain(..).map(|counts| (counts.namespace.clone(), counts)).collect();
    for more in page.namespaces {
        let counts = counts.entry(more.namespace.clone()).or_default();
        counts.namespace = more.namespace;
        counts.held += more.held;
        counts.verified += more.verified;
        counts.never_verified += more.never_verified;
        counts.verification_outdated += more.verification_outdated;
        counts.stale += more.stale;
        counts.bounced += more.bounced;
        counts.invalid += more.invalid;
        counts.shared += more.shared;
    }
    sum.namespaces = counts.into_values().collect();
    sum.findings.extend(page.findings);
    sum.customers += page.customers;
    sum.restricted_customers += page.restricted_customers;
    sum.done = page.done;
    sum.next_page_token = page.next_page_token;
}

fn report_text(sum: &v1::ReportIdentifiersResponse) -> String {
    let mut text = format!("{}\n\n{} customers", table(COUNTS, &sum.namespaces), sum.customers);
    if sum.restricted_customers > 0 {
        text.push_str(&format!(", and {} whose data is restricted, left out", sum.restricted_customers));
    }
    if !sum.findings.is_empty() {
        text.push_str(&format!("\n\n{}", table(FINDINGS, &sum.findings)));
    }
    text
}

const COUNTS: &[Column<v1::NamespaceReport>] = &[
    ("NAMESPACE", |counts| counts.namespace.clone()),
    ("HELD", |counts| counts.held.to_string()),
    ("VERIFIED", |counts| counts.verified.to_string()),
    ("NEVER VERIFIED", |counts| counts.never_verified.to_string()),
    ("OUTDATED", |counts| counts.verification_outdated.to_string()),
    ("STALE", |counts| counts.stale.to_string()),
    ("BOUNCED", |counts| counts.bounced.to_string()),
    ("INVALID", |counts| counts.invalid.to_string()),
    ("SHARED", |counts| counts.shared.to_string()),
];

const FINDINGS: &[Column<v1::IdentifierFinding>] = &[
    ("CUSTOMER", |finding| finding.customer_id.clone()),
    ("NAMESPACE", |finding| finding.namespace.clone()),
    ("VALUE", |finding| finding.value.clone()),
    ("FAULTS", |finding| {
        let faults = finding.faults.iter().map(|fault| enum_text::<v1::IdentifierFault>(*fault));
        faults.collect::<Vec<_>>().join(", ")
    }),
    ("OBSERVED", |finding| time_text(finding.observed_at.as_ref())),
    ("VERIFIED", |finding| {
        finding.verified_at.as_ref().map_or_else(|| "never".into(), |at| time_text(Some(at)))
    }),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_all_pages_are_added_by_namespace() {
        let counts = |namespace: &str, held, stale| v1::NamespaceReport {
            namespace: namespace.into(),
            held,
            stale,
            ..Default::default()
        };
        let page = |namespaces, customers| v1::ReportIdentifiersResponse {
            namespaces,
            customers,
            restricted_customers: 1,
            ..Default::default()
        };
        let mut sum = v1::ReportIdentifiersResponse::default();
        add(&mut sum, page(vec![counts("email", 2, 1), counts("phone", 1, 0)], 2));
        add(&mut sum, page(vec![counts("card", 1, 0), counts("email", 5, 2)], 5));
        assert_eq!(sum.namespaces, [counts("card", 1, 0), counts("email", 7, 3), counts("phone", 1, 0)]);
        let text = report_text(&sum);
        assert!(text.ends_with("7 customers, and 2 whose data is restricted, left out"), "{text}");
    }

    #[test]
    fn what_is_listed_is_shown_with_all_its_faults() {
        let finding = v1::IdentifierFinding {
            customer_id: "cust_a".into(),
            namespace: "email".into(),
            value: "a…@example.org".into(),
            faults: vec![1, 3],
            ..Default::default()
        };
        let sum = v1::ReportIdentifiersResponse { findings: vec![finding], ..Default::default() };
        let text = report_text(&sum);
        assert!(text.contains("a…@example.org  never-verified, stale"), "{text}");
    }
}
