//! The key of one bucket of customers in one epoch. It wraps customer keys.

use crate::customer_key::CustomerKey;
use crate::key_context::CustomerKeyContext;
use crate::key_level::KeyLevel;
use crate::tree_key::{tree_key, wraps_children};

tree_key! {
    /// A bucket key in the clear.
    BucketKey
}

wraps_children!(BucketKey, CustomerKey in CustomerKeyContext at KeyLevel::Customer);
