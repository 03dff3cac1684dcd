//! The pure law: records, consent decision, merge.
//!
//! ```text
//!   ingest:  record ‖ grants ‖ observations ‖ events ──▶ record' ‖ ledger entries ‖ events to append ‖ outcomes
//!   read:    record ‖ purpose ──▶ Permission ──▶ per attribute or event: Permit{ground} | Refuse{reason}
//! ```
//! No clock, no randomness, no disk, no network: the caller passes the moment and the random bytes. Everything
//! that replicas must agree on is ordered; no hash map is iterated.
//!
//! | Module | Owns |
//! |---|---|
//! | [`id`], [`limits`], `label`, `value` | ids, every limit, short texts, values |
//! | `catalogue` | purposes, attributes, jurisdictions, recipients, channels, namespaces, types of matters and traits |
//! | `holders` | an entry of the index of identifiers |
//! | `identifier` | what a customer is found by, in normal form |
//! | `record`, `ground`, `data_subject`, `preferences`, `contact_log`, `event`, `memory` | what is stored of a customer |
//! | `ledger`, `recorder`, `chain` | its history: the entries, who recorded them, the hash chain |
//! | `permission` | the law: may this data be used for this purpose now |
//! | `consent`, `subject_change`, `preference_change`, `identifier_change` | decisions, withdrawals, signals, and what else changes |
//! | `replacement` | when a request may replace a value |
//! | `ingest`, `merge`, `contact` | judge and merge incoming data; two customers who are one, and two again; when to contact |
//! | `format`, `quality` | what texts of an attribute look like; what is wrong with stored identifiers |
//! | `iab` | TC strings and GPP strings |
//! | `activity` | what events add up to: open matters, traits |
//! | `codec` | the bytes on disk |
//! | `duplicate` | suspected duplicates, and the blocking keys by which they are found |
//! | `numbered` | the form of enums whose members have numbers |

pub mod id;
pub mod limits;

mod activity;
mod catalogue;
mod chain;
mod codec;
mod consent;
mod contact;
mod contact_log;
mod data_subject;
mod duplicate;
mod error;
mod event;
mod format;
mod ground;
mod holders;
mod iab;
mod identifier;
mod identifier_change;
mod ingest;
mod label;
mod ledger;
mod memory;
mod merge;
mod numbered;
mod permission;
mod preference_change;
mod preferences;
mod provenance;
mod quality;
mod reason;
mod record;
mod recorder;
mod replacement;
mod subject_change;
mod value;

pub use activity::{ComputedTrait, LastEvent, MatterState, OpenMatter, OpenMatters, Traits};
pub use catalogue::{
    AttributeDefinition, AttributeFields, BalancingTest, Catalogue, CatalogueChange, CatalogueEntry,
    ChannelDefinition, ChannelFields, ChannelKind, Classification, ConsentModel, GoogleConsentType,
    Jurisdiction, JurisdictionBases, JurisdictionFields, LinkPolicy, MatchField, MatterType,
    MatterTypeFields, Namespace, NamespaceFields, NamespaceKind, NoContactHours, Notice, Purpose,
    PurposeFields, Recipient, RecipientFields, RegionalAge, SensitiveConsent, SourceMapping,
    SpecialCategoryGround, SpecialUse, TraitAggregate, TraitDefinition, TraitFields, check_dpv_purpose,
    dpv_personal_data,
};
pub use chain::{ChainFault, ChainLink, ChangeContext, ledger_hash, verify_chain};
pub use codec::Stored;
pub use consent::{
    AllWithdrawn, Decision, DecisionEffect, GppRecorded, PrivacySignal, Recorded, Recording, SignalRecorded,
    Withdrawal, check_decision, gpp_signals, record_decision, record_gpp_string, record_signal,
    record_tc_string, withdraw, withdraw_all,
};
pub use contact::{Contact, ContactQuestion, check_contact};
pub use contact_log::{ContactLog, MadeContact};
pub use data_subject::{DataSubject, LegalHold, Restriction};
pub use duplicate::{
    BLOCK_REFINEMENTS, BlockingSet, DuplicatePair, FieldEvidence, IdentifierConflict, MatchVerdict,
    PairReview, PairScore, ReviewDecision,
};
pub use error::{EncodingFault, GppStringError, ProfileError, TcStringError};
pub use event::{Event, Properties, StoredEvent};
pub use format::ValueFormat;
pub use ground::{
    AffirmativeAct, ConsentMethod, DecidedBy, Evidence, GroundState, GroundStatus, LawfulBasis, Prior,
    Transition, transition,
};
pub use holders::Holders;
pub use iab::{
    GppContent, GppField, GppOptOut, GppSection, GppString, PublisherConsent, PublisherRestriction,
    StoredGppString, StoredTcString, TcString, VendorPurposes, VendorRestriction, VendorSet,
};
pub use id::{
    AttributeName, AttributeNumber, BlindedIdentifier, CallerName, CategoryId, ChannelId, CustomerId,
    GroupId, JurisdictionId, KeyEpoch, MatterTypeId, MergeId, NamespaceId, NodeAddress, NodeAddressError,
    NodeId, PoolId, PurposeId, PurposeNumber, RecipientId, Region, ReplicaId, RequestId, Revision, ShardId,
    SlotId, SourceId, TimestampMs, TopicId, TraitId,
};
pub use identifier::{Identifier, IdentifierValue};
pub use identifier_change::{record_bounce, release_identifier, verify_identifier};
pub use ingest::{
    IdentifierObservation, IdentifierOutcome, Ingested, Observation, Observations, Outcome,
    check_observations, give_identifier, ingest, named_identifiers,
};
pub use label::{
    Address, Channel, Collector, EventId, EventName, Label, Language, MatterKey, NoticeId, OriginalText,
    PropertyName, Reference,
};
pub use ledger::{LawAsOf, LedgerBody, LedgerEntry, NO_HASH, OtherLedger, as_of};
pub use memory::{RememberedRequest, RequestMemory};
pub use merge::{
    AttributeChoice, MergedProfile, OtherAlone, Survivorship, SurvivorshipRules, UnmergedProfiles, merge_law,
    merge_profiles, unmerge_profiles,
};
pub use permission::{GroundOrigin, Permission, Reader, Verdict};
pub use preference_change::update_preferences;
pub use preferences::{
    ChannelPreference, ContactChannel, DayOfWeek, FrequencyCap, LocalTime, PreferenceFields, Preferences,
    QuietHours, TimeZoneName, TopicPreference,
};
pub use provenance::{Party, Provenance};
pub use quality::{IdentifierFault, Related, identifier_faults, related_data};
pub use reason::RefusalReason;
pub use record::{
    AttributeValue, CustomerRecord, Merge, MergedInto, RequestDates, Restored, StoredIdentifier,
    Verification, VerificationMethod,
};
pub use recorder::{CallerRole, Recorder};
pub use replacement::Precondition;
pub use subject_change::{Changed, FieldChange, SubjectChange, check_subject, update_subject};
pub use value::{Date, Decimal, Text, Value, ValueType};
