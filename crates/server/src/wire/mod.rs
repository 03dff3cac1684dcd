//! What all calls share on the wire: parsing with errors that name the field, conversion, paging, timestamps, etags, and the
//! only map from errors to gRPC.
//!
//! Invariant: nothing here depends on a service, a shard or the network.

pub(crate) mod convert;
mod error;
mod etag;
mod masked;
mod paging;
pub(crate) mod parse;
mod profile_error;
mod status;
mod time;

pub(crate) use error::{FieldFault, LeaderHint, Redirection, ServiceError};
pub(crate) use etag::{etag, parse_etag};
pub(crate) use masked::masked;
pub(crate) use paging::{Listing, PageSize, Pager, foreign_page_token, page_start, page_token};
pub(crate) use status::{CUSTOMER_MERGED, MERGE_NOT_IN_FORCE, leader_in, name_leader, row_error};
pub(crate) use time::{
    correct_clock, made_at, now, observed_at, parse_optional, parse_timestamp, timestamp, wall_clock,
};
