//! A snapshot as a file: written from front to back, published whole or not at all, every byte checked when read.
//!
//! ```text
//! header  "CUSTSNAP" 8 │ format u8 (1) │ meta length BE 4 │ meta … │ crc32c of all that BE 4
//! frame   1 u8 │ length BE 4 │ crc32c BE 4 │ bytes …          the checksum covers the frame's number and its bytes
//! frame   …
//! footer  2 u8 │ number of frames BE 8 │ crc32c BE 4          nothing may follow
//! ```
//! It is written as `NAME.part`, synced, then renamed to `NAME`: a file without the extension is whole. The frame number in
//! the checksum reveals swapped and dropped frames, the footer a missing end.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::error::StoreError;
use crate::files;

/// Largest frame.
const SNAPSHOT_FRAME_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Largest header metadata.
const SNAPSHOT_META_BYTES_MAX: usize = 1024 * 1024;
/// Longest name.
const SNAPSHOT_NAME_CHARS_MAX: usize = 100;

const MAGIC: &[u8; 8] = b"CUSTSNAP";
const FORMAT_1: u8 = 1;
const FRAME: u8 = 1;
const FOOTER: u8 = 2;
const BUFFER_BYTES: usize = 256 * 1024;
const UNFINISHED: &str = "part";

/// Writes a snapshot file. Dropped before [`SnapshotFileWriter::finish`], it leaves nothing.
#[derive(Debug)]
pub struct SnapshotFileWriter {
    /// The path of the finished file.
    path: PathBuf,
    part: PathBuf,
    file: Option<BufWriter<File>>,
    frames: u64,
}

impl SnapshotFileWriter {
    /// Begins a snapshot file. An unfinished one of the same name is replaced.
    ///
    /// # Errors
    /// When the name is invalid, the metadata too long, or the file cannot be written.
    pub fn create(folder: &Path, name: &str, meta: &[u8]) -> Result<Self, StoreError> {
        let path = file_path(folder, name)?;
        let mut header = Vec::with_capacity(meta.len() + 32);
        header.extend_from_slice(MAGIC);
        header.push(FORMAT_1);
        header.extend_from_slice(&length_field("snapshot file metadata", meta, SNAPSHOT_META_BYTES_MAX)?);
        header.extend_from_slice(meta);
        header.extend_from_slice(&crc32c::crc32c(&header).to_be_bytes());
        let part = path.with_extension(UNFINISHED);
        let file = File::create(&part).map_err(|error| StoreError::io("create", &part, error))?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        let mut writer = Self { path, part, file: Some(file), frames: 0 };
        writer.write(&header)?;
        Ok(writer)
    }

    /// Adds a frame.
    ///
    /// # Errors
    /// When it is too long, or cannot be written.
    pub fn write_frame(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let length = length_field("snapshot file frame", bytes, SNAPSHOT_FRAME_BYTES_MAX)?;
        let sum = frame_sum(self.frames, bytes).to_be_bytes();
        self.write(&[FRAME])?;
        self.write(&length)?;
        self.write(&sum)?;
        self.write(bytes)?;
        self.frames += 1;
        Ok(())
    }

    /// Ends the file. On `Ok` it is durable under its name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<PathBuf, StoreError> {
        let frames = self.frames.to_be_bytes();
        self.write(&[FOOTER])?;
        self.write(&frames)?;
        self.write(&crc32c::crc32c(&frames).to_be_bytes())?;
        if let Some(buffer) = self.file.take() {
            let part = self.part.clone();
            let failed = |error| StoreError::io("write", &part, error);
            let file = buffer.into_inner().map_err(|error| failed(error.into_error()))?;
            file.sync_all().map_err(failed)?;
        }
        files::rename(&self.part, &self.path)?;
        Ok(self.path.clone())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(bytes).map_err(|error| StoreError::io("write", &self.part, error))
    }
}

impl Drop for SnapshotFileWriter {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // Without flushing the buffer: the file is about to be removed.
            let (file, _) = file.into_parts();
            drop(file);
        }
        // After `finish` it no longer exists. If it cannot be removed now, the next start removes it.
        fs::remove_file(&self.part).unwrap_or_default();
    }
}

/// Reads a snapshot file from front to back.
#[derive(Debug)]
pub struct SnapshotFileReader {
    path: PathBuf,
    file: BufReader<File>,
    meta: Bytes,
    frames: u64,
    finished: bool,
}

impl SnapshotFileReader {
    /// Opens a finished snapshot file and checks its header.
    ///
    /// # Errors
    /// When the file is missing or corrupt.
    pub fn open(folder: &Path, name: &str) -> Result<Self, StoreError> {
        let path = file_path(folder, name)?;
        let file = File::open(&path).map_err(|error| StoreError::io("open", &path, error))?;
        let file = BufReader::with_capacity(BUFFER_BYTES, file);
        let mut reader = Self { path, file, meta: Bytes::new(), frames: 0, finished: false };
        let mut header = reader.read_bytes(MAGIC.len() + 1 + 4)?;
        let (magic, rest) = header.split_first_chunk::<8>().ok_or_else(|| reader.corrupt("header"))?;
        let (&format, length) = rest.split_first().ok_or_else(|| reader.corrupt("header"))?;
        if magic != MAGIC {
            return Err(reader.corrupt("not a snapshot file"));
        }
        if format != FORMAT_1 {
            return Err(StoreError::UnknownFormat { what: "snapshot file", version: u32::from(format) });
        }
        let length = reader.length(length, SNAPSHOT_META_BYTES_MAX)?;
        let meta = reader.read_bytes(length)?;
        header.extend_from_slice(&meta);
        let sum = reader.read_bytes(4)?;
        if sum != crc32c::crc32c(&header).to_be_bytes() {
            return Err(reader.corrupt("header checksum"));
        }
        reader.meta = meta.into();
        Ok(reader)
    }

    /// The metadata from the header.
    #[must_use]
    pub fn meta(&self) -> &Bytes {
        &self.meta
    }

    /// The next frame; `None` after the last one, once the footer has been checked.
    ///
    /// # Errors
    /// When the file is cut or altered here.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.finished {
            return Ok(None);
        }
        match self.read_bytes(1)?.first() {
            Some(&FRAME) => self.read_frame().map(Some),
            Some(&FOOTER) => self.read_footer().map(|()| None),
            Some(_) | None => Err(self.corrupt("neither frame nor footer")),
        }
    }

    fn read_frame(&mut self) -> Result<Bytes, StoreError> {
        let length = self.read_bytes(4)?;
        let length = self.length(&length, SNAPSHOT_FRAME_BYTES_MAX)?;
        let sum = self.read_bytes(4)?;
        let bytes = self.read_bytes(length)?;
        if sum != frame_sum(self.frames, &bytes).to_be_bytes() {
            return Err(self.corrupt("frame checksum"));
        }
        self.frames += 1;
        Ok(bytes.into())
    }

    fn read_footer(&mut self) -> Result<(), StoreError> {
        let frames = self.read_bytes(8)?;
        let sum = self.read_bytes(4)?;
        if frames != self.frames.to_be_bytes() || sum != crc32c::crc32c(&frames).to_be_bytes() {
            return Err(self.corrupt("footer"));
        }
        let mut after = [0];
        let more = self.file.read(&mut after).map_err(|error| StoreError::io("read", &self.path, error))?;
        if more > 0 {
            return Err(self.corrupt("bytes after the footer"));
        }
        self.finished = true;
        Ok(())
    }

    fn length(&self, field: &[u8], limit: usize) -> Result<usize, StoreError> {
        let length =
            field.try_into().ok().map(u32::from_be_bytes).and_then(|length| usize::try_from(length).ok());
        length.filter(|&length| length <= limit).ok_or_else(|| self.corrupt("length"))
    }

    fn read_bytes(&mut self, length: usize) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; length];
        self.file.read_exact(&mut bytes).map_err(|error| {
            let cut = error.kind() == ErrorKind::UnexpectedEof;
            if cut { self.corrupt("cut short") } else { StoreError::io("read", &self.path, error) }
        })?;
        Ok(bytes)
    }

    fn corrupt(&self, reason: &'static str) -> StoreError {
        StoreError::SnapshotFileCorrupt { path: self.path.clone(), reason }
    }
}

/// Reads a snapshot file to its end and checks that it is whole.
///
/// # Errors
/// As [`SnapshotFileReader::next_frame`].
pub fn verify_snapshot_file(folder: &Path, name: &str) -> Result<(), StoreError> {
    let mut reader = SnapshotFileReader::open(folder, name)?;
    while reader.next_frame()?.is_some() {}
    Ok(())
}

/// Names of the finished snapshot files in a folder, in order.
///
/// # Errors
/// When the folder cannot be read.
pub fn list_snapshot_files(folder: &Path) -> Result<Vec<String>, StoreError> {
    let failed = |error| StoreError::io("read", folder, error);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        names.extend(name.to_str().filter(|name| is_valid_name(name)).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Removes a snapshot file, durably. A missing file is not an error.
///
/// # Errors
/// When the name is invalid or the file cannot be removed.
pub fn remove_snapshot_file(folder: &Path, name: &str) -> Result<(), StoreError> {
    files::remove_file(&file_path(folder, name)?)
}

/// Removes the unfinished files that a crash left.
pub(crate) fn remove_unfinished(folder: &Path) -> Result<(), StoreError> {
    let failed = |error| StoreError::io("read", folder, error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == UNFINISHED) {
            files::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Lower-case letters, digits and hyphens: a name cannot leave the folder and has no extension.
fn is_valid_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=SNAPSHOT_NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(allowed)
}

fn file_path(folder: &Path, name: &str) -> Result<PathBuf, StoreError> {
    if is_valid_name(name) { Ok(folder.join(name)) } else { Err(StoreError::SnapshotFileName) }
}

fn length_field(what: &'static str, bytes: &[u8], limit: usize) -> Result<[u8; 4], StoreError> {
    match u32::try_from(bytes.len()) {
        Ok(length) if bytes.len() <= limit => Ok(length.to_be_bytes()),
        Ok(_) | Err(_) => Err(StoreError::TooLarge { what, limit_bytes: limit }),
    }
}

fn frame_sum(number: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&number.to_be_bytes()), bytes)
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    /// A snapshot file in format 1.
    const FIXTURE: &str = "43555354534e415001000000046d657461efd5d991010000000573177281666972737401000000007e4331890200000000000000026d13c27d";

    fn write(folder: &Path) -> Vec<u8> {
        let mut writer = SnapshotFileWriter::create(folder, "snapshot-1", b"meta").unwrap();
        writer.write_frame(b"first").unwrap();
        writer.write_frame(b"").unwrap();
        fs::read(writer.finish().unwrap()).unwrap()
    }

    fn read(folder: &Path) -> Result<Vec<Bytes>, StoreError> {
        let mut reader = SnapshotFileReader::open(folder, "snapshot-1")?;
        assert_eq!(reader.meta(), &b"meta"[..]);
        std::iter::from_fn(|| reader.next_frame().transpose()).collect()
    }

    #[test]
    fn format_1_is_pinned_and_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = write(folder.path());
        assert_eq!(HEXLOWER.encode(&bytes), FIXTURE);
        assert_eq!(read(folder.path()).unwrap(), [&b"first"[..], b""]);
        verify_snapshot_file(folder.path(), "snapshot-1").unwrap();
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = write(folder.path());
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut altered = bytes.clone();
                altered[at] ^= 1 << bit;
                fs::write(folder.path().join("snapshot-1"), altered).unwrap();
                assert!(verify_snapshot_file(folder.path(), "snapshot-1").is_err(), "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn every_cut_and_every_addition_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = write(folder.path());
        for length in 0..bytes.len() {
            fs::write(folder.path().join("snapshot-1"), &bytes[..length]).unwrap();
            assert!(verify_snapshot_file(folder.path(), "snapshot-1").is_err(), "cut at {length}");
        }
        fs::write(folder.path().join("snapshot-1"), [&bytes[..], b"x"].concat()).unwrap();
        assert!(verify_snapshot_file(folder.path(), "snapshot-1").is_err());
    }

    #[test]
    fn unfinished_file_is_not_listed() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = SnapshotFileWriter::create(folder.path(), "snapshot-1", b"meta").unwrap();
        writer.write_frame(b"first").unwrap();
        assert_eq!(list_snapshot_files(folder.path()).unwrap(), [""; 0]);
        drop(writer);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        fs::write(folder.path().join("snapshot-2.part"), b"left by a crash").unwrap();
        remove_unfinished(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn name_cannot_leave_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["", ".", "../x", "a/b", "A", "x.part"] {
            assert!(
                matches!(
                    SnapshotFileWriter::create(folder.path(), name, b""),
                    Err(StoreError::SnapshotFileName)
                ),
                "{name}"
            );
        }
    }

    #[test]
    fn snapshot_files_are_listed_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path());
        assert_eq!(list_snapshot_files(folder.path()).unwrap(), ["snapshot-1"]);
        remove_snapshot_file(folder.path(), "snapshot-1").unwrap();
        remove_snapshot_file(folder.path(), "snapshot-1").unwrap();
        assert_eq!(list_snapshot_files(folder.path()).unwrap(), [""; 0]);
    }
}
