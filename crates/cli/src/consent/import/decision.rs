//! A decision of a file on its way to the cluster: whose it is, and what became of it.

use custodia_client::{Client, ClientError};
use custodia_proto::v1;

use crate::import::{Batch, Counted, Refusal, Tally};

/// The customer of a decision, as the file names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Named {
    /// By the id, `cust_…`.
    Id(String),
    /// By the key in a namespace.
    Key { namespace: String, key: String },
}

/// A decision of a row, its date included.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DatedDecision {
    pub(super) customer: Named,
    /// Without a customer id.
    pub(super) request: v1::RecordConsentRequest,
}

impl DatedDecision {
    /// Records it. A customer who is named by a key must exist.
    pub(super) async fn record(self, client: &Client) -> Result<v1::ConsentState, ClientError> {
        let customer_id = match self.customer {
            Named::Id(id) => id,
            Named::Key { namespace, key: value } => {
                let identifier = Some(v1::Identifier { namespace, value });
                // The id alone is wanted, so no value is read.
                let verdicts = v1::VerdictDetail::Only.into();
                let purpose = self.request.purpose.clone();
                let lookup = v1::LookupProfileRequest { identifier, purpose, verdicts, ..Default::default() };
                let found = client.lookup_profile(lookup).await?.profiles;
                found.into_iter().next().map(|profile| profile.customer_id).unwrap_or_default()
            }
        };
        client.record_consent(v1::RecordConsentRequest { customer_id, ..self.request }).await
    }
}

impl Counted for v1::ConsentState {
    type Request = DatedDecision;

    fn count(&self, _batch: &Batch<DatedDecision>, tally: &mut Tally, _refused: &mut Vec<Refusal>) {
        tally.count_decision(self.effect());
    }
}

#[cfg(test)]
mod tests {
    use custodia_client::Answered;

    use super::*;

    #[test]
    fn a_decision_that_was_known_is_not_counted_as_recorded() {
        let counts = |effect: v1::DecisionEffect| {
            let state = v1::ConsentState { effect: effect.into(), ..Default::default() };
            let answer: Result<_, Answered> = Ok(state);
            let (tally, _) = Tally::of(&mut Batch::default(), Some(&answer));
            (tally.decisions_recorded, tally.decisions_superseded, tally.decisions_known)
        };
        assert_eq!(counts(v1::DecisionEffect::Applied), (1, 0, 0));
        assert_eq!(counts(v1::DecisionEffect::Superseded), (0, 1, 0));
        assert_eq!(counts(v1::DecisionEffect::Unchanged), (0, 0, 1));
    }
}
