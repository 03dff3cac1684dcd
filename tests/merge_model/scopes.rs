//! The scopes that are checked: what is there at first, who does what, and what must be possible in it.
//!
//! Where X is claimed in the name of L, it comes from L's source.

use stateright::Property;

use crate::lookup::Lookup;
use crate::merge::{Action, Merge};
use crate::model::{Merges, Scope, State};
use crate::process::Frame;
use crate::state::{Committed, Customer, Customers, Entry, MergeId, Names, Profile, Record};
use crate::write::{Change, Write};

use Customer::{L, S, T};

const NEW: Record = Record {
    revision: 1,
    profile: Profile { x: None, notes: Customers::NONE, ledger: 0 },
    lists: [None; 2],
    names: None,
};
const WITH_X: Profile = Profile { x: Some(L), ..NEW.profile };

const fn entry(pointer: Customer) -> Entry {
    Entry { revision: 1, pointers: Customers::of(pointer) }
}

/// Three customers, of whom L has X.
const L_HAS_X: Committed = Committed {
    records: [Record { profile: WITH_X, ..NEW }, NEW, NEW],
    entry: entry(L),
    acknowledged: Customers::NONE,
};
/// L claimed X and died; nobody has it.
const L_CLAIMED_X: Committed = Committed { records: [NEW; 3], ..L_HAS_X };
const MERGE: MergeId = MergeId { survivor: S, other: L, ledger: 0 };
const NAMES: Names = Names { merge: MERGE, survivor_revision: 1, before: NEW.profile, restored: None };
/// L was merged into S, with X.
const MERGED: Committed = Committed {
    records: [
        Record { revision: 2, profile: WITH_X, names: Some(NAMES), ..NEW },
        Record { revision: 2, profile: Profile { ledger: 1, ..WITH_X }, lists: [Some(MERGE), None], ..NEW },
        NEW,
    ],
    ..L_HAS_X
};
/// The same, but that neither had X. L had claimed it before.
const MERGED_WITHOUT_X: Committed = Committed {
    records: [
        Record { profile: NEW.profile, ..MERGED.records[0] },
        Record { profile: Profile { ledger: 1, ..NEW.profile }, ..MERGED.records[1] },
        NEW,
    ],
    ..L_HAS_X
};

/// After the merge S gained X from L's source.
const S_GAINED_X: Committed =
    Committed { records: [MERGED_WITHOUT_X.records[0], MERGED.records[1], NEW], entry: entry(S), ..L_HAS_X };
const MERGE_T: MergeId = MergeId { survivor: T, other: S, ledger: 1 };
/// L was merged into S, and S into T.
const CHAIN: Committed = Committed {
    records: [
        MERGED.records[0],
        Record {
            revision: 3,
            names: Some(Names { merge: MERGE_T, survivor_revision: 1, before: NEW.profile, restored: None }),
            ..MERGED.records[1]
        },
        Record { revision: 2, profile: Profile { ledger: 1, ..WITH_X }, lists: [Some(MERGE_T), None], ..NEW },
    ],
    ..L_HAS_X
};

const MERGE_BOTH: Frame = Merge::begin(Action::Merge, S, L);
const MERGE_OPPOSITE: Frame = Merge::begin(Action::Merge, L, S);
const MERGE_S_INTO_T: Frame = Merge::begin(Action::Merge, T, S);
const UNDO: Frame = Merge::begin(Action::Undo, S, L);
const UNDO_S_INTO_T: Frame = Merge::begin(Action::Undo, T, S);
const NOTE_L: Frame = Write::begin(L, Change::Note);
const NOTE_S: Frame = Write::begin(S, Change::Note);
const CLAIM_L: Frame = Write::begin(L, Change::ClaimX);
const CLAIM_S: Frame = Write::begin(S, Change::ClaimX);
const CLAIM_T: Frame = Write::begin(T, Change::ClaimX);
const RELEASE_L: Frame = Write::begin(L, Change::ReleaseX);
const RELEASE_S: Frame = Write::begin(S, Change::ReleaseX);
const LOOKUP: Frame = Lookup::begin();

const fn scope(begin: Committed, processes: &'static [Frame], goals: fn() -> Vec<Property<Merges>>) -> Scope {
    Scope { begin, processes, tries_max: 3, descending: false, goals }
}

/// The scope with one try less: with three there are ten times as many states and more.
const fn two_tries(scope: Scope) -> Scope {
    Scope { tries_max: 2, ..scope }
}

/// The scope with the ids in the opposite order.
pub(crate) const fn descending(scope: Scope) -> Scope {
    Scope { descending: true, ..scope }
}

/// S and L are merged twice at once, while L is written.
pub(crate) const MERGE_TWICE: Scope = scope(L_HAS_X, &[MERGE_BOTH, MERGE_BOTH, NOTE_L], is_merged);
/// Both are written.
pub(crate) const MERGE_AND_NOTES: Scope = scope(L_HAS_X, &[MERGE_BOTH, NOTE_L, NOTE_S], is_merged);
/// T claims X.
pub(crate) const MERGE_AND_CLAIM: Scope = scope(L_HAS_X, &[MERGE_BOTH, CLAIM_T, LOOKUP], is_merged);
/// L releases X, which T claims.
pub(crate) const MERGE_AND_RELEASE: Scope =
    scope(L_HAS_X, &[MERGE_BOTH, RELEASE_L, CLAIM_T], is_merged_and_t_gains_x);
/// S and L are merged in both directions.
pub(crate) const OPPOSITE: Scope = scope(L_HAS_X, &[MERGE_BOTH, MERGE_OPPOSITE, NOTE_L], is_merged);
/// S and L are merged, and that is undone; S claims X meanwhile.
pub(crate) const MERGE_AND_UNDO: Scope = scope(L_HAS_X, &[MERGE_BOTH, UNDO, CLAIM_S], is_undone);
/// L claimed X before, and does not have it. S and T claim it.
pub(crate) const OLD_CLAIM: Scope =
    two_tries(scope(L_CLAIMED_X, &[MERGE_BOTH, CLAIM_S, CLAIM_T], is_merged_and_t_gains_x));
/// A merge is undone; T claims X.
pub(crate) const UNDO_AND_CLAIM: Scope = scope(MERGED, &[UNDO, CLAIM_T, LOOKUP], is_undone);
/// It is undone twice at once; S releases X, which T claims.
pub(crate) const UNDO_TWICE: Scope =
    scope(MERGED, &[UNDO, UNDO, RELEASE_S, CLAIM_T], is_undone_and_t_gains_x);
/// It is undone, and both are merged again; L is written.
pub(crate) const UNDO_AND_MERGE: Scope = scope(MERGED, &[UNDO, NOTE_L, MERGE_BOTH], is_undone);
/// It is undone; X, which nobody has, is claimed for L and by T.
pub(crate) const UNDO_AND_CLAIMS: Scope =
    two_tries(scope(MERGED_WITHOUT_X, &[UNDO, CLAIM_L, CLAIM_T], is_undone_and_t_gains_x));
/// It is undone, so that L gets X, which only S had claimed; T claims it.
pub(crate) const UNDO_GIVES_X: Scope = scope(S_GAINED_X, &[UNDO, CLAIM_T, LOOKUP], is_undone);
/// It is undone while S is merged into T; X is released.
pub(crate) const UNDO_AND_CHAIN: Scope =
    two_tries(scope(MERGED, &[UNDO, MERGE_S_INTO_T, RELEASE_L], is_undone));
/// Both merges of a chain are undone; L is written.
pub(crate) const UNDO_CHAIN: Scope = scope(CHAIN, &[UNDO_S_INTO_T, UNDO, NOTE_L], is_undone);

fn is_merged() -> Vec<Property<Merges>> {
    vec![
        Property::sometimes("S and L are one", |_, state: &State| state.committed.end(L) == Some(S)),
        Property::sometimes("a merge is begun and not in force", |_, state: &State| {
            state.committed.record(L).names.is_some() && state.committed.end(L) == Some(L)
        }),
    ]
}

fn is_undone() -> Vec<Property<Merges>> {
    vec![Property::sometimes("S and L are two again", |_, state: &State| {
        state.committed.live(L).ledger > 0 && state.committed.end(L) == Some(L)
    })]
}

fn t_gains_x() -> Property<Merges> {
    Property::sometimes("T gains X", |_, state: &State| state.committed.holders().contains(T))
}

fn is_merged_and_t_gains_x() -> Vec<Property<Merges>> {
    is_merged().into_iter().chain([t_gains_x()]).collect()
}

fn is_undone_and_t_gains_x() -> Vec<Property<Merges>> {
    is_undone().into_iter().chain([t_gains_x()]).collect()
}
