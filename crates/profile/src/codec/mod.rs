//! Owns the bytes on disk (before sealing): `format version (1 byte) ‖ protobuf`. Always: another version is an error
//! of its own, and no bytes make this panic. From the first release on, every version can be read for ever and tags are
//! never reused; version 1 was never released and is not read.

mod catalogue;
mod duplicate;
mod field;
mod ground;
mod holders;
mod identifier;
mod ledger;
mod merge;
mod preferences;
mod record;
mod subject;
mod value;

use prost::Message;

use self::field::Field;
use crate::error::ProfileError;

/// The version that is written and read.
const VERSION: u8 = 2;

/// A type that is stored as versioned bytes.
pub trait Stored: Sized {
    /// The bytes to store.
    #[must_use]
    fn encode(&self) -> Vec<u8>;

    /// Reads stored bytes.
    ///
    /// # Errors
    /// `UnsupportedVersion`, `Corrupt` or `CorruptField`.
    fn decode(bytes: &[u8]) -> Result<Self, ProfileError>;
}

fn frame(message: &impl Message) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + message.encoded_len());
    bytes.push(VERSION);
    message.encode_raw(&mut bytes);
    bytes
}

fn unframe<M: Message + Default>(kind: &'static str, bytes: &[u8]) -> Result<M, ProfileError> {
    match bytes.split_first() {
        Some((&VERSION, body)) => M::decode(body).map_err(|source| ProfileError::Corrupt { kind, source }),
        Some((&found, _)) => Err(ProfileError::UnsupportedVersion { kind, found, supported: VERSION }),
        None => Err(ProfileError::CorruptField { kind, field: "format version" }),
    }
}

/// Names the stored kind and field if a constructor rejects what the bytes say.
trait Intact<T> {
    fn intact(self, kind: &'static str, field: &'static str) -> Result<T, ProfileError>;
}

impl<T> Intact<T> for Result<T, ProfileError> {
    fn intact(self, kind: &'static str, field: &'static str) -> Result<T, ProfileError> {
        match self {
            Ok(value) => Ok(value),
            // The nested message's error is closer to the fault.
            Err(error) if error.is_stored_data() => Err(error),
            Err(_) => Err(ProfileError::CorruptField { kind, field }),
        }
    }
}

impl<T> Intact<T> for Option<T> {
    fn intact(self, kind: &'static str, field: &'static str) -> Result<T, ProfileError> {
        self.ok_or(ProfileError::CorruptField { kind, field })
    }
}

/// The number of an enum's member.
fn byte(number: u32) -> u8 {
    // No enum of ours has a member 0, so a number that is too large is rejected as unknown.
    u8::try_from(number).unwrap_or(0)
}
