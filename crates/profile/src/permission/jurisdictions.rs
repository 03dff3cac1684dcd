//! Owns the jurisdictions whose rules a decision applies. Always: at least one, each once, in the order of the
//! regions; a customer in a single jurisdiction costs no allocation.

use std::{iter::once, sync::Arc};

use crate::{
    catalogue::{Catalogue, Jurisdiction},
    data_subject::DataSubject,
};

/// The jurisdictions of a customer.
#[derive(Debug, Clone)]
pub(crate) struct Jurisdictions<'a> {
    first: &'a Arc<Jurisdiction>,
    others: Vec<&'a Arc<Jurisdiction>>,
}

impl<'a> Jurisdictions<'a> {
    pub(crate) fn of(subject: &DataSubject, catalogue: &'a Catalogue) -> Self {
        let mut all = subject.jurisdictions(catalogue);
        let first = all.next().unwrap_or_else(|| catalogue.jurisdiction_of(None));
        let mut found = Self { first, others: Vec::new() };
        for next in all {
            if found.iter().all(|other| other.id != next.id) {
                found.others.push(next);
            }
        }
        found
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a Jurisdiction> + '_ {
        once(self.first).chain(self.others.iter().copied()).map(|jurisdiction| &**jurisdiction)
    }
}
