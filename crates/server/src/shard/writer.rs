//! Who may write about a customer, and what a writer learns from the answer.
//!
//! ```text
//!   role privacy                    writes anything                          reads as the controller: full answers
//!   registered, not suspended       under its purposes of collection         full answers where it may read
//!   unregistered, or suspended      passes on a customer's no, nothing else  no answer but an echo
//! ```
//! Invariant: what a caller who may not read is answered depends on its request, on the catalogue and on the law's verdict
//! about the purpose under which it collects, and on nothing else that is stored. It must know that verdict, to stop
//! collecting. So it gets an **echo** of its request wherever the answer, or a refusal, would tell more; it may not name a
//! version (an etag that fits tells that the profile is unchanged); and each of its calls is committed, so that the time which
//! a call takes tells nothing either, but for the claim of an identifier: of a free one it is a commit more.

use custodia_profile::{Catalogue, Purpose, PurposeNumber, Reader, RefusalReason};

use super::reader::reader;
use crate::{
    catalogue::CatalogueView,
    counters::{BlindWrite, count_blind_write},
    identity::Caller,
    wire::{FieldFault, ServiceError},
};

/// What a write does, as far as it decides who may call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WriteAccess {
    /// It collects data or decisions under each of these purposes.
    Collect(Vec<PurposeNumber>),
    /// It collects what belongs to no single purpose: whoever may collect under some purpose may call it.
    CollectAny,
    /// It records what was done for a purpose: whoever may read or collect for it may call it.
    Use(PurposeNumber),
    /// It passes on a customer's no to these purposes; none: to all. Nobody may be kept from saying no, so every caller
    /// whose role allows it may call.
    No(Vec<PurposeNumber>),
}

impl WriteAccess {
    fn purposes(&self) -> &[PurposeNumber] {
        match self {
            Self::Collect(purposes) | Self::No(purposes) => purposes,
            Self::Use(purpose) => std::slice::from_ref(purpose),
            Self::CollectAny => &[],
        }
    }
}

/// How much a writer sees of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// The whole answer: it may read for the purposes of the write.
    Full,
    /// An echo of its request.
    Echo,
}

/// Checks that the caller may make this write, and tells what it may see.
///
/// # Errors
/// [`ServiceError::WriterRefused`] if the caller is not registered for it.
pub(crate) fn check(
    caller: &Caller,
    view: &CatalogueView,
    access: &WriteAccess,
) -> Result<Sight, ServiceError> {
    let catalogue = &view.catalogue;
    let reader = reader(caller, catalogue);
    if reader == Reader::Controller {
        return Ok(Sight::Full);
    }
    if let Some((reason, purpose)) = refused(reader, access) {
        let purpose = purpose.and_then(|number| catalogue.purpose(number)).map(|purpose| purpose.id.clone());
        return Err(ServiceError::WriterRefused { reason, purpose });
    }
    Ok(sight(reader, catalogue, access))
}

/// Why a caller who reads as this may not make this write, and for which purpose.
fn refused(reader: Reader<'_>, access: &WriteAccess) -> Option<(RefusalReason, Option<PurposeNumber>)> {
    if matches!(access, WriteAccess::No(_)) {
        return None;
    }
    let Reader::Registered(recipient) = reader else {
        return Some((RefusalReason::RecipientNotRegistered, access.purposes().first().copied()));
    };
    let refused = match access {
        WriteAccess::Collect(purposes) => {
            purposes.iter().find(|purpose| !recipient.collects(**purpose)).copied()
        }
        WriteAccess::Use(purpose) => {
            Some(*purpose).filter(|purpose| !recipient.collects(*purpose) && !recipient.allows(*purpose))
        }
        WriteAccess::CollectAny if recipient.suspended || recipient.collection_purposes.is_empty() => {
            return Some((RefusalReason::RecipientNotAllowed, None));
        }
        WriteAccess::CollectAny | WriteAccess::No(_) => None,
    };
    refused.map(|purpose| (RefusalReason::RecipientNotAllowed, Some(purpose)))
}

/// What a reader may see of a write: everything if it may read for each purpose that the write is about. What belongs to no
/// single purpose is seen by whoever may read for any, but for a no to all of them: its answer has the state of each.
fn sight(reader: Reader<'_>, catalogue: &Catalogue, access: &WriteAccess) -> Sight {
    let reads = |purpose: &Purpose| reader.refused(purpose).is_none();
    let reads_any = || catalogue.purposes().any(|purpose| reads(purpose));
    let may_read = match (access, access.purposes()) {
        (WriteAccess::No(_), []) => reads_any() && catalogue.purposes().all(|purpose| reads(purpose)),
        (_, []) => reads_any(),
        (_, purposes) => {
            purposes.iter().all(|number| catalogue.purpose(*number).is_some_and(|purpose| reads(purpose)))
        }
    };
    if may_read { Sight::Full } else { Sight::Echo }
}

/// Refuses a version of what is stored from a caller who may not read: it can only have guessed it.
///
/// # Errors
/// The field.
pub(super) fn check_version(sight: Sight, named: Option<&str>) -> Result<(), ServiceError> {
    match named {
        Some(field) if sight == Sight::Echo => Err(ServiceError::field(field, FieldFault::ReaderNeeded)),
        Some(_) | None => Ok(()),
    }
}

/// Whether an error of an evaluation may be told to a caller who may not read: a fault of the node, or the law's verdict
/// on the purpose under which it collects; or that the customer must be found again, which the node does by itself.
pub(super) const fn may_be_told(error: &ServiceError) -> bool {
    matches!(
        error,
        ServiceError::Internal { .. }
            | ServiceError::Unreadable
            | ServiceError::PurposeRefused { .. }
            | ServiceError::KeyRefused { .. }
            | ServiceError::IdentifierMoved
    )
}

/// Counts what a caller who may not read attempted, by its name: a rise tells of an application that is probing.
pub(super) fn count(caller: &Caller, catalogue: &Catalogue, what: BlindWrite) {
    // Only names of the catalogue, so that a stranger cannot make up labels.
    let registered = catalogue.recipient(&caller.name).map(|recipient| recipient.id.as_str().to_owned());
    count_blind_write(registered.unwrap_or_else(|| "unregistered".to_owned()), what);
}
