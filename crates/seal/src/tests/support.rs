//! Shared by the tests of sealing: a predictable random source, root key files, sample contexts.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::{BucketId, ClusterId, FileRootKey, RandomSource, SealContext, SealError, ShardKeyContext};
use custodia_profile::{CustomerId, KeyEpoch, PoolId, ShardId};
use data_encoding::HEXLOWER;

/// Returns 1, 2, 3 … so that fixtures are the same every time.
#[derive(Debug, Default)]
pub(super) struct CountingRandom(AtomicU8);

impl RandomSource for CountingRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), SealError> {
        for byte in bytes {
            *byte = self.0.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        }
        Ok(())
    }
}

/// A random source that has run dry.
#[derive(Debug)]
pub(super) struct NoRandom;

impl RandomSource for NoRandom {
    fn fill(&self, _bytes: &mut [u8]) -> Result<(), SealError> {
        Err(SealError::Random)
    }
}

pub(super) fn epoch(number: u32) -> KeyEpoch {
    KeyEpoch::new(number).unwrap()
}

pub(super) fn cluster() -> ClusterId {
    ClusterId::from_bytes([0xc1; 16])
}

pub(super) fn customer(number: u8) -> CustomerId {
    CustomerId::from_parts(1_700_000_000_000, [number; 10], PoolId::DEFAULT)
}

pub(super) fn shard() -> ShardKeyContext {
    ShardKeyContext { cluster: cluster(), shard: ShardId::new(7).unwrap() }
}

pub(super) const BUCKET: BucketId = BucketId::new(3);

pub(super) fn context(suffix: &[u8]) -> SealContext<'_> {
    SealContext { cluster: cluster(), customer: customer(1), kind: 1, suffix, revision: 5, guard: 2 }
}

/// A folder with a root key file in it.
#[derive(Debug)]
pub(super) struct RootFile {
    folder: tempfile::TempDir,
}

impl RootFile {
    pub(super) fn new(text: &str) -> Self {
        let file = Self { folder: tempfile::tempdir().unwrap() };
        file.write(text);
        file.set_mode(0o600);
        file
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("root.toml")
    }

    pub(super) fn write(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
    }

    pub(super) fn set_mode(&self, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(self.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(super) fn open(&self) -> Result<FileRootKey, SealError> {
        FileRootKey::open(&self.path())
    }
}

/// A root key file with keys of one repeated byte each: `("a", 0x11)`.
pub(super) fn root_text(current: &str, keys: &[(&str, u8)]) -> String {
    let mut text = format!("current = \"{current}\"\n");
    for (id, byte) in keys {
        let digits = HEXLOWER.encode(&[*byte; 32]);
        text.push_str(&format!("[[keys]]\nid = \"{id}\"\nkey = \"{digits}\"\n"));
    }
    text
}

/// The bytes of a fixture: hexadecimal digits, broken into lines.
pub(super) fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    HEXLOWER.decode(digits.as_bytes()).unwrap()
}
