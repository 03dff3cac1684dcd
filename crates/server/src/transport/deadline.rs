//! The deadline of a call: what its caller states in `grpc-timeout`, within the limits of the node.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use crate::{Deadline, limits::Limits, method::Method, refusal::Refusal};

/// The deadline of a stream that states none: in effect it ends with its connection.
const STREAM_DEADLINE: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The deadline of a call that arrived at `arrived`.
pub(super) fn deadline_of(
    method: &Method,
    headers: &HeaderMap,
    limits: &Limits,
    arrived: Instant,
) -> Result<Deadline, Refusal> {
    let stated = match headers.get("grpc-timeout") {
        None => None,
        Some(value) => Some(parse_timeout(value).ok_or(Refusal::TimeoutMalformed)?),
    };
    if stated == Some(Duration::ZERO) {
        return Err(Refusal::DeadlinePassed);
    }
    let left = if method.is_streaming {
        stated.unwrap_or(STREAM_DEADLINE).min(STREAM_DEADLINE)
    } else {
        stated.unwrap_or(limits.deadline_default()).min(limits.deadline_max())
    };
    Ok(Deadline(arrived + left))
}

/// `grpc-timeout` of the gRPC specification: at most 8 digits and a unit.
fn parse_timeout(value: &HeaderValue) -> Option<Duration> {
    let (unit, digits) = value.as_bytes().split_last()?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let number = digits.iter().try_fold(0_u64, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
    })?;
    match unit {
        b'H' => Some(Duration::from_secs(number * 3_600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}
