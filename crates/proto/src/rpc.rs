//! The methods' options (`custodia/v1/options.proto`) as Rust: a table of all methods, and for the request of each unary
//! method the traits that servers and clients use. All of it is generated.
//!
//! Invariant: every method has its options; one without fails the build.

use prost::{Message, Name};

use crate::v1;
pub use crate::v1::{Answerer, Role};

/// A method and its options.
#[derive(Debug, PartialEq, Eq)]
pub struct Method {
    /// The request's path: `/custodia.v1.ProfileService/GetProfile`.
    pub path: &'static str,
    /// The service's full name.
    pub service: &'static str,
    /// A caller needs one of these roles.
    pub roles: &'static [Role],
    /// Which node answers it.
    pub answered_by: Answerer,
    /// Whether a client may send it again.
    pub retry: RetrySafety,
    /// Whether both sides stream messages.
    pub is_streaming: bool,
    /// Whether it does so little work that it runs in the connection's task.
    pub brief: bool,
}

/// Whether a repeated call can take effect twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetrySafety {
    /// A read: always safe to repeat.
    Safe,
    /// A write that takes effect once for each `request_id`.
    ByRequestId,
    /// Repeated only if the earlier attempt certainly had no effect.
    Unsafe,
}

/// The request of a unary method of the public API.
pub trait Unary: Message + Default + Clone + 'static {
    /// The answer's message.
    type Answer: Name + Default + 'static;
    /// Its row of the table.
    const METHOD: &'static Method;

    /// The id by which a repetition is recognised; empty if the caller gave none.
    fn request_id(&self) -> &str {
        ""
    }

    /// The field `request_id`, to fill in; `None` if the request has no such field.
    fn request_id_mut(&mut self) -> Option<&mut String> {
        None
    }

    /// Whether the call is only validated, without effect.
    fn validate_only(&self) -> bool {
        false
    }

    /// The time of the caller's decision, if the sender fills it in.
    fn date_mut(&mut self) -> Option<&mut Option<crate::Timestamp>> {
        None
    }

    /// The id of the customer whose shard's leader answers the call, as the caller wrote it.
    fn customer(&self) -> Option<&str> {
        None
    }
}

/// The request of a call about one customer.
pub trait AboutCustomer: Unary {
    /// The path of the field with the customer's id.
    const CUSTOMER_FIELD: &'static str;

    /// The customer's id, as the caller wrote it.
    ///
    /// # Errors
    /// The name of the enclosing message, if the request lacks it.
    fn customer_id(&self) -> Result<&str, &'static str>;

    /// The same request about another customer.
    #[must_use]
    fn about(&self, customer_id: String) -> Self;

    /// The stated purpose; empty if the request has no such field.
    fn purpose(&self) -> &str {
        ""
    }
}

include!(concat!(env!("OUT_DIR"), "/methods.rs"));
