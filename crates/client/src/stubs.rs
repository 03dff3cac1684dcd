//! The generated stubs on a channel, with the client's limits.

use custodia_proto::v1::{
    catalog_service_client::CatalogServiceClient, cluster_service_client::ClusterServiceClient,
    consent_service_client::ConsentServiceClient, preference_service_client::PreferenceServiceClient,
    profile_service_client::ProfileServiceClient,
};
use tonic::transport::Channel;

use crate::timing::ANSWER_BYTES_MAX;

pub(crate) fn profiles_of(channel: Channel) -> ProfileServiceClient<Channel> {
    ProfileServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX)
}

pub(crate) fn cluster_of(channel: Channel) -> ClusterServiceClient<Channel> {
    ClusterServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX)
}

pub(crate) fn consents_of(channel: Channel) -> ConsentServiceClient<Channel> {
    ConsentServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX)
}

pub(crate) fn preferences_of(channel: Channel) -> PreferenceServiceClient<Channel> {
    PreferenceServiceClient::new(channel)
}

pub(crate) fn catalog_of(channel: Channel) -> CatalogServiceClient<Channel> {
    CatalogServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX)
}
