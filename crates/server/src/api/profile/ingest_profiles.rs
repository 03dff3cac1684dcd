//! IngestProfiles: many rows over one stream.
//!
//! ```text
//! sender ─▶ (window of rows in flight, each on its own task) ─▶ answers in the order of the rows ─▶ receiver
//! ```
//!
//! Must always hold: at most the window is in flight, and nothing more is read before an answer has been taken, so a
//! slow cluster or a slow receiver slows the sender; a row that fails is answered as failed and ends nothing.

use std::sync::Arc;

use custodia_proto::v1::{self, ingest_profiles_response::Result as RowResult};
use futures::{StreamExt as _, future, stream::BoxStream};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Status, Streaming};

use crate::{
    api::handler::{Call, customer_write},
    shard::ShardContext,
    wire::{ServiceError, row_error},
};

type Answers = BoxStream<'static, Result<v1::IngestProfilesResponse, Status>>;

/// Answers a stream until its sender ends it, it breaks, or its deadline passes.
pub(crate) fn ingest_profiles(
    context: Arc<ShardContext>,
    call: Call,
    rows: Streaming<v1::IngestProfileRequest>,
) -> Answers {
    let window = context.limits().stream_window;
    let started = rows.enumerate().map(move |(sequence, row)| {
        let sequence = u64::try_from(sequence).unwrap_or(u64::MAX);
        let (context, call) = (Arc::clone(&context), call.clone());
        async move {
            Ok(v1::IngestProfilesResponse { sequence, result: Some(started(context, call, row?).await) })
        }
    });
    // After an error of the stream itself there is nothing more to read.
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

/// Works on a row on a task of its own, so that the rows of a window use all cores. Dropping it ends the task.
async fn started(context: Arc<ShardContext>, call: Call, row: v1::IngestProfileRequest) -> RowResult {
    let deadline = call.deadline.min(Instant::now() + context.limits().deadline_default());
    let call = Call { deadline, ..call };
    let task = tokio::spawn(async move { customer_write(&context, &call, row).await });
    match AbortOnDropHandle::new(task).await {
        Ok(Ok(answered)) => RowResult::Response(answered.answer),
        Ok(Err(error)) => RowResult::Error(row_error(error)),
        Err(_panicked) => {
            RowResult::Error(row_error(ServiceError::Internal { context: "a row's task ended early" }))
        }
    }
}
