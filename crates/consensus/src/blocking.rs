//! Work that may block a thread: files, the log, the engine.

use crate::error::ConsensusError;

/// Runs work on a thread that may block.
///
/// # Errors
/// The work's own; [`Stopped`](ConsensusError::Stopped) if its thread ended without an answer.
pub(crate) async fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, ConsensusError>
where
    T: Send + 'static,
    E: Into<ConsensusError> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(|_gone| ConsensusError::Stopped)?.map_err(Into::into)
}
