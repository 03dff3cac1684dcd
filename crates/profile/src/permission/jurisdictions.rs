//! Owns the jurisdictions whose rules a decision applies. Always: at least one, each once, in the order of the
//! regions; a customer in a single jurisdiction costs no allocation.

use std::iter::once;

use crate::{
    catalogue::{Catalogue, Jurisdiction},
    data_subject::DataSubject,
    id::Region,
};

/// In years: Convention on the Rights of the Child, Art. 1.
const CHILD_BELOW_AGE: u8 = 18;

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
    fn in_region(region: Option<&Region>, jurisdiction: &'a Jurisdiction) -> Self {
        let years = jurisdiction.guardian_below_age_in(region);
        // Where no law is known, a guardian consents for a child, however high the age is from which the customer's own
        // consent is enough.
        let entitled = if jurisdiction.is_default() { years.min(CHILD_BELOW_AGE) } else { years };
        Self { jurisdiction, guardian_below_age: years, guardian_entitled_below_age: entitled }
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
        let mut all =
            subject.places(catalogue).map(|(region, jurisdiction)| Applied::in_region(region, jurisdiction));
        let elsewhere = || Applied::in_region(None, catalogue.jurisdiction_of(None));
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
