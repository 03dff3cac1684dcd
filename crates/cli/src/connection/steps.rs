//! A long job that the cluster does in steps, each a call of bounded work: throttled by a pause after each step, so that the nodes serve
//! other calls in between. A step that fails because a node is down is repeated, which changes nothing that it did before.

use std::time::Duration;

use custodia_client::{Client, ClientError};
use custodia_proto::rpc::Unary;
use indicatif::{ProgressBar, ProgressStyle};
use tonic::Code;

/// How long a step may take.
pub(crate) const STEP_DEADLINE: Duration = Duration::from_secs(60);
/// How often a step is repeated, and how long is waited before.
const REPEATS_MAX: u32 = 30;
const REPEAT_AFTER: Duration = Duration::from_secs(1);

/// Does one step.
pub(crate) async fn step<R: Unary + Clone>(client: &Client, request: &R) -> Result<R::Answer, ClientError> {
    for _ in 0..REPEATS_MAX {
        match client.call(request.clone()).await {
            Err(error) if may_pass(error.code()) => tokio::time::sleep(REPEAT_AFTER).await,
            answer => return answer,
        }
    }
    client.call(request.clone()).await
}

const fn may_pass(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::Aborted | Code::DeadlineExceeded | Code::ResourceExhausted)
}

/// Shows how much of a phase is done, in percent, on a terminal.
pub(crate) fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(100);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}  {elapsed}") {
        bar.set_style(style);
    }
    bar
}
