//! What the operating system allows this process: how large its files may be, and how many it may open. Too small a limit is
//! said before the node serves, not when the first write or connection fails.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{error::ServerError, limits::Limits};

/// A snapshot of a shard is one file.
const FILE_BYTES_LEAST: u64 = 16 << 30;
/// Files of the partitions and of the log, and the node's own connections to other nodes.
const OPEN_FILES_OF_DATA: u64 = 1_024;
/// With fewer, a node would fail while it opens its data.
const OPEN_FILES_LEAST: u64 = 512;

/// Raises the limits as far as this process may, and checks what they are.
///
/// # Errors
/// A limit with which the node cannot work.
pub(crate) fn prepare(limits: &Limits) -> Result<(), ServerError> {
    let bytes = raise(Resource::Fsize, u64::MAX);
    if bytes < FILE_BYTES_LEAST {
        return Err(ServerError::FileSizeLimit { bytes, least: FILE_BYTES_LEAST });
    }
    let connections = limits.connections_max + limits.peer_connections_max + limits.handshakes_max;
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OPEN_FILES_OF_DATA);
    let files = raise(Resource::Nofile, wanted);
    if files < OPEN_FILES_LEAST {
        return Err(ServerError::OpenFilesLimit { files, least: OPEN_FILES_LEAST });
    }
    if files < wanted {
        tracing::warn!(
            files,
            wanted,
            "the limit on open files (`ulimit -n`, systemd: LimitNOFILE) is below what limits.connections_max, \
             limits.peer_connections_max and limits.handshakes_max allow: connections may fail"
        );
    }
    Ok(())
}

/// Raises a limit to what is wanted, or as far as it may be; the limit then.
fn raise(resource: Resource, wanted: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(resource);
    let (before, most) = (current.unwrap_or(u64::MAX), maximum.unwrap_or(u64::MAX));
    let raised = wanted.min(most);
    if before >= raised {
        return before;
    }
    let current = (raised != u64::MAX).then_some(raised);
    match setrlimit(resource, Rlimit { current, maximum }) {
        Ok(()) => raised,
        Err(error) => {
            tracing::debug!(%error, "cannot raise a limit of the process");
            before
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_raised_and_never_lowered() {
        let before = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        assert_eq!(raise(Resource::Nofile, 1), before);
        let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        assert_eq!(raise(Resource::Nofile, before.saturating_add(1)), before.saturating_add(1).min(most));
    }
}
