//! Owns the bytes of grounds and remembered requests.

use prost::Message;

use super::{Intact, Stored, byte, frame, unframe};
use crate::{
    error::ProfileError,
    ground::{AffirmativeAct, ConsentMethod, DecidedBy, Evidence, GroundState, GroundStatus, LawfulBasis},
    id::{PurposeNumber, RequestId, TimestampMs},
    label::Label,
    memory::{RememberedRequest, RequestMemory},
};

#[derive(Clone, PartialEq, Message)]
struct WireEvidence {
    #[prost(uint32, tag = "1")]
    act: u32,
    #[prost(bytes = "vec", tag = "2")]
    statement_sha256: Vec<u8>,
    #[prost(string, tag = "3")]
    language: String,
    #[prost(uint32, tag = "4")]
    decided_by: u32,
}

impl WireEvidence {
    fn from_evidence(evidence: &Evidence) -> Self {
        Self {
            act: evidence.act.map_or(0, |act| act.number().into()),
            statement_sha256: evidence.statement_sha256.map_or_else(Vec::new, |hash| hash.to_vec()),
            language: text(evidence.language.as_ref()),
            decided_by: evidence.decided_by.number().into(),
        }
    }

    fn into_evidence(self, kind: &'static str) -> Result<Evidence, ProfileError> {
        let act = match self.act {
            0 => None,
            number => Some(AffirmativeAct::from_number(byte(number)).intact(kind, "act")?),
        };
        let statement_sha256 = if self.statement_sha256.is_empty() {
            None
        } else {
            Some(<[u8; 32]>::try_from(self.statement_sha256).ok().intact(kind, "statement hash")?)
        };
        Ok(Evidence {
            act,
            statement_sha256,
            language: Label::optional("language", &self.language).intact(kind, "language")?,
            decided_by: DecidedBy::from_number(byte(self.decided_by)).intact(kind, "decided by")?,
        })
    }
}

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
    #[prost(sint64, optional, tag = "12")]
    valid_from: Option<i64>,
    #[prost(message, optional, tag = "13")]
    evidence: Option<WireEvidence>,
}

fn text<const N: usize>(label: Option<&Label<N>>) -> String {
    label.map_or_else(String::new, |label| label.as_str().to_owned())
}

impl WireGround {
    pub(super) fn from_state(purpose: PurposeNumber, basis: LawfulBasis, state: &GroundState) -> Self {
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
            valid_from: state.valid_from.map(TimestampMs::as_ms),
            evidence: state.evidence.as_ref().map(WireEvidence::from_evidence),
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
            valid_from: self.valid_from.map(TimestampMs::from_ms),
            expires_at: self.expires_at.map(TimestampMs::from_ms),
            notice: Label::optional("notice", &self.notice).intact(kind, "notice")?,
            method,
            evidence: self.evidence.map(|evidence| evidence.into_evidence(kind)).transpose()?,
            collector: Label::optional("collector", &self.collector).intact(kind, "collector")?,
            reference: Label::optional("reference", &self.reference).intact(kind, "reference")?,
            channel: Label::optional("channel", &self.channel).intact(kind, "channel")?,
            recorded_at: TimestampMs::from_ms(self.recorded_at),
        };
        Ok(((purpose, basis), state))
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
