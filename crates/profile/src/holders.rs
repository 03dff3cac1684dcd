//! Owns an entry of the index of identifiers: the customers who claimed one. Always: each once, in ascending order, one at
//! least.
//!
//! An entry only points: whether a customer holds the identifier, its record says (docs/identity.md).

use crate::id::CustomerId;

/// The customers who claimed an identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holders(Vec<CustomerId>);

impl Holders {
    /// One holder.
    #[must_use]
    pub fn of(customer: CustomerId) -> Self {
        Self(vec![customer])
    }

    /// These holders; none if there are none.
    #[must_use]
    pub fn from_customers(mut customers: Vec<CustomerId>) -> Option<Self> {
        customers.sort_unstable();
        customers.dedup();
        (!customers.is_empty()).then_some(Self(customers))
    }

    /// All of them.
    #[must_use]
    pub fn customers(&self) -> &[CustomerId] {
        &self.0
    }

    /// Whether the customer is one of them.
    #[must_use]
    pub fn contains(&self, customer: &CustomerId) -> bool {
        self.0.binary_search(customer).is_ok()
    }

    /// With one more.
    #[must_use]
    pub fn with(&self, customer: CustomerId) -> Self {
        let mut holders = self.0.clone();
        if let Err(at) = holders.binary_search(&customer) {
            holders.insert(at, customer);
        }
        Self(holders)
    }

    /// Without one; none if it was the last.
    #[must_use]
    pub fn without(&self, customer: &CustomerId) -> Option<Self> {
        Self::from_customers(self.0.iter().copied().filter(|holder| holder != customer).collect())
    }
}
