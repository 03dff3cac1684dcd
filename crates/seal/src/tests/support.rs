//! What the tests of sealing share: a predictable random source, root key files, sample places.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::{BucketId, ClusterId, FileRootKey, RandomSource, SealContext, SealError, ShardPlace};
use custodia_profile::{CustomerId, KeyEpoch, PoolId, ShardId};

/// Gives 1, 2, 3 … so that fixtures come out the same every time.
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

pub(super) fn shard() -> ShardPlace {
    ShardPlace { cluster: cluster(), shard: ShardId::new(7).unwrap() }
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
        text.push_str(&format!("[[keys]]\nid = \"{id}\"\nkey = \"{}\"\n", format!("{byte:02x}").repeat(32)));
    }
    text
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
