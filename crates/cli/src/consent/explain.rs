//! `custodia consent explain`: whether a purpose was permitted at some time, and why.

use custodia_proto::{Timestamp, v1};

use crate::customer::CustomerQuery;
use crate::text::enum_text::enum_text;
use crate::text::output::facts;
use crate::text::values::parse_time;

/// What `consent explain` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainDecision {
    #[command(flatten)]
    query: CustomerQuery,
    /// The purpose to explain
    #[arg(long)]
    decided_purpose: String,
    /// The attribute to explain [default: the purpose as a whole]
    #[arg(long, default_value = "", hide_default_value = true)]
    attribute: String,
    /// The recipient of the data [default: the controller itself]
    #[arg(long, default_value = "", hide_default_value = true)]
    recipient: String,
    /// Use the record and catalogue as of this time [default: now]
    #[arg(long, value_parser = parse_time)]
    time: Option<Timestamp>,
}

impl ExplainDecision {
    pub(crate) fn into_request(self) -> v1::ExplainDecisionRequest {
        v1::ExplainDecisionRequest {
            customer_id: self.query.id,
            purpose: self.query.purpose,
            decided_purpose: self.decided_purpose,
            attribute: self.attribute,
            time: self.time,
            recipient: self.recipient,
        }
    }
}

/// The verdict and the facts that led to it.
pub(crate) fn explanation_text(explanation: &v1::DecisionExplanation) -> String {
    let verdict = if explanation.permitted {
        format!(
            "permitted by {} ({})",
            enum_text::<v1::LawfulBasis>(explanation.ground),
            enum_text::<v1::GroundOrigin>(explanation.origin)
        )
    } else {
        format!("refused: {}", enum_text::<v1::RefusalReason>(explanation.reason))
    };
    let entries: Vec<_> = explanation.ledger_sequences.iter().map(ToString::to_string).collect();
    let time = |time: Option<&Timestamp>| time.map(ToString::to_string).unwrap_or_default();
    let facts = facts([
        ("why", explanation.explanation.clone()),
        ("at", time(explanation.time.as_ref())),
        ("until", time(explanation.until.as_ref())),
        ("jurisdictions", explanation.jurisdictions.join(", ")),
        ("ledger entries", entries.join(", ")),
        ("catalogue", format!("version {}", explanation.catalogue_version)),
        ("purpose's etag", explanation.purpose_etag.clone()),
        ("attribute's etag", explanation.attribute_etag.clone()),
    ]);
    format!("{verdict}\n\n{facts}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_names_its_ground_and_a_refusal_its_reason() {
        let permit = v1::DecisionExplanation {
            permitted: true,
            ground: v1::LawfulBasis::Consent.into(),
            origin: v1::GroundOrigin::NotOptedOut.into(),
            jurisdictions: vec!["us-ca".into()],
            ledger_sequences: vec![3, 7],
            ..Default::default()
        };
        let text = explanation_text(&permit);
        assert!(text.starts_with("permitted by consent (not-opted-out)"), "{text}");
        assert!(text.contains("us-ca") && text.contains("3, 7") && !text.contains("until"), "{text}");
        let refusal = v1::DecisionExplanation {
            reason: v1::RefusalReason::ExplicitConsentNeeded.into(),
            ..Default::default()
        };
        assert!(explanation_text(&refusal).starts_with("refused: explicit-consent-needed"));
    }
}
