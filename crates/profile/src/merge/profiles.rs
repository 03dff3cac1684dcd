//! Owns the merge of two records (ID-4). Always: every attribute and identifier of either side is in the result; of two values one
//! is kept by a rule that the caller chose; every no, restriction, hold, cap and contact of both counts; and what is permitted
//! never exceeds what either record permitted (see `law`).

use std::collections::{BTreeMap, BTreeSet};

use super::{append_law, law::merge_law, preferences::merge_preferences};
use crate::{
    catalogue::Catalogue,
    chain::ChangeContext,
    error::ProfileError,
    id::{AttributeNumber, CustomerId, MergeId, NamespaceId, SourceId},
    identifier::Identifier,
    ledger::{LedgerBody, LedgerEntry, OtherLedger},
    limits::{MERGED_CUSTOMERS_MAX, RECORD_IDENTIFIERS_MAX},
    numbered::numbered,
    record::{AttributeValue, CustomerRecord, Merge, RequestDates, StoredIdentifier},
    value::Value,
};

numbered! {
    /// Which of two values of an attribute is kept. Numbers are those of the API.
    pub enum Survivorship ("survivorship", expected "a rule of survivorship") {
        /// The one that was observed last, as in an ingest.
        Newest = 1,
        /// The one whose source comes first in the list of trusted sources; of two alike, the newest.
        TrustedSource = 2,
        /// The one whose identifier is verified, where the attribute is an identifier; of two alike, the newest.
        VerifiedFirst = 3,
        /// The survivor's.
        Survivor = 4,
        /// The other customer's.
        Other = 5,
    }
}

/// The rules of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SurvivorshipRules {
    /// For attributes without a rule of their own.
    pub default: Survivorship,
    /// For single attributes.
    pub attributes: BTreeMap<AttributeNumber, Survivorship>,
    /// The most trusted first.
    pub trusted_sources: Vec<SourceId>,
}

/// What became of an attribute that both customers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributeChoice {
    /// The attribute.
    pub attribute: AttributeNumber,
    /// The other customer's value is kept.
    pub other_kept: bool,
    /// The rule that decided.
    pub rule: Survivorship,
}

/// Two records as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedProfile {
    /// The survivor's record.
    pub record: CustomerRecord,
    /// The survivor's ledger entries: that it was merged, and what the law rests on since.
    pub ledger: Vec<LedgerEntry>,
    /// The attributes of which both have another value.
    pub choices: Vec<AttributeChoice>,
}

/// Merges a customer's record into the survivor's, whose change `context` describes.
///
/// # Errors
/// `TooMany` if the result would exceed a limit on identifiers (of a namespace, or of all), preferences or merged customers;
/// `Malformed` if the other has quiet hours in another time zone; `Unknown` for a purpose that the catalogue lacks.
pub fn merge_profiles(
    survivor: &CustomerRecord,
    (customer, other): (CustomerId, &CustomerRecord),
    merge: MergeId,
    rules: &SurvivorshipRules,
    catalogue: &Catalogue,
    context: ChangeContext<'_>,
) -> Result<MergedProfile, ProfileError> {
    let (grounds, subject) = merge_law(survivor, other, catalogue);
    let mut identifiers = survivor.identifiers.clone();
    for (identifier, theirs) in &other.identifiers {
        let kept = match identifiers.remove(identifier) {
            Some(ours) => ours.newest(theirs.clone()),
            None => theirs.clone(),
        };
        identifiers.insert(identifier.clone(), kept);
    }
    check_identifiers(&identifiers, survivor, catalogue)?;
    let merges = merges_with(survivor, (customer, other), merge, context)?;
    let mut choices = Vec::new();
    let mut attributes = survivor.attributes.clone();
    for (number, theirs) in &other.attributes {
        let Some(ours) = attributes.get(number) else {
            attributes.insert(*number, theirs.clone());
            continue;
        };
        let stated = rules.attributes.get(number).copied().unwrap_or(rules.default);
        // What is held for a legal claim is not replaced.
        let rule = match (&survivor.subject.legal_hold, &other.subject.legal_hold) {
            (Some(_), _) => Survivorship::Survivor,
            (None, Some(_)) => Survivorship::Other,
            (None, None) => stated,
        };
        let sides = Sides { catalogue, rules, ours: (survivor, ours), theirs: (other, theirs) };
        let other_kept = sides.other_prevails(*number, rule);
        if ours.value != theirs.value {
            choices.push(AttributeChoice { attribute: *number, other_kept, rule });
        }
        if other_kept {
            attributes.insert(*number, theirs.clone());
        }
    }
    let mut record = CustomerRecord {
        attributes,
        identifiers,
        grounds,
        subject,
        preferences: merge_preferences(&survivor.preferences, &other.preferences)?,
        contacts: survivor.contacts.joined(&other.contacts, context.now),
        tc_string: said_by_both(survivor.tc_string.as_ref(), other.tc_string.as_ref(), |of| of.text.as_str()),
        gpp_string: said_by_both(survivor.gpp_string.as_ref(), other.gpp_string.as_ref(), |of| {
            of.text.as_str()
        }),
        requested: latest(survivor.requested, other.requested),
        created_at: survivor.created_at.min(other.created_at),
        updated_at: survivor.updated_at.max(context.now),
        merges,
        merged_into: None,
        ledger_entries: survivor.ledger_entries,
        ledger_head: survivor.ledger_head,
        revision_ahead: survivor.revision_ahead,
    };
    let begins = |restated| {
        let (entries, head) = (other.ledger_entries, other.ledger_head);
        LedgerBody::Merged(OtherLedger { merge, customer, entries, head, restated, merged_at: None })
    };
    let above = other.consent_revision();
    let ledger = append_law(&mut record, (begins, above), catalogue, context)?;
    Ok(MergedProfile { record, ledger, choices })
}

/// Checks the limits, which keep chains of customers with one device or one catch-all address from becoming one. What the survivor had
/// more than a limit that was lowered since is not held against it.
fn check_identifiers(
    identifiers: &BTreeMap<Identifier, StoredIdentifier>,
    survivor: &CustomerRecord,
    catalogue: &Catalogue,
) -> Result<(), ProfileError> {
    let too_many = |count_max| ProfileError::TooMany { field: "identifiers", count_max };
    if identifiers.len() > RECORD_IDENTIFIERS_MAX {
        return Err(too_many(RECORD_IDENTIFIERS_MAX));
    }
    let mut counts: BTreeMap<&NamespaceId, usize> = BTreeMap::new();
    for identifier in identifiers.keys() {
        *counts.entry(&identifier.namespace).or_default() += 1;
    }
    for (namespace, count) in counts {
        let before = survivor.identifiers.keys().filter(|of| of.namespace == *namespace).count();
        let limit = catalogue.namespace(namespace.as_str()).map(|of| usize::from(of.per_customer_max));
        if let Some(limit) = limit.filter(|limit| count > *limit && count > before) {
            return Err(too_many(limit));
        }
    }
    Ok(())
}

/// The survivor's merges, with this one. The members of the other customer come with it.
fn merges_with(
    survivor: &CustomerRecord,
    (customer, other): (CustomerId, &CustomerRecord),
    id: MergeId,
    context: ChangeContext<'_>,
) -> Result<Vec<Merge>, ProfileError> {
    let of_other = other.merges.iter().flat_map(|merge| &merge.members).copied();
    let members: BTreeSet<CustomerId> = std::iter::once(customer).chain(of_other).collect();
    let mut merges = survivor.merges.clone();
    merges.push(Merge { id, customer, members, merged_at: context.now });
    let all = merges.iter().map(|merge| merge.members.len()).sum::<usize>();
    if all > MERGED_CUSTOMERS_MAX {
        return Err(ProfileError::TooMany { field: "merges", count_max: MERGED_CUSTOMERS_MAX });
    }
    Ok(merges)
}

/// The two values of an attribute, and whose they are.
struct Sides<'a> {
    catalogue: &'a Catalogue,
    rules: &'a SurvivorshipRules,
    ours: (&'a CustomerRecord, &'a AttributeValue),
    theirs: (&'a CustomerRecord, &'a AttributeValue),
}

impl Sides<'_> {
    fn other_prevails(&self, number: AttributeNumber, rule: Survivorship) -> bool {
        let ((_, ours), (_, theirs)) = (self.ours, self.theirs);
        let newer = theirs.is_newer_than(ours);
        let by = |ours: usize, theirs: usize| theirs < ours || (theirs == ours && newer);
        match rule {
            Survivorship::Newest => newer,
            Survivorship::Survivor => false,
            Survivorship::Other => true,
            Survivorship::TrustedSource => by(self.distrust(ours), self.distrust(theirs)),
            Survivorship::VerifiedFirst => {
                let unverified = |of| usize::from(!self.is_verified(number, of));
                by(unverified(self.ours), unverified(self.theirs))
            }
        }
    }

    /// How far down the list of trusted sources the value's source is.
    fn distrust(&self, value: &AttributeValue) -> usize {
        let trusted = &self.rules.trusted_sources;
        trusted.iter().position(|source| *source == value.provenance.source).unwrap_or(trusted.len())
    }

    fn is_verified(&self, number: AttributeNumber, (record, of): (&CustomerRecord, &AttributeValue)) -> bool {
        let namespace = self.catalogue.namespace_of_attribute(number);
        let (Some(namespace), Value::Text(text)) = (namespace, &of.value) else { return false };
        let Ok(value) = namespace.normalise(text.as_str()) else { return false };
        let identifier = Identifier { namespace: namespace.id.clone(), value };
        record.identifiers.get(&identifier).is_some_and(|stored| stored.is_verified())
    }
}

/// A consent string counts if both customers sent the same one: it states what the other never consented to.
fn said_by_both<T: Clone>(ours: Option<&T>, theirs: Option<&T>, text: impl Fn(&T) -> &str) -> Option<T> {
    let (ours, theirs) = ours.zip(theirs)?;
    (text(ours) == text(theirs)).then(|| ours.clone())
}

pub(super) fn latest(ours: RequestDates, theirs: RequestDates) -> RequestDates {
    RequestDates {
        subject: ours.subject.max(theirs.subject),
        preferences: ours.preferences.max(theirs.preferences),
        tc_string: ours.tc_string.max(theirs.tc_string),
        gpp_string: ours.gpp_string.max(theirs.gpp_string),
    }
}
