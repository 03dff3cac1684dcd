//! The nodes of a consent record in JSON-LD: their names, fields and types.
//!
//! Invariant: what is optional is left out where it has no value.

use std::collections::BTreeMap;

use serde::Serialize;

pub(super) const PREFIXES: [(&str, &str); 8] = [
    ("dct", "http://purl.org/dc/terms/"),
    ("dpv", "https://w3id.org/dpv#"),
    ("loc", "https://w3id.org/dpv/loc#"),
    ("pd", "https://w3id.org/dpv/pd#"),
    ("rdf", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"),
    ("schema", "https://schema.org/"),
    ("skos", "http://www.w3.org/2004/02/skos/core#"),
    ("xsd", "http://www.w3.org/2001/XMLSchema#"),
];
/// The properties whose texts are identifiers or timestamps.
pub(super) const TYPED: [(&str, &str); 8] = [
    ("dct:conformsTo", "@id"),
    ("dct:issued", "xsd:dateTime"),
    ("dpv:hasDataController", "@id"),
    ("dpv:hasJurisdiction", "@id"),
    ("dpv:hasLegalBasis", "@id"),
    ("dpv:isIndicatedAtTime", "xsd:dateTime"),
    ("dpv:isIndicatedBy", "@id"),
    ("skos:broader", "@id"),
];

/// The whole document.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    #[serde(rename = "@context")]
    pub(super) context: BTreeMap<&'static str, Term>,
    #[serde(rename = "@graph")]
    pub(super) graph: Vec<Record>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Term {
    Prefix(&'static str),
    Typed {
        #[serde(rename = "@type")]
        kind: &'static str,
    },
}

/// The types of nodes: each field after its name in the document. Optional ones are left out if they have no value.
macro_rules! nodes {
    ($($(#[$meta:meta])* struct $node:ident {
        $($name:literal $field:ident: $type:ty,)+
        $(optional $optional_name:literal $optional:ident: $optional_type:ty,)*
    })+) => {$(
        $(#[$meta])*
        #[derive(Debug, Serialize)]
        pub(super) struct $node {
            $(#[serde(rename = $name)] pub(super) $field: $type,)+
            $(
                #[serde(rename = $optional_name, skip_serializing_if = "Option::is_none")]
                pub(super) $optional: Option<$optional_type>,
            )*
        }
    )+};
}

nodes! {
    struct Record {
        "@id" id: String,
        "@type" kind: &'static str,
        "dct:identifier" identifier: String,
        "dct:conformsTo" conforms_to: &'static str,
        "dct:issued" issued: String,
        "dpv:hasDataSubject" data_subject: Thing,
        "dpv:hasDataController" data_controller: String,
        "dpv:hasJurisdiction" jurisdictions: Vec<Place>,
        "dpv:hasApplicableLaw" laws: Vec<Thing>,
        "dpv:hasNotice" notices: Vec<NoticeNode>,
        "dpv:hasProcess" process: Process,
        "dpv:hasConsentControl" consent_control: Thing,
        "dpv:hasRight" rights: Vec<Thing>,
        "dpv:hasEntity" entities: Vec<Entity>,
        "dpv:hasConsentStatus" statuses: Vec<Status>,
    }

    /// A node with a type, a name and a description.
    #[derive(Default)]
    struct Thing {
        "@type" kind: &'static str,
        optional "@id" id: String,
        optional "dct:identifier" identifier: String,
        optional "dct:title" title: String,
        optional "dct:description" description: String,
        optional "skos:broader" broader: String,
        optional "dpv:isExercisedAt" exercised_at: String,
    }

    #[derive(Clone, PartialEq, Eq)]
    struct NoticeNode {
        "@type" kind: &'static str,
        "dct:identifier" identifier: String,
        "dct:language" language: String,
        optional "schema:sha256" sha256: String,
    }

    struct Process {
        "@type" kind: &'static str,
        "dpv:hasPurpose" purpose: Thing,
        "dpv:hasPersonalData" personal_data: Vec<Thing>,
        "dpv:hasLegalBasis" legal_bases: Vec<&'static str>,
        "dpv:hasRecipient" recipients: Vec<Thing>,
        "dpv:hasStorageCondition" storage: Vec<StorageCondition>,
    }

    struct StorageCondition {
        "@type" kind: &'static str,
        optional "dpv:hasLocation" location: Thing,
        optional "dpv:hasDuration" duration: Duration,
    }

    struct Duration {
        "@type" kind: &'static str,
        "rdf:value" value: String,
    }

    struct Entity {
        "@id" id: String,
        "@type" kind: &'static str,
        "dpv:hasName" name: String,
        "dpv:hasIdentifier" identifier: String,
        "schema:contactPoint" contact: ContactPoint,
        "schema:address" address: PostalAddress,
        optional "schema:url" url: String,
    }

    struct ContactPoint {
        "@type" kind: &'static str,
        "schema:name" name: String,
        optional "schema:email" email: String,
        optional "schema:telephone" telephone: String,
    }

    struct PostalAddress {
        "@type" kind: &'static str,
        "schema:streetAddress" street: String,
        optional "schema:postalCode" postal_code: String,
        optional "schema:addressLocality" locality: String,
        optional "schema:addressCountry" country: String,
    }

    struct Status {
        "@type" kinds: Vec<&'static str>,
        "dpv:isIndicatedAtTime" at: String,
        "dpv:isIndicatedBy" by: String,
        "dpv:hasDuration" duration: Duration,
        optional "dpv:hasIndicationMethod" method: String,
        optional "dpv:hasNotice" notice: NoticeNode,
        optional "dct:source" source: Source,
    }

    /// The statement, form or recording that proves a decision.
    struct Source {
        "@type" kind: &'static str,
        "schema:sha256" sha256: String,
    }
}

/// A place: a term of DPV's locations, or a description.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Place {
    Term(String),
    Told(Thing),
}
