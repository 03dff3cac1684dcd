//! A stream of calls to the cluster: requests go in, up to the window; answers come out in any order.

use custodia_client::{Answered, Client, ClientError, IngestReceiver, IngestSender};
use custodia_proto::v1;
use tonic::Code;

use crate::import::request::Ingest;
use crate::import::tally::Counted;

/// The calls of one kind, many of them in flight at a time.
pub(crate) trait CallStream {
    /// The type of the answers, which determines the type of the requests.
    type Answer: Counted;

    /// Sends a request; returns the number that its answer will have. Fails if the stream is broken.
    async fn send(&mut self, request: &<Self::Answer as Counted>::Request) -> Result<u64, ClientError>;

    /// The next answer; `None` after the last one of a closed stream. Cancel-safe.
    async fn next(&mut self) -> Option<(u64, Result<Self::Answer, ClientError>)>;

    /// Ends the input.
    fn close(&mut self);

    /// Whether an error concerns one row only. Any other error would meet every row and ends the import.
    fn is_row_error(answered: &Answered) -> bool;
}

/// Profiles, streamed to the leaders of their shards.
#[derive(Debug)]
pub(crate) struct IngestStream {
    sender: Option<IngestSender>,
    receiver: IngestReceiver,
}

impl IngestStream {
    pub(crate) fn new(client: &Client, window: usize) -> Self {
        let (sender, receiver) = client.ingest_profiles(window);
        Self { sender: Some(sender), receiver }
    }
}

impl CallStream for IngestStream {
    type Answer = v1::IngestProfileResponse;

    async fn send(&mut self, ingest: &Ingest) -> Result<u64, ClientError> {
        match &mut self.sender {
            Some(sender) => sender.send(ingest.request.clone()).await,
            None => Err(ClientError::StreamClosed),
        }
    }

    async fn next(&mut self) -> Option<(u64, Result<v1::IngestProfileResponse, ClientError>)> {
        let outcome = self.receiver.next().await?;
        Some((outcome.sequence, outcome.result))
    }

    fn close(&mut self) {
        self.sender = None;
    }

    fn is_row_error(answered: &Answered) -> bool {
        let is_of_every_row = matches!(answered.field.as_str(), "purpose" | "source");
        is_record_error(answered.code)
            || is_input_error(answered.code) && !is_of_every_row
            || is_legal_refusal(answered)
    }
}

/// The codes for an invalid request.
pub(crate) fn is_input_error(code: Code) -> bool {
    matches!(code, Code::InvalidArgument | Code::OutOfRange | Code::ResourceExhausted)
}

/// Whether the law refuses what is recorded of this customer, or of the purpose.
pub(crate) fn is_legal_refusal(answered: &Answered) -> bool {
    const NO_OUTCOME: [&str; 3] = ["OBJECTION_STANDS", "NO_STANDS", "NEWER_DECISION_STANDS"];
    let reason = answered.reason.as_str();
    let is_refusal = || v1::RefusalReason::from_str_name(&format!("REFUSAL_REASON_{reason}")).is_some();
    answered.code == Code::FailedPrecondition && (NO_OUTCOME.contains(&reason) || is_refusal())
}

/// The codes for a damaged or contended customer record.
pub(crate) fn is_record_error(code: Code) -> bool {
    matches!(code, Code::DataLoss | Code::Aborted)
}
