//! BatchCheckContact: whether many customers may be contacted, each judged as by CheckContact.

use custodia_profile::CustomerRecord;
use custodia_proto::v1::{self, batch_contact::Result as Wire};

use super::contact::Planned;
use crate::{
    api::batch::{BatchRead, Item},
    catalogue::CatalogueView,
    shard::ProfileView,
    wire::ServiceError,
};

impl BatchRead for v1::BatchCheckContactRequest {
    type Query = Planned;
    type Read = v1::CheckContactResponse;

    fn asked(&self) -> (&[String], &str) {
        (&self.customer_ids, &self.purpose)
    }

    fn part(&self, customer_ids: Vec<String>) -> Self {
        Self { customer_ids, ..self.clone() }
    }

    fn parse(&self, view: &CatalogueView) -> Result<Planned, ServiceError> {
        Planned::parse(&self.channel, &self.topic, self.at.as_ref(), view)
    }

    fn knows(_query: &Planned, _record: &CustomerRecord, _view: &CatalogueView) -> bool {
        true
    }

    fn read(query: &Planned, profile: &ProfileView<'_>) -> Result<v1::CheckContactResponse, ServiceError> {
        query.judged(profile)
    }

    fn answer(&self, items: Vec<Item<Self>>) -> v1::BatchCheckContactResponse {
        let contacts = self.customer_ids.iter().zip(items).map(|(id, item)| v1::BatchContact {
            customer_id: id.clone(),
            result: Some(item.map_or_else(Wire::Error, Wire::Contact)),
        });
        v1::BatchCheckContactResponse { contacts: contacts.collect() }
    }

    fn items(answer: v1::BatchCheckContactResponse) -> Vec<Option<Item<Self>>> {
        let item = |wire| match wire {
            Wire::Contact(contact) => Ok(contact),
            Wire::Error(error) => Err(error),
        };
        answer.contacts.into_iter().map(|contact| contact.result.map(item)).collect()
    }
}
