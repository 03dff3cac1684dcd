//! Owns the bytes of a recipient.

use super::message;
use crate::catalogue::{Recipient, RecipientFields};

message! {
    RecipientFields as WireRecipient {
        1 [string] id: String;
        2 [string] display_name: String;
        3 [string] description: String;
        4 [string] owner: String;
        5 [uint32, repeated] purposes: Vec<u32>, "purpose";
        6 [bool] suspended: bool;
        7 [uint64] revision: u64;
        8 [uint32, repeated] collection_purposes: Vec<u32>, "purpose";
        9 [bool] third_party: bool;
    }
}
stored!(Recipient of RecipientFields, "recipient");
