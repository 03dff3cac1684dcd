//! Owns the bytes of ledger entries. Always: what the first release wrote is read, and written again as it was, since
//! hashes are made of these bytes.

use prost::Message;

use super::{
    Intact, Stored, frame, ground::WireGround, preferences::WireTcString, subject::WireSubject, unframe,
};
use crate::{LedgerBody, LedgerEntry, NO_HASH, ProfileError, PurposeId, TimestampMs};

#[derive(Clone, PartialEq, Message)]
struct WireLedgerEntry {
    #[prost(uint64, tag = "1")]
    sequence: u64,
    #[prost(bytes = "vec", tag = "2")]
    previous: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    ground: Option<WireGround>,
    #[prost(string, tag = "4")]
    purpose_id: String,
    /// Left out where it is the moment that the body carries.
    #[prost(sint64, optional, tag = "5")]
    recorded_at: Option<i64>,
    #[prost(message, optional, tag = "6")]
    subject: Option<WireSubject>,
    #[prost(message, optional, tag = "7")]
    tc_string: Option<WireTcString>,
}

const KIND: &str = "ledger entry";

impl Stored for LedgerEntry {
    fn encode(&self) -> Vec<u8> {
        let recorded_at = (self.body.moment() != Some(self.recorded_at)).then_some(self.recorded_at);
        let mut wire = WireLedgerEntry {
            sequence: self.sequence,
            previous: self.previous.to_vec(),
            recorded_at: recorded_at.map(TimestampMs::as_ms),
            ..WireLedgerEntry::default()
        };
        match &self.body {
            LedgerBody::Ground { purpose, purpose_id, basis, state } => {
                wire.ground = Some(WireGround::from_state(*purpose, *basis, state));
                wire.purpose_id = purpose_id.as_ref().map_or_else(String::new, |id| id.as_str().to_owned());
            }
            LedgerBody::Subject(subject) => wire.subject = Some(WireSubject::from_whole_subject(subject)),
            LedgerBody::TcString(stored) => wire.tc_string = Some(WireTcString::from_string(stored)),
        }
        frame(&wire)
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProfileError> {
        let wire: WireLedgerEntry = unframe(KIND, bytes)?;
        let body = match (wire.ground, wire.subject, wire.tc_string) {
            (Some(ground), None, None) => {
                let ((purpose, basis), state) = ground.into_state(KIND)?;
                let purpose_id = match wire.purpose_id.as_str() {
                    "" => None,
                    id => Some(PurposeId::new(id).intact(KIND, "purpose")?),
                };
                LedgerBody::Ground { purpose, purpose_id, basis, state }
            }
            (None, Some(subject), None) => LedgerBody::Subject(subject.into_subject(KIND)?),
            (None, None, Some(stored)) => LedgerBody::TcString(stored.into_string(KIND)?),
            _ => return Err(ProfileError::CorruptField { kind: KIND, field: "body" }),
        };
        let recorded_at = wire.recorded_at.map(TimestampMs::from_ms).or(body.moment());
        let previous = wire.previous.first_chunk::<32>().filter(|hash| hash.len() == wire.previous.len());
        Ok(Self {
            sequence: wire.sequence,
            previous: *previous.intact(KIND, "previous")?,
            recorded_at: recorded_at.intact(KIND, "recorded_at")?,
            body,
        })
    }
}

/// A hash; nothing where it is that of no entry.
pub(super) fn write_hash(hash: &[u8; 32]) -> Vec<u8> {
    if *hash == NO_HASH { Vec::new() } else { hash.to_vec() }
}

pub(super) fn read_hash(bytes: &[u8], kind: &'static str) -> Result<[u8; 32], ProfileError> {
    if bytes.is_empty() { Ok(NO_HASH) } else { <[u8; 32]>::try_from(bytes).ok().intact(kind, "ledger head") }
}
