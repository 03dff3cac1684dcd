//! IngestProfiles: many rows over one stream.
//!
//! ```text
//! sender ─▶ (window of rows in flight, each in its own task) ─▶ answers in the order of the rows ─▶ receiver
//! ```
//!
//! Invariant: at most the window is in flight, together no larger than the largest message, and no row is read before an
//! earlier answer has been taken, so a slow cluster or receiver slows the sender down. A row that is done counts no longer
//! to the bytes in flight. A row that fails does not end the stream.

use std::sync::Arc;

use custodia_proto::v1::{self, ingest_profiles_response::Result as RowResult};
use futures::{StreamExt as _, future, stream::BoxStream};
use prost::Message;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Status, Streaming};

use crate::{
    api::handler::customer_write,
    routing::Call,
    shard::ShardContext,
    transport::RequestBytes,
    wire::{ServiceError, row_error},
};

type Answers = BoxStream<'static, Result<v1::IngestProfilesResponse, Status>>;

/// Serves a stream until its sender ends it, it breaks or its deadline passes. `received` are the bytes that it holds in the
/// budgets of its connection and of the node.
pub(crate) fn ingest_profiles(
    context: Arc<ShardContext>,
    call: Call,
    rows: Streaming<v1::IngestProfileRequest>,
    received: Option<RequestBytes>,
) -> Answers {
    let window = context.limits().stream_window;
    let largest = u32::try_from(context.limits().message_bytes_max).unwrap_or(u32::MAX);
    let bytes = Arc::new(Semaphore::new(context.limits().message_bytes_max));
    let admitted = rows.then(move |row| {
        let bytes = Arc::clone(&bytes);
        let received = received.as_ref().map(RequestBytes::of_next_message);
        async move {
            let length = row.as_ref().map_or(0, Message::encoded_len);
            let length = u32::try_from(length).unwrap_or(u32::MAX).min(largest);
            (row, (received, bytes.acquire_many_owned(length).await))
        }
    });
    let started = admitted.enumerate().map(move |(sequence, (row, held))| {
        let sequence = u64::try_from(sequence).unwrap_or(u64::MAX);
        let (context, call) = (Arc::clone(&context), call.clone());
        async move {
            let result = Some(started(context, call, row?).await);
            drop(held);
            Ok(v1::IngestProfilesResponse { sequence, result })
        }
    });
    // After an error of the stream itself, nothing more can be read.
    let answers = started.buffered(window).scan(Progress::Going, |progress, answer| {
        let next = (*progress == Progress::Going)
            .then(|| answer.inspect_err(|_status| *progress = Progress::Broken));
        future::ready(next)
    });
    answers.boxed()
}

#[derive(Debug, PartialEq, Eq)]
enum Progress {
    Going,
    Broken,
}

/// Ingests a row in its own task, so that the rows of a window use all cores. Dropping the future ends the task.
async fn started(context: Arc<ShardContext>, call: Call, row: v1::IngestProfileRequest) -> RowResult {
    let deadline = call.deadline.min(Instant::now() + context.limits().deadline_default());
    let call = Call { deadline, ..call };
    let task = tokio::spawn(async move { customer_write(&context, &call, row).await });
    match AbortOnDropHandle::new(task).await {
        Ok(Ok(answered)) => RowResult::Response(answered.answer),
        Ok(Err(error)) => RowResult::Error(row_error(error)),
        Err(_panicked) => {
            RowResult::Error(row_error(ServiceError::Internal { context: "the task of a row ended early" }))
        }
    }
}
