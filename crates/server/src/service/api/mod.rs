//! The generated service traits: who calls and until when comes from the request's extensions, where admission put
//! it; everything else happens in the functions called here.

mod catalog;
mod cluster;
mod consent;
mod preference;
mod profile;

use std::sync::Arc;

use custodia_proto::v1::{
    catalog_service_server::CatalogServiceServer, cluster_service_server::ClusterServiceServer,
    consent_service_server::ConsentServiceServer, preference_service_server::PreferenceServiceServer,
    profile_service_server::ProfileServiceServer,
};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::{
    definitions,
    error::ServiceError,
    forward::{Call, answer},
    room::Room,
};
use crate::{Deadline, authorisation::ServiceId, identity::Caller, router::Router};

/// The public API of a node.
#[derive(Debug, Clone)]
struct Api {
    room: Arc<Room>,
}

/// The router with the services of the public API.
pub(crate) fn routes(router: Router, room: &Arc<Room>) -> Router {
    let api = Api { room: Arc::clone(room) };
    let (request, response) = (room.limits().message_bytes_max, room.limits().response_bytes_max);
    macro_rules! sized {
        ($server:ident) => {
            $server::new(api.clone()).max_decoding_message_size(request).max_encoding_message_size(response)
        };
    }
    router
        .with(ServiceId::Profile, sized!(ProfileServiceServer))
        .with(ServiceId::Consent, sized!(ConsentServiceServer))
        .with(ServiceId::Preference, sized!(PreferenceServiceServer))
        .with(ServiceId::Catalog, sized!(CatalogServiceServer))
        .with(ServiceId::Cluster, sized!(ClusterServiceServer))
}

/// Who calls, and until when.
fn circumstances<T>(request: &Request<T>) -> Result<(Caller, Instant), ServiceError> {
    let extensions = request.extensions();
    let (caller, deadline) = (extensions.get::<Caller>(), extensions.get::<Deadline>());
    let missing = ServiceError::Internal { context: "a call that admission did not see" };
    let (caller, Deadline(deadline)) = caller.zip(deadline).ok_or(missing)?;
    Ok((caller.clone(), *deadline))
}

impl Api {
    async fn call<C: Call>(&self, request: Request<C>) -> Result<Response<C::Answer>, Status> {
        let (caller, deadline) = circumstances(&request)?;
        Ok(answer(&self.room, &caller, request.into_inner(), deadline).await?)
    }

    async fn define<C: Call>(&self, request: Request<C>) -> Result<Response<C::Answer>, Status> {
        let (caller, deadline) = circumstances(&request)?;
        Ok(definitions::define(&self.room, &caller, request.into_inner(), deadline).await?)
    }
}
