//! What every method states about itself in `custodia/v1/options.proto`: a table of all methods, and for each request of a
//! unary method the traits by which servers and clients work on it. All of it is generated; a method without its options ends
//! the build.

use prost::Message;

use crate::v1;
pub use crate::v1::{Answerer, Role};

/// What the options of a method say.
#[derive(Debug, PartialEq, Eq)]
pub struct Method {
    /// As in the request's path: `/custodia.v1.ProfileService/GetProfile`.
    pub path: &'static str,
    /// The full name of its service.
    pub service: &'static str,
    /// A caller needs one of these.
    pub roles: &'static [Role],
    /// Which node answers it.
    pub answered_by: Answerer,
    /// Whether it may be sent twice.
    pub retry: RetrySafety,
    /// Messages go in streams, both ways.
    pub is_streaming: bool,
    /// So little work that it is done in the task of the connection.
    pub brief: bool,
}

/// Whether sending a call twice can do a second thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetrySafety {
    /// A read.
    Safe,
    /// A write that a repetition with the same `request_id` does not repeat.
    ByRequestId,
    /// Only an attempt that certainly had no effect is followed by another.
    Unsafe,
}

/// The request of a unary method of the public API.
pub trait Unary: Message + Default + Clone + 'static {
    /// What it is answered with.
    type Answer: Message + Default + 'static;
    /// Its row of the table.
    const METHOD: &'static Method;

    /// The id by which it is known when it comes again; empty where the caller gave none.
    fn request_id(&self) -> &str {
        ""
    }

    /// The same, to be filled in; nothing where the request has no such field.
    fn request_id_mut(&mut self) -> Option<&mut String> {
        None
    }

    /// The caller wants to know what would happen, and nothing to happen.
    fn validate_only(&self) -> bool {
        false
    }

    /// When the caller's decision was made, where the sender fills that in.
    fn date_mut(&mut self) -> Option<&mut Option<crate::Timestamp>> {
        None
    }

    /// The id of the customer whose shard's leader answers it, as the caller wrote it.
    fn customer(&self) -> Option<&str> {
        None
    }
}

/// The request of a call about one customer.
pub trait AboutCustomer: Unary {
    /// The path of the field that holds the customer's id.
    const CUSTOMER_FIELD: &'static str;

    /// The customer's id, as the caller wrote it.
    ///
    /// # Errors
    /// The message that would hold it, where the request has none.
    fn customer_id(&self) -> Result<&str, &'static str>;

    /// The purpose that the call states; empty where its request has no such field.
    fn purpose(&self) -> &str {
        ""
    }
}

include!(concat!(env!("OUT_DIR"), "/methods.rs"));
