//! Two customers who prove to be one person (ID-4): what becomes of their records, and how it is undone.
//!
//! ```text
//!   survivor S ‖ other L ──merge_profiles──▶ S' = both ‖ L keeps what it was, and an archive: S, S'
//!   S' with what came since ‖ L, archive ──unmerge_profiles──▶ S ‖ L, each with what came since from its sources
//! ```

mod law;
mod preferences;
mod profiles;
mod unmerge;

pub use law::merge_law;
pub use profiles::{AttributeChoice, MergedProfile, Survivorship, SurvivorshipRules, merge_profiles};
pub use unmerge::{OtherAlone, UnmergedProfiles, unmerge_profiles};

use crate::{
    catalogue::Catalogue,
    chain::ChangeContext,
    error::ProfileError,
    ledger::{LedgerBody, LedgerEntry},
    record::CustomerRecord,
};

/// Takes the current value if it is another than after the merge.
fn changed<T: Clone + PartialEq>(before: &mut T, merged: &T, current: &T) {
    if merged != current {
        before.clone_from(current);
    }
}

/// Appends that the law begins anew, and all that it rests on from now on. The consent revision ends above `above`.
///
/// # Errors
/// `Unknown` for a purpose that the catalogue lacks.
fn append_law(
    record: &mut CustomerRecord,
    (begins, above): (impl FnOnce(u64) -> LedgerBody, u64),
    catalogue: &Catalogue,
    context: ChangeContext<'_>,
) -> Result<Vec<LedgerEntry>, ProfileError> {
    let mut bodies = Vec::new();
    for ((number, basis), state) in &record.grounds {
        let purpose = catalogue.purpose(*number).ok_or(ProfileError::Unknown { field: "purpose" })?;
        let (purpose, purpose_id) = (*number, purpose.id.clone());
        bodies.push(LedgerBody::Ground { purpose, purpose_id, basis: *basis, state: state.clone() });
    }
    if !record.subject.is_empty() {
        bodies.push(LedgerBody::Subject(record.subject.clone()));
    }
    bodies.extend(record.tc_string.clone().map(LedgerBody::TcString));
    bodies.extend(record.gpp_string.clone().map(LedgerBody::GppString));
    bodies.insert(0, begins(u64::try_from(bodies.len()).unwrap_or(u64::MAX)));
    record.revision_ahead += above.saturating_sub(record.consent_revision());
    Ok(bodies.into_iter().map(|body| record.append_ledger(body, context)).collect())
}
