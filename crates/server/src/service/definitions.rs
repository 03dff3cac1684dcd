//! The calls of the catalogue: written on the directory's leader, read on every node.
//!
//! Must always hold: a definition and the new version of the catalogue are one command, conditional on the version
//! that was read. So changes of the catalogue are one after the other, each is checked against all before it, and
//! a number is given out once: the largest so far and one, and no entry is ever removed.

use bytes::Bytes;
use custodia_consensus::{Command, Condition, ConsensusError, Expected, Outcome, Write};
use custodia_profile::{AttributeDefinition, Catalogue, GroupId, ProfileError, Purpose, Revision, Stored};
use custodia_proto::v1;
use custodia_store::{Key, ValueHeader};
use tokio::time::Instant;
use tonic::Response;

use super::{
    catalogue_view::{CATALOGUE_META, CatalogueView},
    convert,
    definitions_parse::{self, attribute_name, purpose_id},
    error::{FieldFault, ServiceError},
    events::page_size,
    forward::{Call, Target, answer},
    opaque::{Listing, page_token, parse_etag, parse_page_token},
    room::Room,
    write::Commit,
};
use crate::identity::Caller;

/// How often a change of the catalogue is evaluated at most.
const TRIES_MAX: u32 = 8;
/// Entries of a page where the caller does not say, and the most.
const PAGE: (usize, usize) = (100, 1_000);

const DIRECTORY: Target = Target { group: GroupId::Directory, customer: None };

/// Answers a definition; afterwards this node has it, too.
pub(super) async fn define<C: Call>(
    room: &Room,
    caller: &Caller,
    call: C,
    deadline: Instant,
) -> Result<Response<C::Answer>, ServiceError> {
    let response = answer(room, caller, call, deadline).await?;
    if !room.leads(GroupId::Directory)
        && let Err(error) = Box::pin(room.catalogue_cache().catch_up(room, deadline)).await
    {
        // What is acknowledged stands; a call that needs it here catches up by itself.
        tracing::debug!(%error, "the definition is not on this node yet");
    }
    Ok(response)
}

/// An entry that a change puts.
struct Entry<A> {
    key: Key,
    /// The entry before.
    expected: Expected,
    revision: Revision,
    bytes: Vec<u8>,
    answer: A,
}

async fn change<A>(
    room: &Room,
    commit: Commit,
    deadline: Instant,
    evaluate: impl Fn(&CatalogueView) -> Result<Entry<A>, ServiceError> + Send + Sync,
) -> Result<A, ServiceError>
where
    A: Send,
{
    for _ in 0..TRIES_MAX {
        room.read_barrier(GroupId::Directory, deadline).await?;
        let view = room.view()?;
        let entry = evaluate(&view)?;
        if commit == Commit::ValidateOnly {
            return Ok(entry.answer);
        }
        let command = command(view.version, entry.key, entry.expected, entry.revision, &entry.bytes);
        match room.consensus().propose(GroupId::Directory, command, deadline.into_std()).await {
            Ok(Outcome::Applied { .. }) => return Ok(entry.answer),
            Ok(Outcome::Conflict { .. }) => {}
            Err(ConsensusError::Timeout) => return Err(ServiceError::OutcomeUnknown),
            Err(error) => return Err(room.explained(GroupId::Directory, error)),
        }
    }
    Err(ServiceError::Contended { tries: TRIES_MAX })
}

fn command(version: u64, key: Key, expected: Expected, revision: Revision, bytes: &[u8]) -> Command {
    let meta = Key::meta(CATALOGUE_META).into_bytes();
    let before = if version == 0 { Expected::Absent } else { Expected::Revision(version) };
    let value = |revision, payload: &[u8]| ValueHeader { revision, ..ValueHeader::default() }.encode(payload);
    let write = |key: Bytes, value: Bytes| Write { key, value: Some(value) };
    Command {
        conditions: vec![
            Condition { key: meta.clone(), expected: before },
            Condition { key: key.as_bytes().clone(), expected },
        ],
        writes: vec![
            write(meta, value(version.saturating_add(1), &[])),
            write(key.into_bytes(), value(revision.as_u64(), bytes)),
        ],
    }
}

/// The revision of a new entry.
const FIRST: Revision = Revision::from_u64(1);

impl Call for v1::CreatePurposeRequest {
    type Answer = v1::Purpose;
    const METHOD: &'static str = "/custodia.v1.CatalogService/CreatePurpose";

    fn prepare(&mut self, _room: &Room, _caller: &Caller) -> Result<Target, ServiceError> {
        Ok(DIRECTORY)
    }

    async fn execute(
        self,
        room: &Room,
        _target: Target,
        deadline: Instant,
    ) -> Result<Self::Answer, ServiceError> {
        let wire = self.purpose.ok_or_else(|| ServiceError::missing("purpose"))?;
        change(room, commit(self.validate_only), deadline, |view| {
            let number = view.catalogue.next_purpose_number().map_err(|error| full(error, "purpose"))?;
            let purpose = parsed_purpose(&wire, number, FIRST)?;
            if view.catalogue.purpose_by_id(purpose.id.as_str()).is_some() {
                return Err(ServiceError::EntryExists { kind: "purpose" });
            }
            put_purpose(view, purpose, Expected::Absent)
        })
        .await
    }
}

impl Call for v1::UpdatePurposeRequest {
    type Answer = v1::Purpose;
    const METHOD: &'static str = "/custodia.v1.CatalogService/UpdatePurpose";

    fn prepare(&mut self, _room: &Room, _caller: &Caller) -> Result<Target, ServiceError> {
        Ok(DIRECTORY)
    }

    async fn execute(
        self,
        room: &Room,
        _target: Target,
        deadline: Instant,
    ) -> Result<Self::Answer, ServiceError> {
        let wire = self.purpose.ok_or_else(|| ServiceError::missing("purpose"))?;
        let etag = etag_of(&wire.etag, "purpose")?.ok_or_else(|| ServiceError::missing("purpose.etag"))?;
        change(room, Commit::Yes, deadline, |view| {
            let id = purpose_id(&wire.id).map_err(|error| error.within("purpose"))?;
            let missing = ServiceError::EntryNotFound { kind: "purpose" };
            let stored = view.catalogue.purpose_by_id(id.as_str()).ok_or(missing)?;
            if stored.revision != etag {
                return Err(ServiceError::EtagStale);
            }
            let purpose = parsed_purpose(&wire, stored.number, stored.revision.next())?;
            put_purpose(view, purpose, Expected::Revision(stored.revision.as_u64()))
        })
        .await
    }
}

impl Call for v1::CreateAttributeRequest {
    type Answer = v1::AttributeDefinition;
    const METHOD: &'static str = "/custodia.v1.CatalogService/CreateAttribute";

    fn prepare(&mut self, _room: &Room, _caller: &Caller) -> Result<Target, ServiceError> {
        Ok(DIRECTORY)
    }

    async fn execute(
        self,
        room: &Room,
        _target: Target,
        deadline: Instant,
    ) -> Result<Self::Answer, ServiceError> {
        let wire = self.attribute.ok_or_else(|| ServiceError::missing("attribute"))?;
        change(room, commit(self.validate_only), deadline, |view| {
            let number = view.catalogue.next_attribute_number().map_err(|error| full(error, "attribute"))?;
            let attribute = definitions_parse::attribute(&wire, number, FIRST, &view.catalogue)
                .map_err(|error| error.within("attribute"))?;
            if view.catalogue.attribute_by_name(attribute.name.as_str()).is_some() {
                return Err(ServiceError::EntryExists { kind: "attribute" });
            }
            put_attribute(view, attribute, Expected::Absent)
        })
        .await
    }
}

impl Call for v1::UpdateAttributeRequest {
    type Answer = v1::AttributeDefinition;
    const METHOD: &'static str = "/custodia.v1.CatalogService/UpdateAttribute";

    fn prepare(&mut self, _room: &Room, _caller: &Caller) -> Result<Target, ServiceError> {
        Ok(DIRECTORY)
    }

    async fn execute(
        self,
        room: &Room,
        _target: Target,
        deadline: Instant,
    ) -> Result<Self::Answer, ServiceError> {
        let wire = self.attribute.ok_or_else(|| ServiceError::missing("attribute"))?;
        let etag = etag_of(&wire.etag, "attribute")?;
        change(room, Commit::Yes, deadline, |view| {
            let name = attribute_name(&wire.name).map_err(|error| error.within("attribute"))?;
            let missing = ServiceError::EntryNotFound { kind: "attribute" };
            let stored = view.catalogue.attribute_by_name(name.as_str()).ok_or(missing)?;
            if etag.is_some_and(|etag| etag != stored.revision) {
                return Err(ServiceError::EtagStale);
            }
            if wire.number != 0 && wire.number != stored.number.as_u32() {
                return Err(ServiceError::invalid("attribute.number", "cannot change"));
            }
            let attribute =
                definitions_parse::attribute(&wire, stored.number, stored.revision.next(), &view.catalogue)
                    .map_err(|error| error.within("attribute"))?;
            put_attribute(view, attribute, Expected::Revision(stored.revision.as_u64()))
        })
        .await
    }
}

const fn commit(validate_only: bool) -> Commit {
    if validate_only { Commit::ValidateOnly } else { Commit::Yes }
}

fn etag_of(text: &str, message: &str) -> Result<Option<Revision>, ServiceError> {
    parse_etag(text).map_err(|error| error.within(message))
}

/// A full catalogue is no fault of the request.
fn full(error: ProfileError, kind: &'static str) -> ServiceError {
    if let ProfileError::TooMany { count_max, .. } = error {
        return ServiceError::CatalogueFull { kind, limit: count_max };
    }
    error.into()
}

fn parsed_purpose(
    wire: &v1::Purpose,
    number: custodia_profile::PurposeNumber,
    revision: Revision,
) -> Result<Purpose, ServiceError> {
    definitions_parse::purpose(wire, number, revision).map_err(|error| error.within("purpose"))
}

fn put_purpose(
    view: &CatalogueView,
    purpose: Purpose,
    expected: Expected,
) -> Result<Entry<v1::Purpose>, ServiceError> {
    let mut after = Catalogue::clone(&view.catalogue);
    after.put_purpose(purpose.clone())?;
    Ok(Entry {
        key: Key::purpose(&purpose.id),
        expected,
        revision: purpose.revision,
        bytes: purpose.encode(),
        answer: convert::purpose(&purpose),
    })
}

fn put_attribute(
    view: &CatalogueView,
    attribute: AttributeDefinition,
    expected: Expected,
) -> Result<Entry<v1::AttributeDefinition>, ServiceError> {
    let mut after = Catalogue::clone(&view.catalogue);
    after.put_attribute(attribute.clone())?;
    Ok(Entry {
        key: Key::attribute(&attribute.name),
        expected,
        revision: attribute.revision,
        bytes: attribute.encode(),
        answer: convert::attribute(&attribute, &after),
    })
}

/// A purpose, from this node's copy of the catalogue.
pub(super) async fn get_purpose(
    room: &Room,
    request: &v1::GetPurposeRequest,
    deadline: Instant,
) -> Result<v1::Purpose, ServiceError> {
    let id = purpose_id(&request.id)?;
    let view = room.view_with(deadline, |view| view.catalogue.purpose_by_id(id.as_str()).is_some()).await?;
    let found = view.catalogue.purpose_by_id(id.as_str());
    found.map(|purpose| convert::purpose(purpose)).ok_or(ServiceError::EntryNotFound { kind: "purpose" })
}

/// An attribute, from this node's copy of the catalogue.
pub(super) async fn get_attribute(
    room: &Room,
    request: &v1::GetAttributeRequest,
    deadline: Instant,
) -> Result<v1::AttributeDefinition, ServiceError> {
    let name = attribute_name(&request.name)?;
    let view =
        room.view_with(deadline, |view| view.catalogue.attribute_by_name(name.as_str()).is_some()).await?;
    let found = view.catalogue.attribute_by_name(name.as_str());
    let found = found.ok_or(ServiceError::EntryNotFound { kind: "attribute" })?;
    Ok(convert::attribute(found, &view.catalogue))
}

/// Purposes by name, from this node's copy of the catalogue.
pub(super) fn list_purposes(
    room: &Room,
    request: &v1::ListPurposesRequest,
) -> Result<v1::ListPurposesResponse, ServiceError> {
    let (after, size) = page_of(Listing::Purposes, &request.page_token, request.page_size)?;
    let view = room.view()?;
    let behind = view
        .catalogue
        .purposes()
        .filter(|purpose| after.as_deref().is_none_or(|after| purpose.id.as_str() > after));
    let found: Vec<_> = behind.take(size.saturating_add(1)).collect();
    let next_page_token = next_token(Listing::Purposes, &found, size, |purpose| purpose.id.as_str());
    let purposes = found.into_iter().take(size).map(|purpose| convert::purpose(purpose)).collect();
    Ok(v1::ListPurposesResponse { purposes, next_page_token })
}

/// Attributes by name, from this node's copy of the catalogue.
pub(super) fn list_attributes(
    room: &Room,
    request: &v1::ListAttributesRequest,
) -> Result<v1::ListAttributesResponse, ServiceError> {
    let (after, size) = page_of(Listing::Attributes, &request.page_token, request.page_size)?;
    let view = room.view()?;
    let all = view.catalogue.attributes();
    let behind = all.filter(|attribute| after.as_deref().is_none_or(|after| attribute.name.as_str() > after));
    let found: Vec<_> = behind.take(size.saturating_add(1)).collect();
    let next_page_token = next_token(Listing::Attributes, &found, size, |attribute| attribute.name.as_str());
    let page = found.into_iter().take(size);
    let attributes = page.map(|attribute| convert::attribute(attribute, &view.catalogue)).collect();
    Ok(v1::ListAttributesResponse { attributes, next_page_token })
}

fn page_of(listing: Listing, token: &str, size: i32) -> Result<(Option<String>, usize), ServiceError> {
    let malformed =
        |_utf8| ServiceError::field("page_token", FieldFault::Invalid("is not a token of this list".into()));
    let after = parse_page_token(listing, token)?.map(String::from_utf8).transpose().map_err(malformed)?;
    Ok((after, page_size(size, PAGE.0, PAGE.1)?))
}

/// The token behind the last entry of a page of `size`, where more was found.
fn next_token<T>(listing: Listing, found: &[T], size: usize, name: impl Fn(&T) -> &str) -> String {
    let last = size.checked_sub(1).filter(|_| found.len() > size).and_then(|last| found.get(last));
    last.map(|entry| page_token(listing, name(entry).as_bytes())).unwrap_or_default()
}
