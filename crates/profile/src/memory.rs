//! Owns the memory of a customer's last requests, so that a retry gets the first answer again. Always: at most 64
//! requests of the last 24 hours, oldest first, within a byte limit.

use crate::{
    id::{RequestId, TimestampMs},
    limits::{REMEMBERED_BYTES_MAX, REMEMBERED_FOR_MS, REMEMBERED_REQUESTS_MAX},
};

/// One answered request.
#[derive(Clone, PartialEq, Eq)]
pub struct RememberedRequest {
    /// The request.
    pub id: RequestId,
    /// When it was answered.
    pub at: TimestampMs,
    /// The answer, encoded by the server.
    pub answer: Vec<u8>,
}

impl std::fmt::Debug for RememberedRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RememberedRequest")
            .field("id", &self.id)
            .field("at", &self.at)
            .field("answer_bytes", &self.answer.len())
            .finish()
    }
}

/// A customer's last requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestMemory {
    pub(crate) requests: Vec<RememberedRequest>,
}

impl RequestMemory {
    /// The answer to a request of the last 24 hours.
    #[must_use]
    pub fn answer(&self, id: &RequestId, now: TimestampMs) -> Option<&[u8]> {
        let known = self.requests.iter().find(|request| request.id == *id && is_fresh(request, now));
        known.map(|request| request.answer.as_slice())
    }

    /// Remembers an answer; forgets what is older than 24 hours, then the oldest beyond the limits. An answer that is
    /// already remembered stays as it is.
    pub fn remember(&mut self, id: RequestId, now: TimestampMs, answer: Vec<u8>) {
        self.requests.retain(|request| is_fresh(request, now));
        if self.requests.iter().any(|request| request.id == id) {
            return;
        }
        self.requests.push(RememberedRequest { id, at: now, answer });
        let mut bytes = 0_usize;
        let kept = self.requests.iter().rev().take(REMEMBERED_REQUESTS_MAX).take_while(|request| {
            let is_newest = bytes == 0;
            bytes = bytes.saturating_add(request.answer.len()).max(1);
            is_newest || bytes <= REMEMBERED_BYTES_MAX
        });
        let forgotten = self.requests.len() - kept.count();
        self.requests.drain(..forgotten);
    }

    /// The remembered requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> &[RememberedRequest] {
        &self.requests
    }
}

fn is_fresh(request: &RememberedRequest, now: TimestampMs) -> bool {
    now <= request.at.plus_ms(REMEMBERED_FOR_MS)
}
