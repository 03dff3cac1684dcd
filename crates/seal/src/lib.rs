//! Sealing: the key tree and authenticated encryption of every value at rest.
