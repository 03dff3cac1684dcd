//! Owns the levels of the key tree and their numbers on disk.

use std::fmt;

use custodia_profile::numbered;

numbered! {
    /// A level of the key tree below the root.
    pub enum KeyLevel {
        /// Wrapped by a root key.
        Shard = 1 => "shard",
        /// Wrapped by a shard key.
        Bucket = 2 => "bucket",
        /// Wrapped by a bucket key.
        Customer = 3 => "customer",
        /// Blinds identifiers; wrapped by a root key.
        Blinding = 4 => "blinding",
    }
}

impl fmt::Display for KeyLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
