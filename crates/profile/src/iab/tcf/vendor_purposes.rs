//! Owns what a TC string says of one vendor. Always: the publisher's restrictions bind the vendor.

use super::{TcString, VendorRestriction};

/// What a TC string leaves one vendor. Which of the two bases the vendor may use for a purpose also depends on what it
/// registered in the global vendor list, which this store does not keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendorPurposes {
    /// Whether the vendor was shown; `None`: the string does not say, as strings of TCF 2.2 may not.
    pub disclosed: Option<bool>,
    /// The framework's purposes for which it may rely on consent.
    pub consent: Vec<u8>,
    /// The framework's purposes for which it may rely on legitimate interest.
    pub legitimate_interest: Vec<u8>,
}

impl TcString {
    /// What the string leaves a vendor: the purposes that the customer permits, with this vendor, without those that the
    /// publisher does not allow it, or allows it on the other basis alone; nothing if the vendor was not shown.
    ///
    /// Source: the specification's section "What are publisher restrictions?" and its field `RestrictionType`.
    #[must_use]
    pub fn vendor_purposes(&self, vendor: u16) -> VendorPurposes {
        let disclosed = self.vendors_disclosed.as_ref().map(|shown| shown.contains(vendor));
        let without = |purposes: &[u8], other_basis: VendorRestriction| -> Vec<u8> {
            let restricts = [VendorRestriction::NotAllowed, other_basis];
            let allowed = |purpose: &u8| {
                self.publisher_restrictions.iter().all(|one| {
                    one.purpose != *purpose
                        || !restricts.contains(&one.restriction)
                        || !one.vendors.contains(vendor)
                })
            };
            purposes.iter().copied().filter(allowed).collect()
        };
        let (mut consent, mut legitimate_interest) = (Vec::new(), Vec::new());
        if disclosed != Some(false) && self.vendors_consent.contains(vendor) {
            consent = without(&self.purposes_consent, VendorRestriction::RequireLegitimateInterest);
        }
        if disclosed != Some(false) && self.vendors_legitimate_interest.contains(vendor) {
            legitimate_interest =
                without(&self.purposes_legitimate_interest, VendorRestriction::RequireConsent);
        }
        VendorPurposes { disclosed, consent, legitimate_interest }
    }
}
