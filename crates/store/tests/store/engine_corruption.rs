//! Damage at rest: flipped bits and cut files. The engine may fail to open (it is set aside), fail to read, or return to an
//! earlier whole state (its applied number says which); it may not return one wrong value.

use std::path::Path;

use custodia_store::{EngineKind, open_engine};

use crate::image::Image;
use crate::model::{self, CACHE_BYTES, Found, KINDS_ON_DISK};
use crate::random::Random;

const BATCHES: u64 = 120;
const FLIPS: usize = 24;
const CUTS: usize = 12;

/// A clean engine with data both in its journal and, for fjall, in its tables.
fn image(kind: EngineKind) -> Image {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let write = |numbers: std::ops::RangeInclusive<u64>| {
        let engine = open_engine(&path, kind, CACHE_BYTES).unwrap().engine;
        for number in numbers {
            engine.write(model::batch(number)).unwrap();
        }
        engine.flush().unwrap();
    };
    write(1..=BATCHES / 2);
    if kind == EngineKind::Fjall {
        let database = fjall::Database::builder(&path).open().unwrap();
        let keyspace = database.keyspace("state", fjall::KeyspaceCreateOptions::default).unwrap();
        keyspace.rotate_memtable_and_wait().unwrap();
    }
    write(BATCHES / 2 + 1..=BATCHES);
    Image::take(&path)
}

#[derive(Debug, Default)]
struct Tally {
    set_aside: usize,
    refused: usize,
    earlier: usize,
    no_effect: usize,
}

impl Tally {
    fn count(&mut self, kind: EngineKind, damaged: &Image) {
        let disk = tempfile::tempdir().unwrap();
        damaged.write(&disk.path().join("state"));
        let opened = open_engine(&disk.path().join("state"), kind, CACHE_BYTES).unwrap();
        let found = model::verify(&*opened.engine);
        match (opened.set_aside, found) {
            (Some(_), found) => {
                assert_eq!(found, Found::Whole(0));
                self.set_aside += 1;
            }
            (None, Found::Refused) => self.refused += 1,
            (None, Found::Whole(BATCHES)) => self.no_effect += 1,
            (None, Found::Whole(_)) => self.earlier += 1,
        }
    }
}

fn is_data(path: &Path) -> bool {
    !path.ends_with("lock")
}

#[test]
fn flipped_bit_is_never_served() {
    let mut random = Random::seeded();
    for kind in KINDS_ON_DISK {
        let clean = image(kind);
        let mut tally = Tally::default();
        for round in 0..FLIPS {
            let mut damaged = clean.clone();
            // Every other flip is in fjall's tables, which are small compared to the journal.
            let in_tables = kind == EngineKind::Fjall && round % 2 == 0;
            let wanted = |path: &Path| is_data(path) && (!in_tables || path.starts_with("keyspaces"));
            let path = damaged.flip_bit(&mut random, wanted);
            println!("{kind}: a bit of {}", path.display());
            tally.count(kind, &damaged);
        }
        println!("{kind}, {FLIPS} flips: {tally:?}");
    }
}

#[test]
fn cut_file_is_never_served_as_whole() {
    let mut random = Random::seeded();
    for kind in KINDS_ON_DISK {
        let clean = image(kind);
        let mut tally = Tally::default();
        for _ in 0..CUTS {
            let mut damaged = clean.clone();
            let path = damaged.cut_file(&mut random, is_data);
            println!("{kind}: {} cut", path.display());
            tally.count(kind, &damaged);
        }
        println!("{kind}, {CUTS} cuts: {tally:?}");
    }
}
