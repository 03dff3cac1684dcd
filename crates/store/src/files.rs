//! The file operations that must survive a crash.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::StoreError;

/// Makes created, renamed and removed entries of a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|error| StoreError::io("sync", path, error))
}

/// Creates a folder and its parents.
pub(crate) fn create_folder(path: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(path).map_err(|error| StoreError::io("create", path, error))
}

/// Replaces a file. After a crash it holds the old bytes or the new ones, never a mixture: the new file is written beside
/// it, synced and renamed over it, then the folder is synced.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside).map_err(|error| StoreError::io("create", &beside, error))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(|error| StoreError::io("write", &beside, error))?;
    rename(&beside, path)
}

/// Renames within a folder, durably.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(|error| StoreError::io("rename", from, error))?;
    to.parent().map_or(Ok(()), sync_folder)
}

/// Removes a file, durably. A missing file is not an error.
pub(crate) fn remove_file(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Ok(()) => path.parent().map_or(Ok(()), sync_folder),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::io("remove", path, error)),
    }
}

/// The files `NUMBER` + `suffix` in a folder and their numbers, in order.
pub(crate) fn numbered(folder: &Path, suffix: &str) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let failed = |error| StoreError::io("read", folder, error);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_suffix(suffix)?.parse::<u64>().ok());
        found.extend(number.map(|number| (number, path)));
    }
    found.sort_unstable();
    Ok(found)
}

/// Cuts a file to `length`, durably.
pub(crate) fn truncate(path: &Path, length: u64) -> Result<(), StoreError> {
    let failed = |error| StoreError::io("cut", path, error);
    let file = File::options().write(true).open(path).map_err(failed)?;
    file.set_len(length).and_then(|()| file.sync_all()).map_err(failed)
}

/// The first of `NAME.aside-1`, `NAME.aside-2` … that does not exist.
pub(crate) fn aside_path(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_os_string();
    let mut number = 1_u32;
    loop {
        let mut candidate = name.clone();
        candidate.push(format!(".aside-{number}"));
        let candidate = path.with_file_name(candidate);
        if !candidate.exists() {
            return candidate;
        }
        number += 1;
    }
}

/// Bytes that a folder occupies on disk: blocks, so preallocated holes do not count, nor do files that vanish meanwhile.
pub(crate) fn folder_bytes(path: &Path) -> u64 {
    const BLOCK_BYTES: u64 = 512;
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries
        .filter_map(Result::ok)
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
            Ok(metadata) => metadata.blocks() * BLOCK_BYTES,
            Err(_) => 0,
        })
        .sum()
}
