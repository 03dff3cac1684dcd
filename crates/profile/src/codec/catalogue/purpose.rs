//! Owns the bytes of a purpose.

use super::message;
use crate::catalogue::{BalancingTest, JurisdictionBases, Notice, Purpose, PurposeFields};

message! {
    Notice as WireNotice {
        1 [string] version: String, "notice version";
        2 [bytes = "vec"] text_sha256: Vec<u8>, "notice hash";
        3 [string] language: String;
        4 [bool] asks_again: bool;
        5 [sint64, optional] valid_from: Option<i64>;
    }
}

message! {
    JurisdictionBases as WireJurisdictionBases {
        1 [string] jurisdiction: String;
        2 [uint32, repeated] lawful_bases: Vec<u32>, "basis";
    }
}

message! {
    BalancingTest as WireBalancingTest {
        1 [string] interest: String;
        2 [string] necessity: String;
        3 [string] balance: String;
        4 [string] reviewer: String;
        5 [sint32] reviewed_on: i32, "date of the balancing test";
        6 [string] objection_route: String;
    }
}

message! {
    PurposeFields as WirePurpose {
        1 [uint32] number: u32;
        2 [string] id: String;
        3 [string] display_name: String;
        4 [string] description: String;
        5 [string] dpv: String;
        6 [uint32, repeated] lawful_bases: Vec<u32>, "basis";
        7 [message, repeated] notices: Vec<WireNotice>;
        8 [uint32, repeated] standing_bases: Vec<u32>, "basis";
        9 [bool] deprecated: bool;
        10 [uint64] revision: u64;
        11 [message, repeated] jurisdiction_bases: Vec<WireJurisdictionBases>;
        12 [string, repeated] data_categories: Vec<String>, "category";
        13 [string, repeated] recipients: Vec<String>, "recipient";
        14 [uint32] retention_days: u32;
        15 [string] owner: String;
        16 [string] law: String;
        17 [message, optional] balancing_test: Option<WireBalancingTest>;
        18 [bool] sale_or_sharing: bool;
        19 [uint32, repeated] google_consent_types: Vec<u32>, "Google consent type";
        20 [uint32, repeated] google_types_without_consent: Vec<u32>, "Google consent type";
        21 [bool] direct_marketing: bool;
        22 [uint32] special_use: u32, "special use";
        23 [uint32, repeated] special_category_grounds: Vec<u32>, "ground of Art. 9(2)";
    }
}
stored!(Purpose of PurposeFields, "purpose");
