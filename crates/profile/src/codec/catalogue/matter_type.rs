//! Owns the bytes of a type of matters.

use super::message;
use crate::catalogue::{MatterType, MatterTypeFields};

message! {
    MatterTypeFields as WireMatterType {
        1 [string] id: String;
        2 [string] display_name: String;
        3 [string] description: String;
        4 [string, repeated] opening_events: Vec<String>, "event name";
        5 [string, repeated] closing_events: Vec<String>, "event name";
        6 [string] key_property: String, "property name";
        7 [uint32, repeated] purposes: Vec<u32>, "purpose";
        8 [uint32] stale_after_days: u32;
        9 [string] owner: String;
        10 [uint64] revision: u64;
    }
}
stored!(MatterType of MatterTypeFields, "matter type");
