//! Create, Update, Get and List, the same for every kind of catalogue entry: written on the directory's leader, read on
//! every node.
//!
//! Invariant: an entry, its record in the change log and the catalogue's new version are one command, conditional on
//! the version that was read. So changes are totally ordered, each is checked against all earlier ones, a number is assigned
//! only once (entries are never removed, and a new number is the largest so far plus one), and the catalogue can be
//! reconstructed at any past time. A change is acknowledged when no node can judge a call without it any more
//! (`catalogue/lease.rs`).

use std::sync::Arc;

use custodia_consensus::{Command, Condition, Expected, Write};
use custodia_profile::{
    AttributeDefinition, Catalogue, ChannelDefinition, GroupId, Jurisdiction, MatterType, Namespace, Purpose,
    Recipient, Revision, TraitDefinition,
};
use custodia_proto::v1;
use custodia_store::{Key, ValueHeader};
use tokio::time::Instant;

use super::entry::{Entry, put_error};
use crate::{
    api::handler::{AnyNodeCall, DirectoryWrite},
    catalogue::{CATALOGUE_META, CatalogueNeed, CatalogueView, logged_change},
    identity::Caller,
    propose::Attempt,
    shard::{Commit, ShardContext},
    wire::{PageSize, Pager, ServiceError, now, page_start, parse_etag},
};

pub(super) const PAGE: PageSize = PageSize { default: 100, max: 1_000 };

/// Implements the four calls of each kind of entry.
macro_rules! calls {
    ($($kind:ty, $field:ident, $list:ident by $name:ident: $create:ident $update:ident $get:ident
        $list_request:ident -> $list_response:ident;)*) => {$(
        impl DirectoryWrite for v1::$create {
            async fn execute(
                self,
                context: &ShardContext,
                caller: &Caller,
                deadline: Instant,
            ) -> Result<Self::Answer, ServiceError> {
                create::<$kind>(context, caller, self.$field, Commit::of(self.validate_only), deadline).await
            }
        }

        impl DirectoryWrite for v1::$update {
            async fn execute(
                self,
                context: &ShardContext,
                caller: &Caller,
                deadline: Instant,
            ) -> Result<Self::Answer, ServiceError> {
                update::<$kind>(context, caller, self.$field, deadline).await
            }
        }

        impl AnyNodeCall for v1::$get {
            async fn answer(
                self,
                context: &ShardContext,
                deadline: Instant,
            ) -> Result<Self::Answer, ServiceError> {
                get::<$kind>(context, &self.$name, deadline).await
            }
        }

        impl AnyNodeCall for v1::$list_request {
            async fn answer(
                self,
                context: &ShardContext,
                deadline: Instant,
            ) -> Result<Self::Answer, ServiceError> {
                let view = context.catalogue().leased_view(deadline).await?;
                let ($list, next_page_token) =
                    list::<$kind>(&view.catalogue, self.page_size, &self.page_token)?;
                Ok(v1::$list_response { $list, next_page_token })
            }
        }
    )*};
}

calls! {
    Purpose, purpose, purposes by id: CreatePurposeRequest UpdatePurposeRequest GetPurposeRequest
        ListPurposesRequest -> ListPurposesResponse;
    AttributeDefinition, attribute, attributes by name: CreateAttributeRequest UpdateAttributeRequest GetAttributeRequest
        ListAttributesRequest -> ListAttributesResponse;
    Jurisdiction, jurisdiction, jurisdictions by id: CreateJurisdictionRequest UpdateJurisdictionRequest
        GetJurisdictionRequest ListJurisdictionsRequest -> ListJurisdictionsResponse;
    Recipient, recipient, recipients by id: CreateRecipientRequest UpdateRecipientRequest GetRecipientRequest
        ListRecipientsRequest -> ListRecipientsResponse;
    ChannelDefinition, channel, channels by id: CreateChannelRequest UpdateChannelRequest GetChannelRequest
        ListChannelsRequest -> ListChannelsResponse;
    Namespace, namespace, namespaces by id: CreateNamespaceRequest UpdateNamespaceRequest GetNamespaceRequest
        ListNamespacesRequest -> ListNamespacesResponse;
    MatterType, matter_type, matter_types by id: CreateMatterTypeRequest UpdateMatterTypeRequest GetMatterTypeRequest
        ListMatterTypesRequest -> ListMatterTypesResponse;
    TraitDefinition, r#trait, traits by id: CreateTraitRequest UpdateTraitRequest GetTraitRequest
        ListTraitsRequest -> ListTraitsResponse;
}

async fn create<E: Entry>(
    context: &ShardContext,
    caller: &Caller,
    wire: Option<E::Wire>,
    commit: Commit,
    deadline: Instant,
) -> Result<E::Wire, ServiceError> {
    let wire = wire.ok_or_else(|| ServiceError::missing(E::KIND))?;
    if commit == Commit::Yes {
        ensure_blinding_key::<E>(context, &wire, deadline).await?;
    }
    change(context, caller, commit, deadline, |catalogue| created::<E>(&wire, catalogue)).await
}

fn created<E: Entry>(wire: &E::Wire, catalogue: &Catalogue) -> Result<E, ServiceError> {
    let entry = E::parse(wire, None, catalogue).map_err(|error| error.within(E::KIND))?;
    match E::find(catalogue, entry.name()) {
        Some(_) => Err(ServiceError::EntryExists { kind: E::KIND }),
        None => Ok(entry),
    }
}

async fn update<E: Entry>(
    context: &ShardContext,
    caller: &Caller,
    wire: Option<E::Wire>,
    deadline: Instant,
) -> Result<E::Wire, ServiceError> {
    let wire = wire.ok_or_else(|| ServiceError::missing(E::KIND))?;
    ensure_blinding_key::<E>(context, &wire, deadline).await?;
    change(context, caller, Commit::Yes, deadline, |catalogue| updated::<E>(&wire, catalogue)).await
}

fn updated<E: Entry>(wire: &E::Wire, catalogue: &Catalogue) -> Result<E, ServiceError> {
    let within = |error: ServiceError| error.within(E::KIND);
    // So a late retry replaces nothing that was changed since.
    let etag = parse_etag(E::wire_etag(wire)).map_err(within)?;
    let etag = etag.ok_or_else(|| within(ServiceError::missing("etag")))?;
    E::check_name(E::wire_name(wire)).map_err(within)?;
    let stored = E::find(catalogue, E::wire_name(wire));
    let stored = stored.ok_or(ServiceError::EntryNotFound { kind: E::KIND })?;
    if etag != stored.revision() {
        return Err(ServiceError::EtagStale);
    }
    E::parse(wire, Some(stored), catalogue).map_err(within)
}

async fn ensure_blinding_key<E: Entry>(
    context: &ShardContext,
    wire: &E::Wire,
    deadline: Instant,
) -> Result<(), ServiceError> {
    if !E::is_blinded(wire) {
        return Ok(());
    }
    let created = context.keys().blinding().ensure(deadline.into_std()).await;
    created.map_err(|error| context.key_failure(GroupId::Directory, error))
}

async fn change<E: Entry>(
    context: &ShardContext,
    caller: &Caller,
    commit: Commit,
    deadline: Instant,
    evaluate: impl Fn(&Catalogue) -> Result<E, ServiceError> + Send + Sync,
) -> Result<E::Wire, ServiceError> {
    let evaluate = &evaluate;
    let attempt = || async move {
        let view = context.catalogue().view()?;
        let entry = evaluate(&view.catalogue)?;
        let mut after = Catalogue::clone(&view.catalogue);
        after.put(entry.clone().into()).map_err(put_error::<E>)?;
        let answer = entry.wire(&after);
        if commit == Commit::ValidateOnly {
            return Ok(Attempt::Done((answer, None)));
        }
        let (engine, changed_by) = (context.engine(), &caller.name);
        let logged = logged_change(engine, view.version, now(), changed_by, entry.clone().into())?;
        let version = version_after(&view);
        Ok(Attempt::Propose { command: command(&view, &entry, logged), answer: (answer, Some(version)) })
    };
    let changed = context.routing().propose_until_applied(GroupId::Directory, deadline, attempt).await?;
    let (answer, version) = changed;
    if let Some(version) = version {
        context.catalogue().in_force_everywhere(version, deadline).await?;
    }
    Ok(answer)
}

/// The catalogue's version after a change of this one.
const fn version_after(view: &CatalogueView) -> u64 {
    view.version.saturating_add(1)
}

/// Writes the entry, its record in the change log and the catalogue's next version, on condition that nothing changed.
fn command<E: Entry>(view: &CatalogueView, entry: &E, logged: Write) -> Command {
    let meta = Key::meta(CATALOGUE_META).into_bytes();
    let key = entry.key().into_bytes();
    // A built-in entry that was never changed is not stored, so it has no revision.
    let stored = E::find(&view.catalogue, entry.name()).map_or(Revision::NONE, |stored| stored.revision());
    let value =
        |revision, payload: &[u8]| Some(ValueHeader { revision, ..ValueHeader::default() }.encode(payload));
    Command {
        conditions: vec![
            Condition { key: meta.clone(), expected: Expected::as_read(view.version) },
            Condition { key: key.clone(), expected: Expected::as_read(stored.as_u64()) },
            Condition { key: logged.key.clone(), expected: Expected::Absent },
        ],
        writes: vec![
            Write { key: meta, value: value(version_after(view), &[]) },
            Write { key, value: value(entry.revision().as_u64(), &entry.encode()) },
            logged,
        ],
    }
}

/// The entry, from this node's copy of the catalogue, which catches up first if it has no such entry.
async fn get<E: Entry>(
    context: &ShardContext,
    name: &str,
    deadline: Instant,
) -> Result<E::Wire, ServiceError> {
    E::check_name(name)?;
    let find = |view: &CatalogueView| {
        let found = E::find(&view.catalogue, name).ok_or(ServiceError::EntryNotFound { kind: E::KIND })?;
        Ok(found.wire(&view.catalogue))
    };
    let (_, found) = context.catalogue().parse_on(CatalogueNeed::Names, deadline, find, |_, _| true).await?;
    Ok(found)
}

/// A page of entries by name, and the token of the next page.
fn list<E: Entry>(
    catalogue: &Catalogue,
    size: i32,
    token: &str,
) -> Result<(Vec<E::Wire>, String), ServiceError> {
    let name = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let after = page_start(E::LISTING, token, name)?;
    let mut pager = Pager::new(E::LISTING, size, PAGE)?;
    let rest = |entry: &&Arc<E>| after.as_deref().is_none_or(|after| entry.name() > after);
    let page = E::all(catalogue).filter(rest).take_while(|entry| pager.admits(entry.name().as_bytes(), 0));
    let page = page.map(|entry| entry.wire(catalogue)).collect();
    Ok((page, pager.next_page_token()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalogue::test_entries::{attribute, purpose},
        wire::etag,
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

    fn pages<E: Entry>(catalogue: &Catalogue, size: i32) -> Vec<String> {
        let (mut names, mut token) = (Vec::new(), String::new());
        loop {
            let (entries, next) = list::<E>(catalogue, size, &token).expect("a page");
            assert!(entries.len() <= size.try_into().expect("small") && !entries.is_empty());
            names.extend(entries.iter().map(|entry| E::wire_name(entry).to_owned()));
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
        let built_in = pages::<Jurisdiction>(&catalogue, 2);
        assert!(built_in.is_sorted() && built_in.len() > 20 && built_in.contains(&"eu".to_owned()));
        let carrierpigeon = v1::ChannelDefinition {
            id: "carrierpigeon".to_owned(),
            kind: v1::ChannelKind::Post.into(),
            ..Default::default()
        };
        let created = created::<ChannelDefinition>(&carrierpigeon, &catalogue).expect("new");
        catalogue.put(created.into()).expect("fits");
        assert_eq!(pages::<ChannelDefinition>(&catalogue, 5)[1], "carrierpigeon");
        for id in ["phone", "email"] {
            let wire = v1::Namespace {
                id: id.to_owned(),
                kind: v1::NamespaceKind::Text.into(),
                purposes: vec!["care".to_owned()],
                ..Default::default()
            };
            catalogue.put(super::created::<Namespace>(&wire, &catalogue).expect("new").into()).expect("fits");
        }
        assert_eq!(pages::<Namespace>(&catalogue, 1), ["email", "phone"]);
        assert_eq!(pages::<Recipient>(&catalogue, 3), ["Ads", "desk", "till"]);
        let (_, token) = list::<Purpose>(&catalogue, 1, "").expect("a page");
        assert_eq!(
            field(&list::<Recipient>(&catalogue, 1, &token).expect_err("a token for purposes")),
            "page_token"
        );
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
        assert!(updated::<AttributeDefinition>(&wire, &catalogue).is_ok());
        wire.number = 2;
        let error = updated::<AttributeDefinition>(&wire, &catalogue).expect_err("the number stays");
        assert_eq!(field(&error), "attribute.number");
    }

    /// CO-9.
    #[test]
    fn a_built_in_jurisdiction_is_updated_with_the_etag_it_was_read_with() {
        let mut catalogue = catalogue();
        let shown = catalogue.jurisdiction("us-ca").expect("built in").wire(&catalogue);
        assert!(shown.built_in && shown.etag == etag(Revision::NONE));
        let wire = v1::Jurisdiction { opt_in_below_age: 18, ..shown.clone() };
        let changed = updated::<Jurisdiction>(&wire, &catalogue).expect("fits");
        let view =
            CatalogueView { directory: Default::default(), catalogue: catalogue.clone().into(), version: 0 };
        let logged = Write { key: bytes::Bytes::from_static(b"log"), value: None };
        let conditions = command(&view, &changed, logged).conditions;
        assert!(conditions.iter().all(|condition| condition.expected == Expected::Absent), "not stored yet");
        catalogue.put(changed.into()).expect("fits");
        let stored = catalogue.jurisdiction("us-ca").expect("there");
        assert_eq!((stored.opt_in_below_age, stored.revision.as_u64(), stored.built_in), (18, 1, true));
        assert!(matches!(updated::<Jurisdiction>(&shown, &catalogue), Err(ServiceError::EtagStale)));
    }

    #[test]
    fn a_region_of_another_jurisdiction_is_refused() {
        let mut catalogue = catalogue();
        let second = created::<Jurisdiction>(&wire_jurisdiction("fr", &["FR"]), &catalogue).expect("valid");
        let error = catalogue.put(second.into()).map_err(put_error::<Jurisdiction>).expect_err("it is in eu");
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
