//! AppendEvents: appends events to a customer, as far as the law permits.

use std::collections::BTreeMap;

use custodia_profile::{Event, Observations};
use custodia_proto::v1;

use super::{convert, parse};
use crate::{
    catalogue::CatalogueView,
    counters::count_outcomes,
    routing::CustomerLocation,
    shard::{Answered, CustomerState, CustomerWrite, Mutation, Origin, ShardContext, WriteAccess},
    wire::ServiceError,
};

impl CustomerWrite for v1::AppendEventsRequest {
    type Input = Observations;

    fn parse(&self, _origin: Origin<'_>, view: &CatalogueView) -> Result<Observations, ServiceError> {
        parse::append_events(self, &|purpose| view.purpose_number(purpose, "purpose"))
    }

    fn access(observations: &Observations) -> WriteAccess {
        parse::access(observations)
    }

    fn echo(&self, location: CustomerLocation, answer: Self::Answer) -> Self::Answer {
        v1::AppendEventsResponse {
            customer_id: location.customer.to_string(),
            events: convert::echoed_events(answer.events),
        }
    }

    fn has_no_effect(answer: &Self::Answer) -> bool {
        convert::stored_prevails(&[], &answer.events)
    }

    fn events(observations: &Observations) -> &[Event] {
        &observations.events
    }

    fn evaluate(
        observations: &Observations,
        state: &CustomerState<'_>,
    ) -> Result<Mutation<Self::Answer>, ServiceError> {
        let record = state.record_or_new();
        let mut ingested = custodia_profile::ingest(
            &record,
            observations,
            &state.view.catalogue,
            &BTreeMap::new(),
            state.change(),
        )?;
        state.events.sift(&observations.events, &mut ingested);
        let answer = v1::AppendEventsResponse {
            customer_id: state.location.customer.to_string(),
            events: convert::event_outcomes(&observations.events, &ingested.event_outcomes),
        };
        // As with an ingest, a customer who is new is created where the law permits something.
        let is_created = state.record().is_none() && !ingested.events.is_empty();
        let record = is_created.then_some(ingested.record);
        Ok(Mutation { events: ingested.events, ..Mutation::new(record, Vec::new(), answer) })
    }

    fn note(answered: Answered, answer: &Self::Answer, _context: &ShardContext, _view: &CatalogueView) {
        if answered == Answered::Now {
            count_outcomes(&[], &answer.events);
        }
    }
}
