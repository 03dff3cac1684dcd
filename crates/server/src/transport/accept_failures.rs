//! Says that a port cannot accept connections: once, and again after a while, not for each attempt. While file descriptors
//! are exhausted every attempt fails, and as soon as one connection ends one more succeeds.

use std::{io, time::Duration};

use rustix::io::Errno;
use tokio::time::Instant;

/// How long nothing more is said.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The failures of one port.
#[derive(Debug)]
pub(super) struct AcceptFailures {
    port: &'static str,
    said_at: Option<Instant>,
    unsaid: u64,
}

impl AcceptFailures {
    /// Of the port with this name in the log.
    pub(super) const fn of(port: &'static str) -> Self {
        Self { port, said_at: None, unsaid: 0 }
    }

    /// One more.
    pub(super) fn note(&mut self, error: &io::Error) {
        if self.said_at.is_some_and(|said_at| said_at.elapsed() < SAY_AGAIN_AFTER) {
            self.unsaid = self.unsaid.saturating_add(1);
            return;
        }
        let (port, failed_before) = (self.port, self.unsaid);
        let is_exhausted = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
        if error.raw_os_error().is_some_and(|code| is_exhausted.contains(&code)) {
            tracing::error!(
                %error, port, failed_before,
                "cannot accept connections: open files are exhausted; raise the limit (`ulimit -n`, systemd: LimitNOFILE) \
                 or lower limits.connections_max"
            );
        } else {
            tracing::error!(%error, port, failed_before, "cannot accept connections");
        }
        (self.said_at, self.unsaid) = (Some(Instant::now()), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_fails_all_the_time_is_said_from_time_to_time() {
        let mut failures = AcceptFailures::of("test");
        let error = io::Error::from_raw_os_error(Errno::MFILE.raw_os_error());
        for expected in [0, 1, 2] {
            failures.note(&error);
            assert_eq!(failures.unsaid, expected);
        }
        tokio::time::advance(SAY_AGAIN_AFTER).await;
        failures.note(&error);
        assert_eq!(failures.unsaid, 0);
    }
}
