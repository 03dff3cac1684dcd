//! Owns the bytes of a trait's definition.

use super::message;
use crate::catalogue::{TraitDefinition, TraitFields};

message! {
    TraitFields as WireTrait {
        1 [string] id: String;
        2 [string] display_name: String;
        3 [string] description: String;
        4 [uint32] aggregate: u32;
        5 [string, repeated] events: Vec<String>, "event name";
        6 [string] property: String, "property name";
        7 [uint32] window_days: u32;
        8 [uint32, repeated] purposes: Vec<u32>, "purpose";
        9 [string] unit: String;
        10 [string] owner: String;
        11 [uint64] revision: u64;
    }
}
stored!(TraitDefinition of TraitFields, "trait");
