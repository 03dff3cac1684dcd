//! Owns the bytes of a channel. Whether it is built-in is not stored: its name says so.

use super::message;
use crate::catalogue::{ChannelDefinition, ChannelFields};

message! {
    ChannelFields as WireChannelDefinition {
        1 [string] id: String;
        2 [string] display_name: String;
        3 [uint32] kind: u32, "kind of channel";
        4 [uint64] revision: u64;
        but not built_in = false;
    }
}
stored!(ChannelDefinition of ChannelFields, "channel");
