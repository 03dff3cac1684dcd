//! One unary call on one channel. Messages go as the bytes that they are: a call is encoded once for all its attempts, and one
//! function sends the calls of every method.

use bytes::{Buf as _, BufMut as _, Bytes};
use custodia_proto::rpc::Unary;
use prost::Message as _;
use tonic::{
    Request, Response, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    transport::Channel,
};

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

/// Encodes and decodes nothing.
#[derive(Debug, Clone, Copy, Default)]
struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
