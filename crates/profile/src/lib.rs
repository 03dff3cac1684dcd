//! The pure law: records, consent decision, merge.
//!
//! ```text
//!   ingest:  record ‖ grants ‖ observations ‖ events ──▶ record' ‖ ledger entries ‖ events to append ‖ outcomes
//!   read:    record ‖ purpose ──▶ Permission ──▶ per attribute or event: Permit{ground} | Refuse{reason}
//! ```
//! No clock, no randomness, no disk, no network: the caller passes the moment and the random bytes. Everything
//! that replicas must agree on is ordered; no hash map is iterated.
//!
//! Where things live: [`id`] ids · [`limits`] every limit · `catalogue` purposes and attributes · `value`, `record`,
//! `ground`, `event`, `ledger`, `memory` what is stored · `permission` the law · `consent` its decisions ·
//! `ingest` judge and merge · `codec` the bytes on disk.

pub mod id;
pub mod limits;

mod basis;
mod catalogue;
mod codec;
mod consent;
mod error;
mod event;
mod ground;
mod ingest;
mod label;
mod ledger;
mod memory;
mod permission;
mod provenance;
mod reason;
mod record;
mod value;

pub use basis::LawfulBasis;
pub use catalogue::{
    AttributeDefinition, AttributeFields, Catalogue, Classification, Notice, Purpose, PurposeFields,
};
pub use codec::Stored;
pub use consent::{Decision, DecisionEffect, Recorded, Withdrawal, record_decision, withdraw};
pub use error::ProfileError;
pub use event::{Event, Properties, StoredEvent};
pub use ground::{ConsentMethod, GroundState, GroundStatus};
pub use id::{
    AttributeName, AttributeNumber, CustomerId, GroupId, KeyEpoch, NodeId, PoolId, PurposeId, PurposeNumber,
    ReplicaId, RequestId, Revision, ShardId, SlotId, SourceId, TimestampMs,
};
pub use ingest::{Ingested, Observation, Observations, Outcome, ingest};
pub use label::{Channel, Collector, EventId, EventName, Label, NoticeId, PropertyName, Reference};
pub use ledger::LedgerEntry;
pub use memory::{RememberedRequest, RequestMemory};
pub use permission::{Permission, Subject, Verdict, decide};
pub use provenance::{Party, Provenance};
pub use reason::RefusalReason;
pub use record::{AttributeValue, CustomerRecord};
pub use value::{Date, Decimal, Text, Value, ValueType};
