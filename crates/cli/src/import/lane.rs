//! The way to the cluster: requests go in, as many as there is room for; answers come out in any order.

use custodia_client::{Answered, Client, ClientError, IngestReceiver, IngestSender};
use custodia_proto::v1;
use tonic::Code;

use crate::import::request::Ingest;
use crate::import::tally::Counted;

/// One kind of call, many of which are on their way at a time.
pub(crate) trait Lane {
    /// What comes back; it says what is sent as well.
    type Answer: Counted;

    /// Takes a request, and gives the number under which its answer comes.
    ///
    /// # Errors
    /// When the way is cut off.
    async fn send(&mut self, request: &<Self::Answer as Counted>::Request) -> Result<u64, ClientError>;

    /// The next answer; `None` after the last one of a closed lane. Nothing is lost where waiting is given up.
    async fn next(&mut self) -> Option<(u64, Result<Self::Answer, ClientError>)>;

    /// Ends the input.
    fn close(&mut self);

    /// Whether an error is one row's own. The others end the import, because they would meet every row.
    fn is_the_rows_own(answered: &Answered) -> bool;
}

/// Profiles, streamed to the leaders of their shards.
#[derive(Debug)]
pub(crate) struct IngestLane {
    sender: Option<IngestSender>,
    receiver: IngestReceiver,
}

impl IngestLane {
    pub(crate) fn new(client: &Client, window: usize) -> Self {
        let (sender, receiver) = client.ingest_profiles(window);
        Self { sender: Some(sender), receiver }
    }
}

impl Lane for IngestLane {
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

    fn is_the_rows_own(answered: &Answered) -> bool {
        let meets_every_row = answered.field == "purpose" || answered.field == "source";
        match answered.code {
            Code::InvalidArgument | Code::OutOfRange | Code::ResourceExhausted => !meets_every_row,
            Code::DataLoss | Code::Aborted => true,
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::Unauthenticated => false,
        }
    }
}
