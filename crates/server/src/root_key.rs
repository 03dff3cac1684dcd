//! The text of a root key file. The caller writes it, with owner-only mode.

use std::path::Path;

use custodia_seal::{FileRootKey, RootKeyId, SealError, SystemRandom};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error::ServerError;

/// The text of a root key file with one fresh key. Its id is random, which tells the files of two clusters apart. The
/// caller writes it with mode 0600; all nodes of a cluster share it.
///
/// # Errors
/// When the random source fails.
pub fn generate_root_key_file() -> Result<Zeroizing<String>, ServerError> {
    let (first, ..) = Uuid::new_v4().as_fields();
    let id: RootKeyId =
        format!("root-{first:08x}").parse().map_err(|error: SealError| ServerError::Seal(error))?;
    Ok(FileRootKey::generate(&id, &SystemRandom)?)
}

/// The text of the root key file at `path` with one more, fresh key of this id; `current` stays. The first step of rotating
/// the root key.
///
/// # Errors
/// When the file is unusable, the id is in use or malformed, or the random source fails.
pub fn add_root_key(path: &Path, id: &str) -> Result<Zeroizing<String>, ServerError> {
    Ok(FileRootKey::open(path)?.text_with_fresh_key(&id.parse()?, &SystemRandom)?)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_generated_file_opens_and_no_two_are_alike() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut ids = Vec::new();
        for name in ["one", "two"] {
            let path = folder.path().join(name);
            fs::write(&path, generate_root_key_file().expect("a text").as_bytes()).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
            ids.extend(FileRootKey::open(&path).expect("opens").ids());
        }
        assert_eq!(ids.len(), 2);
        assert_ne!(ids[0], ids[1]);
    }
}
