//! Owns the bytes of grounds, ledger entries and remembered requests.

use prost::Message;

use super::{Intact, Stored, byte, frame, unframe};
use crate::{
    ConsentMethod, GroundState, GroundStatus, Label, LawfulBasis, LedgerEntry, ProfileError, PurposeNumber,
    RememberedRequest, RequestId, RequestMemory, TimestampMs,
};

#[derive(Clone, PartialEq, Message)]
pub(super) struct WireGround {
    #[prost(uint32, tag = "1")]
    purpose: u32,
    #[prost(uint32, tag = "2")]
    basis: u32,
    #[prost(uint32, tag = "3")]
    status: u32,
    #[prost(sint64, tag = "4")]
    decided_at: i64,
    #[prost(sint64, optional, tag = "5")]
    expires_at: Option<i64>,
    #[prost(string, tag = "6")]
    notice: String,
    #[prost(uint32, tag = "7")]
    method: u32,
    #[prost(string, tag = "8")]
    collector: String,
    #[prost(string, tag = "9")]
    reference: String,
    #[prost(string, tag = "10")]
    channel: String,
    #[prost(sint64, tag = "11")]
    recorded_at: i64,
}

impl WireGround {
    pub(super) fn from_state(purpose: PurposeNumber, basis: LawfulBasis, state: &GroundState) -> Self {
        fn text<const N: usize>(label: Option<&Label<N>>) -> String {
            label.map_or_else(String::new, |label| label.as_str().to_owned())
        }
        Self {
            purpose: purpose.as_u32(),
            basis: basis.number().into(),
            status: state.status.number().into(),
            decided_at: state.decided_at.as_ms(),
            expires_at: state.expires_at.map(TimestampMs::as_ms),
            notice: text(state.notice.as_ref()),
            method: state.method.map_or(0, |method| method.number().into()),
            collector: text(state.collector.as_ref()),
            reference: text(state.reference.as_ref()),
            channel: text(state.channel.as_ref()),
            recorded_at: state.recorded_at.as_ms(),
        }
    }

    pub(super) fn into_state(
        self,
        kind: &'static str,
    ) -> Result<((PurposeNumber, LawfulBasis), GroundState), ProfileError> {
        let purpose = PurposeNumber::new(self.purpose).intact(kind, "purpose")?;
        let basis = LawfulBasis::from_number(byte(self.basis)).intact(kind, "basis")?;
        let method = match self.method {
            0 => None,
            number => Some(ConsentMethod::from_number(byte(number)).intact(kind, "method")?),
        };
        let state = GroundState {
            status: GroundStatus::from_number(byte(self.status)).intact(kind, "status")?,
            decided_at: TimestampMs::from_ms(self.decided_at),
            expires_at: self.expires_at.map(TimestampMs::from_ms),
            notice: Label::optional("notice", &self.notice).intact(kind, "notice")?,
            method,
            collector: Label::optional("collector", &self.collector).intact(kind, "collector")?,
            reference: Label::optional("reference", &self.reference).intact(kind, "reference")?,
            channel: Label::optional("channel", &self.channel).intact(kind, "channel")?,
            recorded_at: TimestampMs::from_ms(self.recorded_at),
        };
        Ok(((purpose, basis), state))
    }
}

#[derive(Clone, PartialEq, Message)]
struct WireLedgerEntry {
    #[prost(uint64, tag = "1")]
    sequence: u64,
    #[prost(bytes = "vec", tag = "2")]
    previous: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    ground: Option<WireGround>,
}

impl Stored for LedgerEntry {
    fn encode(&self) -> Vec<u8> {
        frame(&WireLedgerEntry {
            sequence: self.sequence,
            previous: self.previous.to_vec(),
            ground: Some(WireGround::from_state(self.purpose, self.basis, &self.state)),
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProfileError> {
        const KIND: &str = "ledger entry";
        let wire: WireLedgerEntry = unframe(KIND, bytes)?;
        let ((purpose, basis), state) = wire.ground.intact(KIND, "ground")?.into_state(KIND)?;
        let previous = wire.previous.first_chunk::<32>().filter(|hash| hash.len() == wire.previous.len());
        Ok(Self {
            sequence: wire.sequence,
            previous: *previous.intact(KIND, "previous")?,
            purpose,
            basis,
            state,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
struct WireRequest {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(sint64, tag = "2")]
    at: i64,
    #[prost(bytes = "vec", tag = "3")]
    answer: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct WireMemory {
    #[prost(message, repeated, tag = "1")]
    requests: Vec<WireRequest>,
}

impl Stored for RequestMemory {
    fn encode(&self) -> Vec<u8> {
        let request = |request: &RememberedRequest| WireRequest {
            id: request.id.as_bytes().to_vec(),
            at: request.at.as_ms(),
            answer: request.answer.clone(),
        };
        frame(&WireMemory { requests: self.requests.iter().map(request).collect() })
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProfileError> {
        const KIND: &str = "request memory";
        let wire: WireMemory = unframe(KIND, bytes)?;
        let mut requests = Vec::with_capacity(wire.requests.len());
        for WireRequest { id, at, answer } in wire.requests {
            let id = uuid::Uuid::from_slice(&id).ok().intact(KIND, "request id")?;
            let id = RequestId::new(id).intact(KIND, "request id")?;
            requests.push(RememberedRequest { id, at: TimestampMs::from_ms(at), answer });
        }
        Ok(Self { requests })
    }
}
