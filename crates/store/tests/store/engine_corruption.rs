//! Damage at rest: flipped bits and cut files. The engine may fail to open (it is set aside), fail to read, or return to an
//! earlier whole state (its applied number says which); it may not return one wrong value.

use std::path::Path;

use custodia_store::EngineKind;

use crate::image::Image;
use crate::model::{self, Found, Subject};
use crate::random::Random;

pub(crate) const BATCHES: u64 = 120;
const FLIPS: usize = 24;
const CUTS: usize = 12;

/// A clean engine. fjall's has all batches in its journal, and the first half of them in a table too.
pub(crate) fn image(subject: Subject) -> Image {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let write = |numbers: std::ops::RangeInclusive<u64>| {
        let (engine, _) = subject.open(&path).unwrap();
        for number in numbers {
            engine.write(model::batch(number)).unwrap();
        }
        engine.flush().unwrap();
    };
    write(1..=BATCHES / 2);
    if subject.kind() == EngineKind::Fjall {
        write_tables(&path.join(subject.database()));
    }
    write(BATCHES / 2 + 1..=BATCHES);
    Image::take(&path)
}

/// Has fjall write all that is in the journals of a database to tables.
pub(crate) fn write_tables(path: &Path) {
    let database = fjall::Database::builder(path).open().unwrap();
    let keyspace = database.keyspace("state", fjall::KeyspaceCreateOptions::default).unwrap();
    keyspace.rotate_memtable_and_wait().unwrap();
}

#[derive(Debug, Default)]
struct Tally {
    set_aside: usize,
    refused: usize,
    earlier: usize,
    no_effect: usize,
}

impl Tally {
    fn count(&mut self, subject: Subject, damaged: &Image) {
        let disk = tempfile::tempdir().unwrap();
        damaged.write(&disk.path().join("state"));
        let (engine, set_aside) = subject.open(&disk.path().join("state")).unwrap();
        let found = model::verify(&*engine);
        match (set_aside.len(), found) {
            (1, found) => {
                assert_eq!(found, Found::Whole(0));
                self.set_aside += 1;
            }
            (0, Found::Refused) => self.refused += 1,
            (0, Found::Whole(BATCHES)) => self.no_effect += 1,
            (0, Found::Whole(_)) => self.earlier += 1,
            (more, _) => panic!("{more} folders were set aside for one damage"),
        }
    }
}

fn is_data(path: &Path) -> bool {
    !path.ends_with("lock")
}

#[test]
fn flipped_bit_is_never_served() {
    let mut random = Random::seeded();
    for subject in Subject::ON_DISK {
        let clean = image(subject);
        let mut tally = Tally::default();
        for round in 0..FLIPS {
            let mut damaged = clean.clone();
            // Every other flip is in fjall's tables, which are small compared to the journal.
            let in_tables = subject.kind() == EngineKind::Fjall && round % 2 == 0;
            let database = subject.database();
            let wanted = |path: &Path| {
                path.strip_prefix(&database)
                    .is_ok_and(|path| is_data(path) && (!in_tables || path.starts_with("keyspaces")))
            };
            let path = damaged.flip_bit(&mut random, wanted);
            println!("{subject:?}: a bit of {}", path.display());
            tally.count(subject, &damaged);
        }
        println!("{subject:?}, {FLIPS} flips: {tally:?}");
    }
}

/// The failure: fjall panicked twice over some of these, and the process aborted at every start.
#[test]
fn engine_with_a_damaged_manifest_is_set_aside() {
    let clean = image(Subject::Engine(EngineKind::Fjall));
    let disk = tempfile::tempdir().unwrap();
    clean.write(&disk.path().join("clean"));
    let keyspace = disk.path().join("clean/keyspaces/1");
    let current = std::fs::read(keyspace.join("current")).unwrap();
    let name = format!("v{}", u64::from_le_bytes(*current.first_chunk().unwrap()));
    let manifest = std::fs::read(keyspace.join(&name)).unwrap();
    for at in (0..manifest.len()).step_by(5) {
        let state = disk.path().join(format!("state-{at}"));
        clean.write(&state);
        let mut damaged = manifest.clone();
        damaged[at] ^= 4;
        std::fs::write(state.join("keyspaces/1").join(&name), damaged).unwrap();
        let (engine, set_aside) = Subject::Engine(EngineKind::Fjall).open(&state).unwrap();
        assert_eq!((set_aside.len(), model::verify(&*engine)), (1, Found::Whole(0)), "byte {at}");
    }
}

#[test]
fn cut_file_is_never_served_as_whole() {
    let mut random = Random::seeded();
    for subject in Subject::ON_DISK {
        let clean = image(subject);
        let mut tally = Tally::default();
        for _ in 0..CUTS {
            let mut damaged = clean.clone();
            let path =
                damaged.cut_file(&mut random, |path| is_data(path) && path.starts_with(subject.database()));
            println!("{subject:?}: {} cut", path.display());
            tally.count(subject, &damaged);
        }
        println!("{subject:?}, {CUTS} cuts: {tally:?}");
    }
}
