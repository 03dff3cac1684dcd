//! `custodia consent import`: loads decisions of another system, one per row.
//!
//! Uses the reader, the state and the refused rows of `custodia import`. Invariants: a decision is imported with the date of
//! its row, so that the same decision changes nothing when repeated, however late; the decisions of one customer are sent
//! one by one in the order of the file, because each is sorted into the ledger that the one before has changed.

mod call_stream;
mod decision;
mod mapping;

use custodia_proto::v1;

use crate::connection::Connection;
use crate::error::CliError;
use crate::import::{
    Batch, Batcher, Identities, Job, Kind, LoadOptions, NOT_PARSED, Refusal, Row, check_key_namespace,
    key_of, unsendable,
};

use call_stream::DecisionStream;
use decision::{DatedDecision, Named};
use mapping::{Customer, DecisionMapping};

/// What `consent import` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Needs the role privacy. Every decision becomes an entry of the customer's history, once, in whatever order they come; the
newest counts. None lifts a no that was recorded here as it was said: that is counted as superseded.

A row of a customer that does not exist is refused. With `customer.id`, --create-customers creates it; with `customer.key`, import
the customers first.

To resume an interrupted import, run the same command again. Repeating a finished import changes nothing. The folder
FILE.custodia-consents (or --state DIR) has the progress and the refused rows with their reasons. With the same namespace,
`customer.key` identifies the same customers as in `custodia import`.")]
pub(crate) struct ImportDecisions {
    #[command(flatten)]
    load: LoadOptions,
    /// Create the customers that do not exist yet, with their decisions [default: their rows are refused]
    #[arg(long)]
    create_customers: bool,
}

impl ImportDecisions {
    pub(crate) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        let (mapping, mapping_text) = self.load.read_mapping::<DecisionMapping>()?;
        if self.create_customers && matches!(mapping.customer, Customer::Key(_)) {
            let reason = "needs customer.id: `custodia import` makes a new customer known by its key";
            return Err(CliError::argument("--create-customers", reason));
        }
        let content = ["decisions", &self.load.fingerprint()?, &mapping_text];
        let identities = Identities::new(&self.load.source, &content);
        let client = connection.client()?;
        let job = Job::open(&self.load, connection.output, Kind::Decisions, &identities.run())?;
        let identities = identities.of_attempt(job.attempt());
        if job.is_finished() {
            return job.report(None);
        }
        self.load.define(&client, &mapping).await?;
        if let Customer::Key(customer) = &mapping.customer {
            let known = check_key_namespace(&client, &customer.namespace).await?;
            known.map_err(self.load.of_mapping())?;
        }
        let existing_customer = !self.create_customers;
        let batcher = DecisionBatcher { mapping: &mapping, identities: &identities, existing_customer };
        job.run(DecisionStream::new(&client), batcher, &mapping.input).await
    }
}

/// Turns each row into a request of its own.
#[derive(Debug, Clone, Copy)]
struct DecisionBatcher<'m> {
    mapping: &'m DecisionMapping,
    identities: &'m Identities,
    /// A key that is not known is rather a wrong key, or a wrong source, than a new customer.
    existing_customer: bool,
}

impl Batcher for DecisionBatcher<'_> {
    type Request = DatedDecision;

    fn push(&mut self, row: Row) -> Vec<Batch<Self::Request>> {
        vec![match self.customer(&row) {
            Err(refusal) => unsendable(row, refusal),
            Ok(customer) => match self.mapping.decision.request(&row) {
                Err((field, explanation)) => {
                    let refusal = Refusal::new(row.number, field, NOT_PARSED, &explanation);
                    unsendable(row, refusal)
                }
                Ok(decision) => {
                    let request_id = self.identities.request(row.number);
                    let existing_customer = self.existing_customer;
                    let request = decision.map(|one| DatedDecision {
                        customer,
                        request: v1::RecordConsentRequest { request_id, existing_customer, ..one },
                    });
                    Batch { request, ..Batch::of(row) }
                }
            },
        }]
    }

    /// Each row is complete by itself.
    fn finish(&mut self) -> Option<Batch<Self::Request>> {
        None
    }
}

impl DecisionBatcher<'_> {
    /// The customer of a row.
    fn customer(&self, row: &Row) -> Result<Named, Refusal> {
        match &self.mapping.customer {
            Customer::Key(customer) => {
                let key = key_of(&customer.key, row)?;
                Ok(Named::Key { namespace: customer.namespace.clone(), key })
            }
            Customer::Id(column) => key_of(std::slice::from_ref(&column.id), row).map(Named::Id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::MappingFile as _;

    const MAPPING: &str = r#"
        [customer]
        key = ["id"]
        namespace = "crm"
        [decision]
        purpose = { column = "list", values = { news = "offers" } }
        status = "said"
        notice_version = { constant = "2026-01" }
        method = { constant = "explicit" }
        act = "act"
        decided_at = { column = "on", format = "%Y%m%d" }
        only_where = { column = "kind", equals = "consent" }
    "#;

    fn row(number: u64, pairs: &[(&str, &str)]) -> Row {
        let defaults = [
            ("id", "7"),
            ("list", "news"),
            ("said", "given"),
            ("act", "signed"),
            ("on", "20260102"),
            ("kind", "consent"),
        ];
        let value = |(name, default): (&'static str, &'static str)| {
            let given = pairs.iter().find(|(known, _)| *known == name);
            (name, given.map_or(default, |(_, value)| *value).to_owned())
        };
        let cells = defaults.map(value);
        let cells: Vec<_> = cells.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Row::of_pairs(number, &cells)
    }

    fn batch(row: Row) -> Batch<DatedDecision> {
        let mapping = DecisionMapping::parse(MAPPING).unwrap();
        let identities = Identities::new("crm", &["file"]);
        let mut batcher =
            DecisionBatcher { mapping: &mapping, identities: &identities, existing_customer: true };
        batcher.push(row).remove(0)
    }

    #[test]
    fn a_row_is_a_dated_decision_of_the_same_customer_as_in_import() {
        let batch = batch(row(3, &[]));
        let DatedDecision { customer, request } = batch.request.unwrap();
        assert_eq!(customer, Named::Key { namespace: "crm".into(), key: "7".into() });
        assert_eq!((request.purpose.as_str(), request.status()), ("offers", v1::ConsentStatus::Given));
        assert_eq!(request.evidence.unwrap().act(), v1::AffirmativeAct::Signed);
        assert_eq!(request.decided_at.unwrap().to_string(), "2026-01-02T00:00:00Z");
        assert_eq!(batch.position.unwrap().rows, 3);
        assert!(!request.request_id.is_empty() && request.existing_customer);
    }

    #[test]
    fn the_same_row_is_the_same_request_in_every_run() {
        assert_eq!(batch(row(3, &[])).request, batch(row(3, &[])).request);
        let (one, other) = (batch(row(3, &[])).request.unwrap(), batch(row(4, &[])).request.unwrap());
        assert_ne!(one.request.request_id, other.request.request_id);
    }

    #[test]
    fn a_row_that_cannot_be_read_is_refused_with_its_field() {
        for (column, value, field) in [
            ("list", "weather", "purpose"),
            ("said", "maybe", "status"),
            ("said", "", "status"),
            ("act", "nodded", "act"),
            ("on", "20261301", "decided_at"),
            ("on", "", "decided_at"),
        ] {
            let batch = batch(row(1, &[(column, value)]));
            assert!(batch.request.is_none() && batch.position.is_some());
            assert_eq!(
                (batch.refused[0].item.as_str(), batch.refused[0].reason.as_str()),
                (field, NOT_PARSED)
            );
        }
        assert_eq!(batch(row(1, &[("id", "")])).refused[0].reason, "no-key");
    }

    #[test]
    fn a_row_that_does_not_meet_the_condition_is_skipped() {
        let batch = batch(row(1, &[("kind", "order")]));
        assert!(batch.request.is_none() && batch.refused.is_empty() && batch.position.is_some());
    }

    #[test]
    fn a_past_withdrawal_is_recorded_as_a_refusal_of_its_date() {
        let request = batch(row(1, &[("said", "withdrawn")])).request.unwrap().request;
        assert_eq!(request.status(), v1::ConsentStatus::Refused);
        assert!(request.decided_at.is_some());
    }
}
