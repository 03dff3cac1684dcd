//! Owns the set of jurisdictions. Always: it contains the built-in ones, and each region belongs to at most one, so
//! that one law applies to a region.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Arc, LazyLock},
};

use super::{built_in, jurisdiction::Jurisdiction};
use crate::{
    error::ProfileError,
    id::{JurisdictionId, Region},
    limits::JURISDICTIONS_MAX,
};

/// All jurisdictions. Cloning shares the entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Jurisdictions {
    by_id: BTreeMap<JurisdictionId, Arc<Jurisdiction>>,
    by_region: BTreeMap<Region, Arc<Jurisdiction>>,
    elsewhere: Arc<Jurisdiction>,
}

impl Jurisdictions {
    /// The built-in ones.
    pub(super) fn of_this_release() -> Self {
        static BUILT_IN: LazyLock<Jurisdictions> = LazyLock::new(|| {
            let elsewhere = Arc::new(built_in::default_jurisdiction());
            let of_regions = built_in::with_regions().map(Arc::new);
            let by_id: BTreeMap<_, _> = of_regions
                .chain([elsewhere.clone()])
                .map(|jurisdiction| (jurisdiction.id.clone(), jurisdiction))
                .collect();
            let of = |jurisdiction: &Arc<Jurisdiction>| {
                let jurisdiction = jurisdiction.clone();
                jurisdiction.regions.clone().into_iter().map(move |region| (region, jurisdiction.clone()))
            };
            Jurisdictions { by_region: by_id.values().flat_map(of).collect(), by_id, elsewhere }
        });
        BUILT_IN.clone()
    }

    pub(super) fn get(&self, id: &str) -> Option<&Arc<Jurisdiction>> {
        self.by_id.get(id)
    }

    /// Every jurisdiction, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Jurisdiction>> {
        self.by_id.values()
    }

    /// The one that applies in a region.
    pub(super) fn of(&self, region: Option<&Region>) -> &Arc<Jurisdiction> {
        let found = region.and_then(|region| {
            self.by_region.get(region.as_str()).or_else(|| self.by_region.get(region.country()))
        });
        found.unwrap_or(&self.elsewhere)
    }

    /// Adds or replaces several at once, all or none: only the final assignment of regions must be valid.
    pub(super) fn put(&mut self, changed: Vec<Arc<Jurisdiction>>) -> Result<(), ProfileError> {
        let mut next = self.clone();
        for jurisdiction in changed {
            if jurisdiction.is_default() {
                next.elsewhere = jurisdiction.clone();
            }
            next.by_id.insert(jurisdiction.id.clone(), jurisdiction);
        }
        if next.by_id.len() > JURISDICTIONS_MAX {
            return Err(ProfileError::TooMany { field: "jurisdictions", count_max: JURISDICTIONS_MAX });
        }
        next.by_region.clear();
        for jurisdiction in next.by_id.values() {
            for region in &jurisdiction.regions {
                match next.by_region.entry(region.clone()) {
                    Entry::Vacant(vacant) => vacant.insert(jurisdiction.clone()),
                    Entry::Occupied(_) => {
                        return Err(ProfileError::Duplicate { field: "jurisdiction.regions" });
                    }
                };
            }
        }
        *self = next;
        Ok(())
    }
}
