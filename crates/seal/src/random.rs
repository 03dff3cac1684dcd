//! Where nonces and fresh keys come from: a parameter, so that fixtures can be made again byte for byte.

use std::fmt;

use crate::SealError;

/// A source of bytes that nobody can predict.
pub trait RandomSource: Send + Sync + fmt::Debug {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// [`SealError::Random`] when the source gives nothing; no key or nonce is made then.
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
