//! Root keys in a file that only its owner may use: for development and for clusters without a key service.
//!
//! ```toml
//! current = "2026-11"          # new shard keys are wrapped with this one
//!
//! [[keys]]                     # 1 to 32 of them; older ones stay until nothing is wrapped with them
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
//! The fingerprint tells the wrong key of the right name (an operator's mistake, one clear error) from altered
//! bytes (an alarm). It tells nothing about a random key.
//!
//! Turning the root, without a pause: 1. add the new key to the file of every node, `current` unchanged, and
//! reload; 2. set `current` on every node and reload; 3. have every shard wrap its keys anew; 4. when no shard
//! is wrapped with the old key any more, take it out of the files. After each step every node can unwrap
//! what any other node wraps.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::hmac;
use parking_lot::RwLock;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::cipher::{Cipher, KEY_BYTES, KeyBytes};
use crate::{Format, RandomSource, RootKey, RootKeyId, SealError};

/// The most root keys that a file holds.
pub const ROOT_KEYS_MAX: usize = 32;
const FILE_BYTES_MAX: u64 = 64 * 1024;
const FINGERPRINT_BYTES: usize = 8;
const FINGERPRINT_LABEL: &[u8] = b"custodia root key fingerprint 1";

/// What is wrong with the content of a root key file. Never repeats the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootFileFault {
    /// Not the TOML described above.
    Syntax {
        /// The line, counted from 1, where known.
        line: Option<usize>,
    },
    /// A key is not 64 hexadecimal digits.
    KeyText {
        /// Its id.
        id: RootKeyId,
    },
    /// Two keys have one id.
    Duplicate {
        /// The id.
        id: RootKeyId,
    },
    /// `current` names no key of the file.
    NoCurrent {
        /// The id it names.
        id: RootKeyId,
    },
    /// No key, or more than [`ROOT_KEYS_MAX`].
    Count {
        /// How many.
        keys: usize,
    },
}

impl fmt::Display for RootFileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { line: Some(line) } => {
                write!(f, "line {line} is not as expected: current = \"ID\", then [[keys]] with id and key")
            }
            Self::Syntax { line: None } => {
                f.write_str("expected UTF-8 text with current = \"ID\", then [[keys]] with id and key")
            }
            Self::KeyText { id } => write!(f, "key \"{id}\" is not 64 hexadecimal digits"),
            Self::Duplicate { id } => write!(f, "key \"{id}\" is there twice"),
            Self::NoCurrent { id } => write!(f, "current = \"{id}\" names no key of the file"),
            Self::Count { keys } => write!(f, "it holds {keys} keys, 1 to {ROOT_KEYS_MAX} are allowed"),
        }
    }
}

/// The root keys of one file.
pub struct FileRootKey {
    path: PathBuf,
    keys: RwLock<Arc<Keys>>,
}

impl FileRootKey {
    /// Reads the keys in `path`.
    ///
    /// # Errors
    /// [`SealError::RootKeyFile`], [`SealError::RootKeyFileMode`] when group or others have any permission (on
    /// Unix), [`SealError::RootKeyFileContent`].
    pub fn open(path: &Path) -> Result<Self, SealError> {
        let keys = Keys::read(path)?;
        Ok(Self { path: path.to_owned(), keys: RwLock::new(Arc::new(keys)) })
    }

    /// The ids of all keys in the file, in its order.
    #[must_use]
    pub fn ids(&self) -> Vec<RootKeyId> {
        self.keys().all.iter().map(|key| key.id.clone()).collect()
    }

    /// The text of a new file with one fresh random key. The caller writes it, with mode 0600.
    ///
    /// # Errors
    /// [`SealError::Random`].
    pub fn generate(id: &RootKeyId, random: &dyn RandomSource) -> Result<Zeroizing<String>, SealError> {
        let bytes = KeyBytes::generate(random)?;
        let mut text = head(id, 1);
        push_key(&mut text, id, &bytes);
        Ok(text)
    }

    /// The text of this file with one more, fresh key. `current` stays: step 1 of turning the root.
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
            return Err(fault(RootFileFault::Count { keys: keys.all.len() + 1 }));
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
        // The permissions of the open file, not of the path: nobody can swap the file in between.
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
            return Err(fault(RootFileFault::Count { keys: file.keys.len() }));
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

/// A key read from its digits at once, so that no copy of the text is made; nothing when they are not digits.
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
                Ok(KeyDigits(parse_hex(text)))
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

fn parse_hex(text: &str) -> Option<KeyBytes> {
    let mut key = KeyBytes::zeroed();
    if text.len() != 2 * KEY_BYTES {
        return None;
    }
    for (byte, digits) in key.as_mut_array().iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        for digit in digits {
            let value = char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok())?;
            *byte = (*byte << 4) | value;
        }
    }
    Some(key)
}

const KEY_TEXT_BYTES: usize = 2 * KEY_BYTES + 128;

/// Room for all keys from the start, so that no half-written copy of a key is left behind by growing.
fn head(current: &RootKeyId, keys: usize) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(256 + keys * KEY_TEXT_BYTES));
    text.push_str("# Root keys of a Custodia cluster. Who has this file can read everything: mode 0600,\n");
    text.push_str("# and a copy in a safe place, without it all data is lost.\ncurrent = \"");
    text.push_str(current.as_str());
    text.push_str("\"\n");
    text
}

fn push_key(text: &mut Zeroizing<String>, id: &RootKeyId, key: &KeyBytes) {
    text.push_str("\n[[keys]]\nid = \"");
    text.push_str(id.as_str());
    text.push_str("\"\nkey = \"");
    for byte in key.as_array() {
        for digit in [byte >> 4, byte & 0x0f] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    text.push_str("\"\n");
}
