//! Owns the bytes of a namespace of identifiers.

use super::message;
use crate::catalogue::{Namespace, NamespaceFields};

message! {
    NamespaceFields as WireNamespace {
        1 [string] id: String;
        2 [string] display_name: String;
        3 [string] description: String;
        4 [uint32] kind: u32, "kind of namespace";
        5 [bool] unique: bool;
        6 [uint32] per_customer_max: u32;
        7 [string, repeated] blocked_values: Vec<String>;
        8 [uint32] priority: u32;
        9 [uint32, repeated] purposes: Vec<u32>, "purpose";
        10 [string] default_region: String, "region";
        11 [string] pattern: String;
        12 [bool] case_sensitive: bool;
        13 [bool] ignore_plus_tag: bool;
        14 [string, repeated] ignore_dots_of: Vec<String>, "mail domain";
        15 [uint32] attribute: u32;
        16 [uint32] on_conflict: u32, "link policy";
        17 [uint64] revision: u64;
        18 [uint32] stale_after_days: u32;
    }
}
stored!(Namespace of NamespaceFields, "namespace");
