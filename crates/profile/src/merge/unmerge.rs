//! Owns how a merge is undone (ID-4). Always: without anything that came since, both records are what they were, but for their
//! ledgers, which go on; no value of one side is left on the other; an identifier that the survivor has lost since is not
//! given back, since somebody else may hold it; and every no and every limit that was stated since counts for both.
//!
//! What came since goes to the side that its source, or for a decision its caller, belongs to: the other customer, if that customer
//! alone had data of this source before the merge; else the survivor. Observations that lost against a newer one in the meantime
//! were refused then, and are not brought back.

use std::collections::{BTreeMap, BTreeSet};

use super::{append_law, changed, law::of_both, preferences::preferences_since, profiles::latest};
use crate::{
    catalogue::Catalogue,
    chain::ChangeContext,
    data_subject::DataSubject,
    error::ProfileError,
    ground::{GroundState, GroundStatus, LawfulBasis},
    id::{CallerName, CustomerId, PurposeNumber, SourceId},
    ledger::{LedgerBody, LedgerEntry, OtherLedger},
    record::{CustomerRecord, MergedInto, Restored},
};

/// One of two customers who were merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// The one whose id was kept.
    Survivor,
    /// The one who was merged into it.
    Other,
}

/// Who spoke of the other customer before the merge, and not of the survivor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OtherAlone {
    /// The sources of its attributes, identifiers and events.
    pub sources: BTreeSet<SourceId>,
    /// The callers who recorded its decisions.
    pub callers: BTreeSet<CallerName>,
}

impl OtherAlone {
    fn owner(&self, source: &SourceId) -> Side {
        if self.sources.contains(source) { Side::Other } else { Side::Survivor }
    }

    fn owner_of_decision(&self, recorded_by: &CallerName) -> Side {
        if self.callers.contains(recorded_by) { Side::Other } else { Side::Survivor }
    }
}

/// Two customers again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnmergedProfiles {
    /// The survivor's record.
    pub survivor: CustomerRecord,
    /// The survivor's ledger entries.
    pub ledger: Vec<LedgerEntry>,
    /// The other customer's record and ledger entries.
    pub other: Restored,
}

/// Undoes the survivor's last merge. `other` is the record of the customer who was merged. `context` describes the survivor's change and
/// has its ledger.
///
/// # Errors
/// `Malformed` if the record was not merged into this survivor by its last merge; `Unknown` for a purpose that the catalogue lacks;
/// `TooMany` if preferences would exceed a limit.
pub fn unmerge_profiles(
    current: &CustomerRecord,
    (customer, other): (CustomerId, &CustomerRecord),
    alone: &OtherAlone,
    catalogue: &Catalogue,
    context: ChangeContext<'_>,
) -> Result<UnmergedProfiles, ProfileError> {
    let not_last = ProfileError::Malformed { field: "merge_id", expected: "the last merge of this customer" };
    let archive = other.merged_into.as_ref().ok_or_else(|| not_last.clone())?;
    let last = current.merges.last().filter(|last| last.id == archive.merge);
    let merge = last.ok_or(not_last)?.id;
    let history = since_merge(context.history, archive);
    let since = Since { archive, current, alone, catalogue, history };
    let mut survivor = since.side(&archive.survivor_before, Side::Survivor)?;
    survivor.ledger_entries = current.ledger_entries;
    survivor.ledger_head = current.ledger_head;
    survivor.updated_at = current.updated_at.max(context.now);
    let before = CustomerRecord { merged_into: None, ..other.clone() };
    let mut restored = since.side(&before, Side::Other)?;
    restored.updated_at = other.updated_at.max(context.now);
    let begins = |restated| {
        let (entries, head) = (other.ledger_entries, other.ledger_head);
        LedgerBody::Unmerged(OtherLedger { merge, customer, entries, head, restated, merged_at: None })
    };
    survivor.revision_ahead = current.revision_ahead;
    let ledger = append_law(&mut survivor, (begins, current.consent_revision()), catalogue, context)?;
    let (entries, head) = (survivor.ledger_entries, survivor.ledger_head);
    let begins = |restated| {
        let (customer, merged_at) = (*context.customer, Some(archive.merged_at));
        LedgerBody::Unmerged(OtherLedger { merge, customer, entries, head, restated, merged_at })
    };
    let as_other = ChangeContext { customer: &customer, ..context };
    let entries = append_law(&mut restored, (begins, survivor.consent_revision()), catalogue, as_other)?;
    Ok(UnmergedProfiles { survivor, ledger, other: Restored { record: restored, ledger: entries } })
}

/// The entries that were appended after a merge and the restatement of the law that belongs to it.
fn since_merge<'a>(history: &'a [LedgerEntry], archive: &MergedInto) -> &'a [LedgerEntry] {
    let after = history.partition_point(|entry| entry.sequence < archive.merged.ledger_entries);
    history.get(after..).unwrap_or_default()
}

/// What came since a merge.
struct Since<'a> {
    archive: &'a MergedInto,
    current: &'a CustomerRecord,
    alone: &'a OtherAlone,
    catalogue: &'a Catalogue,
    history: &'a [LedgerEntry],
}

/// What was decided on a ground since a merge.
struct Decided<'a> {
    /// The present state, if it is another than after the merge, and whose it is.
    changed: Option<(&'a GroundState, Side)>,
    /// The last state that permits nothing.
    no: Option<&'a GroundState>,
}

impl Since<'_> {
    /// The record that one side had, with what came since and is this side's.
    fn side(&self, before: &CustomerRecord, side: Side) -> Result<CustomerRecord, ProfileError> {
        let (merged, current) = (&self.archive.merged, self.current);
        let owner = |source: &SourceId| self.alone.owner(source);
        let mut record = before.clone();
        let is_narrowed = side == Side::Other;
        record.attributes.retain(|number, _| current.attributes.contains_key(number));
        for (number, now) in &current.attributes {
            if merged.attributes.get(number) != Some(now) && owner(&now.provenance.source) == side {
                record.attributes.insert(*number, now.clone());
            }
        }
        record.identifiers.retain(|identifier, _| current.identifiers.contains_key(identifier));
        for (identifier, now) in &current.identifiers {
            let was_merged = merged.identifiers.get(identifier);
            let is_ours = if was_merged.is_some() {
                // New evidence about an identifier is about whoever has it.
                record.identifiers.contains_key(identifier)
            } else {
                owner(&now.provenance.source) == side
            };
            if was_merged != Some(now) && is_ours {
                record.identifiers.insert(identifier.clone(), now.clone());
            }
        }
        self.decide(&mut record, side);
        record.subject = self.subject(&before.subject, side);
        record.preferences =
            preferences_since(&before.preferences, &merged.preferences, &current.preferences, is_narrowed)?;
        let made_since = current.contacts.without(&merged.contacts);
        if !made_since.is_empty() {
            record.contacts = before.contacts.joined(&made_since, current.updated_at);
        }
        if current.requested != merged.requested {
            record.requested = latest(before.requested, current.requested);
        }
        if side == Side::Survivor {
            changed(&mut record.tc_string, &merged.tc_string, &current.tc_string);
            changed(&mut record.gpp_string, &merged.gpp_string, &current.gpp_string);
        }
        Ok(record)
    }

    /// The grounds. A permission that was given since is its owner's alone; a no is both's.
    fn decide(&self, record: &mut CustomerRecord, side: Side) {
        for (key @ (number, basis), Decided { changed, no }) in self.decided() {
            let purpose = self.catalogue.purpose(number).map(|purpose| &**purpose);
            let narrowed = no.map(|no| match record.grounds.get(&key) {
                Some(before) => of_both(before, no, basis, purpose),
                None => no.clone(),
            });
            let own = changed.filter(|(_, owner)| *owner == side).map(|(state, _)| state.clone());
            record.grounds.extend(own.or(narrowed).map(|state| (key, state)));
        }
    }

    /// What was decided since. What later merges, and their undoing, only stated again is no decision.
    fn decided(&self) -> BTreeMap<(PurposeNumber, LawfulBasis), Decided<'_>> {
        let mut decided: BTreeMap<_, Decided<'_>> = BTreeMap::new();
        let mut restated = 0;
        for entry in self.history {
            if let LedgerBody::Merged(of) | LedgerBody::Unmerged(of) = &entry.body {
                restated = of.restated;
                continue;
            }
            if restated > 0 {
                restated -= 1;
                continue;
            }
            let LedgerBody::Ground { purpose, basis, state, .. } = &entry.body else { continue };
            let key = (*purpose, *basis);
            let of = decided.entry(key).or_insert(Decided { changed: None, no: None });
            if !matches!(state.status, GroundStatus::Given | GroundStatus::Requested) {
                of.no = Some(state);
            }
            let is_present = self.current.grounds.get(&key) == Some(state);
            if is_present && self.archive.merged.grounds.get(&key) != Some(state) {
                of.changed = Some((state, self.alone.owner_of_decision(&entry.recorded_by.name)));
            }
        }
        decided
    }

    /// The data subject. What was stated since is the survivor's; a restriction, a hold and an opt-out are both's.
    fn subject(&self, before: &DataSubject, side: Side) -> DataSubject {
        let (merged, current) = (&self.archive.merged.subject, &self.current.subject);
        let mut subject = before.clone();
        if current == merged {
            return subject;
        }
        changed(&mut subject.sale_opt_out, &merged.sale_opt_out, &current.sale_opt_out);
        changed(&mut subject.do_not_sell, &merged.do_not_sell, &current.do_not_sell);
        changed(&mut subject.sensitive_limit, &merged.sensitive_limit, &current.sensitive_limit);
        if side == Side::Survivor || current.restriction.is_some() {
            changed(&mut subject.restriction, &merged.restriction, &current.restriction);
        }
        if side == Side::Survivor || current.legal_hold.is_some() {
            changed(&mut subject.legal_hold, &merged.legal_hold, &current.legal_hold);
        }
        if side == Side::Survivor {
            changed(&mut subject.regions, &merged.regions, &current.regions);
            changed(&mut subject.region_unknown, &merged.region_unknown, &current.region_unknown);
            changed(&mut subject.birth_date, &merged.birth_date, &current.birth_date);
        } else {
            // The younger age, and the rules of each place, are the stricter.
            let said = Some(current.birth_date).filter(|date| *date != merged.birth_date).flatten();
            subject.birth_date = subject.birth_date.max(said);
            let knew_none = subject.regions.is_empty();
            subject.regions.extend(current.regions.difference(&merged.regions).cloned());
            subject.region_unknown |= knew_none && !subject.regions.is_empty();
        }
        subject.updated_at = subject.updated_at.max(current.updated_at);
        subject
    }
}
