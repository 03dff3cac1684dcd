//! Owns withdrawals and objections (GDPR Arts. 7(3) and 21), of one ground or of all. Always: they count from now on,
//! whatever the clocks of earlier decisions said.

use super::{DecisionEffect, Recorded, finish, live_moment, settle};
use crate::{
    catalogue::{Catalogue, Purpose, PurposeFields},
    chain::ChangeContext,
    error::ProfileError,
    ground::{GroundState, GroundStatus, LawfulBasis},
    id::PurposeNumber,
    label::Channel,
    ledger::LedgerEntry,
    record::CustomerRecord,
};

/// A withdrawal, or an objection if the basis is public task or legitimate interests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// The purpose.
    pub purpose: PurposeNumber,
    /// The basis.
    pub basis: LawfulBasis,
    /// Through which channel it came.
    pub channel: Option<Channel>,
}

/// Records a withdrawal or an objection.
///
/// # Errors
/// `Unknown` if the catalogue has no such purpose.
pub fn withdraw(
    record: &CustomerRecord,
    withdrawal: &Withdrawal,
    catalogue: &Catalogue,
    context: ChangeContext<'_>,
) -> Result<Recorded, ProfileError> {
    let Withdrawal { purpose, basis, channel } = withdrawal;
    let purpose = catalogue.purpose(*purpose).ok_or(ProfileError::Unknown { field: "purpose" })?;
    let mut record = record.clone();
    // A second withdrawal counts as of now, as any no that is said again.
    let (effect, ledger) = end(&mut record, (purpose, catalogue), *basis, channel.as_ref(), context);
    finish(record, effect, ledger.into_iter().collect(), purpose.number, *basis)
}

/// The record after a withdrawal from everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllWithdrawn {
    /// The record; the same as before if nothing changed.
    pub record: CustomerRecord,
    /// The entries to append to the ledger: one for each ground that changed.
    pub ledger: Vec<LedgerEntry>,
    /// Every no that now stands, by the purpose's name, then by basis.
    pub states: Vec<(PurposeNumber, LawfulBasis, GroundState)>,
}

/// Withdraws every consent and objects to every use that yields to an objection: "unsubscribe from everything".
///
/// For each purpose of the catalogue, including those no longer in use, since they may return:
///
/// - consent is withdrawn (GDPR Art. 7(3)) if it is recorded or any jurisdiction allows it for the purpose. So
///   opt-out law, which takes silence for consent, permits nothing either (Cal. Civ. Code §1798.120(a));
/// - an objection to public task and to legitimate interests is recorded (GDPR Art. 21(1)) under the same condition,
///   even if nothing was recorded before: then neither a standing basis nor one that is recorded later permits the
///   purpose. For direct marketing an objection is recorded in any case, needs no reasons and beats every basis (Art.
///   21(2) and (3)); a no to sale and sharing is, and does, too. No objection here is weighed against the controller's
///   grounds;
/// - contract, legal obligation and vital interests of all other purposes stay: they do not yield to the customer.
///
/// An earlier no is recorded again with the new date: a consent that was given in between and is recorded late must not
/// count as the newer decision. The customer's own later consent to a purpose permits it again, as after any
/// objection. Purposes that are created later are not covered.
#[must_use]
pub fn withdraw_all(
    record: &CustomerRecord,
    channel: Option<&Channel>,
    catalogue: &Catalogue,
    context: ChangeContext<'_>,
) -> AllWithdrawn {
    let mut all = AllWithdrawn { record: record.clone(), ledger: Vec::new(), states: Vec::new() };
    let yielding = LawfulBasis::ALL.into_iter().filter(|basis| basis.yields_to_the_customer());
    for purpose in catalogue.purposes() {
        for basis in yielding.clone() {
            let stored = all.record.ground(purpose.number, basis);
            if stored.is_none() && !purpose.has_basis(basis) && !ends_every_basis(purpose, basis) {
                continue;
            }
            if !stored.is_some_and(|state| state.is_no() && state.decided_at >= context.now) {
                let (_, entry) = end(&mut all.record, (purpose, catalogue), basis, channel, context);
                all.ledger.extend(entry);
            }
            let state = all.record.ground(purpose.number, basis).cloned();
            all.states.extend(state.map(|state| (purpose.number, basis, state)));
        }
    }
    all
}

/// Whether a no to the basis ends the purpose, even if it rests on others: an objection ends direct marketing, a refusal
/// sale and sharing.
const fn ends_every_basis(purpose: &PurposeFields, basis: LawfulBasis) -> bool {
    match basis {
        LawfulBasis::Consent => purpose.sale_or_sharing,
        LawfulBasis::LegitimateInterests => purpose.direct_marketing,
        LawfulBasis::Contract
        | LawfulBasis::LegalObligation
        | LawfulBasis::VitalInterests
        | LawfulBasis::PublicTask => false,
    }
}

/// Withdraws one ground now, not before the newest decision on the purpose.
fn end(
    record: &mut CustomerRecord,
    of @ (purpose, _): (&Purpose, &Catalogue),
    basis: LawfulBasis,
    channel: Option<&Channel>,
    context: ChangeContext<'_>,
) -> (DecisionEffect, Option<LedgerEntry>) {
    let now = context.now;
    let decided_at = live_moment(record, of, now);
    let stored = record.ground(purpose.number, basis).cloned();
    // What was given stays: the notice, the method, the contract. How and by whom it was given is the ledger's earlier
    // entry: it says nothing about the withdrawal.
    let (notice, method, reference) =
        stored.map_or((None, None, None), |stored| (stored.notice, stored.method, stored.reference));
    let bare = GroundState::bare(GroundStatus::Withdrawn, decided_at, now);
    let state = GroundState { notice, method, reference, channel: channel.cloned(), ..bare };
    settle(record, purpose, basis, state, context)
}
