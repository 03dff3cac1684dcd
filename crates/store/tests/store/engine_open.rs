//! Opening: a damaged engine is set aside; one that is in use or inaccessible is not.

use std::fs;
use std::path::Path;

use custodia_store::{EngineKind, StoreError, open_engine};

use crate::model::{self, CACHE_BYTES, Found};
use crate::subjects::KINDS_ON_DISK;

#[test]
fn engine_that_does_not_open_is_set_aside_and_kept() {
    for kind in KINDS_ON_DISK {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        for round in 1..=2 {
            {
                let engine = open_engine(&path, kind, CACHE_BYTES).unwrap().engine;
                for number in 1..=80 {
                    engine.write(model::batch(number)).unwrap();
                }
                engine.flush().unwrap();
            }
            damage(&path, kind);
            let opened = open_engine(&path, kind, CACHE_BYTES).unwrap();
            let Some(aside) = opened.set_aside else { panic!("{kind} opened") };
            assert_eq!(aside, folder.path().join(format!("state.aside-{round}")));
            assert!(aside.is_dir(), "the damaged engine is kept for inspection");
            assert_eq!(model::verify(&*opened.engine), Found::Whole(0));
            opened.engine.write(model::batch(1)).unwrap();
        }
    }
}

/// Damage from which neither engine recovers on its own.
fn damage(path: &Path, kind: EngineKind) {
    let file = if kind == EngineKind::Fjall { "version" } else { "conf" };
    fs::write(path.join(file), "not what it was").unwrap();
}

#[test]
fn engine_in_use_is_refused_and_not_set_aside() {
    for kind in KINDS_ON_DISK {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let _first = open_engine(&path, kind, CACHE_BYTES).unwrap();
        let second = open_engine(&path, kind, CACHE_BYTES);
        assert!(matches!(second, Err(StoreError::Locked { .. })), "{kind}: {second:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{kind}");
    }
}

#[expect(clippy::disallowed_methods, reason = "the test has no runtime")]
#[test]
fn engine_that_is_released_a_moment_later_opens() {
    for kind in KINDS_ON_DISK {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let first = open_engine(&path, kind, CACHE_BYTES).unwrap();
        first.engine.write(model::batch(1)).unwrap();
        first.engine.flush().unwrap();
        let closing = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(100));
            drop(first);
        });
        let opened = open_engine(&path, kind, CACHE_BYTES).unwrap();
        assert_eq!(model::verify(&*opened.engine), Found::Whole(1), "{kind}");
        closing.join().unwrap();
    }
}

#[test]
fn file_instead_of_the_folder_is_an_error() {
    for kind in KINDS_ON_DISK {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        fs::write(folder.path().join("file"), b"").unwrap();
        assert!(open_engine(&folder.path().join("file").join("state"), kind, CACHE_BYTES).is_err());
        assert!(!path.exists());
    }
}
