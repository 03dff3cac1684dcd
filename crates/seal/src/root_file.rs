//! Root keys in a file that only its owner may access: for development, and for clusters without a key service.
//!
//! ```toml
//! current = "2026-11"          # wraps new shard keys
//!
//! [[keys]]                     # 1 to 32; older ones stay until they wrap nothing
//! id = "2026-11"
//! key = "<64 hexadecimal digits>"
//! ```
//!
//! Payload of a wrapped shard key:
//!
//! ```text
//! offset  bytes  field
//! 0       8      fingerprint: first 8 bytes of HMAC-SHA-256(root key, "custodia root key fingerprint 1")
//! 8       60     box of the 32 key bytes (cipher.rs)
//! ```
//!
//! The fingerprint tells a wrong key of the right name (an operator's mistake, one clear error) from altered bytes (an
//! alarm). It reveals nothing about a random key.
//!
//! Rotating the root key without downtime: 1. add the new key to the file of every node, leave `current`, and reload; 2. set
//! `current` on every node and reload; 3. have every shard rewrap its keys; 4. when the old key wraps no shard key any more,
//! remove it from the files. After each step every node can unwrap what any other node wraps.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::hmac;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use parking_lot::RwLock;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::cipher::{Cipher, KEY_BYTES, KeyBytes};
use crate::error::{Format, RootFileFault, SealError};
use crate::random::RandomSource;
use crate::root::RootKey;
use crate::root_key_id::RootKeyId;

/// Most root keys in a file.
pub const ROOT_KEYS_MAX: usize = 32;
const FILE_BYTES_MAX: u64 = 64 * 1024;
const FINGERPRINT_BYTES: usize = 8;
const FINGERPRINT_LABEL: &[u8] = b"custodia root key fingerprint 1";

/// The root keys of one file.
pub struct FileRootKey {
    path: PathBuf,
    keys: RwLock<Arc<Keys>>,
}

impl FileRootKey {
    /// Reads the keys in `path`.
    ///
    /// # Errors
    /// [`SealError::RootKeyFile`], [`SealError::RootKeyFileMode`] when group or others have any permission (on Unix),
    /// [`SealError::RootKeyFileContent`].
    pub fn open(path: &Path) -> Result<Self, SealError> {
        let keys = Keys::read(path)?;
        Ok(Self { path: path.to_owned(), keys: RwLock::new(Arc::new(keys)) })
    }

    /// The ids of all keys in the file, in its order.
    #[must_use]
    pub fn ids(&self) -> Vec<RootKeyId> {
        self.keys().all.iter().map(|key| key.id.clone()).collect()
    }

    /// The text of a new file with one new random key. The caller writes it, with mode 0600.
    ///
    /// # Errors
    /// [`SealError::Random`].
    pub fn generate(id: &RootKeyId, random: &dyn RandomSource) -> Result<Zeroizing<String>, SealError> {
        let bytes = KeyBytes::generate(random)?;
        let mut text = head(id, 1);
        push_key(&mut text, id, &bytes);
        Ok(text)
    }

    /// The text of this file with one more, new key. `current` stays: step 1 of rotating the root key.
    ///
    /// # Errors
    /// [`SealError::Random`], [`SealError::RootKeyFileContent`] when the id is taken or the file is full.
    pub fn text_with_fresh_key(
        &self,
        id: &RootKeyId,
        random: &dyn RandomSource,
    ) -> Result<Zeroizing<String>, SealError> {
        let keys = self.keys();
        let fault = |fault| SealError::RootKeyFileContent { path: self.path.clone(), fault };
        if keys.find(id).is_some() {
            return Err(fault(RootFileFault::Duplicate { id: id.clone() }));
        }
        if keys.all.len() >= ROOT_KEYS_MAX {
            return Err(fault(RootFileFault::Count { keys: keys.all.len() + 1, max: ROOT_KEYS_MAX }));
        }
        let fresh = KeyBytes::generate(random)?;
        let mut text = head(&keys.current, keys.all.len() + 1);
        for key in &keys.all {
            push_key(&mut text, &key.id, key.cipher.bytes());
        }
        push_key(&mut text, id, &fresh);
        Ok(text)
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read())
    }
}

impl RootKey for FileRootKey {
    fn current(&self) -> RootKeyId {
        self.keys().current.clone()
    }

    fn reload(&self) -> Result<(), SealError> {
        let keys = Keys::read(&self.path)?;
        *self.keys.write() = Arc::new(keys);
        Ok(())
    }

    fn wrap(
        &self,
        id: &RootKeyId,
        key: &KeyBytes,
        aad: &[u8],
        random: &dyn RandomSource,
    ) -> Result<Vec<u8>, SealError> {
        let keys = self.keys();
        let root = keys.find(id).ok_or_else(|| SealError::UnknownRootKey { id: id.clone() })?;
        let mut wrapped = root.fingerprint.to_vec();
        root.cipher.seal(random, aad, key.as_array(), &mut wrapped)?;
        Ok(wrapped)
    }

    fn unwrap(&self, id: &RootKeyId, wrapped: &[u8], aad: &[u8]) -> Result<KeyBytes, SealError> {
        let keys = self.keys();
        let root = keys.find(id).ok_or_else(|| SealError::UnknownRootKey { id: id.clone() })?;
        let (fingerprint, sealed) = wrapped
            .split_first_chunk::<FINGERPRINT_BYTES>()
            .ok_or(SealError::Malformed { format: Format::FileWrap, bytes: wrapped.len() })?;
        if *fingerprint != root.fingerprint {
            return Err(SealError::WrongRootKey { id: id.clone() });
        }
        root.cipher.open_key(Format::FileWrap, aad, sealed)
    }
}

impl fmt::Debug for FileRootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileRootKey")
            .field("path", &self.path)
            .field("ids", &self.ids())
            .finish_non_exhaustive()
    }
}

struct OneKey {
    id: RootKeyId,
    cipher: Cipher,
    fingerprint: [u8; FINGERPRINT_BYTES],
}

struct Keys {
    current: RootKeyId,
    all: Vec<OneKey>,
}

impl Keys {
    fn find(&self, id: &RootKeyId) -> Option<&OneKey> {
        self.all.iter().find(|key| key.id == *id)
    }

    fn read(path: &Path) -> Result<Self, SealError> {
        let unreadable = |source| SealError::RootKeyFile { path: path.to_owned(), source };
        // The permissions of the open file, not of the path, so the file cannot be swapped in between.
        let file = File::open(path).map_err(unreadable)?;
        check_mode(path, &file.metadata().map_err(unreadable)?)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(8 * 1024));
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
        let fault = |fault| SealError::RootKeyFileContent { path: path.to_owned(), fault };
        let text =
            std::str::from_utf8(&bytes).map_err(|_not_text| fault(RootFileFault::Syntax { line: None }))?;
        // The parser's own message may quote the key, so only the line is kept.
        let file: FileText<'_> = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            fault(RootFileFault::Syntax { line: before.map(|before| before.split('\n').count()) })
        })?;
        Self::of(file, &fault)
    }

    fn of(file: FileText<'_>, fault: &dyn Fn(RootFileFault) -> SealError) -> Result<Self, SealError> {
        if file.keys.is_empty() || file.keys.len() > ROOT_KEYS_MAX {
            return Err(fault(RootFileFault::Count { keys: file.keys.len(), max: ROOT_KEYS_MAX }));
        }
        let mut keys = Self { current: file.current.parse()?, all: Vec::with_capacity(file.keys.len()) };
        for key in file.keys {
            let id: RootKeyId = key.id.parse()?;
            if keys.find(&id).is_some() {
                return Err(fault(RootFileFault::Duplicate { id }));
            }
            let KeyDigits(Some(bytes)) = key.key else { return Err(fault(RootFileFault::KeyText { id })) };
            let fingerprint = fingerprint(&bytes);
            keys.all.push(OneKey { id, cipher: Cipher::new(bytes)?, fingerprint });
        }
        if keys.find(&keys.current).is_none() {
            return Err(fault(RootFileFault::NoCurrent { id: keys.current }));
        }
        Ok(keys)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText<'a> {
    #[serde(borrow)]
    current: Cow<'a, str>,
    #[serde(borrow, default)]
    keys: Vec<KeyText<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyText<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    key: KeyDigits,
}

/// A key, decoded while the file is parsed so that no copy of its digits is made; `None` if they are not 64 digits.
struct KeyDigits(Option<KeyBytes>);

impl<'de> Deserialize<'de> for KeyDigits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;
        impl Visitor<'_> for Digits {
            type Value = KeyDigits;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("hexadecimal digits")
            }

            fn visit_str<E>(self, text: &str) -> Result<KeyDigits, E> {
                Ok(KeyDigits(decode_key(text)))
            }
        }
        deserializer.deserialize_str(Digits)
    }
}

#[cfg(unix)]
fn check_mode(path: &Path, metadata: &std::fs::Metadata) -> Result<(), SealError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(SealError::RootKeyFileMode { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn check_mode(_path: &Path, _metadata: &std::fs::Metadata) -> Result<(), SealError> {
    Ok(())
}

fn fingerprint(key: &KeyBytes) -> [u8; FINGERPRINT_BYTES] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_array());
    let tag = hmac::sign(&key, FINGERPRINT_LABEL);
    tag.as_ref().first_chunk().copied().unwrap_or_default()
}

fn decode_key(digits: &str) -> Option<KeyBytes> {
    if digits.len() != 2 * KEY_BYTES {
        return None;
    }
    let mut key = KeyBytes::zeroed();
    HEXLOWER_PERMISSIVE.decode_mut(digits.as_bytes(), key.as_mut_array()).ok()?;
    Some(key)
}

const KEY_TEXT_BYTES: usize = 2 * KEY_BYTES + 128;

/// Reserves space for all keys, so that growing leaves no partial copy of a key in freed memory.
fn head(current: &RootKeyId, keys: usize) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(256 + keys * KEY_TEXT_BYTES));
    text.push_str(
        "# Root keys of a Custodia cluster. Anyone with this file can read everything: keep mode 0600.\n\
         # If you lose it, all data is lost: keep a copy in a safe place.\n",
    );
    text.push_str("current = \"");
    text.push_str(current.as_str());
    text.push_str("\"\n");
    text
}

fn push_key(text: &mut Zeroizing<String>, id: &RootKeyId, key: &KeyBytes) {
    text.push_str("\n[[keys]]\nid = \"");
    text.push_str(id.as_str());
    text.push_str("\"\nkey = \"");
    HEXLOWER.encode_append(key.as_array(), text);
    text.push_str("\"\n");
}
