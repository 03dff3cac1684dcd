//! Owns the bytes of a customer's core record. Always: attributes, identifiers and grounds in ascending order, each once;
//! each source's name is stored once, in a table that attributes and identifiers point into.

use std::collections::BTreeMap;

use prost::Message;

use super::{
    Field, Intact, Stored, frame,
    ground::WireGround,
    identifier::WireIdentifier,
    ledger::{read_hash, write_hash},
    merge::{WireMerge, WireMergedInto},
    preferences::{WireContactLog, WireGppString, WirePreferences, WireTcString},
    subject::WireSubject,
    unframe,
    value::WireValue,
};
use crate::{
    contact_log::ContactLog,
    data_subject::DataSubject,
    error::ProfileError,
    ground::LawfulBasis,
    id::{AttributeNumber, PurposeNumber, SourceId, TimestampMs},
    preferences::Preferences,
    provenance::{Party, Provenance},
    record::{AttributeValue, CustomerRecord, RequestDates},
    value::{Text, Value},
};

#[derive(Clone, PartialEq, Message)]
struct WireAttribute {
    #[prost(oneof = "WireValue", tags = "1, 2, 3, 4, 5, 6")]
    value: Option<WireValue>,
    #[prost(uint32, tag = "7")]
    number: u32,
    #[prost(uint32, tag = "8")]
    source: u32,
    #[prost(sint64, tag = "9")]
    observed_at: i64,
    #[prost(sint64, tag = "10")]
    recorded_at: i64,
    #[prost(uint32, tag = "11")]
    purpose: u32,
    #[prost(uint32, tag = "12")]
    basis: u32,
    #[prost(uint32, tag = "13")]
    party: u32,
    /// Empty where it is the value.
    #[prost(string, tag = "14")]
    original: String,
}

/// Where a value comes from, with the source as a position in the record's table.
#[derive(Clone, PartialEq, Message)]
pub(super) struct WireProvenance {
    #[prost(uint32, tag = "1")]
    source: u32,
    #[prost(sint64, tag = "2")]
    observed_at: i64,
    #[prost(sint64, tag = "3")]
    recorded_at: i64,
    #[prost(uint32, tag = "4")]
    purpose: u32,
    #[prost(uint32, tag = "5")]
    basis: u32,
    #[prost(uint32, tag = "6")]
    party: u32,
}

impl WireProvenance {
    pub(super) fn read(self, kind: &'static str, sources: &[SourceId]) -> Result<Provenance, ProfileError> {
        let source = usize::try_from(self.source).ok().and_then(|at| sources.get(at));
        Ok(Provenance {
            source: source.intact(kind, "source")?.clone(),
            observed_at: TimestampMs::from_ms(self.observed_at),
            recorded_at: TimestampMs::from_ms(self.recorded_at),
            purpose: PurposeNumber::from_wire(self.purpose, kind, "purpose")?,
            basis: LawfulBasis::from_wire(self.basis, kind, "basis")?,
            party: Party::from_wire(self.party, kind, "party")?,
        })
    }
}

/// The table of a record's sources, ascending.
pub(super) struct Sources<'a>(Vec<&'a SourceId>);

impl<'a> Sources<'a> {
    fn of(record: &'a CustomerRecord) -> Self {
        let mut sources: Vec<_> = record.provenances().map(|of| &of.source).collect();
        sources.sort_unstable();
        sources.dedup();
        Self(sources)
    }

    pub(super) fn write(&self, provenance: &Provenance) -> WireProvenance {
        let Provenance { source, observed_at, recorded_at, purpose, basis, party } = provenance;
        WireProvenance {
            // Always found: the table is made of these very names.
            source: self.0.binary_search(&source).ok().and_then(|at| at.try_into().ok()).unwrap_or(u32::MAX),
            observed_at: observed_at.as_ms(),
            recorded_at: recorded_at.as_ms(),
            purpose: purpose.as_u32(),
            basis: basis.number().into(),
            party: party.number().into(),
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct WireRecord {
    #[prost(sint64, tag = "1")]
    created_at: i64,
    #[prost(sint64, tag = "2")]
    updated_at: i64,
    #[prost(uint64, tag = "3")]
    ledger_entries: u64,
    #[prost(string, repeated, tag = "4")]
    sources: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    attributes: Vec<WireAttribute>,
    #[prost(message, repeated, tag = "6")]
    grounds: Vec<WireGround>,
    #[prost(message, optional, tag = "7")]
    subject: Option<WireSubject>,
    #[prost(bytes = "vec", tag = "8")]
    ledger_head: Vec<u8>,
    #[prost(message, optional, tag = "9")]
    preferences: Option<WirePreferences>,
    #[prost(message, optional, tag = "10")]
    contacts: Option<WireContactLog>,
    #[prost(message, optional, tag = "11")]
    tc_string: Option<WireTcString>,
    #[prost(sint64, optional, tag = "12")]
    subject_requested_at: Option<i64>,
    #[prost(sint64, optional, tag = "13")]
    preferences_requested_at: Option<i64>,
    #[prost(sint64, optional, tag = "14")]
    tc_string_requested_at: Option<i64>,
    #[prost(message, optional, tag = "15")]
    gpp_string: Option<WireGppString>,
    #[prost(sint64, optional, tag = "16")]
    gpp_string_requested_at: Option<i64>,
    #[prost(message, repeated, tag = "17")]
    identifiers: Vec<WireIdentifier>,
    #[prost(message, repeated, tag = "18")]
    merges: Vec<WireMerge>,
    #[prost(message, optional, boxed, tag = "19")]
    merged_into: Option<Box<WireMergedInto>>,
    #[prost(uint64, tag = "20")]
    revision_ahead: u64,
}

const KIND: &str = "record";

impl Stored for CustomerRecord {
    fn encode(&self) -> Vec<u8> {
        let sources = Sources::of(self);
        let attributes = self.attributes.iter().map(|(number, attribute)| {
            let WireProvenance { source, observed_at, recorded_at, purpose, basis, party } =
                sources.write(&attribute.provenance);
            WireAttribute {
                value: Some(attribute.value.to_wire()),
                number: number.as_u32(),
                source,
                observed_at,
                recorded_at,
                purpose,
                basis,
                party,
                original: attribute.original.as_ref().map_or_else(String::new, |of| of.as_str().to_owned()),
            }
        });
        let identifiers = self.identifiers.iter();
        let grounds = self.grounds.iter();
        frame(&WireRecord {
            created_at: self.created_at.as_ms(),
            updated_at: self.updated_at.as_ms(),
            ledger_entries: self.ledger_entries,
            attributes: attributes.collect(),
            grounds: grounds
                .map(|((purpose, basis), of)| WireGround::from_state(*purpose, *basis, of))
                .collect(),
            identifiers: identifiers.map(|(one, of)| WireIdentifier::new(one, of, &sources)).collect(),
            sources: sources.0.iter().map(|source| source.as_str().to_owned()).collect(),
            subject: (!self.subject.is_empty()).then(|| self.subject.to_wire()),
            ledger_head: write_hash(&self.ledger_head),
            preferences: self.preferences.to_wire(),
            contacts: self.contacts.to_wire(),
            tc_string: self.tc_string.to_wire(),
            subject_requested_at: self.requested.subject.to_wire(),
            preferences_requested_at: self.requested.preferences.to_wire(),
            tc_string_requested_at: self.requested.tc_string.to_wire(),
            gpp_string: self.gpp_string.to_wire(),
            gpp_string_requested_at: self.requested.gpp_string.to_wire(),
            merges: self.merges.to_wire(),
            merged_into: self.merged_into.as_ref().map(|of| Box::new(of.to_wire())),
            revision_ahead: self.revision_ahead,
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProfileError> {
        let wire: WireRecord = unframe(KIND, bytes)?;
        let sources = Vec::<SourceId>::from_wire(wire.sources, KIND, "source")?;
        let attributes = wire.attributes.into_iter().map(|attribute| read_attribute(attribute, &sources));
        let identifiers = wire.identifiers.into_iter().map(|identifier| identifier.read(KIND, &sources));
        let grounds = wire.grounds.into_iter().map(|ground| ground.into_state(KIND));
        Ok(Self {
            attributes: ascending(attributes, "attribute order")?,
            identifiers: ascending(identifiers, "identifier order")?,
            grounds: ascending(grounds, "ground order")?,
            subject: wire.subject.map_or_else(
                || Ok(DataSubject::default()),
                |of| DataSubject::from_wire(of, KIND, "subject"),
            )?,
            ledger_entries: wire.ledger_entries,
            ledger_head: read_hash(&wire.ledger_head, KIND)?,
            preferences: Preferences::from_wire(wire.preferences, KIND, "preferences")?,
            contacts: ContactLog::from_wire(wire.contacts, KIND, "contacts")?,
            tc_string: Option::from_wire(wire.tc_string, KIND, "TC string")?,
            gpp_string: Option::from_wire(wire.gpp_string, KIND, "GPP string")?,
            requested: RequestDates {
                subject: Option::from_wire(wire.subject_requested_at, KIND, "request date")?,
                preferences: Option::from_wire(wire.preferences_requested_at, KIND, "request date")?,
                tc_string: Option::from_wire(wire.tc_string_requested_at, KIND, "request date")?,
                gpp_string: Option::from_wire(wire.gpp_string_requested_at, KIND, "request date")?,
            },
            revision_ahead: wire.revision_ahead,
            merges: Vec::from_wire(wire.merges, KIND, "merges")?,
            merged_into: wire.merged_into.map(|of| Box::from_wire(*of, KIND, "merged into")).transpose()?,
            created_at: TimestampMs::from_ms(wire.created_at),
            updated_at: TimestampMs::from_ms(wire.updated_at),
        })
    }
}

fn read_attribute(
    wire: WireAttribute,
    sources: &[SourceId],
) -> Result<(AttributeNumber, AttributeValue), ProfileError> {
    let number = AttributeNumber::from_wire(wire.number, KIND, "attribute number")?;
    let WireAttribute { source, observed_at, recorded_at, purpose, basis, party, .. } = wire;
    let provenance = WireProvenance { source, observed_at, recorded_at, purpose, basis, party };
    let provenance = provenance.read(KIND, sources)?;
    let value = Value::from_wire(wire.value.intact(KIND, "value")?, KIND, "value")?;
    let original = Some(wire.original).filter(|text| !text.is_empty());
    let original = original.map(|text| Text::from_string(text).intact(KIND, "original value")).transpose()?;
    Ok((number, AttributeValue { value, original, provenance }))
}

/// A map of entries that must come in ascending order, each key once.
fn ascending<K: Ord, V>(
    entries: impl Iterator<Item = Result<(K, V), ProfileError>>,
    field: &'static str,
) -> Result<BTreeMap<K, V>, ProfileError> {
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    if !entries.is_sorted_by(|(one, _), (next, _)| one < next) {
        return Err(ProfileError::CorruptField { kind: KIND, field });
    }
    Ok(entries.into_iter().collect())
}
