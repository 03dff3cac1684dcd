//! `custodia identifier split`: an identifier that a customer got by mistake goes to the customer whose it is.

use custodia_client::ClientError;
use custodia_proto::v1;
use tonic::Code;
use uuid::Uuid;

use crate::connection::Connection;
use crate::error::CliError;
use crate::known_by;

/// What `identifier split` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Split {
    /// Customer who has it by mistake (cust_…)
    id: String,
    /// The identifier: +49 30 901820, ana@example.org, loyalty-card=4006381333931
    identifier: String,
    /// Customer whose it is (cust_…) [default: a new customer]
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    to: String,
    /// Purpose for which the other customer is to have it
    #[arg(long)]
    purpose: String,
    /// UUID of the request; repeating it completes what was cut off
    #[arg(long)]
    request_id: Option<Uuid>,
    /// Only show what would happen
    #[arg(long)]
    dry_run: bool,
}

impl Split {
    pub(super) async fn run(self, connection: &Connection) -> Result<(), CliError> {
        let dry_run = self.dry_run;
        let request_id = self.request_id.unwrap_or_else(Uuid::now_v7);
        let request = v1::SplitIdentifierRequest {
            customer_id: self.id,
            purpose: self.purpose,
            identifier: Some(known_by::identifier(&self.identifier, connection).await?),
            to_customer_id: self.to,
            validate_only: dry_run,
            request_id: request_id.to_string(),
        };
        let done = connection.show(request, |answer| split_text(answer, dry_run)).await;
        if let Err(CliError::Client(error)) = &done
            && !dry_run
            && may_be_cut_off(error)
        {
            eprintln!("repeat it with --request-id {request_id} to complete what may have been cut off");
        }
        done
    }
}

/// Whether the identifier may be nobody's now.
fn may_be_cut_off(error: &ClientError) -> bool {
    let codes = [Code::Unavailable, Code::DeadlineExceeded, Code::Aborted, Code::Unknown];
    codes.contains(&error.code()) || error.reason() == Some("IDENTIFIER_NOT_GIVEN")
}

fn split_text(answer: &v1::SplitIdentifierResponse, dry_run: bool) -> String {
    let to = if answer.to_customer_id.is_empty() { "a new customer" } else { &answer.to_customer_id };
    let new = if answer.created && !answer.to_customer_id.is_empty() { ", who is new" } else { "" };
    let first = if dry_run {
        format!("would be taken from {} and given to {to}", answer.customer_id)
    } else {
        format!("taken from {} and given to {to}{new}", answer.customer_id)
    };
    let mut lines = vec![first];
    let named = |same_value: bool| {
        let related = answer.related.iter().filter(|one| one.same_value == same_value);
        let name = |one: &v1::RelatedData| {
            if one.attribute.is_empty() { format!("{}=…", one.namespace) } else { one.attribute.clone() }
        };
        related.map(name).collect::<Vec<_>>().join(", ")
    };
    let (same, of_source) = (named(true), named(false));
    if !same.is_empty() {
        lines.push(format!("stays with {}, though it is the same value: {same}", answer.customer_id));
    }
    if !of_source.is_empty() {
        let held = answer.identifier.clone().unwrap_or_default();
        let source = held.provenance.unwrap_or_default().source;
        lines.push(format!("stays with {}, and came from {source} too: {of_source}", answer.customer_id));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_names_what_stays_behind() {
        let related = |attribute: &str, namespace: &str, same_value| v1::RelatedData {
            attribute: attribute.into(),
            namespace: namespace.into(),
            same_value,
        };
        let provenance = v1::Provenance { source: "crm".into(), ..Default::default() };
        let answer = v1::SplitIdentifierResponse {
            customer_id: "cust_a".into(),
            to_customer_id: "cust_b".into(),
            created: true,
            identifier: Some(v1::HeldIdentifier { provenance: Some(provenance), ..Default::default() }),
            related: vec![related("email", "", true), related("city", "", false), related("", "card", false)],
            ..Default::default()
        };
        let text = split_text(&answer, false);
        assert_eq!(
            text,
            "taken from cust_a and given to cust_b, who is new\n\
             stays with cust_a, though it is the same value: email\n\
             stays with cust_a, and came from crm too: city, card=…"
        );
        let nobody = v1::SplitIdentifierResponse { customer_id: "cust_a".into(), ..Default::default() };
        assert_eq!(split_text(&nobody, true), "would be taken from cust_a and given to a new customer");
    }
}
