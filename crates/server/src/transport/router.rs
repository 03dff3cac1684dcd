//! From a row of the method table to its service: by index, without a search by name and without an allocation besides
//! the handler's own future.

use std::{convert::Infallible, fmt};

use http::{Request, Response};
use tonic::{
    body::Body,
    codegen::{BoxFuture, Service},
};

use crate::method::ServiceId;

/// What a generated tonic service answers with.
pub(crate) type Answer = BoxFuture<Response<Body>, Infallible>;

/// A generated tonic service, its type erased.
trait Handle: Send + Sync {
    fn handle(&self, request: Request<Body>) -> Answer;
}

impl<S> Handle for S
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answer>
        + Clone
        + Send
        + Sync,
{
    fn handle(&self, request: Request<Body>) -> Answer {
        // always ready: a generated service is a few shared pointers, meant to be cloned for each call
        self.clone().call(request)
    }
}

/// The services of a node.
#[derive(Default)]
pub(crate) struct Router {
    services: [Option<Box<dyn Handle>>; ServiceId::COUNT],
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Router({} services)", self.services.iter().flatten().count())
    }
}

impl Router {
    /// This router with one more service.
    #[must_use]
    pub(crate) fn with<S>(mut self, id: ServiceId, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answer>
            + Clone
            + Send
            + Sync
            + 'static,
    {
        if let Some(place) = self.services.get_mut(id.index()) {
            *place = Some(Box::new(service));
        }
        self
    }

    /// Hands a request to its service, if the node has it.
    pub(crate) fn route(&self, id: ServiceId, request: Request<Body>) -> Option<Answer> {
        self.services.get(id.index())?.as_ref().map(|service| service.handle(request))
    }
}
