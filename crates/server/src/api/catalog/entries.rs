//! The calls of the catalogue, the same for every kind of entry: written on the directory's leader, read on every node.
//!
//! Must always hold: a definition, its entry in the log of changes and the new version of the catalogue are one
//! command, conditional on the version that was read. So changes of the catalogue are one after the other, each is
//! checked against all before it, a number is given out once (the largest so far and one, and no entry is ever
//! removed), and what an entry was at any moment can be told.

use custodia_consensus::{Command, Condition, ConsensusError, Expected, Outcome, Write};
use custodia_profile::{AttributeDefinition, Catalogue, GroupId, Jurisdiction, Purpose, Recipient, Revision};
use custodia_proto::v1;
use custodia_store::{Key, ValueHeader};
use tokio::time::Instant;
use tonic::Response;

use super::{
    catalogue_view::{CATALOGUE_META, CatalogueView},
    changes,
    definition::{Definition, UpdateEtag, not_taken},
    error::{FieldFault, ServiceError},
    events::page_size,
    forward::{Call, Target, answer},
    opaque::{Listing, page_token, parse_etag, parse_page_token},
    context::ShardContext,
    write::Commit,
};
use crate::identity::Caller;

/// How often a change of the catalogue is evaluated at most.
const TRIES_MAX: u32 = 8;
/// Entries of a page where the caller does not say, and the most.
pub(crate) const PAGE: (usize, usize) = (100, 1_000);

const DIRECTORY: Target = Target { group: GroupId::Directory, customer: None };

/// Answers a definition; afterwards this node has it, too.
pub(crate) async fn define<C: Call>(
    context: &ShardContext,
    caller: &Caller,
    call: C,
    deadline: Instant,
) -> Result<Response<C::Answer>, ServiceError> {
    let response = answer(context, caller, call, deadline).await?;
    if !context.leads(GroupId::Directory)
        && let Err(error) = Box::pin(context.catalogue_cache().catch_up(context, deadline)).await
    {
        // What is acknowledged stands; a call that needs it here catches up by itself.
        tracing::debug!(%error, "the definition is not on this node yet");
    }
    Ok(response)
}

macro_rules! calls {
    ($($kind:ty, $field:ident: $create:ident = $create_name:literal, $update:ident = $update_name:literal;)*) => {$(
        impl Call for v1::$create {
            type Answer = <$kind as Definition>::Wire;
            const METHOD: &'static str = concat!("/custodia.v1.CatalogService/", $create_name);

            fn prepare(&mut self, _room: &ShardContext, _caller: &Caller) -> Result<Target, ServiceError> {
                Ok(DIRECTORY)
            }

            async fn execute(
                self,
                context: &ShardContext,
                caller: &Caller,
                _target: Target,
                deadline: Instant,
            ) -> Result<Self::Answer, ServiceError> {
                let commit = if self.validate_only { Commit::ValidateOnly } else { Commit::Yes };
                create::<$kind>(context, caller, self.$field, commit, deadline).await
            }
        }

        impl Call for v1::$update {
            type Answer = <$kind as Definition>::Wire;
            const METHOD: &'static str = concat!("/custodia.v1.CatalogService/", $update_name);

            fn prepare(&mut self, _room: &ShardContext, _caller: &Caller) -> Result<Target, ServiceError> {
                Ok(DIRECTORY)
            }

            async fn execute(
                self,
                context: &ShardContext,
                caller: &Caller,
                _target: Target,
                deadline: Instant,
            ) -> Result<Self::Answer, ServiceError> {
                update::<$kind>(context, caller, self.$field, deadline).await
            }
        }
    )*};
}

calls! {
    Purpose, purpose:
        CreatePurposeRequest = "CreatePurpose", UpdatePurposeRequest = "UpdatePurpose";
    AttributeDefinition, attribute:
        CreateAttributeRequest = "CreateAttribute", UpdateAttributeRequest = "UpdateAttribute";
    Jurisdiction, jurisdiction:
        CreateJurisdictionRequest = "CreateJurisdiction", UpdateJurisdictionRequest = "UpdateJurisdiction";
    Recipient, recipient:
        CreateRecipientRequest = "CreateRecipient", UpdateRecipientRequest = "UpdateRecipient";
}

async fn create<D: Definition>(
    context: &ShardContext,
    caller: &Caller,
    wire: Option<D::Wire>,
    commit: Commit,
    deadline: Instant,
) -> Result<D::Wire, ServiceError> {
    let wire = wire.ok_or_else(|| ServiceError::missing(D::KIND))?;
    change(context, caller, commit, deadline, |catalogue| created::<D>(&wire, catalogue)).await
}

fn created<D: Definition>(wire: &D::Wire, catalogue: &Catalogue) -> Result<D, ServiceError> {
    let entry = D::parse(wire, None, catalogue).map_err(|error| error.within(D::KIND))?;
    match D::find(catalogue, entry.name()) {
        Some(_) => Err(ServiceError::EntryExists { kind: D::KIND }),
        None => Ok(entry),
    }
}

async fn update<D: Definition>(
    context: &ShardContext,
    caller: &Caller,
    wire: Option<D::Wire>,
    deadline: Instant,
) -> Result<D::Wire, ServiceError> {
    let wire = wire.ok_or_else(|| ServiceError::missing(D::KIND))?;
    change(context, caller, Commit::Yes, deadline, |catalogue| updated::<D>(&wire, catalogue)).await
}

fn updated<D: Definition>(wire: &D::Wire, catalogue: &Catalogue) -> Result<D, ServiceError> {
    let within = |error: ServiceError| error.within(D::KIND);
    let etag = parse_etag(D::wire_etag(wire)).map_err(within)?;
    if etag.is_none() && D::UPDATE_ETAG == UpdateEtag::Required {
        return Err(within(ServiceError::missing("etag")));
    }
    D::check_name(D::wire_name(wire)).map_err(within)?;
    let stored = D::find(catalogue, D::wire_name(wire));
    let stored = stored.ok_or(ServiceError::EntryNotFound { kind: D::KIND })?;
    if etag.is_some_and(|etag| etag != stored.revision()) {
        return Err(ServiceError::EtagStale);
    }
    D::parse(wire, Some(stored), catalogue).map_err(within)
}

async fn change<D: Definition>(
    context: &ShardContext,
    caller: &Caller,
    commit: Commit,
    deadline: Instant,
    evaluate: impl Fn(&Catalogue) -> Result<D, ServiceError> + Send + Sync,
) -> Result<D::Wire, ServiceError> {
    for _ in 0..TRIES_MAX {
        context.read_barrier(GroupId::Directory, deadline).await?;
        let view = context.view()?;
        let entry = evaluate(&view.catalogue)?;
        let mut after = Catalogue::clone(&view.catalogue);
        after.put(entry.clone().into()).map_err(not_taken::<D>)?;
        let answer = entry.wire(&after);
        if commit == Commit::ValidateOnly {
            return Ok(answer);
        }
        let logged = changes::next_change(context, &view, caller, entry.clone().into())?;
        match context
            .consensus()
            .propose(GroupId::Directory, command(&view, &entry, logged), deadline.into_std())
            .await
        {
            Ok(Outcome::Applied { .. }) => return Ok(answer),
            Ok(Outcome::Conflict { .. }) => {}
            Err(ConsensusError::Timeout) => return Err(ServiceError::OutcomeUnknown),
            Err(error) => return Err(context.explained(GroupId::Directory, error)),
        }
    }
    Err(ServiceError::Contended { tries: TRIES_MAX })
}

/// The entry, what the log says of it and the next version of the catalogue, provided that nothing changed meanwhile.
fn command<D: Definition>(view: &CatalogueView, entry: &D, logged: Write) -> Command {
    let meta = Key::meta(CATALOGUE_META).into_bytes();
    let key = entry.key().into_bytes();
    // A built-in entry that was never changed has no revision and is not stored.
    let stored = D::find(&view.catalogue, entry.name()).map_or(Revision::NONE, |stored| stored.revision());
    let at = |revision: u64| if revision == 0 { Expected::Absent } else { Expected::Revision(revision) };
    let value =
        |revision, payload: &[u8]| Some(ValueHeader { revision, ..ValueHeader::default() }.encode(payload));
    Command {
        conditions: vec![
            Condition { key: meta.clone(), expected: at(view.version) },
            Condition { key: key.clone(), expected: at(stored.as_u64()) },
            Condition { key: logged.key.clone(), expected: Expected::Absent },
        ],
        writes: vec![
            Write { key: meta, value: value(view.version.saturating_add(1), &[]) },
            Write { key, value: value(entry.revision().as_u64(), &entry.encode()) },
            logged,
        ],
    }
}

/// An entry, from this node's copy of the catalogue.
pub(crate) async fn get<D: Definition>(
    context: &ShardContext,
    name: &str,
    deadline: Instant,
) -> Result<D::Wire, ServiceError> {
    D::check_name(name)?;
    let view = context.view_with(deadline, |view| D::find(&view.catalogue, name).is_some()).await?;
    let found = D::find(&view.catalogue, name).ok_or(ServiceError::EntryNotFound { kind: D::KIND })?;
    Ok(found.wire(&view.catalogue))
}

/// Entries by name and the token of the next page, from this node's copy of the catalogue.
pub(crate) fn list<D: Definition>(
    context: &ShardContext,
    size: i32,
    token: &str,
) -> Result<(Vec<D::Wire>, String), ServiceError> {
    page::<D>(&context.view()?.catalogue, size, token)
}

fn page<D: Definition>(
    catalogue: &Catalogue,
    size: i32,
    token: &str,
) -> Result<(Vec<D::Wire>, String), ServiceError> {
    let (after, size) = page_of(D::LISTING, token, size)?;
    let behind = |entry: &&std::sync::Arc<D>| after.as_deref().is_none_or(|after| entry.name() > after);
    let mut found: Vec<_> = D::all(catalogue).filter(behind).take(size.saturating_add(1)).collect();
    let has_more = found.len() > size;
    found.truncate(size);
    let last = found.last().filter(|_| has_more);
    let token = last.map(|last| page_token(D::LISTING, last.name().as_bytes())).unwrap_or_default();
    Ok((found.into_iter().map(|entry| entry.wire(catalogue)).collect(), token))
}

fn page_of(listing: Listing, token: &str, size: i32) -> Result<(Option<String>, usize), ServiceError> {
    let malformed =
        |_utf8| ServiceError::field("page_token", FieldFault::Invalid("is not a token of this list".into()));
    let after = parse_page_token(listing, token)?.map(String::from_utf8).transpose().map_err(malformed)?;
    Ok((after, page_size(size, PAGE.0, PAGE.1)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{
        catalogue_for_tests::{attribute, purpose},
        opaque::etag,
    };

    fn catalogue() -> Catalogue {
        let mut catalogue = Catalogue::new();
        for (number, id) in [(1, "care"), (2, "billing"), (3, "offers")] {
            let basis = custodia_profile::LawfulBasis::Contract;
            catalogue.put_purpose(purpose(number, id, &[basis])).expect("fits");
        }
        catalogue.put_attribute(attribute(1, "email", &[1])).expect("fits");
        catalogue
    }

    fn wire_jurisdiction(id: &str, regions: &[&str]) -> v1::Jurisdiction {
        v1::Jurisdiction {
            id: id.to_owned(),
            regions: regions.iter().map(|&region| region.to_owned()).collect(),
            consent_model: v1::ConsentModel::OptIn.into(),
            lawful_bases: vec![v1::LawfulBasis::Consent.into()],
            ..Default::default()
        }
    }

    type Edit = fn(&mut v1::Purpose);

    fn field(error: &ServiceError) -> &str {
        let ServiceError::Field { field, .. } = error else { panic!("{error}") };
        field
    }

    fn pages<D: Definition>(catalogue: &Catalogue, size: i32) -> Vec<String> {
        let (mut names, mut token) = (Vec::new(), String::new());
        loop {
            let (entries, next) = page::<D>(catalogue, size, &token).expect("a page");
            assert!(entries.len() <= size.try_into().expect("small") && !entries.is_empty());
            names.extend(entries.iter().map(|entry| D::wire_name(entry).to_owned()));
            token = next;
            if token.is_empty() {
                return names;
            }
        }
    }

    #[test]
    fn every_kind_of_entry_is_listed_by_name_page_by_page() {
        let mut catalogue = catalogue();
        for id in ["desk", "Ads", "till"] {
            let wire =
                v1::Recipient { id: id.to_owned(), purposes: vec!["care".to_owned()], ..Default::default() };
            catalogue.put(created::<Recipient>(&wire, &catalogue).expect("new").into()).expect("fits");
        }
        assert_eq!(pages::<Purpose>(&catalogue, 2), ["billing", "care", "offers"]);
        assert_eq!(pages::<AttributeDefinition>(&catalogue, 2), ["email"]);
        assert_eq!(pages::<Jurisdiction>(&catalogue, 2), ["br", "default", "eu", "ru", "us-ca"]);
        assert_eq!(pages::<Recipient>(&catalogue, 3), ["Ads", "desk", "till"]);
        let (_, token) = page::<Purpose>(&catalogue, 1, "").expect("a page");
        assert_eq!(field(&page::<Recipient>(&catalogue, 1, &token).expect_err("of purposes")), "page_token");
    }

    #[test]
    fn an_entry_is_created_once() {
        let catalogue = catalogue();
        let wire = v1::AttributeDefinition {
            name: "phone".to_owned(),
            number: 77,
            r#type: v1::ValueType::Text.into(),
            classification: v1::Classification::Personal.into(),
            purposes: vec!["care".to_owned()],
            ..Default::default()
        };
        let created_now = created::<AttributeDefinition>(&wire, &catalogue).expect("new");
        assert_eq!((created_now.number.as_u32(), created_now.revision), (2, Revision::from_u64(1)));
        let again = v1::AttributeDefinition { name: "email".to_owned(), ..wire.clone() };
        let error = created::<AttributeDefinition>(&again, &catalogue).expect_err("there");
        assert!(matches!(error, ServiceError::EntryExists { kind: "attribute" }));
        let error = created::<Jurisdiction>(&wire_jurisdiction("eu", &[]), &catalogue).expect_err("built in");
        assert!(matches!(error, ServiceError::EntryExists { kind: "jurisdiction" }));
        let unknown = v1::AttributeDefinition { purposes: vec!["none".to_owned()], ..wire };
        let error = created::<AttributeDefinition>(&unknown, &catalogue).expect_err("no such purpose");
        assert_eq!(field(&error), "attribute.purposes[0]");
    }

    #[test]
    fn an_update_names_the_revision_that_it_replaces() {
        let catalogue = catalogue();
        let stored = catalogue.purpose_by_id("care").expect("there");
        let wire = stored.wire(&catalogue);
        let new =
            updated::<Purpose>(&v1::Purpose { deprecated: true, ..wire.clone() }, &catalogue).expect("fits");
        assert_eq!((new.number, new.revision, new.deprecated), (stored.number, stored.revision.next(), true));
        let stale = v1::Purpose { etag: etag(Revision::from_u64(9)), ..wire.clone() };
        assert!(matches!(updated::<Purpose>(&stale, &catalogue), Err(ServiceError::EtagStale)));
        let blind = v1::Purpose { etag: String::new(), ..wire.clone() };
        assert_eq!(field(&updated::<Purpose>(&blind, &catalogue).expect_err("no etag")), "purpose.etag");
        let missing = v1::Purpose { id: "none".to_owned(), ..wire };
        let error = updated::<Purpose>(&missing, &catalogue).expect_err("no such purpose");
        assert!(matches!(error, ServiceError::EntryNotFound { kind: "purpose" }));
        let mut wire = catalogue.attribute_by_name("email").expect("there").wire(&catalogue);
        wire.etag.clear();
        assert!(updated::<AttributeDefinition>(&wire, &catalogue).is_ok(), "optional for attributes");
        wire.number = 2;
        let error = updated::<AttributeDefinition>(&wire, &catalogue).expect_err("the number stays");
        assert_eq!(field(&error), "attribute.number");
    }

    /// CO-9.
    #[test]
    fn a_built_in_jurisdiction_is_replaced_by_the_etag_that_it_is_shown_with() {
        let mut catalogue = catalogue();
        let shown = catalogue.jurisdiction("us-ca").expect("built in").wire(&catalogue);
        assert!(shown.built_in && shown.etag == etag(Revision::NONE));
        let wire = v1::Jurisdiction { opt_in_below_age: 18, ..shown.clone() };
        let changed = updated::<Jurisdiction>(&wire, &catalogue).expect("fits");
        let view =
            CatalogueView { directory: Default::default(), catalogue: catalogue.clone().into(), version: 0 };
        let logged = Write { key: bytes::Bytes::from_static(b"log"), value: None };
        let conditions = command(&view, &changed, logged).conditions;
        assert!(
            conditions.iter().all(|condition| condition.expected == Expected::Absent),
            "nothing is stored yet"
        );
        catalogue.put(changed.into()).expect("fits");
        let stored = catalogue.jurisdiction("us-ca").expect("there");
        assert_eq!((stored.opt_in_below_age, stored.revision.as_u64(), stored.built_in), (18, 1, true));
        assert!(matches!(updated::<Jurisdiction>(&shown, &catalogue), Err(ServiceError::EtagStale)));
    }

    #[test]
    fn a_region_of_another_jurisdiction_is_not_taken() {
        let mut catalogue = catalogue();
        let second = created::<Jurisdiction>(&wire_jurisdiction("fr", &["FR"]), &catalogue).expect("valid");
        let error = catalogue.put(second.into()).map_err(not_taken::<Jurisdiction>).expect_err("it is in eu");
        assert_eq!(field(&error), "jurisdiction.regions");
        let bad = wire_jurisdiction("fr", &["FR-IDF", "france"]);
        let error = created::<Jurisdiction>(&bad, &catalogue).expect_err("no region");
        assert_eq!(field(&error), "jurisdiction.regions[1]");
    }

    /// CO-7, CO-9.
    #[test]
    fn a_purpose_without_what_its_bases_need_is_refused_by_field() {
        let catalogue = catalogue();
        let wire = catalogue.purpose_by_id("care").expect("there").wire(&catalogue);
        let update = |change: Edit| {
            let mut wire = wire.clone();
            change(&mut wire);
            updated::<Purpose>(&wire, &catalogue)
        };
        assert!(update(|_| {}).is_ok());
        let faults: [(Edit, &str); 4] = [
            (
                |wire| {
                    wire.balancing_test = None;
                    wire.lawful_bases.push(v1::LawfulBasis::LegitimateInterests.into());
                },
                "purpose.balancing_test",
            ),
            (
                |wire| {
                    wire.law.clear();
                    wire.lawful_bases.push(v1::LawfulBasis::PublicTask.into());
                },
                "purpose.law",
            ),
            (
                |wire| {
                    if let Some(test) = &mut wire.balancing_test {
                        test.reviewed_on = "2026-02-30".to_owned();
                    }
                },
                "purpose.balancing_test.reviewed_on",
            ),
            (
                |wire| {
                    wire.jurisdiction_bases = vec![v1::JurisdictionBases {
                        jurisdiction: "atlantis".to_owned(),
                        lawful_bases: Vec::new(),
                    }];
                },
                "purpose.jurisdiction_bases[0].jurisdiction",
            ),
        ];
        for (change, named) in faults {
            assert_eq!(field(&update(change).expect_err("refused")), named);
        }
    }
}
