//! Owns a customer's place in the index of blocking keys. Always: each key once, in ascending order; all of it blinded.

/// The number of values that tell the records of an over-full block apart.
pub const BLOCK_REFINEMENTS: usize = 5;

/// The blinded blocking keys under which a customer is in the index, and the blinded values that refine an over-full block.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockingSet {
    keys: Vec<u64>,
    refinements: [u32; BLOCK_REFINEMENTS],
}

impl BlockingSet {
    /// These keys, each once.
    #[must_use]
    pub fn new(mut keys: Vec<u64>, refinements: [u32; BLOCK_REFINEMENTS]) -> Self {
        keys.sort_unstable();
        keys.dedup();
        Self { keys, refinements }
    }

    /// The keys, in ascending order.
    #[must_use]
    pub fn keys(&self) -> &[u64] {
        &self.keys
    }

    /// The values that refine an over-full block; 0 for one that the record lacks.
    #[must_use]
    pub const fn refinements(&self) -> &[u32; BLOCK_REFINEMENTS] {
        &self.refinements
    }

    /// Whether the customer is in no block.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}
