//! An identifier as the index knows it, and by which key.

use custodia_profile::{BlindedIdentifier, Identifier, KeyEpoch};
use custodia_seal::BlindingKey;

/// A blinded identifier. Its entry is another one under each key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Blinded {
    pub(crate) identifier: BlindedIdentifier,
    /// Of the key.
    pub(crate) epoch: KeyEpoch,
}

impl Blinded {
    /// An identifier under a key.
    pub(crate) fn by(key: &BlindingKey, identifier: &Identifier) -> Self {
        let blinded = key.blind(identifier.namespace.as_str(), identifier.value.as_str());
        Self { identifier: blinded, epoch: key.epoch() }
    }
}
