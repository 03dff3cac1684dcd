//! One unary call on one channel. Messages go as the bytes that they are: a call is encoded once for all its attempts, and one
//! function sends the calls of every method.

use bytes::Bytes;
use custodia_proto::{BytesCodec, rpc::Unary};
use prost::Message as _;
use tonic::{Request, Response, Status, codegen::http::uri::PathAndQuery, transport::Channel};

use crate::timing::ANSWER_BYTES_MAX;

/// Sends one encoded request, and waits for the answer.
pub(crate) async fn send(
    channel: Channel,
    path: &'static str,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, Status> {
    let mut grpc = tonic::client::Grpc::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
    let not_ready = |error| Status::unknown(format!("the connection is not ready: {error}"));
    grpc.ready().await.map_err(not_ready)?;
    grpc.unary(request, PathAndQuery::from_static(path), BytesCodec).await
}

/// The message that an answer's bytes are.
pub(crate) fn decoded<R: Unary>(answer: Bytes) -> Result<R::Answer, Status> {
    R::Answer::decode(answer).map_err(|_malformed| Status::internal("the answer does not decode"))
}
