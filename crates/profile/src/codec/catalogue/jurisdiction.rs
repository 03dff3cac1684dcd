//! Owns the bytes of a jurisdiction. Whether it is built-in is not stored: its name says so.

use super::message;
use crate::catalogue::{Jurisdiction, JurisdictionFields, NoContactHours, RegionalAge};
use crate::codec::preferences::WireQuietHours;

message! {
    RegionalAge as WireRegionalAge {
        1 [string] region: String;
        2 [uint32] guardian_below_age: u32, "age";
    }
}

message! {
    NoContactHours as WireNoContactHours {
        1 [message, required] hours: WireQuietHours;
        2 [string, repeated] regions: Vec<String>, "region";
        3 [uint32, repeated] kinds: Vec<u32>, "kind of channel";
    }
}

message! {
    JurisdictionFields as WireJurisdiction {
        1 [string] id: String;
        2 [string] display_name: String;
        3 [string] law: String;
        4 [string, repeated] regions: Vec<String>, "region";
        5 [uint32] consent_model: u32, "consent model";
        6 [bool] honours_gpc: bool;
        7 [uint32, repeated] lawful_bases: Vec<u32>, "basis";
        8 [uint32, repeated] sensitive_bases: Vec<u32>, "basis";
        9 [uint32] opt_in_below_age: u32, "age";
        10 [uint32] guardian_below_age: u32, "age";
        11 [uint64] revision: u64;
        12 [bool] sensitive_needs_ground: bool;
        13 [bool] gpc_yields_to_consent: bool;
        14 [uint32] sensitive_consent: u32, "form of consent";
        15 [message, repeated] regional_ages: Vec<WireRegionalAge>;
        16 [message, repeated] no_contact_hours: Vec<WireNoContactHours>;
        17 [uint32, repeated] consent_channels: Vec<u32>, "kind of channel";
        18 [uint32, repeated] soft_opt_in_channels: Vec<u32>, "kind of channel";
        19 [uint32] sale_forbidden_below_age: u32, "age";
        but not built_in = false;
    }
}
stored!(Jurisdiction of JurisdictionFields, "jurisdiction");
