//! Owns the consent strings of the Interactive Advertising Bureau: TC strings and GPP strings. Always: a string grants
//! nothing in this store, and no text makes a decoder panic.

mod bits;
mod gpp;
mod tcf;

pub use gpp::{GppContent, GppField, GppOptOut, GppSection, GppString, StoredGppString};
pub use tcf::{
    PublisherConsent, PublisherRestriction, StoredTcString, TcString, VendorPurposes, VendorRestriction,
    VendorSet,
};
