//! Owns what the law needs to know about a data subject besides its decisions: where it lives, its age, whether its
//! data is restricted or held. Always: at most eight regions are stated, though a merge can combine more; redacted in
//! `Debug`.

use std::{collections::BTreeSet, fmt, sync::Arc};

use crate::{
    catalogue::{Catalogue, Jurisdiction},
    id::{DAY_MS, Region, TimestampMs},
    label::Reference,
    value::Date,
};

/// The data may be stored, and nothing else (GDPR Art. 18).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restriction {
    /// Why.
    pub reason: Reference,
    /// Since when.
    pub since: TimestampMs,
}

/// The data is kept unchanged for a legal claim, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegalHold {
    /// The matter.
    pub reference: Reference,
    /// Since when.
    pub since: TimestampMs,
}

/// What is known about a data subject. Nothing by default.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct DataSubject {
    /// Where the customer lives. None: the rules of the catalogue's default jurisdiction. Several: the rules of each.
    pub regions: BTreeSet<Region>,
    /// Besides `regions` the customer may live anywhere, so the default jurisdiction's rules apply too. That is so
    /// after a merge of two records of which one has no region.
    pub region_unknown: bool,
    /// None: an adult as far as is known.
    pub birth_date: Option<Date>,
    /// Set: restricted.
    pub restriction: Option<Restriction>,
    /// Set: held.
    pub legal_hold: Option<LegalHold>,
    /// When a signal last opted out of sale and sharing, whatever the purposes were then; none: never. It counts in
    /// jurisdictions that honour Global Privacy Control, until the customer's own later consent to a purpose.
    pub sale_opt_out: Option<TimestampMs>,
    /// When the customer last opted out of sale and sharing, whatever the purposes were then; none: never. It counts
    /// everywhere, until the customer's own later consent to a purpose.
    pub do_not_sell: Option<TimestampMs>,
    /// When the customer last limited the use of sensitive data; none: never. It counts until the customer's own later
    /// consent to a purpose.
    pub sensitive_limit: Option<TimestampMs>,
    /// When any of this changed last; none: never.
    pub updated_at: Option<TimestampMs>,
}

impl DataSubject {
    /// When the customer last opted out of sale and sharing as far as a jurisdiction counts it.
    pub(crate) fn sale_opted_out(&self, jurisdiction: &Jurisdiction) -> Option<TimestampMs> {
        self.do_not_sell.max(self.sale_opt_out.filter(|_| jurisdiction.honours_gpc))
    }

    /// Whether nothing is known, and nothing ever was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The jurisdictions whose rules apply, by region; the default one last, if it is among them. If two regions belong
    /// to one jurisdiction, it comes twice.
    pub fn jurisdictions<'a>(&self, catalogue: &'a Catalogue) -> impl Iterator<Item = &'a Arc<Jurisdiction>> {
        self.places(catalogue).map(|(_, jurisdiction)| jurisdiction)
    }

    /// The regions with their jurisdictions, in the order of [`DataSubject::jurisdictions`].
    pub(crate) fn places<'a>(
        &self,
        catalogue: &'a Catalogue,
    ) -> impl Iterator<Item = (Option<&Region>, &'a Arc<Jurisdiction>)> {
        let anywhere = (self.regions.is_empty() || self.region_unknown).then_some(None);
        let regions = self.regions.iter().map(Some).chain(anywhere);
        regions.map(|region| (region, catalogue.jurisdiction_of(region)))
    }

    /// The age in full years on the day, in UTC, of a moment; none if no birth date is known.
    ///
    /// The years are those of the calendar. Someone born on 29 February completes a year of life, in a year without
    /// that day, at the end of 28 February, and so is a year older on 1 March (German Civil Code §§ 187(2), 188(2)
    /// and (3)). Some countries say 28 February; 1 March is the stricter.
    #[must_use]
    pub fn age_at(&self, moment: TimestampMs) -> Option<u16> {
        let (birth_year, birth_month, birth_day) = self.birth_date?.year_month_day();
        let (year, month, day) = day_of(moment)?.year_month_day();
        let had_birthday = (month, day) >= (birth_month, birth_day);
        let years = year - birth_year - i16::from(!had_birthday);
        Some(u16::try_from(years).unwrap_or(0))
    }

    /// Whether the data subject is younger at a moment than `years`. Without a birth date it is not.
    #[must_use]
    pub fn is_below(&self, years: u8, moment: TimestampMs) -> bool {
        self.age_at(moment).is_some_and(|age| age < u16::from(years))
    }
}

impl fmt::Debug for DataSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataSubject").field("regions", &self.regions.len()).finish_non_exhaustive()
    }
}

/// The day, in UTC, of a moment; none outside the years 1 to 9999.
pub(crate) fn day_of(moment: TimestampMs) -> Option<Date> {
    let days = i32::try_from(moment.as_ms().div_euclid(DAY_MS)).ok()?;
    Date::from_days(days).ok()
}
