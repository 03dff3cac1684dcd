//! The source of nonces and new keys. It is a parameter, so that fixtures can be reproduced byte for byte.

use std::fmt;

use crate::error::SealError;

/// A source of unpredictable bytes.
pub trait RandomSource: Send + Sync + fmt::Debug {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// [`SealError::Random`] when the source fails; no key or nonce is made then.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), SealError>;
}

/// The cryptographic generator of aws-lc-rs, seeded by the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl RandomSource for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), SealError> {
        aws_lc_rs::rand::fill(bytes).map_err(|_unspecified| SealError::Random)
    }
}
