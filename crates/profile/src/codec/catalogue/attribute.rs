//! Owns the bytes of an attribute's definition.

use super::message;
use crate::catalogue::{AttributeDefinition, AttributeFields, SourceMapping};

message! {
    SourceMapping as WireMapping {
        1 [string] source: String;
        2 [string] field: String;
        3 [string] difference: String;
    }
}

message! {
    AttributeFields as WireDefinition {
        1 [uint32] number: u32;
        2 [string] name: String;
        3 [string] description: String;
        4 [uint32] value_type: u32, "type";
        5 [uint32] classification: u32;
        6 [uint32, repeated] purposes: Vec<u32>, "purpose";
        7 [string] owner: String;
        8 [uint64] bytes_max: u64;
        9 [uint64] revision: u64;
        10 [string] data_category: String, "category";
        11 [string] unit: String;
        12 [uint32] retention_days: u32;
        13 [message, repeated] mappings: Vec<WireMapping>;
        14 [uint32] match_as: u32;
        15 [uint32] format: u32;
        16 [uint32] country_attribute: u32, "country attribute";
    }
}
stored!(AttributeDefinition of AttributeFields, "attribute");
