//! Owns the jurisdictions whose rules a decision applies. Always: at least one, each once, in the order of the
//! regions; a customer in a single jurisdiction costs no allocation.

use std::iter::once;

use crate::{
    catalogue::{Catalogue, Jurisdiction},
    data_subject::DataSubject,
    id::Region,
};

/// A jurisdiction, with what depends on where in it the customer lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Applied<'a> {
    pub(crate) jurisdiction: &'a Jurisdiction,
    /// In years: below it, a guardian must consent. Of several regions, the highest.
    pub(crate) guardian_below_age: u8,
    /// In years: below it, a guardian may consent. Of several regions, the lowest.
    pub(crate) guardian_entitled_below_age: u8,
}

impl<'a> Applied<'a> {
    fn in_region(region: Option<&Region>, catalogue: &'a Catalogue) -> Self {
        let jurisdiction = catalogue.jurisdiction_of(region);
        Self {
            jurisdiction,
            guardian_below_age: jurisdiction.guardian_below_age_in(region),
            guardian_entitled_below_age: catalogue.guardian_entitled_below_age_in(region),
        }
    }

    /// Another region of the same jurisdiction: each law must permit.
    fn also(&mut self, next: Self) {
        self.guardian_below_age = self.guardian_below_age.max(next.guardian_below_age);
        self.guardian_entitled_below_age =
            self.guardian_entitled_below_age.min(next.guardian_entitled_below_age);
    }

    fn is_of(&self, other: &Self) -> bool {
        self.jurisdiction.id == other.jurisdiction.id
    }
}

/// The jurisdictions of a customer.
#[derive(Debug, Clone)]
pub(crate) struct Jurisdictions<'a> {
    first: Applied<'a>,
    others: Vec<Applied<'a>>,
}

impl<'a> Jurisdictions<'a> {
    pub(crate) fn of(subject: &DataSubject, catalogue: &'a Catalogue) -> Self {
        let mut all = subject.places(catalogue).map(|(region, _)| Applied::in_region(region, catalogue));
        let elsewhere = || Applied::in_region(None, catalogue);
        let mut found = Self { first: all.next().unwrap_or_else(elsewhere), others: Vec::new() };
        for next in all {
            let mut known = once(&mut found.first).chain(&mut found.others);
            match known.find(|known| known.is_of(&next)) {
                Some(known) => known.also(next),
                None => found.others.push(next),
            }
        }
        found
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Applied<'a>> + '_ {
        once(self.first).chain(self.others.iter().copied())
    }
}
