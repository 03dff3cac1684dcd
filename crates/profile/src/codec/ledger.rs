//! Owns the bytes of ledger entries. Always: what decodes encodes to the same bytes if this release wrote them, since
//! hashes are made of these bytes.

use prost::Message;

use super::{
    Field, Intact, Stored,
    field::message,
    frame,
    ground::WireGround,
    merge::WireOtherLedger,
    preferences::{WireGppString, WireTcString},
    subject::WireSubject,
    unframe,
};
use crate::{
    data_subject::DataSubject,
    error::ProfileError,
    ground::{GroundState, LawfulBasis},
    iab::{StoredGppString, StoredTcString},
    id::{PurposeId, PurposeNumber, TimestampMs},
    ledger::{LedgerBody, LedgerEntry, NO_HASH, OtherLedger},
    recorder::Recorder,
};

message! {
    Recorder as WireRecorder {
        1 [string] name: String, "recorder's name";
        2 [uint32] role: u32, "recorder's role";
    }
}

/// Exactly one of `ground`, `subject`, `tc_string`, `superseded`, `gpp_string`, `merged` and `unmerged` is set. They are not a `oneof`: decoding one
/// would silently keep the last of two bodies.
#[derive(Clone, PartialEq, Message)]
struct WireLedgerEntry {
    #[prost(uint64, tag = "1")]
    sequence: u64,
    #[prost(bytes = "vec", tag = "2")]
    previous: Vec<u8>,
    #[prost(sint64, tag = "3")]
    recorded_at: i64,
    #[prost(message, optional, tag = "4")]
    recorded_by: Option<WireRecorder>,
    #[prost(message, optional, tag = "5")]
    ground: Option<WireGround>,
    /// Set with `ground` or `superseded`.
    #[prost(string, tag = "6")]
    purpose_id: String,
    #[prost(message, optional, tag = "7")]
    subject: Option<WireSubject>,
    #[prost(message, optional, tag = "8")]
    tc_string: Option<WireTcString>,
    #[prost(message, optional, tag = "9")]
    superseded: Option<WireGround>,
    #[prost(message, optional, tag = "10")]
    gpp_string: Option<WireGppString>,
    #[prost(message, optional, tag = "11")]
    merged: Option<WireOtherLedger>,
    #[prost(message, optional, tag = "12")]
    unmerged: Option<WireOtherLedger>,
}

const KIND: &str = "ledger entry";

impl Stored for LedgerEntry {
    fn encode(&self) -> Vec<u8> {
        let mut wire = WireLedgerEntry {
            sequence: self.sequence,
            previous: self.previous.to_wire(),
            recorded_at: self.recorded_at.as_ms(),
            recorded_by: Some(self.recorded_by.to_wire()),
            ..WireLedgerEntry::default()
        };
        match &self.body {
            LedgerBody::Ground { purpose, purpose_id, basis, state } => {
                wire.ground = Some(WireGround::from_state(*purpose, *basis, state));
                purpose_id.as_str().clone_into(&mut wire.purpose_id);
            }
            LedgerBody::Superseded { purpose, purpose_id, basis, state } => {
                wire.superseded = Some(WireGround::from_state(*purpose, *basis, state));
                purpose_id.as_str().clone_into(&mut wire.purpose_id);
            }
            LedgerBody::Subject(subject) => wire.subject = Some(subject.to_wire()),
            LedgerBody::TcString(stored) => wire.tc_string = Some(stored.to_wire()),
            LedgerBody::GppString(stored) => wire.gpp_string = Some(stored.to_wire()),
            LedgerBody::Merged(of) => wire.merged = Some(of.to_wire()),
            LedgerBody::Unmerged(of) => wire.unmerged = Some(of.to_wire()),
        }
        frame(&wire)
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProfileError> {
        let mut wire: WireLedgerEntry = unframe(KIND, bytes)?;
        let body = body(&mut wire)?;
        Ok(Self {
            sequence: wire.sequence,
            previous: <[u8; 32]>::from_wire(wire.previous, KIND, "previous")?,
            recorded_at: TimestampMs::from_ms(wire.recorded_at),
            recorded_by: Recorder::from_wire(wire.recorded_by.intact(KIND, "recorder")?, KIND, "recorder")?,
            body,
        })
    }
}

/// The one body that is set.
fn body(wire: &mut WireLedgerEntry) -> Result<LedgerBody, ProfileError> {
    let ground = wire.ground.take().map(|ground| {
        let (((purpose, basis), state), purpose_id) = decided(ground, &mut wire.purpose_id)?;
        Ok(LedgerBody::Ground { purpose, purpose_id, basis, state })
    });
    let superseded = wire.superseded.take().map(|superseded| {
        let (((purpose, basis), state), purpose_id) = decided(superseded, &mut wire.purpose_id)?;
        Ok(LedgerBody::Superseded { purpose, purpose_id, basis, state })
    });
    let subject = wire.subject.take();
    let tc_string = wire.tc_string.take();
    let gpp_string = wire.gpp_string.take();
    let bodies = [
        ground,
        superseded,
        subject.map(|of| DataSubject::from_wire(of, KIND, "body").map(LedgerBody::Subject)),
        tc_string.map(|of| StoredTcString::from_wire(of, KIND, "body").map(LedgerBody::TcString)),
        gpp_string.map(|of| StoredGppString::from_wire(of, KIND, "body").map(LedgerBody::GppString)),
        wire.merged.take().map(|of| OtherLedger::from_wire(of, KIND, "body").map(LedgerBody::Merged)),
        wire.unmerged.take().map(|of| OtherLedger::from_wire(of, KIND, "body").map(LedgerBody::Unmerged)),
    ];
    let mut bodies = bodies.into_iter().flatten();
    let body = bodies.next().filter(|_| bodies.next().is_none());
    body.intact(KIND, "body")?
}

type Decided = (((PurposeNumber, LawfulBasis), GroundState), PurposeId);

fn decided(ground: WireGround, purpose_id: &mut String) -> Result<Decided, ProfileError> {
    let purpose_id = PurposeId::from_wire(std::mem::take(purpose_id), KIND, "purpose name")?;
    Ok((ground.into_state(KIND)?, purpose_id))
}

/// A hash; no bytes for [`NO_HASH`].
pub(super) fn write_hash(hash: &[u8; 32]) -> Vec<u8> {
    if *hash == NO_HASH { Vec::new() } else { hash.to_vec() }
}

pub(super) fn read_hash(bytes: &[u8], kind: &'static str) -> Result<[u8; 32], ProfileError> {
    if bytes.is_empty() { Ok(NO_HASH) } else { <[u8; 32]>::try_from(bytes).ok().intact(kind, "ledger head") }
}
