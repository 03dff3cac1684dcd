//! The pure law: records, consent decision, merge.
//!
//! ```text
//!   ingest:  record ‖ grants ‖ observations ‖ events ──▶ record' ‖ ledger entries ‖ events to append ‖ outcomes
//!   read:    record ‖ purpose ──▶ Permission ──▶ per attribute or event: Permit{ground} | Refuse{reason}
//! ```
//! No clock, no randomness, no disk, no network: the caller passes the moment and the random bytes. Everything
//! that replicas must agree on is ordered; no hash map is iterated.
//!
//! Where things live: [`id`] ids · [`limits`] every limit · `catalogue` purposes, attributes, jurisdictions and
//! recipients · `value`, `record`, `ground`, `evidence`, `data_subject`, `preferences`, `event`, `memory` what is stored
//! · `ledger` its history · `permission` the law · `consent`, `signal` its decisions · `merge` the law of two records ·
//! `contact` when a customer may be contacted · `tcf` TC strings · `ingest` judge and merge · `codec` the bytes on disk.

pub mod id;
pub mod limits;

mod basis;
mod catalogue;
mod chain;
mod codec;
mod consent;
mod contact;
mod data_subject;
mod error;
mod event;
mod evidence;
mod ground;
mod ingest;
mod label;
mod ledger;
mod memory;
mod merge;
mod permission;
mod preferences;
mod provenance;
mod reason;
mod record;
mod recorder;
mod signal;
mod subject_change;
mod tcf;
mod value;

pub use basis::LawfulBasis;
pub use catalogue::{
    AttributeDefinition, AttributeFields, BalancingTest, Catalogue, CatalogueChange, CatalogueEntry,
    Classification, ConsentModel, GoogleConsentType, Jurisdiction, JurisdictionBases, JurisdictionFields,
    Notice, Purpose, PurposeFields, Recipient, RecipientFields, SourceMapping,
};
pub use chain::{ChainFault, ChainLink, ChangeContext, ledger_hash, verify_chain};
pub use codec::Stored;
pub use consent::{
    AllWithdrawn, Decision, DecisionEffect, Recorded, Withdrawal, record_decision, withdraw, withdraw_all,
};
pub use contact::{Contact, ContactLog, ContactQuestion, check_contact};
pub use data_subject::{DataSubject, LegalHold, Restriction};
pub use error::ProfileError;
pub use event::{Event, Properties, StoredEvent};
pub use evidence::{AffirmativeAct, DecidedBy, Evidence};
pub use ground::{ConsentMethod, GroundState, GroundStatus, Prior, Transition, transition};
pub use id::{
    AttributeName, AttributeNumber, CallerName, CategoryId, CustomerId, GroupId, JurisdictionId, KeyEpoch,
    NodeId, PoolId, PurposeId, PurposeNumber, RecipientId, Region, ReplicaId, RequestId, Revision, ShardId,
    SlotId, SourceId, TimestampMs, TopicId,
};
pub use ingest::{Ingested, Observation, Observations, Outcome, ingest};
pub use label::{
    Address, Channel, Collector, EventId, EventName, Label, Language, NoticeId, PropertyName, Reference,
};
pub use ledger::{LawAsOf, LedgerBody, LedgerEntry, NO_HASH, as_of};
pub use memory::{RememberedRequest, RequestMemory};
pub use merge::merge_law;
pub use permission::{GroundOrigin, Permission, Question, Reader, Subject, Verdict, decide};
pub use preferences::{
    ChannelPreference, ContactChannel, DayOfWeek, FrequencyCap, LocalTime, PreferenceFields, Preferences,
    QuietHours, TimeZoneName, TopicPreference,
};
pub use provenance::{Party, Provenance};
pub use reason::RefusalReason;
pub use record::{AttributeValue, CustomerRecord};
pub use recorder::{CallerRole, Recorder};
pub use signal::{PrivacySignal, SignalRecorded, record_signal, record_tc_string};
pub use subject_change::{Changed, FieldChange, SubjectChange, update_subject};
pub use tcf::{PublisherConsent, PublisherRestriction, StoredTcString, TcString, TcStringError, VendorSet};
pub use value::{Date, Decimal, Text, Value, ValueType};
