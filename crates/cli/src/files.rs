//! Reading and writing files: a file is written whole or not at all, is on disk before the command continues, and is
//! readable by its owner only if it has keys or personal data.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::CliError;
use crate::text::{encoding, json};

/// The largest file that is read as a whole.
const TEXT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Everyone with access to the folder.
    Everyone,
    /// Only the owner.
    Owner,
}

/// Replaces a file: writes the new text under another name, syncs it and renames it into place. After a crash the file
/// is either the old or the new one.
pub(crate) fn replace(path: &Path, text: &[u8], readers: Readers) -> Result<(), CliError> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = Path::new(&new);
    let mut file = open(new, readers, OpenOptions::new().write(true).create(true).truncate(true))?;
    file.write_all(text).and_then(|()| file.sync_all()).map_err(CliError::file(new))?;
    std::fs::rename(new, path).map_err(CliError::file(path))?;
    sync_folder(path)
}

/// Creates a file that must not exist yet.
pub(crate) fn create(path: &Path, text: &[u8], readers: Readers) -> Result<(), CliError> {
    let mut file = open(path, readers, OpenOptions::new().write(true).create_new(true))?;
    file.write_all(text).and_then(|()| file.sync_all()).map_err(CliError::file(path))?;
    sync_folder(path)
}

/// Reads a text file.
pub(crate) fn read(path: &Path) -> Result<String, CliError> {
    text(path, File::open(path).map_err(CliError::file(path))?)
}

/// Reads a text file, or standard input if the path is `-`.
pub(crate) fn read_text(path: &Path) -> Result<String, CliError> {
    if path.as_os_str() == "-" { text(path, std::io::stdin()) } else { read(path) }
}

/// UTF-8 without its byte-order mark. Another encoding is named, and nothing is guessed.
fn text(path: &Path, input: impl std::io::Read) -> Result<String, CliError> {
    let mut bytes = Vec::new();
    input.take(TEXT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(CliError::file(path))?;
    if bytes.len() as u64 > TEXT_BYTES_MAX {
        return Err(CliError::content(path)(format!("is longer than {TEXT_BYTES_MAX} bytes")));
    }
    let mark = encoding::byte_order_mark(&bytes).map_err(CliError::content(path))?;
    bytes.drain(..mark);
    String::from_utf8(bytes).map_err(|_error| CliError::content(path)(encoding::NOT_UTF_8))
}

/// Reads a TOML or JSON document: JSON begins with a brace, TOML never does.
pub(crate) fn read_document<Document: serde::de::DeserializeOwned>(
    path: &Path,
) -> Result<Document, CliError> {
    let text = read_text(path)?;
    if text.trim_start().starts_with('{') {
        // A name that is there twice must not count once.
        json::parse(&text).map_err(CliError::content(path))?;
        serde_json::from_str(&text).map_err(CliError::content(path))
    } else {
        toml::from_str(&text).map_err(CliError::content(path))
    }
}

/// Opens a file for appending and truncates it to `length`: what follows was never accounted for.
pub(crate) fn append_from(path: &Path, length: u64, readers: Readers) -> Result<File, CliError> {
    let file = append(path, readers)?;
    file.set_len(length).map_err(CliError::file(path))?;
    Ok(file)
}

/// Opens a file for appending.
pub(crate) fn append(path: &Path, readers: Readers) -> Result<File, CliError> {
    open(path, readers, OpenOptions::new().append(true).create(true))
}

/// Keeps other processes from locking the same file as long as the result is open; none if another one has locked it.
pub(crate) fn lock(path: &Path) -> Result<Option<File>, CliError> {
    let file = open(path, Readers::Owner, OpenOptions::new().write(true).create(true).truncate(false))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(CliError::file(path)(source)),
    }
}

/// Creates a folder and its parents.
pub(crate) fn make_folder(path: &Path) -> Result<(), CliError> {
    std::fs::create_dir_all(path).map_err(CliError::file(path))
}

fn open(path: &Path, readers: Readers, options: &mut OpenOptions) -> Result<File, CliError> {
    if readers == Readers::Owner {
        options.mode(0o600);
    }
    options.open(path).map_err(CliError::file(path))
}

/// A renamed file survives a power cut only if its folder is synced too.
fn sync_folder(path: &Path) -> Result<(), CliError> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(CliError::file(folder))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_private_file_is_readable_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        replace(&path, b"one", Readers::Owner).unwrap();
        replace(&path, b"two", Readers::Owner).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(create(&path, b"three", Readers::Owner).is_err(), "an existing file stays");
    }

    #[test]
    fn a_document_is_toml_or_json() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("document");
        for text in ["id = 7\n", " {\"id\": 7}"] {
            std::fs::write(&path, text).unwrap();
            let read: std::collections::BTreeMap<String, u32> = read_document(&path).unwrap();
            assert_eq!(read.get("id"), Some(&7), "{text}");
        }
        for text in ["\u{feff}id = 7\n", "\u{feff}{\"id\": 7}"] {
            std::fs::write(&path, text).unwrap();
            let read: std::collections::BTreeMap<String, u32> = read_document(&path).unwrap();
            assert_eq!(read.get("id"), Some(&7), "{text}");
        }
        for (bytes, named) in [
            (&b"\xff\xfei\0d\0"[..], "UTF-16"),
            (b"id = \"Zo\xeb\"", "not UTF-8"),
            (b"{\"id\": 7, \"id\": 8}", "twice"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = read_document::<std::collections::BTreeMap<String, u32>>(&path).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
        std::fs::write(&path, "id = seven").unwrap();
        let wrong = read_document::<std::collections::BTreeMap<String, u32>>(&path);
        assert!(matches!(wrong, Err(CliError::Content { .. })));
    }
}
