//! Owns the residency pool: which country's nodes may hold a customer. Always: six bits, 0 is the default pool.

use super::number_id;

number_id! {
    /// A residency pool.
    #[derive(Default)]
    pub struct PoolId(u8), as_u8, 0..=PoolId::MAX, "pool": "at most 63"
}

impl PoolId {
    /// The default pool.
    pub const DEFAULT: Self = Self(0);
    /// The largest pool.
    pub const MAX: u8 = 0x3f;
}
