//! Tests that need to see inside: regressions of the Raft library's traps, laws of log and state machine.

use proptest::prelude::*;

mod dead_peer;
mod failed_node;
mod late_acknowledgement;
mod library_suite;
mod log;
mod lost_partition;
mod machine;
mod refusals;
mod restart_guard;
mod snapshot_push;

/// Random bytes, and random fields in protobuf's framing, which often decode.
pub(crate) fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let number = (1..16_u8, 0..128_u8).prop_map(|(tag, number)| vec![tag << 3, number]);
    let bytes = (1..16_u8, proptest::collection::vec(0..35_u8, 0..8)).prop_map(|(tag, bytes)| {
        let length = u8::try_from(bytes.len()).unwrap();
        [vec![tag << 3 | 2, length], bytes].concat()
    });
    let fields = proptest::collection::vec(prop_oneof![number, bytes], 0..6);
    prop_oneof![any::<Vec<u8>>(), fields.prop_map(|fields| fields.concat())]
}

/// The same behind a version byte, which often is that of format 1.
pub(crate) fn framed_garbage() -> impl Strategy<Value = (u8, Vec<u8>)> {
    (prop_oneof![Just(1), any::<u8>()], garbage())
        .prop_map(|(version, record)| (version, [vec![version], record].concat()))
}
