//! BatchGetProfiles: the profiles of many customers.

use custodia_profile::CustomerRecord;
use custodia_proto::v1::{self, batch_profile::Result as Wire};

use super::get_profile::ReadRequest;
use crate::{
    api::batch::{BatchRead, Item},
    catalogue::CatalogueView,
    shard::ProfileView,
    wire::ServiceError,
};

impl BatchRead for v1::BatchGetProfilesRequest {
    type Query = ReadRequest;
    type Read = v1::Profile;

    fn asked(&self) -> (&[String], &str) {
        (&self.customer_ids, &self.purpose)
    }

    fn part(&self, customer_ids: Vec<String>) -> Self {
        Self { customer_ids, ..self.clone() }
    }

    fn parse(&self, view: &CatalogueView) -> Result<ReadRequest, ServiceError> {
        ReadRequest::parse(self.read_mask.as_ref(), self.verdicts, view)
    }

    fn knows(query: &ReadRequest, record: &CustomerRecord, view: &CatalogueView) -> bool {
        query.knows(record, view)
    }

    fn read(query: &ReadRequest, profile: &ProfileView<'_>) -> Result<v1::Profile, ServiceError> {
        query.answer(profile)
    }

    fn answer(&self, items: Vec<Item<Self>>) -> v1::BatchGetProfilesResponse {
        let profiles = self.customer_ids.iter().zip(items).map(|(id, item)| v1::BatchProfile {
            customer_id: id.clone(),
            result: Some(item.map_or_else(Wire::Error, Wire::Profile)),
        });
        v1::BatchGetProfilesResponse { profiles: profiles.collect() }
    }

    fn items(answer: v1::BatchGetProfilesResponse) -> Vec<Option<Item<Self>>> {
        let item = |wire| match wire {
            Wire::Profile(profile) => Ok(profile),
            Wire::Error(error) => Err(error),
        };
        answer.profiles.into_iter().map(|profile| profile.result.map(item)).collect()
    }
}
