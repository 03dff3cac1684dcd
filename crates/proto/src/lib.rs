//! Generated code of the public (`custodia.v1`) and the node-to-node (`custodia.internal.v1`) gRPC interfaces.
//!
//! The sources are the `.proto` files under `proto/`; their comments are the reference.
#![expect(
    missing_docs,
    unused_qualifications,
    clippy::all,
    clippy::missing_errors_doc,
    clippy::too_many_lines,
    clippy::allow_attributes_without_reason,
    reason = "generated code; the .proto files carry the documentation"
)]

/// The public API.
pub mod v1 {
    tonic::include_proto!("custodia.v1");
}

/// Calls between nodes.
pub mod internal {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("custodia.internal.v1");
    }
}

mod bytes_codec;
pub mod rpc;

pub use bytes_codec::BytesCodec;

/// The well-known types that the messages use.
pub use prost_types::{FieldMask, Timestamp};

/// Metadata of an answer that names the leader of the customer's shard, `<node id>@<host:port>`, where the node that answers
/// does not lead it.
pub const LEADER_METADATA: &str = "custodia-leader";

/// Metadata of a call that says what its reads may rely on: `lease`, the default, or `quorum`, which is correct whatever any
/// clock does and costs a round to a quorum.
pub const READ_MODE_METADATA: &str = "custodia-read-mode";

/// The encoded descriptors of all files, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/custodia.bin"));
