//! Owns the bytes of grounds and remembered requests.

use prost::Message;

use super::{Field, Intact, Stored, field::message, frame, unframe};
use crate::{
    error::ProfileError,
    ground::{Evidence, GroundState, LawfulBasis},
    id::{PurposeNumber, RequestId, TimestampMs},
    memory::{RememberedRequest, RequestMemory},
};

message! {
    Evidence as WireEvidence {
        1 [uint32] act: u32;
        2 [bytes = "vec"] statement_sha256: Vec<u8>, "statement hash";
        3 [string] language: String;
        4 [uint32] decided_by: u32, "decided by";
        5 [string] incapacity: String;
    }
}

message! {
    GroundState as WireGround {
        3 [uint32] status: u32;
        4 [sint64] decided_at: i64;
        5 [sint64, optional] expires_at: Option<i64>;
        6 [string] notice: String;
        7 [uint32] method: u32;
        8 [string] collector: String;
        9 [string] reference: String;
        10 [string] channel: String;
        11 [sint64] recorded_at: i64;
        12 [sint64, optional] valid_from: Option<i64>;
        13 [message, optional] evidence: Option<WireEvidence>;
        14 [sint64, optional] unbroken_since: Option<i64>;
        15 [uint32, optional] guardian_below_age: Option<u32>, "age";
        and 1 [uint32] purpose: u32;
        and 2 [uint32] basis: u32;
    }
}

impl WireGround {
    pub(super) fn from_state(purpose: PurposeNumber, basis: LawfulBasis, state: &GroundState) -> Self {
        Self { purpose: purpose.to_wire(), basis: basis.to_wire(), ..state.to_wire() }
    }

    pub(super) fn into_state(
        self,
        kind: &'static str,
    ) -> Result<((PurposeNumber, LawfulBasis), GroundState), ProfileError> {
        let purpose = PurposeNumber::from_wire(self.purpose, kind, "purpose")?;
        let basis = LawfulBasis::from_wire(self.basis, kind, "basis")?;
        Ok(((purpose, basis), GroundState::from_wire(self, kind, "state")?))
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
