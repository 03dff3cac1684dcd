//! A value of a customer, opened.

use custodia_store::ValueHeader;
use zeroize::Zeroizing;

/// A customer's value in the clear. Not printed.
pub(crate) struct Opened {
    /// The clear header: revisions, bucket.
    pub(crate) header: ValueHeader,
    /// What was sealed. Zeroized when dropped.
    pub(crate) plaintext: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("header", &self.header).finish_non_exhaustive()
    }
}
