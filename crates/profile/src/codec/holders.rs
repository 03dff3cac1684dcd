//! Owns the bytes of an entry of the index of identifiers.

use prost::Message;

use super::{Intact as _, Stored, frame, unframe};
use crate::{error::ProfileError, holders::Holders, id::CustomerId};

#[derive(Clone, PartialEq, Message)]
struct WireHolders {
    #[prost(bytes = "vec", repeated, tag = "1")]
    customers: Vec<Vec<u8>>,
}

const KIND: &str = "identifier";

impl Stored for Holders {
    fn encode(&self) -> Vec<u8> {
        let customers = self.customers().iter().map(|customer| customer.as_bytes().to_vec());
        frame(&WireHolders { customers: customers.collect() })
    }

    fn decode(bytes: &[u8]) -> Result<Self, ProfileError> {
        let wire: WireHolders = unframe(KIND, bytes)?;
        let customer = |bytes: Vec<u8>| {
            let bytes = <[u8; 16]>::try_from(bytes).ok().intact(KIND, "customer")?;
            CustomerId::from_bytes(bytes).intact(KIND, "customer")
        };
        let customers = wire.customers.into_iter().map(customer).collect::<Result<Vec<_>, _>>()?;
        if !customers.is_sorted_by(|one, next| one < next) {
            return Err(ProfileError::CorruptField { kind: KIND, field: "customer order" });
        }
        Self::from_customers(customers).intact(KIND, "customers")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::PoolId;

    fn customer() -> impl Strategy<Value = CustomerId> {
        any::<(u32, [u8; 10])>()
            .prop_map(|(ms, random)| CustomerId::from_parts(ms.into(), random, PoolId::default()))
    }

    proptest! {
        #[test]
        fn holders_read_back_and_change_one_at_a_time(
            customers in prop::collection::vec(customer(), 1..6), another in customer(),
        ) {
            let holders = Holders::from_customers(customers).unwrap();
            prop_assert_eq!(&Holders::decode(&holders.encode()).unwrap(), &holders);
            let with = holders.with(another);
            prop_assert!(with.contains(&another));
            prop_assert_eq!(with.without(&another), holders.without(&another));
        }

        #[test]
        fn garbage_is_an_error_or_reads_back_as_written(bytes: Vec<u8>) {
            if let Ok(holders) = Holders::decode(&bytes) {
                prop_assert_eq!(Holders::decode(&holders.encode()).unwrap(), holders);
            }
        }
    }

    #[test]
    fn the_format_is_pinned() {
        let customer = CustomerId::from_parts(1, [0; 10], PoolId::default());
        let bytes = Holders::of(customer).encode();
        let pinned = [&[2, 10, 16][..], customer.as_bytes()].concat();
        assert_eq!(bytes, pinned);
    }
}
