//! AppendEvents: appends events to a customer, as far as the law permits.

use custodia_profile::Event;
use custodia_proto::v1;

use super::{collected::Input, convert, parse};
use crate::{
    catalogue::CatalogueView,
    counters::count_outcomes,
    shard::{Answered, CustomerState, CustomerWrite, Mutation, Origin, ShardContext},
    wire::ServiceError,
};

impl CustomerWrite for v1::AppendEventsRequest {
    type Input = Input;

    fn parse(&self, _origin: Origin<'_>, view: &CatalogueView) -> Result<Input, ServiceError> {
        Input::new(parse::append_events(self)?.collected, view)
    }

    fn events(input: &Input) -> &[Event] {
        &input.observations.events
    }

    fn evaluate(input: &Input, state: &CustomerState<'_>) -> Result<Mutation<Self::Answer>, ServiceError> {
        let record = state.existing()?;
        let observations = &input.observations;
        let mut ingested =
            custodia_profile::ingest(record, observations, &state.view.catalogue, state.change())?;
        state.events.sift(&observations.events, &mut ingested);
        let outcomes = input.names.events.iter().zip(&ingested.event_outcomes);
        let answer = v1::AppendEventsResponse {
            customer_id: state.location.customer.to_string(),
            events: outcomes.map(|(id, outcome)| convert::event_outcome(id, *outcome)).collect(),
        };
        Ok(Mutation { record: None, ledger: Vec::new(), events: ingested.events, answer })
    }

    fn note(answered: Answered, answer: &Self::Answer, _context: &ShardContext, _view: &CatalogueView) {
        if answered == Answered::Now {
            count_outcomes(&[], &answer.events);
        }
    }
}
