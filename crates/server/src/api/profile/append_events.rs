//! AppendEvents: appends events to a customer, as far as the law permits.

use custodia_profile::{Event, Observations};
use custodia_proto::v1;

use super::{convert, parse};
use crate::{
    catalogue::CatalogueView,
    counters::count_outcomes,
    shard::{Answered, CustomerState, CustomerWrite, Mutation, Origin, ShardContext},
    wire::ServiceError,
};

impl CustomerWrite for v1::AppendEventsRequest {
    type Input = Observations;

    fn parse(&self, _origin: Origin<'_>, view: &CatalogueView) -> Result<Observations, ServiceError> {
        parse::append_events(self, &|purpose| view.purpose_number(purpose, "purpose"))
    }

    fn events(observations: &Observations) -> &[Event] {
        &observations.events
    }

    fn evaluate(
        observations: &Observations,
        state: &CustomerState<'_>,
    ) -> Result<Mutation<Self::Answer>, ServiceError> {
        let record = state.existing()?;
        let mut ingested =
            custodia_profile::ingest(record, observations, &state.view.catalogue, state.change())?;
        state.events.sift(&observations.events, &mut ingested);
        let outcomes = observations.events.iter().zip(&ingested.event_outcomes);
        let answer = v1::AppendEventsResponse {
            customer_id: state.location.customer.to_string(),
            events: outcomes
                .map(|(event, outcome)| convert::event_outcome(event.id.as_str(), *outcome))
                .collect(),
        };
        Ok(Mutation { record: None, ledger: Vec::new(), events: ingested.events, answer })
    }

    fn note(answered: Answered, answer: &Self::Answer, _context: &ShardContext, _view: &CatalogueView) {
        if answered == Answered::Now {
            count_outcomes(&[], &answer.events);
        }
    }
}
