//! The bytes on disk, and the values, ids and numbers in them.

mod activity_codec;
mod api_numbers;
mod catalogue_codec;
pub(crate) mod codec;
mod identifier_codec;
mod identifiers;
pub(crate) mod law_codec;
mod namespace_codec;
mod request_memory;
mod values;
