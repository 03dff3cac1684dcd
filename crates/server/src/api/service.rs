//! The services of the public API, served by one function: a unary call goes to its handler by its path, as bytes
//! (`dispatch.rs`); each streaming method has a function of its own.
//!
//! Why not the generated servers: they instantiate the whole path of a call once for each method, which makes the crate slow
//! to build. What differs between unary methods is encoding and decoding alone.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use custodia_proto::{BytesCodec, v1};
use futures::{
    future::{BoxFuture, Ready, ready},
    stream::BoxStream,
};
use http::request::Request as HttpRequest;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codegen::Service,
    server::{Grpc, StreamingService, UnaryService},
};
use tonic_prost::ProstCodec;

use super::{
    dispatch::dispatch,
    handler::{self, admitted},
};
use crate::shard::ShardContext;

/// The services of the public API.
#[derive(Debug, Clone)]
pub(super) struct ApiService {
    context: Arc<ShardContext>,
}

impl ApiService {
    pub(super) const fn new(context: Arc<ShardContext>) -> Self {
        Self { context }
    }

    fn limits(&self) -> (Option<usize>, Option<usize>) {
        let limits = self.context.limits();
        (Some(limits.message_bytes_max), Some(limits.response_bytes_max))
    }
}

/// Answers a request: a stream by the function of its name, all others by their path.
macro_rules! answer {
    ($($path:literal $name:ident($item:ident) -> $answer:ident;)*) => {
        async fn answer(service: ApiService, request: HttpRequest<Body>) -> http::Response<Body> {
            let (request_bytes_max, response_bytes_max) = service.limits();
            match request.uri().path() {
                $($path => {
                    struct Stream(Arc<ShardContext>);

                    impl StreamingService<v1::$item> for Stream {
                        type Response = v1::$answer;
                        type ResponseStream = BoxStream<'static, Result<v1::$answer, Status>>;
                        type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

                        fn call(&mut self, request: Request<Streaming<v1::$item>>) -> Self::Future {
                            ready(handler::$name(&self.0, request))
                        }
                    }

                    Grpc::new(ProstCodec::default())
                        .apply_max_message_size_config(request_bytes_max, response_bytes_max)
                        .streaming(Stream(service.context), request)
                        .await
                })*
                path => {
                    let path = path.to_owned();
                    Grpc::new(BytesCodec)
                        .apply_max_message_size_config(request_bytes_max, response_bytes_max)
                        .unary(UnaryCall { context: service.context, path }, request)
                        .await
                }
            }
        }
    };
}

custodia_proto::streaming_methods!(answer);

impl Service<HttpRequest<Body>> for ApiService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(answer(service, request).await) })
    }
}

struct UnaryCall {
    context: Arc<ShardContext>,
    path: String,
}

impl UnaryService<Bytes> for UnaryCall {
    type Response = Bytes;
    type Future = BoxFuture<'static, Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (context, path) = (Arc::clone(&self.context), std::mem::take(&mut self.path));
        Box::pin(async move {
            let call = admitted(&request)?;
            Ok(dispatch(&context, &path, &call, request.into_inner()).await?.into_response())
        })
    }
}
